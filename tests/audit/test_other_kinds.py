"""Audits of series, points and sets: networks whose symmetry is known, ones of torch's own, and broken twins."""

import pytest
import torch
from torch import Tensor, nn

from workbench.audit import AuditResult, audit, report_html
from workbench.audit.rounding import EXACT
from workbench.measure import open_dataset

MOTIONS, MIRRORS, SHIFTED, ORDERS = "rotations of the points", "reflections", "translations", "permutations"


class ByDistance(nn.Module):
    """Three numbers from the distances between points: nothing that a motion or another order changes."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(torch.cdist(x, x).unsqueeze(-1)).mean((1, 2))


class ByPlace(nn.Module):
    """Its twin that looks at absolute coordinates."""

    def __init__(self, dim: int = 3) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(dim, 8), nn.Tanh(), nn.Linear(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(x).mean(1)


def forces(x: Tensor) -> Tensor:
    between = x.unsqueeze(1) - x.unsqueeze(2)
    return (torch.exp(-between.square().sum(-1, keepdim=True)) * between).sum(2)


def volume(x: Tensor) -> Tensor:
    """Of the tetrahedron of the first four points: a number that turns its sign in a mirror."""
    return torch.linalg.det(x[:, 1:4] - x[:, :1])[:, None]


class DeepSet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.each, self.all = nn.Sequential(nn.Linear(4, 8), nn.ReLU()), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.all(self.each(x).mean(1))


class Weighted(DeepSet):
    """Its twin for which the place in the list counts."""

    def forward(self, x: Tensor) -> Tensor:
        return self.all((self.each(x) * torch.arange(x.shape[1])[:, None]).mean(1))


class Last(nn.Module):
    """What torch's recurrent network makes of a list."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(4, 8, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.rnn(x)[0][:, -1]


def circular(mode: str = "circular") -> nn.Module:
    conv = nn.Conv1d(2, 4, 5, padding=2, padding_mode=mode)
    return nn.Sequential(conv, nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3))


@pytest.fixture(autouse=True)
def fixed() -> None:
    torch.manual_seed(0)


def levels(result: AuditResult) -> dict[str, str]:
    return {verdict.question: verdict.level for verdict in result.verdicts}


def points(dim: int = 3) -> Tensor:
    return torch.randn(8, 6, dim, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("dim", [2, 3])
def test_a_function_of_distances_keeps_everything_and_its_twin_only_the_order(dim: int) -> None:
    kept = audit(ByDistance(), points(dim))
    assert set(levels(kept)) == {MOTIONS, MIRRORS, SHIFTED, ORDERS}
    assert set(levels(kept).values()) == {"exact"}
    assert kept.error < EXACT[torch.float32]
    assert "exactly invariant to rotations of the points" in kept.answer
    broken = audit(ByPlace(dim), points(dim))
    assert levels(broken) == {MOTIONS: "broken", MIRRORS: "broken", SHIFTED: "broken", ORDERS: "exact"}
    assert broken.verdicts[0].layer == "mlp.0"
    assert "distances and angles" in broken.verdicts[0].advice
    assert "subtract the mean" in broken.verdicts[2].advice
    assert broken.error > 0.01


def test_what_turns_along_is_equivariant_and_a_sign_in_the_mirror_is_seen() -> None:
    turned = audit(forces, points())
    assert set(levels(turned).values()) == {"exact"}
    assert "exactly equivariant to rotations of the points" in turned.answer
    assert "exactly equivariant to permutations" in turned.answer
    signed = audit(volume, points())
    assert levels(signed)[MOTIONS] == levels(signed)[SHIFTED] == "exact"
    assert levels(signed)[MIRRORS] == "broken"
    assert "point reflection" in signed.answer or "reflection in a plane" in signed.answer
    assert "handedness" in signed.answer


def test_features_of_points_stay_while_they_move() -> None:
    def charged(x: Tensor) -> Tensor:
        return (torch.cdist(x[..., :3], x[..., :3]).sum(2) * x[..., 3]).sum(1, keepdim=True)

    values = torch.cat([points(), torch.rand(8, 6, 1)], -1)
    result = audit(charged, values, kind="points")
    assert set(levels(result).values()) == {"exact"}
    assert any("features that no motion changes" in note for note in result.notes)
    assert levels(audit(lambda x: charged(x.flip(-1)), values, kind="points"))[MOTIONS] == "broken"


def test_a_mean_over_members_needs_no_order_and_its_twins_do() -> None:
    sets = torch.randn(8, 5, 4)
    assert levels(audit(DeepSet(), sets, kind="set")) == {ORDERS: "exact"}
    for net in (Weighted(), Last()):
        result = audit(net, sets, kind="set")
        assert levels(result) == {ORDERS: "broken"}
        assert "If the order means nothing" in result.answer
    assert audit(Weighted(), sets, kind="set").verdicts[0].layer == "all", "the layer after the weights"
    assert audit(nn.Sequential(nn.Flatten(), nn.Linear(20, 2)), sets, kind="set").verdicts[0].layer == "0"


def test_a_transformer_of_torch_is_equivariant_and_with_position_encodings_it_is_not() -> None:
    sets = torch.randn(6, 5, 8)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    result = audit(encoder, sets)
    assert levels(result) == {ORDERS: "exact"}
    assert "exactly equivariant to permutations" in result.answer

    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.encoder = nn.Parameter(torch.randn(5, 8)), encoder

        def forward(self, x: Tensor) -> Tensor:
            return self.encoder(x + self.table)

    assert levels(audit(Positions(), sets, kind="set")) == {ORDERS: "broken"}


def test_series_are_asked_after_shifts_round_the_end_and_inside() -> None:
    series = torch.randn(8, 2, 48)
    result = audit(circular(), series)
    assert levels(result)["circular shifts"] == "exact"
    assert set(levels(result)) == {"circular shifts", "shifts", "stretches", "reversal"}
    assert levels(audit(circular("zeros"), series))["circular shifts"] == "broken"
    filtered = audit(nn.Conv1d(2, 3, 5, padding=2), series)
    attrs = filtered.sweeps["shifts"].attrs
    assert (attrs["mask"], attrs["padding"], attrs["output"]) == ("overlap", "border", "series")
    strided = audit(nn.Sequential(nn.Conv1d(2, 4, 5, 2, 2, padding_mode="circular"), nn.Flatten()), series)
    assert "blurring before the steps of 0" in strided.answer


class PointNet(nn.Module):
    """Channels first: what one layer makes of each point, and the maximum of that or numbers for each point."""

    def __init__(self, whole: bool = True, ordered: bool = False) -> None:
        super().__init__()
        self.each = nn.Sequential(nn.Conv1d(3, 8, 1), nn.BatchNorm1d(8), nn.ReLU())
        self.end = nn.Linear(8, 4) if whole else nn.Conv1d(8, 4, 1)
        self.whole, self.ordered = whole, ordered

    def forward(self, x: Tensor) -> Tensor:
        found = self.each(x.transpose(1, 2))
        if self.ordered:
            found = found * torch.arange(x.shape[1])
        return self.end(found.max(-1).values if self.whole else found)


def test_layers_with_their_members_on_the_last_axis_are_not_called_broken() -> None:
    result = audit(PointNet(ordered=True), points(), kind="points")
    told = {verdict.question: verdict for verdict in result.verdicts}
    assert told[ORDERS].level == "broken"
    assert told[ORDERS].layer == "end", "the layers before it were only reordered"
    assert told[MOTIONS].layer == "each.0"
    assert any("each.0, each.1, each.2" in note for note in result.notes)
    assert levels(audit(PointNet(), points(), kind="points"))[ORDERS] == "exact"


def test_an_answer_with_its_members_on_the_last_axis_is_read_as_such() -> None:
    result = audit(PointNet(whole=False), points(), kind="points")
    assert levels(result)[ORDERS] == "exact"
    assert "exactly equivariant to permutations" in result.answer
    assert any("read as 4 numbers for each of the 6 points" in note for note in result.notes)
    assert levels(audit(PointNet(False, True), points(), kind="points"))[ORDERS] == "broken"


def test_how_the_answer_moves_may_be_declared() -> None:
    declared = audit(forces, points(), output="vectors")
    assert set(levels(declared).values()) == {"exact"}
    assert declared.sweeps[MOTIONS].attrs["output"] == "vectors"
    assert declared.sweeps[ORDERS].attrs["output"] == "set"
    wrong = audit(forces, points(), output="points")
    assert levels(wrong)[SHIFTED] == "broken", "directions are no places"
    assert audit(ByDistance(), points(), output="invariant").sweeps[ORDERS].attrs["output"] == "invariant"


def test_a_group_may_be_named() -> None:
    assert levels(audit(ByDistance(), points(), "E3")) == {"E3": "exact"}
    assert levels(audit(ByDistance(), points(), "Symmetric(6)")) == {"Symmetric(6)": "exact"}
    assert levels(audit(ByPlace(2), points(2), "SO2")) == {"SO2": "broken"}
    with pytest.raises(ValueError, match="kind = 'series' was given"):
        audit(ByPlace(), audit(ByPlace(), points(), "SO3").data, kind="series")


@pytest.mark.parametrize(("net", "samples"), [(ByPlace(), points()), (circular(), torch.randn(6, 2, 48))])
def test_the_report_and_the_numbers_are_those_of_the_kind(net, samples, tmp_path) -> None:
    result = audit(net, samples)
    page = report_html(result)
    assert "made for images" in page
    assert "cannot be seen" not in page
    for question in result.sweeps:
        assert question in page
    dataset, _ = result.save(tmp_path)
    stored = open_dataset(dataset)
    assert stored.identical(result.to_dataset())
    assert "shift_x_px" not in stored.variables
    assert {"moved", "shift_z"} <= set(stored.variables) or "shift_samples" in stored.variables
    assert result.cost is not None


def test_an_audit_of_points_goes_on_from_its_pieces(tmp_path) -> None:
    net = ByPlace()
    whole, cut = audit(net, points()), audit(net, points(), folder=tmp_path)
    assert cut.answer == whole.answer
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("part-*.nc")}
    assert kept
    audit(net, points(), folder=tmp_path)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


@pytest.mark.parametrize(
    ("net", "samples", "options", "sentence"),
    [
        (ByPlace(2), points(), {}, "cannot take point sets"),
        (ByPlace(), points(), {"mean": (0.5,)}, "mean and std were given for point sets"),
        (ByPlace(4), torch.rand(4, 6, 4), {"kind": "points", "group": "C(4)", "mean": (1.0,)}, "mean and std"),
        (lambda x: x.mean((1, 2)) * float("nan"), points(), {}, "NaN or infinite"),
        (ByDistance(), points(), {"kind": "cloud"}, "kind = 'cloud'"),
    ],
)
def test_mistakes_get_one_sentence(net, samples, options, sentence) -> None:
    with pytest.raises(ValueError, match=sentence):
        audit(net, samples, **options)

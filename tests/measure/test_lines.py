"""The static report for series, points and sets: known bad is named with its share, known good is silent."""

import pytest
import torch
from torch import Tensor, nn

from tests.tolerances import AGAIN_SINGLE, EXACT
from workbench.groups import Symmetric, Translation
from workbench.measure import explain, repair, will_it_be_equivariant
from workbench.measure.replacements import Blur, Centred, MeanOverPlaces

AROUND = {"padding_mode": "circular"}
SHIFTS = torch.tensor([[1.0], [3.0], [8.0]], dtype=torch.float64)
MOVES = torch.eye(3, dtype=torch.float64)


class Tokens(nn.Module):
    """Members or patches of a series with a table of positions, mixed by attention or not."""

    def __init__(self, patch: int = 0, name: str = "pos", constant: bool = False) -> None:
        super().__init__()
        self.first = nn.Conv1d(2, 8, patch, patch) if patch else nn.Linear(5, 8)
        count = 32 // patch if patch else 6
        setattr(self, name, nn.Parameter(torch.ones(1, count, 8) if constant else torch.randn(1, count, 8)))
        self.name, self.last = name, nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        each = self.first(x)
        each = each.transpose(1, 2) if isinstance(self.first, nn.Conv1d) else each
        return self.last(each + getattr(self, self.name)).mean(1)


class Points(nn.Module):
    """Largest over the points of what a layer makes of each, channels first or last; centred or not."""

    def __init__(self, centred: bool = False, last: bool = False) -> None:
        super().__init__()
        self.centred, self.last = centred, last
        self.each = nn.Conv1d(3, 8, 1) if last else nn.Linear(3, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = x - x.mean(1, keepdim=True) if self.centred else x
        return self.each(x.transpose(1, 2)).amax(-1) if self.last else self.each(x).amax(1)


class Read(nn.Module):
    """One after the other."""

    def __init__(self, series: bool) -> None:
        super().__init__()
        self.series, self.layer = series, nn.GRU(2 if series else 5, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.transpose(1, 2) if self.series else x)[1][-1]


def pooled(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers, nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3))


BAD = {
    "stride of a convolution": ("series", pooled(nn.Conv1d(2, 4, 4, 4, 2, **AROUND)), "0", "aliasing"),
    "pooling": ("series", pooled(nn.Conv1d(2, 4, 1), nn.MaxPool1d(2)), "1", "aliasing"),
    "zero padding": ("series", pooled(nn.Conv1d(2, 4, 5, padding=2)), "0", "ends"),
    "zero padding, same": ("series", pooled(nn.Conv1d(2, 4, 5, padding="same")), "0", "ends"),
    "flattening of a series": ("series", nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), "0", "flatten"),
    "table of a series": ("series", Tokens(1), "model", "position encoding"),
    "table of another name": ("set", Tokens(name="table"), "model", "position encoding"),
    "table of a set": ("set", Tokens(), "model", "position encoding"),
    "flattening of a set": ("set", nn.Sequential(nn.Flatten(), nn.Linear(30, 3)), "0", "flatten members"),
    "coordinates": ("points", Points(), "each", "absolute coordinates"),
    "coordinates, channels first": ("points", Points(last=True), "each", "absolute coordinates"),
    "recurrent on a series": ("series", Read(True), "layer", "recurrence"),
    "recurrent on a set": ("set", Read(False), "layer", "recurrence"),
}
GOOD = {
    "circular": ("series", pooled(nn.Conv1d(2, 4, 5, padding=2, **AROUND))),
    "window of one": ("series", pooled(nn.Conv1d(2, 4, 1, padding="same"))),
    "flattening of one sample": ("series", nn.Sequential(nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(2, 3))),
    "constant table": ("set", Tokens(constant=True)),
    "transformer": ("set", nn.TransformerEncoderLayer(5, 1, 6, batch_first=True)),
    "centred points": ("points", Points(centred=True)),
    "as many features as members": ("set", nn.Sequential(nn.Linear(5, 6), nn.Linear(6, 6))),
}
UNMENDED = ("recurrence",)


def samples(kind: str) -> tuple[Tensor, dict]:
    draw = torch.Generator().manual_seed(0)
    if kind == "series":
        x = torch.rand(6, 2, 32, generator=draw)
        return x, {"group": Translation(dim=1), "elements": SHIFTS, "padding": "circular"}
    if kind == "points":
        return torch.randn(6, 7, 3, generator=draw), {"group": Translation(dim=3), "elements": MOVES}
    orders = Symmetric(6).sample(3, draw, torch.float64)
    return torch.randn(6, 6, 5, generator=draw), {"group": Symmetric(6), "elements": orders}


def found(kind: str, model: nn.Module) -> list[tuple[str, str]]:
    shape = tuple(samples(kind)[0].shape[1:])
    ds = will_it_be_equivariant(model, shape, None, kind)
    return list(zip(ds.module.values.tolist(), ds.rule.values.tolist(), strict=True))


@pytest.mark.parametrize("name", BAD)
def test_known_bad_is_named_with_the_share_of_its_fix(name: str) -> None:
    kind, model, module, rule = BAD[name]
    torch.manual_seed(0)
    assert found(kind, model) == [(module, rule)]
    x, asked = samples(kind)
    ds = explain(model.eval(), x, input=kind, **asked)
    assert str(ds.fix.values[0])
    if rule in UNMENDED:
        assert not bool(ds.repaired[0])
        assert "no replacement is known" in str(ds.note.values[0])
    elif rule == "aliasing":
        assert float(ds.share[0]) > 0.3
    else:
        assert float(ds.error_after[0]) <= 10 * EXACT[torch.float32], "all of the error goes"
        assert float(ds.error_before) > 1e-3


@pytest.mark.parametrize("name", GOOD)
def test_known_good_is_silent(name: str) -> None:
    kind, model = GOOD[name]
    assert found(kind, model) == []


def test_points_are_asked_after_their_order_too_and_each_group_by_itself() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(21, 2))
    both = nn.Sequential(Points(), nn.Identity())
    assert found("points", net) == [("0", "flatten members")]
    assert will_it_be_equivariant(both, (7, 3), Symmetric(7), "points").sizes["finding"] == 0
    assert will_it_be_equivariant(net, (7, 3), Translation(dim=3), "points").sizes["finding"] == 0
    neighbours = nn.Sequential(nn.Conv1d(7, 2, 1), nn.Linear(3, 2))
    assert found("points", neighbours) == [], "another thing than a window over neighbours"


def test_a_window_over_the_list_mixes_neighbours() -> None:
    class Window(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.window = nn.Conv1d(5, 3, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return self.window(x.transpose(1, 2)).mean(-1)

    assert found("set", Window()) == [("window", "neighbours")]


def test_a_repair_leaves_the_model_alone_and_its_finding_goes_away() -> None:
    net = pooled(nn.Conv1d(2, 4, 5, 2, padding=2))
    ds = will_it_be_equivariant(net, (2, 32), None, "series")
    assert ds.rule.values.tolist() == ["ends", "aliasing"]
    mended = repair(repair(net, ds.isel(finding=0)), ds.isel(finding=1))
    assert net[0].padding_mode == "zeros"
    assert net[0].stride == (2,)
    assert will_it_be_equivariant(mended, (2, 32), None, "series").sizes["finding"] == 0
    assert mended(torch.rand(2, 2, 32)).shape == (2, 3)


def test_replacements_on_lines() -> None:
    x = torch.rand(2, 3, 8)
    torch.testing.assert_close(
        Blur(2, circular=True)(x.roll(2, -1)),
        Blur(2, circular=True)(x).roll(1, -1),
        rtol=AGAIN_SINGLE,
        atol=AGAIN_SINGLE,
    )
    image = x.unsqueeze(-2).expand(-1, -1, 8, -1)
    torch.testing.assert_close(
        Blur(2)(image)[..., 0, :],
        Blur(2)(x),
        msg="rows that are alike stay alike",
        rtol=AGAIN_SINGLE,
        atol=AGAIN_SINGLE,
    )
    torch.testing.assert_close(
        MeanOverPlaces()(x), x.mean(-1, keepdim=True).expand_as(x).flatten(1), rtol=AGAIN_SINGLE, atol=AGAIN_SINGLE
    )
    torch.testing.assert_close(
        MeanOverPlaces(members=True)(x), MeanOverPlaces(members=True)(x.flip(1)), rtol=AGAIN_SINGLE, atol=AGAIN_SINGLE
    )
    points = torch.randn(2, 5, 4)
    moved = torch.cat([points[..., :3] + 7, points[..., 3:]], -1)
    torch.testing.assert_close(Centred(3)(moved), Centred(3)(points), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        Centred(3, last=True)(points.mT), Centred(3)(points).mT, rtol=AGAIN_SINGLE, atol=AGAIN_SINGLE
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (((2, 32), None, "video"), "expected 'image' or one of"),
        ((32, None, "series"), r"expected \(C, L\)"),
        (((0, 3), None, "points"), r"expected \(N, d\)"),
    ],
)
def test_bad_sizes_get_a_sentence(arguments, words) -> None:
    with pytest.raises(ValueError, match=words):
        will_it_be_equivariant(nn.Identity(), *arguments)


def test_a_network_that_cannot_take_them_is_named() -> None:
    ds = will_it_be_equivariant(nn.Conv1d(3, 4, 5), (2, 32), None, "series")
    assert ds.rule.values.tolist() == ["size"]
    with pytest.raises(ValueError, match="no elements were given"):
        explain(nn.Conv1d(2, 4, 5), torch.rand(2, 2, 32), Translation(dim=1), input="series")

"""Every repair keeps sizes, leaves the model alone and makes its own finding go away."""

import copy
import sys

import pytest
import torch
from torch import nn

from tests.measure.test_hazards import BAD as COMPUTED
from tests.measure.test_hazards import Field, OverTheBatch, Table
from tests.measure.test_report import BAD as GEOMETRIC
from tests.tolerances import AGAIN, AGAIN_SINGLE, AGAIN_ZERO, BROKEN, EXACT
from workbench.groups import C, D
from workbench.layers import LiftingConv
from workbench.measure import equivariance_error, explain, repair, validate, will_it_be_equivariant
from workbench.measure.repairs import averaged
from workbench.measure.replacements import Blur, Gate, widened

REPAIRED = {
    "pooling of odd size": 1.0,
    "mean pooling": 1.0,
    "ceil mode": 1.0,
    "strided convolution": 1.0,
    "even kernel, same": 1.0,
    "oblong kernel": 1.0,
    "padding on one side": 1.0,
    "transposed convolution": 1.0,
    "odd up-sampling": 1.0,
    "flatten": 1.0,
    "norm over places": 1.0,
}


def images(size: int = 16, channels: int = 1) -> torch.Tensor:
    return torch.rand(8, channels, size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def rounded(model: nn.Module) -> nn.Module:
    """Filters that quarter turns and flips keep as far as their shape lets them: only the geometry is left to blame."""
    model = copy.deepcopy(model).double()
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.constant_(module.weight, 0.1)
        if isinstance(module, nn.LayerNorm):
            nn.init.normal_(module.weight)
    return model


@pytest.mark.parametrize("name", REPAIRED)
def test_the_fix_of_the_geometry_removes_the_whole_error(name: str) -> None:
    model, size = rounded(GEOMETRIC[name][0]), GEOMETRIC[name][1]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    ds = explain(model, images(size), "D(4)")
    assert ds.sizes["finding"] == 1
    assert bool(ds.repaired[0]), str(ds.note.values[0])
    assert float(ds.error_before) > 1e-3
    assert float(ds.share[0]) == pytest.approx(REPAIRED[name], abs=EXACT[torch.float64] ** 0.5)
    assert float(ds.share_low[0]) <= float(ds.share[0]) + EXACT[torch.float64] ** 0.5
    fixed = repair(model, ds.isel(finding=0))
    if name not in ("padding on one side", "odd up-sampling"):
        assert fixed(images(size)).shape == model(images(size)).shape
    assert will_it_be_equivariant(fixed, size).sizes["finding"] == 0
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", ["oblong stride", "group pooling", "strided group convolution", "oblong image"])
def test_what_has_no_replacement_says_so(name: str) -> None:
    model, size = GEOMETRIC[name][:2]
    finding = will_it_be_equivariant(model, size).isel(finding=0)
    with pytest.raises(ValueError, match=r"no replacement|by hand"):
        repair(model, finding)


def test_a_layer_without_quarter_turns_gets_them() -> None:
    layer = LiftingConv(1, 2, 3, n=6)
    fixed = repair(layer, will_it_be_equivariant(layer, 16).isel(finding=0))
    assert (fixed.n % 4, layer.n) == (0, 6)


@pytest.mark.parametrize("name", ["table of places", "embedding of tokens", "norm without running statistics"])
def test_the_finding_is_gone_after_its_repair(name: str) -> None:
    model, group = COMPUTED[name][:2]
    finding = will_it_be_equivariant(model, 16, group).isel(finding=0)
    assert will_it_be_equivariant(repair(model, finding), 16, group).sizes["finding"] == 0


def test_a_table_of_places_is_to_blame_for_the_error_that_it_makes() -> None:
    net = nn.Sequential(Table(), nn.AdaptiveAvgPool2d(4)).double()
    ds = explain(net, images(16, 2), "C(4)")
    assert ds.rule.values.tolist() == ["position encoding"]
    assert float(ds.share[0]) == pytest.approx(1.0, abs=EXACT[torch.float64] ** 0.5)


def test_a_gate_keeps_a_vector_field_turning() -> None:
    turned = torch.rot90(images(), 1, (-2, -1))

    def quarter(field: torch.Tensor) -> torch.Tensor:
        right, up = torch.rot90(field, 1, (-2, -1)).unflatten(1, (-1, 2)).unbind(2)
        return torch.stack([-up, right], 2).flatten(1, 2)

    for act, holds in ((Gate(), True), (nn.ReLU(), False)):
        net = nn.Sequential(Field(), act)
        assert torch.allclose(net(turned), quarter(net(images())), rtol=0, atol=EXACT[torch.float64]) == holds
    net = nn.Sequential(Field(), nn.ReLU())
    assert isinstance(repair(net, will_it_be_equivariant(net, 16).isel(finding=0))[1], Gate)


def test_blurring_before_dropping_pixels_removes_most_of_the_error_under_shifts() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, padding_mode="circular"), nn.ReLU(), nn.MaxPool2d(2)).double()
    ds = explain(net, images(), "Translation", torch.tensor([[1.0, 0.0], [0.0, 1.0]]), padding="circular")
    assert ds.rule.values.tolist() == ["aliasing"]
    assert 0.2 < float(ds.share_low[0]) < float(ds.share[0]) < 1
    assert float(ds.share_all_low) <= float(ds.share_all) <= float(ds.share_all_high)
    assert float(ds.share_all_low) < float(ds.share_all_high)


@pytest.mark.parametrize("size", [9, 10, 12, 13])
@pytest.mark.parametrize("stride", [2, 3])
def test_a_blur_keeps_as_many_pixels_symmetrically(size: int, stride: int) -> None:
    x, blur = images(size, 2), Blur(stride)
    assert blur(x).shape[-1] == len(range(0, size, stride))
    assert torch.allclose(blur(x.rot90(1, (-2, -1))), blur(x).rot90(1, (-2, -1)), rtol=0, atol=EXACT[torch.float64])
    assert torch.allclose(blur(x.flip(-1)), blur(x).flip(-1), rtol=0, atol=EXACT[torch.float64])
    assert torch.allclose(blur(torch.ones_like(x)), torch.ones(()).double(), rtol=AGAIN, atol=AGAIN)


def test_widened_kernels_keep_their_sum_and_lie_centred() -> None:
    kernel = torch.rand(2, 3, 3, 3)
    wide = widened(kernel, (1, 1))
    assert wide.shape[-2:] == (4, 4)
    assert torch.allclose(wide.sum((-2, -1)), kernel.sum((-2, -1)), rtol=AGAIN_SINGLE, atol=AGAIN_ZERO)
    assert torch.equal(widened(torch.ones(1, 1, 1, 1), (1, 1)), torch.full((1, 1, 2, 2), 0.25))


def test_a_plain_network_is_told_that_its_filters_do_not_turn_and_averaging_mends_it() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 2, 3)).double()
    ds = explain(net, images(17), "C(4)")
    assert ds.rule.values.tolist() == ["window", "filters"]
    assert float(ds.share[1]) == pytest.approx(1.0, abs=EXACT[torch.float64] ** 0.5)
    assert float(ds.share[0]) < 0.5
    assert "filters do not turn" in str(ds.reason.values[1])
    assert "average the answers" in ds.attrs["summary"]
    validate(ds, {"share": ("finding",), "share_low": ("finding",), "error_before": ()})


class Answers(nn.Module):
    """A convolution whose answer is put into the form of a law, as networks put it out."""

    def __init__(self, output: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.output, kind = output, output.split(" ")[0]
        self.conv = nn.Conv2d(1, {"image": 1, "vector": 2, "key": 6, "labels": 3}.get(kind, 4), 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.conv(x)
        if self.output == "image" or self.output.startswith("vector field"):
            return maps.squeeze(1)
        if self.output == "labels":
            return maps.argmax(1)
        numbers = maps.relu().flatten(2).max(-1).values.sigmoid()
        return numbers.unflatten(-1, (3, 2)) if self.output.startswith("key points") else numbers


LAWS = ["image", "labels", "vector field", "vector field in pixels", "boxes cxcywh in unit", "boxes xyxy in pixels",
        "key points in pixels", "key points in unit", "invariant"]  # fmt: skip


@pytest.mark.parametrize("output", LAWS)
def test_averaging_moves_each_answer_back_by_its_own_law_and_is_exact(output: str) -> None:
    law = "image" if output == "labels" else output
    ds = explain(Answers(output).double(), images(), "D(4)", output=law)
    assert "average the answers" in str(ds.fix.values[-1])
    assert float(ds.error_before) > BROKEN / 10
    assert float(ds.share[-1]) == pytest.approx(1.0, abs=EXACT[torch.float64] ** 0.5)


@pytest.mark.parametrize("output", LAWS[2:-1])
def test_averaging_by_another_law_than_the_answers_own_leaves_an_error(output: str) -> None:
    eight, other = D(4).grid(dtype=torch.float64), "image" if output.startswith("vector") else "invariant"
    errors = [
        equivariance_error(
            averaged(Answers(output).double(), D(4), eight, output=law), images(), D(4), output=output, mask="none"
        ).error_mean.values.max()
        for law in (output, other)
    ]
    assert errors[0] < EXACT[torch.float64] < BROKEN / 10 < errors[1]


def test_group_signals_are_averaged_too() -> None:
    layer, eight = LiftingConv(1, 2, 3, n=8).double(), C(8).grid(dtype=torch.float64)
    signal = averaged(layer, C(8), eight)(images())
    turned = averaged(layer, C(8), eight)(images().rot90(1, (-2, -1)))
    assert torch.allclose(turned.values, signal.values.rot90(1, (-2, -1)).roll(2, 2), rtol=0, atol=EXACT[torch.float64])


def test_what_cannot_be_moved_back_is_refused_and_not_offered(monkeypatch) -> None:
    rows = nn.Sequential(nn.Conv2d(1, 15, 3), nn.AdaptiveAvgPool2d(1), nn.Unflatten(1, (3, 5)), nn.Flatten(2)).double()
    with pytest.raises(ValueError, match="expected output="):
        averaged(rows, D(4), D(4).grid(dtype=torch.float64))(images())
    with pytest.raises(ValueError, match="declare another output"):
        averaged(rows, D(4), D(4).grid(dtype=torch.float64), output="key points in pixels")(images())
    module = sys.modules["workbench.measure.explain"]  # the function of that name hides it
    monkeypatch.setattr(module, "averaged", lambda model, *options: averaged(rows, *options))
    ds = explain(Answers("key points in unit").double(), images(), "D(4)", output="key points in unit")
    assert not bool(ds.repaired[-1])
    assert "average" not in str(ds.fix.values[-1])
    assert "train with moved copies" in str(ds.fix.values[-1])


class Halved(nn.Module):
    """A network whose filters all follow, and which halves its maps by a slice that no hook sees."""

    def __init__(self, symmetric: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 2, 3, padding=1)
        for conv in (self.first, self.last) if symmetric else (self.first,):
            turned = torch.stack([conv.weight.rot90(k, (-2, -1)) for k in range(4)]).mean(0)
            conv.weight = nn.Parameter((turned + turned.flip(-1)) / 2)

    def forward(self, x):
        return self.last(self.first(x).relu()[..., ::2, ::2]).mean((2, 3))


@pytest.mark.parametrize("group", ["C(4)", "D(4)", "D(1)"])
@pytest.mark.parametrize(("symmetric", "rule"), [(True, "functions"), (False, "filters")])
def test_filters_that_follow_are_not_blamed_for_what_happens_between_the_modules(group, symmetric, rule) -> None:
    ds = explain(Halved(symmetric).double(), images(16), group)
    assert ds.rule.values.tolist() == [rule]
    assert ("between the modules" in str(ds.reason.values[0])) == symmetric
    assert ("to_group_cnn" in str(ds.fix.values[0])) != symmetric


def test_a_sound_network_and_an_exact_one_get_no_finding() -> None:
    for net in (nn.Identity(), nn.Sequential(nn.AvgPool2d(2), nn.ReLU()), LiftingConv(1, 2, 3, n=8).double()):
        ds = explain(net, images(), "C(4)")
        assert ds.sizes["finding"] == 0
        assert "nothing found" in ds.attrs["summary"]


def test_an_answer_that_depends_on_the_batch_is_named_also_where_it_cannot_be_mended() -> None:
    ds = explain(nn.Sequential(nn.AvgPool2d(2), OverTheBatch()), images(), "C(4)")
    assert ds.rule.values.tolist()[0] == "batch statistics"
    assert not bool(ds.repaired[0])
    assert "code of its own" in str(ds.note.values[0])


def test_bad_input_gets_a_sentence() -> None:
    net = nn.MaxPool2d(2)
    with pytest.raises(ValueError, match="one finding"):
        repair(net, will_it_be_equivariant(net, 17))
    found = will_it_be_equivariant(nn.Sequential(net), 17).isel(finding=0)
    with pytest.raises(ValueError, match="no module"):
        repair(net, found)
    with pytest.raises(ValueError, match="torch module"):
        explain(torch.relu, images(), "C(4)")

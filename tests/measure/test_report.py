"""Known-bad geometry is named, known-good is silent, and exactness agrees with the report."""

import pytest
import torch
from torch import nn

from tests.measure.toys import Nosy
from workbench.groups import D
from workbench.layers import GroupConv, GroupPool, GroupReLU, LiftingConv
from workbench.measure import equivariance_error, open_dataset, save, will_it_be_equivariant
from workbench.measure.report import reasons_at

BAD = {
    "pooling of odd size": (nn.MaxPool2d(2), 17, "window of 2 with stride 2", "window of 3"),
    "mean pooling": (nn.AvgPool2d(2), 17, "left over", "16 or 18"),
    "ceil mode": (nn.MaxPool2d(2, ceil_mode=True), 17, "left over", "16 or 18"),
    "strided convolution": (nn.Conv2d(1, 1, 3, stride=2, padding=1), 16, "left over", "15 or 17"),
    "dilated convolution": (nn.Conv2d(1, 1, 3, stride=2, dilation=2), 16, "window of 5", "15 or 17"),
    "even kernel, same": (nn.Conv2d(1, 1, 4, padding="same"), 16, "even kernel", "odd kernel of 5"),
    "oblong kernel": (nn.Conv2d(1, 1, (3, 5), padding=(1, 2)), 16, "not the same both ways", "same numbers"),
    "oblong stride": (nn.MaxPool2d(2, (2, 1)), 16, "not the same both ways", "same numbers"),
    "padding on one side": (nn.ZeroPad2d((0, 1, 0, 1)), 16, "differs between the sides", "every side"),
    "transposed convolution": (
        nn.ConvTranspose2d(1, 1, 3, stride=2, padding=1, output_padding=1), 16, "one side only", "need none",
    ),
    "odd up-sampling": (nn.Upsample(size=(24, 24)), 16, "more often", "16 pixels"),
    "flatten": (nn.Sequential(nn.Flatten(), nn.Linear(256, 2)), 16, "own weight", "mean or the maximum"),
    "norm over places": (nn.LayerNorm([1, 16, 16]), 16, "16 x 16 places", "one weight per channel"),
    "oblong image": (nn.Conv2d(1, 1, 3, padding=1), (16, 20), "not square", "20 x 20"),
    "group pooling": (nn.Sequential(LiftingConv(1, 2, 3), GroupPool(2)), 17, "window of 2 with stride 2", "window 3"),
    "strided group convolution": (
        nn.Sequential(LiftingConv(1, 2, 3), GroupConv(2, 2, 3, stride=2)), 16, "window of 3 with stride 2", "size 15",
    ),
    "no quarter turns": (LiftingConv(1, 2, 3, n=6), 16, "do not hold the quarter turns", "n = "),
    "no quarter turns with mirrors": (LiftingConv(1, 2, 3, group="O2", n=12), 16, "6 rotations", "n = 16"),
    "half turns alone": (LiftingConv(1, 2, 3, n=10), 16, "so only half turns are exact", "n = 8"),
    "no turns": (LiftingConv(1, 2, 3, n=7), 16, "so no turn but the identity is exact", "n = 8"),
    "six turns with scalings": (LiftingConv(1, 2, 17, group="RotationScale", n=6), 16, "6 rotations", "n = 8"),
    "scalings": (LiftingConv(1, 2, 17, group="Scale"), 16, "hold no turns", "RotationScale"),
    "too small": (nn.Sequential(nn.Conv2d(1, 1, 7), nn.Conv2d(1, 1, 7)), 8, "cannot take this input", "larger input"),
}  # fmt: skip

GOOD = {
    "plain": (nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 2, 5)), 16),
    "overlapping pooling": (nn.MaxPool2d(3, 2), 17),
    "even kernel, symmetric padding": (nn.Conv2d(1, 1, 4, padding=2), 16),
    "odd kernel, same": (nn.Conv2d(1, 1, 5, padding="same"), 17),
    "ceil mode that is not needed": (nn.MaxPool2d(2, ceil_mode=True), 16),
    "adaptive pooling": (nn.AdaptiveAvgPool2d(3), 16),
    "transposed convolution": (nn.ConvTranspose2d(1, 1, 2, stride=2), 16),
    "whole up-sampling": (nn.Upsample(scale_factor=2), 16),
    "smooth up-sampling": (nn.Upsample(size=(24, 24), mode="bilinear"), 16),
    "symmetric padding": (nn.ZeroPad2d(2), 16),
    "pooled before flattening": (nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 2)), 16),
    "norm without weights": (nn.LayerNorm([1, 16, 16], elementwise_affine=False), 16),
    "group layers": (nn.Sequential(LiftingConv(1, 2, 5), GroupReLU(), GroupPool(2), GroupConv(2, 2, 3)), 16),
    "mirrors": (LiftingConv(1, 2, 3, group="O2", n=8), 17),
    "finite group": (LiftingConv(1, 2, 3, group="C(3)"), 16),
    "four turns with scalings": (LiftingConv(1, 2, 17, group="RotationScale", n=4), 16),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_n8_known_bad_is_named_with_a_fix(name: str) -> None:
    model, size, reason, fix = BAD[name]
    ds = will_it_be_equivariant(model, size)
    assert ds.sizes["finding"] == 1
    assert reason in str(ds.reason.values[0])
    assert fix in str(ds.fix.values[0])
    assert "1 finding(s)" in ds.attrs["summary"]


@pytest.mark.parametrize("name", GOOD)
def test_n8_known_good_is_silent(name: str) -> None:
    model, size = GOOD[name]
    ds = will_it_be_equivariant(model, size)
    assert ds.sizes["finding"] == 0
    assert "nothing" in ds.attrs["summary"]


@pytest.mark.parametrize("name", [name for name in (*BAD, *GOOD) if name != "oblong image"])
def test_one_pass_over_the_geometry_says_what_the_whole_report_says(name: str) -> None:
    model, size = (BAD | GOOD)[name][:2]
    assert reasons_at(model, (1, size, size)) == will_it_be_equivariant(model, (1, size, size)).reason.values.tolist()


SYMMETRIC = [name for name in BAD if name not in ("too small", "flatten", "oblong image")]


@pytest.mark.parametrize(
    "name", [n for n in (*BAD, *GOOD) if isinstance((BAD | GOOD)[n][0], nn.MaxPool2d | nn.AvgPool2d)]
)
def test_the_report_agrees_with_the_measured_error_of_pooling(name: str) -> None:
    model, size = (BAD | GOOD)[name][:2]
    x = torch.rand(2, 1, size, size, dtype=torch.float64)
    error = float(equivariance_error(model, x, D(4), mask="none").error.max())
    assert (error > 1e-6) == (will_it_be_equivariant(model, size).sizes["finding"] > 0)


def test_every_layer_after_the_first_finding_is_seen_too() -> None:
    model = nn.Sequential(LiftingConv(1, 2, 3), GroupPool(2), GroupPool(2))
    ds = will_it_be_equivariant(model, 19)
    assert ds.module.values.tolist() == ["1", "2"]
    assert ds.input_size.values.tolist() == ["19 x 19", "9 x 9"]
    assert model[1].exact is True
    with pytest.raises(ValueError, match="quarter turns"):
        model(torch.zeros(1, 1, 19, 19))


def test_a_layer_whose_owner_accepts_inexact_sizes_is_still_named_and_left_so() -> None:
    model = nn.Sequential(LiftingConv(1, 2, 3), GroupPool(2, exact=False))
    assert will_it_be_equivariant(model, 17).sizes["finding"] == 1
    assert model[1].exact is False


def test_plain_convolutions_are_said_to_turn_with_nothing() -> None:
    assert (
        "2 plain convolution"
        in will_it_be_equivariant(nn.Sequential(nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3)), 8).attrs["scope"]
    )


def test_the_model_is_left_as_found_and_the_file_says_the_same(tmp_path) -> None:
    model = Nosy().train()
    for ds in (will_it_be_equivariant(model, (1, 6, 6)), will_it_be_equivariant(nn.MaxPool2d(2), 5)):
        assert open_dataset(save(ds, tmp_path / "report.nc")).identical(ds)
    assert model.training
    assert float(model.calls) == 0
    assert not model.conv._forward_pre_hooks


def test_bad_input_gets_a_sentence() -> None:
    with pytest.raises(ValueError, match="torch module"):
        will_it_be_equivariant(torch.relu, 8)
    for size in (0, (1, 2, 3, 4), (3, -1), True, None, "8"):
        with pytest.raises(ValueError, match="input_size"):
            will_it_be_equivariant(nn.ReLU(), size)


class Slope(nn.Module):
    """The gradient of what a layer makes of the image: fails where gradients are off, unless it switches them on."""

    def __init__(self, layer: nn.Module, table: bool = False) -> None:
        super().__init__()
        self.layer, self.shapes = layer, list[int]()
        self.offsets = nn.Parameter(torch.linspace(0, 1, 17 * 17).view(1, 1, 17, 17)) if table else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.shapes.append(len(x))
        x = x.clone().requires_grad_()
        y = x if self.offsets is None else x * self.offsets
        return torch.autograd.grad(self.layer(y).square().sum(), x)[0]


def test_a_network_that_takes_gradients_inside_is_looked_at_like_any_other() -> None:
    found = will_it_be_equivariant(Slope(nn.Conv2d(1, 2, 3, 2)), 16)
    assert found.rule.values.tolist() == ["window"]
    assert found.module.values.tolist() == ["layer"]
    assert will_it_be_equivariant(Slope(nn.Conv2d(1, 2, 3, 2)), 17).sizes["finding"] == 0
    assert torch.is_grad_enabled()
    tables = will_it_be_equivariant(Slope(nn.Conv2d(1, 2, 3), table=True), 17)
    assert tables.rule.values.tolist() == ["position encoding"]


def test_a_batch_is_seen_behind_gradients_inside_as_well() -> None:
    class Mixed(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x.clone().requires_grad_()
            return torch.autograd.grad((x - x.mean(0)).pow(3).sum(), x)[0]

    assert will_it_be_equivariant(Mixed(), 8).rule.values.tolist() == ["batch statistics"]


@pytest.mark.parametrize(("kind", "size"), [("image", (1, 8, 8)), ("points", (5, 3)), ("series", (1, 16))])
def test_the_look_takes_one_pass_and_one_beside_another_sample(kind: str, size: tuple[int, ...]) -> None:
    seen: list[int] = []

    class Plain(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(len(x))
            return super().forward(x).flatten(1).sum(1, keepdim=True)

    will_it_be_equivariant(Plain(nn.ReLU()), size, input=kind)
    assert seen == [1, 2]

"""Rounding in half precision is measured against a float32 copy, and what it may hide is never called exact."""

import copy

import pytest
import torch
from torch import nn

from tests.tolerances import AGAIN_SINGLE, BF16
from workbench.audit import audit, report_html
from workbench.audit.rounding import ASSUMED, BOTH_ROUNDED, EXACT, exact_below, rounding_of

HALF = (torch.float16, torch.bfloat16)


class Slanted(nn.Module):
    """The mean of an image, weighted by a slope from left to right of this steepness: invariant where that is 0."""

    def __init__(self, slope: float, inside: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.mix, self.end = nn.Conv2d(1, 4, 1), nn.Linear(4, 3)
        self.slope, self.inside = slope, inside

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.to(torch.bfloat16) if self.inside else x  # as code does that was written for one dtype alone
        weight = 1 + self.slope * torch.linspace(-1, 1, x.shape[-1], dtype=x.dtype)
        return self.end((self.mix(x).relu() * weight).mean((2, 3)))


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(12, 1, 16, 16, generator=torch.Generator().manual_seed(0))


def asked(net: nn.Module, images: torch.Tensor):
    return audit(net, images, "D(4)", data_samples=0)


@pytest.mark.parametrize("dtype", HALF)
def test_what_is_broken_in_float32_is_broken_in_half_precision_with_the_same_error(dtype, images):
    net = Slanted(1.0)
    half, single = (asked(one, images) for one in (copy.deepcopy(net).to(dtype), net))
    assert half.verdicts[0].level == single.verdicts[0].level == "broken"
    assert half.error == pytest.approx(single.error, abs=half.limit)
    name = str(dtype).removeprefix("torch.")
    assert f"Rounding in {name} alone can change it by" in half.verdicts[0].sentence
    assert "(twice the difference to a float32 copy of itself, 4 samples)" in half.verdicts[0].sentence
    assert "ounding" not in single.verdicts[0].sentence
    page = report_html(half)
    assert f"ounding in {name} alone can change it by" in page
    assert f"D(4): first above rounding at {half.verdicts[0].layer}" in page


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("steps", [0, 0.5, 8])
def test_an_error_below_rounding_cannot_be_told_even_where_it_is_nothing(dtype, steps, images):
    """A slope of eight steps of float16 breaks the symmetry, but no bit of these answers shows it."""
    result = asked(Slanted(steps * torch.finfo(dtype).eps).to(dtype), images)
    assert [verdict.level for verdict in result.verdicts] == ["chance"]
    assert f"cannot be told from rounding in {str(dtype).removeprefix('torch.')}: " in result.answer
    assert "exactly" not in result.answer
    assert ("its answer is the same to the last bit, 12 samples, but rounding" in result.answer) == (result.error == 0)
    assert "Audit it in float32 (model.float())" in result.answer
    assert result.short.startswith("In short: cannot be told: D(4)")


def test_the_same_small_error_is_no_rounding_in_float32(images):
    assert asked(Slanted(8 * torch.finfo(torch.float16).eps), images).verdicts[0].level in ("close", "broken")
    assert asked(Slanted(0), images).verdicts[0].level == "exact"


def test_a_network_that_has_no_float32_copy_is_held_to_what_is_assumed(images):
    net = Slanted(0.02, inside=True).bfloat16()
    found = asked(net, images)
    assert found.limit == ASSUMED[torch.bfloat16]
    assert found.verdicts[0].level == "chance"
    assert "(assumed, because no float32 copy of it could be compared)" in found.answer


def test_what_rounding_makes_is_twice_the_difference_to_the_copy_at_every_layer(images):
    net = Slanted(1.0).bfloat16()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    found = rounding_of(net, images)
    with torch.no_grad():
        some = images[:4].bfloat16()
        wanted = copy.deepcopy(net).float()(some.float())
        apart = ((net(some).float() - wanted).norm(dim=1) / wanted.norm(dim=1)).mean()
    assert found.limit == pytest.approx(BOTH_ROUNDED * float(apart), rel=AGAIN_SINGLE)
    assert set(found.layers) == {"mix", "end", "output"}
    assert 0 < max(found.layers.values()) < BF16
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_float32_and_float64_are_held_to_what_they_were(images):
    assert rounding_of(Slanted(1.0), images) is None
    assert exact_below(Slanted(1.0)) == EXACT[torch.float32]
    assert exact_below(Slanted(1.0).double()) == EXACT[torch.float64]
    mixed = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1).half())
    assert rounding_of(mixed, images).dtype == "float16"

"""Shares of modules and of fixes for answers that move as boxes, key points or fields: of their own error."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.tolerances import EXACT, SEPARATION
from workbench.groups import O2
from workbench.measure import attribute_error, equivariance_error, explain

TIGHT = EXACT[torch.float64]
MOVES = torch.tensor([[math.pi / 2, 1.0], [0.0, -1.0]], dtype=torch.float64)


class Numbers(nn.Module):
    """Some numbers of each image, in the shape of an answer."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.shape = shape
        self.conv, self.end = nn.Conv2d(1, 4, 3, 2, 1).double(), nn.Linear(4, math.prod(shape)).double()

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.conv(x).relu().mean((2, 3))).sigmoid().reshape(-1, *self.shape)


class Labels(nn.Module):
    """A label for every pixel."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(1, 3, 3, padding=1).double()

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).argmax(1)


def field() -> nn.Module:
    torch.manual_seed(0)
    return nn.Conv2d(1, 2, 3, padding=1).double()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(3, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("mask", ["none", "disc"])
@pytest.mark.parametrize(
    ("model", "output"),
    [
        (Numbers(4), "boxes cxcywh in unit"),
        (Numbers(4), "invariant"),
        (Numbers(3, 2), "key points in unit"),
        (Numbers(2), "key points in signed"),
        (field(), "vector field"),
        (Labels(), "image"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_shares_of_a_declared_answer_add_up_to_its_own_error(model, output, mask, images):
    found = attribute_error(model, images, O2(), MOVES, output=output, mask=mask)
    whole = equivariance_error(model, images, O2(), MOVES, output=output, mask=mask)
    assert np.allclose(found.whole, whole.error_mean.sel(layer="output"), rtol=0, atol=TIGHT)
    assert np.allclose(found.residual, 0, rtol=0, atol=TIGHT)


def test_the_declared_answer_decides_how_large_the_error_is(images):
    boxes, numbers = (
        attribute_error(Numbers(4), images, O2(), MOVES, output=output, mask="none").whole.values
        for output in ("boxes cxcywh in unit", "invariant")
    )
    assert boxes.min() > SEPARATION * TIGHT + 5 * numbers.max(), "the mean of an image says nothing of places"


@pytest.mark.parametrize("output", ["boxes cxcywh in unit", "invariant"])
def test_a_fix_is_judged_by_the_declared_answer(output, images):
    found = explain(Numbers(4), images, "D(4)", output=output)
    whole = equivariance_error(Numbers(4), images, "D(4)", output=output, mask="none").error_mean.sel(layer="output")
    assert float(found.error_before) == pytest.approx(float(whole[1:].mean()), abs=TIGHT)
    assert found.attrs["output"] == output

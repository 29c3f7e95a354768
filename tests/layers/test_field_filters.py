"""Filters on fields of C4 made from other numbers: strict ones commute, free and relaxed ones do where they should."""

from typing import Any

import pytest
import torch
from torch import nn

from tests.layers.symmetry import relative
from tests.tolerances import BROKEN, EXACT
from workbench.layers.field_filters import (
    invariant_linear,
    orientation_weights,
    pathways,
    relaxed_conv,
    residual_conv,
    strict_conv,
)
from workbench.layers.quarter_turns import projected, turn_fields

MAKERS = {"strict": strict_conv, "residual": residual_conv, "relaxed": relaxed_conv}
TIGHT = EXACT[torch.float64]


def conv(kind: str, first: bool = False, **options: Any) -> nn.Conv2d:
    torch.manual_seed(1)
    return MAKERS[kind](3 if first else 8, 12, 3, 1, first=first, **options)


def defect(layer: nn.Conv2d, dtype: torch.dtype = torch.float64) -> float:
    """The worst |f(g x) - g f(x)| / |f(x)| over quarter turns; fields or images by the layer's channels."""
    layer = layer.to(dtype)
    x = torch.randn(2, layer.in_channels, 9, 9, dtype=dtype)
    moved = turn_fields if layer.in_channels % 4 == 0 else (lambda v, q: torch.rot90(v, q, (-2, -1)))
    return max(relative(layer(moved(x, q)), turn_fields(layer(x), q)) for q in (1, 2, 3))


@pytest.mark.parametrize("dtype", list(EXACT), ids=str)
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("kind", MAKERS)
def test_each_starts_strict(kind, first, dtype):
    assert defect(conv(kind, first), dtype) <= EXACT[dtype]


@pytest.mark.parametrize("first", [True, False])
def test_ordinary_filters_do_not_commute(first):
    assert defect(nn.Conv2d(3 if first else 8, 12, 3, padding=1)) > BROKEN


@pytest.mark.parametrize("first", [True, False])
def test_the_free_pathway_is_added_and_breaks_it(first):
    layer = conv("residual", first)
    strict, free = pathways(layer)
    with torch.no_grad():
        free[0].normal_(std=float(strict[0].std()))
        free[1].normal_()
    (w_eq, b_eq), (w_free, b_free) = pathways(layer)
    assert torch.equal(layer.weight, w_eq + w_free)
    assert torch.equal(layer.bias, b_eq + b_free)
    assert relative(projected(w_eq, first), w_eq) <= EXACT[torch.float32]
    assert defect(layer) > BROKEN


@pytest.mark.parametrize("first", [True, False])
def test_relaxed_weights_alike_for_all_orientations_are_strict_and_others_are_not(first):
    layer = conv("relaxed", first, filters=3).double()
    w = orientation_weights(layer)
    with torch.no_grad():
        w.copy_(torch.randn(3, 1).double().expand(3, 4))
    assert defect(layer) <= TIGHT
    for at in range(3):
        for h in range(4):
            kept = w[at, h].clone()
            with torch.no_grad():
                w[at, h] += 1.0
            assert defect(layer) > BROKEN, (at, h)
            with torch.no_grad():
                w[at, h] = kept


def test_filters_that_depend_on_each_other_may_stay_strict_with_uneven_weights():
    layer = conv("relaxed", filters=2).double()
    psi = layer.parametrizations["weight"].original0
    with torch.no_grad():
        psi[1] = psi[0]
        orientation_weights(layer).copy_(torch.tensor([[0.25, 0.5, 0.75, 0.0], [0.75, 0.5, 0.25, 1.0]]))
    assert defect(layer) <= TIGHT


def test_relaxed_filters_are_the_sum_of_the_formula():
    """W[o, g, i, h] = sum_l w_l(h) rot90^g psi_l[o, i, h - g], number by number."""
    layer = conv("relaxed", filters=2).double()
    psi, w = layer.parametrizations["weight"].original0, orientation_weights(layer)
    with torch.no_grad():
        w.normal_()
    found = layer.weight.view(3, 4, 2, 4, 3, 3)
    for g in range(4):
        for h in range(4):
            wanted = sum(w[at, h] * torch.rot90(psi[at, :, :, (h - g) % 4], g, (-2, -1)) for at in range(2))
            assert relative(found[:, g, :, h], wanted) <= TIGHT


@pytest.mark.parametrize("kind", MAKERS)
def test_numbers_learned_and_what_survives_saving(kind):
    one, other = conv(kind), MAKERS[kind](8, 12, 3, 1)
    x = torch.randn(1, 8, 6, 6)
    one(x).square().sum().backward()
    assert all(p.grad is not None for p in one.parameters())
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(x), other(x))
    plain, strict = 12 * 8 * 9, 3 * 2 * 4 * 9
    numbers = {"strict": strict + 3, "residual": strict + plain + 15, "relaxed": 2 * strict + 8 + 3}
    assert sum(p.numel() for p in one.parameters()) == numbers[kind]


@pytest.mark.parametrize("kind", MAKERS)
def test_channels_that_make_no_fields_are_refused(kind):
    with pytest.raises(ValueError, match="expected a multiple of 4.*use 8"):
        MAKERS[kind](6, 8, 3)


def test_no_filters_at_all_are_refused():
    with pytest.raises(ValueError, match="filters = 0 was given"):
        relaxed_conv(4, 4, 3, filters=0)


@pytest.mark.parametrize("free", [True, False])
def test_a_linear_layer_that_weighs_orientations_alike_ignores_their_order(free):
    layer: Any = invariant_linear(8, 3, free=free).double()
    v = torch.randn(5, 8).double()
    assert relative(layer(turn_fields(v, 1)), layer(v)) <= TIGHT
    if not free:
        return
    strict, own = pathways(layer)
    with torch.no_grad():
        own[0].normal_()
    assert torch.equal(layer.weight, strict[0] + own[0])
    assert relative(layer(turn_fields(v, 1)), layer(v)) > BROKEN

"""Fields of C4 in plain channels: the projection of weights, what commutes, and twins with a wrong sign."""

import pytest
import torch
from torch import Tensor, nn

from tests.layers.symmetry import relative
from tests.tolerances import BROKEN, EXACT
from workbench.layers.quarter_turns import (
    PLANE,
    SYMMETRIES,
    FieldBatchNorm2d,
    FieldConv2d,
    expanded,
    field_mean,
    projected,
    turn_fields,
)

TIGHT = EXACT[torch.float64]
SHAPES = {"image": (8, 3, 5, 5), "fields": (8, 12, 3, 3), "one field": (4, 4, 3, 3)}


def weights(kind: str) -> tuple[Tensor, bool]:
    return torch.randn(SHAPES[kind], dtype=torch.float64), kind == "image"


def wrong_sign(weight: Tensor, first: bool) -> Tensor:
    """The twin: filters turn forwards where they should turn back."""
    apart = weight.unflatten(0, (-1, 4)) if first else weight.unflatten(0, (-1, 4)).unflatten(2, (-1, 4))
    turned = [torch.rot90(apart.roll(-q, 1) if first else apart.roll((-q, -q), (1, 3)), q, PLANE) for q in range(4)]
    return torch.stack(turned).mean(0).reshape(weight.shape)


def defect(layer: nn.Module, x: Tensor, first: bool, symmetry: str = "C(4)") -> float:
    """The worst |f(g x) - g f(x)| / |f(x)| over the elements of a symmetry."""

    def of_image(v: Tensor, q: int, mirrored: bool) -> Tensor:
        return torch.rot90(v.flip(-1) if mirrored else v, q, PLANE)

    moved = of_image if first else turn_fields
    return max(relative(layer(moved(x, *g)), turn_fields(layer(x), *g)) for g in SYMMETRIES[symmetry][1:])


def layer_of(weight: Tensor, first: bool) -> FieldConv2d:
    k = weight.shape[-1]
    layer = FieldConv2d(weight.shape[1], len(weight), k, k // 2, first=first).double()
    with torch.no_grad():
        layer.weight.copy_(weight)
        assert layer.bias is not None
        layer.bias.copy_(field_mean(layer.bias))
    return layer


def on_weights(weight: Tensor, q: int, first: bool) -> Tensor:
    """The action on weights, W -> rho_out(q) W rho_in(q)^-1."""
    out = torch.rot90(weight.unflatten(0, (-1, 4)).roll(q, 1), q, PLANE).flatten(0, 1)
    return out if first else out.unflatten(1, (-1, 4)).roll(q, 2).flatten(1, 2)


@pytest.mark.parametrize("kind", SHAPES)
def test_the_projection_is_idempotent_and_self_adjoint(kind):
    (w, first), (v, _) = weights(kind), weights(kind)
    once = projected(w, first)
    assert relative(projected(once, first), once) <= TIGHT
    assert relative((once * v).sum(), (w * projected(v, first)).sum()) <= 1e3 * TIGHT
    assert once.norm() < w.norm()


@pytest.mark.parametrize("kind", SHAPES)
def test_the_projection_commutes_with_the_group(kind):
    w, first = weights(kind)
    for q in (1, 2, 3):
        assert relative(projected(on_weights(w, q, first), first), projected(w, first)) <= TIGHT
        assert relative(on_weights(projected(w, first), q, first), projected(w, first)) <= TIGHT
        assert relative(on_weights(w, q, first), w) > BROKEN


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("size", [8, 9])
def test_projected_weights_commute_with_quarter_turns_exactly(kind, size):
    w, first = weights(kind)
    x = torch.randn(2, w.shape[1], size, size, dtype=torch.float64)
    assert defect(layer_of(projected(w, first), first), x, first) <= TIGHT
    assert defect(layer_of(w, first), x, first) > BROKEN


@pytest.mark.parametrize("kind", SHAPES)
def test_each_symmetry_has_its_own_projection_and_no_other_keeps_it(kind):
    w, first = weights(kind)
    x = torch.randn(2, w.shape[1], 8, 8, dtype=torch.float64)
    for symmetry in SYMMETRIES:
        once, layer = projected(w, first, symmetry), layer_of(w, first)
        assert relative(projected(once, first, symmetry), once) <= TIGHT
        layer.project_weights(symmetry)
        broken = {other: defect(layer, x, first, other) for other in SYMMETRIES}
        held = {"C(4)": {"C(4)", "C(2)"}}.get(symmetry, {symmetry})
        assert {other for other, size in broken.items() if size <= TIGHT} == held
        assert min(size for other, size in broken.items() if other not in held) > BROKEN


def test_mirrors_and_turns_of_fields_are_those_of_the_square():
    v = torch.randn(2, 8, 5, 5, dtype=torch.float64)
    assert torch.equal(turn_fields(turn_fields(v, 0, True), 0, True), v)
    for q in (1, 2, 3):
        there = turn_fields(turn_fields(turn_fields(v, 0, True), q), 0, True)
        assert torch.equal(there, turn_fields(v, -q))
        assert torch.equal(turn_fields(v, q, True), turn_fields(turn_fields(v, 0, True), q))


@pytest.mark.parametrize("kind", SHAPES)
def test_the_wrong_sign_of_the_turn_is_caught(kind):
    w, first = weights(kind)
    x = torch.randn(2, w.shape[1], 8, 8, dtype=torch.float64)
    twin = wrong_sign(w, first)
    assert relative(wrong_sign(twin, first), twin) <= TIGHT, "idempotent as well: that test alone would not catch it"
    assert defect(layer_of(twin, first), x, first) > BROKEN


@pytest.mark.parametrize("kind", SHAPES)
def test_weights_made_from_one_orientation_are_all_that_commute(kind):
    w, first = weights(kind)
    strict = projected(w, first)
    base = strict[::4] if first else strict[::4].unflatten(1, (-1, 4))
    assert relative(expanded(base), strict) <= TIGHT


def test_the_distance_is_what_the_projection_removes_and_projecting_makes_it_nothing():
    layer = FieldConv2d(4, 8, 3, 1).double()
    assert layer.bias is not None
    w, b = layer.weight.detach().clone(), layer.bias.detach().clone()
    removed = (w - projected(w)).square().sum() + (b.view(2, 4) - b.view(2, 4).mean(1, keepdim=True)).square().sum()
    assert relative(layer.distance(), removed) <= TIGHT
    layer.project_weights()
    assert float(layer.distance().detach()) <= TIGHT**2
    assert FieldConv2d(4, 8, 3).distance().requires_grad


def test_batch_norm_of_fields_commutes_also_while_it_learns():
    x = torch.randn(4, 8, 6, 6, dtype=torch.float64)
    norm = FieldBatchNorm2d(8).double()
    with torch.no_grad():
        norm.norm.weight.uniform_(0.5, 2)
    for _ in range(2):
        assert relative(norm(turn_fields(x, 1)), turn_fields(norm(x), 1)) <= TIGHT
    plain = nn.BatchNorm2d(8).double()
    with torch.no_grad():
        plain.weight.uniform_(0.5, 2)
    assert relative(plain(turn_fields(x, 1)), turn_fields(plain(x), 1)) > BROKEN


@pytest.mark.parametrize("channels", [(4, 6), (3, 8)])
def test_channels_that_make_no_fields_are_refused_with_the_nearest_number(channels):
    with pytest.raises(ValueError, match=r"expected a multiple of 4.*use (8|4)\."):
        FieldConv2d(*channels, 3)

"""Layers on random elements: each is weighted by 1 / p with respect to the Haar measure, and turns stay exact."""

import math

import pytest
import torch

from tests.layers.symmetry import TINY
from tests.tolerances import BROKEN, EXACT
from workbench.groups import SL, GLPlus, Group, GroupSignal, RotationScale, Scale
from workbench.groups.elements import drawn_elements, even_elements
from workbench.layers import GroupConv, GroupProjection, LiftingConv

SAMPLED = [Scale(2, 8.0), RotationScale(8.0), SL(3.0), GLPlus(3.0)]
MOVED_BY = {
    "Scale": [0.4],
    "RotationScale": [math.pi / 2, 0.4],
    "SL": [0.3, 0.2, 0.5],
    "GLPlus": [0.3, 0.2, 0.5, 0.1],
}


def bump(group: Group, g: torch.Tensor, centre: torch.Tensor) -> torch.Tensor:
    """Smooth, and 0 beyond 0.8 from the centre in the coordinates that have no end."""
    v = group.log(group.product(group.inverse(centre), g))
    angle = {1: None, 2: 0, 4: 2}[group.element_dim]
    turn = 1.0 if angle is None else 1 + v[:, angle].cos()
    if angle is not None:
        v = torch.cat([v[:, :angle], v[:, angle + 1 :]], -1)
    square = (v / 0.8).square().sum(-1)
    return turn * torch.where(square < 1, torch.exp(-1 / (1 - square.clamp(max=1 - 1e-9))), 0.0)


@torch.no_grad()
def moved_error(group: Group, count: int, weighted: bool, seed: int, edge: bool = False) -> float:
    """|(F(h^-1 .) * k)(h a) - (F * k)(a)| / |(F * k)(a)| of a layer over the group alone whose signal F moves by h.

    F and a lie in the middle of what the layer covers, or at its ``edge``.
    """
    torch.manual_seed(seed)
    layer = GroupConv(1, 8, 1, group=group, n=4, reach=0.9, kernel=TINY, bias=False).double()
    h = group.exp(torch.tensor(MOVED_BY[type(group).__name__], dtype=torch.float64))
    middle = even_elements(group, *((3, 1) if isinstance(group, Scale) else (1, 3)), dtype=torch.float64)
    a = middle[1:2] if isinstance(group, Scale | RotationScale) else group.identity(torch.float64)[None]
    if edge:
        outwards = torch.zeros_like(group.log(a))
        outwards[:, -1 if group.element_dim < 4 else 0] = math.log(group.largest) / (2 if group.element_dim < 4 else 1)
        a = group.product(a, group.exp(outwards))
    given = (count, 1) if isinstance(group, Scale) else (4, count // 4)
    elements, volumes = drawn_elements(group, *given, torch.float64)

    def answer(moved: bool) -> torch.Tensor:
        seen = group.product(group.inverse(h), elements) if moved else elements
        values = bump(group, seen, a).view(1, 1, -1, 1, 1)
        signal = GroupSignal(values, elements, group, volumes=volumes if weighted else None)
        with layer.requested(group.product(h, a) if moved else a):
            return layer(signal).values

    return float((answer(True) - answer(False)).norm() / answer(False).norm())


def typical(group: Group, count: int, weighted: bool, edge: bool = False) -> float:
    return float(torch.tensor([moved_error(group, count, weighted, seed, edge) for seed in range(5)]).median())


@pytest.mark.parametrize("group", SAMPLED, ids=str)
def test_the_error_falls_as_the_root_of_the_samples_with_weights_and_stays_without(group):
    few, many = typical(group, 1_000, True), typical(group, 100_000, True)
    assert 4 < few / many < 25  # sqrt(100) = 10
    assert many < BROKEN
    plateau = [typical(group, count, False) for count in (10_000, 100_000)]
    assert plateau[1] > 4 * many
    assert min(plateau) > 2 * BROKEN
    assert plateau[1] > plateau[0] / 2  # more samples do not help


@pytest.mark.parametrize("group", SAMPLED, ids=str)
def test_at_the_edge_of_what_is_covered_no_number_of_samples_helps(group):
    """Elements beyond it are missing: inner errors and those of the boundary are two numbers."""
    inner, boundary = typical(group, 20_000, True), typical(group, 20_000, True, edge=True)
    assert inner < BROKEN < 2 * BROKEN < boundary


@torch.no_grad()
@pytest.mark.parametrize("group", SAMPLED, ids=str)
def test_random_layers_of_a_training_hand_their_weights_on(group):
    layers = [c(1, 1, k, group=group, n=4, sampling="random", kernel=TINY) for c, k in ((GroupConv, 1), (GroupConv, 1))]
    first = even_elements(group, 4, 4)
    signal = layers[0](GroupSignal(torch.randn(1, 1, len(first), 3, 3), first, group))
    assert signal.uniform
    assert signal.volumes is not None
    assert signal.map(torch.relu).volumes is signal.volumes
    plain = GroupSignal(signal.values, signal.elements, group)
    torch.manual_seed(0)
    weighted = layers[1](signal).values
    torch.manual_seed(0)
    assert not torch.allclose(weighted, layers[1](plain).values, rtol=BROKEN, atol=0)
    assert layers[1].eval()(signal).volumes is None  # an evaluation has the even list
    shares = signal.volumes / signal.volumes.sum()
    mean = (signal.values * shares[:, None, None]).sum(2).mean((2, 3))
    assert torch.allclose(GroupProjection("mean")(signal), mean, rtol=0, atol=1e-6)


@torch.no_grad()
def test_equal_volumes_change_nothing():
    group = SL(1.3)
    layer = GroupConv(2, 2, 1, group=group, n=4, kernel=TINY).double().eval()
    elements = layer.elements()
    values = torch.randn(1, 2, len(elements), 3, 3, dtype=torch.float64)
    plain = layer(GroupSignal(values, elements, group)).values
    same = layer(GroupSignal(values, elements, group, volumes=torch.full((len(elements),), 7.0).double())).values
    assert float((plain - same).norm() / plain.norm()) <= EXACT[torch.float64]


def test_volumes_are_one_per_element_and_two_draws_of_a_training_differ():
    with pytest.raises(ValueError, match=r"volumes of shape \(3,\) were given; expected \(4,\)"):
        GroupSignal(torch.zeros(1, 1, 4, 2, 2), even_elements(Scale(), 4), Scale(), volumes=torch.ones(3))
    layer = LiftingConv(1, 1, 17, group="Scale", sampling="random", kernel=TINY)
    assert not torch.equal(layer.draw().elements, layer.draw().elements)
    assert torch.equal(layer.eval().draw().elements, layer.draw().elements)

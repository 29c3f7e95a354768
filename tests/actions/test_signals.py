"""Group signals under group elements: permuted, interpolated or refused."""

import math

import pytest
import torch

from tests.tolerances import BROKEN, EXACT
from workbench.actions import transform_image, transform_signal, transform_signals
from workbench.groups import O2, SL, SO2, Cyclic, Dihedral, GroupSignal, Plane, RotationScale, Translation
from workbench.groups.elements import even_elements


def signal(group, n: int, size: int = 5, offset: float = 0.0) -> GroupSignal:
    elements = group.grid(n, offset, dtype=torch.float64)
    return GroupSignal(torch.rand(2, 3, n, size, size, dtype=torch.float64), elements, group)


def referee(s: GroupSignal, g: torch.Tensor) -> torch.Tensor:
    """(L_g F)(x, h) = F(g^-1 x, g^-1 h), one element h at a time, for g that permutes the elements."""
    out = torch.empty_like(s.values)
    for place, h in enumerate(s.elements):
        source = s.group.product(s.group.inverse(g), h)
        match = int(s.group.distance(s.elements, source).argmin())
        out[:, :, place] = transform_image(s.values[:, :, match], g, s.group)
    return out


@pytest.mark.parametrize("offset", [0.0, 0.3])
@pytest.mark.parametrize(
    ("group", "n", "acting"),
    [(SO2(), 8, Cyclic(8)), (Cyclic(4), 4, Cyclic(4)), (O2(), 8, Cyclic(4)), (SO2(), 6, Cyclic(2))],
    ids=str,
)
def test_elements_that_permute_the_list_agree_with_the_referee(group, n: int, acting, offset: float) -> None:
    s = signal(group, n, offset=offset)
    for g in acting.grid(dtype=torch.float64):
        own = g if group.element_dim == 1 else torch.cat([g, g.new_ones(1)])
        assert torch.equal(transform_signal(s, g, acting).values, referee(s, own))


def test_the_whole_dihedral_group_permutes_its_grid() -> None:
    s = signal(Dihedral(4), 8)
    for g in Dihedral(4).grid(dtype=torch.float64):
        assert torch.equal(transform_signal(s, g).values, referee(s, g))


@pytest.mark.parametrize("n", [7, 8])
@pytest.mark.parametrize("offset", [0.0, 0.4])
def test_band_limited_signals_are_interpolated_exactly_along_the_group(n: int, offset: float) -> None:
    def wave(angle: torch.Tensor) -> torch.Tensor:
        return 1 + torch.cos(angle) + torch.sin(3 * angle)

    elements = SO2().grid(n, offset, dtype=torch.float64)
    values = wave(elements[:, 0]).view(1, 1, n, 1, 1)
    g = torch.tensor([0.77], dtype=torch.float64)
    moved = transform_signal(GroupSignal(values, elements, SO2()), g, resampler="nearest").values
    assert (moved.flatten() - wave(elements[:, 0] - 0.77)).abs().max() <= EXACT[torch.float64]


def test_mirrored_band_limited_signals_are_interpolated_exactly() -> None:
    def wave(g: torch.Tensor) -> torch.Tensor:
        return g[..., 1] * torch.cos(g[..., 0]) + torch.sin(2 * g[..., 0])

    group = O2()
    elements = group.grid(16, 0.2, dtype=torch.float64)
    g = torch.tensor([0.77, -1.0], dtype=torch.float64)
    moved = transform_signal(GroupSignal(wave(elements).view(1, 1, 16, 1, 1), elements, group), g).values
    expected = wave(group.product(group.inverse(g), elements))
    assert (moved.flatten() - expected).abs().max() <= EXACT[torch.float64]


def test_interpolation_catches_the_wrong_direction_along_the_group() -> None:
    elements = SO2().grid(8, dtype=torch.float64)
    values = torch.sin(elements[:, 0]).view(1, 1, 8, 1, 1)
    moved = transform_signal(GroupSignal(values, elements, SO2()), torch.tensor([0.5])).values.flatten()
    assert (moved - torch.sin(elements[:, 0] + 0.5)).abs().max() > 0.5


def test_many_elements_act_as_each_alone_also_on_their_own_stacks() -> None:
    s = signal(SO2(), 8)
    elements = torch.tensor([[0.0], [0.3], [math.pi / 2]], dtype=torch.float64)
    together = transform_signals(s, elements, SO2())
    stacks = s.with_values(together.flatten(0, 1))
    back = transform_signals(stacks, -elements, SO2(), each=True)
    for e, g in enumerate(elements):
        alone = transform_signal(s, g)
        assert (together[e] - alone.values).abs().max() <= EXACT[torch.float64]
        assert (back[e] - transform_signal(alone, -g).values).abs().max() <= EXACT[torch.float64]


def test_shifts_leave_the_group_axis_alone() -> None:
    s = signal(SO2(), 4)
    moved = transform_signal(s, torch.tensor([1.0, 0.0]), Translation(), padding="circular")
    assert torch.equal(moved.values, s.values.roll(1, -1))
    turned = transform_signal(s, torch.tensor([0.0, 0.0, math.pi]).double(), Plane(SO2()))
    assert torch.equal(turned.values, s.values.flip(-1, -2).roll(2, 2))


@pytest.mark.parametrize("group", [RotationScale(), SL(1.5)], ids=str)
def test_quarter_turns_permute_lists_of_stretches_and_nothing_else_moves_them(group) -> None:
    """As the referee, which compares whole elements; angles alone would mix the stretches."""
    elements = even_elements(group, 4, 3, dtype=torch.float64)
    s = GroupSignal(torch.rand(1, 2, 12, 5, 5, dtype=torch.float64), elements, group)
    turn = torch.tensor([math.pi / 2], dtype=torch.float64)
    moved = transform_signal(s, turn, SO2())
    for place, h in enumerate(elements):
        back = SO2().matrix(-turn) @ group.matrix(h)
        match = int((group.matrix(elements) - back).flatten(-2).norm(dim=-1).argmin())
        assert torch.equal(moved.values[:, :, place], torch.rot90(s.values[:, :, match], 1, (-2, -1)))
    bigger = group.exp(torch.tensor([0.0, 0.3] if group.element_dim == 2 else [0.3, 0.0, 0.0], dtype=torch.float64))
    with pytest.raises(ValueError, match="because"):
        transform_signal(s, bigger, group)


@pytest.mark.parametrize("group", [RotationScale(), SL(1.5)], ids=str)
def test_each_circle_of_a_list_of_stretches_is_interpolated_by_itself(group) -> None:
    """A signal cos(angle + own phase) at each stretch, constant over the plane, turned by an angle of no lattice."""
    elements = even_elements(group, 8, 3, dtype=torch.float64)
    matrix = group.matrix(elements)
    angle = torch.atan2(matrix[:, 1, 0] - matrix[:, 0, 1], matrix[:, 0, 0] + matrix[:, 1, 1])
    phase = torch.arange(3, dtype=torch.float64).repeat_interleave(8)

    def values(turn: float) -> torch.Tensor:
        return torch.cos(angle - turn + phase)[None, None, :, None, None].expand(1, 1, 24, 9, 9)

    turn = torch.tensor([0.3], dtype=torch.float64)
    moved = transform_signal(GroupSignal(values(0.0), elements, group), turn, SO2())
    centre = moved.values[..., 4, 4]
    assert torch.allclose(centre, values(0.3)[..., 4, 4], rtol=0, atol=EXACT[torch.float64])
    assert not torch.allclose(centre, values(-0.3)[..., 4, 4], rtol=0, atol=BROKEN)  # the twin: the other way round


def test_gate_weights_move_with_their_elements() -> None:
    s = signal(Cyclic(4), 4)
    gated = GroupSignal(s.values, s.elements, s.group, torch.tensor([1.0, 1.0, 0.0, 1.0]))
    moved = transform_signal(gated, torch.tensor([math.pi / 2]).double())
    assert moved.weights is not None
    assert moved.weights.tolist() == [1.0, 1.0, 1.0, 0.0]
    with pytest.raises(ValueError, match="gate"):
        transform_signal(gated, torch.tensor([0.3]), SO2())


def test_a_partial_arc_is_refused_off_its_own_elements() -> None:
    elements = torch.tensor([[-0.5], [0.0], [0.5]], dtype=torch.float64)
    s = GroupSignal(torch.rand(1, 1, 3, 4, 4).double(), elements, SO2(), uniform=False)
    assert torch.equal(transform_signal(s, torch.zeros(1)).values, s.values)
    with pytest.raises(ValueError, match="partial arc"):
        transform_signal(s, torch.tensor([0.2]))


def test_what_is_no_signal_or_no_group_is_refused() -> None:
    with pytest.raises(ValueError, match="a Tensor was given; expected a GroupSignal"):
        transform_signal(torch.rand(1, 1, 8, 8), torch.zeros(1))
    with pytest.raises(ValueError, match="group 'SO2' was given; expected a group"):
        transform_image(torch.rand(1, 1, 8, 8), torch.zeros(1), "SO2")


def test_a_mirror_of_a_signal_without_mirrored_elements_is_refused() -> None:
    with pytest.raises(ValueError, match="mirror"):
        transform_signal(signal(SO2(), 4), torch.tensor([0.0, -1.0]), O2())

"""The four motions of a molecule: a sound potential stays at its rounding floor, each broken one is named."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.tolerances import EXACT, SEPARATION
from workbench.measure.dataset import validate
from workbench.measure.motions import MOTIONS, ForcesOf, InField, motion_errors

NUMBERS = torch.tensor([6, 1, 1, 8, 1])
POSITIONS = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 1.5
FAULTS = {
    "none": lambda x: 0.0 * x[..., 0],
    "rotation": lambda x: x[..., 0].square(),  # looks at one axis
    "inversion": lambda x: torch.linalg.det(x[..., 1:4, :] - x[..., :1, :]).unsqueeze(-1),  # a sign of its own
    "translation": lambda x: x.square().sum(-1),
    "permutation": lambda x: (x - x.mean(-2, keepdim=True)).square().sum(-1) * torch.arange(x.shape[-2]),
}


class Springs(nn.Module):
    """Pairs of atoms on springs, and one fault."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.stiffness = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))
        self.fault = FAULTS[fault]

    def energy_and_forces(self, positions: Tensor, numbers: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            where = positions.detach().view(int(batch.max()) + 1, -1, 3).requires_grad_()
            apart = where.unsqueeze(1) - where.unsqueeze(2) + torch.eye(where.shape[1]).unsqueeze(-1)
            energy = self.stiffness * (apart.norm(dim=-1) - 1).square().sum((1, 2)) + 0.1 * self.fault(where).sum(-1)
            (slope,) = torch.autograd.grad(energy.sum(), where)
        return energy.detach(), -slope.flatten(0, 1)


def test_a_sound_potential_stays_near_its_floor() -> None:
    found = motion_errors(Springs("none"), NUMBERS, POSITIONS)
    assert float(found["error"].max()) < 10 * EXACT[torch.float64]
    assert float(found["energy_change"].max()) < 1000 * 10 * EXACT[torch.float64]
    assert found["error"].dims == ("motion", "transform")
    assert found["motion"].values.tolist() == list(MOTIONS)
    assert validate(found, {"floor": (), "error_mean": ("motion",)}) is found


@pytest.mark.parametrize("fault", MOTIONS)
def test_each_fault_is_found_by_the_motion_that_it_breaks(fault: str) -> None:
    found = motion_errors(Springs(fault), NUMBERS, POSITIONS)
    error = found["error_max"].sel(motion=fault)
    assert float(error) > SEPARATION * max(float(found["floor"]), EXACT[torch.float64])
    if fault in ("inversion", "permutation"):
        assert float(found["error_max"].sel(motion="rotation")) < 10 * EXACT[torch.float64]


def test_in_float32_floor_and_error_are_of_one_size() -> None:
    found = motion_errors(Springs("none").float(), NUMBERS, POSITIONS)
    floor, error = float(found["floor"]), float(found["error"].max())
    assert EXACT[torch.float64] < floor < EXACT[torch.float32]
    assert error < 4 * floor


def test_where_forces_are_small_the_floor_is_large_as_the_error_is() -> None:
    """Two atoms almost at the length of their spring: what rounds their places outweighs what pulls them."""
    pair = torch.tensor([[0.0, 0.0, 0.0], [0.6, 0.8, 0.0]], dtype=torch.float64) * (1 + 1e-5)
    found = motion_errors(Springs("none").float(), torch.tensor([1, 1]), pair)
    error = float(found["error_max"].max())
    assert EXACT[torch.float32] * SEPARATION < error < 4 * float(found["floor"])
    broken = motion_errors(Springs("rotation").float(), torch.tensor([1, 1]), pair)
    assert float(broken["error_max"].sel(motion="rotation")) > SEPARATION * float(broken["floor"])


def test_r23_r24_the_same_seed_gives_the_same_and_the_potential_stays_as_it_was() -> None:
    potential = Springs("none").train()
    first, second = (motion_errors(potential, NUMBERS, POSITIONS, n=3, seed=2) for _ in range(2))
    assert first.identical(second)
    assert potential.training


def test_a_potential_becomes_a_map_of_points_with_numbers_beside_them() -> None:
    potential = Springs("none")
    points = torch.cat([POSITIONS, NUMBERS.unsqueeze(1)], 1).unsqueeze(0)
    energy, forces = potential.energy_and_forces(POSITIONS, NUMBERS, torch.zeros(5).long())
    assert torch.equal(ForcesOf(potential)(points)[0], forces)
    assert np.ptp(ForcesOf(potential, energy=True)(points)[0].numpy()) == 0
    assert float(ForcesOf(potential, energy=True)(points)[0, 0, 0]) == float(energy[0])


def test_a_field_is_found_by_rotation_and_inversion_and_moves_the_energy_of_what_is_shifted() -> None:
    found = motion_errors(InField(Springs("none")), NUMBERS, POSITIONS)
    named = {motion: float(found["error_max"].sel(motion=motion)) for motion in MOTIONS}
    assert min(named["rotation"], named["inversion"]) > 0.01
    assert max(named["translation"], named["permutation"]) < 10 * EXACT[torch.float64]
    assert float(found["energy_change"].sel(motion="translation").max()) > 10
    field = InField(Springs("none"), 0.3)
    where = POSITIONS.clone()
    moved = where.clone()
    moved[2, 2] += 1e-6
    batch = torch.zeros(5).long()
    (low, forces), (high, _) = (field.energy_and_forces(x, NUMBERS, batch) for x in (where, moved))
    assert float(high - low) / -1e-6 == pytest.approx(float(forces[2, 2]), rel=1e-4)


@pytest.mark.parametrize(
    ("numbers", "positions", "sentence"),
    [
        (NUMBERS, POSITIONS.long(), "positions of dtype torch.int64"), (NUMBERS, POSITIONS.tolist(), "type list"),
        (NUMBERS, POSITIONS.numpy(), "type ndarray"), (NUMBERS, POSITIONS[:, :2], r"expected \(N, 3\)"),
        (NUMBERS, POSITIONS[None], r"expected \(N, 3\)"), (NUMBERS[:0], POSITIONS[:0], "N at least 1"),
        (NUMBERS, POSITIONS[:4], r"numbers of shape \(5,\).*expected \(4,\)"), (NUMBERS[None], POSITIONS, r"\(1, 5\)"),
        (NUMBERS.tolist(), POSITIONS, "numbers of type list"), (NUMBERS.double(), POSITIONS, "type int64"),
        (NUMBERS, POSITIONS / torch.tensor([0.0, 1.0, 1.0]), "infinite coordinates"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)  # fmt: skip
def test_what_is_no_molecule_gets_a_sentence_before_anything_is_measured(numbers, positions, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        motion_errors(Springs("none"), numbers, positions)


def test_atomic_numbers_that_are_not_whole_are_refused_as_they_are() -> None:
    points = torch.cat([POSITIONS, NUMBERS.unsqueeze(1)], 1).expand(2, -1, -1).clone()
    points[1, 3, 3] = 8.0004
    assert torch.equal(*ForcesOf(Springs("none"))(points))
    for wrong, said in ((6.4, "6.4"), (float("nan"), "NaN"), (float("inf"), "inf")):
        points[1, 3, 3] = wrong
        with pytest.raises(ValueError, match=f"{said} was given as the atomic number of atom 3 of point set 1"):
            ForcesOf(Springs("none"))(points)
    with pytest.raises(ValueError, match=r"expected \(B, N, 4\)"):
        ForcesOf(Springs("none"))(points[0])


def test_a_field_has_no_place_in_a_cell() -> None:
    field = InField(Springs("none"))
    alone = field.energy_and_forces(POSITIONS, NUMBERS)
    assert alone[1].shape == POSITIONS.shape
    with pytest.raises(ValueError, match="leave the cell out"):
        field.energy_and_forces(POSITIONS, NUMBERS, None, torch.eye(3, dtype=torch.float64)[None] * 9)

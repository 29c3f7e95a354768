"""Errors of forces and energies against a slow referee, upright and turned; potentials that must be found out."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.tolerances import AGAIN, EXACT
from workbench.groups import SO3
from workbench.measure.forces import force_errors, predict

RNG = torch.Generator().manual_seed(0)
NUMBERS = torch.tensor([[6, 1, 1, 8], [1, 1, 0, 0], [8, 1, 1, 0]])
POSITIONS = torch.randn(3, 4, 3, generator=RNG, dtype=torch.float64)
ENERGY = torch.randn(3, generator=RNG, dtype=torch.float64)
FORCES = torch.randn(3, 4, 3, generator=RNG, dtype=torch.float64) * (NUMBERS > 0).unsqueeze(-1)


class Springs(nn.Module):
    """E = sum over pairs of (r - 1)^2 / 2, by hand; with `tilt` the x axis is pulled at, which no turn leaves alone."""

    def __init__(self, tilt: float = 0.0) -> None:
        super().__init__()
        self.stiffness = nn.Parameter(torch.ones((), dtype=torch.float64))
        self.tilt = tilt

    def energy_and_forces(self, positions: Tensor, numbers: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            where = positions.detach().requires_grad_()
            apart = where.unsqueeze(0) - where.unsqueeze(1) + torch.eye(len(where)).unsqueeze(-1)
            pairs = (batch.unsqueeze(0) == batch.unsqueeze(1)) & ~torch.eye(len(where), dtype=torch.bool)
            each = self.stiffness * ((apart.norm(dim=-1) - 1).square() * pairs).sum(1) / 4 + self.tilt * where[:, 0]
            energy = each.new_zeros(int(batch.max()) + 1).index_add(0, batch, each)
            (slope,) = torch.autograd.grad(energy.sum(), where)
        return energy, -slope


def test_errors_are_those_of_a_loop_over_molecules() -> None:
    model = Springs(tilt=0.3)
    found = force_errors(model, NUMBERS, POSITIONS, ENERGY, FORCES, seed=5, chunk=2)
    turns = SO3().matrix(SO3().sample(3, torch.Generator().manual_seed(5), torch.float64))
    for pose in ("upright", "rotated"):
        force_off, energy_off = [], []
        for at in range(3):
            there, turn = NUMBERS[at] > 0, torch.eye(3).double() if pose == "upright" else turns[at]
            where = POSITIONS[at][there] @ turn.T
            energy, force = model.energy_and_forces(where, NUMBERS[at][there], torch.zeros(len(where)).long())
            force_off += (force - FORCES[at][there] @ turn.T).flatten().tolist()
            energy_off.append(float(energy.detach() - ENERGY[at]))
        one = found.sel(pose=pose)
        assert float(one.force_mae) == pytest.approx(1000 * np.abs(force_off).mean(), rel=AGAIN)
        assert float(one.force_rmse) == pytest.approx(1000 * np.sqrt(np.square(force_off).mean()), rel=AGAIN)
        assert float(one.energy_mae) == pytest.approx(1000 * np.abs(energy_off).mean(), rel=AGAIN)
        assert one.energy_error_each.values == pytest.approx(1000 * np.array(energy_off), rel=AGAIN)


def test_an_equivariant_potential_errs_alike_in_every_pose_and_a_tilted_one_is_found_out() -> None:
    tolerance = 10 * EXACT[torch.float64]
    good = force_errors(Springs(), NUMBERS, POSITIONS, ENERGY, FORCES)
    assert float(good.rotation_error) < tolerance
    assert np.abs(np.diff(good.energy_mae.values)).max() < 1000 * tolerance
    broken = force_errors(Springs(tilt=0.3), NUMBERS, POSITIONS, ENERGY, FORCES)
    assert float(broken.rotation_error) > 0.05
    assert np.abs(np.diff(broken.energy_mae.values)).max() > 1


def test_n1_r23_every_variable_has_units_and_the_same_seed_gives_the_same() -> None:
    from workbench.measure.dataset import validate

    dims = {"force_mae": ("pose",), "energy_error_each": ("pose", "structure"), "rotation_error": ()}
    first, second = (force_errors(Springs(), NUMBERS, POSITIONS, ENERGY, FORCES, seed=1) for _ in range(2))
    assert validate(first, dims) is first
    assert first.identical(second)


def test_places_without_an_atom_count_nowhere() -> None:
    padded = [torch.nn.functional.pad(x, (0, 0, 0, 3)) if x.ndim == 3 else x for x in (POSITIONS, FORCES)]
    wide = force_errors(Springs(), torch.nn.functional.pad(NUMBERS, (0, 3)), padded[0], ENERGY, padded[1])
    narrow = force_errors(Springs(), NUMBERS, POSITIONS, ENERGY, FORCES)
    assert wide.force_mae.values == pytest.approx(narrow.force_mae.values, rel=AGAIN)
    _, forces = predict(Springs(), NUMBERS, POSITIONS)
    assert float(forces[NUMBERS == 0].abs().max()) == 0


def test_r24_the_potential_is_left_as_it_was() -> None:
    model = Springs().train()
    force_errors(model, NUMBERS, POSITIONS, ENERGY, FORCES)
    assert model.training
    assert model.stiffness.grad is None


def test_what_does_not_belong_together_is_refused() -> None:
    for numbers, forces in ((NUMBERS[:0], FORCES[:0]), (NUMBERS, FORCES[:, :2]), (NUMBERS.flatten(), FORCES)):
        with pytest.raises(ValueError, match=r"expected \(S, A\), \(S, A, 3\)"):
            force_errors(Springs(), numbers, POSITIONS[: len(numbers)], ENERGY, forces)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"positions": POSITIONS.long()}, "positions of dtype torch.int64"),
        ({"positions": POSITIONS.tolist()}, "positions of type list"),
        ({"positions": POSITIONS.numpy()}, "positions of type ndarray"),
        ({"positions": POSITIONS[..., :2]}, r"positions \(3, 4, 2\)"),
        ({"energy": ENERGY[:, None]}, r"energy \(3, 1\).* expected \(S, A\), \(S, A, 3\), \(S,\) and"),
        ({"energy": ENERGY[0]}, r"energy \(\)"), ({"energy": ENERGY[:1]}, r"energy \(1,\)"),
        ({"energy": 0.0}, "energy of type float"), ({"energy": None}, "energy of type NoneType"),
        ({"energy": ENERGY.tolist()}, "energy of type list"), ({"forces": FORCES.numpy()}, "forces of type ndarray"),
        ({"forces": FORCES[:1]}, r"forces \(1, 4, 3\)"), ({"forces": FORCES[..., :1]}, r"forces \(3, 4, 1\)"),
        ({"numbers": NUMBERS.tolist()}, "numbers of type list"), ({"numbers": NUMBERS.double()}, "expected int64"),
        ({"numbers": NUMBERS[0, 0]}, r"numbers \(\)"),
        ({"numbers": NUMBERS * torch.tensor([[1], [0], [1]])}, "structure 1 holds no atom"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)  # fmt: skip
def test_types_and_shapes_that_are_not_those_of_molecules_get_a_sentence(change: dict, sentence: str) -> None:
    given = {"numbers": NUMBERS, "positions": POSITIONS, "energy": ENERGY, "forces": FORCES} | change
    with pytest.raises(ValueError, match=sentence):
        force_errors(Springs(), **given)
    if {"numbers", "positions"} & set(change):
        with pytest.raises(ValueError, match=sentence):
            predict(Springs(), given["numbers"], given["positions"])

"""Energies and forces along a turn about a bond: checked against a slow loop, a shifted energy and a wrong force."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.tolerances import AGAIN, EXACT
from workbench.measure.dihedral import dihedral_errors

ANGLES = np.array([0.0, 60.0, 120.0, 180.0])
CLOSE = EXACT[torch.float64]


class Springs(nn.Module):
    """Half the squared length of all positions, each molecule's sum: forces are minus the positions."""

    def __init__(self, constant: float = 0.0, pull: float = 0.0) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.tensor(constant, dtype=torch.float64))
        self.pull = pull

    def energy_and_forces(self, positions: Tensor, numbers: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        each = 0.5 * positions.square().sum(-1)
        energy = each.new_zeros(int(batch.max()) + 1).index_add(0, batch, each) + self.constant
        return energy, self.pull - positions


@pytest.fixture
def scan() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    drawn = torch.Generator().manual_seed(0)
    positions = torch.randn(4, 3, 3, generator=drawn, dtype=torch.float64)
    numbers = torch.tensor([[6, 1, 8], [6, 1, 0], [6, 1, 8], [6, 1, 8]])
    positions[1, 2] = 0
    return numbers, positions, 0.5 * positions.square().sum((1, 2)), -positions


def test_the_right_energy_and_force_have_no_error_whatever_the_constant(scan: tuple) -> None:
    for constant in (0.0, -400.0):
        found = dihedral_errors(Springs(constant), *scan, ANGLES)
        assert float(found["energy_mae"]) < 1e3 * CLOSE * max(abs(constant), 1)
        assert float(found["force_mae"].max()) < 1e3 * CLOSE
        assert float(found["correlation"]) == pytest.approx(1, rel=AGAIN)


def test_a_wrong_force_and_a_wrong_hill_are_found_and_agree_with_a_slow_loop(scan: tuple) -> None:
    numbers, positions, energy, forces = scan
    assert dihedral_errors(Springs(pull=0.25), *scan, ANGLES)["force_mae"].values == pytest.approx(250.0, rel=AGAIN)
    found = dihedral_errors(Springs(), numbers, positions, 2 * energy, forces, ANGLES)
    known = [2 * float(one) for one in energy]
    slow = [1000 * (one - sum(known) / 4) for one in known]
    assert found["energy_reference"].values == pytest.approx(slow, rel=AGAIN)
    assert float(found["range_reference"]) == pytest.approx(max(slow) - min(slow), rel=AGAIN)
    assert float(found["energy_mae"]) == pytest.approx(np.abs(np.array(slow)).mean() / 2, rel=AGAIN)


def test_r24_the_network_is_left_as_it_was(scan: tuple) -> None:
    net = Springs().train()
    dihedral_errors(net, *scan, ANGLES)
    assert net.training


def test_a_flat_curve_has_no_correlation_and_says_so_by_nan(scan: tuple) -> None:
    numbers, positions, energy, forces = scan
    flat = dihedral_errors(Springs(), numbers, positions, torch.zeros_like(energy), forces, ANGLES)
    assert np.isnan(float(flat["correlation"]))


def test_what_does_not_fit_together_is_refused(scan: tuple) -> None:
    numbers, positions, energy, forces = scan
    for given in (
        (numbers[:0], positions[:0], energy[:0], forces[:0], ANGLES[:0]),
        (numbers, positions[:2], energy, forces, ANGLES),
        (numbers, positions, energy, forces, ANGLES[:2]),
        (numbers[0], positions, energy, forces, ANGLES),
    ):
        with pytest.raises(ValueError, match="at least one structure"):
            dihedral_errors(Springs(), *given)
    with pytest.raises(ValueError, match="positions of type ndarray"):
        dihedral_errors(Springs(), numbers, positions.numpy(), energy, forces, ANGLES)
    with pytest.raises(ValueError, match="numbers of type list"):
        dihedral_errors(Springs(), numbers.tolist(), positions, energy, forces, ANGLES)
    for angles in (ANGLES[::-1], np.full(4, np.nan)):
        with pytest.raises(ValueError, match="do not increase"):
            dihedral_errors(Springs(), *scan, angles)

"""A potential asked through ASE says what it says itself; what it cannot answer is a sentence."""

import sys

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.calculators.fd import calculate_numerical_forces
from torch import nn

from workbench.models import build_model
from workbench.models.calculator import calculator
from workbench.models.molecular_potential import build

OPEN = {
    "orientation_potential": {"channels": 4}, "symmetrised_potential": {"way": "frames", "hidden": 8},
}  # fmt: skip


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(0)
    return build({"lmax": 1, "channels": 4}).double()


def test_energy_and_forces_are_the_potentials_own(net):
    ethanol = molecule("CH3CH2OH", calculator=calculator(net))
    energy, forces = net.energy_and_forces(torch.tensor(ethanol.positions), torch.tensor(ethanol.numbers).long())
    assert ethanol.get_potential_energy() == float(energy)
    assert np.array_equal(ethanol.get_forces(), forces.numpy())


def test_forces_are_the_slope_of_the_energy_by_ases_own_differences(net):
    water = molecule("H2O", calculator=calculator(net))
    water.rattle(0.05, seed=1)
    slope = calculate_numerical_forces(water, eps=1e-4)
    assert np.abs(water.get_forces() - slope).max() < 1e-7
    assert np.abs(-water.get_forces() - slope).max() > 1e-3  # the sign turned round is found out


def test_a_moved_atom_is_computed_anew_and_a_cell_is_heard_of(net):
    water = molecule("H2O", calculator=calculator(net))
    before = water.get_potential_energy()
    water.positions[0, 0] += 0.1
    assert water.get_potential_energy() != before
    alone = water.get_potential_energy()
    water.set_cell([4.0, 4.0, 4.0])
    water.pbc = True
    assert abs(water.get_potential_energy() - alone) > 1e-6


@pytest.mark.parametrize("name", OPEN)
def test_potentials_of_open_molecules_are_asked_alike_and_refuse_a_cell(name):
    torch.manual_seed(0)
    potential = build_model({"name": name, **OPEN[name]}).double()
    ethanol = molecule("CH3CH2OH", calculator=calculator(potential))
    ethanol.rattle(0.05, seed=1)
    given = torch.tensor(ethanol.positions), torch.tensor(ethanol.numbers).long()
    energy, forces = potential.energy_and_forces(*given)
    assert ethanol.get_potential_energy() == float(energy)
    assert np.array_equal(ethanol.get_forces(), forces.numpy())
    assert np.abs(forces.numpy() - calculate_numerical_forces(ethanol, eps=1e-4)).max() < 1e-7
    ethanol.set_cell([9.0, 9.0, 9.0])
    ethanol.pbc = True
    with pytest.raises(ValueError, match="set pbc to False"):
        ethanol.get_potential_energy()


def test_periodicity_without_a_cell_is_refused_rather_than_taken_for_none(net):
    water = molecule("H2O", pbc=True, calculator=calculator(net))
    with pytest.raises(ValueError, match="cell of zeros.* expected three lattice vectors; set the cell, or pbc"):
        water.get_potential_energy()
    water.set_cell([6.0, 6.0, 6.0])
    assert np.isfinite(water.get_potential_energy())


def test_what_cannot_be_answered_is_a_sentence(net, monkeypatch):
    half = Atoms("H2", [[0, 0, 0], [0, 0, 0.8]], cell=[5, 5, 5], pbc=[True, False, False], calculator=calculator(net))
    with pytest.raises(ValueError, match="expected all directions periodic or none"):
        half.get_potential_energy()
    with pytest.raises(TypeError, match="Linear was given, which has no energy_and_forces"):
        calculator(nn.Linear(3, 3))
    monkeypatch.setitem(sys.modules, "ase.calculators.calculator", None)
    with pytest.raises(ImportError, match="pip install ase"):
        calculator(net)

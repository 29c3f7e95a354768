"""Velocity Verlet against a spring that is solved on paper, against ASE, backwards, and beside a poor integrator."""

import math

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.calculators.calculator import Calculator, all_changes
from ase.md.verlet import VelocityVerlet
from torch import nn

from workbench.datasets.elements import atomic_mass
from workbench.measure.dynamics import BOLTZMANN, PER_DALTON, energy_drift, thermal_velocities, verlet

STIFF = 30.0  # eV/angstrom^2, about an O-H bond
MASSES = torch.tensor([16.0, 1.0], dtype=torch.float64)
REST = torch.tensor([[0.0, 0.0, 0.0], [0.97, 0.0, 0.0]], dtype=torch.float64)


class Spring(nn.Module):
    """Two atoms that a spring of 0.97 angstrom joins."""

    def __init__(self) -> None:
        super().__init__()
        self.stiff = nn.Parameter(torch.tensor(STIFF))

    def energy_and_forces(self, positions, numbers, batch=None):
        apart = positions[1] - positions[0]
        length = apart.norm()
        pull = self.stiff * (length - 0.97) * apart / length
        return (0.5 * self.stiff * (length - 0.97) ** 2)[None], torch.stack([pull, -pull])


def push(x):
    energy, forces = Spring().double().energy_and_forces(x, None)
    return energy.sum().detach(), forces.detach()


STRETCHED = REST + torch.tensor([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0]], dtype=torch.float64)
STILL = torch.zeros(2, 3, dtype=torch.float64)
PERIOD_FS = 2 * math.pi / math.sqrt(STIFF * PER_DALTON * (1 / 16 + 1 / 1))


def after_a_period(steps):
    x, _, energies = verlet(push, STRETCHED, STILL, MASSES, PERIOD_FS / steps, steps)
    return float((x[1] - x[0]).norm() - 1.07), energies


def test_a_spring_comes_back_after_the_period_that_paper_says_and_the_error_is_of_second_order():
    few, many = abs(after_a_period(50)[0]), abs(after_a_period(100)[0])
    assert many < 1e-5
    swings = [float((after_a_period(n)[1] - after_a_period(n)[1][0]).abs().max()) for n in (50, 100)]
    assert 3.8 < swings[0] / swings[1] < 4.2
    assert few > 10 * many  # at the turning point the error of the place is of fourth order


def test_backwards_it_comes_back_to_where_it_began():
    x, v, _ = verlet(push, STRETCHED, STILL, MASSES, 0.5, 300)
    back, still, _ = verlet(push, x, v, MASSES, -0.5, 300)
    assert (back - STRETCHED).abs().max() < 1e-11
    assert still.abs().max() < 1e-12


def test_a_poor_integrator_is_found_out():
    """Euler's forward steps gain energy, step by step; velocity Verlet swings about the start."""
    x, v, first = STRETCHED, STILL, None
    for _ in range(400):
        energy, force = push(x)
        total = float(energy) + float((0.5 * MASSES[:, None] * v**2).sum() / PER_DALTON)
        first = total if first is None else first
        x, v = x + 0.25 * v, v + 0.25 * PER_DALTON * force / MASSES[:, None]
    _, _, kept = verlet(push, STRETCHED, STILL, MASSES, 0.25, 400)
    assert total > 1.2 * first
    assert float((kept - kept[0]).abs().max()) < 0.01 * first


class OfSpring(Calculator):
    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        energy, forces = push(torch.tensor(self.atoms.positions))
        self.results = {"energy": float(energy), "forces": forces.numpy()}


def test_positions_are_those_of_ase():
    atoms = Atoms("OH", STRETCHED.numpy(), masses=MASSES.numpy(), calculator=OfSpring())
    VelocityVerlet(atoms, timestep=0.5 * units.fs).run(40)
    ours, _, _ = verlet(push, STRETCHED, STILL, MASSES, 0.5, 40)
    assert np.abs(atoms.positions - ours.numpy()).max() < 1e-6  # constants of other years


def test_velocities_have_the_temperature_and_no_momentum():
    masses = torch.tensor([16.0, 1.0, 12.0] * 700, dtype=torch.float64)
    v = thermal_velocities(masses, 300.0, torch.Generator().manual_seed(0))
    kinetic = float((0.5 * masses[:, None] * v**2).sum() / PER_DALTON)
    assert kinetic == pytest.approx(1.5 * len(masses) * BOLTZMANN * 300, rel=0.05)
    assert (masses[:, None] * v).sum(0).abs().max() < 1e-10


def test_the_drift_is_told_for_every_step_and_the_potential_is_left_as_found():
    spring = Spring()
    found = energy_drift(spring, torch.tensor([8, 1]), REST, MASSES, steps_fs=(0.25, 0.5, 1.0), time_fs=100, points=25)
    assert dict(found.sizes) == {"step_fs": 3, "time_fs": 26}
    assert found["energy_change"].values[:, 0].tolist() == [0, 0, 0]
    swing = found["swing"].values
    assert 3 < swing[1] / swing[0] < 5
    assert 3 < swing[2] / swing[1] < 5
    assert np.abs(found["drift"].values).max() < 30 * swing[2]
    assert spring.stiff.dtype == torch.float32
    again = energy_drift(spring, torch.tensor([8, 1]), REST, MASSES, steps_fs=(0.25, 0.5, 1.0), time_fs=100, points=25)
    assert found.identical(again.assign_attrs(found.attrs))


class Wrong(Spring):
    """Forces that are not the slope of the energy."""

    def energy_and_forces(self, positions, numbers, batch=None):
        energy, forces = super().energy_and_forces(positions, numbers, batch)
        return energy, 1.3 * forces


def test_forces_that_are_no_gradient_are_found_out():
    given = torch.tensor([8, 1]), REST, MASSES
    right = energy_drift(Spring(), *given, steps_fs=(0.25,), time_fs=100, points=25)
    wrong = energy_drift(Wrong(), *given, steps_fs=(0.25,), time_fs=100, points=25)
    assert float(wrong["swing"][0]) > 20 * float(right["swing"][0])


class Wall(Spring):
    """A spring that refuses atoms nearer than 0.9 angstrom, as potentials refuse those that overlap."""

    def energy_and_forces(self, positions, numbers, batch=None):
        if float((positions[1] - positions[0]).norm()) < 0.9:
            raise ValueError("atoms overlap")
        return super().energy_and_forces(positions, numbers, batch)


def test_a_molecule_that_breaks_is_told_up_to_there_and_one_that_is_broken_is_refused():
    given = torch.tensor([8, 1]), STRETCHED, MASSES
    found = energy_drift(Wall(), *given, steps_fs=(0.25,), time_fs=100, points=100)
    change = found["energy_change"].values[0]
    assert np.isfinite(change[:3]).all()
    assert np.isnan(change[10:]).all()
    assert np.isnan(found["swing"].values).all()
    with pytest.raises(ValueError, match="atoms overlap"):
        energy_drift(Wall(), torch.tensor([8, 1]), 0.5 * REST, MASSES)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"steps_fs": (0.3,)}, r"0\.3 fs does not divide the 4 fs"),
        ({"steps_fs": (0.0,)}, "expected positive numbers"),
        ({"kelvin": float("nan")}, "kelvin holds nan"),
        ({"time_fs": 1e9, "points": 50}, "expected at most 100000"),
        ({"points": 0}, "points"),
    ],
)
def test_absurd_wishes_are_sentences(changed, said):
    with pytest.raises(ValueError, match=said):
        energy_drift(Spring(), torch.tensor([8, 1]), REST, MASSES, **{"steps_fs": (0.5,), "time_fs": 200.0, **changed})


def test_shapes_and_masses_are_checked():
    with pytest.raises(ValueError, match="of one molecule"):
        energy_drift(Spring(), torch.tensor([8]), REST, MASSES)
    with pytest.raises(ValueError, match="positions of type list were given"):
        energy_drift(Spring(), torch.tensor([8, 1]), REST.tolist(), MASSES)
    with pytest.raises(ValueError, match="atomic numbers of type int64"):
        energy_drift(Spring(), [8, 1], REST, MASSES)
    with pytest.raises(ValueError, match="masses positive"):
        energy_drift(Spring(), torch.tensor([8, 1]), REST, -MASSES)
    with pytest.raises(ValueError, match="the mass of element 92"):
        atomic_mass(92)


def test_masses_are_those_of_ase():
    from ase.data import atomic_masses

    assert [atomic_mass(z) for z in range(1, 37)] == pytest.approx(atomic_masses[1:37].tolist(), rel=1e-3)

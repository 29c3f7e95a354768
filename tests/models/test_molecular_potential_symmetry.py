"""A potential under the motions of space, another order of the atoms, and beside other molecules."""

import math

import pytest
import torch
from torch import Tensor

from tests.models.ethanol import (
    CELL,
    DTYPES,
    ENGINES,
    ETHANOL,
    EVERY,
    PLACES,
    SALT,
    SALT_PLACES,
    difference,
    jump,
    made,
    moved,
    pulled_and_turned,
)
from tests.tolerances import BROKEN, CUTOFF_JUMP, SPACE
from workbench.measure.motions import InField
from workbench.models.molecular_potential import NoNeighbourWarning


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lmax", EVERY)
@pytest.mark.parametrize("engine", ENGINES)
def test_energies_stay_and_forces_turn_with_the_molecule(engine: str, lmax: int, dtype: torch.dtype) -> None:
    model = made(lmax, dtype, engine=engine)
    turn, shift = moved()
    energy, forces = model.energy_and_forces(PLACES.to(dtype), ETHANOL)
    other, turned = model.energy_and_forces((PLACES @ turn.T + shift).to(dtype), ETHANOL)
    assert difference(other, energy) <= SPACE[dtype]
    assert difference(turned, forces.double() @ turn.T) <= SPACE[dtype]
    assert difference(turned, forces.double() @ turn) > 0.1
    assert difference(turned, -forces.double() @ turn.T) > 0.1


@pytest.mark.parametrize("which", ["axes permuted in one layer", "features of a vector with a handedness"])
def test_a_network_with_one_mistake_is_caught(which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = made(2)
    layer = model.convolutions[1]
    given = layer.forward

    def wrong(features: Tensor, edges, harmonics: Tensor, radial: Tensor, frames: None) -> Tensor:
        y = harmonics.clone()
        if which == "axes permuted in one layer":
            y[:, 1:4] = harmonics[:, [2, 3, 1]]
        else:
            y[:, 1:4] = harmonics[:, 1:4] * torch.linspace(-1, 1, 3, dtype=y.dtype)
        return given(features, edges, y, radial)

    monkeypatch.setattr(layer, "forward", wrong)
    turn, shift = moved()
    assert difference(model(PLACES @ turn.T + shift, ETHANOL) + 30, model(PLACES, ETHANOL) + 30) > 1e-4


@pytest.mark.parametrize("lmax", EVERY)
@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_pulls_or_turns_a_molecule_as_a_whole(engine: str, lmax: int) -> None:
    model = made(lmax, engine=engine)
    assert max(pulled_and_turned(model)) <= SPACE[torch.float64]
    assert min(pulled_and_turned(InField(model))) > BROKEN, "the twin: a field pulls and turns it"


def test_the_order_of_atoms_means_nothing_and_molecules_do_not_see_each_other() -> None:
    model = made()
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    energy, forces = model.energy_and_forces(PLACES, ETHANOL)
    other, mixed = model.energy_and_forces(PLACES[order], ETHANOL[order])
    assert difference(other, energy) <= SPACE[torch.float64]
    assert difference(mixed, forces[order]) <= SPACE[torch.float64]
    two = torch.cat([PLACES, PLACES[:3] + 0.4])  # in one place, in two molecules
    batch = torch.tensor([0] * 9 + [1] * 3)
    both, all_forces = model.energy_and_forces(two, torch.cat([ETHANOL, ETHANOL[:3]]), batch)
    assert difference(both[:1], energy) <= SPACE[torch.float64]
    assert difference(all_forces[:9], forces) <= SPACE[torch.float64]
    exchanged = model(PLACES, ETHANOL[[2, 1, 0, *range(3, 9)]])
    assert float((exchanged - energy).detach().abs()) > 1e-3  # an element in another's place is another molecule


def test_a_crystal_turns_with_its_cell_and_a_doubled_cell_holds_twice_the_energy() -> None:
    model = made()
    turn, shift = moved()
    energy, forces = model.energy_and_forces(SALT_PLACES, SALT, cell=CELL)
    other, turned = model.energy_and_forces(SALT_PLACES @ turn.T + shift, SALT, cell=CELL @ turn.T)
    assert difference(other, energy) <= SPACE[torch.float64]
    assert difference(turned, forces @ turn.T) <= SPACE[torch.float64]
    unturned = model(SALT_PLACES @ turn.T + shift, SALT, cell=CELL)
    assert float((unturned - energy).detach().abs()) > 1e-3
    long = CELL.clone()
    long[0, 1] *= 2
    places = torch.cat([SALT_PLACES, SALT_PLACES + CELL[0, 1]])
    twice, all_forces = model.energy_and_forces(places, SALT.repeat(2), cell=long)
    assert difference(twice, 2 * energy) <= SPACE[torch.float64]
    assert difference(all_forces, forces.repeat(2, 1)) <= SPACE[torch.float64]
    outside = model(SALT_PLACES + CELL[0, 0] - 2 * CELL[0, 2], SALT, cell=CELL)
    assert difference(outside, energy) <= SPACE[torch.float64]
    assert forces.sum(0).abs().max() <= SPACE[torch.float64]


@pytest.mark.parametrize("engine", ["dense-e3nn", "dense-so2"])
def test_dense_engines_are_symmetric_smooth_and_twice_differentiable(engine: str) -> None:
    model = made(2, engine=engine)
    turn, shift = moved()
    energy, forces = model.energy_and_forces(PLACES, ETHANOL)
    other, turned = model.energy_and_forces(PLACES @ turn.T + shift, ETHANOL)
    assert difference(other, energy) <= SPACE[torch.float64]
    assert difference(turned, forces @ turn.T) <= SPACE[torch.float64]
    assert jump(made(2, cutoff=2.0, engine=engine)) <= CUTOFF_JUMP
    with pytest.warns(NoNeighbourWarning):
        assert float(model(PLACES[:1], ETHANOL[:1]).detach()) == -3.0
    model.train().energy_and_forces(PLACES, ETHANOL)[1].square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def rings(sizes: tuple[int, ...], side: float = 1.4) -> Tensor:
    """Regular rings of atoms, far apart: every atom has two neighbours at one distance."""
    parts = []
    for number, size in enumerate(sizes):
        angle = 2 * math.pi * torch.arange(size, dtype=torch.float64) / size
        ring = torch.stack([angle.cos(), angle.sin(), torch.zeros_like(angle)], -1)
        parts.append(side / (2 * math.sin(math.pi / size)) * ring + 20.0 * number)
    return torch.cat(parts)


@pytest.mark.parametrize("lmax", EVERY)
def test_distances_alone_cannot_tell_two_triangles_from_a_hexagon(lmax: int) -> None:
    model, carbon = made(lmax, cutoff=2.0), torch.full((6,), 6)
    gap = float((model(rings((3, 3)), carbon) - model(rings((6,)), carbon)).detach().abs())
    assert (gap <= SPACE[torch.float64]) if lmax == 0 else (gap > 1e-4)
    assert float((model(rings((6,), 1.5), carbon) - model(rings((6,)), carbon)).detach().abs()) > 1e-4


@pytest.mark.parametrize("lmax", [0, 2])
def test_dipoles_turn_and_reflect_and_do_not_move(lmax: int) -> None:
    model = made(lmax, dipole=True)
    turn, shift = moved()
    still = model.dipole(PLACES, ETHANOL)
    assert difference(model.dipole(PLACES @ turn.T + shift, ETHANOL), still @ turn.T) <= SPACE[torch.float64]
    assert difference(model.dipole(PLACES, ETHANOL), still @ turn.T) > 0.1
    with pytest.warns(NoNeighbourWarning):
        assert float(model.dipole(PLACES[:1], ETHANOL[:1]).detach().abs().max()) == 0
    with pytest.raises(ValueError, match="dipole = True"):
        made(lmax).dipole(PLACES, ETHANOL)

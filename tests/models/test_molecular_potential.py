"""A potential of molecules: symmetric energies, forces that are their gradient, smoothness, and plain sentences."""

import copy
import functools
import math
import subprocess
import sys
import warnings

import pytest
import torch
from torch import Tensor, nn

from tests.tolerances import BROKEN, CUTOFF_JUMP, FORCE_DIFFERENCE, ONE_BIT, SPACE
from workbench.e3.irreps import default_dtype
from workbench.groups import O3
from workbench.measure.motions import InField
from workbench.models import build_model
from workbench.models.molecular_potential import DEMO_CHANNELS, MolecularPotential, NoNeighbourWarning, OfPoints, build

ETHANOL = torch.tensor([6, 6, 8, 1, 1, 1, 1, 1, 1])
PLACES = torch.tensor([
    [1.17, -0.40, 0.05], [0.02, 0.56, -0.03], [-1.19, -0.21, 0.04], [2.10, 0.13, -0.06], [1.15, -1.11, -0.79],
    [1.12, -0.95, 0.99], [0.04, 1.12, -0.97], [0.07, 1.29, 0.80], [-1.92, 0.38, -0.06],
], dtype=torch.float64)  # fmt: skip
DTYPES = [torch.float32, torch.float64]
EVERY = range(4)


@functools.cache
def built(lmax: int, dtype: torch.dtype, **options) -> MolecularPotential:
    torch.manual_seed(0)
    with default_dtype(dtype):
        model = build({"lmax": lmax, "channels": 4, "hidden": 8, **options}).eval()
    model.references[torch.tensor([1, 6, 8])] = torch.tensor([-0.5, -3.0, -7.0], dtype=dtype)
    return model


def made(lmax: int = 2, dtype: torch.dtype = torch.float64, **options) -> MolecularPotential:
    return copy.deepcopy(built(lmax, dtype, **options))


def moved(seed: int = 0) -> tuple[Tensor, Tensor]:
    """One element of O(3) with a point reflection, and a shift."""
    turn = O3().matrix(O3().sample(1, torch.Generator().manual_seed(seed), torch.float64))[0]
    return -turn if torch.linalg.det(turn) > 0 else turn, torch.tensor([3.0, -1.0, 2.0], dtype=torch.float64)


def difference(a: Tensor, b: Tensor) -> float:
    return float((a.double() - b.double()).detach().abs().max() / b.double().detach().abs().max())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lmax", EVERY)
@pytest.mark.parametrize("engine", ["e3nn", "dense-e3nn", "dense-so2"])
def test_energies_stay_and_forces_turn_with_the_molecule(engine: str, lmax: int, dtype: torch.dtype) -> None:
    model = made(lmax, dtype, engine=engine)
    turn, shift = moved()
    energy, forces = model.energy_and_forces(PLACES.to(dtype), ETHANOL)
    other, turned = model.energy_and_forces((PLACES @ turn.T + shift).to(dtype), ETHANOL)
    assert difference(other, energy) <= SPACE[dtype]
    assert difference(turned, forces.double() @ turn.T) <= SPACE[dtype]
    assert difference(turned, forces.double() @ turn) > 0.1
    assert difference(turned, -forces.double() @ turn.T) > 0.1


@pytest.mark.parametrize("engine", ["e3nn", "dense-e3nn", "dense-so2"])
def test_a_trained_model_turned_to_float64_is_the_one_built_there(engine: str) -> None:
    """Constants of another precision would stay at 6e-8, whatever the numbers are computed in; 3 layers need them."""
    single, exact = (made(3, dtype, engine=engine, layers=3) for dtype in DTYPES)
    double = copy.deepcopy(single).double()
    exact.load_state_dict(single.state_dict())
    expected = exact.energy_and_forces(PLACES, ETHANOL)[1]
    assert difference(double.energy_and_forces(PLACES, ETHANOL)[1], expected) <= SPACE[torch.float64]
    rounded = copy.deepcopy(double).float()
    given = rounded.energy_and_forces(PLACES.float(), ETHANOL)[1]
    assert torch.equal(given, single.energy_and_forces(PLACES.float(), ETHANOL)[1]), "and back"
    if engine == "e3nn":
        for convolution in double.convolutions:
            for name, constant in convolution.product.named_buffers():
                if "w3j" in name:
                    constant.copy_(constant.float())
        assert difference(double.energy_and_forces(PLACES, ETHANOL)[1], expected) > ONE_BIT / 10, "the twin"


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
@pytest.mark.parametrize("engine", ["e3nn", "dense-e3nn", "dense-so2"])
def test_forces_are_finite_differences_of_the_energy(engine: str, lmax: int) -> None:
    model, step = made(lmax, engine=engine), 1e-5
    forces = model.energy_and_forces(PLACES, ETHANOL)[1]
    shifts = step * torch.eye(27, dtype=torch.float64).view(27, 9, 3)
    many = torch.cat([PLACES + shifts, PLACES - shifts]).flatten(0, 1)
    batch = torch.arange(54).repeat_interleave(9)
    up, down = model(many, ETHANOL.repeat(54), batch).detach().view(2, 27)
    slope = -(up - down).view(9, 3) / (2 * step)
    assert (forces - slope).abs().max() <= FORCE_DIFFERENCE
    assert (forces + slope).abs().max() > 0.01


def pulled_and_turned(model: nn.Module) -> tuple[float, float]:
    """The sum of forces, eV/angstrom, and of torques, eV, each by its largest part."""
    forces = model.energy_and_forces(PLACES, ETHANOL)[1]
    torques = torch.linalg.cross(PLACES, forces)
    return float(forces.sum(0).abs().max()), float(torques.sum(0).abs().max())


@pytest.mark.parametrize("lmax", EVERY)
@pytest.mark.parametrize("engine", ["e3nn", "dense-e3nn", "dense-so2"])
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


def leaving(model: MolecularPotential, share: float) -> tuple[Tensor, Tensor]:
    """Carbon and oxygen at a distance of that share of the cutoff, beside a hydrogen that stays."""
    numbers = torch.tensor([6, 8, 1])
    places = torch.tensor([[0.0, 0, 0], [share * model.config.cutoff, 0, 0], [0.3, 1.0, 0]], dtype=torch.float64)
    return model.energy_and_forces(places, numbers)


def jump(model: MolecularPotential) -> float:
    inside, outside = (leaving(model, 1 + side * 5e-7) for side in (-1, 1))
    return max(float((a - b).abs().max()) for a, b in zip(inside, outside, strict=True))


def test_energy_and_forces_are_continuous_while_an_atom_passes_the_cutoff(monkeypatch: pytest.MonkeyPatch) -> None:
    assert jump(made(cutoff=2.0)) <= CUTOFF_JUMP
    from workbench.e3 import radial

    monkeypatch.setattr(radial, "envelope", lambda distance, cutoff, power: torch.ones_like(distance))
    assert jump(made(cutoff=2.0)) > 1e3 * CUTOFF_JUMP


def test_the_last_neighbour_leaves_smoothly_too() -> None:
    model, numbers = made(cutoff=2.0), torch.tensor([6, 8])
    places = torch.tensor([[0.0, 0, 0], [1.9999, 0, 0]], dtype=torch.float64)
    energy, forces = model.energy_and_forces(places, numbers)
    assert float((energy + 10).abs()) <= CUTOFF_JUMP
    assert float(forces.abs().max()) <= CUTOFF_JUMP


def test_an_atom_alone_has_its_reference_energy_and_no_force_and_this_is_said() -> None:
    model = made()
    with pytest.warns(NoNeighbourWarning, match="1 of 1 atoms have no neighbour within 5 angstrom"):
        energy, forces = model.energy_and_forces(PLACES[:1], ETHANOL[:1])
    assert float(energy) == -3.0
    assert torch.equal(forces, torch.zeros(1, 3, dtype=torch.float64))
    with pytest.warns(NoNeighbourWarning, match="2 of 5"):
        far = model(torch.cat([PLACES[:3], 50 + 20 * PLACES[:2]]), ETHANOL[[0, 1, 2, 0, 3]])
    assert float((far - model(PLACES[:3], ETHANOL[:3]) + 3.5).detach().abs()) <= SPACE[torch.float64]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.train().energy_and_forces(PLACES[:1], ETHANOL[:1])


CELL = torch.tensor([[[3.1, 0.0, 0.0], [0.9, 3.4, 0.0], [-0.4, 0.8, 2.9]]], dtype=torch.float64)
SALT, SALT_PLACES = torch.tensor([6, 8, 1]), torch.tensor(
    [[0.1, 0.2, 0.3], [1.6, 1.5, 1.4], [0.2, 1.9, 0.4]], dtype=torch.float64
)  # fmt: skip


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


def test_dense_engines_are_one_function_of_the_same_weights_and_train_alike() -> None:
    one, other = made(3, engine="dense-e3nn").train(), made(3, engine="dense-so2").train()
    other.load_state_dict(one.state_dict())
    for model in (one, other):
        energy, forces = model.energy_and_forces(PLACES, ETHANOL)
        (energy.sum() + forces.square().sum()).backward()
    assert difference(other(PLACES, ETHANOL), one(PLACES, ETHANOL)) <= SPACE[torch.float64]
    for mine, theirs in zip(one.parameters(), other.parameters(), strict=True):
        assert (mine.grad - theirs.grad).abs().max() <= SPACE[torch.float64] * (1 + mine.grad.abs().max())


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


def test_a_loss_of_forces_has_the_gradient_of_finite_differences() -> None:
    model = made(2).train()
    target = torch.randn(9, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def loss() -> Tensor:
        return (model.energy_and_forces(PLACES, ETHANOL)[1] - target).square().sum()

    loss().backward()
    for weight in (model.embedding.weight, model.convolutions[1].weights.layer0.weight, model.readout[1].weight):
        at, step = int(weight.grad.abs().argmax()), 1e-5
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                weight.view(-1)[at] += sign * step
            values.append(float(loss().detach()))
            with torch.no_grad():
                weight.view(-1)[at] -= sign * step
        expected = (values[0] - values[1]) / (2 * step)
        assert float(weight.grad.view(-1)[at]) == pytest.approx(expected, rel=FORCE_DIFFERENCE, abs=FORCE_DIFFERENCE)


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


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_forces_are_there_where_gradients_are_switched_off(context) -> None:
    model = made()
    expected = model.energy_and_forces(PLACES, ETHANOL)
    with context():
        given = model.energy_and_forces(PLACES.clone(), ETHANOL.clone())
    assert torch.equal(given[1], expected[1])
    assert not given[0].requires_grad
    assert not expected[1].requires_grad
    assert model.train().energy_and_forces(PLACES, ETHANOL)[1].requires_grad


def test_the_four_demo_networks_have_one_size() -> None:
    sizes = [sum(p.numel() for p in build({"lmax": lmax}).parameters()) for lmax in DEMO_CHANNELS]
    assert max(sizes) <= 1.1 * min(sizes)
    assert sizes == [5128, 5080, 5175, 5234]


def test_weights_are_kept_and_read_again(tmp_path) -> None:
    from safetensors.torch import load_file, save_file

    model = made()
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, tmp_path / "weights.safetensors")
    with default_dtype(torch.float64):
        again = build_model({"name": "molecular_potential", "lmax": 2, "channels": 4, "hidden": 8}).eval()
    again.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(again(PLACES, ETHANOL), model(PLACES, ETHANOL))


BAD_SETTINGS = [
    ({"lmax": 4}, "from 0 to 3"), ({"lmax": 13}, "from 0 to 3"), ({"lmax": True}, "from 0 to 3"),
    ({"lmax": [1]}, "from 0 to 3"), ({"channels": -1}, "positive integer"), ({"layers": 0}, "positive integer"),
    ({"cutoff": 0.0}, "positive number"), ({"cutoff": "far"}, "finite number"), ({"engine": "fast"}, "expected"),
    ({"elements": ()}, "atomic numbers"), ({"elements": (1, 1)}, "different"), ({"elements": (0,)}, "1 to 118"),
    ({"elements": 7}, "atomic numbers"), ({"average_neighbours": 0.0}, "positive"), ({"widths": 3}, "expected only"),
    ({"dipole": 1}, "True or False"), ({"preset": "paper"}, "expected one of demo"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "sentence"), BAD_SETTINGS, ids=[str(given) for given, _ in BAD_SETTINGS])
def test_settings_that_cannot_be_get_a_sentence(given: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        build(given)


def broken(row: int, value: float) -> Tensor:
    places = PLACES.clone()
    places[row, 0] = value
    return places


BAD = [
    ((broken(4, math.nan), ETHANOL), "point 4 is the first"), ((broken(4, math.inf), ETHANOL), "infinite"),
    ((PLACES, ETHANOL.float()), "int64"), ((PLACES, ETHANOL[:8]), r"\(9,\) atomic numbers"),
    ((PLACES, ETHANOL + 73), "atomic numbers 74, 79, 81 were given; this network knows 1, 3, 4"),
    ((PLACES, ETHANOL * 0), "atomic numbers 0 "), ((PLACES, -ETHANOL), "-8, -6, -1"),
    ((PLACES, ETHANOL + 10**9), "knows"), ((PLACES.float(), ETHANOL), r"use positions.to\(torch.float64\)"),
    ((PLACES[:, :2], ETHANOL), r"\(N, 3\)"), ((PLACES[:0], ETHANOL[:0]), "N at least 1"),
    ((0.05 * PLACES, ETHANOL), "angstrom apart; expected at least 0.2"),
    ((torch.cat([PLACES, PLACES[3:4]]), ETHANOL[[*range(9), 3]]), "atoms 3 and 9 are 0 angstrom apart"),
    (
        (torch.cat([SALT_PLACES, SALT_PLACES[:1] + CELL[0, 0] + 0.05]), SALT[[0, 1, 2, 0]], None, CELL),
        "atoms 0 and 3 are 0.087 angstrom apart",
    ),
    ((PLACES, ETHANOL, torch.zeros(9)), "int64"),
    ((PLACES, ETHANOL, None, torch.eye(3, dtype=torch.float64)), "unsqueeze"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "sentence"), BAD, ids=[sentence for _, sentence in BAD])
def test_molecules_that_cannot_be_get_a_sentence(given: tuple, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        made().energy_and_forces(*given)


def test_point_sets_of_another_width_get_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"\(B, N, 4\)"):
        OfPoints(made())(PLACES[None])
    with pytest.raises(ValueError, match="energy, forces, dipole"):
        OfPoints(made(), "stress")
    distances = build_model({"name": "orientation_potential", "grid": "distances"})
    with pytest.raises(ValueError, match="OrientationPotential, which gives no dipoles; expected energy or forces"):
        OfPoints(distances, "dipole")
    assert (
        OfPoints(distances.double().eval(), "forces")(torch.cat([PLACES, ETHANOL[:, None]], 1)[None]).isfinite().all()
    )
    for wrong, said in ((6.4, "6.4 was given as the atomic number of atom 1"), (math.nan, "NaN was given")):
        points = torch.cat([PLACES, ETHANOL[:, None]], 1)
        points[1, 3] = wrong
        with pytest.raises(ValueError, match=said):
            OfPoints(made())(points[None])


def test_looking_at_models_does_not_load_e3nn() -> None:
    program = """
import sys
from workbench.models import methods
import workbench.models.molecular_potential, workbench.e3, workbench.e3.graphs
methods()
print("e3nn" in sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert ran.stdout.strip() == "False"

"""A potential of molecules: forces that are the gradient of the energy, smoothness, and plain sentences."""

import copy
import math
import subprocess
import sys
import warnings

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
)
from tests.tolerances import CUTOFF_JUMP, FORCE_DIFFERENCE, ONE_BIT, SPACE
from workbench.e3.irreps import default_dtype
from workbench.models import build_model
from workbench.models.molecular_potential import DEMO_CHANNELS, NoNeighbourWarning, OfPoints, build


@pytest.mark.parametrize("engine", ENGINES)
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


@pytest.mark.parametrize("lmax", EVERY)
@pytest.mark.parametrize("engine", ENGINES)
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


def test_dense_engines_are_one_function_of_the_same_weights_and_train_alike() -> None:
    one, other = made(3, engine="dense-e3nn").train(), made(3, engine="dense-so2").train()
    other.load_state_dict(one.state_dict())
    for model in (one, other):
        energy, forces = model.energy_and_forces(PLACES, ETHANOL)
        (energy.sum() + forces.square().sum()).backward()
    assert difference(other(PLACES, ETHANOL), one(PLACES, ETHANOL)) <= SPACE[torch.float64]
    for mine, theirs in zip(one.parameters(), other.parameters(), strict=True):
        assert (mine.grad - theirs.grad).abs().max() <= SPACE[torch.float64] * (1 + mine.grad.abs().max())


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

"""A potential over positions and orientations: which rotations it knows, its forces, turns in training, its claims."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.models.ethanol import jump, pulled_and_turned
from tests.tolerances import BROKEN, CUTOFF_JUMP, FORCE_DIFFERENCE, SPACE
from workbench.groups import SO3
from workbench.groups.orientations import icosahedral_rotations
from workbench.layers import orientation_kernels
from workbench.measure.motions import InField
from workbench.models import build_model
from workbench.models.molecular_potential import NoNeighbourWarning
from workbench.models.orientation_potential import METHOD, OrientationPotential, build
from workbench.training import load_claims
from workbench.training.verdicts import verdicts

ETHANOL = torch.tensor([6, 6, 8, 1, 1, 1, 1, 1, 1])
PLACES = torch.tensor([
    [1.17, -0.40, 0.05], [0.02, 0.56, -0.03], [-1.19, -0.21, 0.04], [2.10, 0.13, -0.06], [1.15, -1.11, -0.79],
    [1.12, -0.95, 0.99], [0.04, 1.12, -0.97], [0.07, 1.29, 0.80], [-1.92, 0.38, -0.06],
], dtype=torch.float64)  # fmt: skip
SHIFT = torch.tensor([3.0, -1.0, 2.0], dtype=torch.float64)
SIXTY = SO3().matrix(icosahedral_rotations(torch.float64))
OTHER = SO3().matrix(SO3().sample(1, torch.Generator().manual_seed(0), torch.float64))[0]


def made(grid: str = "icosahedron", dtype: torch.dtype = torch.float64, **options) -> OrientationPotential:
    torch.manual_seed(0)
    model = build({"grid": grid, "channels": 6, **options}).to(dtype).eval()
    model.references[torch.tensor([1, 6, 8])] = torch.tensor([-0.5, -3.0, -7.0], dtype=dtype)
    return model


def off(model: nn.Module, turn: Tensor) -> float:
    """How far forces are from turning along and the energy from staying, the larger as a share of its own."""
    poses = PLACES, PLACES @ turn.T + SHIFT
    still, turned = (model.energy_and_forces(pose.to(model.references), ETHANOL) for pose in poses)
    expected = still[0].double(), still[1].double() @ turn.T
    return max(float((a.double() - b).detach().norm() / b.norm()) for a, b in zip(turned, expected, strict=True))


@pytest.mark.parametrize("dtype", list(SPACE), ids=str)
def test_rotations_of_the_icosahedron_are_exact_on_its_grids_and_all_are_on_distances(dtype):
    bound = SPACE[dtype]
    for grid in ("icosahedron", "dodecahedron", "icosahedral(32)"):
        assert off(made(grid, dtype), SIXTY[7]) <= bound, grid
    assert off(made("distances", dtype), OTHER) <= bound
    assert off(made("icosahedron", dtype), OTHER) > 1e-4, "the twin: a rotation that does not permute the grid"
    assert off(made("fibonacci(12)", dtype), SIXTY[7]) > 1e-4, "the twin: a grid that it does not permute"


@pytest.mark.parametrize("grid", ["distances", "icosahedron", "dodecahedron", "fibonacci(12)"])
def test_nothing_pulls_a_molecule_as_a_whole_and_distances_alone_never_turn_it(grid):
    model = made(grid)
    pulled, turned = pulled_and_turned(model)
    assert pulled <= SPACE[torch.float64]
    assert (turned <= SPACE[torch.float64]) if grid == "distances" else (turned > 1e3 * SPACE[torch.float64])
    assert min(pulled_and_turned(InField(model))) > BROKEN, "the twin: a field pulls and turns it"


@pytest.mark.parametrize("grid", ["distances", "dodecahedron"])
def test_energy_and_forces_are_continuous_while_an_atom_passes_the_cutoff(grid, monkeypatch):
    assert jump(made(grid, cutoff=2.0)) <= CUTOFF_JUMP
    monkeypatch.setattr(orientation_kernels, "window", torch.ones_like)
    assert jump(made(grid, cutoff=2.0)) > 1e3 * CUTOFF_JUMP, "the twin: kernels that do not fade"


@pytest.mark.parametrize("grid", ["distances", "dodecahedron"])
def test_forces_are_finite_differences_of_the_energy(grid):
    model, step = made(grid), 1e-5
    forces = model.energy_and_forces(PLACES, ETHANOL)[1]
    shifts = step * torch.eye(27, dtype=torch.float64).view(27, 9, 3)
    many = torch.cat([PLACES + shifts, PLACES - shifts]).flatten(0, 1)
    up, down = model(many, ETHANOL.repeat(54), torch.arange(54).repeat_interleave(9)).detach().view(2, 27)
    slope = -(up - down).view(9, 3) / (2 * step)
    assert (forces - slope).abs().max() <= FORCE_DIFFERENCE
    assert (forces + slope).abs().max() > 100 * FORCE_DIFFERENCE, "the twin: the other sign"


def test_the_order_of_atoms_means_nothing_and_molecules_do_not_see_each_other():
    model = made()
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    energy, forces = model.energy_and_forces(PLACES, ETHANOL)
    mixed = model.energy_and_forces(PLACES[order], ETHANOL[order])
    assert torch.allclose(mixed[0], energy, atol=0, rtol=SPACE[torch.float64])
    assert torch.allclose(mixed[1], forces[order], rtol=0, atol=SPACE[torch.float64])
    two, batch = torch.cat([PLACES, PLACES[:3] + 0.4]), torch.tensor([0] * 9 + [1] * 3)
    both = model.energy_and_forces(two, torch.cat([ETHANOL, ETHANOL[:3]]), batch)
    assert torch.allclose(both[0][:1], energy, atol=0, rtol=SPACE[torch.float64])
    assert torch.allclose(both[1][:9], forces, rtol=0, atol=SPACE[torch.float64])
    assert float((model(PLACES, ETHANOL[[2, 1, 0, *range(3, 9)]]) - energy).detach().abs()) > 1e-4


def test_an_atom_alone_has_its_reference_energy_and_is_reached_smoothly():
    model = made(cutoff=2.0)
    with pytest.warns(NoNeighbourWarning, match="1 of 1 atoms have no neighbour within 2 angstrom"):
        energy, forces = model.energy_and_forces(PLACES[:1], ETHANOL[:1])
    assert float(energy) == -3.0
    assert torch.equal(forces, torch.zeros(1, 3, dtype=torch.float64))
    places = torch.tensor([[0.0, 0, 0], [1.9999, 0, 0]], dtype=torch.float64)
    energy, forces = model.energy_and_forces(places, torch.tensor([6, 8]))
    assert float((energy + 10).abs()) <= CUTOFF_JUMP
    assert float(forces.abs().max()) <= CUTOFF_JUMP


def test_turns_happen_in_training_alone_and_forces_come_back_into_the_given_pose():
    exact = made("distances", turned=True)
    still = exact.energy_and_forces(PLACES, ETHANOL)[1]
    exact.network.calibrated.fill_(True)  # no scaling of the first weights
    assert torch.allclose(exact.train().energy_and_forces(PLACES, ETHANOL)[1], still, rtol=0, atol=SPACE[torch.float64])
    turned, plain = made(turned=True).train(), made().train()
    assert not torch.equal(*(turned.energy_and_forces(PLACES, ETHANOL)[1] for _ in range(2)))
    plain.energy_and_forces(PLACES, ETHANOL)
    assert torch.equal(*(plain.energy_and_forces(PLACES, ETHANOL)[1] for _ in range(2)))
    assert torch.equal(turned.eval()(PLACES, ETHANOL), turned(PLACES, ETHANOL))


def test_a_loss_of_forces_reaches_every_weight():
    model = made("icosahedral(32)").train()
    model.energy_and_forces(PLACES, ETHANOL)[1].square().sum().backward()
    silent = {name for name, p in model.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()}
    constants = {"network.read.bias", "network.blocks.1.mix.3.bias"}
    assert silent <= constants, "what is the same for all atoms falls out, as they are counted from being alone"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"grid": "edges"}, "jump at the cutoff"),
        ({"grid": "cube"}, "cube"), ({"turned": 1}, "turned = 1"), ({"channels": 0}, "channels = 0"),
        ({"cutoff": math.nan}, "cutoff = nan"), ({"elements": (6, 6)}, "different atomic numbers"),
        ({"elements": ()}, "elements"), ({"lmax": 1}, "lmax was given"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_get_a_sentence(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        build_model({"name": "orientation_potential", **given})


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ((PLACES, ETHANOL[:3]), r"\(9,\) atomic numbers"), ((PLACES.float(), ETHANOL), "use positions.to"),
        ((PLACES, ETHANOL + 1), "7, 9"), ((PLACES * math.nan, ETHANOL), "NaN"), ((PLACES[:0], ETHANOL[:0]), "expected"),
        ((PLACES, ETHANOL.double()), "int64"), ((PLACES, ETHANOL - 100), "atomic numbers"),
    ],
)  # fmt: skip
def test_molecules_that_cannot_be_get_a_sentence(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        made("distances")(*given)


# ---- the stored results


@pytest.fixture(scope="module")
def claims():
    return load_claims(METHOD)


def test_all_networks_are_stored_with_several_seeds(claims):
    assert claims["experiment"].values.tolist() == [experiment.name for experiment in METHOD.experiments]
    assert claims.sizes["seed"] >= 3
    assert claims.attrs["fast"] == "false"
    assert bool(np.isfinite(claims["pose_force_mae"]).all())


@pytest.mark.parametrize("at", range(len(METHOD.claims)), ids=[claim.id for claim in METHOD.claims])
def test_a_stored_claim_lies_in_its_band(claims, at):
    found = verdicts(claims, METHOD)[at]
    assert found.in_band, (found.claim, found.mean, found.band)


def test_a_claim_hears_of_other_results(claims):
    """The twins: networks exchanged, and poses."""
    names, poses = claims["experiment"].values.tolist(), claims["pose"].values.tolist()
    for wrong in (
        claims.sel(experiment=names[::-1]).assign_coords(experiment=names),
        claims.sel(pose=poses[::-1]).assign_coords(pose=poses),
    ):
        lost = {row.claim for row in verdicts(wrong, METHOD) if not row.in_band}
        assert len(lost) >= 3, lost

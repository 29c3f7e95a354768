"""A network of coordinates made symmetric from outside: which ways are exact, its forces, its refusals, its claims."""

import numpy as np
import pytest
import torch

from tests.models.ethanol import pulled_and_turned
from tests.models.test_orientation_potential import ETHANOL, OTHER, PLACES, SHIFT, off
from tests.tolerances import BROKEN, FORCE_DIFFERENCE, SPACE
from workbench.measure.motions import InField
from workbench.models import build_model
from workbench.models.symmetrised_potential import METHOD, SymmetrisedPotential, build
from workbench.training import load_claims
from workbench.training.verdicts import verdicts


def made(way: str, dtype: torch.dtype = torch.float64, **options) -> SymmetrisedPotential:
    torch.manual_seed(0)
    model = build({"way": way, "hidden": 8, **options}).to(dtype).eval()
    model.references[torch.tensor([1, 6, 8])] = torch.tensor([-0.5, -3.0, -7.0], dtype=dtype)
    return model


@pytest.mark.parametrize("dtype", list(SPACE), ids=str)
def test_frames_and_one_pose_are_exact_and_bare_coordinates_are_not(dtype):
    assert off(made("frames", dtype), OTHER) <= SPACE[dtype]
    assert off(made("pose", dtype), OTHER) <= SPACE[dtype]
    assert off(made("coordinates", dtype), OTHER) > 0.1, "the twin"


@pytest.mark.parametrize("way", ["frames", "pose"])
def test_nothing_pulls_or_turns_a_molecule_as_a_whole(way):
    assert max(pulled_and_turned(made(way))) <= SPACE[torch.float64]
    assert min(pulled_and_turned(InField(made(way)))) > BROKEN, "the twin: a field pulls and turns it"
    assert pulled_and_turned(made("coordinates"))[1] > 1e3 * SPACE[torch.float64], (
        "the twin: bare coordinates know a direction"
    )


@pytest.mark.parametrize("way", ["coordinates", "frames", "pose"])
def test_forces_are_finite_differences_of_the_energy_with_the_slopes_of_the_frames(way):
    model, step = made(way), 1e-5
    shifts = step * torch.eye(27, dtype=torch.float64).view(27, 9, 3)
    many = torch.cat([PLACES + shifts, PLACES - shifts]).flatten(0, 1)
    up, down = model(many, ETHANOL.repeat(54), torch.arange(54).repeat_interleave(9)).detach().view(2, 27)
    slope = -(up - down).view(9, 3) / (2 * step)
    assert (model.energy_and_forces(PLACES, ETHANOL)[1] - slope).abs().max() <= FORCE_DIFFERENCE
    if way == "frames":
        model.network.detach = True
        detached = model.energy_and_forces(PLACES, ETHANOL)[1]
        assert (detached - slope).abs().max() > 100 * FORCE_DIFFERENCE, "the twin: frames without slopes"


def test_molecules_of_a_batch_may_come_in_any_order_of_their_numbers():
    model = made("frames")
    one, two = model(PLACES, ETHANOL), model(PLACES * 1.1, ETHANOL)
    mixed = torch.stack([PLACES * 1.1, PLACES], 1).flatten(0, 1)
    both = model(mixed, ETHANOL.repeat_interleave(2), torch.tensor([1, 0]).repeat(9))
    assert torch.allclose(both, torch.cat([one, two]), atol=0, rtol=SPACE[torch.float64])
    assert float((one - two).detach().abs()) > 1e-6


def test_an_atom_alone_has_its_reference_energy():
    energy, forces = made("pose").energy_and_forces(PLACES[:2], ETHANOL[[0, 2]], torch.arange(2))
    assert energy.tolist() == [-3.0, -7.0]
    assert torch.equal(forces, torch.zeros(2, 3, dtype=torch.float64))


def test_turns_happen_in_training_alone():
    model = made("coordinates", turned=True).train()
    assert not torch.equal(model(PLACES, ETHANOL), model(PLACES, ETHANOL))
    model.eval()
    assert torch.equal(model(PLACES, ETHANOL), model(PLACES, ETHANOL))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"way": "poses"}, "use 'pose'"), ({"turned": None}, "turned = None"), ({"hidden": -1}, "hidden = -1"),
        ({"atoms": (8, 1)}, "at least three"), ({"atoms": "HHO"}, "atoms = 'HHO'"), ({"grid": 1}, "grid was given"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_get_a_sentence(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        build_model({"name": "symmetrised_potential", **given})


def test_a_linear_molecule_has_an_energy_in_frames_and_no_forces():
    model = build({"way": "frames", "atoms": (8, 6, 8)}).double().eval()
    positions = torch.tensor([[-1.16, 0, 0], [0, 0, 0], [1.16, 0, 0]], dtype=torch.float64)
    assert torch.isfinite(model(positions, torch.tensor([8, 6, 8]))).all()
    with pytest.raises(ValueError, match="energy has no slope.*average over a group"):
        model.energy_and_forces(positions, torch.tensor([8, 6, 8]))
    bent = positions + torch.tensor([[0, 0, 0], [0, 0.1, 0], [0, 0, 0.05]])
    assert torch.isfinite(model.energy_and_forces(bent, torch.tensor([8, 6, 8]))[1]).all()


def test_other_molecules_get_a_sentence():
    model = made("frames")
    for numbers in (ETHANOL[[2, 1, 0, *range(3, 9)]], ETHANOL[:8]):
        with pytest.raises(ValueError, match="knows one molecule"):
            model(PLACES[: len(numbers)], numbers)
    with pytest.raises(ValueError, match="a symmetric cloud has no single frame"):
        made("pose")(torch.arange(9.0, dtype=torch.float64)[:, None] * SHIFT, ETHANOL)


# ---- the stored results


@pytest.fixture(scope="module")
def claims():
    return load_claims(METHOD)


def test_all_networks_are_stored_with_several_seeds(claims):
    assert claims["experiment"].values.tolist() == [experiment.name for experiment in METHOD.experiments]
    assert claims.sizes["seed"] >= 3
    assert claims.attrs["fast"] == "false"
    assert len({str(e.training) for e in METHOD.experiments}) == 1, "one recipe for all"
    assert len(np.unique(claims["parameters"])) == 1, "and one network"


@pytest.mark.parametrize("at", range(len(METHOD.claims)), ids=[claim.id for claim in METHOD.claims])
def test_a_stored_claim_lies_in_its_band(claims, at):
    found = verdicts(claims, METHOD)[at]
    assert found.in_band, (found.claim, found.mean, found.band)


def test_a_claim_hears_of_other_results(claims):
    names = claims["experiment"].values.tolist()
    exchanged = claims.sel(experiment=names[::-1]).assign_coords(experiment=names)
    assert len([row for row in verdicts(exchanged, METHOD) if not row.in_band]) >= 3

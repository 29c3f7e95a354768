"""What all potentials share: where they warn, work without gradients, and refuse molecules in a sentence."""

import warnings

import pytest
import torch
from torch import nn

from tests.models.test_orientation_potential import ETHANOL, PLACES
from workbench.models import build_model
from workbench.models._energies import OVERLAP, NoNeighbourWarning

SETTINGS = {
    "molecular_potential": {"lmax": 1, "channels": 4}, "orientation_potential": {"grid": "distances", "channels": 4},
    "symmetrised_potential": {"way": "frames", "hidden": 8},
}  # fmt: skip
ALL = tuple(SETTINGS)
TWO, BATCH = torch.cat([PLACES, PLACES]), torch.arange(2).repeat_interleave(9)


def made(name: str) -> nn.Module:
    torch.manual_seed(0)
    return build_model({"name": name, **SETTINGS[name]}).double().eval()


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("apart", [0.0, 0.01])
def test_atoms_that_overlap_within_a_molecule_are_named(name, apart):
    """The same molecule twice in one place is no overlap."""
    model, places = made(name), TWO.clone()
    model.energy_and_forces(places, ETHANOL.repeat(2), BATCH)
    places[17] = places[12] + torch.tensor([apart, 0.0, 0.0])
    for ask in (model, model.energy_and_forces, model.train().energy_and_forces):
        with pytest.raises(ValueError, match=f"atoms 12 and 17 are {apart:g} angstrom apart; expected at least 0.2"):
            ask(places, ETHANOL.repeat(2), BATCH)
    places[17] = places[12] + torch.tensor([1.01 * OVERLAP, 0.0, 0.0])
    model.eval().energy_and_forces(places, ETHANOL.repeat(2), BATCH)


def test_atoms_that_overlap_are_named_as_given_where_molecules_are_mixed():
    places, order = TWO.clone(), torch.arange(18).view(2, 9).T.flatten()
    places[17] = places[12]
    with pytest.raises(ValueError, match="atoms 7 and 17 are 0 angstrom apart"):
        made("symmetrised_potential")(places[order], ETHANOL.repeat(2)[order], BATCH[order])


@pytest.mark.parametrize("name", ALL[:2])
def test_atoms_without_a_neighbour_are_told_of_except_in_training(name):
    model, far = made(name), torch.cat([PLACES[:3], 50 + 20 * PLACES[:2]])
    numbers = ETHANOL[[0, 1, 2, 0, 3]]
    with pytest.warns(NoNeighbourWarning, match="2 of 5 atoms have no neighbour within 5 angstrom"):
        model.energy_and_forces(far, numbers)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.energy_and_forces(PLACES, ETHANOL)
        model.train().energy_and_forces(far, numbers)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_forces_are_there_where_gradients_are_switched_off(name, context):
    model = made(name)
    expected = model.energy_and_forces(PLACES, ETHANOL, torch.zeros(9).long())
    with context():
        given = model.energy_and_forces(PLACES.clone(), ETHANOL.clone(), torch.zeros(9).long())
    assert all(map(torch.equal, given, expected))
    assert not any(x.requires_grad for x in (*given, *expected))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ((PLACES.long(), ETHANOL), r"positions of dtype torch.int64 .* expected a floating tensor"),
        ((PLACES.tolist(), ETHANOL), "positions of type list .* use torch.tensor"),
        ((PLACES.numpy(), ETHANOL), "positions of type ndarray .* use torch.from_numpy"),
        ((PLACES.to("meta"), ETHANOL), "on the device 'meta'"), ((None, ETHANOL), "positions of type NoneType"),
        ((PLACES, ETHANOL.tolist()), r"numbers of type list .* expected \(9,\) atomic numbers of type int64"),
        ((PLACES, ETHANOL.numpy()), "numbers of type ndarray"), ((PLACES, ETHANOL.int()), "type torch.int32 were"),
        ((PLACES, ETHANOL[:8]), r"numbers of shape \(8,\)"), ((PLACES.float(), ETHANOL), "use positions.to"),
        ((PLACES, ETHANOL + 80), "81, 86, 88 were given"), ((PLACES[:, 0], ETHANOL), r"expected \(N, 3\)"),
        ((PLACES, ETHANOL, [0] * 9), "batch of shape list"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)  # fmt: skip
def test_what_is_no_molecule_gets_a_sentence_in_every_potential(name, given, sentence):
    for ask in (made(name), made(name).energy_and_forces):
        with pytest.raises(ValueError, match=sentence):
            ask(*given)


@pytest.mark.parametrize("name", ALL[1:])
def test_networks_of_open_molecules_refuse_a_cell(name):
    cell = 9 * torch.eye(3, dtype=torch.float64)[None]
    for ask in (made(name), made(name).energy_and_forces):
        with pytest.raises(ValueError, match="a periodic cell was given.* take the Lattice away, set pbc to False"):
            ask(PLACES, ETHANOL, None, cell)
        ask(PLACES, ETHANOL, batch=None, cell=None)
    assert made("molecular_potential")(PLACES, ETHANOL, cell=cell).isfinite()

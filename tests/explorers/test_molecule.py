"""The explorer of molecules: forces turn along, a reader's own .xyz is shown, and what is no molecule is refused."""

from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

from tests.explorers.promises import keeps_every_promise
from tests.tolerances import EXACT
from workbench.datasets.molecule import Molecule
from workbench.explorers._potentials import bonds, potential
from workbench.explorers.molecule import MoleculeExplorer

WATER = b"3\nmine\nO 0.0 0.0 0.12\nH 0.0 0.8 -0.48\nH 0.0 -0.76 -0.48\n"
EQUAL = 20 * EXACT[torch.float32]


def test_it_keeps_every_promise_of_an_explorer(tmp_path: Path) -> None:
    other = {"species": "H2O", "potential": "untrained", "angle_deg": 200.0, "mirrored": True, "arrow": 0.5}
    keeps_every_promise(MoleculeExplorer(potential="untrained"), tmp_path, **other)


@pytest.mark.parametrize("mirrored", [False, True])
def test_positions_and_both_forces_turn_together_and_the_energy_stays(mirrored: bool) -> None:
    upright = MoleculeExplorer(angle_deg=0).dataset()
    turned = MoleculeExplorer(angle_deg=110, mirrored=mirrored).dataset()
    # The turn that leads from one to the other, found from the positions alone.
    u, _, vt = np.linalg.svd(upright["positions"].values.T @ turned["positions"].values)
    turn = u @ vt
    assert np.linalg.det(turn) == pytest.approx(-1 if mirrored else 1)
    for name in ("positions", "forces", "reference"):
        scale = np.abs(upright[name].values).max()
        assert np.abs(upright[name].values @ turn - turned[name].values).max() < EQUAL * scale
    assert abs(float(turned["energy_turned_by"])) < 1  # meV, of a few hundred eV in float32
    assert float(turned["error_here"]) < EQUAL


def test_n2_the_errors_of_all_motions_stand_near_the_floor_and_are_the_same_in_every_pose() -> None:
    first, second = (MoleculeExplorer(angle_deg=angle).dataset() for angle in (10, 250))
    assert first["error"].equals(second["error"])
    assert float(first["error_max"].max()) < 100 * float(first["floor"]) < 1e-3


def test_the_trained_network_knows_the_forces_better_than_the_untrained_one() -> None:
    trained, untrained = (
        float(MoleculeExplorer(potential=name).dataset()["force_mae"]) for name in ("g2_ethanol", "untrained")
    )
    assert trained < untrained / 3


def test_a_molecule_of_ones_own_is_shown_without_a_reference(tmp_path: Path) -> None:
    path = tmp_path / "mine.xyz"
    path.write_bytes(WATER)
    for given in (path, WATER):
        explorer = MoleculeExplorer()
        explorer.set_molecule(given)
        ds = explorer.dataset()
        assert (ds.attrs["formula"], ds.sizes["atom"]) == ("H2O", 3)
        assert np.isnan(ds["reference"].values).all()
        assert np.isfinite(ds["forces"].values).all()
        figure = go.Figure(explorer.figure_dict())
        assert sum(trace.type == "cone" for trace in figure.data) == 1
        assert f"of rounding alone {float(ds['floor']):.1e}" in figure.layout.annotations[0].text
        assert dict(explorer.controls()[0].options)["your own molecule"] == explorer.species
    explorer.set(species="NH3")
    assert explorer.dataset().attrs["formula"] != "H2O"  # another choice of the menu leads back to what is stored
    explorer.set_molecule(None)
    explorer.set(species="CH3CH2OH")
    assert explorer.dataset().attrs["formula"] == "C2H6O"


def test_what_is_no_molecule_or_too_much_of_one_is_refused_and_changes_nothing() -> None:
    explorer = MoleculeExplorer()
    crowd = Molecule(np.full(300, 6), np.random.default_rng(0).normal(size=(300, 3)) * 50)
    cell = Molecule(np.array([8]), np.zeros((1, 3)), cell=np.eye(3) * 9)
    for given, said in ((b"", "is empty"), (crowd, "at most 200"), (cell, "periodic cell")):
        with pytest.raises(ValueError, match=said):
            explorer.set_molecule(given)
    with pytest.raises(TypeError, match=r"expected the path of an \.xyz file"):
        explorer.set_molecule(3)
    assert not explorer.attached


def test_one_atom_has_its_reference_energy_and_no_force() -> None:
    explorer = MoleculeExplorer()
    explorer.set_molecule(b"1\n\nO 0 0 0\n")
    ds = explorer.dataset()
    assert float(np.abs(ds["forces"].values).max()) == 0
    assert float(ds["energy"]) == pytest.approx(float(potential("g2_ethanol").get_buffer("references")[8]))


def test_bonds_are_found_by_their_length() -> None:
    ethanol = MoleculeExplorer(rattled=False).dataset()
    assert ethanol.sizes["bond"] == 8
    assert len(bonds(np.array([1]), np.zeros((1, 3)))) == 0

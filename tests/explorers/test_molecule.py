"""The explorer of molecules: forces turn along, a reader's own .xyz is shown, and what is no molecule is refused."""

from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
from ase import Atoms

from tests.explorers.promises import keeps_every_promise
from tests.tolerances import AGAIN, BROKEN, EXACT, SEPARATION
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
    assert np.linalg.det(turn) == pytest.approx(-1 if mirrored else 1, rel=AGAIN)
    for name in ("positions", "forces", "reference"):
        scale = np.abs(upright[name].values).max()
        assert np.abs(upright[name].values @ turn - turned[name].values).max() < EQUAL * scale
    assert abs(float(turned["energy_turned_by"])) < 1  # meV, of a few hundred eV in float32
    assert float(turned["error_here"]) < EQUAL


def test_n2_the_errors_of_all_motions_stand_near_the_floor_and_are_the_same_in_every_pose() -> None:
    first, second = (MoleculeExplorer(angle_deg=angle).dataset() for angle in (10, 250))
    assert first["error"].equals(second["error"])
    assert float(first["error_max"].max()) < 4 * float(first["floor"]) < 1e-3


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
    iron = b"1\n\nFe 0 0 0\n"
    for given, said in (
        (b"", "is empty"), (crowd, "at most 200"), (cell, "periodic cell"), (iron, "with Fe was given; this network"),
    ):  # fmt: skip
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
    assert float(ds["energy"]) == pytest.approx(float(potential("g2_ethanol").get_buffer("references")[8]), rel=AGAIN)


def test_bonds_are_found_by_their_length() -> None:
    ethanol = MoleculeExplorer(rattled=False).dataset()
    assert ethanol.sizes["bond"] == 8
    assert len(bonds(np.array([1]), np.zeros((1, 3)))) == 0


def test_of_several_frames_the_first_is_shown_and_the_picture_says_so() -> None:
    explorer = MoleculeExplorer(potential="untrained")
    explorer.set_molecule(WATER * 3)
    assert "H2O (frame 1 of 3)" in explorer.figure_dict()["layout"]["annotations"][0]["text"]
    with pytest.raises(ValueError, match="more than 1000 frames"):
        explorer.set_molecule(WATER * 1001)
    explorer.set_molecule(WATER)
    assert "frame" not in explorer.figure_dict()["layout"]["annotations"][0]["text"]


def test_forces_in_a_file_are_called_so_and_an_atom_alone_is_told() -> None:
    explorer = MoleculeExplorer(potential="untrained")
    assert explorer.dataset()["reference"].attrs["long_name"] == "force of GFN2-xTB"
    told = b"2\nProperties=species:S:1:pos:R:3:forces:R:3 energy=-1.0\nO 0 0 0 0 0 1\nO 0 0 9 0 0 -1\n"
    explorer.set_molecule(told)
    ds = explorer.dataset()
    names = [ds[name].attrs["long_name"] for name in ("reference", "energy_reference")]
    assert names == ["force of the file", "energy of the file"]
    assert "2 atoms have no neighbour" in explorer.figure_dict()["layout"]["annotations"][0]["text"]


def test_files_that_ase_reads_and_its_atoms_are_shown(tmp_path: Path) -> None:
    atoms = Atoms("OH2", [[0, 0, 0.12], [0, 0.8, -0.48], [0, -0.76, -0.48]])
    atoms.write(tmp_path / "water.pdb")
    for given in (tmp_path / "water.pdb", str(tmp_path / "water.pdb"), atoms):
        explorer = MoleculeExplorer(potential="untrained")
        explorer.set_molecule(given)
        assert explorer.dataset().attrs["formula"] == "H2O"


def test_a_network_that_prefers_a_direction_is_found_out_by_turns_and_not_by_shifts() -> None:
    ds = MoleculeExplorer(potential="in_field", species="H2O").dataset()
    far = ds["error_max"] / ds["floor"]
    assert float(far.sel(motion=["rotation", "inversion"]).min()) > SEPARATION
    assert float(far.sel(motion=["translation", "permutation"]).max()) < 4


def test_a_potential_of_ones_own_is_shown_and_stays_as_it_was() -> None:
    class Away(torch.nn.Module):
        def energy_and_forces(self, positions, numbers, batch=None):
            batch = torch.zeros_like(numbers) if batch is None else batch
            energy = positions.new_zeros(int(batch.max()) + 1)
            return energy.index_add(0, batch, -positions.square().sum(1)), 2 * positions

    own, explorer = Away(), MoleculeExplorer(species="H2O")
    explorer.set_model(own)
    ds = explorer.dataset()
    assert own.training
    np.testing.assert_allclose(ds["forces"], 2 * ds["positions"], rtol=EXACT[torch.float64], atol=0)
    far = (ds["error_max"] > BROKEN).to_series().to_dict()
    assert far == {"rotation": False, "inversion": False, "translation": True, "permutation": False}
    assert dict(next(c for c in explorer.controls() if c.name == "potential").options)["your own model"] == "g2_ethanol"
    explorer.set(potential="untrained")
    assert not np.allclose(explorer.dataset()["forces"], ds["forces"], rtol=EXACT[torch.float32], atol=0)
    with pytest.raises(ValueError, match="no energy_and_forces"):
        explorer.set_model(torch.nn.Linear(3, 3))


def test_a_coarse_picture_asks_less_of_each_motion_and_says_so() -> None:
    explorer = MoleculeExplorer(potential="untrained", species="H2O").at(coarse=True)
    ds = explorer.dataset()
    assert (ds.sizes["element"], ds.sizes["transform"]) == (2, 5)
    assert ds.attrs["showing"] == "showing 5 of 25 angles, 2 of 8 elements of each motion"
    whole = MoleculeExplorer(potential="untrained", species="H2O").dataset()
    assert (whole.sizes["element"], whole.sizes["transform"], whole.attrs["showing"]) == (8, 25, "")


def test_n9_the_curve_is_that_of_the_turn_shown_and_a_control_fails_beside_it() -> None:
    for mirrored in (False, True):
        ds = MoleculeExplorer(species="H2O", mirrored=mirrored, angle_deg=90).dataset()
        here = float(ds["error_mean"].sel(model="the network")[list(ds["angle_deg"].values).index(90)])
        assert here < 2 * float(ds["rounding_floor"].max())
        assert float(ds["error_here"]) < 2 * float(ds["rounding_floor"].max())
        field = ds["error_mean"].sel(model="in a field along z").where(~ds["lattice"], drop=True)
        assert float(field.min()) > SEPARATION * float(ds["rounding_floor"].max())
    broken = MoleculeExplorer(species="H2O", potential="in_field", angle_deg=90).dataset()
    at = list(broken["angle_deg"].values).index(90)
    assert float(broken["error_mean"].sel(model="the network")[at]) == pytest.approx(
        float(broken["error_here"]), rel=EQUAL, abs=0
    )
    assert float(broken["error_mean"].sel(model="without the field").max()) < EQUAL


@pytest.mark.parametrize("shown", ["1", "2"])
def test_features_turn_along_with_the_molecule_and_are_drawn_instead_of_forces(shown: str) -> None:
    upright, turned = (
        MoleculeExplorer(species="H2O", shown=shown, channel=3, angle_deg=angle, mirrored=angle > 0)
        for angle in (0, 130)
    )
    ds = turned.dataset()
    assert float(ds["feature_error"]) < 2 * float(ds["feature_floor"]) < EQUAL
    lengths = [np.linalg.norm(one.dataset()["feature"].values, axis=1) for one in (upright, turned)]
    np.testing.assert_allclose(*lengths, rtol=EQUAL, atol=0)
    assert np.abs(upright.dataset()["feature"].values - ds["feature"].values).max() > BROKEN * lengths[0].max()
    kinds = [trace["type"] for trace in turned.figure_dict()["data"]]
    assert (kinds.count("cone"), kinds.count("mesh3d")) == ((1, 0) if shown == "1" else (0, 1))
    other = turned.at(channel=4).dataset()
    assert not np.allclose(other["feature"], ds["feature"], rtol=BROKEN, atol=0)
    in_field = turned.at(potential="in_field").dataset()  # the field pulls at forces, not at features
    np.testing.assert_allclose(in_field["feature"], ds["feature"], rtol=0, atol=EQUAL)


def test_a_potential_without_features_says_so_and_its_forces_are_there() -> None:
    class Bare(torch.nn.Module):
        def energy_and_forces(self, positions, numbers, batch):
            return positions.new_zeros(int(batch.max()) + 1), positions - positions.mean(0)

    explorer = MoleculeExplorer(species="H2O", shown="2")
    explorer.set_model(Bare())
    with pytest.raises(ValueError, match="tells no features of its atoms"):
        explorer.dataset()
    explorer.shown = "forces"
    assert explorer.dataset().sizes["atom"] == 3


def test_of_a_large_molecule_the_picture_says_how_many_features_it_draws() -> None:
    places = np.arange(50)[:, None] * np.array([1.2, 0.5, 0.0])
    explorer = MoleculeExplorer(potential="untrained", shown="2")
    explorer.set_molecule(Molecule(np.ones(50, dtype=np.int64), places))
    assert "40 of 50 features" in explorer.at(coarse=True).dataset().attrs["showing"]

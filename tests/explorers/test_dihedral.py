"""The explorer of dihedrals: the stored curve, the network's beside it, and what a nearer end takes away."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.explorers.promises import keeps_every_promise
from tests.tolerances import AGAIN, EXACT
from workbench.datasets.molecules import molecules
from workbench.explorers._potentials import potential, shortened
from workbench.explorers.dihedral import DihedralExplorer

UNTRAINED = {"potential": "untrained"}


def test_it_keeps_every_promise_of_an_explorer(tmp_path: Path) -> None:
    other = {"scan": "methyl", "angle_deg": 125.0, "rattled": True, "cutoff": 3.0, "arrow": 0.2}
    keeps_every_promise(DihedralExplorer(**UNTRAINED), tmp_path, **other, **UNTRAINED)


@pytest.mark.parametrize("scan", ["C-C-O-H", "methyl"])
def test_n10_the_blue_curve_is_the_stored_one(scan: str) -> None:
    stored = molecules("scans")
    stored = stored.isel(structure=(stored["scan"].values == scan) & (stored["rattle"].values == 0))
    stored = stored.sortby("angle_deg")
    ds = DihedralExplorer(scan=scan).dataset()
    known = 1000 * (stored["energy"].values - stored["energy"].values.mean())
    assert np.array_equal(ds["angle"].values, stored["angle_deg"].values)
    assert ds["energy_reference"].values == pytest.approx(known, abs=1e-6)
    assert float(ds["range_reference"]) == pytest.approx(np.ptp(stored["energy"].values) * 1000, rel=AGAIN)


def test_n12_forces_are_known_near_the_shape_trained_on_and_elsewhere_hardly_better_than_untrained() -> None:
    trained, untrained = (DihedralExplorer(**given).dataset()["force_mae"] for given in ({}, UNTRAINED))
    assert float(trained.sel(angle=180)) < float(untrained.sel(angle=180)) / 5
    assert float(trained.sel(angle=0)) > float(untrained.sel(angle=0)) / 2


def test_the_hill_of_the_network_is_not_that_of_the_reference() -> None:
    ds = DihedralExplorer().dataset()
    assert float(ds["correlation"]) < 0.9
    assert float(ds["range"]) > 2 * float(ds["range_reference"])


def test_the_molecule_shown_is_the_one_of_the_scan_and_keeps_its_bonds() -> None:
    lengths = []
    for angle in (0, 90, 355):
        ds = DihedralExplorer(angle_deg=angle).dataset()
        assert float(ds["angle_shown_deg"]) == angle
        at = ds["angle"].values.tolist().index(angle)
        off = 1000 * np.abs(ds["forces"].values - ds["reference"].values).mean()
        assert off == pytest.approx(float(ds["force_mae"][at]), rel=1e-3)
        pairs = ds["bonded"].values
        where = ds["positions"].values
        lengths.append(np.linalg.norm(where[pairs[:, 0]] - where[pairs[:, 1]], axis=1))
    assert np.ptp(lengths, axis=0).max() < 1e-6


def test_at_its_own_cutoff_nothing_is_lost_and_a_nearer_end_loses_what_lies_beyond() -> None:
    full = DihedralExplorer().dataset()
    assert full["energy"].values.tolist() == full["energy_whole"].values.tolist()
    short = DihedralExplorer(cutoff=2.0).dataset()
    assert float(short["force_mae"].mean()) > 2 * float(full["force_mae"].mean())
    assert short["energy_whole"].values.tolist() == full["energy_whole"].values.tolist()


def test_a_shortened_potential_is_the_same_where_all_are_near_and_leaves_the_shared_one_alone() -> None:
    whole, short = potential("g2_ethanol"), shortened("g2_ethanol", 3.0)
    water = torch.tensor([[0.0, 0.0, 0.12], [0.0, 0.76, -0.48], [0.0, -0.76, -0.48]]), torch.tensor([8, 1, 1])
    far = water[0] * torch.tensor([1.0, 1.8, 1.8])
    for given, same in ((water, True), ((far, water[1]), False)):
        energies = [float(net(*given)) for net in (whole, short)]  # type: ignore[operator]
        assert (abs(energies[0] - energies[1]) < EXACT[torch.float32] * abs(energies[0])) == same
    assert whole.config.cutoff == 5.0  # type: ignore[union-attr]
    assert shortened("g2_ethanol", 5.0) is whole


def test_n15_while_the_cutoff_moves_each_thirtieth_degree_is_computed_and_this_is_said() -> None:
    resting = DihedralExplorer(cutoff=2.7, **UNTRAINED)
    moving = resting.at(coarse=True)
    assert np.diff(moving.dataset()["angle"].values).tolist() == [30.0] * 12
    assert moving.showing == "showing 13 of 73 angles"
    assert resting.showing == ""
    assert (resting.dataset().sizes["angle"], resting.at(coarse=True).showing) == (73, ""), "known by now"

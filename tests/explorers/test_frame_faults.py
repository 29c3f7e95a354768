"""The explorer of molecules without axes counts what is stored, and draws where it stops counting."""

import numpy as np

from tests.explorers.promises import keeps_every_promise
from workbench.explorers.frame_faults import FrameFaultsExplorer
from workbench.training import load_claims


def test_it_keeps_every_promise_of_an_explorer(tmp_path):
    keeps_every_promise(FrameFaultsExplorer(), tmp_path, smallest_gap=-6.0)


def test_counts_are_those_of_the_stored_gaps_and_grow_with_the_smallest():
    stored = load_claims("symmetrised_potential")
    counted = []
    for power in (-8.0, -3.0, -1.0):
        ds = FrameFaultsExplorer(smallest_gap=power).dataset()
        below = [gap < 10**power for gap in stored["gap"].values]
        pose = [np.median(row) > 1e-3 for row in stored["pose_left"].values]
        assert int(ds["without"]) == sum(below)
        assert int(ds["felt"]) == sum(a and b for a, b in zip(below, pose, strict=True))
        counted.append(sum(below))
    assert 0 < counted[0] < counted[1] < counted[2] < stored.sizes["species"]


def test_the_line_stands_at_the_smallest_gap():
    explorer = FrameFaultsExplorer(smallest_gap=-5.0)
    (line,) = explorer.view(explorer.dataset())["layout"]["shapes"]
    assert (line["xref"], line["x0"], line["x1"]) == ("x", 1e-5, 1e-5)

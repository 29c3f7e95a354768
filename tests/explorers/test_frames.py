"""The explorer of frames: exact where axes differ, a jump where they meet, the pose back where a molecule has none."""

import numpy as np
import plotly.graph_objects as go

from tests.explorers.promises import keeps_every_promise
from workbench.explorers.frames import MOLECULES, WAYS, FramesExplorer


def swing(ds) -> dict[str, float]:
    """How much of the bare network's spread over turns is left in each answer."""
    spread = np.ptp(ds["answer_turned"].values, axis=1)
    return dict(zip(WAYS, spread / spread[0], strict=True))


def test_it_keeps_every_promise_of_an_explorer(tmp_path):
    keeps_every_promise(FramesExplorer(), tmp_path, molecule="C6H6", squeeze=0.8, turn_deg=120, seed=3)


def test_frames_are_exact_on_ethanol_and_not_on_benzene_or_methane():
    left = swing(FramesExplorer().dataset())
    assert left["frames"] < 1e-4
    assert left["one pose"] < 1e-4
    assert 1e-5 < left["60 rotations"] < 0.2, "exact for sixty rotations alone"
    for species in ("C6H6", "CH4"):
        left = swing(FramesExplorer(molecule=species).dataset())
        assert left["frames"] > 1e-3, species
        assert left["one pose"] < 1e-4
    assert swing(FramesExplorer(molecule="C6H6", squeeze=0.8).dataset())["frames"] < 1e-4, "squeezed it has axes"


def test_answers_of_frames_jump_where_the_gap_closes_and_no_others_do():
    ds = FramesExplorer(seed=1).dataset()
    steps = np.abs(np.diff(ds["answer"].values, axis=1))
    jump = dict(zip(WAYS, steps.max(1) / np.median(steps, 1), strict=True))
    assert jump["frames"] > 10
    assert max(jump[way] for way in WAYS if way != "frames") < 10
    at = ds["squeeze"].values[steps[WAYS.index("frames")].argmax()]
    assert abs(at - ds["squeeze"].values[ds["gap"].values.argmin()]) < 0.03


def test_the_present_squeeze_lies_on_the_curve():
    ds = FramesExplorer(squeeze=0.75).dataset()
    here = ds.sel(squeeze=0.75, method="nearest")
    at_rest = FramesExplorer(squeeze=1.0).dataset()["answer_now"]
    np.testing.assert_allclose(ds["answer_now"] - at_rest, here["answer"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(float(ds["gap_now"]), float(here["gap"]), atol=0, rtol=1e-6)


def test_a_moving_control_has_fewer_points_and_every_molecule_is_drawn():
    whole = FramesExplorer().dataset()
    assert FramesExplorer().at(coarse=True).dataset().sizes["squeeze"] < whole.sizes["squeeze"]
    for species in MOLECULES.values():
        figure = go.Figure(FramesExplorer(molecule=species).figure_dict())
        assert len({trace.name for trace in figure.data if trace.name in WAYS}) == len(WAYS)

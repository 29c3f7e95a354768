"""Views of frames: axes and cursors where the numbers say, every network drawn, names are no markup."""

import numpy as np
import pytest
import xarray as xr

from tests.tolerances import AGAIN_SINGLE
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance
from workbench.views.frames import LOWEST, faults_picture, frames_picture

ATTRS = provenance("made", seed=0, dtype="float32", resampler="none")


def made(way: str = "frames") -> xr.Dataset:
    """Two atoms, two networks, three squeezes and turns."""
    scalars = {"gap_now": 0.1, "squeeze_shown": 1.2, "turn_shown_deg": 90.0}
    return xr.Dataset(
        {
            "positions": labelled(("atom", "xyz"), [[1.0, 0, 0], [-1.0, 0, 0]], "position", "angstrom"),
            "bonded": labelled(("bond", "end"), [[0, 1]], "bonded atoms"),
            "axes": labelled(("axis", "xyz"), np.diag([0.1, 0.2, 0.3]), "axes", "angstrom"),
            "answer": labelled(("way", "squeeze"), [[0, 1, 2], [3, 4, 5]], "answer"),
            "gap": labelled("squeeze", [0.1, 0.0, 0.2], "gap"),
            "answer_turned": labelled(("way", "turn_deg"), [[0, 1, 0], [3, 3, 3]], "answer"),
            **{name: labelled((), value, name) for name, value in scalars.items()},
        },
        {
            "symbol": labelled("atom", ["C", "<b>"], "element"),
            "way": labelled("way", ["bare", way], "network"),
            "squeeze": labelled("squeeze", [0.5, 1.0, 1.5], "squeeze"),
            "turn_deg": labelled("turn_deg", [0.0, 180.0, 360.0], "turn of the molecule", "degree"),
        },
        {**ATTRS, "formula": "<i>C"},
    )


def test_axes_are_as_long_as_they_are_given_and_cursors_stand_at_their_values():
    figure = frames_picture(made())
    axes = [trace for trace in figure["data"] if trace.get("name", "").startswith("axis ")]
    ends = np.stack([trace["z"][:2] for trace in axes])
    assert ends == pytest.approx(np.array([[0, 0], [0, 0], [-0.3, 0.3]]), rel=AGAIN_SINGLE)
    assert [shape["x0"] for shape in figure["layout"]["shapes"]] == [1.2, 1.2, 90.0]


def test_every_network_has_a_line_in_both_panels_and_one_entry_of_the_legend():
    lines = [trace for trace in frames_picture(made())["data"] if trace.get("xaxis") in ("x", "x3")]
    assert [trace["name"] for trace in lines] == ["bare", "frames"] * 2
    assert [trace["showlegend"] for trace in lines] == [True, True, False, False]
    assert lines[3]["y"].tolist() == [3, 3, 3]
    gap = next(trace for trace in frames_picture(made())["data"] if trace.get("xaxis") == "x2")
    assert gap["y"].tolist() == pytest.approx([0.1, LOWEST, 0.2], rel=AGAIN_SINGLE)


def test_names_are_no_markup():
    shown = str(frames_picture(made(way="<script>")))
    assert "<script>" not in shown
    assert "'<b>'" not in shown
    assert "<i>C" not in shown


@pytest.mark.parametrize("missing", ["positions", "answer", "gap"])
def test_a_dataset_without_a_variable_or_provenance_is_refused(missing):
    with pytest.raises(ValueError, match=missing):
        frames_picture(made().drop_vars(missing))
    bare = made()
    bare.attrs = {}
    with pytest.raises(ValueError, match="created_by"):
        frames_picture(bare)


def faults() -> xr.Dataset:
    return xr.Dataset(
        {
            "gap": labelled("species", [0.0, 0.1], "gap"),
            "pose_left": labelled(("species", "draw"), [[0.1, 0.3], [1e-7, 3e-7]], "left"),
            "answer": labelled(("stretch", "draw"), [[0, 1], [2, 3], [4, 5]], "answer"),
            "slope": labelled(("made", "draw"), [[1, 2], [10, 20]], "length of the gradient", "1/angstrom"),
            "smallest_gap": labelled((), 0.01, "smallest gap"),
            "without": labelled((), 1, "without axes"),
            "felt": labelled((), 1, "pose felt"),
        },
        {
            "species": labelled("species", ["CH4", "<b>"], "molecule"),
            "stretch": labelled("stretch", [0.9, 1.0, 1.1], "stretch"),
            "made": labelled("made", [0.1, 0.01], "gap"),
            "draw": labelled("draw", [0, 1], "network"),
        },
        ATTRS,
    )


def test_faults_have_three_panels_of_what_was_measured():
    figure = faults_picture(faults())
    dots, *lines = figure["data"]
    assert dots["x"].tolist() == pytest.approx([LOWEST, 0.1], rel=AGAIN_SINGLE)
    assert dots["y"].tolist() == pytest.approx([0.2, 2e-7], rel=AGAIN_SINGLE)
    assert "<b>" not in dots["text"]
    assert dots["marker"]["symbol"] == ["circle", "circle-open"], "counted as having no axes, and not"
    assert len(set(dots["marker"]["color"])) == 2
    assert [trace["xaxis"] for trace in lines] == ["x2", "x2", "x3", "x3"]
    assert lines[3]["y"].tolist() == [2, 20]
    assert "1/angstrom" in figure["layout"]["yaxis3"]["title"]["text"]
    assert figure["layout"]["shapes"][0]["x0"] == 0.01
    assert "1 of 2 molecules" in figure["layout"]["annotations"][0]["text"]
    with pytest.raises(ValueError, match="slope"):
        faults_picture(faults().drop_vars("slope"))

"""The view of poses: what moves as one piece is framed, what is gone has no mark, and names are no markup."""

import numpy as np
import pytest
import xarray as xr

from tests.tolerances import AGAIN
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance
from workbench.views.poses import pose_picture


def made(steps: float = 1.0, left: bool = True) -> xr.Dataset:
    """Two layers, three scales, four angles; the strongest answer moves one step up and a quarter turn round."""
    over = ("scale", "angle")
    place = {"start": (270.0, 1.0), "expected": (0.0, 1.5), "found": (0.0, 1.5)}
    scalars = {"angle_shown_deg": 90.0, "factor_shown": 1.5, "block_low": 0.0, "block_high": 2.0 - steps}
    scalars |= {f"{name}_deg": at[0] if left else np.nan for name, at in place.items()}
    scalars |= {f"{name}_factor": at[1] if left else np.nan for name, at in place.items()} | {"block_steps": steps}
    return xr.Dataset(
        {
            "picture": labelled(("y", "x"), np.eye(5), "picture"),
            "upright": labelled(over, np.zeros((3, 4)), "before"),
            "moved": labelled(over, np.zeros((3, 4)), "after"),
            "error_mean": labelled(("model", "transform"), [[0, 0.1, 1e-7]] * 2, "relative error"),
            "error_sem": labelled(("model", "transform"), np.zeros((2, 3)), "standard error"),
            "inside": labelled(("model", "step"), [[0.1, np.nan]] * 2, "inside"),
            "ends": labelled(("model", "step"), [[np.nan, 0.3]] * 2, "ends"),
            **{name: labelled((), value, f"{name}: words") for name, value in scalars.items()},
        },
        {
            "model": labelled("model", ["one", "<b>"], "layer"),
            "angle_deg": labelled("transform", [0.0, 45.0, 90.0], "input turned by", "degrees"),
            "lattice": labelled("transform", [True, False, True], "exact"),
            "factor": labelled("step", [1 / 1.5, 1.5], "input enlarged by"),
            "pose_angle_deg": labelled("angle", [0.0, 90.0, 180.0, 270.0], "angle of the pose", "degrees"),
            "pose_factor": labelled("scale", [1.0, 1.5, 2.25], "scale of the pose"),
        },
        provenance("made", seed=0, dtype="float32", resampler="none", mask="central pixel"),
    )


def frames(ds: xr.Dataset) -> list[dict]:
    return [shape for shape in pose_picture(ds)["layout"]["shapes"] if shape.get("line", {}).get("dash") == "dot"
            and shape["type"] == "rect"]  # fmt: skip


def test_the_frame_of_what_stays_moves_up_by_the_steps_and_vanishes_with_it():
    before, after = frames(made())
    assert (before["y0"], before["y1"], before["xref"]) == (-0.5, 1.5, "x3")
    assert (after["y0"], after["y1"], after["xref"]) == (0.5, 2.5, "x4")
    assert frames(made(steps=4.0)) == []


def test_marks_stand_at_their_poses_and_what_is_gone_has_none():
    figure = pose_picture(made())
    placed = [t for t in figure["data"] if t.get("mode") == "markers" and t.get("xaxis") in ("x3", "x4")]
    assert [(t["x"].tolist(), t["y"].tolist()) for t in placed] == [([3], [0]), ([0], [1]), ([0], [1])]
    gone = [t for t in pose_picture(made(left=False))["data"] if t.get("mode") == "markers" and t.get("xaxis") == "x4"]
    assert [t["x"].size for t in gone] == [0, 0]


def test_errors_that_there_are_not_are_left_out_and_names_are_no_markup():
    figure = pose_picture(made())
    ends = next(t for t in figure["data"] if t.get("name") == "one, at the ends of the list")
    assert ends["x"].tolist() == pytest.approx([1.5], rel=AGAIN)
    assert ends["marker"]["symbol"] == "circle-open"
    assert any(t.get("name") == "&lt;b&gt;, inside the list" for t in figure["data"])
    assert figure["layout"]["xaxis5"]["type"] == "log"


def test_a_dataset_without_maps_or_provenance_is_refused():
    with pytest.raises(ValueError, match="view of poses: the Dataset has no 'moved'"):
        pose_picture(made().drop_vars("moved"))
    bare = made()
    del bare.attrs["created_by"]
    with pytest.raises(ValueError, match="does not say where its numbers come from"):
        pose_picture(bare)

"""The picture of a scan: curves as measured, the cursor at the angle shown, and no second curve at the full cutoff."""

import numpy as np
import plotly.graph_objects as go
import pytest
import xarray as xr

from tests.tolerances import AGAIN
from tests.views.test_molecule import water
from workbench.measure.dataset import labelled
from workbench.views.dihedral import dihedral_picture

ANGLES = np.array([0.0, 180.0, 360.0])


def scanned(cutoff: float = 5.0) -> xr.Dataset:
    curves = {"energy": 1, "energy_reference": 2, "energy_whole": 3, "force_mae": 4, "force_mae_whole": 5}
    over = {name: labelled("angle", size * np.array([-1.0, 2.0, -1.0]), name, "meV") for name, size in curves.items()}
    single = {
        "range": 3.0, "range_reference": 6.0, "cutoff": cutoff, "cutoff_trained": 5.0, "angle_shown_deg": 120.0,
        "reach": 2.0,
    }  # fmt: skip
    alone = {name: labelled((), value, name) for name, value in single.items()}
    made = water().assign({**over, **alone}).assign_coords(angle=labelled("angle", ANGLES, "dihedral", "degrees"))
    return made.assign_attrs(scan="C-C-<b>")


def test_curves_are_drawn_as_measured_and_the_angle_is_marked() -> None:
    drawn = go.Figure(dihedral_picture(scanned(), 0.5))
    lines = {(trace.name, trace.yaxis): trace for trace in drawn.data if trace.type == "scatter"}
    assert set(lines) == {("GFN2-xTB", "y"), ("network", "y"), ("network", "y2")}
    assert lines["GFN2-xTB", "y"].y == pytest.approx([-2, 4, -2], rel=AGAIN)
    assert lines["network", "y"].y == pytest.approx([-1, 2, -1], rel=AGAIN)
    assert lines["network", "y2"].y == pytest.approx([-4, 8, -4], rel=AGAIN)
    assert drawn.layout.shapes[0].x0 == 120
    said = " ".join(one.text for one in drawn.layout.annotations)
    assert "network 3, GFN2-xTB 6 meV" in said
    assert "trained to see 5 Å" in said
    assert "arrows: 0.5 Å for 1 eV/Å" in said


def test_n15_a_part_of_the_angles_is_said_to_be_one() -> None:
    part = scanned().assign_attrs(showing="showing 3 of 73 angles")
    said = [[one["text"] for one in dihedral_picture(ds, 0.5)["layout"]["annotations"]] for ds in (part, scanned())]
    assert [("showing 3 of 73 angles" in words) for words in said] == [True, False]


def test_at_a_shorter_cutoff_the_network_as_trained_stands_beside_it() -> None:
    drawn = go.Figure(dihedral_picture(scanned(3.0), 0.5))
    whole = [trace for trace in drawn.data if trace.name == "network as trained"]
    assert [tuple(trace.y) for trace in whole] == [(-3, 6, -3), (-5, 10, -5)]
    assert any("sees 3 Å of the 5 Å" in one.text for one in drawn.layout.annotations)


def test_r17_names_are_shown_as_text_and_missing_parts_are_refused() -> None:
    assert any("C-C-&lt;b&gt;" in one["text"] for one in dihedral_picture(scanned(), 0.5)["layout"]["annotations"])
    for name in ("energy_whole", "positions", "cutoff"):
        with pytest.raises(ValueError, match=name):
            dihedral_picture(scanned().drop_vars(name), 0.5)

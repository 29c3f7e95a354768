"""The picture of anchors draws what the Dataset holds, and refuses what lacks a part."""

import numpy as np
import plotly.graph_objects as go
import pytest

from workbench.explorers.anchored_cnn import AnchoredExplorer
from workbench.views.anchoring import LOWEST, anchoring_picture

DS = AnchoredExplorer(right_px=2, stride=4).dataset()


def test_both_pictures_both_answers_twice_and_both_curves_are_drawn():
    figure = go.Figure(anchoring_picture(DS))
    maps = [trace for trace in figure.data if trace.type == "heatmap"]
    assert len(maps) == 6
    assert np.array_equal(maps[0].z, DS["picture"][0])
    dots = [trace for trace in figure.data if (trace.name or "").startswith("grid of the anchored")]
    assert [set(np.array(trace.y, int) % 4) for trace in dots] == [{int(r)} for r in DS["grid_row"][:, 1]]
    assert all(len(trace.x) == 16 for trace in dots)
    curves = [trace for trace in figure.data if (trace.name or "").startswith("error, ")]
    assert np.array_equal(curves[1].y, DS["error_along"][1].clip(LOWEST))
    assert any(f"error {float(DS['error'][0]):.2f}" in note.text for note in figure.layout.annotations)


@pytest.mark.parametrize("name", ["picture", "grid_row", "answer", "error_along", "worst"])
def test_a_missing_part_is_named(name):
    with pytest.raises(ValueError, match=f"no '{name}'"):
        anchoring_picture(DS.drop_vars(name))


def test_numbers_without_provenance_are_refused():
    with pytest.raises(ValueError, match="where its numbers come from"):
        anchoring_picture(DS.assign_attrs().drop_attrs())

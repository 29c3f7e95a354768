"""The picture of activations draws every cell, every tick and every curve of its Dataset."""

import numpy as np
import plotly.graph_objects as go
import pytest

from workbench.explorers.activations import SHOWN, ActivationsExplorer
from workbench.views.activations import LOWEST, activations_picture

DS = ActivationsExplorer(angle_deg=90).dataset()


def test_cells_ticks_and_curves_are_those_of_the_dataset():
    figure = go.Figure(activations_picture(DS))
    cells, marks, *curves = figure.data
    assert np.allclose(cells.z, np.log10(DS["error"].values.clip(LOWEST)), rtol=0, atol=1e-5)
    assert len(marks.x) == int(DS["legal"].sum())
    assert all(bool(DS["legal"][int(y), int(x)]) for x, y in zip(marks.x, marks.y, strict=True))
    assert [trace.name for trace in curves[::2]] == list(SHOWN)
    assert np.array_equal(curves[0].y, DS["curve"][0].values.clip(LOWEST))
    rows = figure.layout.yaxis.ticktext
    assert any("vector, 90°" in row and "signed permutation" in row for row in rows)


@pytest.mark.parametrize("name", ["error", "legal", "kind", "curve", "here"])
def test_a_missing_part_is_named(name):
    with pytest.raises(ValueError, match=f"no '{name}'"):
        activations_picture(DS.drop_vars(name))

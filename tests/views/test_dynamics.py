"""The picture of a motion: the step asked for is drawn strong, and swings stand beside the expected slope."""

import numpy as np
import plotly.graph_objects as go
import pytest
import xarray as xr

from tests.tolerances import AGAIN, AGAIN_SINGLE
from workbench.measure import labelled, provenance
from workbench.views.dynamics import dynamics_picture

CHANGE = np.array([[0.0, 0.1, -0.1], [0.0, 0.4, -0.4]])
SWING = np.array([[0.1, 0.4], [0.2, 0.8]])


def motion() -> xr.Dataset:
    return xr.Dataset(
        {
            "dynamics_change": labelled(("step_fs", "time_fs"), CHANGE, "change", "meV"),
            "dynamics_swing": labelled(("seed", "step_fs"), SWING, "swing", "meV"),
            "dynamics_drift": labelled("step_fs", np.array([0.5, -2.0]), "drift", "meV/ps"),
        },
        {
            "step_fs": labelled("step_fs", np.array([0.5, 1.0]), "time step", "fs"),
            "time_fs": labelled("time_fs", np.array([0.0, 10, 20]), "time", "fs"),
        },
        provenance("test", seed=0, dtype="float64"),
    )


@pytest.mark.parametrize(("step", "strong", "said"), [(0.5, 0, "drift 0.5 meV/ps"), (1.0, 1, "drift −2 meV/ps")])
def test_the_step_asked_for_is_drawn_strong_and_its_drift_is_said(step, strong, said):
    figure = go.Figure(dynamics_picture(motion(), step))
    assert [trace.line.width for trace in figure.data[:2]] == [3 if at == strong else 1 for at in range(2)]
    assert said in figure.layout.annotations[0].text
    assert figure.layout.yaxis.range[1] == pytest.approx(1.3 * CHANGE[strong].max(), rel=AGAIN)
    assert np.array([trace.y for trace in figure.data[:2]]) == pytest.approx(CHANGE, rel=AGAIN_SINGLE)


def test_every_potential_has_its_dot_and_the_line_grows_with_the_square():
    dots, line = go.Figure(dynamics_picture(motion(), 1.0)).data[2:]
    assert dots.y == pytest.approx(SWING.ravel(), rel=AGAIN_SINGLE)
    assert line.y[1] == pytest.approx(4 * line.y[0], rel=AGAIN)
    with pytest.raises(ValueError, match="dynamics_swing"):
        dynamics_picture(motion().drop_vars("dynamics_swing"), 1.0)

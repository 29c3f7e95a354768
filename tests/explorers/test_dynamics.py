"""The explorer of dynamics tells what is stored of each potential."""

from pathlib import Path

import numpy as np
import plotly.graph_objects as go

from tests.explorers.promises import keeps_every_promise
from workbench.explorers.dynamics import DynamicsExplorer
from workbench.training import load_claims


def test_it_keeps_every_promise_of_an_explorer(tmp_path: Path) -> None:
    keeps_every_promise(DynamicsExplorer(), tmp_path, step_fs=0.5, seed=3)


def test_it_shows_the_motion_of_the_chosen_potential_and_the_swing_of_all() -> None:
    stored = load_claims("molecular_potential")
    shown = DynamicsExplorer(seed=2).dataset()
    assert np.array_equal(shown["dynamics_change"].values, stored["dynamics_change"].sel(seed=2).values)
    assert shown["dynamics_swing"].sizes["seed"] == stored.sizes["seed"]


def test_every_step_that_is_offered_is_stored() -> None:
    steps = list(DynamicsExplorer.param.step_fs.objects)
    assert steps == load_claims("molecular_potential")["step_fs"].values.tolist()
    widths = [trace.line.width for trace in go.Figure(DynamicsExplorer(step_fs=2.0).figure_dict()).data[:4]]
    assert widths == [1, 1, 1, 3]

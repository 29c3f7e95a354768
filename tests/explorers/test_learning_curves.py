"""The explorer of learning curves tells what is stored, and its time slider reads it off."""

from pathlib import Path

import numpy as np

from tests.explorers.promises import keeps_every_promise
from workbench.explorers.learning_curves import LearningCurvesExplorer
from workbench.training import load_claims


def test_it_keeps_every_promise_of_an_explorer(tmp_path: Path) -> None:
    keeps_every_promise(LearningCurvesExplorer(), tmp_path, quantity="energy", pose="rotated", seconds=3.0)


def test_it_shows_the_stored_numbers() -> None:
    stored = load_claims("molecular_potential")
    shown = LearningCurvesExplorer(pose="rotated").dataset()
    assert np.array_equal(
        shown["error"].values, stored["curve_force_mae"].sel(pose="rotated").transpose(*shown["error"].dims).values
    )


def test_more_time_never_shows_a_larger_error_and_none_where_a_training_had_ended() -> None:
    early, late, never = (LearningCurvesExplorer(seconds=seconds).dataset()["now"].values for seconds in (5, 12, 60))
    both = np.isfinite(early) & np.isfinite(late)
    assert both.any()
    assert (late[both] < early[both]).all()
    assert np.isnan(never[0])

"""Where the view of seeds puts dots, intervals and gaps."""

import numpy as np
import plotly.graph_objects as go
import pytest

from tests.views import made
from workbench.views.seeds import seeds_picture


def words(figure: dict) -> list[str]:
    return [note["text"] for note in figure["layout"]["annotations"]]


def dots(figure: dict) -> list[dict]:
    return [trace for trace in figure["data"] if trace["name"] == "seeds"]


def test_every_seed_is_a_dot_with_its_number_and_its_own_height():
    accuracy, gap = dots(seeds_picture(made.seeds_dataset()))
    assert np.array_equal(accuracy["x"], np.float32([50, 50, 50, 88, 90, 92]))
    assert np.array_equal(gap["x"], np.float32([0, 0, 0, 38, 40, 42]))
    assert accuracy["customdata"].tolist() == [0, 1, 7, 0, 1, 7]
    assert len(set(accuracy["y"].tolist())) == 6
    assert "seed %{customdata}" in accuracy["hovertemplate"]


def test_a_bar_runs_from_the_lower_to_the_upper_end_through_the_mean():
    bars = [t for t in seeds_picture(made.seeds_dataset())["data"] if t["name"] == "six_partial"]
    assert np.array_equal(bars[0]["x"], np.float32([87, 90, 93]))
    assert np.array_equal(bars[1]["x"], np.float32([37, 40, 43]))
    assert "90.00 %" in bars[0]["hovertemplate"]
    assert "40.00 points" in bars[1]["hovertemplate"]


def test_rows_are_named_with_their_size_and_the_heading_with_the_level():
    figure = seeds_picture(made.seeds_dataset())
    names = figure["layout"]["yaxis"]["ticktext"]
    assert names[0].startswith("six full<br>")
    assert "6,021 parameters" in names[1]
    assert "<b>Accuracy, 90 % interval</b>" in words(figure)


def test_the_axes_have_titles_and_stay_put_when_the_intervals_change():
    ds = made.seeds_dataset()
    wide = ds.assign(accuracy_high=ds["accuracy_high"] + 100)
    before, after = seeds_picture(ds)["layout"], seeds_picture(wide)["layout"]
    assert before["xaxis"]["title"]["text"] == "test accuracy [%]"
    assert before["xaxis2"]["title"]["text"] == "test gap [points]"
    assert before["xaxis"]["range"] == after["xaxis"]["range"]


@pytest.mark.parametrize("missing", ["accuracy", "accuracy_low", "gap_mean", "parameters"])
def test_a_missing_variable_is_named(missing):
    with pytest.raises(ValueError, match=f"view of seeds: the Dataset has no '{missing}'"):
        seeds_picture(made.seeds_dataset().drop_vars(missing))


def test_plotly_takes_the_figure():
    assert len(go.Figure(seeds_picture(made.seeds_dataset())).data) == 6

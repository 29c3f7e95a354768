"""The layers of an audit: in order, escaped, with the line of rounding, and honest about what is left out."""

import numpy as np
import pytest
import xarray as xr

from tests.views import made
from workbench.measure.dataset import labelled
from workbench.views.layers import MOST_ROWS, layer_errors


def dataset(count: int = 5) -> xr.Dataset:
    mean = np.linspace(1e-7, 0.5, count)
    both = np.stack([mean, np.where(np.arange(count) == 1, np.nan, mean)])
    pair = ("question", "layer")
    return xr.Dataset(
        {
            "error_mean": labelled(pair, both, "relative error"),
            "error_low": labelled(pair, 0.5 * both, "low"),
            "error_high": labelled(pair, 2 * both, "high"),
        },
        coords={
            "question": labelled("question", ["quarter turns", "flips"], "question"),
            "layer": labelled("layer", ["<b>conv</b>", *map(str, range(1, count))], "layer"),
        },
        attrs={**made.ATTRS, "exact_below": 1e-5},
    )


def test_layers_stand_in_the_order_they_run_and_what_was_not_measured_has_no_mark():
    figure = layer_errors(dataset())
    assert figure["layout"]["yaxis"]["range"] == [4.5, -0.5]
    assert [len(trace["x"]) for trace in figure["data"]] == [5, 4]
    assert all(np.isfinite(trace["x"]).all() for trace in figure["data"])
    assert figure["layout"]["shapes"][0]["x0"] == 1e-5
    assert figure["data"][0]["marker"]["symbol"] != figure["data"][1]["marker"]["symbol"], "not by colour alone"


def test_r17_names_are_escaped():
    figure = layer_errors(dataset())
    assert figure["layout"]["yaxis"]["ticktext"][0] == "&lt;b&gt;conv&lt;/b&gt;"


def test_n15_layers_left_out_are_said_and_the_last_is_always_there():
    figure = layer_errors(dataset(200))
    assert len(figure["layout"]["yaxis"]["ticktext"]) == MOST_ROWS
    assert figure["layout"]["yaxis"]["ticktext"][-1] == "199"
    assert any("showing 70 of 200 layers" in note["text"] for note in figure["layout"]["annotations"])


def test_a_dataset_without_its_limit_or_variables_is_refused():
    bare = dataset()
    del bare.attrs["exact_below"]
    with pytest.raises(ValueError, match="exact_below"):
        layer_errors(bare)
    with pytest.raises(ValueError, match="error_low"):
        layer_errors(dataset().drop_vars("error_low"))

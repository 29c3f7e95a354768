"""The picture of an audit: three rows that stay apart, shares beside rates, words where nothing is known."""

from itertools import pairwise

import numpy as np
import plotly.graph_objects as go
import pytest
import xarray as xr

from tests.tolerances import AGAIN_SINGLE, AGAIN_ZERO, ONE_BIT
from tests.views import made
from workbench.measure.dataset import labelled
from workbench.views.audit import MOST_ROWS, audit_picture


def dataset(parts: int = 3, known: bool = True, rates: bool = True) -> xr.Dataset:
    """The curves and pictures of the equivariance view, with some parts whose shares are 0.1, 0.2, ..."""
    ds = made.error_dataset().assign_attrs(compared_after="layer<1>")
    ds = ds.assign(upright_map=ds["input_map"] * 0.5)
    if not known:
        return ds
    share = 0.1 * np.arange(1, parts + 1)
    names = labelled("part", [f"a.very.long.name.of.part{at}" for at in range(parts)], "part")
    rate = share if rates else np.full(parts, np.nan)
    blocks = {"contribution": share, "lie": rate}
    variables = {
        f"{kind}_{end}": labelled("part", block + step, "share" if kind == "contribution" else "rate")
        for kind, block in blocks.items()
        for end, step in (("mean", 0.0), ("low", -0.05), ("high", 0.05))
    }
    return ds.assign(variables).assign_coords(part=names)


def words(figure: dict) -> list[str]:
    return [note["text"] for note in figure["layout"]["annotations"]]


def test_shares_and_rates_are_bars_with_their_intervals_and_the_title_tells_the_whole():
    figure = audit_picture(dataset())
    shares, rates = [trace for trace in figure["data"] if trace.get("orientation") == "h"]
    assert np.allclose(shares["x"], [0.1, 0.2, 0.3], rtol=AGAIN_SINGLE, atol=AGAIN_ZERO)
    assert np.allclose(shares["error_x"]["array"], 0.05, rtol=ONE_BIT, atol=0)
    assert (shares["xaxis"], rates["xaxis"]) == ("x7", "x8")
    assert figure["layout"]["xaxis7"]["title"]["text"] == "share of 0.6"
    go.Figure(figure)


def test_the_heading_says_behind_which_layer_and_markup_in_its_name_is_shown():
    heading = next(text for text in words(audit_picture(dataset())) if "bicubic" in text)
    assert "Error behind layer&lt;1&gt; at every angle" in heading


def test_long_names_keep_their_end_where_modules_differ():
    ticks = audit_picture(dataset())["layout"]["yaxis7"]["ticktext"]
    assert all(tick.startswith("…") and tick.endswith(f"part{at}") for at, tick in enumerate(ticks))


def test_n15_of_many_parts_those_with_the_largest_shares_are_shown_in_order_and_it_is_said():
    figure = audit_picture(dataset(parts=MOST_ROWS + 6))
    assert len(figure["layout"]["yaxis7"]["ticktext"]) == MOST_ROWS
    assert f"showing {MOST_ROWS} of {MOST_ROWS + 6} parts" in words(figure)
    assert figure["layout"]["yaxis7"]["ticktext"][0].endswith("part6")


@pytest.mark.parametrize(("known", "text", "times"), [(False, "follows at rest", 2), (True, "not defined here", 1)])
def test_where_nothing_is_known_a_word_stands_in_place_and_nothing_moves(known, text, times):
    figure = audit_picture(dataset(known=known, rates=False))
    assert words(figure).count(text) == times
    assert figure["layout"]["height"] == audit_picture(dataset())["layout"]["height"]
    assert figure["layout"]["yaxis7"]["domain"] == audit_picture(dataset())["layout"]["yaxis7"]["domain"]


def test_five_panels_stand_in_one_row_and_do_not_overlap():
    layout = audit_picture(dataset())["layout"]
    domains = [layout[f"xaxis{number}"]["domain"] for number in range(2, 7)]
    assert all(left[1] < right[0] for left, right in pairwise(domains))
    rows = [layout[name]["domain"] for name in ("yaxis7", "yaxis", "yaxis2")]
    assert all(low[1] < high[0] for low, high in pairwise(rows))

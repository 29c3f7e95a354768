"""Where the view of families puts marks, intervals, seeds and names, and what it says of each."""

import re

import numpy as np
import plotly.graph_objects as go
import pytest
import xarray as xr

from tests.tolerances import AGAIN
from tests.views.made import ATTRS
from workbench.measure.dataset import labelled
from workbench.views import palette
from workbench.views.families import SMALLEST, SYMBOLS, families_picture

NAMES = ["plain", "near <b>it</b>", "strict"]
ACROSS, UP = np.array([1e6, 1e6, 2e6]), np.array([80.0, 80.5, 90.0])


def dataset(across: str = "multiply_adds", marks: str = "means", **values: np.ndarray) -> xr.Dataset:
    """Two families that nearly lie on each other and one apart; two sizes, three seeds."""
    x, y = values.get("x", ACROSS), values.get("y", UP)
    seeds = np.array([-1.0, 0.0, 1.0])
    family = {"quantity": across}
    variables = {
        "x": labelled("family", x, "work"), "x_low": labelled("family", x, "low"), "x_high": labelled("family", x, "h"),
        "x_seed": labelled(("family", "seed"), np.repeat(x[:, None], 3, 1), "each"),
        "y": labelled("family", y, "right", "percent"), "y_low": labelled("family", y - 2, "low"),
        "y_high": labelled("family", y + 3, "high"), "y_seed": labelled(("family", "seed"), y[:, None] + seeds, "each"),
        "curve": labelled(("family", "size"), np.stack([y - 10, y], 1), "right", "percent"),
        "target_percent": labelled((), 85.0, "asked for", "percent"),
    }  # fmt: skip
    coords = {
        "family": labelled("family", NAMES, "family"),
        "seed": labelled("seed", range(3), "seed"),
        "size": labelled("size", [100, 200], "training pictures"),
        "where": labelled("family", ["nowhere", "around", "around"], "where"),
        "sentence": labelled("family", ["As it is.", "Nearly.", "Built in."], "what it does"),
    }
    attrs = {"places": "nowhere; around", "family": "strict", "numbers": "90 % right; few", "marks": marks}
    ds = xr.Dataset(variables, coords, {**ATTRS, **attrs})
    for name in ("x", "x_low", "x_high", "x_seed"):
        ds[name].attrs |= family
    return ds


def traces(figure: dict, name: str) -> list[dict]:
    return [one for one in figure["data"] if one.get("name") == name]


def notes(figure: dict) -> str:
    return " | ".join(note["text"] for note in figure["layout"]["annotations"])


def test_each_family_is_one_mark_with_its_interval():
    figure = families_picture(dataset())
    mark = traces(figure, "strict")[0]
    assert (float(mark["x"][0]), float(mark["y"][0])) == (2e6, 90)
    assert (float(mark["error_y"]["array"][0]), float(mark["error_y"]["arrayminus"][0])) == (3, 2)
    assert float(mark["error_x"]["array"][0]) == 0
    assert figure["layout"]["xaxis"]["type"] == "log"
    assert "type" not in figure["layout"]["yaxis"]
    assert figure["layout"]["yaxis"]["title"]["text"] == "right [%]"
    go.Figure(figure)


def test_every_seed_is_a_mark_where_seeds_are_asked_for():
    figure = families_picture(dataset(marks="seeds"))
    _, dots = traces(figure, "strict")[:2]
    assert dots["y"].tolist() == [89, 90, 91]
    assert dots["customdata"].tolist() == [0, 1, 2]
    assert "error_y" not in traces(figure, "strict")[0]
    go.Figure(figure)


def test_the_lines_show_fewer_pictures_and_the_accuracy_asked_for():
    figure = families_picture(dataset())
    line = traces(figure, "strict")[-1]
    assert line["x"].tolist() == [100, 200]
    assert line["y"].tolist() == [80, 90]
    asked = traces(figure, "asked for")[0]
    assert asked["y"].tolist() == [85, 85]
    assert figure["layout"]["xaxis2"]["ticktext"] == ["100", "200"]


def test_colour_says_where_the_symmetry_is_and_a_symbol_tells_families_of_a_colour_apart():
    figure = families_picture(dataset())
    marks = [traces(figure, name)[0]["marker"] for name in ("plain", "near &lt;b&gt;it&lt;/b&gt;", "strict")]
    assert [mark["color"] for mark in marks] == [palette.NEUTRAL, palette.ORANGE, palette.ORANGE]
    assert marks[1]["symbol"] != marks[2]["symbol"]
    assert {mark["symbol"] for mark in marks} <= set(SYMBOLS)


def test_every_name_stands_in_both_panels_as_text_and_the_chosen_family_is_described():
    words = notes(families_picture(dataset()))
    for name in ("plain", "near &lt;b&gt;it&lt;/b&gt;", "<b>strict</b>"):
        assert len(re.findall(re.escape(name), words)) >= 2, name
    assert "<b>strict</b>: Built in.<br>90 % right<br>few" in words
    assert "nowhere" in words
    hover = traces(families_picture(dataset()), "plain")[0]["hovertemplate"]
    assert "As it is." in hover
    assert "80 (78 to 83)" in hover


def test_an_error_of_zero_is_drawn_at_the_foot_of_a_logarithmic_axis_and_the_tick_says_so():
    figure = families_picture(dataset("quarter_error", x=np.array([0.4, 0.1, 0.0])))
    assert float(traces(figure, "strict")[0]["x"][0]) == pytest.approx(SMALLEST, rel=AGAIN)
    assert f"≤{SMALLEST:.0e}" in figure["layout"]["xaxis"]["ticktext"]


def test_what_is_not_known_is_left_out_and_nothing_at_all_is_said_in_words():
    some = families_picture(dataset(x=np.array([1e6, 1e6, np.nan])))
    assert [one["name"] for one in some["data"] if one.get("xaxis") is None] == ["plain", "near &lt;b&gt;it&lt;/b&gt;"]
    none = families_picture(dataset(x=np.full(3, np.nan)).assign(curve=dataset()["curve"] * np.nan))
    assert "Nothing of this was stored" in notes(none)
    go.Figure(none)


@pytest.mark.parametrize("missing", ["x", "y_low", "y_seed", "curve", "target_percent", "where", "sentence"])
def test_a_missing_variable_is_named(missing):
    with pytest.raises(ValueError, match=f"view of families: the Dataset has no '{missing}'"):
        families_picture(dataset().drop_vars(missing))


def test_numbers_without_a_source_are_refused():
    with pytest.raises(ValueError, match="does not say where its numbers come from"):
        families_picture(dataset().drop_attrs())

"""The front page's small pictures: what is drawn, where, and in which colour."""

import base64
import io
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from workbench.dashboards.miniature import HEIGHT, MARGIN, WIDTH, miniature

SVG = "{http://www.w3.org/2000/svg}"


def drawn(traces, **layout):
    """The elements of a picture; it must be well-formed XML."""
    return list(ElementTree.fromstring(miniature({"data": traces, "layout": layout})).iter())


def named(elements, tag):
    return [element for element in elements if element.tag == SVG + tag]


def test_a_curve_runs_from_corner_to_corner_of_its_box():
    (path,) = named(drawn([{"type": "scatter", "x": np.array([0.0, 1.0]), "y": np.array([0.0, 1.0])}]), "path")
    numbers = [float(part) for part in re.findall(r"[\d.]+", path.get("d"))]
    assert numbers == [MARGIN, HEIGHT - MARGIN, WIDTH - MARGIN, MARGIN]


def test_a_gap_in_a_curve_stays_a_gap():
    (path,) = named(drawn([{"type": "scatter", "x": [0, 1, 2, 3], "y": [0, 1, np.nan, 1]}]), "path")
    assert path.get("d").count("M") == 2


def test_panels_keep_their_places():
    layout = {"xaxis": {"domain": [0, 0.4]}, "xaxis2": {"domain": [0.6, 1]}, "yaxis2": {}}
    left, right = named(
        drawn([{"x": [0, 1], "y": [0, 1]}, {"x": [0, 1], "y": [0, 1], "xaxis": "x2", "yaxis": "y2"}], **layout), "path"
    )
    ends = [[float(part) for part in re.findall(r"[\d.]+", path.get("d"))] for path in (left, right)]
    assert ends[0][2] < ends[1][0]


def pixels(elements):
    (image,) = named(elements, "image")
    return image, np.asarray(Image.open(io.BytesIO(base64.b64decode(image.get("href").split(",")[1]))))


SCALE = [[0.0, "#ff0000"], [0.5, "rgba(0,0,0,0)"], [1.0, "#0000ff"]]


def test_a_heat_map_takes_its_colours_from_its_scale_and_stands_upright():
    trace = {"type": "heatmap", "z": np.array([[0.0, 1.0], [2.0, np.nan]]), "zmin": 0, "zmax": 2, "colorscale": SCALE}
    _, upward = pixels(drawn([trace]))
    _, downward = pixels(drawn([trace], yaxis={"autorange": "reversed"}))
    assert upward[1, 0].tolist() == [255, 0, 0, 255]  # the first row is at the bottom
    assert upward[0, 0].tolist() == [0, 0, 255, 255]
    assert upward[1, 1, 3] == upward[0, 1, 3] == 0
    assert np.array_equal(upward, downward[::-1])


def test_equal_scales_keep_squares_square():
    trace = {"type": "heatmap", "z": np.zeros((4, 8)), "colorscale": SCALE}
    image, _ = pixels(drawn([trace], xaxis={"domain": [0, 0.3]}, yaxis={"scaleanchor": "x"}))
    assert float(image.get("width")) == pytest.approx(2 * float(image.get("height")), abs=0.2)


def test_markers_take_numbers_on_a_scale_names_or_one_colour_and_hidden_ones_are_left_out():
    place = {"type": "scatter", "mode": "markers", "x": [0, 1, 2], "y": [0, 1, 2]}
    scaled = {"color": np.array([0.0, 1, 2]), "colorscale": [[0, "#ff0000"], [1, "#0000ff"]], "size": 4}
    for marker, expected in (
        (scaled, ["#ff0000", "#800080", "#0000ff"]),
        ({"color": ["red", "green", "blue"]}, ["red", "green", "blue"]),
        ({"color": "red", "size": np.array([6, 0, 6], np.uint8)}, ["red", "red"]),
    ):
        dots = named(drawn([{**place, "marker": marker}]), "circle")
        assert [dot.get("fill") for dot in dots] == expected


def test_bars_stand_on_zero():
    bars = named(drawn([{"type": "bar", "x": np.array([0, 1]), "y": np.array([1.0, -1.0])}]), "rect")
    up, down = ([float(bar.get(name)) for name in ("y", "height")] for bar in bars)
    assert up[0] + up[1] == pytest.approx(down[0], abs=0.2)


def test_a_logarithmic_axis_is_logarithmic():
    (path,) = named(drawn([{"x": [1, 2, 3], "y": [1, 10, 100]}], yaxis={"type": "log"}), "path")
    heights = [float(part) for part in re.findall(r"[\d.]+", path.get("d"))][1::2]
    assert np.ptp(np.diff(heights)) < 0.2


def test_words_and_unknown_traces_are_left_out_and_nothing_breaks():
    figure = [{"type": "pie", "values": [1]}, {"type": "scatter", "mode": "text", "x": [0], "y": [0], "text": "a"}]
    assert len(drawn(figure, annotations=[{"text": "<b>x</b>"}], title={"text": "t"})) == 1
    assert len(drawn([])) == 1


def test_r17_a_colour_cannot_carry_markup():
    path = named(drawn([{"x": [0, 1], "y": [0, 1], "line": {"color": '"/><script>'}}]), "path")
    assert len(path) == 1


def test_shapes_are_drawn():
    shapes = [
        {"type": "rect", "x0": 0, "x1": 1, "y0": 0, "y1": 1, "line": {"color": "red"}},
        {"type": "line", "x0": 0, "x1": 1, "y0": 0, "y1": 1, "layer": "below"},
        {"type": "line", "x0": 0, "x1": 1, "y0": 0, "y1": 1, "xref": "paper"},
    ]
    elements = drawn([{"x": [0, 1], "y": [0, 1]}], shapes=shapes)
    assert len(named(elements, "rect")) == 1
    assert len(named(elements, "path")) == 2

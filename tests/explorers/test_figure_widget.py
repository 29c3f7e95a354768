"""The picture in a notebook: small messages, nothing left in the saved state, plotly.js once."""

import gzip
import warnings

import numpy as np
import pytest

from workbench.explorers import _figure_widget
from workbench.explorers._figure_widget import FigureWidget, PlotlyLoader, load_plotly, pack, smallest


def unpack(node, buffers):
    """What the page makes of a message: the obvious version of `decode` in the JavaScript."""
    if isinstance(node, list):
        return [unpack(part, buffers) for part in node]
    if not isinstance(node, dict):
        return node
    if "__array__" in node:
        return np.frombuffer(buffers[node["__array__"]], node["dtype"]).reshape(node["shape"])
    return {key: unpack(part, buffers) for key, part in node.items()}


def recorded(widget):
    """Record what a widget sends instead of sending it."""
    sent = []
    widget.send = lambda content, buffers=None: sent.append((content, buffers))
    return sent


def a_figure(height=40):
    z = np.arange(height * 4, dtype=np.float64).reshape(height, 4) / 7
    return {"data": [{"z": z, "text": ["a"]}], "layout": {"title": "Z"}}


def test_a_figure_is_the_same_after_packing_and_unpacking():
    figure = {
        "data": [
            {"z": np.arange(-15, 15).reshape(5, 6), "y": np.linspace(0, 1, 7), "zmin": np.float32(1)},
            {"x": np.array(["a", "b"]), "t": np.array(["2026-01-01"], "datetime64[D]"), "on": np.True_, "none": None},
        ],
        "layout": {"shapes": [{"x0": 1}], "empty": np.zeros(0), "cube": np.zeros((2, 3, 4), np.uint8), "tuple": (1, 2)},
    }  # fmt: skip
    back = unpack(*pack(figure))
    np.testing.assert_array_equal(back["data"][0]["z"], figure["data"][0]["z"])
    np.testing.assert_array_equal(back["data"][0]["y"], figure["data"][0]["y"].astype(np.float32))
    assert back["data"][1] == {"x": ["a", "b"], "t": ["2026-01-01"], "on": True, "none": None}
    assert back["layout"]["cube"].shape == (2, 3, 4)
    assert (back["layout"]["empty"].size, back["layout"]["tuple"], back["data"][0]["zmin"]) == (0, [1, 2], 1.0)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([0, 255], "uint8"),
        ([-1, 127], "int8"),
        ([-1, 128], "int16"),
        ([0, 65_535], "uint16"),
        ([0, 2**31], "uint32"),
        ([0, 2**40], "float64"),
        ([0.5, np.nan, np.inf], "float32"),
        ([1e-40, 1e200], "float64"),
    ],
)
def test_arrays_travel_in_the_smallest_dtype_that_shows_the_same(values, dtype):
    sent = smallest(np.array(values))
    assert sent.dtype.name == dtype
    np.testing.assert_allclose(sent, values, rtol=np.finfo(np.float32).eps, atol=1e-38)


def test_transposed_and_foreign_ordered_arrays_arrive_in_order():
    array = np.arange(6, dtype=">i4").reshape(2, 3).T
    np.testing.assert_array_equal(unpack(*pack({"z": array}))["z"], array)


def test_r8_pictures_are_no_part_of_the_saved_state():
    widget = FigureWidget()
    widget.draw(a_figure(2000), {"serial": 1, "asked": 1}, first=True)
    assert len(widget.first["buffers"][0]) == 2000 * 4 * 4
    widget._hear(None, {"type": "ready", "serial": 1}, [])
    widget.draw(a_figure(2000), {"serial": 2, "asked": 2})
    state = {key: value for key, value in widget.get_state().items() if key not in ("_esm", "_css")}
    assert len(repr(state)) < 1500


def test_r8_plotly_leaves_the_state_once_the_page_has_it_and_comes_again_when_asked():
    loader = PlotlyLoader()
    assert b"plotly.js v" in gzip.decompress(loader.source)[:200]
    loader._answer(None, {"type": "loaded"}, [])
    assert loader.source == b""
    sent = recorded(loader)
    loader._answer(None, {"type": "missing"}, [])
    assert sent[0][0] == {"type": "plotly"}
    assert b"plotly.js v" in gzip.decompress(sent[0][1][0])[:200]


def test_many_pictures_bring_plotly_once():
    _figure_widget._loaders.clear()
    for _ in range(3):
        FigureWidget()
    load_plotly()
    assert len(_figure_widget._loaders) == 1


def test_a_page_that_comes_late_gets_the_last_picture_error_and_progress():
    widget = FigureWidget()
    widget.draw(a_figure(), {"serial": 1, "asked": 1})
    widget.draw(a_figure(), {"serial": 2, "asked": 2})
    widget.tell("busy", fraction=0.25)
    widget.tell("error", text="no", asked=2)
    sent = recorded(widget)
    widget._hear(None, {"type": "ready", "serial": -1}, [])
    assert [content["type"] for content, _ in sent] == ["figure", "busy", "error"]
    assert (sent[0][0]["serial"], sent[1][0]["fraction"]) == (2, 0.25)
    widget.tell("busy", fraction=None)
    widget.draw(a_figure(), {"serial": 3, "asked": 3})
    sent.clear()
    widget._hear(None, {"type": "ready", "serial": 3}, [])
    assert sent == []


def test_a_refusal_outlives_the_refinement_that_was_asked_for_before_it():
    widget = FigureWidget()
    widget.draw(a_figure(), {"serial": 2, "asked": 2})
    widget.tell("error", text="no", asked=2)
    widget.draw(a_figure(), {"serial": 3, "asked": 2})
    assert "error" in widget._standing
    widget.draw(a_figure(), {"serial": 4, "asked": 4})
    assert "error" not in widget._standing


@pytest.mark.parametrize("message", [None, "ready", {}, {"type": []}, {"type": "unknown"}, {"type": {"a": 1}}])
def test_a_strange_message_of_the_page_is_ignored(message):
    with warnings.catch_warnings(record=True) as said:
        FigureWidget()._hear(None, message, None)
    assert said == []

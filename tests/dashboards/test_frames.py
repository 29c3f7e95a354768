"""Figures travel unchanged: what the browser unpacks is what the view drew."""

import json

import numpy as np
import pytest

from workbench.dashboards.frames import pack

DTYPES = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"]


def unpack(text: str, buffer: bytes):
    """The slow, obvious reading of a packed figure."""

    def read(node):
        if isinstance(node, list):
            return [read(part) for part in node]
        if not isinstance(node, dict):
            return node
        if "$" in node:
            offset, dtype, shape = node["$"]
            return np.frombuffer(buffer, dtype, int(np.prod(shape)), offset).reshape(shape)
        return {key: read(part) for key, part in node.items()}

    return read(json.loads(text))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3,), (5, 7), (2, 3, 4)])
def test_arrays_arrive_with_their_numbers_shape_and_type(dtype, shape):
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    odd = np.array([1], np.uint8)  # what follows must still be aligned
    found = unpack(*pack({"data": [{"x": odd, "z": array}], "layout": {}}))["data"][0]
    assert found["z"].dtype == dtype
    assert found["z"].shape == shape
    assert np.array_equal(found["z"], array)


def test_every_array_starts_where_a_typed_array_may_start():
    text, _ = pack({"data": [{"a": np.zeros(3, np.uint8), "b": np.zeros(3, np.float64)}], "layout": {}})
    assert all(part["$"][0] % 8 == 0 for part in json.loads(text)["data"][0].values())


def test_an_array_that_is_a_view_arrives_as_it_looks():
    array = np.arange(24, dtype=np.float32).reshape(4, 6)[::2, ::-1].T
    assert np.array_equal(unpack(*pack({"z": array}))["z"], array)


@pytest.mark.parametrize(("values", "dtype"), [([1, -5], "int32"), ([2**40], "float64"), ([], "int32")])
def test_whole_numbers_without_a_typed_array_keep_their_values(values, dtype):
    found = unpack(*pack({"y": np.array(values, np.int64)}))["y"]
    assert found.dtype == dtype
    assert found.tolist() == values


def test_what_json_does_not_know_becomes_null_and_the_text_stays_json():
    text, _ = pack({"layout": {"a": float("nan"), "b": [np.float64("inf"), np.int64(3), np.bool_(True)], 5: (1, "x")}})
    assert json.loads(text) == {"layout": {"a": None, "b": [None, 3, True], "5": [1, "x"]}}


def test_words_and_scalars_in_arrays_travel_as_text():
    text, buffer = pack({"text": np.array(["<b>", "é"]), "size": np.array(4.0)})
    assert json.loads(text) == {"text": ["<b>", "é"], "size": 4.0}
    assert buffer == b""


def test_nan_in_an_array_stays_in_the_binary_path():
    found = unpack(*pack({"y": np.array([1.0, np.nan], np.float32)}))["y"]
    assert np.isnan(found[1])

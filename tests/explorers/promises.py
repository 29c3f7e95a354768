"""What every explorer keeps, whatever its question: checked by each explorer's own test file."""

import html
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
import xarray as xr

from workbench.explorers import Explorer
from workbench.measure.dataset import open_dataset, validate
from workbench.views.frame import PROVENANCE


def keeps_every_promise(explorer: Explorer, folder: Any, **other: Any) -> None:
    """Assert everything an explorer promises at its present state and at the state `other`."""
    explains_itself(explorer)
    ds = validate(explorer.dataset(), {}, PROVENANCE)
    go.Figure(explorer.figure_dict())
    same_state_gives_the_same_dataset(explorer)
    xr.testing.assert_identical(open_dataset(explorer.save(folder / "ds.nc")), explorer.dataset())
    returns_by_its_permalink(explorer.at(**other))
    code_reproduces(explorer.at(**other))
    table = explorer.table("html")
    assert html.escape(explorer.question, quote=False) in html.unescape(table) or explorer.question in table
    assert not any(variable.values.flags.writeable for variable in ds.variables.values() if variable.ndim)


def explains_itself(explorer: Explorer) -> None:
    """A question in plain words, an explanation, and a sentence and a unit for every control."""
    assert explorer.question.endswith("?")
    assert len(explorer.explanation.split()) > 30
    for control in explorer.controls():
        assert control.doc.endswith("."), control.name
        assert control.label, control.name
        if control.name.endswith("_deg"):
            assert control.unit == "degrees"
        if control.name.endswith("_percent"):
            assert control.unit.startswith("percent")
        if control.name.endswith("_px"):
            assert control.unit == "pixels"


def same_state_gives_the_same_dataset(explorer: Explorer) -> None:
    fresh = type(explorer)(**explorer.state())
    xr.testing.assert_identical(fresh.dataset(), explorer.dataset())
    assert go.Figure(fresh.figure_dict()).to_json() == go.Figure(explorer.figure_dict()).to_json()


def returns_by_its_permalink(explorer: Explorer) -> None:
    again = type(explorer).from_permalink(explorer.permalink())
    assert again.state() == explorer.state()
    with pytest.raises(ValueError, match="unknown_control"):
        type(explorer).from_permalink("?unknown_control=1")


def code_reproduces(explorer: Explorer) -> None:
    names: dict[str, Any] = {}
    exec(explorer.code(), names)
    xr.testing.assert_identical(names["dataset"], explorer.dataset())
    assert isinstance(names["figure"], go.Figure)


def finite(ds: xr.Dataset) -> bool:
    """Whether no numeric variable holds NaN or infinity."""
    return all(bool(np.isfinite(v.values).all()) for v in ds.variables.values() if v.dtype.kind in "fiub")

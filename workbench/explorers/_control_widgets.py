"""One control of an explorer as an ipywidget, and how it follows the explorer."""

from __future__ import annotations

import math
from typing import Any

import ipywidgets as widgets

from workbench.explorers._controls import Control, Value


def control_widget(control: Control, value: Value) -> widgets.Widget:
    """The slider, menu or switch of a control, named and explained, at a value."""
    kinds = {
        "float": widgets.FloatSlider,
        "int": widgets.IntSlider,
        "choice": widgets.Dropdown,
        "switch": widgets.Checkbox,
    }
    fixed: dict[str, Any] = {"indent": False} if control.kind == "switch" else {}
    if control.kind in ("float", "int"):
        fixed = {"continuous_update": True, "readout_format": _format(control)}
    widget = kinds[control.kind](description=control.label, tooltip=control.doc, **_traits(control, value), **fixed)
    return widget.add_class("wb-control")


def _traits(control: Control, value: Value) -> dict[str, Any]:
    """What follows the explorer: in this order, so that a value is never outside its own limits."""
    if control.kind == "choice":
        return {"options": control.options, "value": value}
    if control.bounds is None:
        return {"value": value}
    low, high = control.bounds
    return {"max": high, "min": low, "step": control.step, "value": value}


def _format(control: Control) -> str:
    """Enough decimals to show every step.

    >>> _format(Control("a", "A", "float", 0.0, "Doc.", (0.0, 1.0), 0.25))
    '.2f'
    """
    if control.kind == "int":
        return "d"
    decimals = f"{control.step:.6f}".rstrip("0").partition(".")[2]
    return f".{len(decimals)}f"


def move(widget: widgets.Widget, control: Control, value: Value) -> None:
    """Move the widget to the limits, options and value of its control; nothing is sent where it is there already."""
    for name, wanted in _traits(control, value).items():
        if not _same(getattr(widget, name), wanted):
            setattr(widget, name, wanted)


def _same(shown: object, wanted: object) -> bool:
    """Whether a widget need not be moved: sending back 25.0 for its own 25.00000000000003 would undo its next move."""
    if isinstance(shown, float) and isinstance(wanted, float):
        return math.isclose(shown, wanted, rel_tol=1e-9, abs_tol=1e-9)
    return shown == wanted

"""The controls of an explorer as data: what both faces draw, and the one check every value passes."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
import param

Value: TypeAlias = "bool | int | float | str"
Kind: TypeAlias = Literal["switch", "int", "float", "choice"]

# Numbers in a permalink are plain decimals: Python's own parsers also take "1_0", "nan" and other alphabets.
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]{1,3})?", re.IGNORECASE)
_UNIT = re.compile(r"\(([^()]+)\)\s*$")


class Refused(ValueError):
    """A value that a control does not accept; ``on_page`` says it with the label that stands beside the control."""

    def __init__(self, control: Control, rest: str) -> None:
        self.on_page = f"{control.label} = {rest}"
        super().__init__(f"{control.name} = {rest}")


def on_page(error: Exception) -> str:
    """What an error says to whoever moved a control: its own words, with labels for the names of controls.

    >>> on_page(Refused(Control("n", "Elements", "int", 8, "How many.", (2, 16), 1), "40 was given."))
    'Elements = 40 was given.'
    """
    return error.on_page if isinstance(error, Refused) else str(error)


@dataclass(frozen=True)
class Control:
    """One control of an explorer, described well enough to build a slider, a menu or a switch from it.

    `bounds` and `step` are given for numbers, `options` (label, value) for choices; `unit` is read from the label's
    closing bracket; `doc` says what the control does, in words for a newcomer.

    >>> Control("angle_deg", "Angle (degrees)", "float", 0.0, "Turns the image.", (-180.0, 180.0), 1.0).unit
    'degrees'
    """

    name: str
    label: str
    kind: Kind
    default: Value
    doc: str
    bounds: tuple[float, float] | None = None
    step: float | None = None
    options: tuple[tuple[str, Value], ...] = ()

    @property
    def unit(self) -> str:
        """The unit in the label's closing bracket, or an empty string."""
        found = _UNIT.search(self.label)
        return found.group(1) if found else ""

    @cached_property
    def _range(self) -> str:
        low, high = self.bounds or (-math.inf, math.inf)
        return f"a {'whole ' if self.kind == 'int' else ''}number from {_plain(low)} to {_plain(high)}"

    def check(self, value: object) -> Value:
        """Return the value as a plain Python one, or refuse it.

        Raises:
            ValueError: one sentence with what was given, what was expected and the nearest fix; a :class:`Refused`.

        >>> Control("n", "Elements", "int", 8, "How many.", (2, 16), 1).check(40)
        Traceback (most recent call last):
        ...
        workbench.explorers._controls.Refused: n = 40 was given, but a whole number from 2 to 16 was expected; use 16.
        """
        return _CHECKS[self.kind](self, value)

    def parse(self, text: str) -> Value:
        """Read the value from a permalink's text; refused like `check` where it does not read or does not fit."""
        if self.kind == "switch" and text in ("true", "false"):
            return text == "true"
        if self.kind == "int" and _INTEGER.fullmatch(text):
            return self.check(int(text))
        if self.kind == "float" and _DECIMAL.fullmatch(text):
            return self.check(float(text))
        if self.kind == "choice":
            for _, value in self.options:
                if write(value) == text:
                    return value
        return self.check(text)


def write(value: Value) -> str:
    """The text of a value in a permalink; `Control.parse` reads it back exactly.

    >>> write(True), write(8), write(0.1), write("bicubic")
    ('true', '8', '0.1', 'bicubic')
    """
    return str(value).lower() if isinstance(value, bool) else str(value)


def describe(owner: param.Parameterized, name: str) -> Control:
    """Describe one parameter of an explorer as a control.

    Raises:
        TypeError: where it has no bounds, no doc, or a kind no face can draw.
    """
    field = owner.param[name]
    label, doc = field.label or name.replace("_", " "), " ".join((field.doc or "").split())
    where = f"{type(owner).__name__}.{name}"
    if not doc:
        raise TypeError(f"{where} has no doc, but every control explains itself; give it doc='what it does'.")
    if isinstance(field, param.Boolean):
        return Control(name, label, "switch", bool(field.default), doc)
    if isinstance(field, param.Selector):
        options = tuple(
            (str(text), value) for text, value in zip(field.names or field.objects, field.objects, strict=True)
        )
        return Control(name, label, "choice", field.default, doc, options=options)
    if isinstance(field, param.Number):
        low, high = field.bounds or (None, None)
        if low is None or high is None:
            raise TypeError(f"{where} has no bounds, but every number is bounded; give it bounds=(low, high).")
        if isinstance(field, param.Integer):
            return Control(name, label, "int", field.default, doc, (low, high), field.step or 1)
        return Control(name, label, "float", field.default, doc, (low, high), field.step or (high - low) / 100)
    kinds = "param.Integer, param.Number, param.Boolean or param.Selector"
    raise TypeError(f"{where} is a param.{type(field).__name__}, but a control is {kinds}; use one of these.")


def refuse_unknown(names: list[str], known: list[str]) -> None:
    """Refuse names that are no control, naming the nearest one.

    >>> refuse_unknown(["angle"], ["angle_deg", "n"])
    Traceback (most recent call last):
    ...
    ValueError: 'angle' was given, but the controls are angle_deg, n; did you mean 'angle_deg'?
    """
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.4)
            fix = f"did you mean {close[0]!r}?" if close else "leave it out."
            raise ValueError(f"{_shown(name)} was given, but the controls are {', '.join(known)}; {fix}")


def _plain(number: Any) -> str:
    return f"{number:g}" if isinstance(number, float) else str(number)


def _shown(value: object) -> str:
    """A short repr: what was given may be long, or huge."""
    if isinstance(value, int) and abs(value) >= 10**18:
        return "a huge whole number"
    text = repr(value) if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _refusal(control: Control, value: object, expected: str, fix: str) -> ValueError:
    return Refused(control, f"{_shown(value)} was given, but {expected} was expected; {fix}.")


def _check_number(control: Control, given: object) -> Value:
    whole = control.kind == "int"
    accepted = (int, np.integer) if whole else (int, float, np.integer, np.floating)
    value: Any = given
    if isinstance(given, bool | np.bool_) or not isinstance(given, accepted):
        real = isinstance(given, float | np.floating) and math.isfinite(given)
        nearest = _clip(control, round(value)) if real else control.default
        raise _refusal(control, given, control._range, f"use {_plain(nearest)}")
    if isinstance(given, float | np.floating) and not math.isfinite(given):
        raise _refusal(control, given, control._range, f"use {_plain(control.default)}")
    if _clip(control, value) != value:
        raise _refusal(control, given, control._range, f"use {_plain(_clip(control, value))}")
    return int(value) if whole else float(value)


def _clip(control: Control, value: float) -> float:
    low, high = control.bounds or (-math.inf, math.inf)
    return min(max(value, low), high)


def _check_switch(control: Control, value: object) -> Value:
    if not isinstance(value, bool | np.bool_):
        raise _refusal(control, value, "True or False", f"use {control.default}")
    return bool(value)


def _check_choice(control: Control, value: object) -> Value:
    for _, option in control.options:
        if type(option) is type(value) and option == value:
            return option
    names = [write(option) for _, option in control.options]
    by_text = {label.lower(): name for (label, _), name in zip(control.options, names, strict=True)}
    by_text |= {name.lower(): name for name in names}
    close = difflib.get_close_matches(str(value)[:60].lower(), list(by_text), n=1, cutoff=0.3)
    fix = f"use {by_text[close[0]] if close else write(control.default)!r}"
    raise _refusal(control, value, f"one of {', '.join(names[:20])}", fix)


_CHECKS: dict[Kind, Callable[[Control, object], Value]] = {
    "switch": _check_switch,
    "int": _check_number,
    "float": _check_number,
    "choice": _check_choice,
}

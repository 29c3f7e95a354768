"""Sentences for settings of networks that cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any, TypeVar

Config = TypeVar("Config")
WIDEST = 1 << 16  # more channels or classes than any network here holds: a larger number is a slip of the hand


def from_preset(model: str, given: Mapping[str, Any], presets: Mapping[str, Mapping], kind: type[Config]) -> Config:
    """The preset named in what was given, "demo" where none is, with the other entries put in place.

    Raises:
        ValueError: for an unknown preset or entry.
    """
    own = {key: value for key, value in given.items() if key not in ("name", "preset")}
    preset = given.get("preset", "demo")
    if preset not in presets:
        raise ValueError(f"{model}: preset {preset!r} was given; expected one of {', '.join(presets)}.")
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(own) - known):
        raise ValueError(f"{model}: {', '.join(unknown)} was given; expected only {', '.join(sorted(known))}.")
    return replace(kind(**presets[preset]), **own)  # type: ignore[type-var]


def check_choices(model: str, config: Any, **allowed: tuple[str, ...]) -> None:
    """Refuse an entry that is none of those allowed for it."""
    for key, choices in allowed.items():
        if (value := getattr(config, key)) not in choices:
            nearest = "".join(f"; use {near!r}" for near in get_close_matches(str(value), choices, n=1))
            raise ValueError(f"{model}: {key} {value!r} was given; expected {', '.join(choices)}{nearest}.")


def check_integers(model: str, **values: Any) -> None:
    """Refuse what is no positive integer of a sensible size."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= WIDEST:
            raise ValueError(f"{model}: {name} = {value!r} was given; expected a positive integer, at most {WIDEST}.")


def check_stages(model: str, widths: Any, pools: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Channels of each stage and the stages that a pooling follows, as tuples; refuse what names none."""
    if not isinstance(widths, tuple | list) or not widths:
        raise ValueError(
            f"{model}: widths = {widths!r} was given; expected the channels of at least the lifting or first "
            "convolution, such as (8, 8, 16)."
        )
    check_integers(model, **{f"widths[{i}]": width for i, width in enumerate(widths)})
    good = isinstance(pools, tuple | list) and all(isinstance(p, int) and 0 <= p < len(widths) for p in pools)
    if not good:
        raise ValueError(
            f"{model}: pools = {pools!r} was given; expected stages from 0 to {len(widths) - 1}, such as (0, 1), or ()."
        )
    return tuple(widths), tuple(pools)


def check_switches(model: str, **values: Any) -> None:
    """Refuse what is neither True nor False."""
    for name, value in values.items():
        if not isinstance(value, bool):
            raise ValueError(f"{model}: {name} = {value!r} was given; expected True or False.")


def check_dropout(model: str, dropout: Any, architecture: str) -> None:
    """Refuse what is no probability of dropping, and any for the architecture that drops nothing."""
    if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout < 1:
        raise ValueError(f"{model}: dropout = {dropout!r} was given; expected a probability of at least 0 and below 1.")
    if dropout and architecture == "demo":
        raise ValueError(
            f"{model}: dropout = {dropout} was given with architecture 'demo', which drops nothing; expected 0, or the "
            "architecture 'ckresnet' or 'gcnn'."
        )


def check_amount(model: str, **values: Any) -> None:
    """Refuse what is no finite number of at least 0."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise ValueError(f"{model}: {name} = {value!r} was given; expected a finite number of at least 0.")

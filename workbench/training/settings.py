"""The training recipe as checked data: unknown keys and impossible values are refused with a sentence."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from difflib import get_close_matches
from typing import Any

SCHEDULES = ("none", "one-cycle", "cosine")
PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed", "64": "64-true"}  # ours -> Lightning's
DEVICES = ("auto", "cpu", "gpu")
FORMAT = 1  # version of the run folder; raise it when an older workbench could misread a new folder
MOST = 1_000_000  # epochs, images a step and the like: a larger number is a slip of the hand
MOST_STEPS = 1_000_000_000  # optimiser steps
LARGEST = sys.float_info.max  # of numbers without a bound of their own
NOTES = ("format", "workbench")  # what a stored config.json says besides the configuration itself


def _number(low: float, high: float = LARGEST, *, open_low: bool = False) -> tuple[Callable[[Any], bool], str]:
    def valid(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return (low < value if open_low else low <= value) and value <= high  # NaN is neither

    bounds = f"{'above' if open_low else 'at least'} {low:g}" + ("" if high == LARGEST else f" and at most {high:,}")
    return valid, f"a number {bounds}"


def _whole(low: int, high: int = MOST) -> tuple[Callable[[Any], bool], str]:
    def valid(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

    return valid, f"a whole number from {low} to {high:,}"


def _one_of(*choices: str) -> tuple[Callable[[Any], bool], str]:
    return lambda v: isinstance(v, str) and v in choices, "one of " + ", ".join(map(repr, choices))


def _truth() -> tuple[Callable[[Any], bool], str]:
    return lambda v: isinstance(v, bool), "true or false"


def _temperatures(value: Any) -> bool:
    pair = isinstance(value, list | tuple) and len(value) == 2
    return pair and all(_number(0, open_low=True)[0](v) for v in value) and value[0] >= value[1]


def _setting(default: Any, check: tuple[Callable[[Any], bool], str], optional: bool = False) -> Any:
    return field(default=default, metadata={"check": check, "optional": optional})


@dataclass(frozen=True)
class Settings:
    """One training recipe; every field is a key of the `training` part of a configuration.

    epochs            passes over the training split.
    max_steps         stop after so many optimiser steps instead, if that comes first.
    batch_size        images per step.
    drop_last         leave out the last, smaller batch of an epoch (the paper's code does).
    lr, lr_probs      rates of the weights and of what decides how much symmetry there is: the parameters of learned
                      distributions, dials (default: the same).
    optimiser         "adam", betas (0.9, 0.999).
    schedule          "none"; "one-cycle" with its top at lr; "cosine" to 1e-6 after a linear warm-up, per step.
    warm_up           epochs of the cosine schedule's warm-up from 0.
    weight_decay      factor of the sum over layers of the un-squared norms of generated kernels and biases.
    monotone          factor of the prior sum over layers of relu(arc[l + 1] - arc[l]).
    temperature       (first, last) of the relaxed gates, linear over the optimiser steps.
    early_stop        stop after so many epochs without a better validation accuracy.
    precision         "32", "bf16" (mixed) or "64".
    device            "auto", "cpu" or "gpu".
    checkpoint_steps  write a checkpoint each so many steps; without it at ends of epochs, a few seconds apart.
    error_points      measure the equivariance error at so many epochs (0: never), evenly spread.
    snapshots         keep a few kernels of every layer at so many epochs (0: never), evenly spread.

    Defaults follow Romero & Lohit 2022 (arXiv 2110.10211) where the released code has the setting.

    >>> Settings.read({"epochs": 40, "lr": 5e-3}).rate_of_distributions
    0.005
    """

    epochs: int = _setting(40, _whole(1))
    max_steps: int | None = _setting(None, _whole(1, MOST_STEPS), optional=True)
    batch_size: int = _setting(64, _whole(1))
    drop_last: bool = _setting(False, _truth())
    lr: float = _setting(1e-3, _number(0, open_low=True))
    lr_probs: float | None = _setting(None, _number(0), optional=True)
    optimiser: str = _setting("adam", _one_of("adam"))
    schedule: str = _setting("none", _one_of(*SCHEDULES))
    warm_up: float = _setting(5.0, _number(0, MOST))
    weight_decay: float = _setting(0.0, _number(0))
    monotone: float = _setting(0.0, _number(0))
    temperature: tuple[float, float] = _setting((0.5, 1e-4), (_temperatures, "two falling numbers above 0"))
    early_stop: int | None = _setting(None, _whole(1), optional=True)
    precision: str = _setting("32", _one_of(*PRECISIONS))
    device: str = _setting("auto", _one_of(*DEVICES))
    checkpoint_steps: int | None = _setting(None, _whole(1, MOST_STEPS), optional=True)
    error_points: int = _setting(10, _whole(0))
    snapshots: int = _setting(50, _whole(0))

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Settings:
        """Settings from the `training` part of a configuration; ValueError names an unknown key or bad value."""
        known = {entry.name: entry for entry in fields(cls)}
        _refuse_unknown("training", given, known)
        values: dict[str, Any] = {}
        for name, value in given.items():
            valid, expected = known[name].metadata["check"]
            optional = known[name].metadata["optional"]
            if not (value is None and optional) and not valid(value):
                expected += " or null" if optional else ""
                raise ValueError(f"training.{name} is {value!r}; expected {expected}")
            values[name] = tuple(value) if isinstance(value, list) else value
        return cls(**values)

    @property
    def rate_of_distributions(self) -> float:
        """The rate of the distributions' own parameters; that of the weights unless it was given."""
        return self.lr if self.lr_probs is None else self.lr_probs

    def plain(self) -> dict[str, Any]:
        """The same recipe as JSON-ready entries."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}


def read_config(config: Mapping[str, Any]) -> tuple[dict[str, Any], Settings]:
    """Check a whole configuration {"model", "data", "training", "seed"}; returns it complete, and its settings.

    Raises TypeError for something that is no mapping, ValueError for a missing or unknown part, both with the fix.
    """
    if not isinstance(config, Mapping):
        raise TypeError(f"a configuration is a mapping with model, data, training and seed; got {config!r}")
    refuse_newer(config.get("format", FORMAT), "the configuration")
    _refuse_unknown("the configuration", config, ("model", "data", "training", "seed", *NOTES))
    for part in ("model", "data"):
        entry = config.get(part)
        if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
            raise ValueError(f"the configuration's {part!r} is {entry!r}; expected a mapping with at least a 'name'")
    training = config.get("training", {})
    if not isinstance(training, Mapping):
        raise ValueError(f"the configuration's 'training' is {training!r}; expected a mapping of settings")
    seed = config.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"the configuration's seed is {seed!r}; expected a whole number from 0 to 2**32 - 1")
    settings = Settings.read(training)
    complete = {
        "model": dict(config["model"]),
        "data": dict(config["data"]),
        "training": settings.plain(),
        "seed": seed,
    }
    try:
        return json.loads(json.dumps(complete, allow_nan=False)), settings
    except (TypeError, ValueError) as error:
        raise ValueError(f"the configuration must be plain JSON to be stored: {error}") from error


def refuse_newer(found: Any, what: str) -> None:
    """Refuse a format that a later version of the workbench wrote."""
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise ValueError(f"{what} says format {found!r}; expected a whole number from 1 to {FORMAT}")
    if found > FORMAT:
        raise ValueError(
            f"{what} has format {found}, and this version of the workbench reads up to {FORMAT}; "
            "install a newer equivariance-workbench to open it"
        )


def _refuse_unknown(where: str, given: Mapping[str, Any], known: Any) -> None:
    for name in given:
        if name not in known:
            close = get_close_matches(str(name), list(known), n=1)
            hint = f"did you mean {close[0]!r}?" if close else "known: " + ", ".join(sorted(known))
            raise ValueError(f"{where} has an unknown key {name!r}; {hint}")

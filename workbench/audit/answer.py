"""The answer in plain sentences, from the numbers of a sweep."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from workbench.audit.advice import ADVICE
from workbench.audit.causes import because, first_broken, named_causes
from workbench.audit.kinds import PLACES
from workbench.audit.questions import BUILT_IN, ROTATIONS, SHIFTS
from workbench.audit.result import Verdict, mean_of
from workbench.audit.rounding import rounded, told_rounding
from workbench.audit.trial import NOISE
from workbench.audit.upfront import guessed, moving, noise_left, stochastic
from workbench.audit.words import CLOSE, OWN, PIXELS, both, percent
from workbench.measure.orbit import named

ABOVE_CHANCE = math.sqrt(2)
"""Times what chance alone does: below that, chance makes the larger part of the square of an error. The lower end of
its interval is asked, because the largest of several errors that chance makes is larger than most."""
AS_GOOD_AS_PIXELS = 1.7
"""Times the resampling floor: what band-limited group layers reach on smooth images."""
MAPS, VECTORS = "maps", "numbers"
_RANK = ("exact", "close", "floor", "broken")
"""Levels of an element, from the best to the worst."""

TIE = (
    "If it should not, there are three ways: average its answers over the moved copies of the input (exact, at the "
    "cost of one pass a copy), train on moved copies (approximate), or tie its filters with group convolutions "
    "(workbench.layers.to_group_cnn)."
)
_FINER = "More orientations, smoother kernels or smoother input bring it closer to the floor."


@dataclass(frozen=True)
class Worst:
    """The worst of some elements at one layer."""

    error: float
    low: float
    high: float
    at: str
    floor: float
    absolute: float = float("nan")
    unit: str = OWN
    noise: float = 0.0
    index: int = -1
    largest: bool = True
    input_floor: float = 0.0

    @property
    def both(self) -> str:
        """Relative and absolute."""
        return both(self.error, self.absolute, self.unit)


def verdict(
    question: str,
    sweep: xr.Dataset,
    model: Callable,
    findings: xr.Dataset | None,
    limit: float,
    output: str,
    spread: float = 1.0,
) -> Verdict:
    """Answer one question from its sweep.

    Args:
        findings: of the static report, for reasons.
        limit: relative error up to which an element counts as exact.
        output: ``"maps"``, which move along, or ``"numbers"``, which should stay.
        spread: by how much the answers to two different images differ, relative; an error counts in parts of it.
    """
    moved, lattice = moves(sweep), sweep["lattice"].values
    still = lattice & sweep["exact"].sel(layer="output").values  # nothing is resampled
    half = lattice & ~still  # the samples are not, but the answer is, such as where it moves by half a pixel
    levels = levels_of_elements(sweep, still, output, limit, spread)
    exact, between = (worst(sweep, some & moved, output, levels) for some in (still, ~lattice))
    asked = (~still, still) if question == ROTATIONS else (lattice, ~lattice)
    told = worst(sweep, asked[0] & moved, output, levels) or worst(sweep, asked[1] & moved, output, levels)
    if told is None:
        raise ValueError(f"{question}: no element besides the identity was measured; give more elements.")
    level = levels[told.index]
    if level == "floor" and exact and exact.error > max(limit, rounded(sweep)):  # resampling cannot break it there
        level = levels[exact.index]
    noisy = level in ("broken", "close") and told.noise > 0 and told.low <= ABOVE_CHANCE * told.noise
    if noisy or (level != "floor" and 0 < rounded(sweep) >= told.low):  # in half precision 0 says no more than that
        level = "chance"
    broken = first_broken(sweep, limit) if level in ("broken", "close") and lattice[told.index] else None
    reason, fix = _reasons(question, model, broken, findings, sweep) if level in ("broken", "close") else ("", "")
    counted = moved & (still | half & (np.array(levels) != "floor"))
    own = worst(sweep, counted, output)
    beside = "" if told == between else _between(level, between, output, sweep)
    return Verdict(
        question,
        level,
        _guarded(_sentence(question, level, told, exact, output, sweep, limit) + beside, sweep)
        + _single_pixel(question, level, told, output, sweep)
        + _compared(sweep),
        reason,
        _advice(question, level, fix, reason, "why" in sweep.attrs, rounded(sweep) > 0 and not told.noise),
        told.error,
        told.low,
        told.high,
        told.at,
        told.floor,
        broken[0] if broken else "",
        own.error if own else float("nan"),
        told.absolute,
        told.unit,
    )


def output_of(sweep: xr.Dataset) -> str:
    """Whether the result should stay as it is, as numbers, or move along, as maps do.

    Numbers for each point stay under motions and move along under permutations.
    """
    law = str(sweep.attrs["output"])
    stays = law == "invariant" or (law == "set" and sweep.attrs["input"] == "points")
    return VECTORS if stays else MAPS


def levels_of_elements(sweep: xr.Dataset, still: np.ndarray, output: str, limit: float, spread: float) -> list[str]:
    """The level of each element by itself; ``still`` are those where nothing is resampled, which have no floor."""
    row = sweep.sel(layer="output")
    pairs = zip(row["error_mean"].values, np.where(still, 0.0, row[_floor(output)].values), strict=True)
    return [_level(float(error), float(floor), limit, spread) for error, floor in pairs]


def _floor(output: str) -> str:
    return "output_floor_mean" if output == MAPS else "input_floor_mean"


def worst(sweep: xr.Dataset, chosen: np.ndarray, output: str, levels: list[str] | None = None) -> Worst | None:
    """The element with the largest mean error end to end among the chosen ones, of those of the worst level; or None.

    Args:
        levels: of :func:`levels_of_elements`; an element far above its floor comes before one with a larger error that
            resampling explains.
    """
    if not chosen.any():
        return None
    row = sweep.sel(layer="output")
    most = row["error_mean"].values[chosen].max()
    if levels is not None:
        rank = np.array([_RANK.index(level) for level in levels])
        chosen = chosen & (rank == rank[chosen].max())
    at = int(np.flatnonzero(chosen)[np.argmax(row["error_mean"].values[chosen])])
    absolute = mean_of(row, "absolute_error_mean")
    low, high = (float(np.nan_to_num(row[name].values[at], nan=row["error_mean"].values[at])) for name in
                 ("error_low", "error_high"))  # fmt: skip
    return Worst(
        float(row["error_mean"].values[at]),
        max(0.0, low),
        high,
        words(sweep, at),
        float(row[_floor(output)].values[at]),
        float("nan" if absolute is None else absolute.values[at]),
        unit_of(sweep),
        noise_left(sweep) if stochastic(sweep) > NOISE else 0.0,
        at,
        bool(row["error_mean"].values[at] >= most),
        float(row["input_floor_mean"].values[at]),
    )


def unit_of(sweep: xr.Dataset) -> str:
    """In which unit the absolute error of the answer counts."""
    in_a_frame = str(sweep.attrs.get("output", "")).startswith(("boxes", "key points"))
    return PIXELS if in_a_frame else OWN


def words(sweep: xr.Dataset, transform: int) -> str:
    """An element as a reader says it.

    >>> import torch
    >>> from workbench.groups import O2
    >>> from workbench.measure.orbit import transform_coords
    >>> words(xr.Dataset(coords=transform_coords(torch.tensor([[0.0, -1.0], [1.5708, 1.0]]), O2())), 0)
    'a left-right flip'
    """
    row = sweep.isel(transform=transform)
    if "moved" in row.coords:
        return named(sweep, transform)
    if (inside_out := _inside_out(sweep, row)) or (moved := _moved(row)):
        return inside_out or moved
    if "shift_x_px" in row.coords and "angle_deg" in row.coords and not float(row.angle_deg) and int(row.mirror) > 0:
        right, up = float(row.shift_x_px), float(row.shift_y_px)
        parts = [f"{abs(right):g} px {'right' if right > 0 else 'left'}"] if right else []
        parts += [f"{abs(up):g} px {'up' if up > 0 else 'down'}"] if up else []
        return f"a shift by {' and '.join(parts) or '0 px'}"
    if str(sweep.attrs.get("input", "")) == "series" and int(row.mirror) < 0:
        return "the reversal"
    if "mirror" in row.coords and int(row.mirror) < 0:
        flips = {0.0: "a left-right flip", 180.0: "an up-down flip"}
        turn = round(float(row.angle_deg) % 360, 3)
        return flips.get(turn, f"a flip and a turn by {turn:g}°")
    if "angle_deg" in row.coords and "scale" not in row.coords:
        return f"a turn by {round(float(row.angle_deg), 3):g}°"
    return named(sweep, transform)


def _inside_out(sweep: xr.Dataset, row: xr.Dataset) -> str:
    """An element of O(3) that is no rotation: a rotation and a point reflection."""
    if str(sweep.attrs.get("group", "")) not in ("O3", "E3") or int(row.mirror) > 0:
        return ""
    turn = round(float(row.angle_deg), 3)
    plain = {0.0: "a point reflection", 180.0: "a reflection in a plane"}
    return plain.get(turn, f"a turn by {turn:g}° and a point reflection")


def _moved(row: xr.Dataset) -> str:
    """A shift of a series or of points, or a stretch alone; empty for anything else."""
    if float(row.angle_deg) or int(row.mirror) < 0:
        return ""
    shifts = [float(row[name]) for name in row.coords if str(name).startswith("shift_") and "_px" not in str(name)]
    if "shift_samples" in row.coords:
        return f"a shift by {shifts[0]:g} samples"
    if shifts and "scale" not in row.coords:
        return f"a shift by ({', '.join(f'{shift:.3g}' for shift in shifts)})"
    return f"a stretch by {float(row.scale):.3g}" if "scale" in row.coords and not shifts else ""


def moves(sweep: xr.Dataset) -> np.ndarray:
    """Everything but the identity."""
    still = np.ones(sweep.sizes["transform"], dtype=bool)
    for name in map(str, sweep.variables):
        if name.startswith(("angle_deg", "shift_", "moved", "scale", "mirror")):
            values = np.asarray(sweep[name].values, dtype=float)
            rest = 1.0 if name in ("scale", "mirror") else 0.0
            still &= np.abs((values + 180) % 360 - 180 if name == "angle_deg" else values - rest) < 1e-6
    return ~still


def _level(error: float, floor: float, limit: float, spread: float) -> str:
    if error <= limit:
        return "exact"
    if 0 < error <= AS_GOOD_AS_PIXELS * floor:
        return "floor"
    return "close" if error <= CLOSE * min(1.0, spread) else "broken"


def _sentence(
    question: str, level: str, told: Worst, exact: Worst | None, output: str, sweep: xr.Dataset, limit: float
) -> str:
    """``told`` is the worst element, and ``exact`` the worst of those where nothing is resampled."""
    asked = question if question in BUILT_IN else f"the group {question}"
    samples, places = sweep.sizes["sample"], PLACES[str(sweep.attrs.get("input", "image"))]
    kind = "equivariant" if output == MAPS else "invariant"
    interval = f"{told.both}, 95 % interval {percent(told.low)} to {percent(told.high)}, {samples} samples"
    interval = interval if samples > 1 else f"{told.both}, one sample, so no interval"
    if level == "exact":
        return f"Your model is exactly {kind} to {asked}: the largest error is {told.both}, rounding alone."
    if level == "floor":
        return (
            f"Your model is as {kind} to {asked} as {places} allow: its error at {told.at}, {interval}, is "
            f"{told.error / told.floor:.1f} times what resampling alone costs ({percent(told.floor)})."
        )
    if level == "chance":
        told_from = "" if told.noise else f" from rounding in {sweep.attrs['rounding_dtype']}"
        hides = f"chance alone changes it by {percent(told.noise)}" if told.noise else told_rounding(sweep)
        found = f"at worst, {told.at}, its answer differs by {interval}, and"
        found = found if told.error else f"its answer is the same to the last bit, {samples} samples, but"
        return f"Whether your model breaks {asked} cannot be told{told_from}: {found} {hides}."
    breaks = f"is nearly {kind} to" if level == "close" else "breaks"
    where = "at worst" if told.largest else "farthest beyond what resampling does"
    first = f"Your model {breaks} {asked}: {where}, {told.at}, its answer differs by {interval}."
    if told.noise:
        rest = math.sqrt(max(0.0, told.error**2 - told.noise**2))
        first += f" Chance alone changes it by {percent(told.noise)}; without that about {percent(rest)} is left."
    elif rounded(sweep):
        first += f" {told_rounding(sweep).capitalize()}."
    return first + _beside_floor(told, exact, output, places, limit)


def _beside_floor(told: Worst, exact: Worst | None, output: str, places: str, limit: float) -> str:
    """What resampling costs at the worst element, and how the answer is where nothing is resampled."""
    if (exact is not None and exact.index == told.index) or not (told.floor or told.input_floor):
        return ""
    if not told.floor:  # boxes and key points
        return f" Resampling alone changes the input by {percent(told.input_floor)} there, and its answer not at all."
    floor = f"the {'output' if output == MAPS else 'input'} by {percent(told.floor)}"
    if exact is not None and told.error <= AS_GOOD_AS_PIXELS * told.floor:
        return (
            f" That is no more than resampling does, which changes {floor}; but at {exact.at}, where nothing is "
            f"resampled, it differs by {exact.both} as well."
        )
    whole = exact is not None and exact.error <= limit and output == MAPS
    at = f" Where its answer moves by whole {places}, at {exact.at}, it is exact." if exact and whole else ""
    return f" Resampling alone changes {floor} there.{at}"


def _between(level: str, between: Worst | None, output: str, sweep: xr.Dataset) -> str:
    """How an answer that holds at whole steps is between them."""
    if between is None or level not in ("exact", "floor"):
        return ""
    places = PLACES[str(sweep.attrs.get("input", "image"))]
    floor = f"resampling alone changes the {'output' if output == MAPS else 'input'} by {percent(between.floor)}"
    beside = f", where {floor}" if between.floor > 0 else ""
    return f" Between {places} it differs by up to {between.both}, at {between.at}{beside}."


def _guarded(sentence: str, sweep: xr.Dataset) -> str:
    """A sentence that holds under a guess alone says so."""
    if not guessed(sweep):
        return sentence
    law = moving(str(sweep.attrs["output"]))
    return f"If its answer should {law}, {sentence[0].lower()}{sentence[1:]}"


def _single_pixel(question: str, level: str, told: Worst, output: str, sweep: xr.Dataset) -> str:
    """What the smallest whole shift costs, where the worst one was another."""
    if question != SHIFTS or level in ("exact", "chance") or "shift_x_px" not in sweep.variables:
        return ""
    at = np.flatnonzero(np.abs(sweep["shift_x_px"].values - 1) < 1e-6)
    one = worst(sweep, np.arange(sweep.sizes["transform"]) == at[0], output) if at.size else None
    if one is None or one.index == told.index or one.absolute != one.absolute:
        return ""
    alone = f", where resampling alone changes its output by {percent(one.floor)}" if one.floor else ""
    return f" One pixel to the right changes it by {one.both}{alone if output == MAPS else ''}."


def _compared(sweep: xr.Dataset) -> str:
    """Where shifted images were compared."""
    told = str(sweep.attrs.get("compared", ""))
    return f" Compared {told}." if told else ""


def told_once(verdicts: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    """The same with long advice given once: where it comes again, it is referred to."""
    seen: dict[str, str] = {}
    found = []
    for one in verdicts:
        if TIE in one.advice and TIE in seen:
            one = replace(one, advice=one.advice.replace(TIE, f"Otherwise the same helps as for {seen[TIE]}."))
        elif TIE in one.advice:
            seen[TIE] = one.question
        found.append(one)
    return tuple(found)


def _reasons(
    question: str,
    model: Callable,
    broken: tuple[str, float, float] | None,
    findings: xr.Dataset | None,
    sweep: xr.Dataset,
) -> tuple[str, str]:
    if "why" in sweep.attrs:  # measured beside the sweep
        return str(sweep.attrs.get("why", "")), str(sweep.attrs.get("mend", ""))
    if broken is None:
        return "", ""
    layer, error, absolute = broken
    size = f"error {percent(error)}" + (f", {absolute:.2g} in its own units" if absolute == absolute else "")
    if question in ADVICE:
        first = f"The first layer whose output does not follow is {layer} ({size})."
        return first + named_causes(question, findings), ""
    reason, fix = because(model, layer, question, findings)
    tail = f", because {reason}" if reason else ""
    return f"The first layer that breaks it is {layer} ({size}){tail}.", fix


def _advice(question: str, level: str, fix: str, reason: str, tried: bool, half: bool) -> str:
    """What to do.

    Args:
        tried: ``fix`` was measured beside the sweep, with its words.
        half: rounding, not chance, is what hides an error.
    """
    if level == "exact":
        return ""
    if level == "chance" and half:
        return "Audit it in float32 (model.float()): there rounding hides less."
    if level == "chance":
        return "Switch its randomness off, or average over more runs with repeats= (--repeats)."
    if level == "floor":
        return _FINER if question not in ADVICE and not tried else ""
    if tried and fix:
        return fix
    if question in ADVICE:
        return ADVICE[question]
    if tried:
        return "If it should not, look at what happens at the border: padding, and what stands there."
    if question == ROTATIONS:
        return ""
    geometry = f"To mend the geometry: {fix}." if fix else ""
    tie = TIE if "filters are not" in reason or not fix else ""
    return " ".join(part for part in (geometry, tie) if part)

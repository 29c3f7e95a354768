"""What a reader has to know beside the verdicts: how the answer was taken to move, chance in it, layers not seen."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import xarray as xr
from torch import Tensor, nn

from workbench.audit.kinds import NOUNS
from workbench.audit.trial import NOISE
from workbench.audit.words import percent
from workbench.measure import undisturbed
from workbench.measure.entry import fed
from workbench.measure.hazards import over_the_batch
from workbench.measure.probe import like_model

GUESS = 0.1
"""Confidence below which how an answer moves counts as a guess."""
_EXAMPLES = {
    "image": "'invariant', 'key points in pixels' or 'boxes xyxy in unit'",
    "series": "'invariant' or 'series'",
    "points": "'invariant', 'vectors' or 'irreps 1x0e+1x1o'",
    "set": "'invariant' or 'set'",
}
_NOTHING = "nothing fits"  # what an inference says where no law explains its trial
_CALL = re.compile(r" \(call \d+\)|\[.*")  # what a name has behind that of its module
_OUT = re.compile(r"elements of \S+ that move a frame of (\d+) x (\d+) out of itself")
_TENSOR = re.compile(r"a tensor of shape \(\d+, (.*?),?\) and (torch\.\w+) for \d+ images")


def guessed(sweep: xr.Dataset) -> bool:
    """Whether how the answer moves is a guess: no law that such a shape can follow explains it, or hardly one does."""
    attrs = sweep.attrs
    if "output_confidence" not in attrs:
        return False
    unknown = str(attrs["output"]) == "unknown" or _NOTHING in str(attrs.get("output_why", ""))
    return unknown or float(attrs["output_confidence"]) < GUESS


def moving(output: str) -> str:
    """What an answer of that behaviour should do.

    >>> moving("invariant"), moving("boxes xyxy in unit"), moving("image")
    ('stay as it is', 'move as boxes xyxy in unit', 'move as an image')
    """
    one = ("image", "vector field", "series", "set", "group signal")  # of many positions one says "boxes"
    kind = output.partition(" in ")[0]
    return "stay as it is" if output == "invariant" else f"move as {_a(kind) if kind in one else ''}{output}"


def _a(noun: str) -> str:
    return "an " if noun[0] in "aeiou" else "a "


def taken(sweeps: dict[str, xr.Dataset]) -> str:
    """How the answer was taken to move, and how sure that is, in one line."""
    found: dict[str, list[str]] = {}
    for question, ds in sweeps.items():
        output = str(ds.attrs["output"])
        law = f"{moving(output)} ({'invariant; ' * (output == 'invariant')}{_sure(ds)})"
        found.setdefault(law, []).append(question)
    if len(found) == 1:
        return f"Its answer should {next(iter(found))}."
    each = "; ".join(f"under {', '.join(asked)}: {law}" for law, asked in found.items())
    return f"Its answer should, {each}."


def _sure(sweep: xr.Dataset) -> str:
    why, share = str(sweep.attrs.get("output_why", "")), float(sweep.attrs.get("output_confidence", 1.0))
    if why == "declared":
        return "declared"
    how = "a guess, " + _NOTHING if _NOTHING in why else "told by a trial" if "trial" in why else "usual for its shape"
    return f"{how}; confidence {share:.0%}"


def guess(sweeps: dict[str, xr.Dataset]) -> str:
    """That how the answer moves is a guess, and what to do; empty where it is none."""
    laws = {str(ds.attrs["output"]): ds for ds in sweeps.values() if guessed(ds)}
    if not laws:
        return ""
    named = " or ".join(
        f"{moving(law)} (confidence {float(ds.attrs['output_confidence']):.0%})" for law, ds in laws.items()
    )
    nothing = any(_NOTHING in str(ds.attrs.get("output_why", "")) for ds in laws.values())
    told = "nothing that its shape can mean fits in a trial" if nothing else "a trial hardly tells"
    maps = any(law.startswith(("image", "vector field")) for law in laws)
    kind = str(next(iter(laws.values())).attrs.get("input", "image"))
    examples = "'image' or 'vector field'" if maps else _EXAMPLES[kind]
    return (
        f"Careful: how its answer should move is a guess, because {told}. It was taken to {named}; every error below "
        f"is one under that guess. Say how it moves with --moves (output=... in Python), for example {examples}."
    )


def stochastic(sweep: xr.Dataset) -> float:
    """How much two runs on the same samples differ, relative; 0 where they do not."""
    return float(sweep.attrs.get("stochastic", 0.0))


def chance(sweeps: dict[str, xr.Dataset], kind: str) -> str:
    """That two runs differ, how many were averaged and what noise is left; empty for a deterministic network."""
    changed = max(map(stochastic, sweeps.values()), default=0.0)
    if changed <= NOISE:
        return ""
    runs = sorted({int(ds.attrs.get("repeats", 1)) for ds in sweeps.values()})
    several = " to ".join(dict.fromkeys(str(count) for count in (runs[0], runs[-1])))
    left = percent(max(noise_left(ds) for ds in sweeps.values()))
    return (
        f"Careful: it is stochastic. Two runs on the same {NOUNS[kind]} differ by {percent(changed)}; every error "
        f"below is one of the mean of {several} runs, of which chance alone makes about {left}: less says nothing. For "
        "sharper numbers switch its randomness off."
    )


def noise_left(sweep: xr.Dataset) -> float:
    """What chance leaves in the error of the answer, relative: measured where it was, else from the runs averaged."""
    if "noise_floor" in sweep.variables:
        floor = sweep["noise_floor"]
        floor = floor.sel(layer="output") if "layer" in floor.dims else floor
        return float(np.nanmean(floor.values)) if np.isfinite(floor.values).any() else math.nan
    return stochastic(sweep) / math.sqrt(float(sweep.attrs.get("repeats", 1)))


def beside_others(findings: xr.Dataset | None, model: Callable, inputs: Tensor, seed: int = 0) -> str:
    """That a sample's answer depends on the others of its batch, where and what to do; empty where it does not.

    Args:
        findings: the static report, which has looked; where there is none, two of the inputs are tried.
    """
    if findings is not None:
        rows = np.flatnonzero(findings["rule"].values == "batch statistics")
        names = [str(findings["module"].values[at]) for at in rows]
        fix = str(findings["fix"].values[rows[0]]) if len(rows) else ""
    else:
        with undisturbed(model, seed):
            found = list(over_the_batch(partial(fed, model), like_model(model, inputs[:2])))
        names, fix = ["model"] * len(found), found[0].fix if found else ""
    if not names:
        return ""
    inner = [name for name in names if name != "model"]
    more = f" and {len(inner) - 3} more" if len(inner) > 3 else ""
    where = f", in {', '.join(inner[:3])}{more}" if inner else ""
    return (
        f"Careful: a sample's answer depends on the others of its batch{where}. Every number below holds for these "
        f"samples together alone: {fix}."
    )


def left_training(findings: xr.Dataset | None) -> list[str]:
    """The batch norms that stand in train() in a network that stands in eval(), one sentence each."""
    if findings is None:
        return []
    rows = np.flatnonzero(findings["rule"].values == "training mode")
    names, reasons, fixes = (findings[name].values[rows] for name in ("module", "reason", "fix"))
    return [f"In {name}, {why}: {fix}." for name, why, fix in zip(names, reasons, fixes, strict=True)]


def unseen(sweeps: dict[str, xr.Dataset], model: Callable) -> dict[str, str]:
    """Watched layers that could not be compared, by name, with the reason and, where it is not all, the questions."""
    known = {name for name, _ in model.named_modules()} if isinstance(model, nn.Module) else set()
    told = {q: str(ds.attrs.get("passed_over", "none")) for q, ds in sweeps.items()}
    found = {
        q: {} if told[q] == "none" else parted(told[q], known)
        for q, ds in sweeps.items()
        if ds.sizes["layer"] > 1 or told[q] != "none"
    }
    asked: dict[str, list[str]] = {}
    for question, layers in found.items():
        for name in layers:
            asked.setdefault(name, []).append(question)
    return {
        name: found[these[0]][name] + ("" if len(these) == len(found) else f", under {', '.join(these)}")
        for name, these in asked.items()
    }


def parted(told: str, known: Iterable[str]) -> dict[str, str]:
    """Name and reason of every layer in what a measure says of those that it passed over.

    >>> parted("a: a list; expected maps; b.c (call 2): it did not run as a module", {"a", "b.c"})
    {'a': 'puts out a list', 'b.c (call 2)': 'it did not run as a module'}
    """
    known, found = set(known), dict[str, str]()
    for part in told.split("; "):
        name, colon, why = part.partition(": ")
        if colon and _CALL.sub("", name) in known:
            found[name] = why
        elif found:
            found[next(reversed(found))] += f"; {part}"
    return {name: _reason(why) for name, why in found.items()}


def _reason(why: str) -> str:
    plain = why.partition("; expected")[0]
    if match := _TENSOR.fullmatch(plain):
        numbers = f"puts out ({match[1]}) numbers for each sample"
        whole = "" if "float" in match[2] else f" of type {match[2].removeprefix('torch.')}"
        return f"{numbers}{whole}, which are neither maps (channels, rows, columns) nor a vector"
    if match := _OUT.match(plain):
        count = int(match[1]) * int(match[2])
        some = "one place" if count == 1 else f"{match[1]} x {match[2]} places"
        return f"has {some} left, and some elements move all of that out of the frame"
    return f"puts out {'nothing' if plain == 'a NoneType' else plain}" if plain.startswith(("a ", "an ")) else plain


def by_reason(layers: dict[str, str]) -> dict[str, list[str]]:
    """The same the other way round: names of layers by reason, the most frequent reason first."""
    found: dict[str, list[str]] = {}
    for name, why in layers.items():
        found.setdefault(why, []).append(name)
    return dict(sorted(found.items(), key=lambda pair: -len(pair[1])))


def unseen_line(layers: dict[str, str], total: int) -> str:
    """That some layers could not be compared, in one line; empty where all were."""
    if not layers:
        return ""
    why, names = next(iter(by_reason(layers).items()))
    rest = f" (the first of {len(names)} such)" if len(names) > 1 else ""
    return (
        f"Not compared, {len(layers)} of {total} layers: {names[0]}{rest}: {why}. What they bring in shows at the next "
        "layer that was compared."
    )

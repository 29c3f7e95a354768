"""Why shifts change an answer, measured: what is left of the error when one thing after the other is taken away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from workbench.audit.answer import levels_of_elements, moves, output_of, worst
from workbench.audit.framing import is_circular
from workbench.audit.kinds import NOUNS, PLACES
from workbench.audit.questions import Question
from workbench.audit.trial import NOISE
from workbench.audit.words import percent, shown
from workbench.e3.copies import copied
from workbench.groups import Translation
from workbench.measure import equivariance_error, repair, undisturbed, will_it_be_equivariant
from workbench.measure.explain import SILENT, paired_share
from workbench.measure.probe import like_model
from workbench.measure.replacements import exchanged

SAMPLES, FEWEST, NUMBERS = 8, 4, 2**19
"""Samples that are tried, fewer where they hold more than so many numbers together."""
FRAME = "frame"
MOST, SOME, NOTHING = 0.5, 0.1, 0.02
"""Shares of the error from which on something is most of it, part of it, or no help."""
_PADS = {nn.MaxPool1d: nn.CircularPad1d, nn.AvgPool1d: nn.CircularPad1d, nn.MaxPool2d: nn.CircularPad2d,
         nn.AvgPool2d: nn.CircularPad2d}  # fmt: skip
_RULES = {
    "aliasing": (
        "the steps of {names}, which skip {places}",
        "blurring before the steps of {names}",
        "blur before these steps",
    ),
    "flatten": (
        "the flattening at {names}, which gives each place a weight of its own",
        "a mean over the places at {names}",
        "take the mean over the places before the linear layer",
    ),
    "position encoding": (
        "the position table in {names}",
        "a table that is the same everywhere in {names}",
        "leave the position table out, or encode distances between places",
    ),
    "ends": (
        "the zero padding of {names}",
        "circular padding of {names}",
        "pad circularly where the ends of your series meet, or give it longer series",
    ),
    "norm": (
        "the norm of {names}, which has a weight for each place",
        "a norm with one weight a channel in {names}",
        "use a norm with one weight a channel",
    ),
    "corners": ("the aligned corners of {names}", "align_corners=False in {names}", "use align_corners=False"),
}
"""What each rule of the static report is, how it is taken away, and what to do."""
_BY_HAND = ("recurrence", "coordinates", "upsampling")
"""Rules of what breaks shifts and has no replacement."""
_FRAME = (
    "what enters and leaves at the {edge}",
    "shifting round the {edge} with circular padding, where nothing enters,",
    "leave more room around what counts, for which no layer has to change",
)
UNEXPLAINED = "No reason was measured: nothing that its layers say of themselves breaks shifts."
ELSE = "If it should not, train on shifted copies, or average its answers over some shifts."


class Tried(NamedTuple):
    """One thing taken away: its rule, what it is, how, what to do about it, and the error that is left."""

    rule: str
    what: str
    how: str
    fix: str
    after: np.ndarray


def why_shifted(
    model: Callable, inputs: Tensor, step: Question, sweep: xr.Dataset, seed: int = 0, cancel: Any = None
) -> tuple[str, str]:
    """Reason and advice for the shift that changes the answer most, with the shares that were measured.

    Args:
        model: as it was measured; copies of it are changed.
        step, sweep: the question and its answer.
        cancel: an event or function that stops it.

    Returns:
        Two texts; empty ones where the answer does not change or something else was asked.

    Raises:
        Cancelled: when asked to stop.
    """
    if not isinstance(step.group, Translation) or step.input not in ("image", "series"):
        return "", ""
    at = _worst(sweep)
    if at is None:
        return "", ""
    if not isinstance(model, nn.Module):
        return "No reason was measured: the layers of the network cannot be seen.", ELSE
    if float(sweep.attrs.get("stochastic", 0.0)) > NOISE:
        return "No reason was measured: its answers differ from run to run.", ELSE
    count = max(FEWEST, min(SAMPLES, NUMBERS // max(1, inputs[0].numel())))
    trial = _Trial(like_model(model, inputs[:count]), step, step.elements[at : at + 1], sweep, seed, cancel)
    try:
        before = trial.error(model)
        if before.mean() <= SILENT:
            return "", ""
        tried = most_helpful(_all_tried(model, trial), before)
        together = _together(model, trial, tried, before)
    except (ValueError, RuntimeError) as error:  # a copy that cannot be made says so itself
        return f"No reason was measured: {str(error).splitlines()[0]}", ELSE
    why, mend = told_of(before, tried, together, trial.named)
    return why + _named_only(model, trial), mend


class _Trial:
    """The same samples and shift for every copy."""

    def __init__(
        self, inputs: Tensor, step: Question, element: Tensor, sweep: xr.Dataset, seed: int, cancel: Any
    ) -> None:
        self.inputs, self.step, self.element, self.seed, self.cancel = inputs, step, element, seed, cancel
        law = str(sweep.attrs["output"])
        self.output = "auto" if law in ("group signal", "unknown") else law
        self._seen: tuple[nn.Module, xr.Dataset] | None = None
        self.shape = tuple(int(side) for side in inputs.shape[1:])

    def report(self, model: nn.Module) -> xr.Dataset:
        """The static report of one network, made once."""
        if self._seen is None or self._seen[0] is not model:
            self._seen = model, will_it_be_equivariant(model, self.shape, self.step.group, self.step.input)
        return self._seen[1]

    @property
    def named(self) -> str:
        steps = [f"{abs(float(s)):g}" for s in self.element[0] if float(s)]
        shift = f"a shift by {' and '.join(steps)} {'px' if self.step.input == 'image' else 'samples'}"
        return f"{shift} on {len(self.inputs)} {NOUNS[self.step.input]}"

    def error(self, model: nn.Module, around: bool = False) -> np.ndarray:
        """Relative error of each sample ``(S,)``; ``around`` shifts round the frame, where all of it is compared."""
        step = self.step
        ds = equivariance_error(
            model,
            self.inputs,
            step.group,
            self.element,
            mask="none" if around else step.mask,
            padding="circular" if around else step.padding,
            margin=0.0 if around else step.margin,
            input=step.input,
            output=self.output,
            seed=self.seed,
            cancel=self.cancel,
        )
        return ds["error"].sel(layer="output").mean("transform").values


def _all_tried(model: nn.Module, trial: _Trial) -> list[Tried]:
    """Everything that can be taken away by itself."""
    places, edge = PLACES[trial.step.input], "frame" if trial.step.input == "image" else "ends"
    tried: list[Tried] = []
    for rule, texts in _RULES.items():
        names = list(_names(model, trial, rule))
        if names and (changed := _mended(model, trial, rule)) is not None:
            what, how, fix = (text.format(names=_some(names), places=places) for text in texts)
            tried.append(Tried(rule, what, how, fix, trial.error(changed)))
    around = trial.step.padding != "circular" and trial.step.margin == 0
    if around and (changed := closed(model)) is not None and _runs(changed, trial):
        what, how, fix = (text.format(edge=edge) for text in _FRAME)
        tried.append(Tried(FRAME, what, how, fix, trial.error(changed, around=True)))
    return tried


def most_helpful(tried: list[Tried], before: np.ndarray) -> list[Tried]:
    """The most helpful first; what does not help measurably, by its interval, comes last."""
    return sorted(tried, key=lambda one: (not _shown(one.after, before), float(one.after.mean())))


def _together(
    model: nn.Module, trial: _Trial, tried: list[Tried], before: np.ndarray
) -> tuple[list[Tried], np.ndarray]:
    """The first of them, with each of the others that takes away still more, and the error that is left."""
    if not tried:
        return [], before
    kept, least = tried[:1], tried[0].after
    for one in tried[1:]:
        if least.mean() <= SILENT:
            break
        some = [*kept, one]
        changed: nn.Module | None = model
        for part in sorted(some, key=lambda part: part.rule == FRAME):  # what is padded circularly comes last
            changed = changed and (closed(changed) if part.rule == FRAME else _mended(changed, trial, part.rule))
        if changed is None or not _runs(changed, trial):
            continue
        after = trial.error(changed, around=any(part.rule == FRAME for part in some))
        if _removed(after, least) > NOTHING and _shown(after, least):
            kept, least = some, after
    return kept, least


def told_of(
    before: np.ndarray, tried: list[Tried], together: tuple[list[Tried], np.ndarray], named: str
) -> tuple[str, str]:
    """Reason and advice in words.

    Args:
        before: relative error of each sample.
        tried: by :func:`most_helpful`.
        together: those that help together, and the error that they leave.
        named: the shift and the samples.
    """
    if not tried:
        return UNEXPLAINED, ELSE
    first, share, sure = tried[0], _removed(tried[0].after, before), _shown(tried[0].after, before)
    if share < SOME or not sure:
        ways = "; ".join(f"{one.how} {_share(one.after, before)}" for one in tried)
        told = f"Nothing that was tried at {named} explains it by itself: {ways}."
    else:
        told = (
            f"{'Most' if share >= MOST else 'Part'} of it is {first.what}: {first.how} "
            f"{_share(first.after, before)}, measured at {named}."
        )
        if more := "; ".join(f"{one.how} {_share(one.after, before)}" for one in tried[1:]):
            told += f" {more[0].upper()}{more[1:]}."
    kept, left = together
    if len(kept) > 1:
        joined = " and ".join(one.how.removesuffix(",") for one in kept)
        plural = _share(left, before).replace("takes", "take", 1).replace("does", "do", 1)
        told += f" Together, {joined} {plural}."
        share, sure = _removed(left, before), _shown(left, before)
    if share < SOME or not sure:
        return told, ELSE
    fixes = "; ".join(one.fix for one in kept)
    return told, f"If it should not: {fixes} (measured: {share:.0%} of the error goes); or train on shifted copies."


def _named_only(model: nn.Module, trial: _Trial) -> str:
    """What the layers say of themselves that nothing can stand in for."""
    found = trial.report(model)
    rows = zip(found["module"].values, found["reason"].values, found["rule"].values, strict=True)
    told = [f"{module} ({reason})" for module, reason, rule in rows if rule in _BY_HAND]
    return f" Not measured, as no replacement is known: {'; '.join(told[:3])}." if told else ""


def _removed(after: np.ndarray, before: np.ndarray) -> float:
    return 1 - float(after.mean()) / float(before.mean())


def _ends(after: np.ndarray, before: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of the share that went; NaN for one sample."""
    low, high = (float(end[0]) for end in paired_share(before, after[None], 0))
    return low, high


def _shown(after: np.ndarray, before: np.ndarray) -> bool:
    return shown(_ends(after, before)[0])


def _share(after: np.ndarray, before: np.ndarray) -> str:
    share, ends = _removed(after, before), f"from {percent(float(before.mean()))} to {percent(float(after.mean()))}"
    if share <= NOTHING:
        return f"does not help ({ends})"
    low, high = _ends(after, before)
    sure = f", 95 % interval of the share {low:.0%} to {high:.0%}" if np.isfinite(low) else ""
    if not _shown(after, before):
        return f"does not help measurably ({ends}{sure})"
    sure = sure.replace(" of the share", "") or ", one sample, so no interval"
    return f"takes away {share:.0%} of the error ({ends}{sure})"


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _worst(sweep: xr.Dataset) -> int | None:
    """The element that the answer is about: the worst one, of those that move places onto places where there are any.

    None where it is silent, or no farther from exact than resampling the answer explains.
    """
    row, output, lattice = sweep.sel(layer="output"), output_of(sweep), sweep["lattice"].values
    levels = levels_of_elements(sweep, lattice & row["exact"].values, output, SILENT, 1.0)
    known = moves(sweep) & np.isfinite(row["error_mean"].values)
    found = worst(sweep, known & lattice, output, levels) or worst(sweep, known, output, levels)
    if found is None or (levels[found.index] == "floor" and lattice[found.index]):
        return None
    return found.index if found.error > SILENT else None


def _rows(model: nn.Module, trial: _Trial, rule: str) -> Iterator[xr.Dataset]:
    found = trial.report(model)
    for at in np.flatnonzero(found["rule"].values == rule):
        yield found.isel(finding=int(at))


def _names(model: nn.Module, trial: _Trial, rule: str) -> Iterator[str]:
    for row in _rows(model, trial, rule):
        name = str(row["module"].values)
        yield "the network itself" if name == "model" else name


def _mended(model: nn.Module, trial: _Trial, rule: str) -> nn.Module | None:
    """A copy with all findings of one rule repaired; None where none can be.

    One after the other only where all at once do not fit, because each look at a network costs a pass.
    """
    rows = list(_rows(model, trial, rule))
    at_once = _repaired(model, rows)
    if at_once is None or _runs(at_once, trial):
        return at_once
    current = model
    for row in rows:
        candidate = _repaired(current, [row])
        if candidate is not None and _runs(candidate, trial):
            current = candidate
    return None if current is model else current


def _repaired(model: nn.Module, rows: list[xr.Dataset]) -> nn.Module | None:
    current = model
    for row in rows:
        try:
            current = repair(current, row)
        except ValueError:  # no replacement of the same size
            continue
    return None if current is model else current


def _runs(model: nn.Module, trial: _Trial) -> bool:
    try:
        with undisturbed(model, trial.seed):
            model(trial.inputs[:1])
    except (ValueError, RuntimeError):
        return False
    return True


def closed(model: nn.Module) -> nn.Module | None:
    """A copy that pads circularly wherever it pads; None where a layer cannot, such as a transposed convolution.

    >>> closed(nn.Conv2d(1, 1, 3, padding=1)).padding_mode
    'circular'
    """
    found: Any = copied(model)
    for module in list(found.modules()):
        if isinstance(module, nn.Conv1d | nn.Conv2d):
            module.padding_mode = "circular"
        elif type(module) in _PADS and np.any(np.atleast_1d(module.padding)):
            pad = torch.as_tensor(np.atleast_1d(module.padding)).flip(0).repeat_interleave(2).tolist()
            around: Any = _PADS[type(module)]
            flat = 1 if type(module) in (nn.MaxPool1d, nn.AvgPool1d) else 2
            pad = pad * flat if len(pad) == 2 else pad
            module.padding = 0 if isinstance(module.padding, int) else (0,) * len(module.padding)
            found = exchanged(found, module, nn.Sequential(around(tuple(pad)), module))
    padded = is_circular(found)
    return found if padded or not any(_pads(module) for module in found.modules()) else None


def _pads(module: nn.Module) -> bool:
    padding = getattr(module, "padding", 0)
    return isinstance(padding, str) or bool(np.any(np.atleast_1d(padding)))

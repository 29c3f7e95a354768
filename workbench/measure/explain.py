"""Why is it not equivariant: what each finding costs, measured by applying its fix to a copy of the model."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from workbench.actions.images import check_images
from workbench.e3.copies import copied
from workbench.groups import Group, Symmetric, Translation, parse_group
from workbench.measure.attribution import moving_lattice_elements
from workbench.measure.behaviour import Behaviour
from workbench.measure.dataset import labelled
from workbench.measure.entry import fed
from workbench.measure.error import equivariance_error
from workbench.measure.filters import filters_follow
from workbench.measure.interval import interval, interval_name
from workbench.measure.probe import OUTPUT, like_model, report
from workbench.measure.provenance import provenance
from workbench.measure.repairs import averaged, repair
from workbench.measure.report import will_it_be_equivariant
from workbench.measure.state import undisturbed

FILTERS, FUNCTIONS = BEYOND = ("filters", "functions")
"""Rules of what no layer's geometry accounts for: filters that do not follow, or something between the modules."""
SILENT = 1e-5
"""A relative error below this needs no explanation: rounding in single precision."""


def explain(
    model: nn.Module,
    images: Tensor,
    group: Group | str,
    elements: Tensor | None = None,
    *,
    output: str | Behaviour = "auto",
    padding: str = "border",
    mask: str = "none",
    margin: float = 0.0,
    input: str = "image",
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
    cancel: Any = None,
) -> xr.Dataset:
    """The findings of :func:`will_it_be_equivariant`, each with the share of the error that its fix removes.

    Every fix is applied to a copy of the model and the error is measured again on the same images and elements. Where
    an error stays that no finding accounts for, the last finding is on the filters: its fix averages the answers over
    the elements.

    Args:
        model: a module on images; left exactly as found.
        images, group, output, padding, mask, margin, seed, progress, cancel: as in :func:`equivariance_error`.
        elements: ``(E, element_dim)``; of images those that move pixels onto pixels, without the identity, where not
            given.
        input: ``"image"``, or ``"series"``, ``"points"`` or ``"set"``, whose layers' filters are not asked.

    Returns:
        Over ``finding``: what the report says, and ``repaired`` (a replacement exists and was measured), ``note`` (why
        not), ``error_after``, ``share`` (1 - error after / error before; negative where it gets worse) with
        ``share_low`` and ``share_high`` (95 %, paired over samples; NaN for one). ``error_before`` and
        ``error_repaired``, all fixes but averaging together, stand alone; ``share_all`` is that of all of them, with
        ``share_all_low`` and ``share_all_high``.

    Raises:
        ValueError: for images, elements or options that cannot be, or a callable that is no module.
        Cancelled: when asked to stop.

    >>> net = nn.Sequential(nn.AvgPool2d(2))
    >>> ds = explain(net, torch.rand(4, 1, 17, 17), "C(4)")
    >>> ds.rule.values.tolist(), float(ds.share[0])
    (['window'], 1.0)

    Source: derived here.
    """
    group = parse_group(group)
    if input == "image":
        check_images(images, lowest=4)
        if elements is None:
            elements = moving_lattice_elements(group, (images.shape[-2], images.shape[-1]))
    elif elements is None:
        raise ValueError(f"explain: no elements were given for {input}; expected some (E, element_dim).")
    static = will_it_be_equivariant(model, tuple(images.shape[1:]), group, input)
    trial = _Trial(
        like_model(model, images), group, torch.as_tensor(elements), output, padding, mask, margin, input, seed
    )
    before = trial.settled(model)
    rows: list[_Row] = []
    for place in range(static.sizes["finding"]):
        report(progress, cancel, place / (static.sizes["finding"] + 2))
        rows.append(_tried(model, static.isel(finding=place), trial))
    repaired = trial.error(_all_repaired(model, trial, static)) if len(rows) else before
    asked = input == "image" and not isinstance(group, Translation)
    if asked and float(np.mean(repaired)) > SILENT and np.isfinite(before).all():
        static, row = _with_filters(static, model, trial)
        rows.append(row)
    report(progress, cancel, 1.0)
    return _dataset(static, rows, before, repaired, trial).assign_attrs(
        provenance(
            "explain",
            seed=seed,
            dtype=trial.images.dtype,
            padding=padding,
            mask=mask,
            output=str(output),
            reduction="relative, mean over elements and samples",
            group=group.name,
            interval=f"95 %, paired, {interval_name('bootstrap', len(images))}",
            model=type(model).__name__,
            scope=static.attrs["scope"],
            summary=_summary(static, rows, before),
        )
    )


class _Row:
    """What one fix did: the error of every sample after it, or why it could not be tried."""

    def __init__(self, after: np.ndarray | None, note: str = "") -> None:
        self.after, self.note = after, note


class _Trial:
    """The same images and elements for every model."""

    def __init__(
        self,
        images: Tensor,
        group: Group,
        elements: Tensor,
        output: str | Behaviour,
        padding: str,
        mask: str,
        margin: float,
        kind: str,
        seed: int,
    ) -> None:
        self.images, self.group, self.elements, self.output = images, group, elements, output
        self.padding, self.mask, self.margin, self.kind, self.seed = padding, mask, margin, kind, seed

    def settled(self, model: nn.Module) -> np.ndarray:
        """The error of the model as it is; how its answer moves is decided here, once for all copies."""
        ds = self._measured(model)
        if str(self.output) == "auto" and ds.attrs["output"] not in ("group signal", "unknown"):
            self.output = str(ds.attrs["output"])
        return _per_sample(ds)

    def error(self, model: nn.Module) -> np.ndarray:
        """Relative error of every sample, mean over the elements, ``(S,)``."""
        return _per_sample(self._measured(model))

    def _measured(self, model: nn.Module) -> xr.Dataset:
        return equivariance_error(
            model, self.images, self.group, self.elements, output=self.output, padding=self.padding, mask=self.mask,
            margin=self.margin, input="set" if isinstance(self.group, Symmetric) else self.kind, seed=self.seed,
        )  # fmt: skip


def _per_sample(ds: xr.Dataset) -> np.ndarray:
    return ds.error.sel(layer=OUTPUT).mean("transform").values


def _tried(model: nn.Module, finding: xr.Dataset, trial: _Trial) -> _Row:
    try:
        return _Row(trial.error(repair(model, finding)))
    except (ValueError, RuntimeError) as error:  # no replacement, or one that the next layer cannot take
        return _Row(None, str(error).splitlines()[0])


def _all_repaired(model: nn.Module, trial: _Trial, static: xr.Dataset) -> nn.Module:
    """A copy with one fix after the other; sizes may change, so the report is made anew after each."""
    current, given_up = copied(model), set()
    for _ in range(2 * static.sizes["finding"] + 2):
        found = will_it_be_equivariant(current, tuple(trial.images.shape[1:]), trial.group, trial.kind)
        for place in range(found.sizes["finding"]):
            row = found.isel(finding=place)
            key = str(row["module"].values), str(row["rule"].values), str(row["reason"].values)
            if key in given_up:
                continue
            given_up.add(key)
            candidate = _applied(current, row, trial.images)
            if candidate is not None:
                current = candidate
                break
        else:
            break
    return current


def _applied(model: nn.Module, finding: xr.Dataset, images: Tensor) -> nn.Module | None:
    try:
        candidate = repair(model, finding)
        with undisturbed(candidate):
            fed(candidate, images[:1])
    except (ValueError, RuntimeError):
        return None
    return candidate


def _with_filters(static: xr.Dataset, model: nn.Module, trial: _Trial) -> tuple[xr.Dataset, _Row]:
    """The report with one more finding: what is left is in the filters, or between the modules."""
    everything = torch.cat([trial.group.identity(trial.elements.dtype)[None], trial.elements])
    closed = trial.group.grid(dtype=torch.float64) if trial.group.order is not None else everything
    try:
        row = _Row(trial.error(averaged(model, trial.group, closed, trial.padding, trial.output)))
    except (ValueError, RuntimeError, TypeError, AttributeError) as error:
        row = _Row(None, str(error).splitlines()[0])
    average = (
        "" if row.after is None else f"average the answers over the {len(closed)} elements at as many times the cost"
    )
    unseen = filters_follow(model, trial.group)
    said = {
        "module": "model",
        "kind": type(model).__name__,
        "rule": FUNCTIONS if unseen else FILTERS,
        "reason": "an error stays that neither the geometry of a layer nor a filter accounts for, because all filters "
        "follow the group: look at what is done between the modules (a function, a slice, added coordinates)"
        if unseen
        else "an error stays that no layer's geometry accounts for: the filters do not turn with the group",
        "fix": "write that step so that it follows" + (average and f", or {average}")
        if unseen
        else (average and f"{average}, ") + "train with moved copies, or convert it with workbench.layers.to_group_cnn",
        "input_size": f"{trial.images.shape[-2]} x {trial.images.shape[-1]}",
    }
    more = {
        key: labelled("finding", np.array([text]), str(static[key].attrs["long_name"])) for key, text in said.items()
    }
    place = labelled("finding", np.array([static.sizes["finding"]]), "number of the finding")
    both = xr.concat([static, xr.Dataset(more, {"finding": place})], "finding") if static.sizes["finding"] else None
    return (xr.Dataset(more, {"finding": place}) if both is None else both).assign_attrs(static.attrs), row


def _dataset(
    static: xr.Dataset, rows: list[_Row], before: np.ndarray, repaired: np.ndarray, trial: _Trial
) -> xr.Dataset:
    missing = np.full_like(before, np.nan)
    after = (
        np.stack([missing if row.after is None else row.after for row in rows]) if rows else np.empty((0, len(before)))
    )
    some = float(before.mean()) > SILENT
    share = 1 - after / before.mean() if some else np.full_like(after, np.nan)
    low, high = paired_share(before, after, trial.seed) if some else (np.full(len(rows), np.nan),) * 2
    one = float(1 - repaired.mean() / before.mean()) if some else np.nan
    ends = paired_share(before, repaired[None], trial.seed) if some else (np.full(1, np.nan),) * 2
    return static.assign(
        repaired=labelled("finding", [row.after is not None for row in rows], "a fix was applied and measured"),
        note=labelled("finding", np.array([row.note for row in rows], dtype=str), "why no fix was measured"),
        error_after=labelled("finding", after.mean(-1), "relative equivariance error after the fix"),
        share=labelled("finding", share.mean(-1), "share of the error that the fix removes"),
        share_low=labelled("finding", low, "lower end of the 95 % interval of the share"),
        share_high=labelled("finding", high, "upper end of the 95 % interval of the share"),
        error_before=labelled((), before.mean(), "relative equivariance error of the model as it is"),
        error_repaired=labelled((), repaired.mean(), "relative equivariance error with all fixes of layers"),
        share_all=labelled((), one, "share of the error that all fixes of layers remove together"),
        share_all_low=labelled((), float(ends[0][0]), "lower end of its 95 % interval"),
        share_all_high=labelled((), float(ends[1][0]), "upper end of its 95 % interval"),
    )


def paired_share(before: np.ndarray, after: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % interval of 1 - mean(after) / mean(before) over samples, linearised around the means (delta method).

    Args:
        before, after: ``(S,)`` and ``(K, S)``, of the same samples.

    >>> paired_share(np.array([1.0, 2.0]), np.array([[0.5, 1.0]]), 0)[0].tolist()
    [0.5]
    """
    if not len(after):
        return np.empty(0), np.empty(0)
    ratio = after.mean(-1, keepdims=True) / before.mean()
    return interval(1 - ratio - (after - ratio * before) / before.mean(), seed=seed)


def _summary(static: xr.Dataset, rows: list[_Row], before: np.ndarray) -> str:
    if not len(rows):
        return f"nothing found; the relative error is {before.mean():.1e}"
    removed = [-np.inf if row.after is None else 1 - row.after.mean() / max(before.mean(), SILENT) for row in rows]
    best = int(np.argmax(removed))
    if not np.isfinite(removed[best]):
        return f"{len(rows)} finding(s), none with a replacement that could be measured"
    return (
        f"{len(rows)} finding(s); the fix that removes most of the error ({removed[best]:.0%}) is in "
        f"{static['module'].values[best]}: {static['fix'].values[best]}"
    )

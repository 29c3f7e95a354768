"""Which symmetry does a data set have? Two-sample tests with their null and floor, and the arc of its rotations."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from workbench.groups.base import check_floating
from workbench.measure.data_answer import Named, answers
from workbench.measure.data_features import Features, OrbitFeatures, orbit_features
from workbench.measure.data_rows import MOST_PAIRED, MOST_ROWS, MOST_TESTED, PARTS, POWER_DEG, TESTED_DEG, one_row
from workbench.measure.probe import report
from workbench.measure.provenance import provenance

ALL = "all"
FEWEST = 4  # pictures of a class without which no test can be made


def data_symmetry(
    images: Tensor,
    labels: Tensor | None = None,
    features: Features = "pixels",
    *,
    classes: Sequence[str] | None = None,
    subgroups: Sequence[str] | None = None,
    n_angles: int = 72,
    neighbours: int | None = None,
    permutations: int | None = None,
    resamples: int = 200,
    power_repeats: int = 20,
    alpha: float = 0.05,
    resampler: str = "bicubic",
    padding: str = "border",
    mask: str = "disc",
    input_kind: str = "",
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
    cancel: Any = None,
) -> xr.Dataset:
    r"""Ask a data set, class by class and as a whole, which turns, mirrors and shifts leave its distribution as it is.

    Three questions. *Is it the same after a turn by omega?* Half of the pictures are turned by -omega/2, the other half
    by +omega/2, so that both have gone through the same resampling; their energy distance is held against the one
    after their labels are drawn anew (exact permutation test). The floor repeats this with both halves turned there and
    back, by the two ways: what resampling alone would show.
    *Is it the same under a mirror, under quarter turns, under a shift?* Each is a finite subgroup: the data are held
    against what its elements make of them, and the null moves each picture by an element of its own (exact, no half is
    split off, and nothing is resampled, or both sides together).
    Holm's correction goes over classes, angles and subgroups together.
    *How wide is its arc?* A test rejects every arc narrower than the circle alike. The half width w is fitted to the
    angles by which alike pictures differ, whose overlap falls as

    .. math:: 1 - \delta(\omega; w / \pi)

    with an interval over resampled pictures; below 20 degrees it reaches down to 0, as a lean of the shapes cannot be
    told from a turn. The interval is that of chance: shapes that look alike upside-down, or are of many kinds, shift
    the width by up to 8 degrees on the digits (tests/benchmarks/data_intervals.py).

    Args:
        images: ``(N, C, H, W)``, floating point. Where H and W differ, turns are asked on the centred disc, and quarter
            turns are no subgroup of the frame.
        labels: ``(N,)`` whole numbers from 0; None asks the data as a whole only.
        features: where pictures are compared: ``"pixels"`` or a callable, as in
            :func:`workbench.measure.data_features.orbit_features`.
        classes: names of the labels.
        subgroups: any of ``"left-right"``, ``"top-bottom"``, ``"mirror A"`` (the axis at A degrees), ``"C2"``,
            ``"D2"``, ``"C4"``, ``"D4"``, ``"shift X Y"`` (whole pixels around the frame); both mirrors and the groups
            of the frame where not given.
        n_angles: angles of a whole turn, a multiple of 24.
        neighbours: alike pictures asked for each one; a tenth of the class, 4 to 8, where not given.
        permutations: relabellings of each test; None takes 1,999, or more where Holm's correction needs them.
        resamples: bootstrap samples of the interval (95 %).
        power_repeats: simulated data sets for each point of a power curve; 0 leaves the curves out.
        alpha: probability of any false rejection.
        resampler, padding, mask: as in :func:`workbench.actions.transform_image`.
        input_kind: words for the attributes.
        seed: of halves, permutations and bootstrap.
        progress, cancel: as in every measure.

    Returns:
        Dims ``class`` (the first is ``"all"``, labels not used), ``transform``, ``difference``, ``question`` (the
        subgroups), ``added`` and ``part`` (of the power curves).
        ``distance(class, transform)`` with ``null_high``, ``p_value``, ``p_holm`` (1 where not ``tested``), ``floor``,
        ``floor_p``; ``rejected(class)``.
        ``element_distance(class, question)`` with ``element_null_high``, ``element_p``, ``element_p_holm``,
        ``element_rejected``, and ``element_needed``: pictures at which about every second data set of such a difference
        would be rejected (infinite where none is seen). ``element_power(class, question, part)``,
        ``arc_reach_deg(class, part)`` and ``part_pictures(class, part)``: what random parts would have shown.
        ``alike``, ``alike_fitted``, ``lost``, ``lost_fitted``, ``delta`` over ``(class, difference)``.
        ``arc_half_width_deg``, ``arc_low_deg``, ``arc_high_deg``, ``resolvable``, ``verdict``, ``arc_needed``
        (pictures for an interval of 10 degrees to either side, at most, by 1 / sqrt(n)), ``jitter_deg``,
        ``upside_down_share``, ``stray_share``, ``circle_p`` (of the whole circle, by the angles of alike pictures),
        ``pictures`` over ``class``. ``power(class, added)``: the share of data sets rejected when each picture is
        turned by up to so much more, which ends at 180 degrees in the rate of false rejections.

    Raises:
        TypeError, ValueError: labels of another length, too few pictures, or what `orbit_features` refuses.

    Source: energy test by Szekely & Rizzo 2013; tests of subgroups after Chiu & Bloem-Reddy 2023 (arXiv 2307.15834);
    delta of Romero & Lohit 2022 (arXiv 2110.10211); the rest derived here.

    >>> from workbench.measure.studies import blob_images
    >>> blobs = blob_images(0, range(0, 360, 9), count=1, size=15)[:, 0].float()
    >>> ds = data_symmetry(blobs, n_angles=24, permutations=199, resamples=20, power_repeats=0)
    >>> ds["rejected"].values.tolist(), float(ds["arc_half_width_deg"][0]) > 150
    ([False], True)
    """
    check_floating(images, "data_symmetry: images")
    names = _check(images, labels, classes, permutations, resamples, power_repeats, alpha)
    table = orbit_features(
        images, features, n_angles=n_angles, round_trip_deg=TESTED_DEG, asked=subgroups,
        resampler=resampler, padding=padding, mask=mask,
        progress=None if progress is None else lambda done: progress(0.5 * done), cancel=cancel,
    )  # fmt: skip
    return table_symmetry(
        table, labels, names, neighbours=neighbours, permutations=permutations, resamples=resamples,
        power_repeats=power_repeats, alpha=alpha, input_kind=input_kind, seed=seed, dtype=images.dtype,
        progress=None if progress is None else lambda done: progress(0.5 + 0.5 * done), cancel=cancel,
    )  # fmt: skip


def table_symmetry(
    table: OrbitFeatures,
    labels: Tensor | None = None,
    classes: Sequence[str] = (),
    *,
    whole: bool = True,
    neighbours: int | None = None,
    permutations: int | None = None,
    resamples: int = 200,
    power_repeats: int = 20,
    alpha: float = 0.05,
    input_kind: str = "",
    seed: int = 0,
    dtype: Any = torch.float32,
    draws: int = 200,
    progress: Callable[[float], None] | None = None,
    cancel: Any = None,
) -> xr.Dataset:
    """`data_symmetry` on features that are there already.

    ``whole=False`` leaves the row "all" out; ``draws`` are simulations of the whole circle.
    """
    members = {ALL: torch.arange(len(table.values))} if whole else {}
    if labels is not None:
        members |= {name: (labels == at).nonzero().flatten() for at, name in enumerate(classes)}
    permutations = _enough(permutations, len(members) * (len(TESTED_DEG) + len(table.asked)), alpha)
    choices = {
        "permutations": permutations, "resamples": resamples, "power_repeats": power_repeats, "alpha": alpha,
        "statistic": "energy coefficient", "correction": "Holm over classes, tested angles, subgroups", "group": "SO2",
        "draws": draws,
    }  # fmt: skip
    rows = []
    for at, index in enumerate(members.values()):
        report(progress, cancel, at / len(members))
        rows.append(one_row(table.take(index), neighbours, choices, seed))
    report(progress, cancel, 1.0)
    attrs = provenance(
        "data_symmetry", seed=seed, dtype=dtype, reduction="all pairs", input_kind=input_kind, **table.attrs, **choices
    )
    most = max(row.pictures for row in rows)
    if showing := _showing(most, min((MOST_ROWS // group.order for group in table.asked), default=MOST_TESTED)):
        attrs["showing"] = showing
    omega = half_turns(table.values.shape[1])
    asked = {group.name: (group.words, group.order) for group in table.asked}
    named = Named(tuple(members), omega, table.round_trip_deg or TESTED_DEG, POWER_DEG, PARTS, asked)
    return answers(named, rows, alpha).assign_attrs(attrs)


def _showing(most: int, in_subgroup: int) -> str:
    """Which part of the largest class took part in what; empty where all did.

    >>> _showing(420, 200)
    'showing 400 of 420 pictures in the largest test, 200 in that of the largest subgroup'
    """
    fewest = min(in_subgroup, MOST_TESTED)
    if most <= fewest:
        return ""
    if most <= MOST_TESTED:
        return f"showing {fewest} of {most} pictures in the test of the largest subgroup"
    subgroup = f", {fewest} in that of the largest subgroup" if fewest < MOST_TESTED else ""
    paired = f", {MOST_PAIRED} in the fit" if most > MOST_PAIRED else ""
    return f"showing {MOST_TESTED} of {most} pictures in the largest test{subgroup}{paired}"


def _enough(permutations: int | None, family: int, alpha: float) -> int:
    """As many relabellings as let the correction reject at all: the smallest p-value is 1 / (1 + P)."""
    fewest = math.ceil(family / alpha)
    if permutations is None:
        return max(1999, 2 * fewest - 1)
    if permutations < fewest - 1:
        raise ValueError(
            f"data_symmetry: permutations = {permutations} was given for {family} tests; expected at least {fewest}, "
            "as fewer could never reject after Holm's correction; leave it out."
        )
    return permutations


def half_turns(n_angles: int) -> np.ndarray:
    """The angles omega that are compared, in degrees: those whose half lies on the grid, from 0 to 180."""
    step = 720 / n_angles
    return np.arange(0, 180 + step / 2, step)


def _check(
    images: Tensor, labels: Any, classes: Any, permutations: Any, resamples: Any, repeats: Any, alpha: Any
) -> tuple[str, ...]:
    """The names of the classes."""
    counts = (("permutations", permutations, 19), ("resamples", resamples, 0), ("power_repeats", repeats, 0))
    for name, value, low in counts:
        if name == "permutations" and value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= 100_000:
            raise ValueError(
                f"data_symmetry: {name} = {value!r} was given; expected a whole number from {low} to 100000."
            )
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not 0 < alpha < 1:
        raise ValueError(f"data_symmetry: alpha = {alpha!r} was given; expected a probability such as 0.05.")
    count = len(images) if images.ndim else 0
    if count < FEWEST:
        raise ValueError(f"data_symmetry: {count} images were given; expected at least {FEWEST}.")
    if labels is None:
        return ()
    whole = isinstance(labels, Tensor) and not labels.is_floating_point() and labels.shape == (count,)
    if not whole or int(labels.min()) < 0:
        raise ValueError(
            f"data_symmetry: labels of shape {tuple(getattr(labels, 'shape', ()))} were given for {count} images; "
            "expected one whole number from 0 for each; use torch.as_tensor(labels).long()."
        )
    names = tuple(map(str, classes or range(int(labels.max()) + 1)))
    sizes = labels.bincount(minlength=len(names)).tolist()
    if len(sizes) > len(names) or len(set(names)) < len(names) or ALL in names:
        raise ValueError(
            f"data_symmetry: {len(names)} class names were given for labels up to {len(sizes) - 1}; expected one "
            f"different name for each, none of them {ALL!r}."
        )
    small = [f"{name} has {size}" for name, size in zip(names, sizes, strict=True) if size < FEWEST]
    if small:
        raise ValueError(
            f"data_symmetry: class {small[0]} images; expected at least {FEWEST} in each class; leave such a class "
            "out, or read more pictures."
        )
    return names

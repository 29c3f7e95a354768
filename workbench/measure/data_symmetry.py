"""Which symmetry does a data set have? Two-sample tests with their null and floor, and the arc of its rotations."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from workbench.measure.data_answer import answers
from workbench.measure.data_arc import ArcFit, alike_pairs, fit_arc, folded
from workbench.measure.data_features import Features, OrbitFeatures, orbit_features
from workbench.measure.probe import report
from workbench.measure.provenance import provenance
from workbench.measure.two_sample import TwoSample, energy_test

ALL = "all"
TESTED_STEP_DEG = 30
FEWEST = 4  # pictures of a class without which no test can be made
MOST_TESTED, MOST_PAIRED = 400, 1500
"""Pictures of a class that take part in the tests, and in the search for alike pairs."""
POWER_DEG = (0.0, 45.0, 90.0, 135.0, 180.0)
_TESTED = tuple(float(a) for a in range(TESTED_STEP_DEG, 181, TESTED_STEP_DEG))
_POWER_PERMUTATIONS, _POWER_PICTURES = 199, 120


def data_symmetry(
    images: Tensor,
    labels: Tensor | None = None,
    features: Features = "pixels",
    *,
    classes: Sequence[str] | None = None,
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
    r"""Ask a data set, class by class and as a whole, which rotations leave its distribution as it is.

    Three questions. *Is it the same after a turn by omega?* Half of the pictures are turned by -omega/2, the other half
    by +omega/2, so that both have gone through the same resampling; their energy distance is held against the one
    after their labels are drawn anew (exact permutation test), with Holm's correction over classes and angles. The
    floor repeats this with both halves turned there and back, by the two ways: what resampling alone would show.
    *Is it the same flipped left to right?* The same test, without any resampling and in the same correction.
    *How wide is its arc?* A test rejects every arc narrower than the circle alike. The half width w is fitted to the
    angles by which alike pictures differ, whose overlap falls as

    .. math:: 1 - \delta(\omega; w / \pi)

    with an interval over resampled pictures; below 20 degrees it reaches down to 0, as a lean of the shapes cannot be
    told from a turn. The interval is that of chance: shapes that look alike upside-down, or are of many kinds, shift
    the width by up to 8 degrees on the digits (tests/benchmarks/data_intervals.py).

    Args:
        images: ``(N, C, H, W)``, square, floating point.
        labels: ``(N,)`` whole numbers from 0; None asks the data as a whole only.
        features: where pictures are compared: ``"pixels"`` or a callable, as in
            :func:`workbench.measure.data_features.orbit_features`.
        classes: names of the labels.
        n_angles: angles of a whole turn, a multiple of 24.
        neighbours: alike pictures asked for each one; a tenth of the class, 4 to 8, where not given.
        permutations: relabellings of each test; None takes 1,999, or more where Holm's correction needs them.
        resamples: bootstrap samples of the interval (95 %).
        power_repeats: simulated data sets for each width of the power curve; 0 leaves it out.
        alpha: probability of any false rejection.
        resampler, padding, mask: as in :func:`workbench.actions.transform_image`.
        input_kind: words for the attributes.
        seed: of halves, permutations and bootstrap.
        progress, cancel: as in every measure.

    Returns:
        Dims ``class`` (the first is ``"all"``, labels not used), ``transform``, ``difference``, ``added``.
        ``distance(class, transform)`` with ``null_high``, ``p_value``, ``p_holm`` (1 where not ``tested``), ``floor``,
        ``floor_p``; ``rejected(class)``; ``mirror_distance``, ``mirror_p_holm``, ``mirror_rejected`` over ``class``.
        ``alike``, ``alike_fitted``, ``lost``, ``lost_fitted``, ``delta`` over ``(class, difference)``.
        ``arc_half_width_deg``, ``arc_low_deg``, ``arc_high_deg``, ``resolvable``, ``verdict``, ``jitter_deg``,
        ``upside_down_share``, ``stray_share``, ``circle_p`` (of the whole circle, by the angles of alike pictures),
        ``pictures`` over ``class``. ``power(class, added)``: the share of data sets rejected when each picture is
        turned by up to so much more, which ends at 180 degrees in the rate of false rejections.

    Raises:
        TypeError, ValueError: labels of another length, too few pictures, or what `orbit_features` refuses.

    Source: energy test by Szekely & Rizzo 2013; delta of Romero & Lohit 2022 (arXiv 2110.10211); the rest derived here.

    >>> from workbench.measure.studies import blob_images
    >>> blobs = blob_images(0, range(0, 360, 9), count=1, size=15)[:, 0].float()
    >>> ds = data_symmetry(blobs, n_angles=24, permutations=199, resamples=20, power_repeats=0)
    >>> ds["rejected"].values.tolist(), float(ds["arc_half_width_deg"][0]) > 150
    ([False], True)
    """
    names = _check(images, labels, classes, permutations, resamples, power_repeats, alpha)
    table = orbit_features(
        images, features, n_angles=n_angles, round_trip_deg=_TESTED, resampler=resampler, padding=padding, mask=mask,
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
    progress: Callable[[float], None] | None = None,
    cancel: Any = None,
) -> xr.Dataset:
    """`data_symmetry` on features that are there already; ``whole=False`` leaves the row "all" out."""
    members = {ALL: torch.arange(len(table.values))} if whole else {}
    if labels is not None:
        members |= {name: (labels == at).nonzero().flatten() for at, name in enumerate(classes)}
    permutations = _enough(permutations, len(members) * (len(_TESTED) + (table.mirrored is not None)), alpha)
    choices = {
        "permutations": permutations, "resamples": resamples, "power_repeats": power_repeats, "alpha": alpha,
        "statistic": "energy coefficient", "correction": "Holm over classes, tested angles, flip", "group": "SO2",
    }  # fmt: skip
    rows = []
    for at, index in enumerate(members.values()):
        report(progress, cancel, at / len(members))
        rows.append(_one(table.take(index), neighbours, choices, seed))
    report(progress, cancel, 1.0)
    attrs = provenance(
        "data_symmetry", seed=seed, dtype=dtype, reduction="all pairs", input_kind=input_kind, **table.attrs, **choices
    )
    most = max(row.pictures for row in rows)
    if most > MOST_TESTED:
        paired = f", {min(most, MOST_PAIRED)} of {most} in the fit" if most > MOST_PAIRED else ""
        attrs["showing"] = f"showing {MOST_TESTED} of {most} pictures in the largest test{paired}"
    omega = half_turns(table.values.shape[1])
    return answers(list(members), rows, omega, table.round_trip_deg or _TESTED, POWER_DEG, alpha).assign_attrs(attrs)


class Row(NamedTuple):
    """What one class answered."""

    pictures: int
    distance: np.ndarray
    null_high: np.ndarray
    p_value: np.ndarray
    floor: np.ndarray
    floor_p: np.ndarray
    seen: np.ndarray
    fit: ArcFit
    power: np.ndarray
    mirror: TwoSample | None


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


def _one(table: OrbitFeatures, neighbours: int | None, choices: dict[str, Any], seed: int) -> Row:
    count, angles, _ = table.values.shape
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(count, generator=generator)[:MOST_TESTED]
    first, second = order[: len(order) // 2], order[len(order) // 2 :]
    permutations, steps = choices["permutations"], range(angles // 4 + 1)
    tests = [
        energy_test(table.values[first, -k % angles], table.values[second, k], permutations, generator) for k in steps
    ]
    floors = [
        energy_test(table.round_trips[first, t, 0], table.round_trips[second, t, 1], permutations, generator)
        for t in range(len(table.round_trip_deg))
    ]
    asked = neighbours or min(8, max(4, count // 10))
    paired = table.values[torch.randperm(count, generator=generator)[:MOST_PAIRED].sort().values]
    pairs = alike_pairs(paired, asked)
    seen = np.bincount(folded(pairs.step, angles), minlength=angles // 2 + 1) / len(pairs.step)
    power = _power(table, choices["power_repeats"], choices["alpha"], generator)
    flip = None
    if table.mirrored is not None:
        flip = energy_test(table.values[first, 0], table.mirrored[second], permutations, generator)
    return Row(
        count,
        np.array([t.distance for t in tests]),
        np.array([np.quantile(t.null, 0.95) for t in tests]),
        np.array([t.p_value for t in tests]),
        np.array([t.distance for t in floors]),
        np.array([t.p_value for t in floors]),
        seen,
        fit_arc(pairs, len(paired), angles, resamples=choices["resamples"], seed=seed),
        power,
        flip,
    )


def _power(table: OrbitFeatures, repeats: int, alpha: float, generator: torch.Generator) -> np.ndarray:
    """Share of data sets rejected, for each width of a further turn."""
    if not repeats:
        return np.zeros(0)
    count, angles, _ = table.values.shape
    used = min(count, _POWER_PICTURES)
    tested = [round(a * angles / 720) for a in _TESTED]
    found = []
    for added in POWER_DEG:
        reach, hits = added * angles / 360, 0
        for _ in range(repeats):
            index = torch.randperm(count, generator=generator)[:used]
            turn = ((torch.rand(used, generator=generator) * 2 - 1) * reach).round().long()
            some = table.values[index[:, None], (torch.arange(angles) + turn[:, None]) % angles]
            one, two = some[: used // 2], some[used // 2 :]
            least = min(energy_test(one[:, -k], two[:, k], _POWER_PERMUTATIONS, generator).p_value for k in tested)
            hits += least * len(tested) <= alpha
        found.append(hits / repeats)
    return np.array(found)


def _check(
    images: Any, labels: Any, classes: Any, permutations: Any, resamples: Any, repeats: Any, alpha: Any
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
    count = len(images) if isinstance(images, Tensor) and images.ndim else 0
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
            f"data_symmetry: class {small[0]} images; expected at least {FEWEST} in each class; leave such a class out."
        )
    return names

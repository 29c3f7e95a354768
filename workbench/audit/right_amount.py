"""Which family of networks to choose for given data: from what their audit says of quarter turns, and a stored study.

The rules, all of them. Families whose answer at quarter turns changes by rounding alone *hold* the symmetry; whether
one does is read from the study, not from its name.

1. No difference is seen, neither as a whole nor in any class, and the arc of the whole is the circle: *present*. Those
   that hold it fit.
2. Every class differs, or the whole does where there are no classes: *absent*. Those that do not hold it fit.
3. Some classes differ and others do not: *differs per class*. Those fit that do not hold it and yet change for sure
   less than the plain network on such data.
4. Anything else: *untold*. All fit, or all that do not hold it where the whole differs; what counts is how far each
   falls behind the best one on whichever set of the study it is worst at.

Under 1 to 3 the order is that of `order_families` on the study's set of that kind: the data needed to be as right as
the plain network is with all pictures, then arithmetic. Accuracy means validation accuracy throughout; test pictures
take no part, so that the advice can be checked with them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from workbench.measure.data_answer import FEWEST
from workbench.measure.families import ROUNDING, SAMPLES, family_points, order_families, worst_loss
from workbench.measure.interval import student
from workbench.training import load_claims

PRESENT, ABSENT, PER_CLASS, UNTOLD = "present", "absent", "differs per class", "untold"
SETS = {PRESENT: "digits-rotated", ABSENT: "digits-upright", PER_CLASS: "digits-interval"}
"""The data set of the study in which it is so, by the way it was made."""
BASELINE = "plain"
VALIDATION = "validation_accuracy"
_ASKED = "C4"
_WHOLE = "turned through the whole circle"  # as `data_answer.verdict` says it


@dataclass(frozen=True)
class RightAmount:
    """What an audit of data and the study advise.

    Attributes:
        kind: "present", "absent", "differs per class" or "untold".
        family: the one to try first.
        because: why, one sentence each.
        cannot_tell: what neither the audit nor the study knows, one sentence each.
        order: all families in the order in which to try them, as of `order_families`, or by the worst case.
        classes: name of each class -> what was seen of it: "differs", "no difference seen" or "too few".
    """

    kind: str
    family: str
    because: tuple[str, ...]
    cannot_tell: tuple[str, ...]
    order: xr.Dataset
    classes: dict[str, str]

    def __str__(self) -> str:
        lines = [f"Quarter turns: {self.kind}. Try first: {self.family}.", *(f"  {one}" for one in self.because)]
        return "\n".join([*lines, "It cannot tell:", *(f"  {one}" for one in self.cannot_tell)])


def advise(data: xr.Dataset, study: xr.Dataset | None = None) -> RightAmount:
    """The family of networks to try first on data of which an audit knows what it holds, and why.

    Args:
        data: of :func:`workbench.measure.data_symmetry` on training pictures, with their labels if there are any, and
            quarter turns among the questions.
        study: of the families; the stored one where not given.

    Raises:
        ValueError: quarter turns were not asked, or the study is none of families.

    >>> from workbench.datasets import load
    >>> from workbench.measure import data_symmetry
    >>> images, labels = load("upright").splits["train"]
    >>> has = data_symmetry(images[:300], n_angles=24, permutations=199, resamples=20, power_repeats=0)
    >>> advise(has).kind
    'absent'
    """
    if "question" not in data.coords or _ASKED not in data["question"].values:
        raise ValueError(
            "advise: data that were not asked for quarter turns were given; expected 'C4' among the questions of "
            "data_symmetry; use square pictures, or crop them."
        )
    results = load_claims("families") if study is None else study
    classes = _classes(data)
    whole = bool(_row(data, "element_rejected")[0])
    kind = _kind(data, classes, whole)
    held = _holding(results)
    if kind == UNTOLD:
        order = _by_worst_case(results, int(data["pictures"].values[0]), held if whole else [])
    else:
        points = _points(results, SETS[kind])
        names = [str(name) for name in points["family"].values]
        fits = {
            PRESENT: [name for name in names if name in held],
            ABSENT: [name for name in names if name not in held],
            PER_CLASS: [name for name in _calmer(results, points) if name not in held],
        }[kind]
        order = order_families(points, fits)
    family = str(order["name"].values[0])
    because = (_seen(data, classes, whole), _rule(kind, whole), *_reasons(kind, order, results))
    return RightAmount(kind, family, because, _unknown(data, kind, classes), order, classes)


def check_advice(advice: RightAmount, data_set: str, study: xr.Dataset | None = None) -> xr.Dataset:
    """Whether the advised family is the best on test pictures, which the advice has not seen, or near it.

    Args:
        advice: of :func:`advise`.
        data_set: of the study, whose test pictures are asked; equal samples, all training pictures.

    Returns:
        Over ``family``, best mean first: ``accuracy``, ``accuracy_low``, ``accuracy_high`` in percent, and ``ahead``,
        ``ahead_low``, ``ahead_high``, by how many points it is ahead of the advised one seed by seed; intervals are
        Student's at 95 %. Attributes ``advised``, ``best``, ``place`` (of the advised one, from 1), ``verdict``
        ("best", "within the interval of the best", "worse than the best") and ``sentence``.
    """
    results = load_claims("families") if study is None else study
    points = family_points(results, data_set)
    mean = points["accuracy"].values
    order = [int(at) for at in np.argsort(-mean, kind="stable") if np.isfinite(mean[at])]
    taken = points.isel(family=order)
    names = [str(name) for name in taken["family"].values]
    place = names.index(advice.family) if advice.family in names else -1
    if place < 0:
        raise ValueError(f"check_advice: {advice.family!r} has no result on {data_set!r}; expected one of {names}.")
    ahead = taken["accuracy_seed"].values - taken["accuracy_seed"].values[place]
    low, high = student(ahead)
    verdict = "best" if not place else "within the interval of the best" if low[0] <= 0 else "worse than the best"
    behind = f"{names[0]} is ahead by {ahead[0].mean():.1f} points ({low[0]:.1f} to {high[0]:.1f})"
    told = "no other is ahead of it" if not place else behind
    comes = f"{data_set}: {advice.family} was advised and comes out {place + 1} of {len(names)}"
    found = taken[["accuracy", "accuracy_low", "accuracy_high"]]
    for name, values in (("ahead", ahead.mean(-1)), ("ahead_low", low), ("ahead_high", high)):
        found[name] = ("family", values, {"long_name": f"ahead of {advice.family}", "units": "points"})
    return found.assign_attrs(
        advised=advice.family, best=names[0], place=place + 1, verdict=verdict, created_by="check_advice",
        sentence=f"{comes}, {verdict}: {told}.",
    )  # fmt: skip


def _row(data: xr.Dataset, name: str) -> np.ndarray:
    """What was found of quarter turns, by class."""
    return data[name].sel(question=_ASKED).values


def _classes(data: xr.Dataset) -> dict[str, str]:
    names, rejected = map(str, data["class"].values[1:]), _row(data, "element_rejected")[1:]
    pictures = data["pictures"].values[1:]
    words = {True: "differs", False: "no difference seen"}
    return {
        name: words[bool(no)] if no or count >= FEWEST else "too few"
        for name, no, count in zip(names, rejected, pictures, strict=True)
    }


def _kind(data: xr.Dataset, classes: dict[str, str], whole: bool) -> str:
    seen = set(classes.values())
    if "differs" in seen:
        return {False: ABSENT, True: PER_CLASS}["no difference seen" in seen] if "too few" not in seen else UNTOLD
    if whole:
        return UNTOLD if classes else ABSENT
    circle = str(data["verdict"].values[0]).startswith(_WHOLE)
    return PRESENT if circle and "too few" not in seen else UNTOLD


def _holding(results: xr.Dataset) -> list[str]:
    """Families that hold the symmetry exactly, on every set of the study."""
    quarter = results["lattice"].values & (results["angle_deg"].values % 360 > 1)
    error = results["turn_error"].transpose("experiment", "seed", "angle_deg").values[..., quarter]
    largest: dict[str, float] = {}
    for name, value in zip(results["family"].values, error.max((1, 2)), strict=True):
        largest[str(name)] = max(largest.get(str(name), 0.0), float(value))
    return [name for name, value in largest.items() if value <= ROUNDING]


def _points(results: xr.Dataset, data_set: str) -> xr.Dataset:
    """The study on one set by validation accuracy; the target is what the plain network reaches with all pictures."""
    first = family_points(results, data_set, SAMPLES, accuracy=VALIDATION)
    plain = float(first["accuracy"].sel(family=BASELINE)) / 100
    return family_points(results, data_set, SAMPLES, target=min(max(plain, 0.01), 0.99), accuracy=VALIDATION)


def _calmer(results: xr.Dataset, points: xr.Dataset) -> list[str]:
    """Families whose answer changes less at quarter turns than the plain network's, seed by seed and for sure."""
    error = points["quarter_error_seed"]
    less = (error - error.sel(family=BASELINE)).transpose("family", "seed").values
    _, high = student(less)
    return [str(name) for name, end in zip(points["family"].values, high, strict=True) if end < 0]


def _by_worst_case(results: xr.Dataset, pictures: int, unfit: list[str]) -> xr.Dataset:
    loss = worst_loss(results, pictures, VALIDATION)
    names = [str(name) for name in loss["family"].values]
    worst = loss["worst"].values
    order = sorted(
        (at for at in range(len(names)) if np.isfinite(worst[at])), key=lambda at: (names[at] in unfit, worst[at])
    )
    taken = loss.isel(family=order).rename(family="rank")
    found = taken.assign(
        name=("rank", [names[at] for at in order], {"long_name": "family", "units": "1"}),
        fits=("rank", [names[at] not in unfit for at in order], {"long_name": "fits", "units": "1"}),
    )
    return found.assign_coords(rank=("rank", np.arange(1, len(order) + 1), {"long_name": "rank", "units": "1"}))


# ---- in words


def _seen(data: xr.Dataset, classes: dict[str, str], whole: bool) -> str:
    p_value, count = float(_row(data, "element_p_holm")[0]), int(data["pictures"].values[0])
    said = "differ from their quarter turns" if whole else "do not show a difference to their quarter turns"
    told = f"Your {count:,} pictures as a whole {said} (p = {p_value:.2g} after correction)"
    if not classes:
        return f"{told}; classes were not asked."
    by = {word: [name for name, seen in classes.items() if seen == word] for word in dict.fromkeys(classes.values())}
    parts = [f"{word} in {_several(names, len(classes))}" for word, names in by.items()]
    return f"{told}; by class: {', '.join(parts)}."


def _several(names: list[str], of: int) -> str:
    if len(names) == of:
        return f"all {of}"
    return " and ".join(names) if len(names) < 4 else f"{len(names)} of {of}"


def _rule(kind: str, whole: bool) -> str:
    rules = {
        PRESENT: "So a network may as well be unable to tell a picture from its quarter turns: what is built in need "
        "not be learned. Of these families, those that hold it exactly fit.",
        ABSENT: "So a turned picture is news, and a network that cannot tell would throw it away. Families that hold "
        "the symmetry exactly do not fit.",
        PER_CLASS: "So a turn is news for some classes and none for others. Families fit that lean towards the "
        "symmetry and can still give it up: neither those that hold it exactly nor the plain network.",
        UNTOLD: "So the data do not tell. What counts is how much a wrong guess would cost: how far a family falls "
        "behind the best one on whichever set of the study it is worst at.",
    }
    more = " Some class differs, though, so that what holds the symmetry exactly comes last."
    return rules[kind] + (more if kind == UNTOLD and whole else "")


def _reasons(kind: str, order: xr.Dataset, results: xr.Dataset) -> list[str]:
    """What the study says of the first, of the next, and of a cheaper one."""
    if kind == UNTOLD:
        rows = [f"{order['name'].values[at]} {float(order['worst'].values[at]):.1f}" for at in range(2)]
        tried = ", ".join(map(str, dict.fromkeys(map(int, order["tried"].values))))
        return [f"With {tried} training pictures, points behind at worst: {rows[0]}, then {rows[1]}."]
    names, need = [str(name) for name in order["name"].values], order["data_needed"].values
    low, high = order["data_needed_low"].values, order["data_needed_high"].values
    cost = order["multiply_adds"].values
    base, most = cost[names.index(BASELINE)], int(results["samples"].values.max())

    def told(at: int) -> str:
        price = f"at {cost[at] / base:.3g} times its arithmetic for an answer"
        if np.isnan(need[at]):
            return f"{names[at]} does not get there with {most:,}, {price}"
        end = f"{high[at]:,.0f}" if np.isfinite(high[at]) else f"more than {most:,}"
        return f"{names[at]} needs {need[at]:,.0f} ({low[at]:,.0f} to {end}), {price}"

    fitting = int(order["fits"].values.sum())
    found = [
        f"In the study of {order.attrs['data_set']}, to be as right on validation pictures as {BASELINE} with "
        f"{most:,} training pictures, {told(0)}."
    ]
    if fitting > 1:
        found.append(f"Next comes another that fits: {told(1)}.")
    tied = int(order["tied"].values.sum())
    if tied > 1:
        found.append(
            f"{tied} of them cannot be told apart by the data they need; the one with the least arithmetic leads."
        )
    return found


def _unknown(data: xr.Dataset, kind: str, classes: dict[str, str]) -> tuple[str, ...]:
    found = ["Whether a turned picture should be called the same: it sees how often poses occur, not what they mean."]
    if not classes:
        found.append("Whether classes differ among each other: no labels were given.")
    few = [name for name, seen in classes.items() if seen == "too few"]
    if few:
        found.append(f"Anything about {_several(few, len(classes))}: fewer than {FEWEST} pictures.")
    if kind != ABSENT:
        circle = [str(words).startswith(_WHOLE) for words in data["verdict"].values]
        vague = ~(data["resolvable"].values | _row(data, "element_rejected").astype(bool) | circle)
        names = [str(name) for name, no in zip(data["class"].values, vague, strict=True) if no and str(name) != "all"]
        if names:
            found.append(
                f"How wide the arc of {_several(names, len(classes))} is: no difference seen is not the same as none."
            )
    found.append("Other symmetries than quarter turns, and how far between them: the families were built for these.")
    found.append("How families compare on other pictures, sizes and recipes than the study's small digits.")
    return tuple(found)

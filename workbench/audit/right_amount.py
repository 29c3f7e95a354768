"""Which family of networks to choose for given data: from what their audit says of quarter turns, and a stored study.

The rules, all of them:

1. *Present*: no difference is seen, neither as a whole nor in any class, and the arc of the whole is the circle. Those
   fit whose answer changes less over the circle than the plain network's, measured, seed by seed. In order of the
   data they need; where these cannot be told apart, of their arithmetic; where that is equal, of what is enough for
   sure, the upper ends of their intervals. (This last rule took the place of training times, which are one machine's,
   after the check below had been seen: it says less about that rule than about the others.)
2. *Absent*: every class differs, or the whole does where there are no classes. There is nothing to hold: the plain
   network fits, and those that give up symmetry where the data ask for it. In order of their arithmetic; of
   equals the plain network, which has nothing to give up.
3. *Differs per class*: some classes differ and others do not. Those fit that lean towards the symmetry and can give it
   up. In order as under 1.
4. *Untold*: anything else. All fit. In order of how far each falls behind the best one on whichever set of the study it
   is worst at.

The data needed are those for being as right as the plain network with all pictures, on the one set of the study that
was tried with fewer, turned digits. Accuracy is that on validation pictures throughout; that on test pictures takes no
part, and under 2 and 3 none at all from data of that kind: so the advice can be checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from workbench.measure.data_answer import FEWEST
from workbench.measure.dataset import labelled
from workbench.measure.families import SAMPLES, family_points, order_families, worst_loss
from workbench.measure.interval import student
from workbench.measure.provenance import provenance
from workbench.models._family_words import GIVE_UP
from workbench.training import load_claims

PRESENT, ABSENT, PER_CLASS, UNTOLD = "present", "absent", "differs per class", "untold"
TRIED = "digits-rotated"
"""The data set of the study on which fewer training pictures were tried."""
BASELINE = "plain"
VALIDATION = "validation_accuracy"
RULES = {
    PRESENT: "So a turned picture is no news, and a network whose answer stays as it is throws nothing away. Families "
    "fit whose answer changes less over the circle than the plain network's; the one that needs the fewest "
    "pictures comes first.",
    ABSENT: "So a turned picture is news, and to treat it alike would throw that away. There is nothing to hold: the "
    "plain network fits, and those that can give up symmetry; the one with the least arithmetic comes first, of equals "
    "the plain one, which has nothing to give up.",
    PER_CLASS: "So a turn is news for some classes and none for others. Families fit that lean towards the symmetry "
    "and can give it up where the data ask for it; the one that needs the fewest pictures comes first.",
    UNTOLD: "So the data do not tell. What counts is how much a wrong guess would cost: how far a family falls behind "
    "the best one on whichever set of the study it is worst at; the one that loses least comes first.",
}
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
    if not isinstance(data, xr.Dataset):
        raise ValueError(
            f"advise: a {type(data).__name__} was given; expected the answers of data_symmetry; use "
            "advise(data_symmetry(images, labels))."
        )
    if "question" not in data.coords or _ASKED not in data["question"].values:
        raise ValueError(
            "advise: data that were not asked for quarter turns were given; expected 'C4' among the questions of "
            "data_symmetry; use square pictures, or crop them."
        )
    results = load_claims("families") if study is None else study
    classes = _classes(data)
    whole = bool(_row(data, "element_rejected")[0])
    kind = _kind(data, classes, whole)
    if kind == UNTOLD:
        order = _by_worst_case(results, int(data["pictures"].values[0]))
    else:
        points = _points(results)
        fits = {PRESENT: _calmer(points), ABSENT: [BASELINE, *GIVE_UP], PER_CLASS: list(GIVE_UP)}[kind]
        order = order_families(points, fits, data_needed=kind != ABSENT)
    family = str(order["name"].values[0])
    because = (_seen(data, classes, whole), RULES[kind], *_reasons(kind, order, results))
    return RightAmount(kind, family, because, _unknown(data, kind, classes), order, classes)


def check_advice(advice: RightAmount | str, data_set: str, study: xr.Dataset | None = None) -> xr.Dataset:
    """Whether the advised family is the best on test pictures, which the advice has not seen, or near it.

    Args:
        advice: of :func:`advise`, or the name of a family that somebody would take without asking.
        data_set: of the study, whose test pictures are asked; equal samples, all training pictures.
        study: the stored one where not given, or one of other pictures.

    Returns:
        Over ``family``, best mean first: ``accuracy``, ``accuracy_low``, ``accuracy_high`` in percent, and ``ahead``,
        ``ahead_low``, ``ahead_high``, by how many points it is ahead of the advised one seed by seed; intervals are
        Student's at 95 %. Attributes ``advised``, ``best``, ``place`` (of the advised one, from 1), ``verdict``
        ("best", "within the interval of the best", "worse than the best") and ``sentence``.

    Raises:
        ValueError: the study has no such data set, or no result of the advised family on it.
    """
    results = load_claims("families") if study is None else study
    advised = advice if isinstance(advice, str) else advice.family
    here = _trained_on(results, data_set, (advised,))
    names = results["family"].values[here]
    right = 100 * results["test_accuracy"].transpose("experiment", "seed").values[here]
    order = np.argsort(-right.mean(-1), kind="stable")
    right, names = right[order], [str(name) for name in names[order]]
    place = names.index(advised)
    ahead = right - right[place]
    (low, high), (behind_low, behind_high) = student(right), student(ahead)
    near = "within the interval of the best" if behind_low[0] <= 0 else "worse than the best"
    verdict = near if place else "best"
    lead = f"{names[0]} is ahead by {ahead[0].mean():.1f} points ({behind_low[0]:.1f} to {behind_high[0]:.1f})"
    how = "taken" if isinstance(advice, str) else "advised"
    comes = f"{advised} was {how} and comes out {place + 1} of {len(names)}, {verdict}"
    columns = {
        "accuracy": right.mean(-1), "accuracy_low": low, "accuracy_high": high,
        "ahead": ahead.mean(-1), "ahead_low": behind_low, "ahead_high": behind_high,
    }  # fmt: skip
    words = {"accuracy": ("right on test pictures", "percent"), "ahead": (f"ahead of {advised}", "points")}
    return xr.Dataset(
        {name: labelled("family", values, *words[name.partition("_")[0]]) for name, values in columns.items()},
        {"family": labelled("family", names, "family")},
        provenance(
            "check_advice", seed=results["seed"].values.tolist(), dtype="float64", reduction="mean over seeds",
            input_kind=data_set, advised=advised, best=names[0], place=place + 1, verdict=verdict,
            sentence=f"{comes}: {lead}." if place else f"{comes}: no other is ahead of it.",
        ),
    )  # fmt: skip


def preferred(families: Sequence[str], data_set: str, study: xr.Dataset | None = None) -> str:
    """Which of these families is right most often on validation pictures, in the mean over seeds.

    Args:
        families, data_set, study: as in :func:`check_advice`.

    Raises:
        ValueError: a family has no result on that data set.

    >>> preferred(("strict", "plain"), "digits-upright")
    'plain'
    """
    results = load_claims("families") if study is None else study
    here = _trained_on(results, data_set, families)
    means = results[VALIDATION].mean("seed").values[here]
    known = dict(zip(results["family"].values[here], means.tolist(), strict=True))
    return max(families, key=known.__getitem__)


def _trained_on(results: xr.Dataset, data_set: str, families: Sequence[str]) -> np.ndarray:
    """Which experiments saw all pictures of a data set, equal samples; refuses a family without one."""
    here = (results["data_set"].values == data_set) & (results["view"].values == SAMPLES)
    here &= results["samples"].values == results["samples"].values[here].max(initial=0)
    names = results["family"].values[here]
    for missing in (name for name in families if name not in names):
        raise ValueError(
            f"check_advice: {missing!r} has no result on {data_set!r}; expected one of "
            f"{', '.join(names) or 'the families on the sets of the study'}."
        )
    return here


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


def _points(results: xr.Dataset) -> xr.Dataset:
    """The study by validation accuracy; the target is what the plain network reaches with all pictures."""
    first = family_points(results, TRIED, SAMPLES, accuracy=VALIDATION)
    plain = float(first["accuracy"].sel(family=BASELINE)) / 100
    return family_points(results, TRIED, SAMPLES, target=min(max(plain, 0.01), 0.99), accuracy=VALIDATION)


def _calmer(points: xr.Dataset) -> list[str]:
    """Families whose answer changes less over the circle than the plain network's, seed by seed and for sure."""
    error = points["error_seed"]
    _, high = student((error - error.sel(family=BASELINE)).transpose("family", "seed").values)
    return [str(name) for name, end in zip(points["family"].values, high, strict=True) if end < 0]


def _by_worst_case(results: xr.Dataset, pictures: int) -> xr.Dataset:
    """All families by their loss on the set that they are worst at."""
    loss = worst_loss(results, pictures, VALIDATION)
    worst = loss["worst"].values
    order = [int(at) for at in np.argsort(worst, kind="stable") if np.isfinite(worst[at])]
    found = loss.isel(family=order).rename(family="rank")
    names = loss["family"].values[order]
    return found.assign_coords(rank=labelled("rank", np.arange(1, len(order) + 1), "rank")).assign(
        name=labelled("rank", names, "family"), fits=labelled("rank", np.ones(len(order), dtype=bool), "fits")
    )


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


def _reasons(kind: str, order: xr.Dataset, results: xr.Dataset) -> list[str]:
    """What the study says of the first, and of the next that fits."""
    names = [str(name) for name in order["name"].values]
    if kind == UNTOLD:
        rows = " ".join(f"{names[at]} {float(order['worst'].values[at]):.1f}," for at in range(min(3, len(names))))
        tried = " and ".join(f"{size:,}" for size in sorted(set(map(int, order["tried"].values))))
        return [f"Points behind at worst, with {tried} training pictures: {rows[:-1]}."]
    row = {str(name): order[name].values for name in order.data_vars}
    base, most = row["multiply_adds"][names.index(BASELINE)], int(results["samples"].values.max())

    def told(at: int) -> str:
        if names[at] == BASELINE and kind == ABSENT:
            return f"{BASELINE} is what the arithmetic of the others is counted by"
        times = row["multiply_adds"][at] / base
        costs = "as much arithmetic as" if times == 1 else f"{times:.3g} times the arithmetic of"
        price = f"{names[at]} costs {costs} the plain network"
        if kind == ABSENT:
            return f"{price} for an answer"
        if np.isnan(row["data_needed"][at]):
            return f"{price} and does not get there with {most:,}"
        low, high = (row[f"data_needed_{end}"][at] for end in ("low", "high"))
        end = f"{high:,.0f}" if np.isfinite(high) else f"more than {most:,}"
        return f"{price} and needs {row['data_needed'][at]:,.0f} pictures ({low:,.0f} to {end})"

    aim = "" if kind == ABSENT else f" To be as right on turned digits as {BASELINE} with {most:,} pictures:"
    found = [f"In the study:{aim} {told(0)}."]
    if int(row["fits"].sum()) > 1:
        found.append(f"Next of those that fit: {told(1)}.")
    if (tied := int(row["tied"].sum())) > 1:
        least = int((row["multiply_adds"][:tied] == row["multiply_adds"][0]).sum())
        alike = f"; {least} of them share it, and of these the one leads whose interval ends first"
        found.append(
            f"{tied} cannot be told apart by the data they need; of these the least arithmetic "
            f"leads{alike if least > 1 else ''}."
        )
    return found


def _unknown(data: xr.Dataset, kind: str, classes: dict[str, str]) -> tuple[str, ...]:
    found = ["Whether a turned picture should be called the same: it sees how often poses occur, not what they mean."]
    if not classes:
        found.append("Whether classes differ among each other: no labels were given.")
    few = [name for name, seen in classes.items() if seen == "too few"]
    if few:
        found.append(f"Anything about {_several(few, len(classes))}: fewer than {FEWEST} pictures.")
    if kind != ABSENT and classes:
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

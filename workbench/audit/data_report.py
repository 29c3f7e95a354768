"""What a report says of the data by class: arcs, tests, floors, and how many pictures would tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from workbench.audit.data_look import POWER_REPEATS, resampling_shows
from workbench.audit.figures import Table, section


def data_sections(ds: xr.Dataset) -> list[dict[str, Any]]:
    """The data by class with their floors, and what more pictures would tell."""
    named = "by class" if ds.sizes["class"] > 1 else "as a whole"
    left = int(ds.attrs.get("classes_left_out", 0))
    asked = [
        "Every p-value but that of the floor is corrected by Holm's rule over classes, angles and symmetries together.",
        "The floor is the negative control: both halves of the pictures turned there and back, one each way, so that "
        "resampling alone tells them apart; its p-value is times the number of its angles.",
    ]
    asked += [f"Classes that are not among them: {left}, the smallest."] if left else []
    needed = [
        "Pictures that would tell: of an arc, for an interval within 10 degrees, at most so many; of a mirror or a "
        "group of turns, so many that every second data set of such a difference is rejected.",
        "Beside it, what random parts of these pictures show: how far the interval of the arc reaches, and how often "
        "the symmetry is rejected when it is asked alone.",
    ]
    more = [
        f"The share of {POWER_REPEATS} simulated data sets in which the test finds that turns change them, when each "
        "picture is turned by up to so much more. At 180 degrees nothing is left to be found: there it is the rate of "
        "false alarms."
    ]
    return [
        section(f"Your data {named}", asked, Table("Each class: its arc, its tests and its floor", *class_rows(ds))),
        section("How many pictures would tell", needed, Table("Power, by number of pictures", *power_rows(ds))),
        section("How wide an arc would still be told from the circle", more, Table("Power, by arc", *added_rows(ds))),
    ]


def class_rows(ds: xr.Dataset) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Heading and rows: each class with its arc, its tests, and its floor."""
    asked = [str(name) for name in ds["question_words"].values] if "element_p_holm" in ds.variables else []
    head = ("class", "pictures", "arc of rotations", "turned: p, corrected", *(f"{n}: p, corrected" for n in asked),
            "resampling alone: p, corrected (floor)")  # fmt: skip
    rows = tuple(
        (
            str(ds["class"].values[at]),
            str(int(ds["pictures"].values[at])),
            str(ds["verdict"].values[at]),
            f"{float(np.nanmin(ds['p_holm'].values[at])):.2g}",
            *(f"{p:.2g}" for p in (ds["element_p_holm"].values[at] if asked else ())),
            f"{resampling_shows(ds, at)[0]:.2g}",
        )
        for at in range(ds.sizes["class"])
    )
    return head, rows


def power_rows(ds: xr.Dataset) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Heading and rows: how many pictures would tell, and how often parts of these would have told."""
    parts = [f"seen in {float(part):.0%} of these" for part in ds["part"].values]
    head = ("class", "what", "told", "pictures that would tell", *parts)
    rows: list[tuple[str, ...]] = []
    for at, name in enumerate(ds["class"].values):
        reach = ds["arc_reach_deg"].values[at]
        arc = "yes" if bool(ds["resolvable"].values[at]) else "not yet"
        cells = ("too few" if not np.isfinite(r) else f"±{r:.0f}°" for r in reach)
        rows.append((str(name), "arc, reach of its interval", arc, _count(ds["arc_needed"].values[at]), *cells))
        for place, words in enumerate(ds["question_words"].values if "element_power" in ds.variables else ()):
            seen = "yes, it differs" if bool(ds["element_rejected"].values[at, place]) else "no difference seen"
            shares = ds["element_power"].values[at, place]
            cells = ("too few" if not np.isfinite(share) else f"{share:.0%} rejected" for share in shares)
            rows.append((str(name), str(words), seen, _count(ds["element_needed"].values[at, place]), *cells))
    return head, tuple(rows)


def added_rows(ds: xr.Dataset) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Heading and rows: the share of data sets that the test of turns rejects, by how much more they were turned."""
    head = ("class", *(f"up to ±{float(added):g}°" for added in ds["added_deg"].values))
    rows = zip(ds["class"].values, ds["power"].values, strict=True)
    return head, tuple((str(name), *(f"{share:.0%}" for share in shares)) for name, shares in rows)


def _count(pictures: float) -> str:
    return f"about {pictures:,.0f}" if np.isfinite(pictures) else "no difference to be seen"

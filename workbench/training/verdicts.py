"""The verdict on each claim: what the paper says, what we measured, and whether the sentence holds here."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from workbench.models.method import Claim, Method

if TYPE_CHECKING:
    import xarray as xr

ENDLESS = 1000  # times the lower end: a band that wide has no upper end
KEY = (
    "we measured: mean ± standard deviation [lowest, highest] over the seeds, in the unit beside it; in band: whether",
    "that mean, not each seed, lies in our band, to which our tests hold it; reproduced: whether the sentence holds.",
)
COLUMNS = ("claim", "paper says", "we measured", "unit", "our band", "in band", "reproduced")


@dataclass(frozen=True)
class Verdict:
    """One claim beside its measurement over seeds.

    values      one number per seed, in `unit`; mean, sd (sample standard deviation; NaN for one seed), low and high
                are theirs.
    in_band     the mean lies in the band that our tests assert.
    reproduced  the paper's sentence holds; it may be False, and that is a result.
    """

    claim: str
    sentence: str
    source: str
    paper_says: float | str | None
    unit: str
    values: tuple[float, ...]
    mean: float
    sd: float
    low: float
    high: float
    band: tuple[float, float]
    in_band: bool
    reproduced: bool

    @property
    def measured(self) -> str:
        """Mean, standard deviation and range over seeds, in words.

        >>> Verdict("c", "", "", None, "%", (98.0, 100.0), 99.0, 1.41, 98.0, 100.0, (98, 100), True, True).measured
        '99 ± 1.4 [98, 100]'
        """
        spread = f" ± {self.sd:.2g}" if self.sd == self.sd else ""
        return f"{self.mean:.4g}{spread} [{self.low:.4g}, {self.high:.4g}]"


def verdicts(dataset: xr.Dataset, method: Method) -> list[Verdict]:
    """One verdict per claim of the method, from a stored or a fresh claims Dataset.

    Raises ValueError where the Dataset lacks what a claim reads.
    """
    return [_verdict(dataset, claim) for claim in method.claims]


class VerdictTable(str):
    """The verdicts as text, which a notebook shows as a table."""

    rows: tuple[tuple[str, ...], ...]

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        head, *rows = (tuple(map(escape, row)) for row in self.rows)
        left = ' style="text-align: left"'  # notebooks set tables to the right, which suits numbers and no sentences
        titles = "".join(f'<th scope="col"{left}>{cell}</th>' for cell in head)
        body = "".join("<tr>" + "".join(f"<td{left}>{cell}</td>" for cell in row) + "</tr>" for row in rows)
        return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"


def verdict_table(method: Method, dataset: xr.Dataset) -> VerdictTable:
    """The verdicts as text: a table of claims, below it how to read it, and the sentences of the claims.

    A measured band that was missed and a sentence that was not reproduced are said in words.
    """
    rows = verdicts(dataset, method)
    cells = [COLUMNS] + [_cells(row) for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    lines.insert(1, "  ".join("-" * width for width in widths))
    seeds = dataset.sizes.get("seed", 0)
    short = "short training: these numbers are not the claims'" if dataset.attrs.get("fast") == "true" else ""
    told = [f"{method.title} ({method.cited}); {seeds} seeds", short]
    sentences = [f"{row.claim}: {row.sentence} ({row.source})" for row in rows]
    table = VerdictTable("\n".join([*filter(None, told), "", *lines, "", *KEY, "", *sentences]))
    shown = [(f"{cells[0]}: {row.sentence} ({row.source})", *cells[1:]) for row in rows for cells in [_cells(row)]]
    table.rows = (COLUMNS, *shown)
    return table


def _cells(row: Verdict) -> tuple[str, ...]:
    """One claim in words, as `COLUMNS` names them."""
    return (
        row.claim,
        _says(row),
        row.measured,
        "" if row.unit == "1" else row.unit,
        _band(*row.band),
        "yes" if row.in_band else "NO",
        "yes" if row.reproduced else "not reproduced",
    )


def _band(low: float, high: float) -> str:
    """Both ends, or the lower alone where the upper one only closes the range.

    >>> _band(98, 100), _band(10, 1e7)
    ('98 to 100', 'at least 10')
    """
    return f"at least {low:g}" if high >= ENDLESS * max(low, 1.0) else f"{low:g} to {high:g}"


def _says(row: Verdict) -> str:
    if row.paper_says is None:
        return "no number"
    return row.paper_says if isinstance(row.paper_says, str) else f"{row.paper_says:.4g}"


def _verdict(dataset: xr.Dataset, claim: Claim) -> Verdict:
    import numpy as np

    try:
        values = np.atleast_1d(np.asarray(claim.measured(dataset), dtype=np.float64)).ravel()
        reproduced = bool(claim.reproduced(dataset))
    except KeyError as error:
        raise ValueError(
            f"the claim {claim.id!r} reads {error}, which the Dataset does not have; reproduce the method again"
        ) from error
    mean = float(values.mean())
    return Verdict(
        claim=claim.id,
        sentence=claim.sentence,
        source=claim.source,
        paper_says=claim.paper_says,
        unit=claim.unit,
        values=tuple(values.tolist()),
        mean=mean,
        sd=float(values.std(ddof=1)) if len(values) > 1 else float("nan"),
        low=float(values.min()),
        high=float(values.max()),
        band=claim.band,
        in_band=bool(claim.band[0] <= mean <= claim.band[1]),
        reproduced=reproduced,
    )

"""The front page's pictures: an explorer's own figure in small, and a method's claims beside what we measured."""

from __future__ import annotations

import asyncio
import logging
from functools import lru_cache
from html import escape

import numpy as np
import xarray as xr

from workbench.dashboards.miniature import HEIGHT, WIDTH, miniature, svg
from workbench.explorers import Explorer
from workbench.models.method import Claim, Method
from workbench.views import palette

logger = logging.getLogger(__name__)

MOST_CLAIMS = 6
_LABELS = 170  # SVG units left of the claims' axes
_INK = {False: "#565a64", True: "#a5a8b1"}


async def explorer_picture(cls: type[Explorer]) -> str:
    """What the explorer shows when it opens, in small; drawn once, beside the event loop."""
    return await asyncio.to_thread(_explorer_picture, cls)


async def method_picture(method: Method, dark: bool) -> str:
    """Claim by claim: the paper's number as a mark, our seeds as dots, the band we expect as a bar."""
    return await asyncio.to_thread(_method_picture, method.name, dark)


@lru_cache(maxsize=64)
def _explorer_picture(cls: type[Explorer]) -> str:
    try:
        return miniature(cls().at(coarse=True).figure_dict())
    except Exception:
        logger.exception("the front page's picture of the explorer %r could not be drawn", cls.slug)
        return svg("")


@lru_cache(maxsize=64)
def _method_picture(name: str, dark: bool) -> str:
    from workbench.models.method import find_method

    method = find_method(name)
    try:
        return claims_picture(method.claims, _stored_claims(name), dark)
    except Exception:
        logger.exception("the front page's picture of the method %r could not be drawn", name)
        return svg("")


def _stored_claims(name: str) -> xr.Dataset | None:
    """The claims' Dataset, where `workbench reproduce` has stored one."""
    from workbench.datasets import data_folder
    from workbench.measure import open_dataset

    path = data_folder() / "claims" / f"{name}.nc"
    return open_dataset(path) if path.is_file() else None


def claims_picture(claims: tuple[Claim, ...], measured: xr.Dataset | None, dark: bool = False) -> str:
    """A row for each claim with a number, each on an axis of its own.

    >>> claims_picture((), None).startswith("<svg")
    True
    """
    rows = [(claim, _seeds(claim, measured)) for claim in claims][:MOST_CLAIMS]
    step = HEIGHT / (len(rows) + 0.6)
    return svg("".join(_claim_row(claim, seeds, step * (at + 0.8), dark) for at, (claim, seeds) in enumerate(rows)))


def _seeds(claim: Claim, measured: xr.Dataset | None) -> np.ndarray:
    if measured is None:
        return np.zeros(0)
    try:
        values = np.ravel(np.asarray(claim.measured(measured), dtype=float))
    except (KeyError, ValueError, TypeError):  # stored before this claim was made
        return np.zeros(0)
    return values[np.isfinite(values)]


def _claim_row(claim: Claim, seeds: np.ndarray, y: float, dark: bool) -> str:
    ink = _INK[dark]
    paper = [float(claim.paper_says)] if isinstance(claim.paper_says, int | float) else []
    band = [float(end) for end in claim.band if np.isfinite(end)]
    everything = np.concatenate([paper, band, seeds]) if paper or band or seeds.size else np.array([0.0, 1.0])
    low, span = float(everything.min()), float(np.ptp(everything)) or 1.0
    left, right = _LABELS + 24, WIDTH - 34

    def at(value: float) -> float:
        return left + (right - left) * (0.06 + 0.88 * (value - low) / span)

    parts = [
        f'<text x="{_LABELS}" y="{y + 5:.1f}" text-anchor="end" font-size="17" fill="{ink}" '
        f'font-family="Inter, Segoe UI, Helvetica, Arial, sans-serif">{escape(claim.id[:20])}</text>',
        f'<path d="M{left} {y:.1f}H{right}" stroke="{palette.GRID}" stroke-width="2"/>',
    ]
    if len(band) == 2:
        width = max(at(band[1]) - at(band[0]), 2)
        fill = palette.with_alpha(palette.BLUE, 0.22)
        parts.append(
            f'<rect x="{at(band[0]):.1f}" y="{y - 9:.1f}" width="{width:.1f}" height="18" rx="4" fill="{fill}"/>'
        )
    parts += [f'<path d="M{at(v):.1f} {y - 13:.1f}v26" stroke="{palette.ORANGE}" stroke-width="3"/>' for v in paper]
    parts += [f'<circle cx="{at(v):.1f}" cy="{y:.1f}" r="4.5" fill="{palette.BLUE}"/>' for v in seeds]
    return "".join(parts)

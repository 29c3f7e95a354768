"""Equivariance error along an orbit, with both resampling floors, lattice angles, baselines and one angle opened up."""

from __future__ import annotations

import xarray as xr

from workbench.views.both_ways import both_ways
from workbench.views.frame import Figure, figure
from workbench.views.orbit import LOWEST, NAMES_PX, curves, heading

__all__ = ["LOWEST", "orbit_error"]

CURVE = (0.0, 0.52)


def orbit_error(ds: xr.Dataset, log: bool = True) -> Figure:
    """The error at every angle, beside what the picture's own resampling costs at that angle.

    Args:
        ds: with `error_mean(model, transform)`, `error_sem(model, transform)`, `angle_deg(transform)`,
            `lattice(transform)`. Optional: `input_floor_mean(transform)`, `output_floor_mean(transform)` (of the first
            model), `sqrt_two_delta(transform)`, `delta(transform)`, the scalar `angle_shown_deg`, and what
            `workbench.views.both_ways` draws at that angle.
        log: a logarithmic error axis.

    Returns:
        A plotly figure as a dictionary.

    Raises:
        ValueError: a variable, a dim or the provenance is missing; the resampler must be named.
    """
    has_pictures = "input_map" in ds
    rows = CURVE if has_pictures else (0.0, 0.93)
    traces, axes, names, shapes = curves(ds, log, rows)
    pictures, picture_axes, titles = both_ways(ds, (0.66, 1.0), 1.0) if has_pictures else ([], {}, [])
    return figure(
        [*traces, *pictures],
        ds,
        height=640 if has_pictures else 460,
        margin={"l": 72, "r": NAMES_PX, "t": 60, "b": 64},
        annotations=[heading(ds, rows), *names, *titles],
        shapes=shapes,
        **axes,
        **picture_axes,
    )

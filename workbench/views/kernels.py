"""Kernels as a film strip of every pose or place, and beside it one of four looks at them."""

from __future__ import annotations

import numpy as np
import xarray as xr

from workbench.views import kernel_panels as panels
from workbench.views import palette
from workbench.views.frame import Figure, Trace, axis, figure, label, panel_title, require, text, values
from workbench.views.kernel_panels import SIDE
from workbench.views.mosaic import centres, colour_bar, outline, signed, tiles

STRIP = (0.0, 0.53)
ROWS = ((0.68, 1.0), (0.36, 0.555), (0.0, 0.195))
EVEN = ((0.76, 1.0), (0.38, 0.62), (0.0, 0.24))
MOST_TICKS = 12
LOOKS = ("function", "copies", "numbers", "first")
"""What can stand beside the strip."""


def film_strip(ds: xr.Dataset, look: str = "function") -> Figure:
    """The kernels of a layer for every pair of poses, of channels or of places, as one mosaic, with panels beside it.

    Args:
        ds: with `kernel(g_out, g_in, y, x)`, the coordinates `pose_out(g_out)` and `pose_in(g_in)` in words, and the
            scalar `limit`, the end of the colour scale. Optional: `copy_column(g_out)`, the tile of each row that is a
            turned copy of one kernel (-1: none). Beside it what the look needs, where it is there:
            "function": `surface(fine_y, fine_x)`; `power(frequency)` with the scalar `bandwidth`;
            `weight(relative_angle_deg)`, or else as for copies.
            "copies": `power(frequency)`; `turned`, `mirrored` and `floor` over `angle_deg`; `lost(angle_deg)`.
            "numbers": `sparsity`, `entropy`, `orthogonality` over `(layer, over)` and `*_random`, `*_random_std` over
            `layer`.
            "first": `variance`, `energy` and `fitted` over `component`, `picture(component, patch_y, patch_x)`.
        look: one of `LOOKS`.

    Returns:
        A plotly figure as a dictionary.

    Raises:
        ValueError: a variable, a dim or the provenance is missing, or another look.
    """
    if look not in LOOKS:
        raise ValueError(f"kernel view: look = {look!r} was given; expected one of {', '.join(LOOKS)}.")
    require(
        ds,
        "kernel view",
        dims={"kernel": ("g_out", "g_in", "y", "x"), "pose_out": ("g_out",), "pose_in": ("g_in",), "limit": ()},
    )
    strip, strip_layout, frames = _strip(ds)
    notes = [panel_title(label(ds, "kernel"), STRIP[0], 1.025)]
    side: list[Trace] = []
    layout: dict = {}
    for number, (draw, domain) in enumerate(_panels(ds, look), start=2):
        traces, more, written, words = draw(ds, number, domain)
        side += traces
        layout |= more
        notes += written
        if words:
            notes.append(panel_title(words, SIDE[0], domain[1] + 0.025, font={"size": 12}))
    left = 108 if max(len(str(word)) for word in values(ds, "pose_out")) > 6 else 72
    return figure(
        [strip, *side],
        ds,
        height=640,
        margin={"l": left, "r": 20, "t": 56, "b": 58},
        annotations=notes,
        shapes=frames,
        **strip_layout,
        **layout,
    )


def _panels(ds: xr.Dataset, look: str) -> list:
    """What is drawn beside the strip, and where."""
    if look == "numbers":
        return list(zip((panels.sparsity, panels.entropy, panels.orthogonality), EVEN, strict=True))
    if look == "first":
        return [(panels.pictures, ROWS[0]), (panels.energy, (0.0, 0.555))]
    if look == "copies":
        return list(zip((panels.power, panels.symmetry, panels.lost), EVEN, strict=True))
    last = panels.course if "weight" in ds else panels.symmetry
    return list(zip((panels.surface, panels.power, last), ROWS, strict=True))


def _strip(ds: xr.Dataset) -> tuple[Trace, dict, list[dict]]:
    kernel = values(ds, "kernel", "g_out", "g_in", "y", "x")
    _, _, height, width = kernel.shape
    limit = float(values(ds, "limit"))
    trace = signed(
        tiles(kernel),
        limit,
        hovertemplate="weight %{z:.3f} of the largest<extra></extra>",
        showscale=True,
        colorbar=colour_bar("weight, a share of the largest", STRIP[1] + 0.01, 0.6, 0.62),
    )
    layout = {
        "xaxis": _tile_axis(ds, "pose_in", width, domain=list(STRIP)),
        "yaxis": _tile_axis(
            ds,
            "pose_out",
            height,
            autorange="reversed",
            scaleanchor="x",
            constrain="domain",
            constraintoward="top",
        ),
    }
    layout["xaxis"] |= {"constrain": "domain", "constraintoward": "left"}
    frames = []
    if "copy_column" in ds:
        require(ds, "kernel view", dims={"copy_column": ("g_out",)})
        frames = [
            outline(row, int(at), height, width, palette.PINK)
            for row, at in enumerate(values(ds, "copy_column"))
            if at >= 0
        ]
    return trace, layout, frames


def _tile_axis(ds: xr.Dataset, name: str, size: int, **more: object) -> dict:
    words = [str(word) for word in values(ds, name)]
    shown = np.arange(0, len(words), -(-len(words) // MOST_TICKS))
    return axis(
        label(ds, name) if any(words) else "",
        tickmode="array",
        tickvals=centres(len(words), size)[shown],
        ticktext=[text(words[at]) for at in shown],
        showgrid=False,
        **more,
    )

"""The explorer whose slider both latency benchmarks move: eight kernels, three curves, a stated time of compute."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import param
import xarray as xr

from workbench.explorers import Explorer

COMPUTE = 0.020  # s: the longest a view may compute and still answer a slider at once
SIDE, KERNELS, POINTS, GAP = 64, 8, 200, 2  # px, number, points per curve, px


class Waves(Explorer):
    """Eight turning waves as one mosaic and three curves over the angle."""

    slug, title = "waves", "Eight turning kernels"
    question = "How long does it take from the key to the changed picture?"
    explanation = "Eight kernels turn with the angle; below, three curves move along."

    angle_deg = param.Number(0.0, bounds=(-180.0, 180.0), step=1.0, label="Angle (degrees)", doc="Turns the kernels.")
    frequency = param.Number(2.0, bounds=(0.5, 6.0), step=0.25, label="Frequency (waves)", doc="Waves per kernel.")
    envelope = param.Selector(
        default="disc", objects={"Disc": "disc", "Square": "square"}, label="Edge", doc="Where the kernels end."
    )
    phases = param.Boolean(False, label="Show the phase", doc="Shows the sine instead of the cosine.")

    def compute(self) -> xr.Dataset:
        end = time.perf_counter() + COMPUTE
        axis = np.linspace(-1, 1, SIDE)
        x, y = np.meshgrid(axis, -axis)
        angles = np.radians(self.angle_deg) + np.arange(KERNELS) * 2 * np.pi / KERNELS
        along = np.cos(angles)[:, None, None] * x + np.sin(angles)[:, None, None] * y
        kernels = (np.sin if self.phases else np.cos)(np.pi * self.frequency * along)
        if self.envelope == "disc":
            kernels = kernels * (x**2 + y**2 <= 1)
        angle_deg = np.linspace(-180, 180, POINTS)
        curves = np.stack([np.cos(np.radians(k * (angle_deg - self.angle_deg))) for k in (1, 2, 3)])
        while time.perf_counter() < end:
            pass
        return xr.Dataset(
            {"kernel": (("g", "y", "x"), kernels), "curve": (("order", "angle_deg"), curves)},
            coords={"angle_deg": ("angle_deg", angle_deg, {"units": "degrees"})},
        )

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        quantised = np.round(ds.kernel.values * 127).astype(np.int8)
        z = np.zeros((SIDE, KERNELS * (SIDE + GAP) - GAP), np.int8)
        for index, kernel in enumerate(quantised):
            z[:, index * (SIDE + GAP) : index * (SIDE + GAP) + SIDE] = kernel
        scale = [[0, "#d06a1a"], [0.499, "rgba(208,106,26,0)"], [0.501, "rgba(47,115,238,0)"], [1, "#2f73ee"]]
        mosaic = {"type": "heatmap", "z": z, "zmin": -127, "zmax": 127, "showscale": False, "colorscale": scale}
        curves = [
            {"type": "scatter", "mode": "lines", "name": f"order {k + 1}", "xaxis": "x2", "yaxis": "y2",
             "x": ds.angle_deg.values.astype(np.float32), "y": curve.astype(np.float32)}
            for k, curve in enumerate(ds.curve.values)
        ]  # fmt: skip
        layout = {
            "xaxis": {"visible": False, "domain": [0, 1]},
            "yaxis": {"visible": False, "domain": [0.62, 1], "autorange": "reversed"},
            "xaxis2": {
                "title": {"text": "angle (degrees)"},
                "anchor": "y2",
                "range": [-180, 180],
                "dtick": 45,
                "automargin": False,
            },
            "yaxis2": {"title": {"text": "response"}, "domain": [0, 0.54], "range": [-1.1, 1.1], "automargin": False},
            "legend": {"orientation": "h", "x": 1, "xanchor": "right", "y": 0.56, "yanchor": "bottom"},
            "title": {"text": "Kernels turned in steps of 45°, and their response"},
        }
        return {"data": [mosaic, *curves], "layout": layout}

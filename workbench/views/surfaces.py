"""Closed surfaces in space, coloured by the sign of a function: triangles, which plotly draws anew the fastest."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.views import palette
from workbench.views.frame import Trace, small

COLOURS = [[0.0, palette.ORANGE], [0.5, "#e8e8e8"], [1.0, palette.BLUE]]


def signed_surface(points: np.ndarray, corners: np.ndarray, value: np.ndarray, limit: float, **more: Any) -> Trace:
    """A mesh of points ``(P, 3)`` joined by triangles ``(T, 3)``, coloured by a value ``(P,)`` from -limit to limit.

    What else the trace has, its name and hover text, is given by name.
    """
    return {
        "type": "mesh3d", "x": small(points[:, 0]), "y": small(points[:, 1]), "z": small(points[:, 2]),
        "i": corners[:, 0], "j": corners[:, 1], "k": corners[:, 2], "intensity": small(value),
        "cmin": -limit, "cmax": limit, "colorscale": COLOURS, "showscale": False,
        "lighting": {"ambient": 0.7, "diffuse": 0.6, "specular": 0.05}, **more,
    }  # fmt: skip

"""Features of the atoms of a molecule: arrows where they are vectors, else the functions that they stand for."""

from __future__ import annotations

import numpy as np
import xarray as xr

from workbench.views.frame import Trace, require, text, values
from workbench.views.surfaces import signed_surface


def surfaces(ds: xr.Dataset, size: float) -> Trace:
    """One closed surface around each atom, as far from it as the function is large, coloured by its sign.

    Args:
        ds: with `positions(atom, xyz)`, `value(surface, direction)` of the first atoms, `direction_xyz(direction, xyz)`
            and `triangle(face, corner)`.
        size: angstrom for the largest value.

    Raises:
        ValueError: a variable or dim is missing.
    """
    dims = {"value": ("surface", "direction"), "direction_xyz": ("direction", "xyz"), "triangle": ("face", "corner")}
    require(ds, "features of atoms", dims={"positions": ("atom", "xyz"), **dims})
    value = values(ds, "value", "surface", "direction")
    count, directions = value.shape
    where = values(ds, "positions", "atom", "xyz")[:count]
    limit = float(np.abs(value).max()) or 1.0
    radius = size * np.abs(value) / limit
    points = (where[:, None] + radius[..., None] * values(ds, "direction_xyz", "direction", "xyz")).reshape(-1, 3)
    faces = values(ds, "triangle", "face", "corner")
    corners = (faces[None] + directions * np.arange(count)[:, None, None]).reshape(-1, 3).astype(np.int32)
    words = text(ds.variables["feature"].attrs["long_name"])
    return signed_surface(
        points, corners, value.ravel(), limit, name=words, showlegend=True, legendgroup="features",
        hovertemplate=f"{words}<br>%{{intensity:.3f}}<extra></extra>",
    )  # fmt: skip

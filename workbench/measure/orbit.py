"""Which elements a sweep visits, and how they are labelled."""

import math

import torch
import xarray as xr
from torch import Tensor

from workbench.groups import O2, Group, Plane, Translation
from workbench.groups.base import check_count
from workbench.measure.dataset import labelled

MOST_TRANSFORMS = 4096  # more than any curve shows: a larger number is a slip of the hand
_LONGEST_SHIFT = 4.0  # pixels: the end of the default sweep of translations


def orbit(group: Group, n_elements: int = 37) -> Tensor:
    """Elements of a sweep through the group, in float64, ``(E, element_dim)``.

    Rotation groups: ``n_elements`` angles from 0 to 2 pi, both ends included, and the four quarter turns where they
    are not among them; with mirrors the same angles again, mirrored. Finite groups: all their elements.
    Translations: shifts to the right from 0 to 4 pixels, whole ones included. R^2 x| H: the sweep of H.

    >>> from workbench.groups import SO2
    >>> len(orbit(SO2(), 37)), len(orbit(SO2(), 10))
    (37, 13)
    """
    if check_count(n_elements, "orbit: n_elements") > MOST_TRANSFORMS:
        raise ValueError(
            f"orbit: n_elements = {n_elements} was given; expected at most {MOST_TRANSFORMS}; 37 is usual."
        )
    if isinstance(group, Plane):
        linear = orbit(group.linear, n_elements)
        return group.join(torch.zeros(len(linear), 2, dtype=torch.float64), linear)
    if isinstance(group, Translation):
        right = _with(torch.linspace(0, _LONGEST_SHIFT, n_elements, dtype=torch.float64), torch.arange(5.0).double())
        return torch.stack([right, torch.zeros_like(right)], -1)
    if group.order is not None:
        return group.grid(dtype=torch.float64)
    quarters = torch.arange(5, dtype=torch.float64) * (math.pi / 2)
    angle = quarters[:1] if n_elements == 1 else torch.linspace(0, 2 * math.pi, n_elements, dtype=torch.float64)
    angle = angle if n_elements == 1 else _with(angle, quarters)
    if isinstance(group, O2):
        signs = [torch.full_like(angle, sign) for sign in (1.0, -1.0)]
        return torch.cat([torch.stack([angle, sign], -1) for sign in signs])
    return angle.unsqueeze(-1)


def _with(values: Tensor, needed: Tensor) -> Tensor:
    """Sorted values joined with those needed ones that are not there yet."""
    missing = needed[(values[:, None] - needed[None]).abs().min(0).values > 1e-9]
    return torch.cat([values, missing]).sort().values


def transform_coords(elements: Tensor, group: Group) -> dict[str, tuple]:
    """Coordinates over ``transform``: the angle in degrees, the mirror, and the shift in pixels."""
    count, linear = len(elements), group.linear if isinstance(group, Plane) else group
    angle, mirror = torch.zeros(count).double(), torch.ones(count)
    if not isinstance(linear, Translation):
        part = elements[:, 2:] if isinstance(group, Plane) else elements
        angle = part[:, 0].double() * (180 / math.pi)
        mirror = part[:, 1] if isinstance(linear, O2) else mirror
    coords = {
        "transform": labelled("transform", torch.arange(count), "number of the transform"),
        "angle_deg": labelled("transform", angle, "input rotation", "degrees"),
        "mirror": labelled("transform", mirror.round().long(), "mirror after the rotation (-1: mirrored)"),
    }
    shift = group.shift(elements)
    if shift is not None:
        coords["shift_x_px"] = labelled("transform", shift[:, 0].double(), "shift to the right", "pixels")
        coords["shift_y_px"] = labelled("transform", shift[:, 1].double(), "shift upwards", "pixels")
    return coords


def named(ds: xr.Dataset, transform: int) -> str:
    """One transform of a Dataset in words, for messages.

    >>> named(xr.Dataset(coords=transform_coords(torch.tensor([[0.5, -1.0]]), O2())), 0)
    'rotation by 28.65 degrees, mirrored'
    """
    row = ds.isel(transform=transform)
    words = [f"rotation by {float(row.angle_deg):.4g} degrees"]
    if int(row.mirror) < 0:
        words.append("mirrored")
    if "shift_x_px" in row.coords:
        words.append(f"shift by ({float(row.shift_x_px):g}, {float(row.shift_y_px):g}) pixels")
    return ", ".join(words)

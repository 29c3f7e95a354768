"""Which elements a sweep visits, and how they are labelled."""

import math

import torch
import xarray as xr
from torch import Tensor

from workbench.actions import is_lattice
from workbench.groups import (
    E3,
    O1,
    O2,
    O3,
    SL,
    SO3,
    Cyclic,
    Dihedral,
    Group,
    Plane,
    RotationScale,
    Scale,
    Symmetric,
    Translation,
)
from workbench.groups.base import check_count
from workbench.measure.dataset import labelled

MOST_TRANSFORMS = 4096  # more than any curve shows: a larger number is a slip of the hand
_LONGEST_SHIFT = 4.0  # pixels: the end of the default sweep of translations


def orbit(group: Group, n_elements: int = 37) -> Tensor:
    """Elements of a sweep through the group, in float64, ``(E, element_dim)``.

    Rotation groups: ``n_elements`` angles from 0 to 2 pi, both ends included, and the four quarter turns where they
    are not among them; with mirrors the same angles again, mirrored. Finite groups: all their elements.
    Translations: shifts to the right from 0 to 4 pixels, whole ones included. R^2 x| H: the sweep of H. Scalings:
    factors even in the logarithm from 1/2 to 2, with 1; rotations and scalings: the sweep of angles at factors
    1/sqrt(2), 1 and sqrt(2). SO(3), O(3), E(3): the identity, then their grid. Permutations: their grid.

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
    if (special := _special(group, n_elements)) is not None:
        return special
    if group.order is not None:
        return group.grid(dtype=torch.float64)
    quarters = torch.arange(5, dtype=torch.float64) * (math.pi / 2)
    angle = quarters[:1] if n_elements == 1 else torch.linspace(0, 2 * math.pi, n_elements, dtype=torch.float64)
    angle = angle if n_elements == 1 else _with(angle, quarters)
    if isinstance(group, O2):
        signs = [torch.full_like(angle, sign) for sign in (1.0, -1.0)]
        return torch.cat([torch.stack([angle, sign], -1) for sign in signs])
    return angle.unsqueeze(-1)


def _special(group: Group, n_elements: int) -> Tensor | None:
    """Sweeps of the groups that are neither finite nor made of rotations of the plane."""
    if isinstance(group, Translation):
        right = _with(torch.linspace(0, _LONGEST_SHIFT, n_elements, dtype=torch.float64), torch.arange(5.0).double())
        return torch.cat([right.unsqueeze(-1), right.new_zeros(len(right), group.dim - 1)], -1)
    if isinstance(group, Scale):
        factors = group.grid(n_elements, dtype=torch.float64)
        return _with(factors.flatten(), torch.ones(1).double()).unsqueeze(-1)
    if isinstance(group, RotationScale):
        angles = orbit(group.turns, n_elements)
        at = [torch.full_like(angles, group.largest**half) for half in (-0.5, 0.0, 0.5)]
        return torch.cat([torch.cat([angles, factor], -1) for factor in at])
    if isinstance(group, SL):
        factors = orbit(Scale(2, group.largest), n_elements)
        along = torch.zeros(len(factors), group.chart_dim, dtype=torch.float64)
        along[:, 0] = factors.flatten().log()
        return group.exp(along)
    if isinstance(group, SO3 | O3 | E3):
        grid = group.grid(n_elements + n_elements % 2, dtype=torch.float64)
        return torch.cat([group.identity(torch.float64).unsqueeze(0), grid])[:n_elements]
    if isinstance(group, Symmetric):
        return group.grid(n_elements, dtype=torch.float64)
    return None


def lattice_elements(group: Group, size: tuple[int, int]) -> Tensor:
    """Elements of the group that move the pixels of an ``(H, W)`` image onto pixels, float64 ``(E, element_dim)``.

    >>> from workbench.groups import SO2
    >>> lattice_elements(SO2(), (8, 8)).shape, lattice_elements(Dihedral(8), (8, 8)).shape
    (torch.Size([4, 1]), torch.Size([8, 2]))
    """
    if isinstance(group, Plane):
        linear = lattice_elements(group.linear, size)
        return group.join(torch.zeros(len(linear), 2, dtype=torch.float64), linear)
    if isinstance(group, Translation):
        return torch.tensor([[0, 0], [1, 0], [0, -1], [2, 3]], dtype=torch.float64)
    if isinstance(group, Scale):
        return group.identity(torch.float64).unsqueeze(0)
    if isinstance(group, RotationScale):
        turns = lattice_elements(group.turns, size)
        return torch.cat([turns, torch.ones_like(turns)], -1)
    if isinstance(group, SL):
        candidates = Cyclic(4).matrix(Cyclic(4).grid(dtype=torch.float64)).flatten(-2)
    elif group.order is None:
        candidates = (Dihedral(4) if isinstance(group, O2) else Cyclic(4)).grid(dtype=torch.float64)
    else:
        candidates = group.grid(dtype=torch.float64)
    return candidates[is_lattice(candidates, group, shape=size)]


def _with(values: Tensor, needed: Tensor) -> Tensor:
    """Sorted values joined with those needed ones that are not there yet."""
    missing = needed[(values[:, None] - needed[None]).abs().min(0).values > 1e-9]
    return torch.cat([values, missing]).sort().values


def transform_coords(elements: Tensor, group: Group, input_kind: str = "image") -> dict[str, tuple]:
    """Coordinates over ``transform``: the angle in degrees, the mirror, the scale, the shift, the members moved."""
    angle, mirror, scale = _linear_part(elements.double(), group)
    coords = {
        "transform": labelled("transform", torch.arange(len(elements)), "number of the transform"),
        "angle_deg": labelled("transform", angle * (180 / math.pi), "input rotation", "degrees"),
        "mirror": labelled("transform", mirror.round().long(), "mirror after the rotation (-1: mirrored)"),
    }
    if isinstance(linear := group.linear if isinstance(group, Plane) else group, SL):
        stretch = linear.log(elements.double()[:, -4:])[:, :2].norm(dim=-1).exp()
        coords["stretch"] = labelled("transform", stretch, "stretch along one direction, shrinkage across it")
    if scale is not None:
        coords["scale"] = labelled("transform", scale, "scale factor")
    if isinstance(group, Symmetric):
        moved = group.distance(elements, group.identity(elements.dtype))
        coords["moved"] = labelled("transform", moved.long(), "members that changed their place")
    shift = group.shift(elements)
    if shift is not None:
        coords |= _shift_coords(shift.double(), group.dim, input_kind)
    return coords


def _linear_part(elements: Tensor, group: Group) -> tuple[Tensor, Tensor, Tensor | None]:
    """Angle in radians, mirror and, where the group has one, scale factor of each element."""
    nothing, ones = elements.new_zeros(len(elements)), elements.new_ones(len(elements))
    if isinstance(group, Plane):
        return _linear_part(elements[:, 2:], group.linear)
    if isinstance(group, SO3 | O3 | E3):
        angle = torch.linalg.vector_norm(SO3().log(elements[:, :4]), dim=-1)
        return angle, elements[:, 4] if group.element_dim > 4 else ones, None
    if isinstance(group, Translation | Symmetric):
        return nothing, ones, None
    if isinstance(group, O1):
        return nothing, elements[:, 0], None
    if isinstance(group, Scale):
        return nothing, ones, elements[:, 0]
    if isinstance(group, RotationScale):
        return elements[:, 0], ones, elements[:, 1]
    if isinstance(group, SL):
        polar = group.log(elements)
        return polar[:, 2], ones, polar[:, 3].exp() if group.chart_dim == 4 else None
    return elements[:, 0], elements[:, 1] if isinstance(group, O2) else ones, None


def _shift_coords(shift: Tensor, dim: int, input_kind: str) -> dict[str, tuple]:
    if dim == 1:
        return {"shift_samples": labelled("transform", shift[:, 0], "shift towards later samples", "samples")}
    words = ("shift to the right", "shift upwards") if dim == 2 else ("shift along x", "shift along y", "shift along z")
    suffix, units = ("_px", "pixels") if input_kind == "image" else ("", "units of the points")
    return {
        f"shift_{axis}{suffix}": labelled("transform", shift[:, place], words[place], units)
        for place, axis in enumerate("xyz"[:dim])
    }


def named(ds: xr.Dataset, transform: int) -> str:
    """One transform of a Dataset in words, for messages.

    >>> named(xr.Dataset(coords=transform_coords(torch.tensor([[0.5, -1.0]]), O2())), 0)
    'rotation by 28.65 degrees, mirrored'
    """
    row = ds.isel(transform=transform)
    if "moved" in row.coords:
        return f"a permutation that moves {int(row.moved)} members"
    words = [f"rotation by {float(row.angle_deg):.4g} degrees"]
    if int(row.mirror) < 0:
        words.append("mirrored")
    if "stretch" in row.coords:
        words.append(f"stretched by {float(row.stretch):.4g}")
    if "scale" in row.coords:
        words.append(f"scaled by {float(row.scale):.4g}")
    shifts = [name for name in row.coords if str(name).startswith("shift_")]
    if shifts:
        by = ", ".join(f"{float(row[name]):g}" for name in shifts)
        words.append(f"shift by ({by}) {row[shifts[0]].attrs.get('units', 'pixels')}")
    return ", ".join(words)

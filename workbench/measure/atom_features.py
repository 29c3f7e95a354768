"""What the atoms of a molecule carry inside a potential: features of one degree, and whether they turn along."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from workbench.actions.irreps import irreps_matrices, parse_irreps
from workbench.actions.points import transform_points
from workbench.e3.copies import copied
from workbench.groups import O3, SO3
from workbench.groups.base import check_elements
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance

GRID = (17, 32)
"""Polar angles, poles included, and azimuths of the surface drawn around an atom."""
MOST_SURFACES = 40
"""Atoms that a surface is made for, the first ones; 544 directions each."""
FLOOR_POSES = 4


@torch.no_grad()
def atom_features(
    potential: nn.Module, numbers: Tensor, positions: Tensor, element: Tensor, degree: int, channel: int = 1,
    layer: int = 0,
) -> xr.Dataset:  # fmt: skip
    r"""One feature of degree l at every atom of a molecule turned by g, and how far it is from D(g) f(x).

    Args:
        potential: with `atom_features(positions, numbers, batch, layer)`, left exactly as found.
        numbers: ``(N,)`` int64. positions: ``(N, 3)`` in angstrom; it turns about its middle.
        element: of O(3), ``(w, x, y, z, parity)``.
        degree: l, at least 1.
        channel: which feature of this degree, from 1; beyond the last one, the last one.
        layer: after which layer, from 0.

    Returns:
        ``feature(atom, m)`` of the turned molecule and ``feature_error``, |f(g x) - D(g) f(x)| / |f(x)| over all atoms.
        For degree 1 also ``vectors(atom, xyz)``, the feature as arrows, else ``value(surface, direction)``, the
        function on the sphere that the numbers stand for, with ``direction_xyz(direction, xyz)`` and
        ``triangle(face, corner)``.

    Raises:
        ValueError: a potential that tells no features, a degree that it does not carry, no element of O(3), and as the
            potential.

    >>> from workbench.models.molecular_potential import build
    >>> water = torch.tensor([[0.0, 0.0, 0.12], [0.0, 0.8, -0.48], [0.0, -0.76, -0.48]])
    >>> turn = torch.tensor([0.6, 0.0, 0.8, 0.0, -1.0], dtype=torch.float64)
    >>> ds = atom_features(build({"lmax": 2}).eval(), torch.tensor([8, 1, 1]), water, turn, 2)
    >>> ds["feature"].shape, bool(ds["feature_error"] < 1e-4)
    ((3, 5), True)
    """
    check_elements(O3(), element)
    still, turned = _poses(positions, element.double().unsqueeze(0))
    (all_before, irrep), (all_after, _) = (
        _carried(potential, numbers, pose, degree, layer) for pose in (still, turned)
    )
    channels = all_after.shape[1]
    channel = max(1, min(channel, channels))
    before, after = all_before[:, channel - 1], all_after[:, channel - 1]
    matrix = irreps_matrices(f"1x{irrep}", element.unsqueeze(0), O3())[0]
    rest = (after - before @ matrix.mT).norm() / before.norm().clamp_min(1e-30)
    words = f"feature {channel} of {channels} of {irrep}"
    variables: dict[str, Any] = {
        "feature": labelled(("atom", "m"), after, words),
        "feature_error": labelled((), float(rest), "equivariance error of the feature"),
    }
    if degree > 1:
        variables |= _surfaces(after)
    else:
        variables["vectors"] = labelled(("atom", "xyz"), after, words)
    attrs = provenance(
        "atom_features", seed="none", dtype=next(potential.parameters(), positions).dtype, element=element.tolist(),
        degree=degree, channel=channel, channels=channels, irrep=irrep, layer=layer,
    )  # fmt: skip
    return xr.Dataset(variables, {"m": labelled("m", [str(m) for m in range(-degree, degree + 1)], "order m")}, attrs)


@torch.no_grad()
def feature_floors(
    potential: nn.Module, numbers: Tensor, positions: Tensor, degree: int, layer: int = 0,
    exact: nn.Module | None = None,
) -> xr.Dataset:  # fmt: skip
    """What rounding alone makes of the error of :func:`atom_features`: twice the largest of a few poses.

    Of each pose and channel |f - f_64| / |f_64|, with f_64 the same potential in float64, `exact` or a copy; other
    arguments as for `atom_features`.

    Returns:
        ``feature_floor(channel)``.

    >>> from workbench.models.molecular_potential import build
    >>> water = torch.tensor([[0.0, 0.0, 0.12], [0.0, 0.8, -0.48], [0.0, -0.76, -0.48]])
    >>> floors = feature_floors(build({"channels": 4}).eval(), torch.tensor([8, 1, 1]), water, 1)
    >>> floors["feature_floor"].shape, bool(floors["feature_floor"].max() < 1e-5)
    ((4,), True)
    """
    turns = SO3().sample(FLOOR_POSES, torch.Generator().manual_seed(0), torch.float64)
    elements = torch.cat([turns, torch.ones_like(turns[:, :1])], 1)
    exact = copied(potential).double() if exact is None else exact
    largest = torch.tensor(torch.finfo(next(potential.parameters(), positions).dtype).eps).double()
    for pose in _poses(positions, elements):
        here, there = (_carried(net, numbers, pose, degree, layer)[0] for net in (potential, exact))
        apart = (here - there).norm(dim=(0, 2)) / there.norm(dim=(0, 2)).clamp_min(1e-30)
        largest = torch.maximum(apart, largest)
    return xr.Dataset({"feature_floor": labelled("channel", 2 * largest, "rounding of both poses")})


def _poses(positions: Tensor, elements: Tensor) -> list[Tensor]:
    """A molecule about its middle, and turned by each of some elements of O(3)."""
    centred = (positions - positions.mean(0)).double()
    return [centred, *transform_points(centred.unsqueeze(0), elements, O3())[:, 0]]


def _carried(net: Any, numbers: Tensor, positions: Tensor, degree: int, layer: int) -> tuple[Tensor, str]:
    """All features of one degree ``(N, C, 2l+1)``, and their irrep."""
    told = getattr(net, "atom_features", None)
    if not callable(told):
        raise ValueError(
            f"a {type(net).__name__} was given, which tells no features of its atoms; expected a potential with "
            "atom_features(positions, numbers, batch, layer); look at its forces instead."
        )
    training = net.training
    net.eval()
    try:
        features, irreps = told(positions.to(next(net.parameters(), positions)), numbers, None, layer)
    finally:
        net.train(training)
    start = 0
    for count, irrep in parse_irreps(irreps):
        if irrep.l == degree > 0:
            found = features[:, start : start + count * irrep.dim].unflatten(1, (count, irrep.dim))
            return found.double().cpu(), str(irrep)
        start += count * irrep.dim
    raise ValueError(
        f"features of degree {degree} were asked of the irreps {irreps} after layer {layer}; expected one of their "
        "degrees above 0; build the potential with a larger lmax."
    )


def _surfaces(features: Tensor) -> dict[str, Any]:
    """The functions on the sphere that rows of numbers ``(N, 2l+1)`` stand for."""
    directions, harmonics, faces = _sphere(features.shape[1] // 2)
    return {
        "value": labelled(("surface", "direction"), features[:MOST_SURFACES] @ harmonics.T, "function on the sphere"),
        "direction_xyz": labelled(("direction", "xyz"), directions, "direction"),
        "triangle": labelled(("face", "corner"), faces, "directions that a triangle joins"),
    }


@lru_cache(maxsize=8)
def _sphere(degree: int) -> tuple[Tensor, Tensor, np.ndarray]:
    """Directions ``(P, 3)``, harmonics of one degree there ``(P, 2l+1)``, and triangles between them."""
    from e3nn import o3

    polar, azimuths = GRID
    t = torch.linspace(0, torch.pi, polar, dtype=torch.float64).repeat_interleave(azimuths)
    u = torch.arange(azimuths, dtype=torch.float64).repeat(polar) * (2 * torch.pi / azimuths)
    directions = torch.stack([t.sin() * u.sin(), t.cos(), t.sin() * u.cos()], -1)
    at = np.arange((polar - 1) * azimuths)
    beside = at - at % azimuths + (at + 1) % azimuths
    halves = ((at, beside, at + azimuths), (beside, beside + azimuths, at + azimuths))
    faces = np.concatenate([np.stack(corners, 1) for corners in halves])
    return directions, o3.spherical_harmonics([degree], directions, True, "component"), faces

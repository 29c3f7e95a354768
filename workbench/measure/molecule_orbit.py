"""The error of forces at every angle of one turn, for several potentials side by side, as for networks of images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from workbench.actions.points import transform_points
from workbench.e3.graphs import check_numbers, check_points
from workbench.groups import O3, SO3
from workbench.measure.dataset import labelled
from workbench.measure.error import equivariance_error
from workbench.measure.motions import ATOMS_AT_ONCE, ForcesOf, rounding
from workbench.measure.provenance import provenance


def molecule_orbit(
    models: Mapping[str, nn.Module],
    numbers: Tensor,
    positions: Tensor,
    angles_deg: Iterable[float],
    *,
    axis: Sequence[float] = (0.0, 0.0, 1.0),
    reflected: bool = False,
    input_kind: str = "",
    exact: nn.Module | None = None,
    progress: Callable[[float], None] | None = None,
    cancel: Any = None,
) -> xr.Dataset:
    r"""Error |F(g x) - g F(x)| / |g F(x)| of forces F at turns g about one axis through the middle of a molecule.

    The measure is :func:`workbench.measure.equivariance_error`, as for images. Points move without resampling, so no
    angle is more exact than another; what an equivariant potential keeps is the rounding of both poses, x and g x,
    each |F - F_64| / |F_64|. Cost grows as angles x potentials x atoms.

    Args:
        models: name -> potential with `energy_and_forces(positions, numbers, batch)`, left exactly as found; the
            first one's rounding is measured.
        numbers: ``(N,)`` int64. positions: ``(N, 3)`` in angstrom.
        angles_deg: degrees, counter-clockwise seen from the tip of ``axis``.
        reflected: every turn is followed by the point reflection.
        exact: the first one in float64; copied from it where not given, which takes as long as many passes.
        input_kind, progress, cancel: as in `equivariance_error`.

    Returns:
        ``error_mean(model, transform)``, its ``error_sem``, 0 as there is one molecule, ``rounding_floor(transform)``,
        the coordinates ``angle_deg(transform)``, ``lattice(transform)``, true where nothing moves, and ``model``.

    Raises:
        ValueError: no potential, no angle, no axis, other shapes or types, NaN, and as the potentials.

    >>> from workbench.models.molecular_potential import build
    >>> water = torch.tensor([[0.0, 0.0, 0.12], [0.0, 0.8, -0.48], [0.0, -0.76, -0.48]])
    >>> ds = molecule_orbit({"untrained": build({}).eval()}, torch.tensor([8, 1, 1]), water, (0, 90, 180))
    >>> ds["error_mean"].dims, bool(ds["error_mean"].max() < 1e-4)
    (('model', 'transform'), True)
    """
    check_points(positions, None)
    check_numbers(numbers, positions)
    places = np.asarray(list(angles_deg), dtype=np.float64)
    tip = torch.as_tensor(axis, dtype=torch.float64)
    if not models or not places.size or not np.isfinite(places).all() or tip.shape != (3,) or not 0 < tip.norm() < 1e6:
        raise ValueError(
            f"molecule_orbit: {len(models)} potentials, angles {places.tolist()[:4]} and the axis {tip.tolist()} were "
            "given; expected at least one potential, finite angles in degrees and an axis of three numbers, not all 0."
        )
    turns = SO3().exp(torch.deg2rad(torch.from_numpy(places)).unsqueeze(1) * tip / tip.norm())
    elements = torch.cat([turns, turns.new_full((len(turns), 1), -1.0 if reflected else 1.0)], 1)
    centred = torch.cat([(positions - positions.mean(0)).double(), numbers.unsqueeze(1).double()], 1).unsqueeze(0)
    errors = []
    for at, model in enumerate(models.values()):
        found = equivariance_error(
            ForcesOf(model), centred.to(_like(model, positions)), O3(), elements, output="vectors", mask="none",
            interval="t", stochastic="refuse", batch_size=max(1, ATOMS_AT_ONCE // len(numbers)),
            progress=_part(progress, at, len(models)), cancel=cancel,
        )  # fmt: skip
        errors.append(found["error"].sel(layer="output").values[:, 0])
    first = next(iter(models.values()))
    poses = torch.cat([centred, transform_points(centred, elements, O3())[:, 0]])
    floor, _ = rounding(first, poses, _like(first, positions), exact)
    each = ("model", "transform")
    return xr.Dataset(
        {
            "error_mean": labelled(each, np.stack(errors), "relative error"),
            "error_sem": labelled(each, np.zeros((len(models), len(places))), "standard error of the mean"),
            "rounding_floor": labelled("transform", (floor[0] + floor[1:]).numpy(), "rounding of both poses"),
        },
        coords={
            "model": labelled("model", list(models), "network"),
            "angle_deg": labelled("transform", places, "molecule turned by", "degrees"),
            "lattice": labelled("transform", (places % 360 == 0) & (not reflected), "the molecule is where it was"),
        },
        attrs=provenance(
            "molecule_orbit", seed="none", dtype=_like(first, positions).dtype, input_kind=input_kind,
            resampler="none", mask="none", places="atoms", form="relative", reduction="none", axis=list(tip.tolist()),
            reflected=int(reflected),
        ),
    )  # fmt: skip


def _part(progress: Callable[[float], None] | None, at: int, count: int) -> Callable[[float], None] | None:
    return None if progress is None else lambda part: progress((at + part) / count)


def _like(model: nn.Module, positions: Tensor) -> Tensor:
    """What type and device a potential computes in."""
    return next(model.parameters(), positions)

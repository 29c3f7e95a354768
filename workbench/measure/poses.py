"""How far layers over rotations with scalings are from moving their answers along when a picture turns and grows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from torch.nn import functional

from workbench.actions.lattice import is_lattice
from workbench.actions.signals import interpolation
from workbench.groups import SO2, GroupSignal, RotationScale
from workbench.measure.dataset import labelled, validate
from workbench.measure.probe import report
from workbench.measure.provenance import provenance
from workbench.measure.scales import ALIKE, answer, group_convolutions, middle_values
from workbench.measure.state import undisturbed

AROUND = tuple(sorted({*range(0, 361, 15), *(at + by for at in range(0, 360, 90) for by in (3, 87))}))
"""Angles in degrees: every 15, and close to the quarter turns."""


def drawn(source: Tensor, elements: Tensor, size: int, width: float) -> Tensor:
    """Pictures at several poses, each drawn from the source anew: ``(E, B, 1, size, size)`` in the source's dtype.

    The source stands for a function of the plane, its bicubic interpolation, and every pose takes that function's
    values at its own pixels. So nothing is resampled twice, and poses that are a quarter turn apart have the same
    values.

    Args:
        source: ``(B, 1, h, h)``, 0 outside.
        elements: ``(E, 2)`` of :class:`workbench.groups.RotationScale`, angles in radians.
        size: H = W of the frame in pixels.
        width: of the source in pixels of the frame at factor 1.

    >>> import torch
    >>> quarter = drawn(torch.rand(1, 1, 8, 8), torch.tensor([[0.0, 1.0], [math.pi / 2, 1.0]]), 15, 9.0)
    >>> bool((quarter[1] - quarter[0].rot90(1, (-2, -1))).abs().max() < 1e-6)
    True
    """
    angle, share = elements[:, 0].double(), elements[:, 1].double() * width / size
    cos, sin, none = angle.cos() / share, angle.sin() / share, torch.zeros_like(share)
    back = torch.stack([cos, -sin, none, sin, cos, none], -1).unflatten(-1, (2, 3))  # rows count downwards
    grid = functional.affine_grid(back, [len(back), 1, size, size], align_corners=False)
    stacked = source.double().transpose(0, 1).expand(len(back), -1, -1, -1)
    found = functional.grid_sample(stacked, grid, mode="bicubic", padding_mode="zeros", align_corners=False)
    return found.unsqueeze(2).to(source.dtype)


def pose_map(signal: GroupSignal) -> Tensor:
    """What the middle pixel says at every factor and angle, ``(B, C, M, n)``; no turn and no scaling moves that pixel.

    Raises:
        ValueError: for a signal that does not live on each angle at each factor of RotationScale.
    """
    factors = signal.elements[:, -1].detach().double().cpu().unique()
    rows = middle_values(signal, factors)
    if not isinstance(signal.group, RotationScale) or len({row.shape for row in rows}) > 1 or len(rows) < 2:
        raise ValueError(
            f"pose_map: a signal on {len(signal.elements)} elements of {signal.group} was given; expected each of some "
            "angles at each of two or more factors of RotationScale; use a layer with stretches=4."
        )
    return torch.stack(rows, 2)


def pose_error(
    models: Mapping[str, Callable],
    source: Tensor,
    size: int,
    width: float,
    factors: Tensor,
    *,
    first: Callable | None = None,
    angles_deg: Iterable[float] = AROUND,
    most_steps: int | None = None,
    input_kind: str = "",
    seed: int | str = 0,
    progress: Callable[[float], None] | None = None,
    cancel: Any = None,
) -> xr.Dataset:
    r"""Error |F(L_g f)(h) - F(f)(g^-1 h)| / |F(f)(g^-1 h)| at every angle of the input and at every step of its scale.

    Pictures are drawn anew at every pose (:func:`drawn`) and answers compared at the middle pixel, so that neither
    side is resampled in the plane. Between the listed angles F(f) is interpolated along the circle; along the scales,
    which are no circle, g goes by whole steps of the list.

    Args:
        models: by name, from what ``first`` says to a signal over RotationScale with an odd number of pixels a side.
        source: ``(B, 1, h, h)``, 0 outside.
        size: of the frame, pixels a side; large enough that no padding is seen from its middle.
        width: of the source in the frame, at factor 1.
        factors: ``(M,)`` of the list that the models answer at, even in the logarithm, from the smallest on.
        first: what all models have before them, such as a lifting; it runs once.
        angles_deg: of the input.
        most_steps: of scale, up and down; as many as the list has where not given.
        input_kind: what the pictures are, for the reader.
        seed: of the models' weights, for the reader.
        progress: called with the part done in [0, 1].
        cancel: an event or function; stops with ``Cancelled``.

    Returns:
        ``error_mean(model, transform)`` over pictures and ``error_sem``, their standard error, with ``angle_deg`` and
        ``lattice``; ``inside(model, step)`` over those factors of the list whose neighbours are all in the list, before
        and after the step, and ``ends(model, step)`` over the others, NaN where there is none, with ``factor``.

    Raises:
        ValueError: for a model with other answers, or at other factors.

    >>> import torch
    >>> from workbench.layers import LiftingConv
    >>> lift = LiftingConv(1, 2, 15, group="RotationScale(1.74)", n=4, stretches=3, padding="valid")
    >>> listed = torch.tensor([1, 1.74**0.5, 1.74])
    >>> ds = pose_error({"lifting": lift}, torch.rand(1, 1, 8, 8), 15, 9.0, listed, angles_deg=(0, 90))
    >>> bool((ds["error_mean"] < 2e-6).all()), ds.sizes["step"]
    (True, 4)

    Source: Knigge, Romero & Bekkers 2022 (arXiv 2110.13059) for the layers; the measure is ours.
    """
    places = np.array(list(angles_deg), float)
    angles = torch.from_numpy(np.deg2rad(places))
    found: dict[str, list] = {name: [] for name in ("error", "inside", "ends")}
    steps = _steps(len(factors), most_steps)
    ratio = float(factors[-1] / factors[0]) ** (1 / (len(factors) - 1))
    grown_by = np.array([ratio**step for step in steps])
    poses = torch.tensor(
        [(0.0, 1.0), *((angle, 1.0) for angle in angles.tolist()), *((0.0, by) for by in grown_by)], dtype=torch.float64
    )
    with ExitStack() as stack:
        for model in {id(one): one for one in (first, *models.values()) if one is not None}.values():
            stack.enter_context(undisturbed(model))

        pictures = drawn(source, poses, size, width).flatten(0, 1)
        given = pictures if first is None else first(pictures)
        for at, (name, model) in enumerate(models.items()):
            signal = answer(model, given)
            answers = pose_map(signal).unflatten(0, (len(poses), -1))
            own = signal.elements[:, -1].detach().double().cpu().unique()
            if len(own) != len(factors) or bool((own - factors).abs().max() > ALIKE):
                listed = ", ".join(f"{factor:.3g}" for factor in own.tolist())
                raise ValueError(f"pose_error: factors {factors.tolist()} were given; those of {name} are {listed}.")
            upright, turned, grown = answers[0], answers[1 : 1 + len(angles)], answers[1 + len(angles) :]
            found["error"].append(_over_angles(turned, upright, signal, angles))
            ends = group_convolutions(model)
            for kind in ("inside", "ends"):
                rows = [_rows(len(own), step, ends, kind == "inside") for step in steps]
                found[kind].append([_at_step(grown[i], upright, step, rows[i]) for i, step in enumerate(steps)])
            report(progress, cancel, (at + 1) / len(models))
    error = torch.stack(found["error"]).double().numpy()  # (model, transform, sample)
    count = error.shape[-1]
    over = ("model", "transform")
    sem = error.std(-1, ddof=1) / math.sqrt(count) if count > 1 else np.zeros(error.shape[:2])
    ds = xr.Dataset(
        {
            "error_mean": labelled(over, error.mean(-1), "relative error"),
            "error_sem": labelled(over, sem, "standard error of the mean"),
            "inside": labelled(("model", "step"), np.array(found["inside"]), "error inside the list of scales"),
            "ends": labelled(("model", "step"), np.array(found["ends"]), "error at the ends of the list"),
        },
        {
            "model": labelled("model", list(models), "layer"),
            "angle_deg": labelled("transform", places, "input turned by", "degrees"),
            "lattice": labelled(
                "transform", is_lattice(angles[:, None], SO2(), shape=(size, size)), "turning moves pixels onto pixels"
            ),
            "factor": labelled("step", grown_by, "input enlarged by"),
        },
        provenance(
            "pose_error", seed=seed, dtype=source.dtype, resampler="none: drawn at every pose", mask="central pixel",
            reduction="norms over channels and poses, mean over pictures", input_kind=input_kind,
            group=signal.group.name, size=size, width=width, samples=count,
        ),
    )  # fmt: skip
    return validate(ds, {"error_mean": over, "inside": ("model", "step")})


def _over_angles(moved: Tensor, upright: Tensor, signal: GroupSignal, angles: Tensor) -> Tensor:
    """Errors ``(E, B)`` of answers ``(E, B, C, M, n)`` to turned pictures."""
    weights = interpolation(signal, SO2().matrix(angles[:, None])).to(upright)
    wanted = torch.einsum("egh,bch->ebcg", weights, upright.flatten(2))
    found = moved.flatten(3)
    return (found - wanted).flatten(2).norm(dim=-1) / wanted.flatten(2).norm(dim=-1)


def _steps(count: int, most: int | None) -> list[int]:
    """Steps of scale from a list of so many onto itself, without none."""
    most = count - 1 if most is None else min(most, count - 1)
    return [step for step in range(-most, most + 1) if step]


def _rows(count: int, step: int, ends: int, inner: bool) -> list[int]:
    """Places in the list that a step leaves in the list: those with all their neighbours on both sides, or the rest."""
    left = [row for row in range(count) if 0 <= row + step < count]
    return [row for row in left if (ends <= min(row, row + step) and max(row, row + step) < count - ends) == inner]


def _at_step(larger: Tensor, upright: Tensor, step: int, rows: list[int]) -> float:
    """Mean over pictures of the error in some rows, NaN without any."""
    if not rows:
        return math.nan
    wanted = upright[:, :, rows].flatten(1)
    found = larger[:, :, [row + step for row in rows]].flatten(1)
    return float(((found - wanted).norm(dim=1) / wanted.norm(dim=1)).mean())

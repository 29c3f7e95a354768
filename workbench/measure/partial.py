"""How much equivariance a partial layer gives up: measured on a fine grid, beside what its arc predicts.

Romero & Lohit 2022 (arXiv 2110.10211) learn where a layer's output elements lie; the relation to the error is
derived here. With p the density of the output elements and F the full convolution, rotating the input by w
changes the output p F by

    Delta_w(u) = [p(u) - p(w^-1 u)] (L_w F)(u),

zero for every w exactly when p is the uniform distribution.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from workbench.groups import O2, Group, GroupSignal
from workbench.measure.compare import Action, error_of
from workbench.measure.dataset import labelled
from workbench.measure.orbit import transform_coords
from workbench.measure.probe import report, requested_on_grid
from workbench.measure.provenance import provenance
from workbench.measure.state import undisturbed
from workbench.measure.tables import statistics

_BATCH = 64  # signals per forward pass: bounds the memory
_EPS = 1e-12
_QUADRATURE = 4096  # angles at which a density without a closed form is integrated


def overlap_loss(omega_rad: Any, theta: Any) -> np.ndarray:
    r"""Share of an arc that no longer overlaps itself after a rotation.

    .. math:: \delta(\omega; \vartheta) =
              \min(\omega, 2\pi - \omega, 2\pi\vartheta, 2\pi(1 - \vartheta)) / (2\pi\vartheta)

    The relative L2 error of a partial layer is :math:`\sqrt{2 \delta}` (both derived here).

    Args:
        omega_rad: rotations in radians, any number and sign, an array or a number.
        theta: the arc as a fraction of the circle, in (0, 1]; broadcast against the angles.

    Raises:
        ValueError: for a fraction outside (0, 1] or an angle that is not finite.

    >>> import math
    >>> round(float(overlap_loss(math.pi / 2, 0.6)), 3), float(overlap_loss(1.0, 1.0))
    (0.417, 0.0)
    """
    omega, share = np.asarray(omega_rad, dtype=float), np.asarray(theta, dtype=float)
    if not (np.isfinite(omega).all() and ((share > 0) & (share <= 1)).all()):
        raise ValueError(
            f"overlap_loss: omega_rad = {omega_rad}, theta = {theta} were given; expected finite angles in radians and "
            "a fraction of the circle in (0, 1]."
        )
    omega = np.remainder(omega, 2 * math.pi)
    circle = 2 * math.pi
    smallest = np.minimum(np.minimum(omega, circle - omega), np.minimum(circle * share, circle * (1 - share)))
    return smallest / (circle * share)


def predicted_loss(distribution: Any, elements: Tensor) -> tuple[np.ndarray, np.ndarray]:
    r"""Lost overlap and relative L2 error that a learned density predicts, both ``(E,)``.

    .. math:: \delta = \tfrac12 \int |p(u) - p(g^{-1}u)| du, \qquad
              \sqrt{\int |p(u) - p(g^{-1}u)|^2 du / \int p^2 du}

    over the normalised Haar measure; for a uniform arc the second is :math:`\sqrt{2\delta}`.
    ``distribution`` is ``None`` for a full layer: nothing is lost.
    """
    if distribution is None:
        return np.zeros(len(elements)), np.zeros(len(elements))
    group: Group = distribution.group
    device = next(distribution.parameters()).device
    elements = elements.to(device)
    grid = group.grid(group.order or _QUADRATURE, 0.0 if group.order else 0.5, torch.float64, device)
    with torch.no_grad():
        density = distribution.density(grid).double()
        back = group.inverse(elements.double())[:, None]
        moved = torch.stack([distribution.density(group.product(g, grid)).double() for g in back])
    difference = density - moved
    lost = difference.abs().mean(-1) / 2
    error = (difference.square().mean(-1) / density.square().mean()).sqrt()
    return lost.cpu().numpy(), error.cpu().numpy()


def partial_layer_error(
    layer: Any,
    signal: GroupSignal,
    elements: Tensor | None = None,
    *,
    n_grid: int = 64,
    resampler: str = "bicubic",
    padding: str = "border",
    mask: str = "disc",
    input_kind: str = "",
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
    cancel: Any = None,
) -> xr.Dataset:
    r"""Error of one partial layer under rotations of its input, against the prediction of its learned density.

    Compares :math:`p(u) F(g x)(u)` with :math:`p(g^{-1} u) (L_g F(x))(u)` at every element u of a fine Haar grid, as
    the module's docstring explains. Both sides are asked from the layer itself.

    Args:
        layer: a group layer with ``requested(elements)``, ``group`` and ``distribution`` (``None`` for a full layer).
        signal: its input, ``(B, C, G, H, W)`` on a whole grid.
        elements: ``(E, element_dim)`` of the layer's group; the grid itself where not given.
        n_grid: elements of the fine grid (a finite group has its own); a multiple of 4, or of 8 with mirrors.
        resampler, padding, mask, input_kind, seed, progress, cancel: as in :func:`equivariance_error`.

    Returns:
        ``error(transform, sample)`` relative, ``error_mean``, ``error_sem``, ``error_low``, ``error_high``,
        ``delta(transform)`` and ``sqrt_two_delta(transform)`` (exactly that for an arc under rotations, the
        predicted relative error for any other density), the scalar ``arc``; coordinates as in the error's Dataset.

    Raises:
        ValueError: for another layer, a signal that covers only a part of the group, or a bad number.
    """
    _check(layer, signal, n_grid)
    group: Group = layer.group
    grid = group.grid(group.order or n_grid, dtype=torch.float64)
    elements = grid if elements is None else torch.as_tensor(elements).double()
    size = (signal.values.shape[-2], signal.values.shape[-1])
    action = Action(elements, group, resampler, padding, mask, size)
    exact = action.exact(signal)
    rows = []
    with undisturbed(layer, seed):
        plain = _on_grid(layer, signal, grid)
        step = max(1, _BATCH // len(signal.values))
        for start in range(0, len(elements), step):
            report(progress, cancel, start / len(elements))
            part = replace(action, elements=elements[start : start + step])
            rows.append(_some_elements(layer, signal, grid, plain, part))
        report(progress, cancel, 1.0)
    error = torch.cat(rows).numpy()
    delta, predicted = predicted_loss(layer.distribution, elements)
    arc = None if layer.distribution is None else layer.distribution.arc_fraction()
    turns_only = not isinstance(group, O2) or bool((elements[:, 1] > 0).all())
    if arc is not None and turns_only:  # the closed form has no quadrature error
        delta = overlap_loss(elements[:, 0].numpy(), arc)
        predicted = np.sqrt(2 * delta)
    return _dataset(error, delta, predicted, arc, action, exact).assign_attrs(
        provenance(
            "partial_layer_error",
            seed=seed,
            dtype=signal.values.dtype,
            resampler=resampler,
            padding=padding,
            mask=mask,
            reduction="relative, norm over channels, a Haar grid of output elements and pixels; mean over samples",
            input_kind=input_kind or None,
            group=group.name,
            grid_elements=len(grid),
            layer=str(layer),
        )
    )


def _check(layer: Any, signal: Any, n_grid: int) -> None:
    if not (callable(layer) and hasattr(layer, "requested") and hasattr(layer, "distribution")):
        raise ValueError(
            f"a {type(layer).__name__} was given; expected a group layer that can be asked for its output elements, "
            "such as workbench.layers.GroupConv."
        )
    if not isinstance(signal, GroupSignal) or not signal.uniform:
        raise ValueError(
            "the input given does not cover the whole group; expected a GroupSignal on a uniform grid, for example the "
            "output of a LiftingConv."
        )
    if isinstance(n_grid, bool) or not isinstance(n_grid, int) or n_grid < 4 or n_grid % 4:
        raise ValueError(f"n_grid = {n_grid!r} was given; expected a positive multiple of 4; use 64.")


def _on_grid(layer: Any, signal: GroupSignal, grid: Tensor) -> GroupSignal:
    if layer.distribution is not None:
        return requested_on_grid(layer, (signal,), grid)
    with layer.requested(grid):
        full = layer(signal)
    return GroupSignal(full.values, full.elements, full.group)


def _some_elements(layer: Any, signal: GroupSignal, grid: Tensor, plain: GroupSignal, action: Action) -> Tensor:
    """Relative error under each element, ``(E, B)``."""
    moved = action.there(signal)
    first = _on_grid(layer, signal.with_values(moved.flatten(0, 1)), grid).values.view(len(moved), *plain.values.shape)
    here, there = action.windows(plain)
    norms = action.distance(first * here, action.there(plain) * there, plain)
    return error_of("relative", norms, 1.0, _EPS)


def _dataset(error: np.ndarray, delta: np.ndarray, predicted: np.ndarray, arc: float | None, action: Action, exact):
    mean, sem, low, high = statistics(error)
    dims = ("transform", "sample")
    return xr.Dataset(
        {
            "error": labelled(dims, error, "relative error of the partial layer"),
            "error_mean": labelled("transform", mean, "relative error of the partial layer, mean over samples"),
            "error_sem": labelled("transform", sem, "standard error of the mean over samples"),
            "error_low": labelled("transform", low, "lower end of the 95 % interval of the mean"),
            "error_high": labelled("transform", high, "upper end of the 95 % interval of the mean"),
            "delta": labelled("transform", delta, "δ, share of the elements that no longer overlap"),
            "sqrt_two_delta": labelled("transform", predicted, "√(2δ), predicted relative error"),
            "arc": labelled((), 1.0 if arc is None else arc, "learned share of the circle"),
        },
        coords={
            **transform_coords(action.elements, action.group),
            "lattice": labelled("transform", exact, "g moves the input without interpolation"),
            "sample": labelled("sample", np.arange(error.shape[-1]), "number of the sample"),
        },
    )

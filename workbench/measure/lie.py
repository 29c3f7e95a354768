"""How fast each layer leaves equivariance as a group element leaves the identity: the Lie derivative of all layers.

Two forward passes see every layer: the images moved a little forwards and a little backwards along the group.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from workbench.actions.images import PADDINGS, check_choice, check_images
from workbench.actions.masks import MASKS
from workbench.groups import Group, GroupSignal
from workbench.groups.base import check_count
from workbench.measure.dataset import labelled
from workbench.measure.generators import UNITS, Generator, named_generator
from workbench.measure.interval import interval, interval_name
from workbench.measure.probe import (
    OUTPUT,
    SCOPE,
    Output,
    check_model,
    left_out,
    like_model,
    named_layers,
    report,
    run,
    why_not,
)
from workbench.measure.provenance import provenance
from workbench.measure.state import undisturbed

_TINY = 1e-12


def lie_derivative(
    model: Callable,
    images: Tensor,
    group: Group | str = "SO2",
    *,
    layers: str | Iterable[str] = "all",
    mask: str = "disc",
    padding: str = "border",
    input_kind: str = "",
    seed: int = 0,
    batch_size: int = 256,
    progress: Callable[[float], None] | None = None,
    cancel: Any = None,
) -> xr.Dataset:
    r"""Rate at which f(g_t x) leaves g_t f(x) as t leaves 0, for every layer and sample, with intervals.

    .. math:: \ell(x) = |J_f(x)\, X x - X f(x)| / |f(x)|, \quad X f = \frac{d}{dt} f(g_t^{-1} p)

    The derivative of the model is a central difference of two forward passes that every layer shares; X on images,
    maps and signals is a central difference between neighbouring pixels (and trigonometric along a group axis), so
    no resampler enters. For a small angle t the relative equivariance error is close to t times this rate.

    Args:
        model: as in :func:`equivariance_error`; left exactly as found.
        images: ``(B, C, H, W)``; cast to the dtype of the model's parameters.
        group: ``"SO2"`` or ``"rotation"``, ``"translation x"``, ``"translation y"`` or ``"scale"``.
        layers: ``"all"``, names of modules, or ``()`` for the output alone. A layer's rate is that of everything from
            the input up to it.
        mask: compare inside the ``"disc"``, the ``"centre"`` or everywhere (``"none"``).
        padding: what lies outside the frame: ``"border"``, ``"circular"`` or ``"zeros"``.
        input_kind, seed, progress, cancel: as in :func:`equivariance_error`.
        batch_size: at most so many images per forward pass, two for each sample.

    Returns:
        ``lie`` and ``absolute_lie`` (root mean square) over ``layer`` and ``sample``; ``lie_mean``, ``lie_low``,
        ``lie_high`` (95 %, bootstrap over samples; NaN for one) and ``comparable`` over ``layer``, the last of which
        is ``"output"``. Attributes ``step``, ``forward_passes`` and ``passed_over``: layers whose output cannot be
        compared, with the reason.

    Raises:
        ValueError: for images, groups or options that cannot be, in one sentence.
        Cancelled: when asked to stop.

    >>> ds = lie_derivative(torch.nn.ReLU(), torch.rand(2, 1, 8, 8))
    >>> ds.lie.dims, ds.lie.attrs["units"], int(ds.attrs["forward_passes"])
    (('layer', 'sample'), '1/rad', 2)

    Source: Gruver, Finzi, Goldblum & Wilson 2022 (arXiv 2210.02984), eq. 3, there without the norm of f; the two
    shared passes and the interval are derived here.
    """
    name = named_generator(group)
    check_images(images, lowest=4)
    check_model(model)
    check_choice("mask", mask, MASKS)
    check_choice("padding", padding, PADDINGS)
    check_count(batch_size, "lie_derivative: batch_size", "use 256")
    images = like_model(model, images)
    generator = Generator(name, (images.shape[-2], images.shape[-1]), mask, padding)
    direction = generator.moved(images)
    speed = float(direction.norm())
    if speed == 0:
        raise ValueError(
            f"images that an infinitesimal {name} does not change were given; expected images without that symmetry, "
            "or the derivative says nothing; use real images or noise."
        )
    step = torch.finfo(images.dtype).eps ** (1 / 3) * float(images.norm()) / speed
    probe = _Probe(model, layers, generator, step)
    with undisturbed(model, seed):
        batches = list(zip(*(t.split(max(1, batch_size // 2)) for t in (images, direction)), strict=True))
        for place, (batch, along) in enumerate(batches):
            report(progress, cancel, place / len(batches))
            probe.add(batch, along)
        report(progress, cancel, 1.0)
    attrs = provenance(
        "lie_derivative",
        seed=seed,
        dtype=images.dtype,
        resampler="none: derivatives by central differences",
        padding=padding,
        mask=mask,
        reduction="relative, norm over channels, group and pixels; mean over samples",
        input_kind=input_kind or None,
        group=name,
        interval=f"95 %, {interval_name('bootstrap', len(images))}",
        step=step,
        forward_passes=2,
        scope=SCOPE,
        passed_over=left_out(probe.layers, probe.rows, probe.passed_over),
        model=type(model).__name__ if isinstance(model, torch.nn.Module) else getattr(model, "__name__", "callable"),
    )
    return probe.dataset(UNITS[name], seed).assign_attrs(attrs)


class _Probe:
    """Rates of every layer, batch by batch; keeps norms only."""

    def __init__(self, model: Callable, layers: str | Iterable[str], generator: Generator, step: float) -> None:
        self.model, self.generator, self.step = model, generator, step
        self.layers, self.strict = named_layers(model, layers), layers != "all"
        self.rows: dict[str, list[Tensor]] = {}  # per layer (2, B) for each batch
        self.passed_over: dict[str, str] = {}

    def add(self, batch: Tensor, along: Tensor) -> None:
        count = len(batch)

        def receive(name: str, value: Output) -> None:
            if problem := why_not(value, 2 * count):
                raise ValueError(f"the model puts out {problem}; wrap it in a function that returns one of these.")
            plus, minus = (_half(value, part) for part in (slice(None, count), slice(count, None)))
            try:
                change, size = self.generator.norms(plus, minus, self.step)
            except ValueError as error:
                if name == OUTPUT or self.strict:
                    raise ValueError(f"{name}: {error}") from error
                self.passed_over[name] = str(error)
                change, size = (torch.full((count,), torch.nan, dtype=torch.float64) for _ in range(2))
            row = torch.stack([change / (size + _TINY), change / self.generator.entries(plus) ** 0.5])
            self.rows.setdefault(name, []).append(row.cpu())

        moved = torch.cat([batch + self.step * along, batch - self.step * along])
        run(self.model, moved, self.layers, self.strict, receive, self.passed_over.setdefault)

    def dataset(self, unit: str, seed: int) -> xr.Dataset:
        names = [*(name for name in self.rows if name != OUTPUT), OUTPUT]
        values = np.stack([torch.cat(self.rows[name], 1).numpy() for name in names])
        lie, absolute = values[:, 0], values[:, 1]
        low, high = interval(lie, seed=seed)
        per, dims = f"1/{unit}", ("layer", "sample")
        return xr.Dataset(
            {
                "lie": labelled(dims, lie, "relative Lie derivative", per),
                "absolute_lie": labelled(
                    dims, absolute, "root mean square of the Lie derivative", f"output units/{unit}"
                ),
                "lie_mean": labelled("layer", lie.mean(-1), "relative Lie derivative, mean over samples", per),
                "lie_low": labelled("layer", low, "lower end of the 95 % interval of the mean", per),
                "lie_high": labelled("layer", high, "upper end of the 95 % interval of the mean", per),
                "comparable": labelled("layer", np.isfinite(lie).any(-1), "the output could be compared"),
            },
            coords={
                "layer": labelled("layer", names, "layer"),
                "sample": labelled("sample", np.arange(lie.shape[-1]), "number of the sample"),
            },
        )


def _half(value: Any, part: slice) -> Output:
    return value.with_values(value.values[part]) if isinstance(value, GroupSignal) else value[part]

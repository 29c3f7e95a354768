"""How fast each layer leaves equivariance as a group element leaves the identity: the Lie derivative of all layers.

Two forward passes see every layer: the images moved a little forwards and a little backwards along the group.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from workbench.actions.images import PADDINGS, check_choice
from workbench.actions.masks import MASKS
from workbench.groups import Group
from workbench.groups.base import check_count
from workbench.measure.behaviour import Behaviour
from workbench.measure.dataset import labelled
from workbench.measure.directions import OnPoints, generator_of
from workbench.measure.generators import Generator
from workbench.measure.interval import interval, interval_name, standard_error
from workbench.measure.known import Last, scaling_norms
from workbench.measure.probe import (
    OUTPUT,
    SCOPE,
    Output,
    check_model,
    left_out,
    named_layers,
    report,
    run,
    watching,
    why_not,
)
from workbench.measure.provenance import provenance
from workbench.measure.state import undisturbed

_TINY = 1e-12
_VIEW = "view size is not compatible"  # what torch says of a view that would need a copy


def lie_derivative(
    model: Callable,
    images: Tensor,
    group: Group | str = "SO2",
    *,
    layers: str | Iterable[str] = "all",
    input: str = "auto",
    output: str | Behaviour = "auto",
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

    On a processor the passes are made with channels next to each other in memory (not where the model views its maps
    in the order of memory), and the rate behind a batch norm follows from that before it.

    Args:
        model: as in :func:`equivariance_error`; left exactly as found.
        images: ``(B, C, H, W)``, series ``(B, C, L)`` or points ``(B, N, d + F)``; cast to the dtype of the model's
            parameters.
        group: of images and of points in the plane ``"SO2"`` or ``"rotation"``, ``"translation x"``, ``"translation
            y"`` or ``"scale"``; of points in space ``"SO3 x"`` (about that axis), ``"Translation3 x"``, ... or
            ``"Scale(3)"``; of series ``"Translation1"`` (per sample) or ``"Scale(1)"``.
        layers: ``"all"``, names of modules, or ``()`` for the output alone. A layer's rate is that of everything from
            the input up to it.
        input, output: as in :func:`equivariance_error`, for points and series; how the outputs of layers move is told
            by a trial. Points are moved by exact matrices, so only the model's derivative is a difference.
        mask: of images, compare inside the ``"disc"``, the ``"centre"`` or everywhere (``"none"``).
        padding: what lies outside the frame: ``"border"``, ``"circular"`` or ``"zeros"``.
        input_kind, seed, progress, cancel: as in :func:`equivariance_error`.
        batch_size: at most so many images per forward pass, two for each sample.

    Returns:
        ``lie`` and ``absolute_lie`` (root mean square) over ``layer`` and ``sample``; ``lie_mean``, its standard
        error ``lie_sem``, ``lie_low``, ``lie_high`` (95 %, bootstrap over samples; NaN for one) and ``comparable`` over
        ``layer``, the last of which is ``"output"``. Attributes ``samples``, ``step``, ``forward_passes`` and
        ``passed_over``: layers whose output cannot be compared, with the reason.

    Raises:
        ValueError: for images, groups or options that cannot be, in one sentence.
        Cancelled: when asked to stop.

    >>> ds = lie_derivative(torch.nn.ReLU(), torch.rand(2, 1, 8, 8))
    >>> ds.lie.dims, ds.lie.attrs["units"], int(ds.attrs["forward_passes"])
    (('layer', 'sample'), '1/rad', 2)

    Source: Gruver, Finzi, Goldblum & Wilson 2022 (arXiv 2210.02984), eq. 3, there without the norm of f; the two
    shared passes and the interval are derived here.
    """
    check_model(model)
    check_choice("mask", mask, MASKS)
    check_choice("padding", padding, PADDINGS)
    check_count(batch_size, "lie_derivative: batch_size", "use 256")
    generator, images = generator_of(model, images, group, layers, input, output, mask, padding, seed)
    direction = generator.moved(images)
    speed = float(direction.norm())
    if speed == 0:
        raise ValueError(
            f"images that an infinitesimal {generator.name} does not change were given; expected images without that "
            "symmetry, or the derivative says nothing; use real images or noise."
        )
    step = torch.finfo(images.dtype).eps ** (1 / 3) * float(images.norm()) / speed
    probe = _Probe(model, images, layers, generator, step)
    with undisturbed(model, seed):
        inputs = (probe.in_order(images), probe.in_order(direction))
        batches = list(zip(*(t.split(max(1, batch_size // 2)) for t in inputs), strict=True))
        for place, (batch, along) in enumerate(batches):
            report(progress, cancel, place / len(batches))
            probe.add(batch, along)
        report(progress, cancel, 1.0)
    attrs = provenance(
        "lie_derivative",
        seed=seed,
        dtype=images.dtype,
        resampler="none: derivatives by central differences",
        padding=generator.padding,
        mask=generator.mask,
        reduction="relative, norm over channels, group and pixels; mean over samples",
        input_kind=input_kind or None,
        group=generator.name,
        interval=f"95 %, {interval_name('bootstrap', len(images))}",
        samples=len(images),
        step=step,
        forward_passes=2,
        scope=SCOPE,
        passed_over=left_out(probe.layers, probe.rows, probe.passed_over),
        model=type(model).__name__ if isinstance(model, nn.Module) else getattr(model, "__name__", "callable"),
    )
    return probe.dataset(generator.unit, seed).assign_attrs(attrs)


class _Probe:
    """Rates of every layer, batch by batch; keeps norms only."""

    def __init__(
        self, model: Callable, images: Tensor, layers: str | Iterable[str], generator: Generator | OnPoints, step: float
    ) -> None:
        self.model, self.generator, self.step = model, generator, step
        self.layers, self.strict = named_layers(model, layers), layers != "all"
        self.norms = scaling_norms(model) if self.layers and generator.padding != "zeros" else {}
        self.last = Last(self.norms)
        # convolutions on a processor are faster then, by a third for few channels
        self.channels_last = images.device.type == "cpu" and images.ndim == 4 and images.shape[1] > 1
        self.rows: dict[str, list[np.ndarray]] = {}  # per layer (2, B) for each batch
        self.entries: dict[str, float] = {}
        self.passed_over: dict[str, str] = {}

    def add(self, batch: Tensor, along: Tensor) -> None:
        rows: dict[str, np.ndarray] = {}
        if self.channels_last:
            try:
                rows = self._pass(self._moved(batch, along, torch.channels_last))
            except RuntimeError as error:
                if _VIEW not in str(error):
                    raise
                self.channels_last = False  # the model looks at its numbers in the order of memory
        for name, found in (rows or self._pass(self._moved(batch, along, torch.contiguous_format))).items():
            self.rows.setdefault(name, []).append(found)

    def in_order(self, inputs: Tensor) -> Tensor:
        """The inputs as they lie in memory when the model gets them."""
        return inputs.contiguous(memory_format=torch.channels_last) if self.channels_last else inputs

    def _moved(self, batch: Tensor, along: Tensor, order: torch.memory_format) -> Tensor:
        count = len(batch)
        moved = torch.empty((2 * count, *batch.shape[1:]), dtype=batch.dtype, device=batch.device, memory_format=order)
        for part, step in ((moved[:count], self.step), (moved[count:], -self.step)):
            torch.add(batch, along, alpha=step, out=part)
        return moved

    def _pass(self, moved: Tensor) -> dict[str, np.ndarray]:
        """Sums of every layer, ``(2, B)``."""
        found: dict[str, np.ndarray] = {}
        self.last.forget()

        def receive(name: str, value: Output) -> None:
            if name == OUTPUT and (problem := why_not(value, len(moved), self.generator.dims)):
                raise ValueError(f"the model puts out {problem}; wrap it in a function that returns one of these.")
            value = self.generator.shaped(name, value)
            if name not in self.entries:
                self.entries[name] = self.generator.entries(value)
            rows = self.last.rows_of(value, self.entries[name])
            if rows is None:
                sums = self._sums(name, value, len(moved) // 2)
                rows = sums[:2].sum(-1)
                self.last.keep(name, value, sums, rows)
            found[name] = rows

        with watching(self.norms, self.last.hook):
            skip = self.passed_over.setdefault
            run(self.model, moved, self.layers, self.strict, receive, skip, dims=self.generator.dims)
        return found

    def _sums(self, name: str, value: Output, count: int) -> np.ndarray:
        try:
            return self.generator.sums(value, self.step, self.last.may_be_scaled(name))
        except ValueError as error:
            if name == OUTPUT or self.strict:
                raise ValueError(f"{name}: {error}") from error
            self.passed_over[name] = str(error)
            return np.full((2, count, 1), np.nan)

    def _rates(self, name: str) -> np.ndarray:
        """Relative and root-mean-square rate of each sample, ``(2, B)``."""
        change, size = np.sqrt(np.concatenate(self.rows[name], 1)) / 2
        change = change / self.step
        return np.stack([change / (size + _TINY), change / self.entries[name] ** 0.5])

    def dataset(self, unit: str, seed: int) -> xr.Dataset:
        names = [*(name for name in self.rows if name != OUTPUT), OUTPUT]
        values = np.stack([self._rates(name) for name in names])
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
                "lie_sem": labelled("layer", standard_error(lie), "standard error over samples", per),
                "lie_low": labelled("layer", low, "lower end of the 95 % interval of the mean", per),
                "lie_high": labelled("layer", high, "upper end of the 95 % interval of the mean", per),
                "comparable": labelled("layer", np.isfinite(lie).any(-1), "the output could be compared"),
            },
            coords={
                "layer": labelled("layer", names, "layer"),
                "sample": labelled("sample", np.arange(lie.shape[-1]), "number of the sample"),
            },
        )

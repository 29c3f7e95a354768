"""Which module introduces the error: each one's share of |f(gx) - g f(x)|, adding up to the whole.

Let y_k be the result for g x when the first k modules, in the order in which they run, put out g times what they put
out for x. Then y_0 = f(gx), and y_(k-1) - y_k is what module k adds (and what functions between modules k - 1 and k
add). Projected on the whole difference these add up to its norm, whatever the graph.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from workbench.actions import PADDINGS, RESAMPLERS, named_mask
from workbench.actions.images import check_choice
from workbench.actions.masks import MASKS
from workbench.groups import Group, GroupSignal, Translation, parse_group
from workbench.groups.base import check_count
from workbench.measure.attribution_answers import answering, carried, on_graph
from workbench.measure.behaviour import Behaviour, Moved, input_kind_of, parse_behaviour
from workbench.measure.compare import Action, is_spatial, shaped, tensor_of
from workbench.measure.dataset import labelled
from workbench.measure.entry import fed, freed
from workbench.measure.inference import checked_inputs, infer_behaviour, size_of
from workbench.measure.interval import interval, interval_name, standard_error
from workbench.measure.laws import RESAMPLED, measured
from workbench.measure.layer_laws import layer_laws
from workbench.measure.orbit import lattice_elements, orbit, transform_coords
from workbench.measure.probe import IMAGE_DIMS, LIST_DIMS, OUTPUT, Output, copied, named_layers, report, why_not
from workbench.measure.provenance import provenance
from workbench.measure.result import measurable
from workbench.measure.state import undisturbed

REST = "functions after the last module"
_BACK = "; what gradients taken inside bring in on their way back counts with the last row"
_TINY = 1e-12
_ELEMENTS = 8  # of groups that have no lattice


def attribute_error(
    model: nn.Module,
    images: Tensor,
    group: Group | str,
    elements: Tensor | None = None,
    layers: str | Iterable[str] = "all",
    *,
    input: str = "auto",
    output: str | Behaviour = "auto",
    resampler: str = "bicubic",
    padding: str = "border",
    mask: str = "disc",
    input_kind: str = "",
    seed: int = 0,
    batch_size: int = 256,
    progress: Callable[[float], None] | None = None,
    cancel: Any = None,
) -> xr.Dataset:
    r"""Share of every module in the equivariance error, with intervals; the shares add up to the whole.

    .. math:: c_k = \frac{\langle y_{k-1} - y_k,\; f(gx) - g f(x) \rangle}{|f(gx) - g f(x)|\,|g f(x)|}, \qquad
              \sum_k c_k = \frac{|f(gx) - g f(x)|}{|g f(x)|}

    A negative share takes back error of others. Every share needs one forward pass of the modules behind it. Where the
    model takes gradients inside, a module is given other numbers and left on their way: what they bring in on the way
    back counts with the last row.

    Args:
        model: a module; left exactly as found.
        images, group, input, resampler, padding, mask, input_kind, seed, progress, cancel: as in
            :func:`equivariance_error`: images, series, points or sets.
        elements: ``(E, element_dim)``; without the identity those that move pixels onto pixels, shifts of series by 1,
            2 and 4 samples, otherwise eight of the orbit, where not given.
        output: as in :func:`equivariance_error`; of images, maps move and vectors stay where nothing is declared.
            How the outputs of layers move is told by a trial; those behind images move as maps or stay as vectors.
        layers: ``"all"`` innermost modules and whole group layers, or names.
        batch_size: at most so many images per forward pass.

    Returns:
        ``contribution`` over ``layer``, ``transform`` and ``sample``; ``contribution_mean``, its standard error
        ``contribution_sem``, ``contribution_low``, ``contribution_high`` (95 %, bootstrap over samples) over ``layer``
        and ``transform``; ``whole`` (mean relative error) over ``transform``; ``residual``, the sum of the mean shares
        minus the whole: rounding. The last layer is what functions after the last module add. Attributes ``samples``
        and ``passed_over``: modules whose output cannot be moved; theirs counts with the next one.

    Raises:
        ValueError: for images, elements or options that cannot be, or a callable that is no module.
        Cancelled: when asked to stop.

    >>> net = nn.Sequential(nn.ReLU(), nn.Conv2d(1, 2, 3, padding=1), nn.ReLU())
    >>> ds = attribute_error(net, torch.rand(4, 1, 8, 8), "C(4)")
    >>> str(ds.contribution_mean.mean("transform").idxmax("layer").values)
    '1'

    Source: derived here (a telescoping sum over interventions); compare Gruver et al. 2022 (arXiv 2210.02984), eq. 6.
    """
    group = parse_group(group)
    _check_options(model, resampler, padding, mask, batch_size)
    kind = input_kind_of(images, group, input)
    images = checked_inputs(model, images, group, kind)
    law = _law(model, images, group, kind, output, seed)
    size = size_of(images, kind)
    elements = _moving(group, kind, size) if elements is None else torch.as_tensor(elements).detach().cpu()
    action = Action(elements, group, resampler, padding, mask, size, input_kind=kind)
    exact = action.exact(action.source(images[:1]))
    watched = _innermost(model) if layers == "all" else named_layers(model, layers)
    inner = (
        None if kind == "image" else layer_laws(model, images, watched, replace(action, elements=elements[:3]), seed)
    )
    ledger = _Ledger(model, watched, action, batch_size, law, inner)
    batches = images.split(max(1, min(len(images), batch_size)))
    with undisturbed(model, seed):
        for place, batch in enumerate(batches):
            start = place / len(batches)
            ledger.add(batch, partial(_tell, progress, cancel, start, 1 / len(batches)))
        report(progress, cancel, 1.0)
    attrs = provenance(
        "attribute_error",
        seed=seed,
        dtype=images.dtype,
        resampler=resampler if kind in RESAMPLED else None,
        padding=padding if kind in RESAMPLED else None,
        mask=mask if kind in RESAMPLED else None,
        input=kind,
        reduction="relative, projected on the whole difference; mean over samples",
        input_kind=input_kind or None,
        group=group.name,
        samples=len(images),
        interval=f"95 %, {interval_name('bootstrap', len(images))}",
        scope="functions between two modules count with the second of them" + (_BACK if ledger.gradients else ""),
        passed_over="; ".join(f"{layer}: {why}" for layer, why in ledger.passed_over.items()) or None,
        model=type(model).__name__,
    )
    coords = transform_coords(elements, group, kind)
    coords["lattice"] = labelled("transform", exact, "g moves the input without interpolation")
    return ledger.dataset(coords, seed).assign_attrs(attrs)


def _tell(progress: Any, cancel: Any, start: float, share: float, part: float) -> None:
    report(progress, cancel, start + share * part)


def _check_options(model: Any, resampler: str, padding: str, mask: str, batch_size: int) -> None:
    if not isinstance(model, nn.Module):
        raise ValueError(f"a {type(model).__name__} was given; expected a torch module, whose layers can be seen.")
    check_choice("resampler", resampler, RESAMPLERS)
    check_choice("padding", padding, PADDINGS)
    check_choice("mask", mask, MASKS)
    check_count(batch_size, "attribute_error: batch_size", "use 256")


def moving_lattice_elements(group: Group, size: tuple[int, int]) -> Tensor:
    """The lattice elements that move something."""
    elements = lattice_elements(group, size)
    moving = elements[(elements - group.identity(elements.dtype)).abs().amax(-1) > _TINY]
    if not len(moving):
        raise ValueError(
            f"{group.name} has no element but the identity that moves the pixels of {size[0]} x {size[1]} images onto "
            "pixels; expected elements to measure at; pass elements=orbit(group)."
        )
    return moving


def _moving(group: Group, kind: str, size: tuple[int, int]) -> Tensor:
    """Elements to measure at where none are given."""
    if kind == "image":
        return moving_lattice_elements(group, size)
    if kind == "series" and isinstance(group, Translation):
        return torch.tensor([[1.0], [2.0], [4.0]], dtype=torch.float64)
    elements = orbit(group, _ELEMENTS + 1)
    return elements[(elements - group.identity(elements.dtype)).abs().amax(-1) > _TINY][:_ELEMENTS]


def _law(
    model: Callable, inputs: Tensor, group: Group, kind: str, output: str | Behaviour, seed: int
) -> Behaviour | None:
    """How the result moves; ``None`` for images where nothing is declared: maps and signals need no word."""
    if kind == "image" and output == "auto":
        return None
    law = parse_behaviour(output) if output != "auto" else infer_behaviour(model, inputs, group, kind, seed=seed)
    if law.kind == "unknown":
        raise ValueError(f"{law.why}; declare one with output=..., or wrap the model.")
    return law


def _innermost(module: nn.Module, prefix: str = "") -> dict[str, nn.Module]:
    """Modules without children, and whole group layers, by name."""
    if hasattr(module, "requested") or next(module.children(), None) is None:
        return {prefix or "model": module}
    inner: dict[str, nn.Module] = {}
    for name, child in module.named_children():
        inner |= _innermost(child, f"{prefix}.{name}" if prefix else name)
    return inner


def _refilled(value: Output, values: Tensor) -> Output:
    """The same kind of output with other numbers ``(E, B, ...)``, in the shape in which the model puts it out."""
    if isinstance(value, GroupSignal):
        return value.with_values(values.flatten(0, 1))
    return values.reshape(-1, *tensor_of(value).shape[1:])


class _Ledger:
    """Shares of every module, batch by batch; keeps one number for each module, element and sample."""

    def __init__(
        self,
        model: Callable,
        layers: dict[str, nn.Module],
        action: Action,
        batch_size: int,
        law: Behaviour | None,
        inner: dict[str, Behaviour] | None,
    ) -> None:
        self.model, self.layers, self.action, self.batch_size = model, layers, action, batch_size
        self.law, self.inner = law, inner
        self.dims = IMAGE_DIMS if inner is None else LIST_DIMS
        self.weight: Tensor | None = None  # where results are compared, for the elements in hand
        self.names: list[str] = []
        self.rows: list[np.ndarray] = []  # (K + 1, E, B) for each batch
        self.whole: list[np.ndarray] = []
        self.passed_over: dict[str, str] = {}
        self.gradients = False  # some layer stands on the way of gradients that the model takes inside

    def add(self, batch: Tensor, tell: Callable[[float], None]) -> None:
        reference = self._reference(batch)
        result = self._shaped(OUTPUT, reference[OUTPUT])
        names = [name for name in reference if name != OUTPUT]
        if self.rows and names != self.names:
            raise ValueError("other layers ran for other images; expected the same layers for every image.")
        self.names = names
        step, count = max(1, self.batch_size // len(batch)), len(self.action.elements)
        shares, wholes = [], []
        for start in range(0, count, step):
            part = replace(self.action, elements=self.action.elements[start : start + step])
            moved = part.there(part.source(batch)).flatten(0, 1)
            goal = part.there(result)
            self.weight = self._weight(part, result, goal)
            ideal: dict[str, Output] = {}
            ideally = partial(self._with_ideal, moved, ideal, goal, result, part)
            before, last = ideally(), self._measured(goal, goal, result, part)
            whole = before - last
            inner, size = self._inner(whole, whole).sqrt(), self._inner(last, last).sqrt()
            scale = 1 / ((inner + 1e-300) * (size + _TINY))
            found = []
            for k, name in enumerate(names, 1):
                ideal[name] = _refilled(reference[name], part.there(self._shaped(name, reference[name])))
                after = ideally()
                found.append(self._inner(before - after, whole) * scale)
                before = after
                tell((start + min(step, count - start) * k / len(names)) / count)
            found.append(self._inner(before - last, whole) * scale)
            shares.append(torch.stack(found))
            wholes.append(inner / (size + _TINY))
        self.rows.append(torch.cat(shares, 1).numpy())
        self.whole.append(torch.cat(wholes).numpy())

    def _reference(self, batch: Tensor) -> dict[str, Output]:
        """What every module that can be moved puts out for the images themselves, in the order of running."""
        kept: dict[str, Output] = {}

        def answer(name: str, module: nn.Module, inputs: tuple, options: dict, forward: Callable) -> Any:
            value = forward(*inputs, **options)
            free = freed(value)
            problem = why_not(free, len(batch), self.dims) or self._unmovable(name, free)
            if problem is None:
                kept[name] = copied(free)
                self.gradients |= on_graph(value)
            else:
                self.passed_over[name] = problem
            return value

        result = freed(fed(self.model, batch, around=lambda: answering(self.layers, answer)))
        problem = why_not(result, len(batch), self.dims)
        if problem and (self.law is None or not measurable(result, len(batch))):
            raise ValueError(f"the model puts out {problem}; wrap it in a module that returns one of these.")
        return kept | {OUTPUT: result}

    def _shaped(self, name: str, value: Output, like: Output | None = None) -> Output:
        """An output in the form in which it moves."""
        if self.law is None or (self.inner is None and name != OUTPUT):
            return value
        law = self.law if name == OUTPUT or self.inner is None else self.inner.get(name)
        if law is None:
            raise ValueError("no behaviour is known for such an output")
        return shaped(value, law, like)

    def _unmovable(self, name: str, value: Any) -> str | None:
        one = value.with_values(value.values[:1]) if isinstance(value, GroupSignal) else value[:1]
        try:
            self.action.there(self._shaped(name, one))
        except ValueError as error:
            return str(error)
        return None

    def _with_ideal(self, moved: Tensor, ideal: dict[str, Output], goal: Tensor, like: Output, part: Action) -> Tensor:
        """The result for moved images when some modules put out g times what they put out for x, as it is measured."""

        def answer(name: str, module: nn.Module, inputs: tuple, options: dict, forward: Callable) -> Any:
            if name not in ideal:
                return forward(*inputs, **options)
            if not self.gradients or not on_graph(actual := forward(*inputs, **options)):
                return copied(ideal[name])
            return carried(ideal[name], actual)

        result = freed(fed(self.model, moved, around=lambda: answering(self.layers, answer)))
        found = tensor_of(self._shaped(OUTPUT, result, like)).reshape(goal.shape)
        return self._measured(found, goal, like, part)

    def _measured(self, value: Tensor, goal: Tensor, result: Output, part: Action) -> Tensor:
        """A result ``(E, B, ...)`` in the coordinates in which distances are taken."""
        return value if not isinstance(result, Moved) else measured(value, goal, result.law, part)[0]

    def _weight(self, part: Action, result: Output, goal: Tensor) -> Tensor | None:
        """Where results ``(E, B, ...)`` are compared."""
        if not isinstance(result, Moved):
            if goal.ndim < 5:
                return None
            return named_mask(part.mask, goal.shape[-2], goal.shape[-1], torch.float64).to(goal.device)
        known = part.weight(result)
        if known is None or known.ndim == 2:
            return known if known is None else known.double().to(goal.device)
        sides = known.shape[1:] if is_spatial(result) else known.shape[-1:]
        return known.double().to(goal.device).view(-1, *[1] * (goal.ndim - 1 - len(sides)), *sides)

    def _inner(self, a: Tensor, b: Tensor) -> Tensor:
        """Inner product inside the mask for every element and sample, ``(E, B)`` in float64."""
        product = a.double() * b.double()
        if self.weight is not None:
            product = product * self.weight
        return product.reshape(*product.shape[:2], -1).sum(-1).cpu()

    def dataset(self, coords: dict[str, tuple], seed: int) -> xr.Dataset:
        values, whole = np.concatenate(self.rows, -1), np.concatenate(self.whole, -1)
        low, high = interval(values, seed=seed)
        dims, words = ("layer", "transform", "sample"), "share in the relative equivariance error"
        names = [*self.names, REST]
        return xr.Dataset(
            {
                "contribution": labelled(dims, values, words),
                "contribution_mean": labelled(dims[:2], values.mean(-1), f"{words}, mean over samples"),
                "contribution_sem": labelled(dims[:2], standard_error(values), "standard error over samples"),
                "contribution_low": labelled(dims[:2], low, "lower end of the 95 % interval of the mean"),
                "contribution_high": labelled(dims[:2], high, "upper end of the 95 % interval of the mean"),
                "whole": labelled("transform", whole.mean(-1), "relative equivariance error, mean over samples"),
                "residual": labelled(
                    "transform", values.mean(-1).sum(0) - whole.mean(-1), "sum of shares minus the whole"
                ),
            },
            coords=coords
            | {
                "layer": labelled("layer", names, "layer"),
                "sample": labelled("sample", np.arange(values.shape[-1]), "number of the sample"),
            },
        )

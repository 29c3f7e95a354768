"""How far a model is from equivariant: the error along an orbit, per layer, beside its two resampling floors."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
import xarray as xr
from torch import Tensor

from workbench.groups import Group
from workbench.measure.behaviour import Behaviour
from workbench.measure.question import ask
from workbench.measure.state import undisturbed


def equivariance_error(
    model: Callable,
    images: Tensor,
    group: Group | str,
    elements: Tensor | None = None,
    *,
    n_elements: int = 37,
    layers: str | Iterable[str] = (),
    input: str = "auto",
    output: str | Behaviour = "auto",
    select: Any = None,
    resampler: str = "bicubic",
    padding: str = "border",
    mask: str = "disc",
    margin: float = 0.0,
    form: str = "relative",
    eps: float = 1e-12,
    interval: str = "bootstrap",
    stochastic: str = "average",
    repeats: int | None = None,
    input_kind: str = "",
    seed: int = 0,
    batch_size: int = 256,
    transform_dtype: torch.dtype | None = None,
    progress: Callable[[float], None] | None = None,
    cancel: Any = None,
) -> xr.Dataset:
    r"""Error of equivariance for every sample and element, end to end and per layer, with both floors.

    .. math:: e(g, x) = |f(g x) - g f(x)| / (|g f(x)| + \epsilon)

    The input floor is :math:`|g^{-1} g x - x| / |x|`, the output floor the same round trip on f(x): what the
    resampler alone changes. Where g acts without interpolation (on points and sets always) both are 0. Vectors are
    invariant, g f(x) = f(x), and their output floor is exactly 0.

    Args:
        model: any callable from the inputs to a tensor, or to a GroupSignal ``(B, C, G, H, W)``; of images to maps,
            fields or segmentations ``(B, C, H, W)``, vectors ``(B, K)``, boxes ``(B, N, 4)``, key points
            ``(B, N, 2)``, label maps of whole numbers ``(B, H, W)``. A module is put into evaluation mode and left
            exactly as found.
        images: the inputs: images ``(B, C, H, W)``, series ``(B, C, L)``, points ``(B, N, d + F)`` with features, or
            sets ``(B, N, ...)``; cast to the dtype of the model's parameters.
        group: the group or its name.
        elements: ``(E, element_dim)``, radians and pixels; :func:`orbit` of ``n_elements`` where not given.
        layers: names of modules to watch as well, or ``"all"``.
        input: ``"image"``, ``"series"``, ``"points"``, ``"set"``; ``"auto"`` tells it from the group and the shape.
        output: how the result moves, in the words of :func:`parse_behaviour` (``"invariant"`` compares f(gx) with f(x)
            itself); ``"auto"`` infers it by :func:`infer_behaviour`.
        select: key, place or attribute of the part to measure where the model puts out several, or a function.
        resampler, padding: as in :func:`workbench.actions.transform_image`.
        mask: compare inside the ``"disc"``, the ``"centre"`` (a disc of half the radius), the ``"overlap"`` (where
            neither g nor its inverse bring in anything from outside the frame), or everywhere (``"none"``).
            Scalings and series leave out what is outside the overlap under any mask but ``"none"``.
        margin: pixels next to the frame that the overlap leaves out as well; half the model's receptive field.
        form: ``"relative"``, ``"symmetric"`` (2 |a - b| / (|a| + |b| + eps)) or ``"absolute"`` (root mean square).
        eps: keeps the relative forms finite where an output vanishes.
        interval: ``"bootstrap"`` over samples (Student's t below 8 samples) or ``"t"``.
        stochastic: where two runs of the same input differ, ``"average"`` over ``repeats`` runs (8 where not given), or
            ``"refuse"``.
        repeats: runs to average for a stochastic model.
        input_kind: what the images are, for the reader ("digits", "white noise").
        seed: of all random generators while measuring.
        batch_size: at most so many samples per forward pass, fewer where they are large; bounds the memory.
        transform_dtype: of the transforms and differences; that of the model where not given.
        progress: called with the part done in [0, 1]. cancel: an event or function; stops with ``Cancelled``.

    Returns:
        Dims ``layer`` (first the watched ones, then ``"output"``), ``transform``, ``sample``. ``error`` in the asked
        form, ``relative_error`` and ``absolute_error`` per sample, ``symmetric_error`` where it was asked for;
        ``error_mean``, ``error_sem`` (standard error over samples), ``error_low`` and ``error_high`` (95 % interval;
        NaN for one sample); ``input_floor``, ``output_floor`` and their means; of a stochastic model ``noise_floor``
        and its mean: the difference of two averages of the same input, below which an error says nothing;
        ``error_over_floor``; ``exact``: g acted on that output
        without interpolation; ``comparable``: false where a layer answers on a partial arc only, its error is NaN
        then. Coordinates ``angle_deg``, ``mirror``, ``lattice``, and ``scale``, ``shift_...`` or ``moved`` where the
        group has them. Attributes ``input``, ``output``, ``output_confidence``, ``output_why``, and ``stochastic``:
        the relative change between two runs of the same input.

    Raises:
        ValueError: for inputs, elements, options or outputs that cannot be, in one sentence.
        Cancelled: when asked to stop.

    >>> import torch
    >>> from workbench.groups import C
    >>> net = torch.nn.Conv2d(1, 2, 3, padding=1)
    >>> ds = equivariance_error(net, torch.rand(3, 1, 8, 8), C(4))
    >>> ds.error.dims, ds.lattice.values.tolist()
    (('layer', 'transform', 'sample'), [True, True, True, True])

    Source: derived here after the error of Romero & Lohit 2022 (arXiv 2110.10211); the floors are ours.
    """
    question, images = ask(
        model,
        images,
        group,
        elements,
        n_elements=n_elements,
        layers=layers,
        input=input,
        output=output,
        select=select,
        resampler=resampler,
        padding=padding,
        mask=mask,
        margin=margin,
        form=form,
        eps=eps,
        interval=interval,
        stochastic=stochastic,
        repeats=repeats,
        input_kind=input_kind,
        seed=seed,
        batch_size=batch_size,
        transform_dtype=transform_dtype,
    )
    coords = question.coordinates(images)
    sweep = question.sweep(model, images)
    with undisturbed(model, seed):
        sweep.measure(images, progress, cancel)
    attrs = question.attributes(model, images, len(images), sweep)
    return sweep.dataset(coords, form, interval, seed).assign_attrs(attrs)

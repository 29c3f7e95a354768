"""How far a model is from equivariant: the error along an orbit, per layer, beside its two resampling floors."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
import xarray as xr
from torch import Tensor

from workbench.actions import PADDINGS, RESAMPLERS
from workbench.actions.images import check_choice, check_images
from workbench.actions.masks import MASKS
from workbench.groups import Group, parse_group
from workbench.measure.compare import FORMS, Action
from workbench.measure.dataset import labelled
from workbench.measure.orbit import orbit, transform_coords
from workbench.measure.probe import like_model
from workbench.measure.provenance import provenance
from workbench.measure.state import undisturbed
from workbench.measure.sweep import Sweep

OUTPUTS = ("auto", "invariant")


def equivariance_error(
    model: Callable,
    images: Tensor,
    group: Group | str,
    elements: Tensor | None = None,
    *,
    n_elements: int = 37,
    layers: str | Iterable[str] = (),
    output: str = "auto",
    resampler: str = "bicubic",
    padding: str = "border",
    mask: str = "disc",
    form: str = "relative",
    eps: float = 1e-12,
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
    resampler alone changes. Where g moves pixels onto pixels both are 0. Vectors are invariant, g f(x) = f(x),
    and their output floor is exactly 0.

    Args:
        model: any callable from images ``(B, C, H, W)`` to a GroupSignal ``(B, C, G, H, W)``, maps ``(B, C, H, W)`` or
            vectors ``(B, K)``. A module is put into evaluation mode and left exactly as found.
        images: ``(B, C, H, W)``; cast to the dtype of the model's parameters.
        group: the group or its name.
        elements: ``(E, element_dim)``, radians and pixels; :func:`orbit` of ``n_elements`` where not given.
        layers: names of modules to watch as well, or ``"all"``.
        output: ``"auto"``, or ``"invariant"`` to compare f(gx) with f(x) itself.
        resampler, padding: as in :func:`workbench.actions.transform_image`.
        mask: compare inside the ``"disc"``, the ``"centre"`` (a disc of half the radius) or everywhere (``"none"``).
        form: ``"relative"``, ``"symmetric"`` (2 |a - b| / (|a| + |b| + eps)) or ``"absolute"`` (root mean square).
        eps: keeps the relative forms finite where an output vanishes.
        input_kind: what the images are, for the reader ("digits", "white noise").
        seed: of all random generators while measuring.
        batch_size: at most so many images per forward pass; bounds the memory.
        transform_dtype: of the transforms and differences; that of the model where not given.
        progress: called with the part done in [0, 1]. cancel: an event or function; stops with ``Cancelled``.

    Returns:
        Dims ``layer`` (first the watched ones, then ``"output"``), ``transform``, ``sample``. ``error`` and
        ``absolute_error`` per sample; ``error_mean``, ``error_sem`` (standard error over samples), ``error_low`` and
        ``error_high`` (95 % interval of Student's t; NaN for one sample); ``input_floor``, ``output_floor`` and
        their means; ``exact``: g acted on that output without interpolation; ``comparable``: false where a layer
        answers on a partial arc only, its error is NaN then. Coordinates ``angle_deg``, ``mirror``, ``lattice``.

    Raises:
        ValueError: for images, elements or options that cannot be, in one sentence.
        Cancelled: when asked to stop.

    >>> import torch
    >>> from workbench.groups import C
    >>> net = torch.nn.Conv2d(1, 2, 3, padding=1)
    >>> ds = equivariance_error(net, torch.rand(3, 1, 8, 8), C(4))
    >>> ds.error.dims, ds.lattice.values.tolist()
    (('layer', 'transform', 'sample'), [True, True, True, True])

    Source: derived here after the error of Romero & Lohit 2022 (arXiv 2110.10211); the floors are ours.
    """
    group = parse_group(group)
    check_images(images, lowest=4)
    _check_options(model, output, resampler, padding, mask, form, batch_size, eps)
    images = like_model(model, images)
    elements = orbit(group, n_elements) if elements is None else torch.as_tensor(elements)
    action = Action(
        elements.detach().cpu(), group, resampler, padding, mask, (images.shape[-2], images.shape[-1]), transform_dtype
    )
    exact_input = action.exact(images)  # refuses elements of another shape, too
    sweep = Sweep(model, action, layers, output, form, eps, batch_size)
    with undisturbed(model, seed):
        sweep.measure(images, progress, cancel)
    attrs = provenance(
        "equivariance_error",
        seed=seed,
        dtype=images.dtype,
        resampler=resampler,
        padding=padding,
        mask=mask,
        reduction=f"{form}, norm over channels, group and pixels; mean over samples",
        input_kind=input_kind or None,
        group=group.name,
        form=form,
        eps=eps,
        output=output,
        input_size=f"{images.shape[-2]} x {images.shape[-1]}",
        samples=len(images),
        model=type(model).__name__ if isinstance(model, torch.nn.Module) else getattr(model, "__name__", "callable"),
        sides="left action, f(g x) against g f(x)",
        largest_output=sweep.largest_output,
    )
    coords = transform_coords(action.elements, group)
    coords["lattice"] = labelled("transform", exact_input, "g moves input pixels onto pixels")
    return sweep.dataset(coords, form).assign_attrs(attrs)


def _check_options(model, output, resampler, padding, mask, form, batch_size, eps) -> None:
    if not callable(model):
        raise ValueError(f"a {type(model).__name__} was given as model; expected a callable on images (B, C, H, W).")
    check_choice("output", output, OUTPUTS)
    check_choice("resampler", resampler, RESAMPLERS)
    check_choice("padding", padding, PADDINGS)
    check_choice("mask", mask, MASKS)
    check_choice("form", form, FORMS)
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"batch_size = {batch_size!r} was given; expected a positive number of images; use 256.")
    if not 0 < eps < 1:
        raise ValueError(f"eps = {eps} was given; expected a small positive number; use 1e-12.")

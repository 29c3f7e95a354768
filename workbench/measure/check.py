"""The public checker: is this model equivariant, and if not, where?"""

from collections.abc import Callable, Iterable

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from workbench.actions.lattice import check_rows
from workbench.groups import Group, Translation, parse_group
from workbench.measure.behaviour import Behaviour, input_kind_of
from workbench.measure.compare import Action
from workbench.measure.error import equivariance_error
from workbench.measure.inference import checked_inputs, size_of
from workbench.measure.orbit import lattice_elements, named, orbit
from workbench.measure.sweep import NotFinite

TOLERANCES = {torch.float64: 1e-12, torch.float32: 2e-6, torch.bfloat16: 2e-2, torch.float16: 2e-3}
"""Largest relative error at elements that move pixels onto pixels, by dtype of the model: rounding alone."""
_MOTIONS = 10  # a motion of points rounds every coordinate, where pixels only change places


def check_equivariance(
    model: Callable,
    images: Tensor,
    group: Group | str,
    elements: Tensor | None = None,
    *,
    tolerance: float | None = None,
    layers: str | Iterable[str] = "all",
    input: str = "auto",
    output: str | Behaviour = "auto",
    resampler: str = "bicubic",
    padding: str = "border",
    mask: str = "none",
    seed: int = 0,
) -> xr.Dataset:
    """Raise unless f(gx) = g f(x) for every image and element, at the end and in every layer.

    Transforms and differences are computed in float64 whatever the dtype of the model. By default the elements are
    those of the group that move pixels onto pixels, where nothing but rounding is allowed: a filter changed by
    one part in a thousand is found.

    Args:
        model, images, group, layers, input, output, resampler, padding, seed: as in :func:`equivariance_error`. Of
            point sets and sets the layers are not watched by default, as each may move in its own way.
        elements: ``(E, element_dim)``; other than lattice elements need a ``tolerance``.
        tolerance: largest relative error; rounding of the model's dtype where not given.
        mask: everywhere by default; ``"disc"`` for elements that are no lattice elements.

    Returns:
        The Dataset of :func:`equivariance_error`, when the check passes.

    Raises:
        AssertionError: names the first layer that breaks the symmetry, the worst layer and element, and their
            relative and absolute error.
        ValueError: for images that look the same after every element, a model that puts out only zeros, or
            elements off the lattice without a tolerance: such a check would say nothing.

    >>> import torch
    >>> from workbench.groups import C
    >>> pool = torch.nn.AvgPool2d(2)
    >>> ds = check_equivariance(pool, torch.rand(2, 1, 8, 8), C(4))
    >>> check_equivariance(pool, torch.rand(2, 1, 7, 7), C(4))
    Traceback (most recent call last):
    ...
    AssertionError: ... rotation by ...
    """
    group = parse_group(group)
    kind = input_kind_of(images, group, input)
    images = checked_inputs(model, images, group, kind)
    plain = kind in ("points", "set")
    size = size_of(images, kind)
    elements = _default_elements(group, kind, size) if elements is None else check_rows(elements, group)
    action = Action(elements, group, resampler, padding, mask, size, torch.float64, kind)
    if tolerance is None and not action.exact(action.source(images)).all():
        raise ValueError(
            f"elements of {group.name} that fall between pixels were given without a tolerance; expected elements that "
            "move pixels onto pixels, because resampling changes the result; pass tolerance=... and mask='disc'."
        )
    limit = TOLERANCES.get(images.dtype, 2e-2) * (_MOTIONS if plain else 1) if tolerance is None else tolerance
    _refuse_symmetric_inputs(images, action)
    try:
        ds = equivariance_error(
            model,
            images,
            group,
            elements,
            layers=() if plain and layers == "all" else layers,
            input=kind,
            output=output,
            resampler=resampler,
            padding=padding,
            mask=mask,
            input_kind="given to check_equivariance",
            seed=seed,
            transform_dtype=torch.float64,
        )
    except NotFinite as error:
        raise AssertionError(f"not equivariant under {group.name}: {error}") from error
    ds = ds.assign_attrs(created_by="check_equivariance", tolerance=limit)
    _refuse_silence(ds)
    _refuse_error(ds, limit)
    return ds


def _default_elements(group: Group, kind: str, size: tuple[int, int]) -> Tensor:
    if kind == "image":
        return lattice_elements(group, size)
    if kind == "series" and isinstance(group, Translation):
        return torch.tensor([[0.0], [1.0], [-2.0], [5.0]], dtype=torch.float64)
    return orbit(group, 9)


def _refuse_symmetric_inputs(inputs: Tensor, action: Action) -> None:
    moved = action.there(action.source(inputs))
    if torch.equal(moved, action.cast(inputs).expand_as(moved)):
        raise ValueError(
            f"inputs that no given element of {action.group.name} changes were given; expected some without that "
            "symmetry, or the check says nothing; use real data or noise, and at least one element besides the "
            "identity."
        )


def _refuse_silence(ds: xr.Dataset) -> None:
    """Zeros are equivariant under everything: |f(gx) - g f(x)| = |g f(x)| = 0."""
    if ds.attrs.get("largest_output") == 0:
        raise ValueError(
            "the model puts out zeros for every image, so that nothing was checked; expected another output; "
            "look for dead activations, or give other images."
        )


def _refuse_error(ds: xr.Dataset, limit: float) -> None:
    error = ds.error.max("sample").where(ds.comparable)
    broken = ~(error.fillna(np.inf).where(ds.comparable, 0.0) <= limit)
    if not bool(broken.any()):
        return
    places = np.argwhere(broken.values)
    sizes = np.nan_to_num(error.values, nan=np.inf)[broken.values]
    layer, transform = places[int(sizes.argmax())]
    first = str(ds.layer.values[places[:, 0].min()])
    worst = ds.isel(layer=layer, transform=transform)
    raise AssertionError(
        f"not equivariant under {ds.attrs['group']}: worst at layer {str(worst.layer.values)!r}, "
        f"{named(ds, int(transform))}: relative error {float(worst.error.max()):.2e} (allowed {limit:.0e}), "
        f"absolute (root mean square) {float(worst.absolute_error.max()):.2e}; "
        f"the first layer that breaks it is {first!r}; {int(broken.any('transform').sum())} of {ds.sizes['layer']} "
        f"outputs and {int(broken.any('layer').sum())} of {ds.sizes['transform']} elements are affected."
    )

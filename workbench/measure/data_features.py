"""A data set seen from every angle: the features of each image turned through the whole circle, in one table.

Everything that is asked about the symmetry of data is read from this table, so that every image compared has gone
through the same resampling, and the features are computed once.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from workbench.actions.images import check_choice, check_images, transform_images
from workbench.actions.masks import MASKS, named_mask
from workbench.groups import SO2, GroupSignal
from workbench.measure.data_subgroups import Subgroup, subgroups, turned
from workbench.measure.entry import fed
from workbench.measure.probe import report
from workbench.measure.state import undisturbed

Features = str | Callable[[Tensor], Tensor]
N_ANGLES = 72
COMPONENTS = 48
MOST_IMAGES = 5000
_MOST_FEATURES = 2**15
_CHUNK = 2**24  # floats of turned images that are held at once
_BASIS_IMAGES, _BASIS_ANGLES = 160, 6


@dataclass(frozen=True, eq=False)
class OrbitFeatures:
    """Features of every image at every angle of a grid.

    Attributes:
        values: ``(N, E, F)`` float32, features of image n turned by 360 e / E degrees.
        round_trips: ``(N, T, 2, F)``, of image n turned by -+ angle t / 2 and back again: first and second way.
        round_trip_deg: the T angles.
        asked: finite symmetries that were asked for; none where the table was turned since.
        sides: for each of them ``(N, K, F)``, of what its elements make of image n.
        attrs: what was done, for the provenance of what is measured on it.
    """

    values: Tensor
    round_trips: Tensor
    round_trip_deg: tuple[float, ...]
    asked: tuple[Subgroup, ...] = ()
    sides: tuple[Tensor, ...] = ()
    attrs: dict[str, Any] = field(default_factory=dict)

    def take(self, index: Tensor) -> "OrbitFeatures":
        """The rows of some images."""
        sides = tuple(part[index] for part in self.sides)
        return replace(self, values=self.values[index], round_trips=self.round_trips[index], sides=sides)

    def turned(self, steps: Tensor) -> "OrbitFeatures":
        """The table of the data set in which image n is turned by ``steps[n]`` steps of the grid more."""
        count = self.values.shape[1]
        at = (torch.arange(count) + steps[:, None]) % count
        rows = torch.arange(len(self.values))[:, None]
        return replace(self, values=self.values[rows, at], asked=(), sides=())


def orbit_features(
    images: Tensor,
    features: Features = "pixels",
    *,
    n_angles: int = N_ANGLES,
    components: int = COMPONENTS,
    round_trip_deg: tuple[float, ...] = (),
    asked: Sequence[str] | None = (),
    resampler: str = "bicubic",
    padding: str = "border",
    mask: str = "disc",
    progress: Callable[[float], None] | None = None,
    cancel: Any = None,
) -> OrbitFeatures:
    """Features of each image turned through the whole circle, in the directions in which they vary most.

    Args:
        images: ``(N, C, H, W)``, floating point. Where H and W differ, what is turned into the corners is invented;
            pixels are compared on the centred disc, which any turn keeps.
        features: ``"pixels"`` (those inside the mask), or a callable ``(B, C, H, W) -> (B, ...)``, such as a network or
            what :func:`layer_features` returns. A network is put into evaluation mode and left as it was.
        n_angles: angles of the grid, a multiple of 24; 72 is every 5 degrees.
        components: at most so many principal components of the features are kept.
        round_trip_deg: angles whose round trips are computed as well: what resampling alone does.
        asked: names of finite symmetries, as in :func:`workbench.measure.data_subgroups.subgroups`; those of the frame
            for None.
        resampler, padding, mask: as in :func:`workbench.actions.transform_image`; the mask is for pixels.
        progress, cancel: as in every measure.

    Raises:
        ValueError: images of another shape, too many of them, other angles, or features that are not finite.

    >>> orbit_features(torch.rand(4, 1, 8, 8), n_angles=24).values.shape[:2]
    torch.Size([4, 24])
    """
    _check(images, features, n_angles, components, mask)
    elements = SO2().grid(n_angles, dtype=torch.float64)
    read = _reader(features, images.shape, mask)
    turn: dict[str, Any] = {"resampler": resampler, "padding": padding}
    groups = subgroups(asked, images.shape[-2], images.shape[-1], turn)
    step = max(1, _CHUNK // (n_angles * images[0].numel()))
    rows, trips = [], []
    sides: list[list[Tensor]] = [[] for _ in groups]
    with _still(features):
        mean, basis, kept = _directions(images, read, elements, components, turn)

        def found(x: Tensor) -> Tensor:
            return (read(x) - mean) @ basis

        for start in range(0, len(images), step):
            report(progress, cancel, start / len(images))
            part = images[start : start + step]
            whole = transform_images(part, elements, SO2(), **turn).transpose(0, 1)
            rows.append(found(whole.flatten(0, 1)).unflatten(0, whole.shape[:2]))
            trips.append(_round_trips(part, round_trip_deg, found, turn))
            for at, group in enumerate(groups):
                sides[at].append(torch.stack([found(side) for side in group.sides(part)], 1))
    report(progress, cancel, 1.0)
    attrs = {
        "features": features if isinstance(features, str) else _name(features),
        "components": basis.shape[1],
        "variance_kept": kept,
        "n_angles": n_angles,
        "mask": mask if features == "pixels" else "none",
        "input_size": "x".join(map(str, images.shape[1:])),
        **turn,
    }
    every = tuple(torch.cat(part) for part in sides)
    return OrbitFeatures(torch.cat(rows), torch.cat(trips), round_trip_deg, groups, every, attrs)


def layer_features(model: nn.Module, layer: str) -> Callable[[Tensor], Tensor]:
    """What a named layer of a network puts out, as features ``(B, F)``: maps are averaged over their pixels.

    Raises:
        ValueError: a layer that the network has not.

    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2))
    >>> layer_features(net, "1")(torch.rand(3, 1, 8, 8)).shape
    torch.Size([3, 4])
    """
    modules = dict(model.named_modules()) if isinstance(model, nn.Module) else {}
    if layer not in modules or not layer:
        raise ValueError(
            f"layer_features: {layer!r} was given; expected the name of a module of the network; "
            f"it has {', '.join(name for name in modules if name) or 'none'}."
        )
    return _LayerFeatures(model, layer)


class _LayerFeatures:
    """A network up to one of its layers; the hook is taken away again after each pass."""

    def __init__(self, model: nn.Module, layer: str) -> None:
        self.model, self.layer = model, layer
        self.__name__ = f"{type(model).__name__}, {layer}"

    def __call__(self, images: Tensor) -> Tensor:
        found: list[Any] = []
        module = self.model.get_submodule(self.layer)
        handle = module.register_forward_hook(lambda _, __, out: found.append(out))
        try:
            with undisturbed(self.model):
                fed(self.model, images)
        finally:
            handle.remove()
        if not found:
            raise ValueError(f"layer_features: {self.layer!r} did not run; expected a layer that the network calls.")
        out = found[-1]
        out = out.values if isinstance(out, GroupSignal) else out
        if not isinstance(out, Tensor) or out.ndim < 2:
            raise ValueError(
                f"layer_features: {self.layer!r} gave a {type(out).__name__}; expected a tensor (B, ...) or a "
                "GroupSignal; choose another layer."
            )
        return out.detach().flatten(2).mean(-1) if out.ndim > 2 else out.detach()


def _reader(features: Features, shape: torch.Size, mask: str) -> Callable[[Tensor], Tensor]:
    if isinstance(features, str):
        inside = named_mask(mask, *shape[-2:]).bool()
        return lambda x: x[..., inside].flatten(1).float()

    def read(x: Tensor) -> Tensor:
        parts = [features(part) for part in x.split(512)]
        wrong = [p for p in parts if not isinstance(p, Tensor) or p.ndim < 2]
        if wrong:
            given = tuple(wrong[0].shape) if isinstance(wrong[0], Tensor) else type(wrong[0]).__name__
            raise ValueError(f"data_symmetry: features gave {given}; expected a tensor (B, ...) with one row an image.")
        found = torch.cat(parts).detach().flatten(1).float()
        if len(found) != len(x) or not torch.isfinite(found).all():
            raise ValueError(
                f"data_symmetry: features gave {len(found)} rows for {len(x)} images, or numbers that are not finite; "
                "expected one finite row for each image."
            )
        return found

    return read


@contextmanager
def _still(features: Features) -> Iterator[None]:
    if isinstance(features, nn.Module):
        with undisturbed(features):
            yield
    else:
        with torch.no_grad():
            yield


def _directions(
    images: Tensor, read: Callable, elements: Tensor, components: int, turn: dict[str, Any]
) -> tuple[Tensor, Tensor, float]:
    """Mean ``(F,)``, principal directions ``(F, K)`` and the share of the variance that they keep."""
    some = images[torch.linspace(0, len(images) - 1, min(len(images), _BASIS_IMAGES)).round().long()]
    often = min(len(elements), max(_BASIS_ANGLES, math.ceil(_BASIS_IMAGES * _BASIS_ANGLES / len(some))))
    angles = elements[:: len(elements) // often] + elements[1] / 3  # off the lattice: no sharper than the rest
    rows = read(transform_images(some, angles, SO2(), **turn).flatten(0, 1)).double()
    if rows.shape[1] > _MOST_FEATURES:
        raise ValueError(
            f"data_symmetry: {rows.shape[1]} features were given; expected at most {_MOST_FEATURES}; shrink the "
            "images, or average."
        )
    mean = rows.mean(0)
    centred = rows - mean
    tall = len(rows) >= rows.shape[1]
    # The smaller of the two products has the same spectrum.
    power, vectors = torch.linalg.eigh((centred.T @ centred if tall else centred @ centred.T) / len(rows))
    keep = min(components, len(power) if tall else max(1, int((power > 1e-9 * power[-1]).sum())))
    top = vectors[:, -keep:] if tall else torch.nn.functional.normalize(centred.T @ vectors[:, -keep:], dim=0)
    share = float(power[-keep:].sum() / power.sum().clamp_min(1e-30))
    return mean.float(), top.float(), min(share, 1.0)


def _round_trips(part: Tensor, angles: tuple[float, ...], read: Callable, turn: dict[str, Any]) -> Tensor:
    """``(B, T, 2, F)``: turned by minus, or plus, half the angle and back again."""
    found = []
    for angle in angles:
        for way in (-angle / 2, angle / 2):
            found.append(read(turned(turned(part, way, turn), -way, turn)))
    if not found:
        return torch.zeros(len(part), 0, 2, 1)
    return torch.stack(found, 1).unflatten(1, (len(angles), 2))


def _name(features: Any) -> str:
    return str(getattr(features, "__name__", type(features).__name__))


def _check(images: Any, features: Any, n_angles: int, components: int, mask: str) -> None:
    check_images(images, lowest=4)
    check_choice("mask", mask, MASKS)
    if min(images.shape[-2:]) < 4 or len(images) > MOST_IMAGES:
        raise ValueError(
            f"data_symmetry: images of shape {tuple(images.shape)} were given; expected sides of 4 pixels or more and "
            f"at most {MOST_IMAGES} images; take a part of the data."
        )
    if isinstance(features, str):
        check_choice("features", features, ("pixels",))
    elif not callable(features):
        raise TypeError(f"features = {type(features).__name__} was given; expected 'pixels' or a callable.")
    for name, value, low in (("n_angles", n_angles, 24), ("components", components, 2)):
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= 720:
            raise ValueError(f"data_symmetry: {name} = {value!r} was given; expected a whole number from {low} to 720.")
    if n_angles % 24:
        raise ValueError(f"data_symmetry: n_angles = {n_angles} was given; expected a multiple of 24; use 72.")

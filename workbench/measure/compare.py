"""Group actions on a layer's output, and the distance between two outputs."""

from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.actions import named_mask, transform_signals
from workbench.actions.images import act
from workbench.actions.lattice import TOLERANCE, affine, angle_and_mirror, on_lattice
from workbench.actions.signals import permutations
from workbench.groups import Group, GroupSignal
from workbench.measure.probe import Output, PartialSignal

FORMS = ("relative", "symmetric", "absolute")


@dataclass(frozen=True)
class Action:
    """How elements of a group act on whatever a layer puts out.

    Maps and signals are moved in the plane, signals also along the group; vectors are invariant. A map smaller
    than the input by a whole factor is taken to have coarser pixels, so shifts shrink with it.
    """

    elements: Tensor
    group: Group
    resampler: str
    padding: str
    mask: str
    input_size: tuple[int, int]
    dtype: torch.dtype | None = None  # of the transforms, when another one than the output's

    def there(self, value: Output) -> Tensor:
        """``g f(x)`` for every element: ``(E, B, ...)``."""
        return self._move(value, self.elements, each=False)

    def back(self, moved: Tensor, like: Output) -> Tensor:
        """``g^-1`` of stack g of ``moved (E, B, ...)``."""
        flat = moved.flatten(0, 1)
        stacks = like.with_values(flat) if isinstance(like, GroupSignal) else flat
        return self._move(stacks, self.group.inverse(self.elements), each=True)

    def _move(self, value: Output, elements: Tensor, each: bool) -> Tensor:
        tensor = self.cast(tensor_of(value))
        count = len(elements)
        batch = len(tensor) // count if each else len(tensor)
        if not is_spatial(value):
            shape = (count, batch, *tensor.shape[1:])
            return tensor.view(shape) if each else tensor.expand(shape)
        elements = self._in_pixels_of(tensor, elements)
        if isinstance(value, GroupSignal):
            signal = value.with_values(tensor)
            return transform_signals(
                signal, elements, self.group, resampler=self.resampler, padding=self.padding, each=each
            )
        folded = tensor.reshape(count if each else 1, -1, *tensor.shape[-2:])
        moved = act(folded, elements, self.group, self.resampler, self.padding)
        return moved.view(count, batch, *tensor.shape[1:])

    def windows(self, value: Output) -> tuple[Tensor | float, Tensor | float]:
        """Factors of f(gx) and of g f(x): the density p(u), p(g^-1 u) of a partial layer, otherwise 1."""
        if not isinstance(value, PartialSignal):
            return 1.0, 1.0
        angle, mirror = angle_and_mirror(affine(self.elements, self.group)[0])
        elements = torch.stack([angle, mirror], -1)[:, : value.group.element_dim]
        return value.window(value.group.identity()[None]), value.window(elements)

    def _in_pixels_of(self, tensor: Tensor, elements: Tensor) -> Tensor:
        pitch = max(1, round(self.input_size[0] / tensor.shape[-2]))
        if pitch == 1 or self.group.shift(elements) is None:
            return elements
        return torch.cat([elements[..., :2] / pitch, elements[..., 2:]], -1)

    def exact(self, value: Output) -> Tensor:
        """Whether each element acts on this output without interpolation, boolean ``(E,)``."""
        if not is_spatial(value):
            return torch.ones(len(self.elements), dtype=torch.bool)
        tensor = tensor_of(value)
        matrix, shift = affine(self._in_pixels_of(tensor, self.elements), self.group)
        result = on_lattice(matrix, shift, TOLERANCE, (tensor.shape[-2], tensor.shape[-1]))
        if isinstance(value, GroupSignal):
            result &= permutations(value, matrix)[1].to(result.device)
        return result.cpu()

    def cast(self, tensor: Tensor) -> Tensor:
        """The tensor in the dtype of the transforms."""
        return tensor if self.dtype is None else tensor.to(self.dtype)

    def distance(self, a: Tensor, b: Tensor, value: Output) -> tuple[Tensor, Tensor, Tensor]:
        """Norms ``|a - b|``, ``|a|``, ``|b|`` inside the mask, each ``(E, B)`` in float64."""
        weight = None
        if is_spatial(value):
            weight = named_mask(self.mask, a.shape[-2], a.shape[-1], a.dtype).to(a.device)
        return _norm(a - b, weight), _norm(a, weight), _norm(b, weight)

    def entries(self, value: Output) -> float:
        """Numbers compared per sample: what turns a norm into a root mean square."""
        tensor = tensor_of(value)
        if not is_spatial(value):
            return float(tensor[0].numel())
        pixels = float(named_mask(self.mask, tensor.shape[-2], tensor.shape[-1]).sum())
        return pixels * tensor[0].numel() / (tensor.shape[-1] * tensor.shape[-2])


def _norm(x: Tensor, weight: Tensor | None) -> Tensor:
    """Root of the summed squares of ``x (E, B, ...)``, weighted over pixels, ``(E, B)`` in float64."""
    # Squares are summed over pixels in the tensor's own dtype, which is twice as fast, and over the rest in float64.
    if weight is None:
        squares = x.square().flatten(2)
    else:
        squares = x.square().flatten(-2).flatten(2, -2) @ weight.flatten()
    return squares.sum(-1, dtype=torch.float64).sqrt().cpu()


def tensor_of(value: Output) -> Tensor:
    """The bare numbers of an output."""
    return value.values if isinstance(value, GroupSignal) else value


def is_spatial(value: Output) -> bool:
    """Whether the plane acts on it: signals and maps, not vectors."""
    return isinstance(value, GroupSignal) or value.ndim == 4


def error_of(form: str, norms: tuple[Tensor, Tensor, Tensor], entries: float, eps: float) -> Tensor:
    """One of the :data:`FORMS` from ``|a - b|``, ``|a|``, ``|b|``; b is the reference."""
    difference, first, second = norms
    if form == "absolute":
        return difference / entries**0.5
    if form == "symmetric":
        return 2 * difference / (first + second + eps)
    return difference / (second + eps)

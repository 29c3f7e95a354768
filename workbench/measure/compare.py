"""Group actions on a layer's output, and the distance between two outputs."""

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from workbench.actions import named_mask, overlap_mask, transform_signals
from workbench.actions.images import act
from workbench.actions.lattice import TOLERANCE, affine, angle_and_mirror, on_lattice
from workbench.actions.signals import permutations
from workbench.groups import Group, GroupSignal
from workbench.measure import laws
from workbench.measure.behaviour import Behaviour, Moved
from workbench.measure.probe import Output, PartialSignal

FORMS = ("relative", "symmetric", "absolute")
MOST_LABELS = 4095  # a segmentation with more classes is scores gone wrong


@dataclass(frozen=True, eq=False)  # compared by identity: it keys what is computed from it
class Action:
    """How elements of a group act on whatever a layer puts out.

    Maps and signals are moved in the plane, signals also along the group; bare vectors are invariant, and what comes
    as :class:`Moved` follows its own law. A map smaller than the input by a whole factor is taken to have coarser
    pixels, so shifts shrink with it; in one that is larger they grow.
    """

    elements: Tensor
    group: Group
    resampler: str
    padding: str
    mask: str
    input_size: tuple[int, int]
    dtype: torch.dtype | None = None  # of the transforms, when another one than the output's
    input_kind: str = "image"
    margin: float = 0.0  # pixels next to the frame that the mask "overlap" leaves out

    def source(self, inputs: Tensor) -> Output:
        """The inputs as something that moves."""
        return inputs if self.input_kind == "image" else Moved(inputs, Behaviour(self.input_kind))

    def there(self, value: Output) -> Tensor:
        """``g f(x)`` for every element: ``(E, B, ...)``."""
        return self._move(value, self.elements, each=False)

    def back(self, moved: Tensor, like: Output) -> Tensor:
        """``g^-1`` of stack g of ``moved (E, B, ...)``."""
        if isinstance(like, Moved):
            return laws.move(moved, self.group.inverse(self.elements), like.law, self)
        flat = moved.flatten(0, 1)
        stacks = like.with_values(flat) if isinstance(like, GroupSignal) else flat
        return self._move(stacks, self.group.inverse(self.elements), each=True)

    def _move(self, value: Output, elements: Tensor, each: bool) -> Tensor:
        tensor = self.cast(tensor_of(value))
        if isinstance(value, Moved):
            return laws.move(tensor.unsqueeze(0), elements, value.law, self)
        count = len(elements)
        batch = len(tensor) // count if each else len(tensor)
        if not is_spatial(value):
            shape = (count, batch, *tensor.shape[1:])
            return tensor.view(shape) if each else tensor.expand(shape)
        elements = self.in_pixels_of(tensor, elements)
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

    def in_pixels_of(self, tensor: Tensor, elements: Tensor) -> Tensor:
        """The elements with their shifts in pixels of ``tensor (..., H, W)``."""
        if self.group.shift(elements) is None:
            return elements
        across, down = (laws.pitch(self.input_size[dim], tensor.shape[dim]) for dim in (-1, -2))
        if across == down == 1:
            return elements
        return torch.cat([elements[..., :2] / elements.new_tensor([across, down]), elements[..., 2:]], -1)

    def exact(self, value: Output) -> Tensor:
        """Whether each element acts on this output without interpolation, boolean ``(E,)``."""
        if isinstance(value, Moved):
            return laws.exact(value.values, value.law, self)
        if not is_spatial(value):
            return torch.ones(len(self.elements), dtype=torch.bool)
        tensor = tensor_of(value)
        matrix, shift = affine(self.in_pixels_of(tensor, self.elements), self.group)
        result = on_lattice(matrix, shift, TOLERANCE, (tensor.shape[-2], tensor.shape[-1]))
        if isinstance(value, GroupSignal):
            result &= permutations(value, matrix)[1].to(result.device)
        return result.cpu()

    def cast(self, tensor: Tensor) -> Tensor:
        """The tensor in the dtype of the transforms."""
        return tensor if self.dtype is None or not tensor.is_floating_point() else tensor.to(self.dtype)

    def distance(self, a: Tensor, b: Tensor, value: Output) -> tuple[Tensor, Tensor, Tensor]:
        """Norms ``|a - b|``, ``|a|``, ``|b|`` inside the mask, each ``(E, B)`` in float64."""
        if isinstance(value, Moved):
            a, b = laws.measured(a, b, value.law, self)
        weight = self.weight(value)
        return _norm(a - b, weight), _norm(a, weight), _norm(b, weight)

    def weight(self, value: Output) -> Tensor | None:
        """Where two outputs are compared: ``(H, W)``, for every element its own ``(E, H, W)``, or all (``None``).

        The mask ``"overlap"`` leaves out what g or its inverse bring in from outside the frame; scalings always do.
        """
        tensor, invented = tensor_of(value), self.padding != "circular" and self.mask != "none"
        if isinstance(value, Moved) and value.law.kind == "series" and invented:
            return self._known(*laws.in_the_plane(tensor, self), 1, tensor.shape[-1])
        if not is_spatial(value):
            return None
        height, width = tensor.shape[-2:]
        frame = _frame("none" if self.mask == "overlap" else self.mask, height, width)
        if self.mask == "overlap" or (not self.group.isometric and invented):
            return frame * self._known(*affine(self.in_pixels_of(tensor, self.elements), self.group), height, width)
        return frame

    def _known(self, matrix: Tensor, shift: Tensor, height: int, width: int) -> Tensor:
        inside = overlap_mask(height, width, matrix, shift, self.margin / laws.pitch(self.input_size[-1], width))
        if not bool(inside.flatten(1).any(1).all()):
            raise ValueError(
                f"elements of {self.group.name} that move a frame of {height} x {width} out of itself were given; "
                "expected smaller shifts and scalings, or padding='circular'; nothing is left to compare."
            )
        return inside

    def entries(self, value: Output) -> float | Tensor:
        """Numbers compared per sample, one number or ``(E, 1)``: what turns a norm into a root mean square."""
        tensor, weight = tensor_of(value), self.weight(value)
        if weight is None:
            return float(tensor[0].numel())
        pixels = weight.double().flatten(-2).sum(-1)
        share = tensor[0].numel() / weight.shape[-1] / weight.shape[-2]
        return float(pixels) * share if weight.ndim == 2 else pixels.unsqueeze(1) * share


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # what is kept must serve elsewhere as well
def _frame(mask: str, height: int, width: int) -> Tensor:
    return named_mask(mask, height, width)


def _norm(x: Tensor, weight: Tensor | None) -> Tensor:
    """Root of the summed squares of ``x (E, B, ...)``, weighted over pixels, ``(E, B)`` in float64."""
    # Squares are summed over pixels in the tensor's own dtype, which is twice as fast, and over the rest in float64.
    squares, weight = x.square(), None if weight is None else weight.to(x)
    if weight is None:
        squares = squares.reshape(*x.shape[:2], -1)
    elif weight.ndim == 2:
        squares = squares.flatten(-2).flatten(2, -2) @ weight.flatten()
    else:
        pixels = weight[0].numel()
        squares = squares.reshape(*x.shape[:2], -1, pixels) @ weight.view(-1, 1, pixels, 1)
        squares = squares.squeeze(-1)
    return squares.sum(-1, dtype=torch.float64).sqrt().cpu()


def tensor_of(value: Output) -> Tensor:
    """The bare numbers of an output."""
    return value.values if isinstance(value, GroupSignal | Moved) else value


def with_tensor(value: Output, tensor: Tensor) -> Output:
    """The same kind of output with other numbers."""
    if isinstance(value, GroupSignal):
        return value.with_values(tensor)
    return replace(value, values=tensor) if isinstance(value, Moved) else tensor


def is_spatial(value: Output) -> bool:
    """Whether the plane acts on it: signals, maps and fields, not vectors."""
    if isinstance(value, Moved):
        return value.law.kind in ("image", "vector field")
    return isinstance(value, GroupSignal) or value.ndim == 4


def shaped(value: Output, law: Behaviour, like: Output | None = None) -> Output:
    """An output in the form in which its law moves it; whole numbers are labels and become one channel each.

    Args:
        value: what the model put out.
        law: how it moves.
        like: an output already in that form, with as many labels as this one is to have.

    Raises:
        ValueError: for a shape that the law does not fit.
    """
    if isinstance(value, GroupSignal):
        return value.values.flatten(1) if law.kind == "invariant" else value
    assert isinstance(value, Tensor)  # a result is wrapped only here
    if not value.is_floating_point():
        value = _one_hot(value, None if like is None else tensor_of(like).shape[1])
    fits = _FITS.get(law.kind, lambda shape: True)
    if not fits(value.shape):
        raise ValueError(f"an output of shape {tuple(value.shape)} was given as {law}; declare another output.")
    if law.kind == "invariant":
        return value.flatten(1) if value.ndim > 2 else value
    if law.kind == "image":
        return value if value.ndim == 4 else value.unsqueeze(1)
    return Moved(value, law)


_FITS = {
    "image": lambda shape: len(shape) in (3, 4),
    "vector field": lambda shape: len(shape) == 4 and shape[1] % 2 == 0,
    "series": lambda shape: len(shape) in (2, 3),
    "key points": lambda shape: len(shape) in (2, 3) and shape[-1] % 2 == 0,
    "boxes": lambda shape: len(shape) in (2, 3) and shape[-1] == 4,
    "group signal": lambda shape: False,
    **dict.fromkeys(("points", "vectors", "irreps", "set"), lambda shape: len(shape) > 1),
}


def _one_hot(labels: Tensor, count: int | None) -> Tensor:
    """Labels ``(B, ...)`` as ``(B, K, ...)`` of zeros and ones; labels from K - 1 on share the last channel."""
    labels = labels.long()
    if count is None:
        if not 0 <= int(labels.min()) or int(labels.max()) > MOST_LABELS:
            raise ValueError(
                f"whole numbers from {int(labels.min())} to {int(labels.max())} were put out; expected labels from 0 "
                f"to {MOST_LABELS}, or scores as floating-point numbers."
            )
        count = int(labels.max()) + 2
    return torch.nn.functional.one_hot(labels.clamp(0, count - 1), count).movedim(-1, 1).to(torch.float32)


def error_of(form: str, norms: tuple[Tensor, Tensor, Tensor], entries: float | Tensor, eps: float) -> Tensor:
    """One of the :data:`FORMS` from ``|a - b|``, ``|a|``, ``|b|``; b is the reference."""
    difference, first, second = norms
    if form == "absolute":
        return difference / entries**0.5
    if form == "symmetric":
        return 2 * difference / (first + second + eps)
    return difference / (second + eps)

"""Layers that stand in for those that break a symmetry: same sizes, same weights where they can be kept."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from workbench.actions import transform_images
from workbench.groups import Group, GroupSignal
from workbench.measure.behaviour import Behaviour, Moved, candidates, parse_behaviour
from workbench.measure.compare import Action, shaped


class MeanOverPlaces(nn.Module):
    """Flatten, after every place was given the mean over all of them; what follows keeps its size.

    Args:
        members: the places are the members of a set ``(B, N, F)``, not those of a map or series.
    """

    def __init__(self, members: bool = False):
        super().__init__()
        self.members = members

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to ``(B, C H W)``, ``(B, C, L)`` to ``(B, C L)``, ``(B, N, F)`` to ``(B, N F)``."""
        dims = (1,) if self.members else tuple(range(2, x.ndim))
        return x.mean(dims, keepdim=True).expand_as(x).flatten(1)


class Centred(nn.Module):
    """Subtract the mean of the points from their coordinates.

    Args:
        dim: the first numbers of each point, which are its coordinates.
        last: the points stand on the last axis, ``(B, d, N)``, not on the second, ``(B, N, d)``.
    """

    def __init__(self, dim: int, last: bool = False):
        super().__init__()
        self.dim, self.last = dim, last

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as x."""
        x = x.transpose(1, 2) if self.last else x
        places = x[..., : self.dim]
        x = torch.cat([places - places.mean(1, keepdim=True), x[..., self.dim :]], -1)
        return x.transpose(1, 2) if self.last else x


class Blur(nn.Module):
    """Keep every ``stride``-th pixel of a map after a binomial low-pass, placed symmetrically, ``count`` pixels a side.

    Source: Zhang 2019 (arXiv 1904.11486), section 3; the symmetric placement is derived here.
    """

    def __init__(self, stride: int, circular: bool = False):
        super().__init__()
        self.stride, self.circular = stride, circular

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` or ``(B, C, L)`` to as many places as every ``stride``-th is."""
        if x.ndim == 3:
            return self._along(x.unsqueeze(-2), -1).squeeze(-2)
        for dim in (-2, -1):
            x = self._along(x, dim)
        return x

    def _along(self, x: Tensor, dim: int) -> Tensor:
        rest, margin = (x.shape[dim] - 1) % self.stride, self.stride - 1
        taps = x.new_ones(1)
        for _ in range(2 * margin + rest):
            taps = functional.conv1d(taps.view(1, 1, -1), x.new_full((1, 1, 2), 0.5), padding=1).flatten()
        source = torch.arange(-margin, x.shape[dim] + margin, device=x.device)
        size = x.shape[dim]
        x = x.index_select(dim, source % size if self.circular else source.clamp(0, size - 1))
        shape = (1, 1, -1, 1) if dim == -2 else (1, 1, 1, -1)
        step = (self.stride, 1) if dim == -2 else (1, self.stride)
        kept = functional.conv2d(x.flatten(0, 1).unsqueeze(1), taps.view(shape), stride=step)
        return kept.view(*x.shape[:2], *kept.shape[-2:])


class Gate(nn.Module):
    """Scale vectors by a growing function of their length, ``v |v| / (1 + |v|)``: it turns nothing.

    Args:
        components: consecutive numbers along ``dim`` that make one vector.
    """

    def __init__(self, components: int = 2, dim: int = 1):
        super().__init__()
        self.components, self.dim = components, dim

    def forward(self, x: Tensor) -> Tensor:
        """Same shape and group action as ``x (B, C, ...)``."""
        vectors = x.unflatten(self.dim, (-1, self.components))
        length = torch.linalg.vector_norm(vectors, dim=self.dim + 1, keepdim=True)
        return (vectors * (length / (1 + length))).flatten(self.dim, self.dim + 1)


class Averaged(nn.Module):
    """The mean over a finite list of elements g of g^-1 f(g x): equivariant under a group of them, whatever f is.

    Args:
        output: how the answer moves, and so how it is moved back, as in :func:`equivariance_error`; ``"auto"`` takes
            maps ``(B, C, H, W)`` and labels ``(B, H, W)`` for images, ``(B, K)`` for invariant, and signals as such.

    Raises:
        ValueError: where an answer of that shape cannot be moved back without a declared output.
    """

    def __init__(
        self,
        model: nn.Module,
        group: Group,
        elements: Tensor,
        padding: str = "border",
        output: str | Behaviour = "auto",
    ):
        super().__init__()
        self.model, self.group, self.elements, self.padding = model, group, elements, padding
        self.law = None if str(output) == "auto" else parse_behaviour(output)

    def forward(self, x: Tensor) -> Tensor | GroupSignal:
        """Images ``(B, C, H, W)`` to what the model makes of them, at as many times the cost as there are elements.

        Of labels, which have no mean, the one that most elements give; of as many, the first.
        """
        moved = transform_images(x, self.elements, self.group, padding=self.padding)
        action = Action(self.elements, self.group, "bicubic", self.padding, "none", (x.shape[-2], x.shape[-1]))
        answers = [self.model(part) for part in moved]
        first = answers[0]
        if isinstance(first, GroupSignal):
            return first.with_values(action.back(torch.stack([one.values for one in answers]), first).mean(0))
        stacks, law = torch.stack(answers), self.law or self._usual(first, x)
        shaped(first, law)  # says what does not fit
        if first.is_floating_point():
            return action.back(stacks, Moved(stacks, law)).mean(0)
        votes = functional.one_hot(stacks.long()).movedim(-1, 2).to(torch.float32)
        return action.back(votes, Moved(votes, law)).sum(0).argmax(1).to(first.dtype)

    def _usual(self, answer: Tensor, x: Tensor) -> Behaviour:
        law = next(iter(candidates(answer, x, self.group, "image")), None)
        if law is None or law.kind not in ("image", "invariant"):
            raise ValueError(
                f"an answer of shape {tuple(answer.shape)} was given and not how it moves; expected output=, for "
                "example 'image' or 'key points in pixels', to move it back before it is averaged."
            )
        return law


def widened(weight: Tensor, rests: tuple[int, int]) -> Tensor:
    """Kernels ``(..., h, w)`` averaged over neighbouring places, ``(..., h + rest, w + rest)``."""
    result = functional.pad(weight, [0, rests[1], 0, rests[0]]) * 0
    for down in range(rests[0] + 1):
        for right in range(rests[1] + 1):
            result += functional.pad(weight, [right, rests[1] - right, down, rests[0] - down])
    return result / ((rests[0] + 1) * (rests[1] + 1))


def squared(weight: Tensor) -> Tensor:
    """Kernels ``(..., h, w)`` in a square of the longer side, averaged with their transposes."""
    side = max(weight.shape[-2:])
    for dim in (-2, -1):
        lack = side - weight.shape[dim]
        if lack % 2:
            weight = widened(weight, (1, 0) if dim == -2 else (0, 1))
            lack -= 1
        weight = functional.pad(weight, [0, 0, lack // 2, lack // 2] if dim == -2 else [lack // 2, lack // 2])
    return (weight + weight.transpose(-2, -1)) / 2


def exchanged(model: nn.Module, old: nn.Module, new: nn.Module) -> nn.Module:
    """The model with one module in place of another, wherever it is used; ``new`` where it is the whole model."""
    if model is old:
        return new
    # all places first: the new module may hold the old one
    places = [(parent, name) for parent in model.modules() for name, child in parent._modules.items() if child is old]
    for parent, name in places:
        parent._modules[name] = new
    return model

"""Infinitesimal group elements on images, maps and signals: X f = d/dt f(g_t^-1 p) at t = 0, by central differences."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from workbench.actions import named_mask
from workbench.actions.signals import interpolation
from workbench.groups import Group, GroupSignal
from workbench.groups.base import rotation_matrix
from workbench.measure.compare import is_spatial, tensor_of
from workbench.measure.probe import IMAGE_DIMS, Output, PartialSignal
from workbench.measure.workplace import Flow, Workplace, differences, lies_channels_last

UNITS = {"rotation": "rad", "translation x": "pixel", "translation y": "pixel", "scale": "e-fold"}
"""The one-parameter groups, and the unit of their parameter."""
_NAMES = {"SO2": "rotation", "O2": "rotation", "R2xSO2": "rotation", "R2xO2": "rotation", "Scale": "scale"}
_SMALL = 1e-5  # radians: half the step of the difference quotient along the group axis, in float64


def named_generator(group: Group | str) -> str:
    """The one-parameter group that is meant: one of :data:`UNITS`.

    >>> named_generator("SO2"), named_generator("translation x")
    ('rotation', 'translation x')

    Raises:
        ValueError: for a finite group, which has no infinitesimal element, or one of several directions.
    """
    name = str(group)
    if name in UNITS:
        return name
    if name not in _NAMES:
        raise ValueError(
            f"group = {name!r} was given; expected one that moves along one direction: "
            f"{', '.join(map(repr, UNITS))} or 'SO2'; finite groups have no infinitesimal element."
        )
    return _NAMES[name]


@dataclass
class Generator:
    """One infinitesimal element, how it moves an output, and how far the model is from moving along.

    Positive: counter-clockwise, to the right, upwards, larger. A map smaller than the input by a whole factor is
    taken to have coarser pixels.
    """

    name: str
    input_size: tuple[int, int]
    mask: str = "disc"
    padding: str = "border"
    _kept: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)
    dims: ClassVar[tuple[int, ...]] = IMAGE_DIMS

    @property
    def unit(self) -> str:
        """Of the group's parameter."""
        return UNITS[self.name]

    def shaped(self, name: str, value: Output) -> Output:
        """An output in the form in which it moves."""
        return value

    def moved(self, images: Tensor) -> Tensor:
        """X x of images ``(B, C, H, W)``: the direction in which they start to move."""
        of = images.contiguous().unsqueeze(-1)
        result, spare, everywhere = torch.zeros_like(of), torch.empty_like(of), torch.ones(images.shape[-2:])
        for dim, speed in self._flow(images):
            for after, before, difference in differences(of, spare, dim - 1, self.padding, everywhere):
                torch.sub(after, before, out=difference)
            result.addcmul_(spare, speed.unsqueeze(-1), value=-1)
        return result.squeeze(-1)

    def sums(self, both: Output, step: float, apart: bool = True) -> np.ndarray:
        """Sums over all but channels of ``c^2``, ``t^2`` and ``t``, where c = 2 step (J v - X f) and t = 2 f.

        Args:
            both: f(x + step v), and after it f(x - step v), in one batch ``(2 B, ...)``.
            apart: of each channel; otherwise channels may be summed, and ``t`` may be missing.

        Returns:
            ``(3, B, C)`` in float64, ``(2, B, C)`` or ``(2, B, 1)`` if not ``apart`` or where there is no map.
        """
        tensor = tensor_of(both).detach()
        if not is_spatial(both):
            first, second = tensor.reshape(2, len(tensor) // 2, -1)
            parts = (first - second).square_(), (first + second).square_()
            return np.stack([part.sum(1, keepdim=True, dtype=torch.float64).cpu().numpy() for part in parts])
        along = self._along_group(both)
        key = (tensor.shape, tensor.dtype, tensor.device, lies_channels_last(tensor))
        if key not in self._kept:
            self._kept[key] = Workplace(tensor, self._flow(tensor), self.mask, self.padding)
        return self._kept[key].sums(tensor, along, step, apart)

    def _flow(self, of: Tensor) -> Flow:
        height, width = of.shape[-2:]
        before, after = (self.input_size[1], width) if self.input_size[0] == 1 else (self.input_size[0], height)
        pitch = max(1, round(before / after))
        fields = _velocity(self.name, height, width, pitch, of.dtype, of.device)
        sides = zip((-1, -2), fields, (width, height), strict=True)
        return [(dim, speed) for dim, speed, side in sides if speed is not None and side > 1]

    def _along_group(self, value: Output) -> Tensor | None:
        """How X acts along the group axis, ``(G, G)``; ``None`` where it does not."""
        if not isinstance(value, GroupSignal) or self.name != "rotation":
            return None
        if isinstance(value, PartialSignal):
            raise ValueError("it answers on a learned arc, whose ends have no derivative; use equivariance_error.")
        # by their numbers: layers make their elements anew in every pass
        key = value.group.name, value.elements.detach().cpu().numpy().tobytes(), value.values.dtype
        if key not in self._kept:
            both = interpolation(value, rotation_matrix(torch.tensor([_SMALL, -_SMALL], dtype=torch.float64)))
            self._kept[key] = ((both[0] - both[1]) / (2 * _SMALL)).to(value.values)
        return self._kept[key]

    def entries(self, value: Output) -> float:
        """Numbers compared per sample: what turns a norm into a root mean square."""
        tensor = tensor_of(value)
        if not is_spatial(value):
            return float(tensor[0].numel())
        return tensor[0].numel() * _share(self.mask, tensor.shape[-2], tensor.shape[-1])


@lru_cache(maxsize=64)
def _share(mask: str, height: int, width: int) -> float:
    """Of the frame that is inside the mask."""
    return float(named_mask(mask, height, width).mean())


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # what is kept must serve elsewhere as well
def _velocity(
    name: str, height: int, width: int, pitch: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor | None, Tensor | None]:
    """Half of how fast each pixel moves along rows and columns, in its own pixels per unit; ``None`` where it rests."""
    x = (torch.arange(width, dtype=torch.float64) - (width - 1) / 2).expand(height, width)
    y = ((height - 1) / 2 - torch.arange(height, dtype=torch.float64)).unsqueeze(-1).expand(height, width)
    one = torch.full_like(x, 1 / pitch)
    fields: dict[str, tuple[Tensor | None, Tensor | None]] = {
        "rotation": (-y, x), "translation x": (one, None), "translation y": (None, one), "scale": (x, y)
    }  # fmt: skip
    right, up = fields[name]
    along_rows = None if right is None else (right / 2).to(device, dtype)
    return along_rows, None if up is None else (-up / 2).to(device, dtype)

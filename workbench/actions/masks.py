"""Where errors are compared, and how smooth the inputs are: the disc mask and the Gaussian filter."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from workbench.actions.images import check_images, source_points

MASKS = ("disc", "centre", "none")
_REACH = 4.0  # the Gaussian is cut at this many sigmas, where it has fallen to 3e-4 of its peak


def disc_mask(height: int, width: int, margin: float = 0.0, dtype: torch.dtype = torch.float32) -> Tensor:
    """One inside the largest centred disc of the frame, zero outside, shape ``(H, W)``.

    A pixel is inside when its centre lies within min(H, W) / 2 - margin pixels of the image centre. Every
    rotation and mirror image maps the disc onto itself, so nothing from outside the frame enters it.

    >>> disc_mask(4, 4).sum()
    tensor(12.)

    Raises:
        ValueError: for an empty frame, or a margin that leaves no disc.
    """
    sides = all(isinstance(side, int) for side in (height, width)) and isinstance(margin, int | float)
    if not sides or height < 1 or width < 1 or not 0 <= margin < min(height, width) / 2:
        raise ValueError(
            f"disc_mask: a frame of {height} x {width} pixels with margin {margin} was given; expected at least "
            "one pixel and 0 <= margin < min(H, W) / 2; use margin 0."
        )
    x = torch.arange(width, dtype=torch.float64) - (width - 1) / 2
    y = torch.arange(height, dtype=torch.float64) - (height - 1) / 2
    radius = min(height, width) / 2 - margin
    return (y[:, None] ** 2 + x[None, :] ** 2 <= radius**2).to(dtype)


def named_mask(name: str, height: int, width: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """The mask of that name, shape ``(H, W)``.

    ``"disc"`` is the inscribed disc, ``"centre"`` the disc of half its radius, ``"none"`` the whole frame.

    Raises:
        ValueError: for another name.
    """
    if name == "none":
        return torch.ones(height, width, dtype=dtype)
    if name == "disc":
        return disc_mask(height, width, 0.0, dtype)
    if name == "centre":
        return disc_mask(height, width, min(height, width) / 4, dtype)
    raise ValueError(f"mask = {name!r} was given; expected one of {', '.join(map(repr, MASKS))}.")


def overlap_mask(height: int, width: int, matrix: Tensor, shift: Tensor, margin: float = 0.0) -> Tensor:
    """One where both g and its inverse lead to a place within the frame, shape ``(E, H, W)``.

    Outside of it a moved image shows what the padding invented, and there is nothing to compare.

    Args:
        matrix, shift: linear parts ``(E, 2, 2)`` and shifts ``(E, 2)`` in pixels of the elements.
        margin: pixels next to the frame that do not count as within it, such as half a receptive field.

    >>> shift = torch.tensor([[1.0, 0.0]])
    >>> overlap_mask(2, 4, torch.eye(2).unsqueeze(0), shift)[0]
    tensor([[0., 1., 1., 0.],
            [0., 1., 1., 0.]])
    """
    inverse = torch.linalg.inv(matrix)
    back = -(inverse @ shift.unsqueeze(-1)).squeeze(-1)
    inside = torch.ones(len(matrix), height, width, dtype=torch.bool)
    reach = torch.tensor([max(side / 2 - margin, 0.5) for side in (width, height)], dtype=matrix.dtype)
    for linear, offset in ((matrix, shift), (inverse, back)):
        # source_points reads at the inverse; the tolerance keeps pixels that land on the rim but for rounding
        points = source_points(linear, offset, height, width)
        inside &= (points.abs() <= reach - 0.5 + 1e-6).all(-1)
    return inside.float()


def smooth(x: Tensor, sigma_px: float) -> Tensor:
    """Gaussian filter of standard deviation ``sigma_px`` pixels on ``(..., H, W)``; edge pixels are repeated.

    Symmetric, so it commutes with quarter turns and flips; ``sigma_px = 0`` gives the images back.

    >>> import torch
    >>> smooth(torch.ones(1, 1, 5, 5), 2.0).allclose(torch.ones(1, 1, 5, 5))
    True

    Raises:
        ValueError: for a negative or infinite sigma, or what is no image.
    """
    check_images(x, lowest=2)
    widest = max(x.shape[-2:])
    if not isinstance(sigma_px, int | float) or not 0 <= sigma_px <= widest:
        raise ValueError(
            f"sigma_px = {sigma_px!r} was given; expected a width in pixels from 0 (nothing changes) to "
            f"{widest}, the size of the image."
        )
    if sigma_px == 0:
        return x
    reach = max(1, math.ceil(_REACH * sigma_px))
    offset = torch.arange(-reach, reach + 1, dtype=torch.float64)
    weight = torch.exp(-0.5 * (offset / sigma_px) ** 2)
    weight = (weight / weight.sum()).to(x)
    flat = x.reshape(-1, 1, *x.shape[-2:])
    flat = functional.conv2d(_repeat_edges(flat, reach, -1), weight.view(1, 1, 1, -1))
    flat = functional.conv2d(_repeat_edges(flat, reach, -2), weight.view(1, 1, -1, 1))
    return flat.view(x.shape)


def _repeat_edges(x: Tensor, reach: int, dim: int) -> Tensor:
    source = torch.arange(-reach, x.shape[dim] + reach, device=x.device).clamp(0, x.shape[dim] - 1)
    return x.index_select(dim, source)

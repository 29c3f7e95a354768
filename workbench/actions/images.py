"""How group elements act on images: (L_g f)(p) = f(g^-1 p), p = (x, y) in pixels from the centre, y up.

Elements that map the pixel grid onto itself act by moving pixels; all others by a named resampler.
Pixel centres follow the ``align_corners=False`` convention.
"""

import torch
from torch import Tensor
from torch.nn import functional

from workbench.actions.fourier import embed, rotate_fourier
from workbench.actions.lattice import TOLERANCE, affine, move, on_lattice
from workbench.groups import Group
from workbench.groups.base import check_floating

RESAMPLERS = ("nearest", "bilinear", "bicubic", "fourier")
PADDINGS = ("zeros", "border", "circular")
_STENCIL = 2  # pixels that the widest resampling kernel (bicubic) reaches beyond the sampled point


def transform_image(
    x: Tensor, g: Tensor, group: Group, *, resampler: str = "bicubic", padding: str = "zeros"
) -> Tensor:
    r"""Act with one element on images: :math:`(L_g f)(p) = f(g^{-1} p)`.

    Args:
        x: images ``(..., C, H, W)`` or ``(H, W)``, floating point.
        g: one element ``(element_dim,)``; angles in radians, positive counter-clockwise as seen on screen;
            shifts in pixels, x to the right and y up.
        group: the group of ``g``.
        resampler: ``"nearest"``, ``"bilinear"``, ``"bicubic"`` (Keys' kernel, a = -0.75) or ``"fourier"``
            (three-shear, band-limited, square images). Not used by lattice elements.
        padding: what lies outside the frame: ``"zeros"``, ``"border"`` (nearest pixel) or ``"circular"``.

    Returns:
        Images of the same shape and dtype.

    Raises:
        ValueError: for integer images, NaN, another shape, or an unknown resampler or padding.

    >>> import math, torch
    >>> from workbench.groups import SO2
    >>> corner = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    >>> transform_image(corner, torch.tensor([math.pi / 2]), SO2())
    tensor([[0., 0.],
            [1., 0.]])
    """
    g = torch.as_tensor(g)
    if g.ndim != 1:
        raise ValueError(
            f"an element of shape {tuple(g.shape)} was given; expected one element ({group.element_dim},); "
            "use transform_images for several."
        )
    check_images(x, lowest=2)
    folded = x.reshape(1, -1, *x.shape[-2:])
    return act(folded, g.unsqueeze(0), group, resampler, padding).reshape(x.shape)


def transform_images(
    x: Tensor, elements: Tensor, group: Group, *, resampler: str = "bicubic", padding: str = "zeros"
) -> Tensor:
    """Act with every element on every image, in one resampling call: ``(B, C, H, W) -> (E, B, C, H, W)``.

    Args and errors as in :func:`transform_image`, with ``elements (E, element_dim)``.

    >>> import torch
    >>> from workbench.groups import SO2
    >>> transform_images(torch.rand(2, 3, 8, 8), SO2().grid(5), SO2()).shape
    torch.Size([5, 2, 3, 8, 8])
    """
    check_images(x, lowest=4)
    moved = act(x.reshape(1, -1, *x.shape[-2:]), elements, group, resampler, padding)
    return moved.view(len(moved), *x.shape)


def transform_each(
    x: Tensor, elements: Tensor, group: Group, *, resampler: str = "bicubic", padding: str = "zeros"
) -> Tensor:
    """Act with element e on the images ``x[e]`` only: ``(E, ..., H, W) -> (E, ..., H, W)``.

    Args and errors as in :func:`transform_image`, with ``elements (E, element_dim)``.
    """
    check_images(x, lowest=3)
    if len(x) != len(elements):
        raise ValueError(
            f"{len(x)} stacks of images and {len(elements)} elements were given; expected as many of each; "
            "use transform_images to act with every element on every image."
        )
    return act(x.reshape(len(x), -1, *x.shape[-2:]), elements, group, resampler, padding).view(x.shape)


def act(x: Tensor, elements: Tensor, group: Group, resampler: str, padding: str) -> Tensor:
    """The core: ``x (E or 1, K, H, W)`` and ``elements (E, element_dim)`` give ``(E, K, H, W)``."""
    return act_affine(x, *affine(elements, group), resampler, padding)


def act_affine(x: Tensor, matrix: Tensor, shift: Tensor, resampler: str, padding: str) -> Tensor:
    """The same for linear parts ``(E, 2, 2)`` and shifts ``(E, 2)`` in pixels, float64 on the CPU."""
    check_choice("resampler", resampler, RESAMPLERS)
    check_choice("padding", padding, PADDINGS)
    exact = on_lattice(matrix, shift, TOLERANCE, (x.shape[-2], x.shape[-1]))
    moved = x.new_empty(len(matrix), *x.shape[1:])
    rest = (~exact).nonzero().flatten()
    if len(rest):
        part = x if len(x) == 1 or len(rest) == len(matrix) else x[rest]
        resampled = _resample(part, matrix[rest], shift[rest], resampler, padding)
        if len(rest) == len(matrix):
            return resampled
        moved[rest] = resampled
    for e in exact.nonzero().flatten().tolist():
        moved[e] = move(x[e if len(x) > 1 else 0], matrix[e], shift[e], padding)
    return moved


def _resample(x: Tensor, matrix: Tensor, shift: Tensor, resampler: str, padding: str) -> Tensor:
    if resampler == "fourier":
        return rotate_fourier(x, matrix, shift, padding)
    height, width = x.shape[-2:]
    points = source_points(matrix, shift, height, width)
    column, row = points[..., 0] + (width - 1) / 2, (height - 1) / 2 - points[..., 1]
    if padding == "circular":
        x = embed(x, _STENCIL, padding)
        column, row = column % width + _STENCIL, row % height + _STENCIL
    size = x.new_tensor([x.shape[-1], x.shape[-2]], dtype=torch.float64)
    grid = (2 * torch.stack([column, row], -1) + 1) / size - 1
    return functional.grid_sample(
        x.expand(len(matrix), -1, -1, -1),
        grid.to(x),
        mode=resampler,
        padding_mode="border" if padding == "border" else "zeros",
        align_corners=False,
    )


def source_points(matrix: Tensor, shift: Tensor, height: int, width: int) -> Tensor:
    """Where each pixel centre comes from, g^-1 p: ``(E, H, W, 2)`` as (x, y) in pixels from the centre, y up."""
    x = torch.arange(width, dtype=matrix.dtype, device=matrix.device) - (width - 1) / 2
    y = (height - 1) / 2 - torch.arange(height, dtype=matrix.dtype, device=matrix.device)
    points = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)
    back = torch.linalg.inv(matrix)
    return torch.einsum("eij,ehwj->ehwi", back, points - shift[:, None, None, :])


def check_images(x: Tensor, lowest: int, name: str = "images") -> None:
    """Refuse what is no batch of finite floating-point images, with a sentence."""
    check_floating(x, name, numbers=True)
    if x.ndim < lowest or x.numel() == 0:
        letters = {2: "(..., H, W)", 3: "(E, ..., H, W)", 4: "(B, C, H, W)"}[lowest]
        raise ValueError(
            f"{name} of shape {tuple(x.shape)} were given; expected {letters} with no empty dimension; "
            "add the missing dimensions with unsqueeze."
        )
    if not torch.isfinite(torch.stack(torch.aminmax(x))).all():  # one pass over x, both of which keep a NaN
        raise ValueError(
            f"{name} with NaN or infinite values were given; expected finite numbers; "
            "replace them with torch.nan_to_num."
        )


def check_choice(name: str, given: str, choices: tuple[str, ...]) -> None:
    """Refuse a name that is not in ``choices``, with a sentence."""
    if given not in choices:
        raise ValueError(f"{name} = {given!r} was given; expected one of {', '.join(map(repr, choices))}.")

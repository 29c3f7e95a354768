"""Band-limited rotation by three shears, each an exact Fourier shift of rows or columns.

Unser, Thevenaz & Yaroslavsky 1995, "Convolution-based interpolation for fast, high-quality rotation of
images": with t = tan(phi / 2), R(phi) = S_x(-t) S_y(sin phi) S_x(-t), where S_x(a) maps (x, y) to
(x + a y, y). The nearest quarter turn is taken off first, so |phi| <= 45 degrees.
"""

import math

import torch
from torch import Tensor

from workbench.actions.lattice import angle_and_mirror, move


def rotate_fourier(x: Tensor, matrix: Tensor, shift: Tensor, padding: str) -> Tensor:
    """Act with ``E`` affine maps on ``x (E or 1, K, S, S)`` by Fourier shears; returns ``(E, K, S, S)``.

    Args:
        x: square images.
        matrix: ``(E, 2, 2)`` rotations, mirrored or not, acting on (x, y).
        shift: ``(E, 2)`` in pixels, x to the right and y up.
        padding: what lies outside the frame: ``"zeros"``, ``"border"`` or ``"circular"``.

    Raises:
        ValueError: for images that are not square, and for scalings.
    """
    size = x.shape[-1]
    if x.shape[-2] != size:
        raise ValueError(
            f"images of {x.shape[-2]} x {size} pixels were given to the resampler 'fourier'; expected square "
            "ones; pad them, or use the resampler 'bicubic'."
        )
    if bool(((matrix.mT @ matrix - torch.eye(2, dtype=matrix.dtype)).abs() > 1e-6).any()):
        raise ValueError(
            "a scaling or stretch was given to the resampler 'fourier'; expected rotations, mirrors and shifts, "
            "because it shears without changing the number of pixels; use the resampler 'bicubic'."
        )
    angle, mirror = angle_and_mirror(matrix)
    turns = (angle * (2 / math.pi)).round()
    rest = (angle - turns * (math.pi / 2)).to(x)
    margin = 0 if padding == "circular" and bool((rest == 0).all()) else _margin(size, shift)
    wide = embed(x, margin, padding)
    still = torch.zeros(2)
    quarter = torch.stack(
        [move(wide[e if len(wide) > 1 else 0], _quarter(turns[e]), still, padding) for e in range(len(matrix))]
    )
    turned = _shears(quarter, rest)
    flipped = torch.where((mirror < 0).view(-1, 1, 1, 1).to(x.device), turned.flip(-1), turned)
    if bool((shift != 0).any()):
        flipped = _translate(flipped, shift.to(x))
    return flipped[..., margin : margin + size, margin : margin + size]


def _margin(size: int, shift: Tensor) -> int:
    """Pixels added on each side: room for the corners of the sheared frame, and for the shift."""
    return math.ceil(0.5 * size) + 2 + math.ceil(float(shift.abs().max()))


def _quarter(turns: Tensor) -> Tensor:
    c, s = round(math.cos(float(turns) * math.pi / 2)), round(math.sin(float(turns) * math.pi / 2))
    return torch.tensor([[c, -s], [s, c]], dtype=torch.float64)


def embed(x: Tensor, margin: int, padding: str) -> Tensor:
    """``x (..., H, W)`` in a frame wider by ``margin`` pixels on every side, filled as ``padding`` says."""
    if margin == 0:
        return x
    if padding == "zeros":
        return torch.nn.functional.pad(x, [margin] * 4)
    for dim in (-2, -1):
        size = x.shape[dim]
        source = torch.arange(-margin, size + margin, device=x.device)
        source = source.clamp(0, size - 1) if padding == "border" else source % size
        x = x.index_select(dim, source)
    return x


def _shears(x: Tensor, angle: Tensor) -> Tensor:
    """Rotate ``x (E, K, S, S)`` counter-clockwise by ``angle (E,)``, at most 45 degrees."""
    # f(R(-angle) p) with R(-angle) = S_x(tan(angle / 2)) S_y(-sin angle) S_x(tan(angle / 2)).
    size = x.shape[-1]
    right = torch.arange(size, dtype=x.dtype, device=x.device) - (size - 1) / 2
    along_x = torch.tan(angle / 2).view(-1, 1) * (-right)  # y = -row: each row's own shift
    along_y = torch.sin(angle).view(-1, 1) * right  # rows grow downwards: the sign turns once more
    x = advance(x, along_x.unsqueeze(-1).unsqueeze(1), -1)
    x = advance(x, along_y.unsqueeze(-2).unsqueeze(1), -2)
    return advance(x, along_x.unsqueeze(-1).unsqueeze(1), -1)


def _translate(x: Tensor, shift: Tensor) -> Tensor:
    x = advance(x, -shift[:, 0].view(-1, 1, 1, 1), -1)
    return advance(x, shift[:, 1].view(-1, 1, 1, 1), -2)


def advance(x: Tensor, pixels: Tensor, dim: int) -> Tensor:
    """The periodic band-limited signal read ``pixels`` further along ``dim``; ``pixels`` broadcasts."""
    size = x.shape[dim]
    frequency = torch.fft.rfftfreq(size, dtype=x.dtype, device=x.device) * (2 * math.pi)
    frequency = frequency if dim == -1 else frequency.unsqueeze(-1)
    phase = torch.polar(torch.ones_like(frequency * pixels), frequency * pixels)
    return torch.fft.irfft(torch.fft.rfft(x, dim=dim) * phase, n=size, dim=dim)

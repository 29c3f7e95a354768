"""Irreps: reading them with sentences for mistakes, choosing among them, and the layouts of features.

A feature of irreps ``32x0e+16x1o`` is a tensor ``(..., 80)``: block after block, each row-major (multiplicity,
2l + 1), which is the layout ``mul_ir``. Components of a degree run m = -l..l with y as the polar axis, so ``1x1o`` is
the vector (x, y, z) itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from e3nn import o3
from torch import Tensor, nn

HIGHEST = 12
"""The highest degree whose spherical harmonics e3nn has."""
WIDEST = 1 << 20
_COEFFICIENTS = re.compile(r"_w3j_(\d+)_(\d+)_(\d+)$")
_EXAMPLE = "such as '8x0e+4x1o': multiplicity x degree, then e for even or o for odd"


def check_degree(what: str, degree: Any, highest: int = HIGHEST) -> int:
    """The degree l itself, a whole number from 0 to ``highest``.

    Raises:
        ValueError: for anything else.
    """
    if isinstance(degree, bool) or not isinstance(degree, int) or not 0 <= degree <= highest:
        why = f" (e3nn's spherical harmonics end at l = {HIGHEST})" if highest == HIGHEST else ""
        raise ValueError(f"{what} = {degree!r} was given; expected a whole number from 0 to {highest}{why}.")
    return degree


def parse_irreps(given: str | o3.Irreps, highest: int = HIGHEST) -> o3.Irreps:
    """e3nn's Irreps of a text, in the order in which they were written.

    Args:
        given: for example ``"8x0e+4x1o"``; degrees with a parity, ``e`` even or ``o`` odd under point reflection.
        highest: the largest degree allowed.

    Raises:
        ValueError: for a text that names no irreps, no number at all, or a degree above ``highest``.

    >>> parse_irreps("8x0e + 1o").dim
    11
    """
    if not isinstance(given, str | o3.Irreps):
        raise ValueError(f"irreps {given!r} were given; expected a text {_EXAMPLE}.")
    try:
        parsed = o3.Irreps(given)
    except (ValueError, TypeError):
        raise ValueError(f"irreps {given!r} were given; expected a text {_EXAMPLE}.") from None
    if not 1 <= parsed.dim <= WIDEST:
        raise ValueError(
            f"irreps {str(given)!r} of dimension {parsed.dim} were given; expected at least one number and at most "
            f"{WIDEST}, {_EXAMPLE}."
        )
    check_degree(f"irreps {str(given)!r}: the highest degree", parsed.lmax, highest)
    return parsed


def harmonic_irreps(lmax: int, channels: int = 1) -> o3.Irreps:
    """``channels`` of each degree 0..lmax with the parity of the spherical harmonics, (-1)^l.

    >>> harmonic_irreps(2, 8)
    8x0e+8x1o+8x2e
    """
    check_degree("lmax", lmax)
    return o3.Irreps([(channels, (degree, (-1) ** degree)) for degree in range(lmax + 1)])


def keep(irreps: str | o3.Irreps, which: str | o3.Irreps) -> o3.Irreps:
    """The blocks of ``irreps`` whose degree and parity ``which`` names; multiplicities in ``which`` mean nothing.

    e3nn 0.6's own ``Irreps.filter(keep="1o")`` silently returns none at all.

    >>> keep("2x1o+1x0e+3x2e", "1o+2e")
    2x1o+3x2e
    """
    kinds = {block.ir for block in parse_irreps(which)}
    return o3.Irreps([block for block in parse_irreps(irreps) if block.ir in kinds])


def drop(irreps: str | o3.Irreps, which: str | o3.Irreps) -> o3.Irreps:
    """The blocks of ``irreps`` whose degree and parity ``which`` does not name.

    >>> drop("2x1o+1x0e+3x2e", "1o+2e")
    1x0e
    """
    kinds = {block.ir for block in parse_irreps(which)}
    return o3.Irreps([block for block in parse_irreps(irreps) if block.ir not in kinds])


def mul_ir_to_degrees(x: Tensor, irreps: str | o3.Irreps) -> Tensor:
    """From e3nn's layout to one row for each (l, m): ``(..., D)`` to ``(..., (L+1)^2, C)``.

    Args:
        x: features ``(..., D)`` in the layout mul_ir.
        irreps: degrees 0..L in order, each C times, such as ``"8x0e+8x1o"``.

    Raises:
        ValueError: for other irreps, or features of another width.

    >>> mul_ir_to_degrees(torch.arange(8.0), "2x0e+2x1o")
    tensor([[0., 1.],
            [2., 5.],
            [3., 6.],
            [4., 7.]])
    """
    parsed, channels = _even_channels(irreps)
    blocks = _blocks(x, parsed)
    return torch.cat([block.unflatten(-1, (channels, -1)).mT for block in blocks], -2)


def degrees_to_mul_ir(x: Tensor, irreps: str | o3.Irreps) -> Tensor:
    """The inverse of :func:`mul_ir_to_degrees`: ``(..., (L+1)^2, C)`` to ``(..., D)``."""
    parsed, channels = _even_channels(irreps)
    if x.ndim < 2 or x.shape[-2] * channels != parsed.dim or x.shape[-1] != channels:
        raise ValueError(
            f"features of shape {tuple(x.shape)} were given for irreps {parsed}; expected (..., "
            f"{parsed.dim // channels}, {channels}), one row for each (l, m)."
        )
    rows = x.split([block.ir.dim for block in parsed], -2)
    return torch.cat([row.mT.flatten(-2) for row in rows], -1)


def mul_ir_to_ir_mul(x: Tensor, irreps: str | o3.Irreps) -> Tensor:
    """Turn each block from (multiplicity, 2l + 1) to (2l + 1, multiplicity); ``(..., D)`` stays ``(..., D)``.

    >>> mul_ir_to_ir_mul(torch.arange(6.0), "2x1o").tolist()
    [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
    """
    parsed = parse_irreps(irreps)
    blocks = zip(_blocks(x, parsed), parsed, strict=True)
    return torch.cat([values.unflatten(-1, (block.mul, -1)).mT.flatten(-2) for values, block in blocks], -1)


def ir_mul_to_mul_ir(x: Tensor, irreps: str | o3.Irreps) -> Tensor:
    """The inverse of :func:`mul_ir_to_ir_mul`."""
    parsed = parse_irreps(irreps)
    blocks = zip(_blocks(x, parsed), parsed, strict=True)
    return torch.cat([values.unflatten(-1, (-1, block.mul)).mT.flatten(-2) for values, block in blocks], -1)


def exact_module(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """One of e3nn's tensor products in another type, with Clebsch-Gordan coefficients as exact as that type allows.

    The module itself changes, and what holds products does so with all of them. Constants of other kinds, such as the
    grids of `S2Activation`, keep the digits that they have.
    ``.double()`` alone keeps those of the type in which the module was made, an error of 6e-8. Touches no state of the
    process, so that it serves in a thread among others.

    >>> layer = exact_module(o3.FullTensorProduct("1o", "1o"), torch.float64)
    >>> float(layer(*torch.eye(3, dtype=torch.float64)[:2])[3])
    0.70710678119
    """
    module = module.to(dtype)
    with torch.no_grad():
        for name, constant in module.named_buffers():
            if named := _COEFFICIENTS.search(name):
                constant.copy_(o3.wigner_3j(*map(int, named.groups()), dtype=dtype))
    return module


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Build e3nn's modules and matrices with constants of that type; what was the default comes back afterwards.

    e3nn stores Clebsch-Gordan coefficients and generators in torch's default type. The default is one for the whole
    process, so this is for tests and scripts; in a server use :func:`exact_module`.

    >>> with default_dtype(torch.float64):
    ...     o3.Irreps("1o").D_from_angles(*torch.zeros(3)).dtype
    torch.float64
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _blocks(x: Tensor, irreps: o3.Irreps) -> tuple[Tensor, ...]:
    if not isinstance(x, Tensor) or x.ndim < 1 or x.shape[-1] != irreps.dim:
        raise ValueError(
            f"features of shape {tuple(getattr(x, 'shape', ()))} were given for irreps {irreps}; expected (..., "
            f"{irreps.dim})."
        )
    return x.split([block.dim for block in irreps], -1)


def _even_channels(irreps: str | o3.Irreps) -> tuple[o3.Irreps, int]:
    parsed = parse_irreps(irreps)
    channels = parsed[0].mul
    if [block.ir.l for block in parsed] != list(range(len(parsed))) or any(block.mul != channels for block in parsed):
        raise ValueError(
            f"irreps {parsed} were given; expected each degree 0, 1, ... once, in order and with one multiplicity, "
            "such as '8x0e+8x1o+8x2e'."
        )
    return parsed, channels

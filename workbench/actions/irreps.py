"""How elements of SO(3), O(3) and E(3) act on features in e3nn's irreducible representations.

e3nn's vector ``1o`` has the components (x, y, z) of the same axes as ours, so D(g) of ``1x1o`` is the matrix of g
itself (tested). What differs is the polar axis of its spherical harmonics, y instead of z: in the words of
textbooks, with z as the polar axis, the order of its three components is (y, z, x).
"""

import functools
import warnings
from typing import Any

import torch
from torch import Tensor

from workbench.groups import E3, O3, SO3, Group


def transform_irreps(x: Tensor, elements: Tensor, group: Group, irreps: str) -> Tensor:
    r"""Act with every element on features: :math:`x \mapsto D(g) x`; shifts leave them as they are.

    Args:
        x: ``(B, ..., D)``, D the dimension of the irreps.
        elements: ``(E, element_dim)`` of SO3, O3 or E3.
        irreps: as e3nn writes them, for example ``"8x0e+4x1o"``.

    Returns:
        ``(E, B, ..., D)``.

    >>> group = O3()
    >>> reflection = torch.tensor([[1.0, 0.0, 0.0, 0.0, -1.0]])
    >>> transform_irreps(torch.ones(1, 5), reflection, group, "1x0e+1x0o+1x1o").flatten().tolist()
    [1.0, -1.0, -1.0, -1.0, -1.0]
    """
    matrix = irreps_matrices(irreps, elements, group).to(x)
    if not isinstance(x, Tensor) or x.ndim < 2 or x.shape[-1] != matrix.shape[-1]:
        raise ValueError(
            f"features of shape {tuple(x.shape)} were given for irreps {irreps}; expected (B, ..., {matrix.shape[-1]})."
        )
    return torch.einsum("eij,...j->e...i", matrix, x)


def irreps_matrices(irreps: str, elements: Tensor, group: Group) -> Tensor:
    """D(g) of every element, ``(E, D, D)`` in float64.

    Raises:
        ValueError: for another group, or irreps that e3nn cannot read.
    """
    if not isinstance(group, SO3 | O3 | E3):
        raise ValueError(f"irreps under {group.name} were given; expected the group SO3, O3 or E3.")
    elements = elements.detach().double().cpu()
    parsed = parse_irreps(irreps)
    turns = SO3().matrix(elements[:, :4])
    parity = elements[:, 4] if group.element_dim > 4 else elements.new_ones(len(elements))
    rows = []
    for count, irrep in parsed:
        block = _rotations(irrep.l, turns)
        rows += [block * parity.view(-1, 1, 1) if irrep.p < 0 else block] * count
    dims = [block.shape[-1] for block in rows]
    whole = elements.new_zeros(len(elements), sum(dims), sum(dims))
    start = 0
    for block, dim in zip(rows, dims, strict=True):
        whole[:, start : start + dim, start : start + dim] = block
        start += dim
    return whole


def _rotations(degree: int, matrix: Tensor) -> Tensor:
    """D of one degree for rotations ``(E, 3, 3)``: what turns e3nn's harmonics at p into those at g p, in float64.

    Solved for from the harmonics at fixed directions, because e3nn's own way over Euler angles and their arc cosine
    keeps only half of the digits near the poles.
    """
    directions, inverse = _directions(degree)
    turned = directions @ matrix.mT
    return (inverse @ _harmonics(degree, turned)).mT


@functools.cache
def _directions(degree: int) -> tuple[Tensor, Tensor]:
    count = 4 * (2 * degree + 1)
    z = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)
    directions = (SO3().grid(count, dtype=torch.float64).unsqueeze(1), z)
    points = SO3().act(*directions).squeeze(1)
    return points, torch.linalg.pinv(_harmonics(degree, points))


def _harmonics(degree: int, points: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # e3nn's own use of deprecated parts of torch
        from e3nn.o3 import spherical_harmonics

        return spherical_harmonics(degree, points, normalize=True)


@functools.cache
def parse_irreps(text: str) -> Any:
    """e3nn's Irreps of that text, with its dimension bounded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from e3nn.o3 import Irreps

    try:
        parsed = Irreps(text)
    except Exception as error:  # e3nn raises several kinds for one mistake
        raise ValueError(f"irreps {text!r} were given; expected a text such as '8x0e+4x1o'; {error}") from None
    if not 1 <= parsed.dim <= 4096 or parsed.lmax > 11:
        raise ValueError(
            f"irreps {text!r} of dimension {parsed.dim} were given; expected 1 to 4096 numbers and degrees up to 11."
        )
    return parsed

"""A frame for every edge, and the Wigner matrices of those frames, made once and shared by all layers.

The frame R of a direction n has R n = e_y, e3nn's polar axis, where Y^l(e_y) has the component m = 0 alone: this is
what the reduction to SO(2) rests on (Passaro & Zitnick 2023, arXiv 2302.03655, section 3). It is made without angles:

    n_y >= 0: the shortest rotation from n to e_y; otherwise that of -n, followed by diag(1, -1, -1)

and the matrices by the Clebsch-Gordan recursion, polynomial in R,

    D^0 = 1,  D^1 = R,  D^l = C^T (D^(l-1) x R) C,  C = sqrt(2l+1) W3j(l-1, 1, l).

Nothing here divides by the distance to a pole, so gradients are as good at n = e_y as anywhere.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from e3nn import o3
from torch import Tensor

from workbench.e3.irreps import check_degree

Blocks = tuple[Tensor, ...]
"""D^0, ..., D^L of E rotations: block l is ``(E, 2l+1, 2l+1)``, (L+1)(2L+1)(2L+3)/3 numbers for each edge."""


class EdgeFrames:
    """Directions of edges, their frames and the Wigner matrices of those, for every layer on the same graph.

    Args:
        vectors: ``(E, 3)`` from receiver to sender, x, y, z in any unit of length; none may be zero. Gradients reach
            them through every product that uses the frames.
        lmax: the highest degree L of the matrices.
        gauge: ``(E,)`` angles in radians by which each frame is turned further about e_y. No product depends on
            them; they are here to show that.

    Attributes:
        lengths: ``(E,)``.
        directions: ``(E, 3)``, n.
        rotations: ``(E, 3, 3)``, R with R n = e_y.
        wigner: D^0(R), ..., D^L(R), see :data:`Blocks`.

    Raises:
        ValueError: for another shape, numbers that are not finite, an edge of length zero.

    >>> frames = EdgeFrames(torch.tensor([[0.0, 2.0, 0.0], [3.0, 0.0, 4.0]]), lmax=2)
    >>> (frames.rotations @ frames.directions[:, :, None]).squeeze(-1).abs().round(decimals=5).tolist()
    [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]
    """

    def __init__(self, vectors: Tensor, lmax: int, gauge: Tensor | None = None):
        check_degree("EdgeFrames: lmax", lmax)
        _check_vectors(vectors)
        self.lmax = lmax
        self.vectors = vectors
        self.lengths = torch.linalg.vector_norm(vectors, dim=-1)
        self.directions = vectors / self.lengths[:, None]
        with torch.autocast(vectors.device.type, enabled=False):
            self.rotations = shortest_rotations(self.directions)
            if gauge is not None:
                self.rotations = _about_pole(gauge.to(vectors)) @ self.rotations
            self.wigner = wigner_matrices(self.rotations, lmax)
        self._harmonics: dict[tuple[int, bool], Tensor] = {}
        self._swapped: dict[tuple[int, bool], Tensor] = {}

    def __len__(self) -> int:
        return len(self.vectors)

    def harmonics(self, lmax: int) -> Tensor:
        """e3nn's spherical harmonics of the directions, ``(E, (lmax+1)^2)``, component normalisation; kept."""
        key = (lmax, torch.is_grad_enabled())
        if key not in self._harmonics:
            degrees = list(range(lmax + 1))
            self._harmonics[key] = o3.spherical_harmonics(degrees, self.directions, False, normalization="component")
        return self._harmonics[key]

    def swapped(self, degree: int) -> Tensor:
        """D^l with its rows m and -m exchanged, row m > 0 negated: S D^l, see :func:`exchange`; kept."""
        key = (degree, torch.is_grad_enabled())
        if key not in self._swapped:
            rows = self.wigner[degree].flip(1)
            signs = torch.ones(2 * degree + 1, 1, dtype=rows.dtype, device=rows.device)
            signs[degree + 1 :] = -1
            self._swapped[key] = rows * signs
        return self._swapped[key]


def exchange(degree: int) -> Tensor:
    """S, ``(2l+1, 2l+1)`` in float64: component m > 0 becomes minus component -m, and component -m becomes m.

    It is the quarter turn of each pair (m, -m), so it commutes with every rotation about the pole.

    >>> exchange(1)
    tensor([[ 0.,  0.,  1.],
            [ 0.,  1.,  0.],
            [-1.,  0.,  0.]], dtype=torch.float64)
    """
    matrix = torch.eye(2 * degree + 1, dtype=torch.float64).flip(0)
    matrix[degree + 1 :] *= -1
    return matrix


def shortest_rotations(directions: Tensor) -> Tensor:
    """Rotations ``(E, 3, 3)`` that take unit vectors ``(E, 3)`` to e_y, smooth but for a jump across n_y = 0.

    >>> shortest_rotations(torch.tensor([[0.0, -1.0, 0.0]])).diagonal(dim1=1, dim2=2).tolist()
    [[1.0, -1.0, -1.0]]
    """
    x, y, z = directions.unbind(-1)
    side = torch.where(y < 0, -torch.ones_like(y), torch.ones_like(y))
    share = 1 / (1 + side * y)
    across = -share * x * z
    rows = [1 - share * x * x, -side * x, across, x, y, z, side * across, -z, side * (1 - share * z * z)]
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def wigner_matrices(rotations: Tensor, lmax: int) -> Blocks:
    """D^0, ..., D^lmax of rotations ``(E, 3, 3)``: D^l(R) Y^l(u) = Y^l(R u), differentiable as often as wanted.

    The gradient is that along the group, where it is all that counts: what would leave the rotations is projected away.

    >>> quarter = torch.tensor([[[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]])
    >>> [tuple(block.shape) for block in wigner_matrices(quarter, 2)]
    [(1, 1, 1), (1, 3, 3), (1, 5, 5)]
    """
    if lmax == 0:
        return (torch.ones_like(rotations[:, :1, :1]),)
    blocks: Blocks = _Wigner.apply(rotations, lmax)
    return (torch.ones_like(rotations[:, :1, :1]), *blocks)


def recursion(rotations: Tensor, lmax: int) -> list[Tensor]:
    """D^1, ..., D^lmax by the recursion alone, whose own gradient is that of a polynomial in all nine numbers of R."""
    blocks = [rotations]
    turned_back = rotations.mT.reshape(-1, 3)
    for degree in range(2, lmax + 1):
        rows, low = 2 * degree + 1, 2 * degree - 1
        left, right = _coupling(degree, rotations.dtype, rotations.device)
        half = (turned_back @ left).view(-1, 3 * rows, low)
        whole = torch.bmm(half, blocks[-1]).view(-1, 3, rows, low).transpose(1, 2).reshape(-1, 3 * low)
        blocks.append((whole @ right).view(-1, rows, rows))
    return blocks


class _Wigner(torch.autograd.Function):
    """The recursion; its gradient by the generators, dD^l = (w . G^l) D^l where dR = [w] R, without the recursion's."""

    @staticmethod
    def forward(ctx, rotations, lmax):
        blocks = recursion(rotations, lmax)
        ctx.save_for_backward(rotations, *blocks[1:])
        ctx.set_materialize_grads(False)
        return tuple(block.clone() if block is rotations else block for block in blocks)

    @staticmethod
    def backward(ctx, *gradients):
        rotations, *rest = ctx.saved_tensors
        turn = rotations.new_zeros(len(rotations), 3)
        for degree, (block, gradient) in enumerate(zip((rotations, *rest), gradients, strict=True), 1):
            if gradient is not None:
                moment = torch.bmm(gradient, block.transpose(1, 2)).flatten(1)
                turn = turn + moment @ turning(degree, block.dtype, block.device)
        axes = turning(1, rotations.dtype, rotations.device).T.view(3, 3, 3)
        return torch.einsum("ea,aij,ejk->eik", turn, axes, rotations) / 2, None


@lru_cache(maxsize=128)
@torch.inference_mode(False)  # what is kept serves training, too
def turning(degree: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Generators of rotations about x, y and z, ``((2l+1)^2, 3)``: <A, G_a> of a matrix A is its row times column a."""
    return generators(degree).flatten(1).T.contiguous().to(device, dtype)


@lru_cache(maxsize=32)
@torch.inference_mode(False)  # what is kept serves training, too
def generators(degree: int) -> Tensor:
    """d D^l / d angle at the identity, about x, y and z: ``(3, 2l+1, 2l+1)`` in float64.

    >>> generators(1)[1]
    tensor([[ 0.,  0.,  1.],
            [ 0.,  0.,  0.],
            [-1.,  0.,  0.]], dtype=torch.float64)
    """
    if degree == 0:
        return torch.zeros(3, 1, 1, dtype=torch.float64)
    if degree == 1:
        x, y, z = torch.eye(3, dtype=torch.float64)
        basis = torch.eye(3, dtype=torch.float64)
        return torch.stack([torch.linalg.cross(axis.expand(3, 3), basis).T for axis in (x, y, z)]).contiguous() + 0.0
    coupling = _clebsch_gordan(degree).flatten(0, 1)
    low, first = generators(degree - 1), generators(1)
    one, three = torch.eye(2 * degree - 1, dtype=torch.float64), torch.eye(3, dtype=torch.float64)
    return torch.stack(
        [coupling.T @ (torch.kron(a, three) + torch.kron(one, b)) @ coupling for a, b in zip(low, first, strict=True)]
    )


@lru_cache(maxsize=128)
@torch.inference_mode(False)  # what is kept serves training, too
def _coupling(degree: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """C from both sides: ``(3, (2l+1)(2l-1))`` with R's row first, ``(3 (2l-1), 2l+1)``."""
    tensor = _clebsch_gordan(degree).to(device, dtype)  # (2l-1, 3, 2l+1)
    return tensor.permute(1, 2, 0).flatten(1).contiguous(), tensor.transpose(0, 1).flatten(0, 1).contiguous()


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _clebsch_gordan(degree: int) -> Tensor:
    """C of the recursion, ``(2l-1, 3, 2l+1)`` in float64; as a matrix of 2l+1 columns these are orthonormal."""
    return (2 * degree + 1) ** 0.5 * o3.wigner_3j(degree - 1, 1, degree, dtype=torch.float64)


def _about_pole(angles: Tensor) -> Tensor:
    """Rotations about e_y."""
    cos, sin, zero, one = angles.cos(), angles.sin(), torch.zeros_like(angles), torch.ones_like(angles)
    return torch.stack([cos, zero, sin, zero, one, zero, -sin, zero, cos], -1).unflatten(-1, (3, 3))


def _check_vectors(vectors: Tensor) -> None:
    if not isinstance(vectors, Tensor) or vectors.ndim != 2 or vectors.shape[1] != 3:
        given = f"shape {tuple(vectors.shape)}" if isinstance(vectors, Tensor) else f"a {type(vectors).__name__}"
        raise ValueError(f"edge vectors of {given} were given; expected a tensor (E, 3) of x, y, z.")
    if not vectors.is_floating_point():
        raise ValueError(
            f"edge vectors of {vectors.dtype} were given; expected float32 or float64; use vectors.float()."
        )
    squares = vectors.detach().square().sum(-1)
    if not bool(torch.isfinite(squares).all()):
        raise ValueError("edge vectors with NaN, infinite or far too large numbers were given; expected finite ones.")
    if not bool((squares > 0).all()):
        at = int((squares == 0).nonzero()[0, 0])
        raise ValueError(f"edge {at} has length 0 and no direction; leave out edges from a point to itself.")

"""Symmetry around any network of points: mean over a group, over frames read from the cloud, or in one standard pose.

Frames: O. Puny, M. Atzmon, H. Ben-Hamu, I. Misra, A. Grover, E. J. Smith, Y. Lipman, "Frame Averaging for Invariant and
Equivariant Network Design", ICLR 2022, arXiv 2110.03336. Canonical poses by Gram-Schmidt: S.-O. Kaba, A. K. Mondal, Y.
Zhang, Y. Bengio, S. Ravanbakhsh, ICML 2023, arXiv 2211.06489. Principal axes are not defined where the cloud's
covariance has equal eigenvalues, jump where they cross, and have slopes without bound near there:
:func:`eigenvalue_gap` tells how near. At equal eigenvalues the slope is NaN: every linear molecule in space has two.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

SPARE = 1e-12


def principal_frames(
    points: Tensor, weights: Tensor | None = None, *, reflections: bool = False
) -> tuple[Tensor, Tensor]:
    """Frames of principal axes with all signs, and the centre.

    The set of frames moves with the cloud; which eigenvector comes with which sign is the library's whim.

    Args:
        points: ``(B, N, d)``, d = 2 or 3.
        weights: of the points, ``(B, N)``, 0 for padding; all 1 if not given.
        reflections: all 2^d signs, for mirror images too, or the 2^(d - 1) that make rotations.

    Returns:
        Frames ``(B, F, d, d)`` whose columns are axes, of growing variance, and centres ``(B, d)``.

    Raises:
        ValueError: for other shapes, no weight, or coordinates that are not finite.

    >>> frames, centre = principal_frames(torch.tensor([[[0.0, 0.0], [2.0, 0.0], [1.0, 0.5]]]))
    >>> frames.shape, torch.linalg.det(frames).round().tolist()
    (torch.Size([1, 2, 2, 2]), [[1.0, 1.0]])
    """
    centred, weights, centre = _centred(points, weights)
    axes = torch.linalg.eigh(_covariance(centred, weights)).eigenvectors
    dim = points.shape[-1]
    signs = torch.cartesian_prod(*[axes.new_tensor([1.0, -1.0])] * dim)
    if not reflections:
        signs = signs[signs.prod(-1) > 0]
        axes = torch.cat([axes[..., :-1], axes[..., -1:] * torch.linalg.det(axes).sign()[:, None, None]], -1)
    return axes[:, None] * signs[:, None, :], centre


def eigenvalue_gap(points: Tensor, weights: Tensor | None = None) -> Tensor:
    """The smallest difference of eigenvalues of the covariance as a share of their sum, ``(B,)``; 0 for one point.

    >>> square = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]])
    >>> float(eigenvalue_gap(square)) < 1e-6, float(eigenvalue_gap(square * torch.tensor([1.0, 2.0]))) > 0.5
    (True, True)
    """
    centred, weights, _ = _centred(points, weights)
    values = torch.linalg.eigvalsh(_covariance(centred, weights))
    return values.diff(dim=-1).amin(-1) / values.sum(-1).clamp_min(SPARE)


def gram_schmidt(vectors: Tensor, *, reflections: bool = False) -> Tensor:
    """Orthonormal frames from vectors that turn with the cloud: ``(..., k, d)`` to ``(..., d, d)``, columns the axes.

    Args:
        vectors: d - 1 of them, or d with ``reflections``; linearly independent.
        reflections: the last axis is made from the last vector, so that a mirror image mirrors the frame; otherwise it
            completes a rotation.

    Raises:
        ValueError: for another number of vectors, or dependent ones: no frame follows from them.

    >>> gram_schmidt(torch.tensor([[2.0, 0.0, 0.0], [1.0, 1.0, 0.0]])).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    dim, wanted = vectors.shape[-1], vectors.shape[-1] - (not reflections)
    if dim not in (2, 3) or vectors.shape[-2] != wanted:
        raise ValueError(
            f"vectors of shape {tuple(vectors.shape)} were given; expected (..., {wanted}, {dim}) for frames "
            f"{'with' if reflections else 'without'} mirror images, d = 2 or 3."
        )
    longest = torch.linalg.vector_norm(vectors.detach(), dim=-1, keepdim=True).amax(-2)
    axes: list[Tensor] = []
    for vector in vectors.unbind(-2):
        rest = vector - sum(((vector * axis).sum(-1, keepdim=True) * axis for axis in axes), torch.zeros_like(vector))
        size = torch.linalg.vector_norm(rest, dim=-1, keepdim=True)
        if not bool((size > 1e-6 * longest).all()):
            raise ValueError(
                "vectors that are zero or depend on each other were given; expected independent ones: a symmetric "
                "cloud has no single frame that turns with it; average over principal_frames or a group instead."
            )
        axes.append(rest / size)
    if not reflections:
        last = torch.stack([-axes[0][..., 1], axes[0][..., 0]], -1) if dim == 2 else torch.linalg.cross(*axes)
        axes.append(last)
    return torch.stack(axes, -1)


class FrameAveraged(nn.Module):
    """A network seen in all frames of a cloud, and the mean of what it says.

    Args:
        network: points ``(B, N, d)`` and whatever else is passed on, to numbers ``(B, ...)``, or with ``vectors`` to
            points ``(B, N, d)``.
        frames: points and weights to frames and centres; by default the principal ones. With
            ``lambda points, weights: (gram_schmidt(read(points))[:, None], points.mean(1))`` one canonical pose.
        vectors: answers turn with the cloud and are turned back; otherwise they are invariant.
        moved: answers are positions, so that the centre is added as well; needs ``vectors``.
        detach: no slope through the frames, as in the released code; wrong for forces, which need it.

    >>> net = FrameAveraged(lambda points: points.pow(3).sum((1, 2)))
    >>> points = torch.tensor([[[0.0, 0.0], [2.0, 0.0], [1.0, 0.5]]])
    >>> torch.allclose(net(points), net(points.flip(-1) * torch.tensor([-1.0, 1.0]) + 3), atol=1e-5)
    True
    """

    def __init__(
        self, network: Callable[..., Tensor], frames: Callable[..., tuple[Tensor, Tensor]] = principal_frames, *,
        vectors: bool = False, moved: bool = False, detach: bool = False,
    ):  # fmt: skip
        super().__init__()
        if moved and not vectors:
            raise ValueError("moved = True was given with vectors = False; expected vectors = True for positions.")
        self.network, self.frames = network, frames
        self.vectors, self.moved, self.detach = vectors, moved, detach

    def forward(self, points: Tensor, *rest: Tensor, weights: Tensor | None = None) -> Tensor:
        """Points ``(B, N, d)`` and further arguments ``(B, ...)`` of the network to its mean over frames."""
        frames, centre = self.frames(points, weights)
        if self.detach:
            frames, centre = frames.detach(), centre.detach()
        count = frames.shape[1]
        seen = (points - centre[:, None])[:, None] @ frames
        if weights is not None:
            seen = seen * (weights > 0)[:, None, :, None]
        said = self.network(seen.flatten(0, 1), *(each.repeat_interleave(count, 0) for each in rest))
        said = said.unflatten(0, (len(points), count))
        if self.vectors:
            said = said @ frames.mT
        return said.mean(1) + (centre[:, None] if self.moved else 0)


class GroupAveraged(nn.Module):
    """A network of points averaged over matrices: exactly symmetric where they are a group, in the mean otherwise.

    Args:
        network: as in :class:`FrameAveraged`.
        matrices: ``(S, d, d)`` orthogonal, such as ``SO3().matrix(icosahedral_rotations())``.
        vectors: whether answers turn with the cloud.
    """

    matrices: Tensor

    def __init__(self, network: Callable[..., Tensor], matrices: Tensor, *, vectors: bool = False):
        super().__init__()
        self.average = FrameAveraged(network, self._frames, vectors=vectors)
        self.register_buffer("matrices", matrices)

    def _frames(self, points: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        _, _, centre = _centred(points, weights)
        return self.matrices.to(points).expand(len(points), -1, -1, -1), centre

    def forward(self, points: Tensor, *rest: Tensor, weights: Tensor | None = None) -> Tensor:
        """As :class:`FrameAveraged`."""
        return self.average(points, *rest, weights=weights)


def _centred(points: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Points less their centre, weights, and the centre."""
    weights = torch.ones_like(points[..., 0]) if weights is None else weights
    if points.ndim != 3 or points.shape[-1] not in (2, 3) or weights.shape != points.shape[:2]:
        raise ValueError(
            f"points {tuple(points.shape)} and weights {tuple(weights.shape)} were given; expected (B, N, 2) or "
            "(B, N, 3), and (B, N)."
        )
    total = weights.sum(-1, keepdim=True)
    if not bool(torch.isfinite(points).all()) or not bool((total > 0).all()):
        raise ValueError("NaN, infinite coordinates or a cloud without weight were given; expected finite points.")
    centre = (weights[..., None] * points).sum(1) / total
    return points - centre[:, None], weights, centre


def _covariance(centred: Tensor, weights: Tensor) -> Tensor:
    return torch.einsum("bn,bni,bnj->bij", weights, centred, centred)

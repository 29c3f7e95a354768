"""Permutations of n members of a set."""

from __future__ import annotations

import torch
from torch import Tensor

from workbench.groups.base import Group, check_count, check_elements

LARGEST = 100_000


class Symmetric(Group):
    """All orders of ``n`` members; an element is the list of places: member i goes to place ``g[i]``.

    Elements are whole numbers 0 ... n - 1 held as floats, so that they travel like those of any other group. ``order``
    stays ``None``, because nobody lists n! elements.

    >>> import torch
    >>> from workbench.groups import Symmetric
    >>> group = Symmetric(3)
    >>> cycle = torch.tensor([1.0, 2.0, 0.0])
    >>> group.product(cycle, cycle).tolist(), group.inverse(cycle).tolist()
    ([2.0, 0.0, 1.0], [2.0, 0.0, 1.0])
    """

    def __init__(self, n: int):
        self.n = self.dim = self.element_dim = check_count(n, "Symmetric(n)")
        if n > LARGEST:
            raise ValueError(f"Symmetric(n): n = {n} was given; expected at most {LARGEST} members; measure a part.")
        self.name = f"Symmetric({n})"

    def identity(self, dtype=torch.float32, device=None) -> Tensor:
        return torch.arange(self.n, dtype=dtype, device=device)

    def product(self, a: Tensor, b: Tensor) -> Tensor:
        check_elements(self, a, b)
        a, b = torch.broadcast_tensors(a, b)
        return a.gather(-1, b.round().long())

    def inverse(self, a: Tensor) -> Tensor:
        return a.round().long().argsort(-1).to(a.dtype)

    def exp(self, v: Tensor) -> Tensor:
        """A discrete group has no directions: coordinates are the element itself."""
        return v

    def log(self, g: Tensor) -> Tensor:
        return g

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """How many members end at different places (Hamming distance)."""
        a, b = torch.broadcast_tensors(a, b)
        return (a.round() != b.round()).sum(-1).to(a.dtype)

    def matrix(self, g: Tensor) -> Tensor:
        """The permutation matrix ``(..., n, n)``: one in row g[i], column i."""
        eye = torch.eye(self.n, dtype=g.dtype, device=g.device)
        return eye[self.inverse(g).long()]

    def grid(self, n=None, offset=0.0, dtype=torch.float32, device=None) -> Tensor:
        """The identity, then swaps of neighbours, then turns of the whole list, up to ``n`` elements; no even grid."""
        count = check_count(8 if n is None else n, f"{self.name}.grid")
        members = torch.arange(self.n, dtype=dtype, device=device)
        found = [members]
        for i in range(min(self.n - 1, max(0, count - 1) // 2 + 1)):
            swap = members.clone()
            swap[i], swap[i + 1] = members[i + 1], members[i]
            found.append(swap)
        turns = range(2 if self.n == 2 else 1, min(self.n, 1 + max(0, count - len(found))))  # of two, a turn is a swap
        found += [members.roll(k) for k in turns]
        return torch.stack(found[:count])

    def sample(self, n, generator=None, dtype=torch.float32, device=None) -> Tensor:
        n = check_count(n, f"{self.name}.sample")
        return torch.rand(n, self.n, generator=generator, device=device).argsort(-1).to(dtype)

    def contains(self, g: Tensor, tol: float = 1e-9) -> Tensor:
        members = torch.arange(self.n, dtype=g.dtype, device=g.device)
        return ((g.sort(-1).values - members).abs() <= tol).all(-1)

"""The reversal of a line: O(1), the group of +1 and -1."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from workbench.groups.base import Group, check_count, check_elements


class O1(Group):
    """The identity and the reversal of a line about its middle; an element is +1 or -1.

    >>> import torch
    >>> from workbench.groups import O1
    >>> O1().act(torch.tensor([-1.0]), torch.tensor([3.0])).tolist()
    [-3.0]
    """

    name = "O1"
    element_dim = 1
    dim = 1
    order = 2

    def identity(self, dtype=torch.float32, device=None) -> Tensor:
        return torch.ones(1, dtype=dtype, device=device)

    def product(self, a: Tensor, b: Tensor) -> Tensor:
        check_elements(self, a, b)
        return a * b

    def inverse(self, a: Tensor) -> Tensor:
        return a.clone()

    def exp(self, v: Tensor) -> Tensor:
        """0 stays, 1 crosses to the reversal."""
        return 1 - 2 * v

    def log(self, g: Tensor) -> Tensor:
        return (1 - g) / 2

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Infinite between the two, which are different components."""
        same = (a * b)[..., 0] > 0
        return torch.where(same, 0.0, math.inf).to(a.dtype)

    def matrix(self, g: Tensor) -> Tensor:
        return g.unsqueeze(-1)

    def grid(self, n=None, offset=0.0, dtype=torch.float32, device=None) -> Tensor:
        """Both elements, or the first alone; nothing lies between them, so ``offset`` changes nothing."""
        n = 2 if n is None else check_count(n, "O1.grid")
        if n > 2:
            raise ValueError(f"O1.grid: n = {n} was given; expected 1 or 2, as it has two elements; use n = 2.")
        return torch.tensor([[1.0], [-1.0]], dtype=dtype, device=device)[:n]

    def sample(self, n, generator=None, dtype=torch.float32, device=None) -> Tensor:
        n = check_count(n, "O1.sample")
        return 1 - 2 * torch.randint(2, (n, 1), generator=generator, device=device).to(dtype)

    def contains(self, g: Tensor, tol: float = 1e-9) -> Tensor:
        return (g[..., 0].abs() - 1).abs() <= tol

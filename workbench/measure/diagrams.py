"""Diagrams and sums of them as matrices, and whether they commute with their group on members drawn from it."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance

MEMBERS = 12
"""So many of the group are drawn; in most of them no axis stays where it is."""
MAPS = ("as shown", "one entry changed")


def diagram_dataset(
    group: str, n: int, lower: int, upper: int, which: int,
    *, coefficient: float = 1.0, others: float = 0.0, broken: bool = False,
) -> xr.Dataset:  # fmt: skip
    """A sum of diagrams, its matrix, what is left of W rho(g) = rho(g) W, beside all diagrams.

    Args:
        group, n, lower, upper: as in :func:`workbench.e3.diagrams.diagrams`.
        which: from 1; beyond the last diagram the last one.
        coefficient: of that diagram.
        others: each other diagram has a normal number, drawn once, times this; 0 leaves one diagram alone.
        broken: whether the matrix is given with its first entry changed.

    Returns:
        `block(point)`, which block a point of the diagram belongs to, -1 for a determinant; `upper_row(point)`;
        `coefficient(diagram)`; `matrix(row, column)` of n^l rows and n^k columns; `residual(map, element)`, see
        :func:`commutation`, of the sum and of it with its first entry changed by its largest (by 1 if all are 0);
        `strength(value)`, singular values of all matrices as shares of the largest; `diagrams`, `dimension`, `shown`,
        `broken` and `products`, how many multiplications the diagrams with a coefficient take.

    Raises:
        ValueError: for groups, n and orders as `diagrams`, another `which`, or coefficients that are no finite numbers.

    >>> ds = diagram_dataset("O", 3, 2, 2, 1, coefficient=0.7, others=-1.3)
    >>> [bool(one < 1e-13) for one in ds["residual"].max("element")]
    [True, False]
    """
    from workbench.e3.diagrams import diagrams, members, multiply_adds

    _check(which, coefficient, others)
    found = diagrams(group, n, lower, upper)
    every, strength = _all(group, n, lower, upper)
    at = min(which, len(found)) - 1
    block = np.zeros(lower + upper, dtype=np.int16)
    weights = np.zeros(len(found))
    if found:
        for number, points in enumerate(found[at].blocks):
            block[list(points)] = number
        block[list(found[at].determinant)] = -1
        weights = others * _drawn(len(found))
        weights[at] = coefficient
    matrix = np.tensordot(weights, every.astype(np.float64), 1)
    changed = matrix.copy()
    changed[0, 0] += np.abs(matrix).max() or 1.0
    drawn = members(group, n, MEMBERS)
    residual = [commutation(torch.from_numpy(one), drawn, lower, upper) for one in (matrix, changed)]
    one = others == 0 and coefficient == 1
    products = sum(multiply_adds(each, n, lower, upper) for each, weight in zip(found, weights, strict=True) if weight)
    return xr.Dataset(
        {
            "block": labelled("point", block, "which points are joined; -1 in the determinant"),
            "upper_row": labelled("point", np.arange(lower + upper) < upper, "of the result"),
            "coefficient": labelled("diagram", weights, "coefficient"),
            "matrix": labelled(
                ("row", "column"), changed if broken else matrix, f"Matrix of {'this diagram' if one else 'the sum'}"
            ),
            "residual": labelled(("map", "element"), torch.stack(residual), "|Wρ − ρW| / |ρW|"),
            "strength": labelled("value", strength, "singular value (share)"),
            "diagrams": labelled((), len(found), "number of diagrams"),
            "dimension": labelled((), int((strength > 1e-9).sum()), "independent ones"),
            "shown": labelled((), at + 1, "number of the one shown"),
            "broken": labelled((), bool(broken), "first entry of the matrix changed"),
            "products": labelled((), products, "multiplications"),
        },
        coords={
            "diagram": labelled("diagram", np.arange(len(found)) + 1, "diagram"),
            "map": labelled("map", list(MAPS), "matrix"),
            "element": labelled("element", np.arange(MEMBERS) + 1, "member of the group"),
        },
        attrs=provenance(
            "diagram_dataset", seed=0, dtype="float64", group=f"{group}({n})", n=n, lower=lower, upper=upper
        ),
    )  # fmt: skip


def commutation(matrix: Tensor, drawn: Tensor, lower: int, upper: int) -> Tensor:
    r"""How far a matrix W is from commuting, :math:`|W \rho_k(g) - \rho_l(g) W| / |\rho_l(g) W|`, for each g.

    rho_k(g) is g on each of the k axes of what is given; the norm is the root of the sum of squares. 0 for W = 0, which
    commutes.

    Args:
        matrix: W, ``(n^l, n^k)``, rows and columns counted with the last axis fastest.
        drawn: ``(E, n, n)``.
        lower, upper: k and l.

    Returns:
        ``(E,)``.

    Raises:
        ValueError: for a matrix of another shape.

    >>> turn = torch.tensor([[[0.0, -1.0], [1.0, 0.0]]])
    >>> commutation(torch.tensor([[1.0, 0.0, 0.0, 1.0]]), turn, 2, 0).tolist()  # the trace
    [0.0]
    """
    n = drawn.shape[-1]
    if tuple(matrix.shape) != (n**upper, n**lower):
        raise ValueError(
            f"a matrix of shape {tuple(matrix.shape)} was given; expected (n^l, n^k) = {(n**upper, n**lower)}."
        )
    after = _power(drawn, upper) @ matrix
    gap = matrix @ _power(drawn, lower) - after
    size = after.flatten(1).norm(dim=1)
    return torch.where(size > 0, gap.flatten(1).norm(dim=1) / size, 0.0)


def _power(drawn: Tensor, order: int) -> Tensor:
    """The Kronecker product of so many copies of each."""
    made = drawn.new_ones(len(drawn), 1, 1)
    for _ in range(order):
        size = made.shape[1] * drawn.shape[1]
        made = torch.einsum("eij,ekl->eikjl", made, drawn).reshape(len(drawn), size, size)
    return made


def _check(which: int, coefficient: float, others: float) -> None:
    if isinstance(which, bool) or not isinstance(which, int) or which < 1:
        raise ValueError(f"which = {which!r} was given; expected the number of a diagram, from 1 on.")
    for name, value in (("coefficient", coefficient), ("others", others)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{name} = {value!r} was given; expected a finite number, such as 0.5.")


@lru_cache(maxsize=32)
def _drawn(count: int) -> np.ndarray:
    return torch.randn(count, generator=torch.Generator().manual_seed(0), dtype=torch.float64).numpy()


@lru_cache(maxsize=32)
def _all(group: str, n: int, lower: int, upper: int) -> tuple[np.ndarray, np.ndarray]:
    """Matrices of all diagrams, and the singular values of them together."""
    from workbench.e3.diagrams import matrices

    with torch.inference_mode():
        every = matrices(group, n, lower, upper)
        flat = every.flatten(1)
        values = torch.linalg.eigvalsh(flat @ flat.T).flip(0).clamp(min=0).sqrt() if len(every) else torch.zeros(0)
    strength = values / values.max() if len(every) else values
    strength = torch.where(strength < 1e-7, 0.0, strength)  # roots of rounding errors
    return every.float().numpy(), strength.double().numpy()

"""Which point-wise non-linearity is legal for which representation: the error of sigma(M x) = M sigma(x), and why.

M. Pacini, X. Dong, B. Lepri, G. Santin, "A Characterization Theorem for Equivariant Networks with Point-wise
Activations", ICLR 2024, arXiv 2401.09235, read in the abstract. The table is derived here, for continuous sigma on R:

| every M(g) is | sigma may be |
|---|---|
| a permutation | anything |
| a signed permutation | odd |
| one entry in each row and column, all positive | positively homogeneous, such as ReLU |
| one entry in each row and column, with signs and sizes | linear |
| anything else, such as a rotation of vectors | linear; affine where every row sums to 1 |

What is legal otherwise: gates and norms, tensor products, or sigma on samples over the group: :func:`sampled` puts a
signal over the circle on n of its points, applies sigma there, and goes back. Exact at turns by whole steps of those
points; at others what sigma makes beyond the frequencies that n points tell apart folds back: less for more points.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "leaky relu": lambda x: torch.nn.functional.leaky_relu(x, 0.1),
    "abs": torch.abs,
    "silu": torch.nn.functional.silu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "cube": lambda x: x**3,
    "linear": lambda x: 0.7 * x,
    "affine": lambda x: 0.7 * x + 0.2,
}
KINDS = ("permutation", "signed permutation", "positive monomial", "monomial", "general")
ROUNDING = 1e-6  # of entries and values: an angle in float32 is off by 1e-7, and what is closer to 0 is 0


def regular_representation(n: int) -> Tensor:
    """The elements of C(n) on signals over it: cyclic permutations ``(n, n, n)``.

    >>> regular_representation(2)[1].tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    return torch.stack([torch.eye(n, dtype=torch.float64).roll(g, 0) for g in range(n)])


def rotation_representation(angles_rad: Tensor, frequency: int = 1) -> Tensor:
    """Rotations of the plane by ``frequency`` times each angle ``(G,)``, an irreducible one of SO(2): ``(G, 2, 2)``."""
    angle = frequency * torch.as_tensor(angles_rad, dtype=torch.float64)
    c, s = angle.cos(), angle.sin()
    return torch.stack([c, -s, s, c], -1).unflatten(-1, (2, 2))


def kind_of(matrices: Tensor) -> str:
    """The most special row of the table that holds for all matrices ``(G, d, d)``: one of :data:`KINDS`.

    >>> kind_of(regular_representation(3)), kind_of(rotation_representation(torch.tensor([torch.pi / 2])))
    ('permutation', 'signed permutation')
    """
    entries = _checked(matrices)
    there = entries.abs() > ROUNDING
    if not bool(((there.sum(1) == 1) & (there.sum(2) == 1)).all()):
        return "general"
    values = entries[there]
    positive, unit = bool((values > 0).all()), bool(((values.abs() - 1).abs() <= ROUNDING).all())
    return {(True, True): KINDS[0], (False, True): KINDS[1], (True, False): KINDS[2], (False, False): KINDS[3]}[
        positive, unit
    ]


def properties(activation: Callable[[Tensor], Tensor]) -> dict[str, bool]:
    """Whether sigma is odd, positively homogeneous, linear, affine, on 2001 points of [-5, 5].

    >>> properties(torch.relu)
    {'odd': False, 'homogeneous': True, 'linear': False, 'affine': False}
    """
    x = torch.linspace(-5, 5, 2001, dtype=torch.float64)
    y, zero = activation(x), activation(torch.zeros(1, dtype=torch.float64))
    slope = activation(torch.ones(1, dtype=torch.float64)) - zero

    def same(a: Tensor, b: Tensor) -> bool:
        return float((a - b).abs().max()) <= ROUNDING * (1 + float(b.abs().max()))

    affine = same(y, slope * x + zero)
    return {
        "odd": same(activation(-x), -y),
        "homogeneous": all(same(activation(c * x), c * y) for c in (0.3, 2.0)),
        "linear": affine and same(zero, torch.zeros_like(zero)),
        "affine": affine,
    }


def legal(matrices: Tensor, activation: Callable[[Tensor], Tensor]) -> bool:
    """What the table says of sigma under the matrices ``(G, d, d)``.

    >>> legal(regular_representation(4), torch.relu), legal(rotation_representation(torch.tensor([0.3])), torch.relu)
    (True, False)
    """
    kind, has = kind_of(matrices), properties(activation)
    rows_sum_to_1 = bool(((_checked(matrices).sum(2) - 1).abs() <= ROUNDING).all())
    if has["linear"] or (has["affine"] and rows_sum_to_1):
        return True
    return {
        "permutation": True,
        "signed permutation": has["odd"],
        "positive monomial": has["homogeneous"],
    }.get(kind, False)


def activation_check(
    matrices: Tensor,
    activations: Mapping[str, Callable[[Tensor], Tensor]] | None = None,
    *,
    samples: int = 256,
    seed: int = 0,
) -> xr.Dataset:
    """The error of every activation under every matrix of a representation, beside what the table says.

    Args:
        matrices: M(g), ``(G, d, d)``.
        activations: name -> sigma, applied entry by entry; :data:`ACTIVATIONS` where not given.
        samples: standard normal vectors.
        seed: of the vectors.

    Returns:
        ``error(activation, element)``: the largest over samples of |sigma(M x) - M sigma(x)| / (|sigma(M x)| +
        |M sigma(x)|), in [0, 1]; ``legal(activation)``: the table's verdict; attribute ``representation``: its row.

    Raises:
        ValueError: for matrices that are none, or no samples.

    >>> ds = activation_check(rotation_representation(torch.tensor([torch.pi / 2])))
    >>> bool(ds.legal.sel(activation="tanh")), bool(ds.legal.sel(activation="relu"))
    (True, False)
    """
    entries = _checked(matrices)
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 1:
        raise ValueError(f"samples = {samples!r} was given; expected a positive whole number, such as 256.")
    chosen = ACTIVATIONS if activations is None else dict(activations)
    x = torch.randn(samples, entries.shape[-1], generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    moved = torch.einsum("gij,sj->gsi", entries, x)
    errors, verdicts = [], []
    for activation in chosen.values():
        first, second = activation(moved), torch.einsum("gij,sj->gsi", entries, activation(x))
        errors.append(_relative(first, second).amax(1).numpy())
        verdicts.append(legal(entries, activation))
    return xr.Dataset(
        {
            "error": labelled(("activation", "element"), np.stack(errors), "largest error over samples"),
            "legal": labelled("activation", np.array(verdicts), "whether the activation is equivariant"),
        },
        coords={
            "activation": labelled("activation", np.asarray(list(chosen), dtype=str), "activation"),
            "element": labelled("element", np.arange(len(entries)), "group element"),
        },
        attrs=provenance(
            "activation_check", seed=seed, dtype="float64", reduction="maximum over samples",
            input_kind="standard normal vectors", samples=samples, representation=kind_of(entries),
        ),
    )  # fmt: skip


def fourier_representation(angles_rad: Tensor, frequencies: int) -> Tensor:
    """Rotations of signals over the circle: block diagonal ``(G, 2 L + 1, 2 L + 1)``, 1 and the frequencies 1 to L.

    Coordinates are those of a_0 + sum over m of a_m cos(m phi) + b_m sin(m phi), as a_0, a_1, b_1, ..., a_L, b_L.

    >>> fourier_representation(torch.tensor([0.0]), 1)[0].tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    angles = torch.as_tensor(angles_rad, dtype=torch.float64).reshape(-1)
    _check_counts(frequencies=frequencies)
    found = torch.zeros(len(angles), 2 * frequencies + 1, 2 * frequencies + 1, dtype=torch.float64)
    found[:, 0, 0] = 1
    for m in range(1, frequencies + 1):
        found[:, 2 * m - 1 : 2 * m + 1, 2 * m - 1 : 2 * m + 1] = rotation_representation(angles, m)
    return found


def sampled(activation: Callable[[Tensor], Tensor], n: int, frequencies: int) -> Callable[[Tensor], Tensor]:
    """Sigma on n samples of a signal over the circle: coordinates ``(..., 2 L + 1)`` to the same.

    Args:
        activation: sigma, applied to each sample.
        n: evenly spaced points of the circle; more than 2 L tell all frequencies of the signal apart.
        frequencies: L.

    >>> there_and_back = sampled(lambda x: x, 5, 2)
    >>> x = torch.arange(5.0, dtype=torch.float64)
    >>> torch.allclose(there_and_back(x), x)
    True
    """
    _check_counts(n=n, frequencies=frequencies)
    angles = torch.arange(n, dtype=torch.float64) * (2 * torch.pi / n)
    waves = [torch.ones_like(angles)]
    for m in range(1, frequencies + 1):
        waves += [(m * angles).cos(), (m * angles).sin()]
    there = torch.stack(waves, 1)  # (n, 2 L + 1)
    back = there.T * (2 / n)
    back[0] /= 2
    return lambda x: activation(x @ there.T.to(x)) @ back.T.to(x)


def sampled_error(
    numbers: Sequence[int],
    angles_rad: Tensor,
    activations: Mapping[str, Callable[[Tensor], Tensor]] | None = None,
    *,
    frequencies: int = 2,
    samples: int = 64,
    seed: int = 0,
) -> xr.Dataset:
    """How far sigma on n samples is from equivariance, for several n.

    Args:
        numbers: n, points of the circle.
        angles_rad: rotations ``(G,)``; at whole multiples of 2 pi / n the error is rounding.
        activations: name -> sigma; :data:`ACTIVATIONS` where not given.
        frequencies: L of the signals.
        samples: random signals, of variance 1 at each point of the circle.
        seed: of the signals.

    Returns:
        ``error(activation, n)``: |sigma_n(M x) - M sigma_n(x)| / (|sigma_n(M x)| + |M sigma_n(x)|), in norms over all
        signals and rotations: ReLU leaves little of a signal that is hardly ever positive, and loses much of that.

    Raises:
        ValueError: for counts that are none.

    >>> ds = sampled_error([8, 9], torch.tensor([0.3]), {"cube": lambda x: x**3})
    >>> [bool(error < 1e-12) for error in ds.error.sel(activation="cube")]  # cubes of L = 2 fold back up to n = 8
    [False, True]
    """
    _check_counts(samples=samples, **{f"n[{at}]": n for at, n in enumerate(numbers)})
    chosen = ACTIVATIONS if activations is None else dict(activations)
    turns = fourier_representation(angles_rad, frequencies)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(samples, 2 * frequencies + 1, generator=generator, dtype=torch.float64) / (1 + frequencies) ** 0.5
    moved = torch.einsum("gij,sj->gsi", turns, x)
    errors = np.zeros((len(chosen), len(numbers)))
    for row, activation in enumerate(chosen.values()):
        for column, n in enumerate(numbers):
            sigma = sampled(activation, int(n), frequencies)
            first, second = sigma(moved), torch.einsum("gij,sj->gsi", turns, sigma(x))
            errors[row, column] = float(_relative(first.flatten(), second.flatten()))
    return xr.Dataset(
        {"error": labelled(("activation", "n"), errors, "error on n samples")},
        {
            "activation": labelled("activation", np.asarray(list(chosen), dtype=str), "activation"),
            "n": labelled("n", np.asarray(numbers, dtype=np.int64), "samples on the circle"),
        },
        provenance(
            "sampled_error", seed=seed, dtype="float64", reduction="norms over signals and rotations",
            input_kind="random signals over the circle", samples=samples, frequencies=frequencies,
        ),
    )  # fmt: skip


def _relative(first: Tensor, second: Tensor) -> Tensor:
    size = (first.norm(dim=-1) + second.norm(dim=-1)).clamp_min(torch.finfo(torch.float64).tiny)
    return (first - second).norm(dim=-1) / size


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
            raise ValueError(f"{name} = {count!r} was given; expected a positive whole number, such as 8.")


def _checked(matrices: Tensor) -> Tensor:
    found = torch.as_tensor(matrices).double()
    if found.ndim != 3 or found.shape[1] != found.shape[2] or not len(found) or not bool(torch.isfinite(found).all()):
        raise ValueError(
            f"matrices of shape {tuple(found.shape)} were given; expected finite (G, d, d), one for each group element."
        )
    return found

"""Tensor networks: every polynomial of given tensors that turns as a tensor itself, as a list of contractions.

A node is a tensor that is given, an edge joins two of its indices, an index that is left open belongs to the result.
Without a determinant such a network commutes with O(3), with one with SO(3) alone. With the open indices as an upper
row it is a diagram of :mod:`workbench.e3.diagrams` on the product of its nodes, which is never built.

Source: Hodapp & Shapeev 2023, "Equivariant tensor networks" (arXiv 2304.08226), from memory; counts of invariants are
tested against the classical ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from workbench.e3.diagrams import MOST_POINTS, Diagram, diagrams, same, sign_tensor

N = 3
MOST_NETWORKS = 2000
SAMPLES = 64
INDEPENDENT = 1e-9
"""What is left of a network of length 1, after all before it are taken away, if it is a new one."""
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Network(NamedTuple):
    """A contraction.

    nodes    names of the tensors, in the order of their indices.
    legs     how many indices each has.
    diagram  joins the indices; the first ``output`` points are those of the result.
    output   order of the result.
    """

    nodes: tuple[str, ...]
    legs: tuple[int, ...]
    diagram: Diagram
    output: int

    def einsum(self) -> str:
        """The contraction in Einstein's convention, a node a term; ``*`` stands for leading axes.

        >>> networks({"E": 2}, 2)[-1].einsum()
        '*ab,*ab->*'
        """
        terms, extra, result = _terms(self)
        return ",".join("*" + term for term in terms) + "".join("," + term for _, term in extra) + "->*" + result

    def __call__(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Its value: tensors ``(..., 3, .., 3)`` by name, to ``(..., 3, .., 3)`` with ``output`` axes."""
        terms, extra, result = _terms(self)
        like = next(iter(tensors.values()))
        given = [tensors[name] for name in self.nodes]
        made = [
            sign_tensor(N, like.dtype, like.device) if kind == "sign" else same(N, len(term), like.dtype, like.device)
            for kind, term in extra
        ]
        rows = ["..." + term for term in terms] + [term for _, term in extra]
        return torch.einsum(",".join(rows) + "->..." + result, *given, *made)


def networks(
    tensors: Mapping[str, int], degree: int, output: int = 0, *, chiral: bool = False, connected: bool = True
) -> list[Network]:
    """All contractions of up to ``degree`` nodes, each only once up to the order of equal nodes.

    Args:
        tensors: name to order; a tensor of order 2 is taken to be symmetric.
        degree: nodes at most.
        output: order of the result, 0 for invariants.
        chiral: whether one determinant may take part, whose value changes its sign in a mirror.
        connected: without those that have an invariant as a factor; a result of order 2 may be the identity itself.

    Returns:
        Networks, those of fewer nodes first. Some may depend on others, see :func:`independent`.

    Raises:
        ValueError: for orders that cannot be, or more than 8 indices or 2,000 networks.

    >>> [network.einsum() for network in networks({"a": 1, "b": 1}, 2)]
    ['*a,*a->*', '*a,*a->*', '*a,*a->*']
    """
    _check(tensors, degree, output)
    found: list[Network] = []
    if output == 2 and connected:
        found.append(Network((), (), Diagram(((0, 1),)), 2))
    for count in range(1, degree + 1):
        for nodes in itertools.combinations_with_replacement(tensors, count):
            legs = tuple(tensors[name] for name in nodes)
            seen = set()
            for diagram in diagrams("SO" if chiral else "O", N, sum(legs), output):
                network = Network(nodes, legs, diagram, output)
                if (connected and not _connected(network)) or _vanishes(network):
                    continue
                if (name := _canonical(network)) not in seen:
                    seen.add(name)
                    found.append(network)
            if len(found) > MOST_NETWORKS:
                raise ValueError(
                    f"networks of {degree} nodes were asked, more than {MOST_NETWORKS}; use a smaller degree."
                )
    return found


def independent(found: Sequence[Network], tensors: Mapping[str, int], seed: int = 0) -> list[Network]:
    """Those that no sum of earlier ones gives, by their values at random tensors in float64.

    >>> given = {"E": 2}
    >>> [network.nodes for network in independent(networks(given, 3, connected=False), given)]
    [('E',), ('E', 'E'), ('E', 'E'), ('E', 'E', 'E'), ('E', 'E', 'E'), ('E', 'E', 'E')]
    """
    at = random_tensors(tensors, SAMPLES + 2 * len(found), seed)
    kept: list[Network] = []
    basis = torch.zeros(0, 0, dtype=torch.float64)
    for network in found:
        value = network(at) if network.nodes else network(at).expand(len(next(iter(at.values()))), N, N)
        if float(value.norm()) < INDEPENDENT:
            continue  # a determinant with symmetric parts can be nothing
        row = (value / value.norm()).flatten()
        rest = row
        if kept:
            rest = row - basis.T @ (basis @ row)
            rest = rest - basis.T @ (basis @ rest)
        if float(rest.norm()) > INDEPENDENT:
            kept.append(network)
            new = (rest / rest.norm()).unsqueeze(0)
            basis = new if len(kept) == 1 else torch.cat([basis, new])
    return kept


def random_tensors(tensors: Mapping[str, int], count: int, seed: int = 0) -> dict[str, Tensor]:
    """Normal tensors by name, ``(count, 3, .., 3)`` in float64, symmetric where they are of order 2."""
    generator, made = torch.Generator().manual_seed(seed), {}
    for name, order in tensors.items():
        x = torch.randn(count, *(N,) * order, generator=generator, dtype=torch.float64)
        made[name] = (x + x.mT) / 2 if order == 2 else x
    return made


class TensorFunction(nn.Module):
    """A learned tensor-valued function of tensors: coefficients from a network of invariants, times basis networks.

    .. math:: F(x) = \\sum_k c_k(I_1(x), I_2(x), ...)\\, T_k(x)

    commutes with O(3), or SO(3) where it is chiral, whatever the coefficients are.

    Args:
        tensors: name to order, as in :func:`networks`.
        output: order of the result.
        degree: nodes of the basis networks and of the invariants at most.
        hidden: width of the two hidden layers.
        chiral: as in :func:`networks`.

    Raises:
        ValueError: as :func:`networks`, or where no network gives a result of that order.

    >>> model = TensorFunction({"E": 2, "a": 1}, output=2, degree=2)
    >>> model({"E": torch.eye(3).expand(5, 3, 3), "a": torch.ones(5, 3)}).shape
    torch.Size([5, 3, 3])
    """

    def __init__(
        self, tensors: Mapping[str, int], output: int, degree: int = 2, hidden: int = 32, chiral: bool = False
    ) -> None:
        super().__init__()
        self.tensors = dict(tensors)
        self.invariants = independent(networks(tensors, degree, 0, chiral=chiral), tensors)
        self.basis = independent(networks(tensors, degree, output, chiral=chiral), tensors)
        if not self.invariants:
            raise ValueError(
                f"TensorFunction: no invariant has at most {degree} nodes of {', '.join(tensors)}; use a larger degree."
            )
        if not self.basis:
            raise ValueError(
                f"TensorFunction: no network of {degree} nodes of {', '.join(tensors)} gives a result of order "
                f"{output}; use a larger degree, or chiral=True."
            )
        self.coefficients = nn.Sequential(
            nn.Linear(len(self.invariants), hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(),
            nn.Linear(hidden, len(self.basis)),
        )  # fmt: skip

    def forward(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Tensors by name, ``(B, 3, .., 3)``, to ``(B, 3, .., 3)``."""
        if missing := sorted(set(self.tensors) - set(tensors)):
            raise ValueError(f"TensorFunction: {', '.join(missing)} was not given; expected {', '.join(self.tensors)}.")
        numbers = torch.stack([network(tensors) for network in self.invariants], -1)
        coefficients = self.coefficients(numbers)
        parts = [network(tensors) for network in self.basis]
        wide = [coefficients[:, k].view(-1, *(1,) * self.basis[0].output) * part for k, part in enumerate(parts)]
        return torch.stack(wide).sum(0)

    def extra_repr(self) -> str:
        """How many invariants and basis networks."""
        return f"{len(self.invariants)} invariants, {len(self.basis)} basis networks"


def _terms(network: Network) -> tuple[list[str], list[tuple[str, str]], str]:
    """Letters of each node, of what else is multiplied, and of the result."""
    letters = list(_LETTERS[: network.output + sum(network.legs)])
    extra = []
    for first, second in network.diagram.blocks:
        if second < network.output:
            extra.append(("same", letters[first] + letters[second]))
        else:
            letters[second] = letters[first]
    if network.diagram.determinant:
        extra.append(("sign", "".join(letters[point] for point in network.diagram.determinant)))
    names = dict(zip(dict.fromkeys(letters), _LETTERS, strict=False))
    terms, at = [], network.output
    for count in network.legs:
        terms.append("".join(names[letter] for letter in letters[at : at + count]))
        at += count
    extra = [(kind, "".join(names[letter] for letter in term)) for kind, term in extra]
    return terms, extra, "".join(names[letter] for letter in letters[: network.output])


def _owner(network: Network) -> list[int]:
    """The node of each point, -1 - i for the i-th point of the result."""
    nodes = itertools.chain.from_iterable([at] * count for at, count in enumerate(network.legs))
    return [-1 - point for point in range(network.output)] + list(nodes)


def _connected(network: Network) -> bool:
    """In one piece, or each piece with an index of the result: no invariant is a factor."""
    owner = _owner(network)
    groups: list[set[int]] = []
    for joined in (*network.diagram.blocks, network.diagram.determinant):
        if joined:
            here = {owner[point] for point in joined}
            apart = [group for group in groups if not group & here]
            groups = [*apart, here.union(*(group for group in groups if group & here))]
    return len(groups) == 1 if network.output == 0 else all(min(group) < 0 for group in groups)


def _vanishes(network: Network) -> bool:
    """A determinant with two indices of one symmetric tensor, or of two copies of one vector, is nothing."""
    owner = _owner(network)
    own = [owner[point] for point in network.diagram.determinant]
    nodes = [network.nodes[at] for at in own if at >= 0 and network.legs[at] == 1]
    return len(set(own)) < len(own) or len(set(nodes)) < len(nodes)


def _canonical(network: Network) -> tuple:
    """The same for networks that differ by the order of equal nodes, or of the indices of a symmetric tensor."""
    starts = [network.output + sum(network.legs[:at]) for at in range(len(network.legs))]
    best = None
    for order in itertools.permutations(range(len(network.nodes))):
        if any(network.nodes[a] != network.nodes[b] for a, b in enumerate(order)):
            continue
        swaps = [(range(legs), range(legs)[::-1]) if legs == 2 else (range(legs),) for legs in network.legs]
        for ways in itertools.product(*swaps):
            to = list(range(network.output))
            for at, way in enumerate(ways):
                to += [starts[order[at]] + one for one in way]
            blocks = tuple(sorted(tuple(sorted(to[point] for point in block)) for block in network.diagram.blocks))
            name = (blocks, tuple(sorted(to[point] for point in network.diagram.determinant)))
            best = name if best is None or name < best else best
    return (best,)


def _check(tensors: Mapping[str, int], degree: int, output: int) -> None:
    orders = [*tensors.values(), output]
    whole = [isinstance(order, int) and not isinstance(order, bool) and 0 <= order <= 2 for order in orders]
    if not tensors or not all(whole) or 0 in tensors.values():
        raise ValueError(
            f"tensors {dict(tensors)!r} and a result of order {output!r} were given; expected names with orders 1 or "
            "2, and a result of order 0, 1 or 2."
        )
    if isinstance(degree, bool) or not isinstance(degree, int) or degree < 1:
        raise ValueError(f"degree = {degree!r} was given; expected a whole number of nodes, at least 1.")
    if degree * max(tensors.values()) + output > MOST_POINTS:
        raise ValueError(
            f"degree = {degree} was given for tensors of order {max(tensors.values())}; expected at most "
            f"{MOST_POINTS} indices in all; use degree = {(MOST_POINTS - output) // max(tensors.values())}."
        )

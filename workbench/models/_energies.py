"""What potentials share: reference energies, forces, turns in training, and refusals of molecules that cannot be."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from workbench.groups import SO3
from workbench.groups.base import check_floating

HEAVIEST = 118
OVERLAP = 0.2
"""Angstrom; nearer than this two atoms are one that was written twice."""


class NoNeighbourWarning(UserWarning):
    """Atoms without a neighbour within the cutoff: their energy is their reference, and no force acts on them."""


class Energies(nn.Module):
    """Energies of molecules over those of their atoms alone, and forces, minus their gradient.

    A network of molecules in the open says in `above` how far a molecule's energy is from the sum of its atoms'
    references; one that knows periodic cells has a `forward` of its own.

    Args:
        name: of the kind of network, for refusals.
        elements: atomic numbers that it knows.
        turned: whether each molecule is turned at random in every pass in training mode, and its forces turned back.

    Attributes:
        references: eV, ``(119,)``, the energy of each element's atom alone, by atomic number; a buffer, zeros at first.
    """

    references: Tensor
    places: Tensor

    def __init__(self, name: str, elements: Iterable[int], turned: bool = False) -> None:
        super().__init__()
        self.kind, self.elements, self.turned = name, tuple(elements), turned
        places = torch.full((HEAVIEST + 1,), -1)
        places[list(self.elements)] = torch.arange(len(self.elements))
        self.register_buffer("places", places)
        self.register_buffer("references", torch.zeros(HEAVIEST + 1))

    def above(self, positions: Tensor, numbers: Tensor, batch: Tensor) -> Tensor:
        """Energy of each molecule over the sum of its references, ``(B,)`` in eV."""
        raise NotImplementedError

    def forward(
        self, positions: Tensor, numbers: Tensor, batch: Tensor | None = None, cell: Tensor | None = None
    ) -> Tensor:
        """Energy of each molecule.

        Args:
            positions: ``(N, 3)`` in angstrom.
            numbers: ``(N,)`` int64, atomic numbers.
            batch: ``(N,)`` int64, which molecule each atom belongs to; ``None`` for one.
            cell: ``None``; these networks know molecules in the open alone.

        Returns:
            ``(B,)`` in eV, in the precision of the network.

        Raises:
            ValueError: for other shapes or types, NaN, an element that it does not know, atoms that overlap, or a cell.
        """
        batch = self.checked(positions, numbers, batch)
        if cell is not None:
            raise ValueError(
                f"{self.kind}: a periodic cell was given; expected None, as this network knows molecules in the open "
                "alone; take the Lattice away, set pbc to False, or use a molecular_potential."
            )
        with full_precision(positions):
            count = int(batch.max()) + 1
            if self.training and self.turned:
                turn = SO3().matrix(SO3().sample(count, dtype=positions.dtype, device=positions.device))
                positions = torch.einsum("nij,nj->ni", turn[batch], positions)
            above = self.above(positions, numbers, batch)
            return above + above.new_zeros(count).index_add(0, batch, self.references[numbers])

    def energy_and_forces(
        self, positions: Tensor, numbers: Tensor, batch: Tensor | None = None, cell: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Energies ``(B,)`` in eV and forces ``(N, 3)`` in eV/angstrom, minus the gradient of the energy.

        Arguments and refusals as for :meth:`forward`. In training mode the forces can be differentiated with respect to
        the weights; in evaluation mode nothing is kept. Works under ``torch.no_grad`` and ``inference_mode``, too.
        """
        check_floating(positions, "positions", numbers=True)
        with torch.inference_mode(False), torch.enable_grad(), full_precision(positions):
            where = positions.detach().clone().requires_grad_()
            energy = self(where, _usable(numbers), _usable(batch), _usable(cell))
            (slope,) = torch.autograd.grad(
                energy.sum(), where, create_graph=self.training, allow_unused=True, materialize_grads=True
            )
        forces = 0.0 - slope  # not -0.0 where nothing pulls
        return (energy, forces) if self.training else (energy.detach(), forces.detach())

    def checked(self, positions: Tensor, numbers: Tensor, batch: Tensor | None) -> Tensor:
        """Which molecule each atom belongs to, ``(N,)``; refuse what is no molecule of elements that it knows."""
        from workbench.e3.graphs import check_numbers, check_points

        batch = check_points(positions, batch)
        if positions.dtype != self.references.dtype:
            own = str(self.references.dtype).removeprefix("torch.")
            raise ValueError(
                f"{self.kind}: positions of type {positions.dtype} were given to a network of {own}; use "
                f"positions.to(torch.{own})."
            )
        check_numbers(numbers, positions)
        known = (numbers >= 1) & (numbers <= HEAVIEST) & (self.places[numbers.clamp(0, HEAVIEST)] >= 0)
        if not known.all():
            strange = sorted(set(numbers[~known].tolist()))[:5]
            raise ValueError(
                f"{self.kind}: the atomic numbers {', '.join(map(str, strange))} were given; this network knows "
                f"{', '.join(map(str, self.elements))}; leave these structures out, or train one with more elements."
            )
        return batch

    def above_alone(self, values: Tensor, numbers: Tensor) -> Tensor:
        """One number for each atom, ``(N,)``, counted from that of the same atom alone.

        Args:
            values: of all atoms, then of one atom alone of each element, ``(N + elements,)``.
            numbers: ``(N,)``, atomic numbers.
        """
        return values[: len(numbers)] - values[len(numbers) :][self.places[numbers]]

    def extra_repr(self) -> str:
        """Which elements it knows, and whether molecules are turned in training."""
        return f"elements={self.elements}, turned={self.turned}"


def check_elements(name: str, elements: Any) -> tuple[int, ...]:
    """Different atomic numbers as a tuple; refuse anything else."""
    given = tuple(elements) if isinstance(elements, tuple | list) else ()
    good = all(isinstance(z, int) and not isinstance(z, bool) and 1 <= z <= HEAVIEST for z in given)
    if not given or not good or len(set(given)) < len(given):
        raise ValueError(
            f"{name}: elements = {elements!r} was given; expected different atomic numbers from 1 to {HEAVIEST}, such "
            "as (1, 6, 8)."
        )
    return given


def full_precision(positions: Any) -> AbstractContextManager:
    """Out of autocast: in half precision e3nn's products fail or lose the symmetry."""
    usual = isinstance(positions, Tensor) and not positions.is_meta  # the rest is refused inside
    return torch.autocast(positions.device.type, enabled=False) if usual else nullcontext()


def _usable(x: Any) -> Any:
    """Out of inference mode a tensor made in it can only be read as a copy."""
    return x.clone() if isinstance(x, Tensor) and x.is_inference() else x


def check_overlap(name: str, distance: Tensor, first: Tensor, second: Tensor) -> None:
    """Refuse pairs of atoms, `first` and `second` ``(E,)``, that are not `distance` ``(E,)`` in angstrom apart."""
    distance = distance.detach()
    if len(distance) and float(distance.min()) < OVERLAP:
        worst = int(distance.argmin())
        raise ValueError(
            f"{name}: atoms {int(first[worst])} and {int(second[worst])} are {float(distance[worst]):.2g} angstrom "
            f"apart; expected at least {OVERLAP}; remove one of them, or check that positions are in angstrom."
        )


def tell_of_isolated(receiver: Tensor, count: int, cutoff: float) -> None:
    """Warn of those of `count` atoms that receive along no edge."""
    isolated = count - len(receiver.unique())
    if isolated:
        warnings.warn(
            f"{isolated} of {count} atoms have no neighbour within {cutoff:g} angstrom: their energy is the reference "
            "of their element, and no force acts on them.",
            NoNeighbourWarning,
            stacklevel=4,
        )

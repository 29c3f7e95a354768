"""What potentials share that are no e3nn networks: reference energies, turns in training, forces, checks."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from workbench.groups import SO3

HEAVIEST = 118


class Energies(nn.Module):
    """Energies of molecules over those of their atoms alone, and forces, minus their gradient.

    A network says in `above` how far a molecule's energy is from the sum of its atoms' references.

    Args:
        name: of the kind of network, for refusals.
        elements: atomic numbers that it knows.
        turned: whether each molecule is turned at random in every pass in training mode, and its forces turned back.

    Attributes:
        references: eV, ``(119,)``, the energy of each element's atom alone, by atomic number; a buffer, zeros at first.
    """

    references: Tensor
    places: Tensor

    def __init__(self, name: str, elements: Iterable[int], turned: bool) -> None:
        super().__init__()
        self.kind, self.elements, self.turned = name, tuple(elements), turned
        places = torch.full((HEAVIEST + 1,), -1)
        places[list(self.elements)] = torch.arange(len(self.elements))
        self.register_buffer("places", places)
        self.register_buffer("references", torch.zeros(HEAVIEST + 1))

    def above(self, positions: Tensor, numbers: Tensor, batch: Tensor) -> Tensor:
        """Energy of each molecule over the sum of its references, ``(B,)`` in eV."""
        raise NotImplementedError

    def forward(self, positions: Tensor, numbers: Tensor, batch: Tensor | None = None) -> Tensor:
        """Energy of each molecule.

        Args:
            positions: ``(N, 3)`` in angstrom.
            numbers: ``(N,)`` int64, atomic numbers.
            batch: ``(N,)`` int64, which molecule each atom belongs to; ``None`` for one.

        Returns:
            ``(B,)`` in eV, in the precision of the network.

        Raises:
            ValueError: for other shapes or types, NaN, or an element that it does not know.
        """
        from workbench.e3.graphs import check_points

        batch = check_points(positions, batch)
        self._check(positions, numbers)
        with _full_precision(positions):
            count = int(batch.max()) + 1
            if self.training and self.turned:
                turn = SO3().matrix(SO3().sample(count, dtype=positions.dtype, device=positions.device))
                positions = torch.einsum("nij,nj->ni", turn[batch], positions)
            above = self.above(positions, numbers, batch)
            return above + above.new_zeros(count).index_add(0, batch, self.references[numbers])

    def energy_and_forces(
        self, positions: Tensor, numbers: Tensor, batch: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Energies ``(B,)`` in eV and forces ``(N, 3)`` in eV/angstrom, minus the gradient of the energy.

        Arguments as for :meth:`forward`. In training mode the forces can be differentiated with respect to the
        weights; in evaluation mode nothing is kept. Works under ``torch.no_grad``, too.

        Raises:
            ValueError: as :meth:`forward`, or where the energy has no slope, as averages over frames at equal
                principal moments.
        """
        with torch.enable_grad(), _full_precision(positions):
            where = positions.detach().clone().requires_grad_()
            energy = self(where, numbers, batch)
            (slope,) = torch.autograd.grad(
                energy.sum(), where, create_graph=self.training, allow_unused=True, materialize_grads=True
            )
        if not bool(torch.isfinite(slope).all()):
            raise ValueError(
                f"{self.kind}: forces were asked where the energy has no slope; expected a molecule whose principal "
                "axes are told apart, which those of a linear or highly symmetric one are not; average over a group "
                "instead of frames, or move its atoms a little."
            )
        forces = 0.0 - slope
        return (energy, forces) if self.training else (energy.detach(), forces.detach())

    def _check(self, positions: Tensor, numbers: Any) -> None:
        if not isinstance(numbers, Tensor) or numbers.dtype != torch.int64 or numbers.shape != positions.shape[:1]:
            raise ValueError(
                f"{self.kind}: numbers {getattr(numbers, 'shape', type(numbers).__name__)} were given; expected "
                f"({len(positions)},) atomic numbers of type int64, one for each position."
            )
        if positions.dtype != self.references.dtype:
            own = str(self.references.dtype).removeprefix("torch.")
            raise ValueError(
                f"{self.kind}: positions of type {positions.dtype} were given to a network of {own}; use "
                f"positions.to(torch.{own})."
            )
        known = (numbers >= 1) & (numbers <= HEAVIEST) & (self.places[numbers.clamp(0, HEAVIEST)] >= 0)
        if not known.all():
            strange = sorted(set(numbers[~known].tolist()))[:5]
            raise ValueError(
                f"{self.kind}: the atomic numbers {', '.join(map(str, strange))} were given; this network knows "
                f"{', '.join(map(str, self.elements))}; train one with more elements."
            )

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


def _full_precision(positions: Any) -> AbstractContextManager:
    return torch.autocast(positions.device.type, enabled=False) if isinstance(positions, Tensor) else nullcontext()

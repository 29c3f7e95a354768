"""Energies and forces of molecules: a small network of the kind of Batzner et al. 2022, "NequIP" (arXiv 2101.03164).

After the paper from memory; e3nn does the mathematics. What differs: self-connections do not depend on the element,
layers have a plain self-connection each, and an atom's energy is counted from that of the same atom alone, so that an
isolated atom has exactly its reference energy, and reaches it smoothly as its neighbours leave.

Lengths in angstrom, energies in eV, forces in eV/angstrom, dipoles in e angstrom.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from workbench.models._checks import check_amount, check_integers, check_switches, from_preset
from workbench.models._energies import Energies, check_elements, check_overlap, full_precision, tell_of_isolated
from workbench.models._energies import NoNeighbourWarning as NoNeighbourWarning
from workbench.models._molecular_claims import CLAIMS, EXPERIMENTS, STUDIES
from workbench.models.method import Method

NAME = "molecular_potential"
MAIN_GROUP = (1, 3, 4, 5, 6, 7, 8, 9, 11, 13, 14, 15, 16, 17)
"""H Li Be B C N O F Na Al Si P S Cl: the elements of the G2 set."""
DEMO_CHANNELS = {0: 24, 1: 18, 2: 15, 3: 13}
"""Channels that make networks of lmax 0..3 of one size: their parameters lie within 10 % of each other."""


@dataclass(frozen=True)
class Config:
    """What a molecular potential is made of.

    lmax                highest degree of features and edge harmonics, 0 to 3; 0 knows distances alone.
    channels            of each degree; 0 takes those of :data:`DEMO_CHANNELS` for this lmax.
    layers              interactions; the receptive field is layers x cutoff.
    cutoff              angstrom.
    basis               functions of the radial basis.
    hidden              width of the network that makes the weights of an edge.
    average_neighbours  sums over neighbours are divided by its root; measured on the training set.
    elements            atomic numbers that it knows.
    engine              of the product of features and harmonics, see :class:`HarmonicConvolution`.
    dipole              whether it gives dipoles, too.
    """

    lmax: int = 1
    channels: int = 0
    layers: int = 2
    cutoff: float = 5.0
    basis: int = 8
    hidden: int = 16
    average_neighbours: float = 8.0
    elements: tuple[int, ...] = MAIN_GROUP
    engine: str = "e3nn"
    dipole: bool = False


PRESETS: dict[str, dict[str, Any]] = {"demo": {}}


class MolecularPotential(Energies):
    """An energy that no rotation, reflection, translation or order of the atoms changes, and its forces.

    Attributes:
        references: as of :class:`workbench.models._energies.Energies`.
        scale: eV, what one unit of the network's output is worth; a buffer, 1 at first.
    """

    scale: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__(NAME, config.elements)
        from workbench.e3.convolution import HarmonicConvolution, gate
        from workbench.e3.irreps import harmonic_irreps
        from workbench.e3.radial import RadialBasis

        self.config = config
        channels = config.channels or DEMO_CHANNELS[config.lmax]
        self.embedding = nn.Embedding(len(config.elements), channels)
        self.radial = RadialBasis(config.cutoff, config.basis)
        inner = harmonic_irreps(config.lmax, channels)
        last = f"{channels}x0e+{channels}x1o" if config.dipole and config.lmax else f"{channels}x0e"
        self.convolutions, self.connections, self.gates = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        given = f"{channels}x0e"
        self.irreps: list[str] = []
        for layer in range(config.layers):
            wanted = inner if layer < config.layers - 1 else last
            step = gate(wanted)
            self.convolutions.append(
                HarmonicConvolution(
                    given, step.irreps_in.simplify(), config.lmax, config.basis, config.hidden,
                    config.average_neighbours, config.engine,
                )
            )  # fmt: skip
            self.connections.append(_connection(given, wanted))
            self.gates.append(step)
            given = wanted
            self.irreps.append(str(wanted))
        self.readout = _readout(channels)
        self.charge = _readout(channels) if config.dipole else None
        self.polarity = nn.Parameter(torch.randn(channels)) if config.dipole and config.lmax else None
        self.register_buffer("scale", torch.ones(()))

    def forward(
        self, positions: Tensor, numbers: Tensor, batch: Tensor | None = None, cell: Tensor | None = None
    ) -> Tensor:
        """Energy of each molecule.

        Args:
            positions: ``(N, 3)`` in angstrom.
            numbers: ``(N,)`` int64, atomic numbers.
            batch: ``(N,)`` int64, which molecule each atom belongs to; ``None`` for one.
            cell: ``(B, 3, 3)`` in angstrom, rows are lattice vectors; ``None`` for molecules in the open.

        Returns:
            ``(B,)`` in eV, in the precision of the network: in float32 a molecule of -17,600 eV is told to 2 meV.

        Raises:
            ValueError: for other shapes or types, NaN, an element that it does not know, or atoms that overlap.
        """
        with full_precision(positions):
            features, batch = self._features(positions, numbers, batch, cell)
            own = self.readout(features).squeeze(-1)
            atoms = self.scale * self.above_alone(own, numbers) + self.references[numbers]
        return atoms.new_zeros(int(batch.max()) + 1).index_add(0, batch, atoms)

    def dipole(self, positions: Tensor, numbers: Tensor, batch: Tensor | None = None) -> Tensor:
        """Dipoles ``(B, 3)`` in e angstrom of neutral molecules: of charges that sum to zero, and of each atom's own.

        Raises:
            ValueError: as :meth:`forward`, or where the network was built without dipoles.
        """
        if self.charge is None:
            raise ValueError(f"{NAME}: a dipole was asked of a network without one; build it with dipole = True.")
        with full_precision(positions):
            features, batch = self._features(positions, numbers, batch, None)
            charge = self.above_alone(self.charge(features).squeeze(-1), numbers)
        count = torch.zeros_like(charge).new_zeros(int(batch.max()) + 1)
        mean = count.index_add(0, batch, charge) / count.index_add(0, batch, torch.ones_like(charge))
        parts = (charge - mean[batch]).unsqueeze(-1) * positions
        if self.polarity is not None:
            vectors = features[: len(numbers), len(self.polarity) :].unflatten(-1, (-1, 3))
            parts = parts + torch.einsum("ncd,c->nd", vectors, self.polarity) / math.sqrt(len(self.polarity))
        return parts.new_zeros(len(count), 3).index_add(0, batch, parts)

    def atom_features(
        self, positions: Tensor, numbers: Tensor, batch: Tensor | None = None, layer: int = 0
    ) -> tuple[Tensor, str]:
        """What the atoms carry after a layer: features ``(N, D)`` and their irreps, which say how they turn along.

        Args:
            positions, numbers, batch: as for :meth:`forward`.
            layer: from 0; the last one has scalars alone, and vectors where the potential gives dipoles.

        Raises:
            ValueError: another layer, and as :meth:`forward`.
        """
        if isinstance(layer, bool) or not isinstance(layer, int) or not 0 <= layer < len(self.irreps):
            raise ValueError(f"{NAME}: layer {layer!r} was given; expected a whole number below {len(self.irreps)}.")
        with full_precision(positions):
            features, _ = self._features(positions, numbers, batch, None, layer + 1)
        return features[: len(numbers)], self.irreps[layer]

    def _features(
        self, positions: Tensor, numbers: Tensor, batch: Tensor | None, cell: Tensor | None, layers: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Features of all atoms, then of one atom alone of each element, ``(N + elements, D)``; and the batch."""
        from workbench.e3.graphs import neighbours
        from workbench.e3.harmonics import spherical_harmonics
        from workbench.e3.wigner import EdgeFrames

        batch = self.checked(positions, numbers, batch)
        edges = neighbours(positions, self.config.cutoff, batch, cell)
        distance = torch.linalg.vector_norm(edges.vector, dim=-1)
        check_overlap(NAME, distance, edges.receiver, edges.sender)
        if not self.training:
            tell_of_isolated(edges.receiver, len(numbers), self.config.cutoff)
        radial = self.radial(distance)
        harmonics = spherical_harmonics(self.config.lmax, edges.vector)
        frames = None if self.config.engine == "e3nn" else EdgeFrames(edges.vector, self.config.lmax)
        alone = torch.arange(len(self.config.elements), device=numbers.device)
        features = self.embedding(torch.cat([self.places[numbers], alone]))
        parts = zip(self.convolutions, self.connections, self.gates, strict=True)
        for convolution, connection, step in itertools.islice(parts, layers):
            features = connection(features) + step(convolution(features, edges, harmonics, radial, frames))
        return features, batch


OUTPUTS = {"energy": "invariant", "forces": "vectors", "dipole": "vectors"}
"""What a potential answers of point sets, and how a measure calls what such an answer does when the points move."""


class OfPoints(nn.Module):
    """A potential as measures and audits take networks of point sets: coordinates and atomic number of each atom.

    Args:
        potential: whose answers are asked.
        output: "energy" ``(B, 1)``, "forces" ``(B, N, 3)`` or "dipole" ``(B, 1, 3)``; see :data:`OUTPUTS`.

    Raises:
        ValueError: for another output, or one that the potential does not give.

    >>> points = torch.tensor([[[0.0, 0.0, 0.0, 8.0], [0.97, 0.0, 0.0, 1.0]]])
    >>> OfPoints(build({}).eval(), "forces")(points).shape
    torch.Size([1, 2, 3])
    """

    def __init__(self, potential: Energies, output: str = "energy") -> None:
        super().__init__()
        if output not in OUTPUTS:
            raise ValueError(f"{NAME}: output {output!r} was given; expected one of {', '.join(OUTPUTS)}.")
        if output == "dipole" and not callable(getattr(potential, "dipole", None)):
            raise ValueError(
                f"{NAME}: output 'dipole' was given with {type(potential).__name__}, which gives no dipoles; expected "
                "energy or forces; build a molecular_potential with dipole = True."
            )
        self.potential, self.output = potential, output

    def forward(self, points: Tensor) -> Tensor:
        """Molecules of equally many atoms ``(B, N, 4)``: x, y, z in angstrom, then the atomic number."""
        from workbench.e3.graphs import split_points

        given = split_points(points)
        potential: Any = self.potential
        if self.output == "energy":
            return potential(*given).unsqueeze(-1)
        if self.output == "dipole":
            return potential.dipole(*given).unsqueeze(1)
        return potential.energy_and_forces(*given)[1].unflatten(0, points.shape[:2])


def _connection(irreps_in: Any, irreps_out: Any) -> nn.Module:
    """Channels mixed atom by atom, what has no place in the input is left zero."""
    from e3nn import o3

    return o3.Linear(irreps_in, irreps_out)


def _readout(channels: int) -> nn.Module:
    """One number from the scalars of an atom; a constant would fall out, as atoms are counted from being alone."""
    half = max(channels // 2, 1)
    return nn.Sequential(_Scalars(channels), nn.Linear(channels, half), nn.SiLU(), nn.Linear(half, 1, bias=False))


class _Scalars(nn.Module):
    """The first channels, which are the scalars."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, features: Tensor) -> Tensor:
        return features[:, : self.channels]


def build(config: Mapping[str, Any]) -> MolecularPotential:
    """A potential from positions and atomic numbers to energies; forces by ``energy_and_forces``.

    Args:
        config: the entries of :class:`Config`, each with a default; ``preset`` "demo".

    Raises:
        ValueError: for another key, or values that cannot be.

    >>> model = build({"lmax": 1}).eval()
    >>> water = torch.tensor([[0.0, 0.0, 0.12], [0.0, 0.76, -0.48], [0.0, -0.76, -0.48]])
    >>> energy, forces = model.energy_and_forces(water, torch.tensor([8, 1, 1]))
    >>> energy.shape, forces.shape
    (torch.Size([1]), torch.Size([3, 3]))
    """
    chosen = from_preset(NAME, config, PRESETS, Config)
    check_integers(NAME, layers=chosen.layers, basis=chosen.basis, hidden=chosen.hidden)
    check_switches(NAME, dipole=chosen.dipole)
    check_amount(NAME, cutoff=chosen.cutoff, average_neighbours=chosen.average_neighbours)
    if isinstance(chosen.lmax, bool) or not isinstance(chosen.lmax, int) or not 0 <= chosen.lmax <= 3:
        raise ValueError(f"{NAME}: lmax = {chosen.lmax!r} was given; expected a whole number from 0 to 3.")
    if chosen.channels != 0:
        check_integers(NAME, channels=chosen.channels)
    return MolecularPotential(replace(chosen, elements=check_elements(NAME, chosen.elements)))


METHOD = Method(
    name=NAME,
    title="E(3)-Equivariant Graph Neural Networks for Data-Efficient and Accurate Interatomic Potentials",
    authors="S. Batzner, A. Musaelian, L. Sun, M. Geiger, J. P. Mailoa, M. Kornbluth, N. Molinari, T. E. Smidt, "
    "B. Kozinsky",
    year=2022,
    arxiv="2101.03164",
    summary="Energies and forces from features that turn along; what degrees above 0 buy, in data and in time.",
    notebook="15_molecular_potential.ipynb",
    experiments=EXPERIMENTS,
    claims=CLAIMS,
    studies=STUDIES,
)

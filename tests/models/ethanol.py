"""Ethanol, a crystal, and small potentials to be tried on them, for tests."""

import copy
import functools

import torch
from torch import Tensor, nn

from workbench.e3.irreps import default_dtype
from workbench.groups import O3
from workbench.models.molecular_potential import MolecularPotential, build

ETHANOL = torch.tensor([6, 6, 8, 1, 1, 1, 1, 1, 1])
PLACES = torch.tensor([
    [1.17, -0.40, 0.05], [0.02, 0.56, -0.03], [-1.19, -0.21, 0.04], [2.10, 0.13, -0.06], [1.15, -1.11, -0.79],
    [1.12, -0.95, 0.99], [0.04, 1.12, -0.97], [0.07, 1.29, 0.80], [-1.92, 0.38, -0.06],
], dtype=torch.float64)  # fmt: skip
DTYPES = [torch.float32, torch.float64]
ENGINES = ["e3nn", "dense-e3nn", "dense-so2"]
EVERY = range(4)
CELL = torch.tensor([[[3.1, 0.0, 0.0], [0.9, 3.4, 0.0], [-0.4, 0.8, 2.9]]], dtype=torch.float64)
SALT, SALT_PLACES = torch.tensor([6, 8, 1]), torch.tensor(
    [[0.1, 0.2, 0.3], [1.6, 1.5, 1.4], [0.2, 1.9, 0.4]], dtype=torch.float64
)  # fmt: skip


@functools.cache
def built(lmax: int, dtype: torch.dtype, **options) -> MolecularPotential:
    torch.manual_seed(0)
    with default_dtype(dtype):
        model = build({"lmax": lmax, "channels": 4, "hidden": 8, **options}).eval()
    model.references[torch.tensor([1, 6, 8])] = torch.tensor([-0.5, -3.0, -7.0], dtype=dtype)
    return model


def made(lmax: int = 2, dtype: torch.dtype = torch.float64, **options) -> MolecularPotential:
    return copy.deepcopy(built(lmax, dtype, **options))


def moved(seed: int = 0) -> tuple[Tensor, Tensor]:
    """One element of O(3) with a point reflection, and a shift."""
    turn = O3().matrix(O3().sample(1, torch.Generator().manual_seed(seed), torch.float64))[0]
    return -turn if torch.linalg.det(turn) > 0 else turn, torch.tensor([3.0, -1.0, 2.0], dtype=torch.float64)


def difference(a: Tensor, b: Tensor) -> float:
    return float((a.double() - b.double()).detach().abs().max() / b.double().detach().abs().max())


def pulled_and_turned(model: nn.Module) -> tuple[float, float]:
    """The sum of forces, eV/angstrom, and of torques, eV, each by its largest part."""
    forces = model.energy_and_forces(PLACES, ETHANOL)[1]
    torques = torch.linalg.cross(PLACES, forces)
    return float(forces.sum(0).abs().max()), float(torques.sum(0).abs().max())


def leaving(model: MolecularPotential, share: float) -> tuple[Tensor, Tensor]:
    """Carbon and oxygen at a distance of that share of the cutoff, beside a hydrogen that stays."""
    numbers = torch.tensor([6, 8, 1])
    places = torch.tensor([[0.0, 0, 0], [share * model.config.cutoff, 0, 0], [0.3, 1.0, 0]], dtype=torch.float64)
    return model.energy_and_forces(places, numbers)


def jump(model: MolecularPotential) -> float:
    inside, outside = (leaving(model, 1 + side * 5e-7) for side in (-1, 1))
    return max(float((a - b).abs().max()) for a, b in zip(inside, outside, strict=True))

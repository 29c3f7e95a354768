"""From coordinates to convolution weights."""

from workbench.kernels.bank import KernelBank
from workbench.kernels.factored import FACTORISATIONS, OF_SIMILARITIES, FactoredKernels
from workbench.kernels.geometry import disc_mask, plan, tap_offsets, turn_permutation
from workbench.kernels.networks import NETWORKS, KernelSpec, MultiplicativeNetwork, Siren, make_network
from workbench.kernels.relaxed import RelaxedKernels
from workbench.kernels.turning import TurningKernels

__all__ = [
    "FACTORISATIONS",
    "NETWORKS",
    "OF_SIMILARITIES",
    "FactoredKernels",
    "KernelBank",
    "KernelSpec",
    "MultiplicativeNetwork",
    "RelaxedKernels",
    "Siren",
    "TurningKernels",
    "disc_mask",
    "make_network",
    "plan",
    "tap_offsets",
    "turn_permutation",
]

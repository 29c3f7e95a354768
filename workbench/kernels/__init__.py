"""From coordinates to convolution weights."""

from workbench.kernels.bank import KernelBank
from workbench.kernels.factored import FACTORISATIONS, FactoredKernels
from workbench.kernels.geometry import disc_mask, plan, tap_offsets, turn_permutation
from workbench.kernels.networks import NETWORKS, KernelSpec, MultiplicativeNetwork, Siren, make_network

__all__ = [
    "FACTORISATIONS",
    "NETWORKS",
    "FactoredKernels",
    "KernelBank",
    "KernelSpec",
    "MultiplicativeNetwork",
    "Siren",
    "disc_mask",
    "make_network",
    "plan",
    "tap_offsets",
    "turn_permutation",
]

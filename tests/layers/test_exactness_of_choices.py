"""Exactness does not depend on the kernel network, its encoding, or the way a convolution is computed."""

import pytest
import torch

from tests.layers.symmetry import FLIPS, TINY, TURN, defect, lifted, pair
from tests.tolerances import EXACT
from workbench.groups import O2, parse_group
from workbench.kernels import KernelSpec
from workbench.kernels.networks import NETWORKS
from workbench.layers import GroupConv

DTYPES = (torch.float32, torch.float64)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(("group", "n"), [("SO2", 8), ("C(8)", 8), ("O2", 8), ("D(4)", 8)])
def test_every_kernel_network_and_encoding_is_exact(group, n, network, dtype):
    g = parse_group(group)
    elements = [TURN[g.element_dim], *([FLIPS["up-down"]] if g.element_dim == 2 else [])]
    for spec in (KernelSpec(network, 8), KernelSpec(network, 8, encoding="raw", bias="zero")):
        net, x = pair(group, n, spec).to(dtype), torch.randn(1, 2, 9, 9, dtype=dtype)
        assert max(defect(net, x, element, g) for element in elements) <= EXACT[dtype]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("way", ["dense", "split", "spectral"])
@pytest.mark.parametrize(("k", "size", "mode"), [(5, 16, "zeros"), (7, 7, "zeros"), (9, 13, "circular")])
def test_every_way_of_convolving_is_exact(k, size, mode, way, dtype, monkeypatch):
    monkeypatch.setattr("workbench.layers.convolution.choose", lambda *_: way)
    layer = GroupConv(6, 6, k, group="O2", n=8, kernel=TINY, padding_mode=mode).to(dtype)
    signal = lifted(O2(), 8, channels=6, size=size, dtype=dtype)
    assert max(defect(layer, signal, g, O2()) for g in (TURN[2], FLIPS["up-down"])) <= EXACT[dtype]

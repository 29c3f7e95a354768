"""The plain baseline: the demonstration network's backbone, equivariant to shifts and nothing else."""

import pytest
import torch
from torch import nn

from tests.layers.symmetry import TURN, defect
from tests.tolerances import BROKEN_LOGITS
from workbench.groups import SO2
from workbench.layers import GroupConv, GroupPool, LiftingConv
from workbench.models import build_model
from workbench.models.plain_cnn import build


def parameters(**config: object) -> int:
    return sum(p.numel() for p in build(config).parameters())


def test_it_has_about_three_times_the_parameters_of_the_demonstration_network():
    assert parameters() == 18_378
    demo = build_model({"name": "partial_gcnn", "preset": "demo"})
    assert 2 < parameters() / sum(p.numel() for p in demo.parameters()) < 4


def test_it_shares_depth_kernel_sizes_and_pools_with_the_demonstration_network():
    demo = build_model({"name": "partial_gcnn", "preset": "demo"})
    group = [m.kernel_size for m in demo.modules() if isinstance(m, LiftingConv | GroupConv)]
    plain = [m.kernel_size[0] for m in build({}).modules() if isinstance(m, nn.Conv2d)]
    assert group == plain == [5, 5, 5, 3]
    kinds = ((demo, GroupPool), (build({}), nn.MaxPool2d))
    pools = [sum(isinstance(m, kind) for m in net.modules()) for net, kind in kinds]
    assert pools == [2, 2]


@pytest.mark.parametrize("size", [16, 28, 32])
def test_it_takes_every_size_and_every_width(size):
    net = build({"widths": (4, 4, 6), "classes": 5, "in_channels": 3})
    assert net(torch.zeros(2, 3, size, size)).shape == (2, 5)


def test_it_is_not_invariant_to_quarter_turns():
    net = build({"classes": 3}).double().eval()
    assert defect(net, torch.randn(2, 1, 16, 16).double(), TURN[1], SO2()) > BROKEN_LOGITS


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"depth": 3}, "depth was given; expected only in_channels"),
        ({"kernel_size": 4}, "expected an odd number"),
        ({"widths": 3}, "widths = 3 was given"),
        ({"widths": ()}, "at least the lifting or first convolution"),
        ({"widths": (4, 0)}, r"widths\[1\] = 0"),
        ({"pools": (9,)}, "stages from 0 to 3"),
        ({"classes": 0}, "classes = 0"),
        ({"classes": 10**9}, "at most 65536"),
    ],
)
def test_wrong_settings_are_refused_with_a_sentence(config, sentence):
    with pytest.raises(ValueError, match=sentence):
        build(config)

"""The anchored network ignores cyclic shifts; its twin without anchors does not, nor does the plain one."""

import itertools
from typing import Any

import pytest
import torch

from tests.layers.symmetry import relative
from tests.tolerances import BROKEN_LOGITS, EXACT
from workbench.models import build_model

SMALL = {"widths": (4, 4, 6), "classes": 3}


def worst(dtype: torch.dtype, **config: Any) -> float:
    """The largest change of the logits over all 256 cyclic shifts of 16 x 16 pixels."""
    torch.manual_seed(1)
    net = build_model({"name": "anchored_cnn", **SMALL, **config}).to(dtype).eval()
    x = torch.randn(1, 1, 16, 16, dtype=dtype)
    moved = torch.cat([x.roll(by, (2, 3)) for by in itertools.product(range(16), repeat=2)])
    return max(relative(one, net(x)[0]) for one in net(moved))


@pytest.mark.parametrize("dtype", list(EXACT), ids=str)
def test_every_cyclic_shift_leaves_the_logits_alone(dtype):
    assert worst(dtype) <= EXACT[dtype]
    assert worst(dtype, anchored=False) > BROKEN_LOGITS


def test_anchors_cost_no_parameters_and_learn_as_the_plain_network_does():
    net, plain = (build_model({"name": name, **SMALL}) for name in ("anchored_cnn", "plain_cnn"))
    assert sum(p.numel() for p in net.parameters()) == sum(p.numel() for p in plain.parameters())
    net(torch.rand(4, 1, 16, 16)).square().sum().backward()
    assert all(p.grad is not None for p in net.parameters())


@pytest.mark.parametrize(
    ("config", "sentence"),
    [({"anchored": 1}, "anchored = 1 was given; expected True or False"), ({"stride": 2}, "stride was given")],
)
def test_wrong_settings_are_refused_with_a_sentence(config, sentence):
    with pytest.raises(ValueError, match=sentence):
        build_model({"name": "anchored_cnn", **config})

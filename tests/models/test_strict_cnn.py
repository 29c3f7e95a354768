"""The strict network of the plain backbone: exactly invariant, trained or not, at the plain network's cost."""

from typing import Any

import pytest
import torch

from tests.layers.symmetry import TURN, defect
from tests.tolerances import BROKEN_LOGITS, EXACT
from workbench.groups import SO2
from workbench.measure.cost import cost
from workbench.models import build_model

SMALL = {"widths": (4, 8), "classes": 3}


def network(name: str = "strict_cnn", **options: Any) -> Any:
    torch.manual_seed(1)
    return build_model({"name": name, **SMALL, **options})


def error(net: Any, dtype: torch.dtype, size: int = 16) -> float:
    """How much a quarter turn changes the logits."""
    x = torch.randn(3, 1, size, size, dtype=dtype)
    return defect(net.to(dtype).eval(), x, TURN[1], SO2())


@pytest.mark.parametrize("dtype", list(EXACT), ids=str)
def test_quarter_turns_change_nothing_before_and_after_a_step(dtype):
    net = network().to(dtype)
    assert error(net, dtype) <= EXACT[dtype]
    net.train()
    net(torch.randn(4, 1, 16, 16, dtype=dtype)).square().sum().backward()
    with torch.no_grad():
        for parameter in net.parameters():
            assert parameter.grad is not None
            parameter -= 0.1 * parameter.grad
    assert error(net, dtype) <= EXACT[dtype]
    assert error(network("plain_cnn"), dtype) > BROKEN_LOGITS


def test_it_costs_what_the_plain_network_costs_with_a_quarter_of_its_filters():
    strict, plain = (cost(network(name), (1, 1, 16, 16)) for name in ("strict_cnn", "plain_cnn"))
    assert int(strict.multiply_adds.sum()) == int(plain.multiply_adds.sum())
    filters = [
        sum(p.numel() for p in network(name).body.parameters() if p.ndim >= 4) for name in ("strict_cnn", "plain_cnn")
    ]
    assert 4 * filters[0] == filters[1]


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"widths": (4, 6)}, "out_channels = 6 was given; expected a multiple of 4.*use 8"),
        ({"strength": 1.0}, "strength was given; expected only in_channels"),
    ],
)
def test_wrong_settings_are_refused_with_a_sentence(config, sentence):
    with pytest.raises(ValueError, match=sentence):
        network(**config)

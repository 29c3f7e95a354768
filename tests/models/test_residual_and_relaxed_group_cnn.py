"""Networks of fields of C4 that start strict: free pathways and uneven weights break the symmetry, and only they."""

from typing import Any

import pytest
import torch
from torch import nn

from tests.layers.symmetry import TURN, defect, relative
from tests.tolerances import BROKEN_LOGITS, EXACT
from workbench.groups import SO2
from workbench.measure.cost import cost
from workbench.models import build_model

SMALL = {"widths": (4, 8), "classes": 3}
NAMES = ("residual_cnn", "relaxed_group_cnn")


def network(name: str, **options: Any) -> Any:
    torch.manual_seed(1)
    return build_model({"name": name, **SMALL, **options})


def error(net: nn.Module, dtype: torch.dtype = torch.float64) -> float:
    """How much a quarter turn changes the logits."""
    return defect(net.to(dtype).eval(), torch.randn(3, 1, 16, 16, dtype=dtype), TURN[1], SO2())


@pytest.mark.parametrize("dtype", list(EXACT), ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_it_starts_exactly_invariant_to_quarter_turns(name, dtype):
    assert error(network(name), dtype) <= EXACT[dtype]


def test_every_free_pathway_breaks_it():
    net = network("residual_cnn")
    free = {name: p for name, p in net.named_parameters() if name.endswith("original1")}
    assert len(free) == 5  # two filters, two biases, the classifier
    for name, parameter in free.items():
        with torch.no_grad():
            parameter.normal_()
        assert error(net) > BROKEN_LOGITS, name
        with torch.no_grad():
            parameter.zero_()
    assert error(net) <= EXACT[torch.float64]


def test_the_priors_are_two_factors_of_squared_norms():
    net = network("residual_cnn", prior_strict=0.5, prior_free=20.0)
    strict, free = (norm.detach() for norm in net.norms())
    weights = [net.body[0].weight, net.body[0].bias, net.body[4].weight, net.body[4].bias, net.classifier.weight]
    assert float(free) == 0.0
    assert relative(strict, sum(w.detach().square().sum() for w in weights)) <= EXACT[torch.float32]
    with torch.no_grad():
        net.body[0].parametrizations["weight"].original1.fill_(0.1)
    assert relative(net.penalty(), 0.5 * strict + 20.0 * 0.01 * 4 * 25) <= EXACT[torch.float32]
    assert relative(net.penalty(), 20.0 * strict) > BROKEN_LOGITS


def shrunk(prior_free: float) -> float:
    """|W_free| after steps on labels that single out one orientation."""
    net = network("residual_cnn", prior_free=prior_free)
    x = torch.rand(4, 1, 16, 16) * torch.linspace(0, 1, 16)
    images = torch.cat([torch.rot90(x, q, (-2, -1)) for q in range(3)])
    labels = torch.arange(3).repeat_interleave(4)
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(20):
        optimiser.zero_grad()
        (nn.functional.cross_entropy(net(images), labels) + net.penalty()).backward()
        optimiser.step()
    return float(net.norms()[1].detach())


def test_a_tighter_prior_leaves_less_of_the_free_pathway():
    assert shrunk(1.0) < shrunk(1e-3) / 4


def test_uneven_weights_break_it_in_every_layer():
    net = network("relaxed_group_cnn", filters=3)
    for name, w in net.weights_of_orientations().items():
        kept = w.detach().clone()
        with torch.no_grad():
            w.mul_(torch.randn(3, 1))  # alike for all orientations
        assert error(net) <= EXACT[torch.float64], name
        with torch.no_grad():
            w[1, 2] += 2.0
        assert error(net) > BROKEN_LOGITS, name
        with torch.no_grad():
            w.copy_(kept)


@pytest.mark.parametrize("name", NAMES)
def test_it_costs_what_the_plain_network_costs(name):
    own, plain = (cost(build_model({"name": n, **SMALL}), (2, 1, 16, 16)) for n in (name, "plain_cnn"))
    assert int(own.multiply_adds.sum()) == int(plain.multiply_adds.sum())
    assert int(own.parameters.sum()) == sum(p.numel() for p in build_model({"name": name, **SMALL}).parameters())


@pytest.mark.parametrize("name", NAMES)
def test_it_learns_and_survives_saving_and_loading(name):
    one, other = network(name).eval(), build_model({"name": name, **SMALL}).eval()
    one(torch.rand(4, 1, 16, 16)).square().sum().backward()
    assert all(p.grad is not None for p in one.parameters())
    other.load_state_dict(one.state_dict())
    x = torch.randn(1, 1, 16, 16)
    assert torch.equal(one(x), other(x))


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"name": "residual_cnn", "prior_free": -1}, "prior_free = -1 was given; expected a finite number"),
        ({"name": "residual_cnn", "widths": (4, 6)}, "expected a multiple of 4.*use 8"),
        ({"name": "residual_cnn", "prior": 1}, "prior was given; expected only in_channels"),
        ({"name": "relaxed_group_cnn", "filters": 0}, "filters = 0 was given; expected a positive integer"),
        ({"name": "relaxed_group_cnn", "widths": (5,), "pools": ()}, "expected a multiple of 4.*use 8"),
    ],
)
def test_wrong_settings_are_refused_with_a_sentence(config, sentence):
    with pytest.raises(ValueError, match=sentence):
        build_model(config)

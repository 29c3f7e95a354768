"""The soft penalty: at its zero the network is invariant, at strength 0 it is free, in between training moves it."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.layers.symmetry import TURN, defect, relative
from tests.tolerances import AGAIN, BROKEN_LOGITS, EXACT
from workbench.groups import SO2
from workbench.models.soft_cnn import build, rescaled
from workbench.training.batches import Batches
from workbench.training.module import TrainingModule
from workbench.training.settings import Settings

SMALL = {"widths": (4, 8), "classes": 3}


def error(net: nn.Module, dtype: torch.dtype) -> float:
    """How much a quarter turn changes the logits."""
    return defect(net.to(dtype).eval(), torch.randn(3, 1, 16, 16, dtype=dtype), TURN[1], SO2())


@pytest.mark.parametrize("dtype", list(EXACT), ids=str)
def test_at_no_distance_it_is_invariant_and_else_it_is_not(dtype):
    net: Any = build(SMALL)
    assert error(net, dtype) > BROKEN_LOGITS
    net.project_weights()
    assert error(net, dtype) <= EXACT[dtype]
    assert max(float(d.detach()) for d in net.distances().values()) <= EXACT[dtype]


def test_every_part_that_may_break_the_symmetry_has_its_price():
    net: Any = build(SMALL)
    net.project_weights()
    for name, distance in net.distances().items():
        layer = net.get_submodule(name)
        kept = layer.weight.detach().clone()
        with torch.no_grad():
            layer.weight += torch.rand_like(layer.weight)
        assert float(net.penalty().detach()) > float(distance.detach()), name
        assert error(net, torch.float32) > EXACT[torch.float32], name
        layer.weight.data = kept
    assert len(net.distances()) == 3


def trained(strength: float) -> Tensor:
    """The distances after a few steps of the training's own loss, their sum."""
    torch.manual_seed(0)
    net: Any = build({**SMALL, "strength": strength})
    batches = Batches(torch.randn(8, 1, 16, 16), torch.arange(8) % 3, batch_size=8, seed=0)
    module = TrainingModule(net, Settings.read({"lr": 1e-2}), batches, total_steps=30)
    optimiser = module.configure_optimizers()
    for _ in range(30):
        optimiser.zero_grad()
        module.training_step(next(iter(batches)), 0).backward()
        optimiser.step()
    return torch.stack(list(net.distances().values())).sum().detach()


def test_a_larger_strength_leaves_a_smaller_distance():
    free, soft, hard = (trained(strength) for strength in (0.0, 0.1, 10.0))
    assert hard < soft / 2 < free / 4


SEVERAL = {**SMALL, "symmetries": ("C(4)", "D(1)"), "strength": 1.0}


def test_strengths_fall_with_the_prices_and_with_the_power():
    ones, prices = torch.ones(2), torch.tensor([1.0, 4.0])
    assert rescaled(ones, prices, 1.0).tolist() == [1.0, 0.25]
    assert rescaled(torch.tensor([2.0, 8.0]), prices, 0.5).tolist() == [2.0, 4.0]
    assert rescaled(ones, torch.tensor([0.0, 3.0]), 1.0).tolist() == [1.0, 0.0]
    assert rescaled(ones, torch.zeros(2), 1.0).tolist() == [1.0, 1.0]


def test_a_symmetry_that_stays_dear_loses_its_strength_at_the_update_that_was_chosen():
    net: Any = build({**SEVERAL, "automatic": 3}).train()
    first = float(net.penalty().detach())
    assert first == pytest.approx(float(net.prices().sum().detach()), rel=AGAIN)
    net.penalty()
    net.project_weights()  # quarter turns only: the mirror stays dear
    dear = net.prices().detach()
    net.eval()
    net.penalty()
    assert net.strengths.tolist() == [1.0, 1.0], "evaluation counts no updates"
    net.train().penalty()
    assert float(net.strengths[1]) == pytest.approx(float(dear[0] / dear[1]), rel=1e-3, abs=1e-9)
    assert float(net.strengths[1]) < EXACT[torch.float32]
    assert float(net.strengths[0]) == 1.0
    kept = net.strengths.clone()
    net.penalty()
    assert torch.equal(net.strengths, kept), "once"
    other: Any = build({**SEVERAL, "automatic": 3})
    other.load_state_dict(net.state_dict())
    assert torch.equal(other.strengths, kept)
    assert int(other.updates) == 4


def test_without_an_automatic_choice_strengths_stay():
    net: Any = build(SEVERAL).train()
    for _ in range(3):
        net.penalty()
    assert net.strengths.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("symmetry", ["C(2)", "D(1)"])
def test_projected_on_another_symmetry_it_is_invariant_to_that_one_only(symmetry):
    net: Any = build(SMALL).double().eval()
    net.project_weights(symmetry)
    x = torch.randn(3, 1, 16, 16).double()
    mirrored, half = relative(net(x.flip(-1)), net(x)), relative(net(torch.rot90(x, 2, (-2, -1))), net(x))
    kept, broken = (half, mirrored) if symmetry == "C(2)" else (mirrored, half)
    assert kept <= EXACT[torch.float64]
    assert broken > BROKEN_LOGITS
    assert error(net, torch.float64) > BROKEN_LOGITS


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"symmetries": ("C(3)",)}, "symmetries = .* was given; expected some of C\\(4\\), C\\(2\\), D\\(1\\)"),
        ({"symmetries": ("C(4)", "C(4)")}, "each once"),
        ({"symmetries": "C(4)"}, "expected some of"),
        ({"automatic": 5}, "the symmetry C\\(4\\) alone"),
        ({**SEVERAL, "automatic": 0}, "automatic = 0 was given; expected a positive integer"),
        ({**SEVERAL, "power": -1}, "power = -1 was given"),
        ({"strength": -1.0}, "strength = -1.0 was given; expected a finite number of at least 0"),
        ({"strength": float("nan")}, "strength = nan"),
        ({"widths": (4, 6)}, "out_channels = 6 was given; expected a multiple of 4.*use 8"),
        ({"lambda": 1.0}, "lambda was given; expected only in_channels"),
    ],
)
def test_wrong_settings_are_refused_with_a_sentence(config, sentence):
    with pytest.raises(ValueError, match=sentence):
        build(config)

"""Models that change what they are given, or take gradients inside, are measured like those that do not."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.measure.toys import c4_net
from tests.tolerances import EXACT
from workbench.measure import (
    attribute_error,
    class_probability,
    equivariance_error,
    infer_behaviour,
    lie_derivative,
    task_cost,
    undisturbed,
)
from workbench.measure.entry import fed
from workbench.measure.state import ways_of


class InPlace(nn.Module):
    """A network that standardises its input where it lies; its twin makes a new tensor."""

    def __init__(self, net: nn.Module, own: bool = False) -> None:
        super().__init__()
        self.net, self.own = net, own

    def forward(self, x: Tensor) -> Tensor:
        return self.net((x - 0.4) / 0.2 if self.own else x.sub_(0.4).div_(0.2))


class Force(nn.Module):
    """A force as the gradient of an energy of distances, with its own word for gradients or without it."""

    def __init__(self, own: bool = False, chance: float = 0.0) -> None:
        super().__init__()
        self.net, self.own, self.chance, self.calls = nn.Linear(1, 4), own, chance, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        with torch.set_grad_enabled(self.own or torch.is_grad_enabled()):
            x = x[..., :3].clone().requires_grad_(True)
            near = (x.unsqueeze(1) - x.unsqueeze(2)).square().sum(-1, keepdim=True)
            energy = self.net(near).tanh().sum() + 0.3 * x[..., 0].square().sum()
            force = torch.autograd.grad(energy, x)[0]
        return -force + self.chance * torch.randn(force.shape).to(force)


class Blind(nn.Module):
    """Takes a gradient of what it has cut off itself."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            energy = x.square().sum()
        return torch.autograd.grad(energy, x.requires_grad_())[0]


def given(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def linear(features: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(features, 4), nn.ReLU()).double()


IMAGES, POINTS, SERIES = given(4, 3, 8, 8), given(4, 5, 3), given(4, 2, 12)
CONV = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).double()
WAVE = nn.Conv1d(2, 3, 3, padding=1).double()
GREY = given(4, 1, 8, 8)
MEASURES = {
    "error": lambda net: equivariance_error(InPlace(CONV, net), IMAGES, "SO2", n_elements=5, mask="none"),
    "without the identity": lambda net: equivariance_error(InPlace(CONV, net), IMAGES, "SO2", torch.tensor([[1.0]])),
    "layers": lambda net: equivariance_error(InPlace(CONV, net), IMAGES, "D(4)", layers="all"),
    "one channel": lambda net: equivariance_error(InPlace(c4_net().double(), net), GREY, "C(4)"),
    "shifts": lambda net: equivariance_error(InPlace(CONV, net), GREY.expand(-1, 3, -1, -1), "Translation"),
    "maps": lambda net: equivariance_error(InPlace(CONV[:2], net), IMAGES, "Scale", n_elements=3),
    "points": lambda net: equivariance_error(InPlace(linear(3), net), POINTS, "SO3", n_elements=4),
    "sets": lambda net: equivariance_error(InPlace(linear(3), net), POINTS, "Symmetric(5)", n_elements=4),
    "series": lambda net: equivariance_error(InPlace(WAVE, net), SERIES, "Translation1"),
    "averaged": lambda net: equivariance_error(InPlace(CONV, net), IMAGES, "C(4)", repeats=3),
    "lie": lambda net: lie_derivative(InPlace(CONV, net), IMAGES),
    "attribution": lambda net: attribute_error(InPlace(CONV, net), IMAGES, "C(4)"),
    "task": lambda net: task_cost(InPlace(CONV, net), IMAGES, torch.arange(4), "C(4)"),
    "probability": lambda net: class_probability(InPlace(CONV, net), IMAGES, n_angles=3),
}


@pytest.mark.parametrize("name", MEASURES)
def test_a_model_that_changes_its_input_gets_the_numbers_of_its_twin(name: str) -> None:
    before = [x.clone() for x in (IMAGES, GREY, POINTS, SERIES)]
    found, twin = MEASURES[name](False), MEASURES[name](True)
    assert all(torch.equal(x, old) for x, old in zip((IMAGES, GREY, POINTS, SERIES), before, strict=True))
    for key, values in twin.data_vars.items():
        if values.dtype.kind == "f":  # how a new tensor lies in memory decides the last bits of some products
            assert np.allclose(found[key], values, rtol=EXACT[torch.float64], atol=EXACT[torch.float64], equal_nan=True)
        else:
            assert np.array_equal(found[key], values), key
    assert found.attrs.get("stochastic", 0.0) == 0.0


def test_the_model_itself_does_change_what_it_is_given() -> None:
    x = IMAGES.clone()
    with undisturbed(net := InPlace(CONV)):
        fed(net, x)
        assert ways_of(net) == {"writes"}
        assert torch.equal(x, IMAGES)
        fed(net, x, spare=True)
        assert not torch.equal(x, IMAGES)
    assert ways_of(net) == set()


@pytest.mark.parametrize("layers", [(), "all"])
def test_a_gradient_taken_inside_is_measured(layers) -> None:
    torch.manual_seed(0)
    net, twin = Force().double(), Force(own=True).double()
    twin.load_state_dict(net.state_dict())
    found, expected = (equivariance_error(one, POINTS, "SO3", n_elements=4, layers=layers) for one in (net, twin))
    assert found.attrs["output"] == expected.attrs["output"]
    assert np.array_equal(found.error, expected.error)
    assert float(found.error.max()) > 0.01  # the energy minds where x points
    assert infer_behaviour(net, POINTS, "SO3").kind == infer_behaviour(twin, POINTS, "SO3").kind


def test_gradients_are_missed_once_in_a_run() -> None:
    net, twin = Force().double(), Force(own=True).double()
    for one in (net, twin):
        equivariance_error(one, POINTS, "SO3", n_elements=4, output="vectors", batch_size=4)
    assert net.calls == twin.calls + 1


def test_r23_r24_the_same_again_and_nothing_is_left_behind() -> None:
    net = Force(chance=0.1).double().train()
    net.net.weight.grad = torch.ones(4, 1, dtype=torch.float64)
    points = POINTS.clone()
    runs = [equivariance_error(net, points, "SO3", n_elements=3, seed=4) for _ in range(2)]
    assert runs[0].equals(runs[1])
    assert net.training
    assert torch.equal(net.net.weight.grad, torch.ones(4, 1, dtype=torch.float64))
    assert net.net.bias.grad is None
    assert net.net.weight.requires_grad
    assert not points.requires_grad
    assert torch.is_grad_enabled()


def test_a_gradient_of_nothing_is_told_in_one_sentence() -> None:
    with pytest.raises(
        ValueError, match=r"the model's Blind takes a gradient of what has none.*no_grad or detach"
    ) as told:
        equivariance_error(Blind(), IMAGES, "C(4)")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("own", [True, False])
def test_shares_of_modules_in_a_force_add_up(own: bool) -> None:
    torch.manual_seed(0)
    ds = attribute_error(Force(own).double(), POINTS, "SO3", output="vectors")
    assert float(ds.whole.max()) > 0.01
    assert np.abs(ds.residual).max() < EXACT[torch.float64]

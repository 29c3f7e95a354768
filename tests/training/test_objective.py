"""Facts about the extra terms of the loss and the two groups of parameters."""

from typing import Any

import pytest
import torch
from torch import nn

from tests.tolerances import AGAIN_SINGLE, EXACT
from tests.training.tiny import tiny
from workbench.groups import SO2, MirrorGate, UniformArc
from workbench.kernels import KernelBank
from workbench.layers import GroupConv, LiftingConv
from workbench.models import build_model
from workbench.training.objective import (
    KernelNorms,
    arcs,
    distributions,
    monotone_prior,
    own_penalty,
    parameter_groups,
)


def network() -> nn.Module:
    return build_model(tiny()["model"])


def test_distributions_are_found_in_layer_order() -> None:
    model = network()
    assert [type(d) for d in distributions(model)] == [UniformArc] * 3
    assert [a is d.theta for a, d in zip(arcs(model), distributions(model), strict=True)] == [True] * 3


def test_every_parameter_is_in_one_group_and_only_distributions_are_in_probs() -> None:
    model = network()
    groups = parameter_groups(model)
    assert sum(len(chosen) for chosen in groups.values()) == len(list(model.parameters()))
    assert {id(p) for p in groups["probs"]} == {id(p) for d in distributions(model) for p in d.parameters()}


def test_a_gate_inside_a_product_is_listed_once() -> None:
    model = nn.Sequential(GroupConv(2, 2, 3, group="O2", partial=True))
    assert len(parameter_groups(model)["probs"]) == 2


def test_a_model_may_group_its_own_parameters_but_must_name_each_once() -> None:
    class Own(nn.Linear):
        def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
            return groups(self)

    groups = lambda m: {"weights": [m.weight], "probs": [m.bias]}  # noqa: E731
    assert parameter_groups(Own(1, 1))["probs"][0].shape == (1,)
    groups = lambda m: {"weights": [m.weight]}  # noqa: E731
    with pytest.raises(ValueError, match="exactly once"):
        parameter_groups(Own(1, 1))
    groups = lambda m: {"weights": [m.weight], "bias": [m.bias]}  # noqa: E731
    with pytest.raises(ValueError, match="expected 'weights' and 'probs'"):
        parameter_groups(Own(1, 1))


def test_frozen_parameters_are_not_trained() -> None:
    model = nn.Linear(1, 1)
    model.bias.requires_grad_(False)
    assert parameter_groups(model)["weights"] == [model.weight]


def test_the_monotone_prior_charges_rises_only_and_pulls_them_down() -> None:
    depth = [torch.tensor(v, requires_grad=True) for v in (0.9, 0.4, 0.7)]
    price = monotone_prior(depth)
    price.backward()
    assert float(price.detach()) == pytest.approx(0.3, rel=AGAIN_SINGLE)
    assert [float(v.grad) for v in depth] == [0.0, -1.0, 1.0]
    assert float(monotone_prior([depth[0]])) == 0


def test_kernel_norms_are_those_of_the_kernels_one_forward_pass_made() -> None:
    lift, conv = LiftingConv(1, 2, 3, n=4), GroupConv(2, 3, 3, n=4)
    model = nn.Sequential(lift, conv).double()
    nn.init.normal_(conv.bias)
    with KernelNorms(model) as norms:
        model(torch.randn(1, 1, 8, 8, dtype=torch.float64))
    grid = SO2().grid(4, dtype=torch.float64)
    made = [lift.bank(grid, None, True), conv.bank(grid, grid, True), lift.bias, conv.bias]
    expected = sum(tensor.norm() for tensor in made)
    torch.testing.assert_close(norms.total(), expected, rtol=EXACT[torch.float64], atol=0)
    assert not lift._forward_hooks, "the layer is left as it was"


def test_kernel_norms_teach_the_network_that_makes_the_kernels() -> None:
    model = LiftingConv(1, 2, 3, n=4)
    with KernelNorms(model) as norms:
        model(torch.randn(1, 1, 8, 8))
    norms.total().backward()
    assert all(p.grad is not None for name, p in model.named_parameters() if "kernels" in name)


@pytest.mark.parametrize("theta", [None, 1.0, 0.6])
def test_kernels_of_the_forward_pass_teach_the_same_as_kernels_made_again(theta: float | None) -> None:
    lift, conv = LiftingConv(1, 2, 5, n=8), GroupConv(2, 3, 5, n=8, partial=theta is not None)
    model = nn.Sequential(lift, conv).double()
    if theta is not None:
        conv.distribution.theta.data.fill_(theta)
    learned = [p for name, p in model.named_parameters() if "bias" not in name or "kernels" in name]
    with KernelNorms(model) as norms:
        signal = conv(lift(torch.randn(1, 1, 9, 9, dtype=torch.float64)))
    shared = torch.autograd.grad(norms.total(), learned, allow_unused=True, retain_graph=True)
    grid = SO2().grid(8, dtype=torch.float64)
    again = lift.bank(grid, None).norm() + conv.bank(signal.elements, grid).norm()
    for one, other in zip(shared, torch.autograd.grad(again, learned, allow_unused=True), strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_the_norms_make_no_kernels_beside_those_of_the_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    whole = KernelBank.values

    def values(self: KernelBank, *given: Any, **named: Any) -> torch.Tensor:
        made.append(id(self))
        return whole(self, *given, **named)

    monkeypatch.setattr(KernelBank, "values", values)
    model = nn.Sequential(LiftingConv(1, 2, 3, n=4), GroupConv(2, 2, 3, n=4, partial=True))
    made.clear()  # layers make some when they are built
    model(torch.randn(1, 1, 8, 8))
    alone = made.copy()
    assert len(set(alone)) == 2
    made.clear()
    with KernelNorms(model) as norms:
        model(torch.randn(1, 1, 8, 8))
    norms.total().backward()
    assert made == alone
    assert all("values" not in vars(layer.kernels) for layer in model)


def test_kernels_kept_from_an_earlier_pass_count_as_well() -> None:
    model = nn.Sequential(LiftingConv(1, 2, 3, n=4)).eval().requires_grad_(False)
    x = torch.randn(1, 1, 8, 8)
    with KernelNorms(model) as first:
        model(x)
    with KernelNorms(model) as second:
        model(x)
    assert float(first.total()) > 0
    torch.testing.assert_close(second.total(), first.total(), rtol=AGAIN_SINGLE, atol=AGAIN_SINGLE)


def test_layers_are_left_as_they_were_after_an_exception() -> None:
    model = LiftingConv(1, 2, 3, n=4)
    with pytest.raises(ZeroDivisionError), KernelNorms(model):
        raise ZeroDivisionError
    assert not model._forward_hooks
    assert "values" not in vars(model.kernels)


def test_a_gate_is_a_distribution_without_an_arc() -> None:
    assert distributions(MirrorGate())
    assert arcs(MirrorGate()) == []


class Priced(nn.Linear):
    """A model with a price of its own."""

    price: Any

    def penalty(self) -> Any:
        return self.price(self)


@pytest.mark.parametrize("wrong", [lambda m: 1.0, lambda m: m.weight, lambda m: None])
def test_a_price_of_its_own_is_one_number(wrong: Any) -> None:
    model = Priced(2, 1)
    model.price = lambda m: m.weight.square().sum()
    assert own_penalty(model) == model.weight.square().sum()
    assert own_penalty(nn.Linear(2, 1)) == 0.0
    model.price = wrong
    with pytest.raises(ValueError, match=r"penalty\(\) of a Priced returned .*; expected a tensor of one number"):
        own_penalty(model)

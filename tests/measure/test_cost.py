"""Parameters, multiply-adds and memory, counted by hand."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tests.measure.toys import Nosy, c4_net
from workbench.layers import GroupConv, GroupPool, GroupProjection, LiftingConv, SeparableConv
from workbench.measure import cost, open_dataset, save


def test_plain_layers_counted_by_hand() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2, padding=2, groups=1),
        nn.Conv2d(8, 8, 3, padding=1, groups=4, bias=False),
        nn.ConvTranspose2d(8, 4, 2, stride=2),
        nn.Flatten(),
        nn.Linear(4 * 8 * 8, 10),
    )
    ds = cost(model, (2, 3, 8, 8))
    assert ds.multiply_adds.values.tolist() == [
        2 * 8 * 4 * 4 * 3 * 25,
        2 * 8 * 4 * 4 * 2 * 9,
        2 * 8 * 4 * 4 * 4 * 4,
        0,
        2 * 10 * 256,
    ]
    assert int(ds.parameters.sum()) == sum(p.numel() for p in model.parameters())
    assert ds.activation_bytes.values[0] == 2 * 8 * 4 * 4 * 4
    assert np.array_equal(ds.multiply_adds, ds.multiply_adds_disc)


class Counting(nn.Module):
    """One pass more for every image that is not blank: what it does depends on what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return sum(self.layer(x) for _ in range(1 + int((x != 0).any(-1).sum())))


def test_inputs_may_be_given_where_the_cost_depends_on_them() -> None:
    blank, given = torch.zeros(2, 4), torch.eye(4)[:2].double()
    assert int(cost(Counting(), blank).multiply_adds.sum()) == int(cost(Counting(), (2, 4)).multiply_adds.sum()) == 24
    assert int(cost(Counting(), given).multiply_adds.sum()) == 72
    assert cost(Counting(), given).attrs["input_kind"] == "given"


class Attending(nn.Module):
    """Queries, keys and values of other lengths and widths."""

    def __init__(self, first: bool) -> None:
        super().__init__()
        self.attention, self.first = nn.MultiheadAttention(8, 2, batch_first=first, kdim=6, vdim=4), first

    def forward(self, x):
        keys = x[:, :3] if self.first else x[:3]
        return self.attention(x, keys[..., :6], keys[..., :4])[0]


class Named(Attending):
    """Self-attention whose inputs are given by their names."""

    def __init__(self) -> None:
        super().__init__(True)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        return self.attention(query=x, key=x, value=x)[0]


@pytest.mark.parametrize("model", [Attending(True), Attending(False), Named()])
def test_attention_costs_what_torch_counts(model) -> None:
    with FlopCounterMode(display=False) as counted:
        model.train()(torch.randn(5, 7, 8))
    assert 2 * int(cost(model, (5, 7, 8)).multiply_adds.sum()) == counted.get_total_flops()


@pytest.mark.parametrize(("model", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_recurrent_layers_counted_by_hand(model, gates: int) -> None:
    net = model(6, 4, num_layers=2, bidirectional=True, batch_first=True)
    ds = cost(net, (2, 7, 6))
    assert int(ds.multiply_adds.sum()) == 2 * 7 * gates * 4 * 2 * ((6 + 4) + (8 + 4))
    assert int(ds.activation_bytes.sum()) >= 2 * 7 * 8 * 4


def test_inputs_of_other_kinds_are_counted_too() -> None:
    assert int(cost(nn.Conv1d(2, 3, 5, padding=2), (1, 2, 16)).multiply_adds.sum()) == 2 * 3 * 5 * 16
    assert int(cost(nn.Linear(4, 6), (1, 7, 4)).multiply_adds.sum()) == 7 * 4 * 6


@pytest.mark.parametrize("n", [4, 8])
def test_group_layers_cost_a_plain_convolution_of_as_many_channels(n: int) -> None:
    model = nn.Sequential(LiftingConv(1, 3, 5, n=n), GroupPool(2), GroupConv(3, 4, 5, n=n), GroupProjection())
    ds = cost(model, (2, 1, 8, 8))
    plain = cost(nn.Conv2d(3 * n, 4 * n, 5, padding=2), (2, 3 * n, 4, 4))
    assert int(ds.multiply_adds.sel(layer="2")) == int(plain.multiply_adds.item())
    assert int(ds.multiply_adds_disc.sel(layer="2")) * 25 == int(plain.multiply_adds.item()) * 13
    assert int(ds.multiply_adds.sel(layer="0")) == 2 * 3 * n * 64 * 25
    assert int(ds.activation_bytes.sel(layer="2")) == 2 * 4 * n * 16 * 4
    assert int(ds.parameters.sum()) == sum(p.numel() for p in model.parameters())


def test_a_narrow_arc_costs_less() -> None:
    model = nn.Sequential(LiftingConv(1, 2, 3), GroupConv(2, 2, 3, partial=True))
    whole = cost(model, (1, 1, 8, 8))
    with torch.no_grad():
        model[1].distribution.theta.fill_(0.5)
    half = cost(model, (1, 1, 8, 8))
    assert int(half.multiply_adds.sel(layer="1")) * 2 == int(whole.multiply_adds.sel(layer="1"))


def test_shared_layers_and_unused_parameters() -> None:
    conv = nn.Conv2d(1, 1, 3, padding=1)
    model = nn.ModuleDict({"body": nn.Sequential(conv, nn.ReLU(), conv), "unused": nn.Linear(3, 3)})
    model.forward = lambda x: model["body"](x)
    ds = cost(model, (1, 1, 4, 4))
    assert int(ds.calls.sel(layer="body.0")) == 2
    assert int(ds.multiply_adds.sel(layer="body.0")) == 2 * 16 * 9
    assert int(ds.parameters.sum()) == 10 + 12
    assert int(ds.calls.sel(layer="unused")) == 0


def test_a_module_with_parameters_and_children_counts_its_own() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(5))
            self.conv = nn.Conv2d(1, 1, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(x) * self.scale.mean()

    ds = cost(nn.Sequential(Scaled()), (1, 1, 4, 4))
    assert ds.parameters.to_series().to_dict() == {"0.conv": 2, "0": 5}


def test_the_model_is_left_as_found_and_the_file_says_the_same(tmp_path) -> None:
    model = Nosy().train()
    ds = cost(model, (2, 1, 6, 6))
    assert model.training
    assert float(model.calls) == 0
    assert not model.conv._forward_hooks
    assert open_dataset(save(ds, tmp_path / "cost.nc")).identical(ds)
    assert ds.identical(cost(model, (2, 1, 6, 6)))


def test_twice_the_batch_costs_twice() -> None:
    one, two = (cost(c4_net(), (b, 1, 8, 8)) for b in (1, 2))
    assert np.array_equal(2 * one.activation_bytes, two.activation_bytes)
    assert np.array_equal(2 * one.multiply_adds, two.multiply_adds)


def test_bad_input_gets_a_sentence() -> None:
    with pytest.raises(ValueError, match="torch module"):
        cost(torch.relu, (1, 1, 4, 4))
    with pytest.raises(ValueError, match="four positive"):
        cost(c4_net(), (4,))
    with pytest.raises(ValueError, match="input_shape = None was given; expected two to four positive"):
        cost(c4_net(), None)


@pytest.mark.parametrize(
    ("factorisation", "per_pixel"),
    [
        ("nonseparable", 2 * 3 * 64 * 25),
        ("gseparable", 2 * 3 * 64 * 25),
        ("separable", 2 * 3 * 64 + 3 * 8 * 25),
        ("dseparable", 2 * 3 * 8 + 3 * 64 * 25),
        ("dgseparable", 2 * 3 * 8 + 3 * 64 + 3 * 8 * 25),
    ],
)
def test_factored_kernels_are_counted_as_their_steps(
    factorisation: str, per_pixel: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Knigge et al. 2022: C_in C_out n^2 k^2 without factors, C_in C_out n^2 + C_out n k^2 with two."""
    monkeypatch.setattr("workbench.layers.separable.choose", lambda *_: "steps")  # not the cheapest of several ways
    layer = SeparableConv(2, 3, 5, factorisation=factorisation)
    net = nn.Sequential(LiftingConv(1, 2, 5), layer)
    ds = cost(net, (2, 1, 10, 10)).sel(layer="1")
    assert int(ds.multiply_adds) == 2 * 10 * 10 * per_pixel
    assert int(ds.multiply_adds_disc) < int(ds.multiply_adds)
    signal = net[0](torch.randn(2, 1, 10, 10))
    with torch.no_grad():
        layer.eval()(signal)  # makes the kernels, which are kept
        with FlopCounterMode(display=False) as counter:
            layer(signal)
    if factorisation not in ("nonseparable", "gseparable"):
        assert counter.get_total_flops() == 2 * int(ds.multiply_adds)


def test_weights_made_from_other_numbers_cost_what_they_are_applied_for() -> None:
    plain = nn.Conv2d(2, 4, 3)
    made = nn.utils.parametrizations.weight_norm(nn.Conv2d(2, 4, 3))
    of_plain, of_made = cost(plain, (1, 2, 8, 8)), cost(made, (1, 2, 8, 8))
    assert int(of_made.multiply_adds.sum()) == int(of_plain.multiply_adds.sum()) == 36 * 4 * 18
    assert int(of_made.parameters.sum()) == sum(p.numel() for p in made.parameters())
    assert of_made.sizes["layer"] == 1

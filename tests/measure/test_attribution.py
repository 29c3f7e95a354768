"""Which module introduces the error: planted faults, sums, graphs, controls, what is left as found."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.measure.test_state import same, snapshot, used_model
from tests.measure.toys import c4_net
from tests.tolerances import AGAIN, EXACT, SEPARATION
from workbench.groups import SO2, C
from workbench.measure import attribute_error, equivariance_error, orbit, validate

REST = "functions after the last module"


def images(count: int = 4, size: int = 9) -> torch.Tensor:
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def round_conv(a: int, b: int) -> nn.Conv2d:
    """A convolution with filters that every quarter turn and flip keeps."""
    conv = nn.Conv2d(a, b, 3, padding=1).double()
    with torch.no_grad():
        turned = [torch.rot90(conv.weight, k, (-2, -1)) for k in range(4)]
        conv.weight.copy_(sum(turned + [t.flip(-1) for t in turned]) / 8)
    return conv


class Residual(nn.Module):
    """A short cut, a module met twice, an in-place activation, a function between modules, a tuple inside."""

    def __init__(self, fault: str = "") -> None:
        super().__init__()
        self.first, self.second = round_conv(1, 4), round_conv(4, 4)
        self.relu, self.split = nn.ReLU(inplace=True), Split()
        self.last = round_conv(4, 2)
        if fault in ("first", "second", "last"):
            conv = getattr(self, fault)
            conv.weight.data += 0.3 * torch.randn_like(conv.weight)
        self.fault = fault

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.first(x))
        y, _ = self.split(self.second(x))
        y = functional.pad(y, [1, 0, 0, 0])[..., :-1] if self.fault == "function" else y * 2
        y = self.last(self.relu(x + y))
        return y.flip(-2) if self.fault == "end" else y


class Split(nn.Module):
    """A tuple as output."""

    def forward(self, x: torch.Tensor) -> tuple:
        return x, None


@pytest.mark.parametrize("mask", ["none", "disc"])
@pytest.mark.parametrize(
    ("fault", "blamed"),
    [("first", "first"), ("second", "second"), ("last", "last"), ("function", "relu (call 2)"), ("end", REST)],
)
def test_the_fault_is_found_where_it_was_planted(fault: str, blamed: str, mask: str) -> None:
    ds = attribute_error(Residual(fault).double(), images(), "D(4)", mask=mask)
    shares = ds.contribution_mean.sel(layer=blamed)
    assert np.allclose(shares, ds.whole, rtol=0, atol=EXACT[torch.float64])
    assert float(ds.whole.max()) > SEPARATION * EXACT[torch.float32]
    others = ds.contribution.sel(layer=[n for n in ds.layer.values if n != blamed])
    assert float(abs(others).max()) <= EXACT[torch.float64]


@pytest.mark.parametrize("group", ["SO2", "C(4)", "Translation"])
def test_shares_add_up_to_the_whole_error(group: str) -> None:
    torch.manual_seed(3)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 2, 3), nn.Flatten()
    ).double()
    x = images(6, 10)
    elements = orbit(SO2(), 6) if group == "SO2" else None
    ds = attribute_error(model, x, group, elements)
    assert float(abs(ds.residual).max()) <= EXACT[torch.float64]
    whole = equivariance_error(model, x, group, ds_elements(ds, group, elements)).error_mean.sel(layer="output")
    assert np.allclose(ds.whole, whole, rtol=1e-9, atol=EXACT[torch.float64])
    inside = (ds.contribution_low <= ds.contribution_mean) & (ds.contribution_mean <= ds.contribution_high)
    assert bool(inside.all())


def ds_elements(ds, group: str, elements):
    if elements is not None:
        return elements
    if group == "Translation":
        return torch.tensor(np.stack([ds.shift_x_px, ds.shift_y_px], -1))
    return torch.deg2rad(torch.tensor(ds.angle_deg.values)).unsqueeze(-1)


def test_a_group_network_and_its_perturbed_twin() -> None:
    sound = attribute_error(c4_net().double(), images(), "C(4)")
    assert float(sound.whole.max()) <= EXACT[torch.float64]
    broken = attribute_error(c4_net(perturbed=1e-3).double(), images(), "C(4)")
    shares = broken.contribution_mean.mean("transform")
    assert str(shares.idxmax("layer").values) == "2"
    assert float(shares.sel(layer="2")) > SEPARATION * EXACT[torch.float64]


@pytest.mark.parametrize("batch_size", [1, 3, 1000])
def test_batches_do_not_matter(batch_size: int) -> None:
    model, x = Residual("second").double(), images(5)
    whole, split = (attribute_error(model, x, "C(4)", batch_size=b) for b in (256, batch_size))
    assert np.allclose(whole.contribution, split.contribution, rtol=1e-9, atol=EXACT[torch.float64])


def test_only_named_layers_share_and_what_cannot_be_moved_is_said() -> None:
    model = Residual("first").double()
    ds = attribute_error(model, images(), "C(4)", layers=["second"])
    assert ds.layer.values.tolist() == ["second", REST]
    assert np.allclose(ds.contribution.sum("layer").mean("sample"), ds.whole, rtol=AGAIN, atol=AGAIN)
    assert "split: a tuple" in attribute_error(model, images(), "C(4)").attrs["passed_over"]
    validate(ds, {"contribution": ("layer", "transform", "sample"), "whole": ("transform",)})


def test_r24_the_model_is_left_as_found_also_after_an_exception() -> None:
    model, x = used_model(), torch.rand(2, 1, 6, 6)
    before, own = snapshot(model), [dict(m.__dict__) for m in model.modules()]
    attribute_error(model, x, "C(4)")
    assert same(before, snapshot(model))
    model.fails = True
    with pytest.raises(RuntimeError, match="on purpose"):
        attribute_error(model, x, "C(4)")
    assert same(before, snapshot(model))
    assert [m.__dict__.keys() for m in model.modules()] == [o.keys() for o in own]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"model": torch.relu}, "torch module"),
        ({"images": images()[0]}, "unsqueeze"),
        ({"layers": ["nowhere"]}, "nowhere"),
        ({"mask": "ring"}, "'disc'"),
        ({"group": "C(3)"}, "elements="),
        ({"batch_size": 0}, "batch_size"),
        ({"model": Split()}, "tuple"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_bad_input_gets_a_sentence(given: dict, sentence: str) -> None:
    arguments = {"model": Residual().double(), "images": images(), "group": "C(4)"} | given
    with pytest.raises(ValueError, match=sentence):
        attribute_error(**arguments)


class Slope(nn.Module):
    """A layer, and the gradient of an energy of what the next one makes of it, beside a short cut."""

    def __init__(self, fault: bool, own: bool = False) -> None:
        super().__init__()
        self.first, self.second, self.own = round_conv(1, 2), round_conv(2, 2), own
        if fault:
            self.first.weight.data += 0.3 * torch.randn_like(self.first.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.set_grad_enabled(self.own or torch.is_grad_enabled()):
            x = x.clone().requires_grad_()
            energy = self.second(self.first(x).tanh()).pow(4).sum()
            return torch.autograd.grad(energy, x)[0]


@pytest.mark.parametrize("own", [False, True])
def test_shares_behind_gradients_inside_add_up_to_the_error_that_is_measured(own: bool) -> None:
    torch.manual_seed(0)
    net, x = Slope(fault=True, own=own).double(), images()
    ds = attribute_error(net, x, "C(4)", mask="none")
    whole = equivariance_error(net, x, "C(4)", orbit(C(4))[1:], mask="none")
    assert np.allclose(ds.whole, whole.error_mean.sel(layer="output"), atol=0, rtol=EXACT[torch.float64] ** 0.5)
    assert np.abs(ds.residual).max() < EXACT[torch.float64]
    share = ds.contribution_mean.mean("transform")
    assert float(share.sel(layer="first")) > 0.1 * float(ds.whole.mean()), "what its values bring in"
    assert float(share.sel(layer=REST)) > 0.1 * float(ds.whole.mean()), "what its filters bring in on the way back"
    assert abs(float(share.sel(layer="second"))) < EXACT[torch.float64]
    assert "on their way back" in ds.attrs["scope"]
    sound = attribute_error(Slope(fault=False, own=own).double(), x, "C(4)", mask="none")
    assert np.abs(sound.contribution).max() < EXACT[torch.float64] ** 0.5
    assert "on their way back" not in attribute_error(net.first, x, "C(4)").attrs["scope"]

"""Attribution and task cost on points, series and sets: planted faults, sums, counts by hand, broken twins."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from tests.tolerances import EXACT, SEPARATION
from workbench.groups import SO3, parse_group
from workbench.measure import attribute_error, equivariance_error, lie_derivative, task_cost, validate

REST = "functions after the last module"
TIGHT = EXACT[torch.float64]


def points(count: int = 6) -> torch.Tensor:
    return torch.randn(count, 5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def waves(count: int = 6, length: int = 32) -> torch.Tensor:
    t = torch.arange(length, dtype=torch.float64) * (2 * math.pi / length)
    phase = torch.randn(count, 1, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return torch.sin(t + phase) + 0.3 * torch.cos(3 * t - phase)


class Centre(nn.Module):
    def forward(self, p: torch.Tensor) -> torch.Tensor:
        return p - p.mean(1, keepdim=True)


class Gate(nn.Module):
    """Each vector times a number that depends on its length: turns with it. With a fault one axis is stretched."""

    def __init__(self, fault: bool = False) -> None:
        super().__init__()
        self.stretch = torch.tensor([1.0, 1.3, 1.0] if fault else [1.0, 1.0, 1.0], dtype=torch.float64)

    def forward(self, p: torch.Tensor) -> torch.Tensor:
        return p * torch.tanh(p.norm(dim=-1, keepdim=True)) * self.stretch


class Length(nn.Module):
    def forward(self, p: torch.Tensor) -> torch.Tensor:
        return p.norm(dim=-1).sum(1, keepdim=True)


class Shape(nn.Module):
    """Vectors in, numbers out."""

    def __init__(self, faulty: int | None = None) -> None:
        super().__init__()
        self.layers = nn.Sequential(Centre(), Gate(faulty == 1), Gate(faulty == 2), Length(), nn.Linear(1, 3).double())

    def forward(self, p: torch.Tensor) -> torch.Tensor:
        return self.layers(p)


@pytest.mark.parametrize("faulty", [1, 2])
def test_the_faulty_layer_of_a_network_on_points_is_found(faulty: int) -> None:
    torch.manual_seed(0)
    ds = attribute_error(Shape(faulty), points(), "SO3", output="invariant")
    assert ds.attrs["input"] == "points"
    shares = ds.contribution_mean
    assert np.allclose(shares.sel(layer=f"layers.{faulty}"), ds.whole, rtol=0, atol=TIGHT)
    assert float(ds.whole.min()) > SEPARATION * TIGHT
    others = ds.contribution.sel(layer=[n for n in ds.layer.values if n != f"layers.{faulty}"])
    assert float(abs(others).max()) <= TIGHT
    sound = attribute_error(Shape(), points(), "SO3", output="invariant")
    assert float(sound.whole.max()) <= TIGHT
    validate(ds, {"contribution": ("layer", "transform", "sample"), "whole": ("transform",)})


def test_the_rate_of_the_same_layers_says_the_same() -> None:
    torch.manual_seed(0)
    rate = lie_derivative(Shape(2), points(), "SO3 z").lie_mean
    for layer in ("layers.0", "layers.1"):
        assert float(rate.sel(layer=layer)) <= SEPARATION * TIGHT
    assert float(rate.sel(layer="layers.2")) > SEPARATION * SEPARATION * TIGHT


@pytest.mark.parametrize(("group", "output"), [("SO3", "vectors"), ("E3", "points"), ("Symmetric(5)", "set")])
def test_shares_add_up_to_the_whole_error_of_points_and_sets(group: str, output: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    if output == "set":
        model = nn.Sequential(nn.Flatten(), nn.Linear(15, 15), nn.Tanh(), nn.Unflatten(1, (5, 3))).double()
    elements = parse_group(group).sample(3, torch.Generator().manual_seed(1), torch.float64)
    ds = attribute_error(model, points(), group, elements, output=output)
    assert float(abs(ds.residual).max()) <= TIGHT
    whole = equivariance_error(model, points(), group, elements, output=output).error_mean.sel(layer="output")
    assert np.allclose(ds.whole, whole, atol=0, rtol=1e-9)
    assert attribute_error(model, points(), group, output=output).sizes["transform"] <= 8
    assert float(ds.whole.min()) > SEPARATION * TIGHT


class Late(nn.Module):
    """Weighs a series by where it is."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.linspace(1, 2, x.shape[-1], dtype=x.dtype)


@pytest.mark.parametrize("mask", ["none", "disc"])
@pytest.mark.parametrize("batch_size", [2, 256])
def test_the_layer_of_a_series_that_knows_the_time_is_found(mask: str, batch_size: int) -> None:
    torch.manual_seed(0)
    conv = nn.Conv1d(1, 4, 3, padding=1, padding_mode="circular")
    model = nn.Sequential(conv, nn.ReLU(), Late(), nn.Conv1d(4, 2, 1), nn.Tanh()).double()
    options = {"padding": "circular", "mask": mask, "batch_size": batch_size}
    ds = attribute_error(model, waves(), "Translation1", **options)
    assert ds.shift_samples.values.tolist() == [1, 2, 4]
    assert np.allclose(ds.contribution_mean.sel(layer="2"), ds.whole, rtol=0, atol=TIGHT)
    elements = torch.tensor([[1.0], [2.0], [4.0]], dtype=torch.float64)
    whole = equivariance_error(model, waves(), "Translation1", elements, **options).error_mean.sel(layer="output")
    assert np.allclose(ds.whole, whole, atol=0, rtol=1e-9)
    model[2] = nn.Identity()
    assert float(attribute_error(model, waves(), "Translation1", **options).whole.max()) <= TIGHT


def test_a_series_beside_zeros_is_compared_where_it_is_known_as_the_error_does() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(1, 2, 3, padding=1), nn.Tanh()).double()
    elements = torch.tensor([[3.0]], dtype=torch.float64)
    ds = attribute_error(model, waves(), "Translation1", elements, padding="zeros")
    exact = equivariance_error(model, waves(), "Translation1", elements, padding="zeros")
    assert np.allclose(ds.whole, exact.error_mean.sel(layer="output"), atol=0, rtol=1e-9)
    assert float(abs(ds.residual).max()) <= TIGHT


def test_the_cost_of_turning_point_sets_is_counted() -> None:
    x = points(30)
    labels = (x[..., 0].mean(1) > 0).long()

    def sided(p: torch.Tensor) -> torch.Tensor:
        side = p[..., 0].mean(1)
        return torch.stack([-side, side], -1)

    half = SO3().exp(torch.tensor([[0.0, 0.0, math.pi], [0.0, 0.0, 0.0]], dtype=torch.float64))
    ds = task_cost(sided, x, labels, "SO3", half)
    assert ds.accuracy.values.tolist() == [0.0, 1.0]
    assert ds.accuracy_lost.values.tolist() == [1.0, 0.0]
    assert ds.lattice.values.tolist() == [True, True]
    assert (ds.attrs["input"], ds.attrs["resampler"]) == ("points", "none")
    blind = task_cost(lambda p: torch.cdist(p, p).flatten(1)[:, 1:3], x, labels, "SO3", n_elements=6)
    assert float(abs(blind.loss_gained).max()) <= TIGHT


def test_the_cost_of_shifting_series_and_reordering_sets_is_counted() -> None:
    x = torch.zeros(8, 1, 16, dtype=torch.float64)
    labels = torch.arange(8) % 2
    x[labels == 0, :, 3], x[labels == 1, :, 11] = 1, 1

    def early(z: torch.Tensor) -> torch.Tensor:
        return torch.stack([z[..., :8].sum((1, 2)), z[..., 8:].sum((1, 2))], -1)

    ds = task_cost(early, x, labels, "Translation1", torch.tensor([[0.0], [8.0], [2.0]]), padding="circular")
    assert ds.accuracy.values.tolist() == [1.0, 0.0, 1.0]
    members = points(10)
    first = task_cost(lambda p: p[:, 0, :2], members, torch.arange(10) % 2, "Symmetric(5)", n_elements=4)
    pooled = task_cost(lambda p: p.sum(1)[:, :2], members, torch.arange(10) % 2, "Symmetric(5)", n_elements=4)
    assert float(abs(pooled.loss_gained).max()) <= TIGHT < float(abs(first.loss_gained).max())


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"group": "SO3", "images": points()[..., :2]}, "expected \\(B, N, 3\\)"),
        ({"group": "SO3", "output": "sideways"}, "'invariant'"),
        ({"group": "SO3", "images": points() * math.inf}, "NaN or infinite"),
        ({"group": "SO3", "input": "molecule"}, "'points'"),
        (
            {"group": "C(4)", "model": nn.Conv2d(1, 2, 3), "images": torch.rand(2, 1, 8, 8), "output": "boxes"},
            "given as boxes",
        ),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_bad_input_gets_a_sentence(given: dict, sentence: str) -> None:
    arguments = {"model": Shape(), "images": points()} | given
    with pytest.raises(ValueError, match=sentence):
        attribute_error(**arguments)

"""Lie derivatives on point sets and series: closed forms, small exact angles, equivariant models and broken twins."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from tests.tolerances import EXACT, GRID_DERIVATIVE, LIE_AGAINST_ANGLE, LIE_ROUNDING, SEPARATION, SPLIT
from workbench.groups import SO3
from workbench.measure import equivariance_error, lie_derivative, validate

ZERO = LIE_ROUNDING[torch.float64]


def points(dim: int, count: int = 4, features: int = 0) -> torch.Tensor:
    return torch.randn(count, 6, dim + features, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def series(count: int = 4, length: int = 64) -> torch.Tensor:
    """Two slow waves each."""
    t = torch.linspace(0, 2 * math.pi, length + 1, dtype=torch.float64)[:-1]
    phase = torch.randn(count, 2, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return 2 + torch.sin(t + phase) + 0.3 * torch.cos(2 * t - phase)


def turn(name: str) -> torch.Tensor:
    """A in d/dt p = A p."""
    if name == "SO2":
        return torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    x, y, z = (1.0 if name.endswith(axis) else 0.0 for axis in "xyz")
    return torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)


@pytest.mark.parametrize("group", ["SO2", "SO3 x", "SO3 y", "SO3 z"])
@pytest.mark.parametrize("output", ["points", "vectors", "set"])
def test_the_rate_of_a_linear_map_of_points_is_known(group: str, output: str) -> None:
    a = turn(group)
    weight = torch.randn(len(a), len(a), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x = points(len(a))
    ds = lie_derivative(lambda p: p @ weight.mT, x, group, output=output)
    wrong = weight @ a if output == "set" else weight @ a - a @ weight
    expected = (x @ wrong.mT).flatten(1).norm(dim=1) / (x @ weight.mT).flatten(1).norm(dim=1)
    assert np.allclose(ds.lie.sel(layer="output"), expected, atol=0, rtol=SPLIT)
    assert ds.lie.attrs["units"] == "1/rad"
    assert ds.attrs["padding"] == ds.attrs["mask"] == "none"


def shape_of(p: torch.Tensor) -> torch.Tensor:
    """Distances between points: nothing that a motion changes."""
    return torch.cdist(p, p).flatten(1)


def centred(p: torch.Tensor) -> torch.Tensor:
    return p - p.mean(1, keepdim=True)


MOTIONS = ["SO3 x", "SO3 z", "Translation3 x", "Translation3 z"]


@pytest.mark.parametrize("group", MOTIONS)
def test_motions_of_space_leave_distances_and_turn_what_points_away_from_the_middle(group: str) -> None:
    x = points(3)
    assert float(lie_derivative(shape_of, x, group).lie_mean.max()) <= ZERO
    assert float(lie_derivative(centred, x, group, output="vectors").lie_mean.max()) <= ZERO
    assert float(lie_derivative(lambda p: p, x, group, output="points").lie_mean.max()) <= ZERO
    broken = lie_derivative(lambda p: centred(p) * torch.tensor([1.0, 2.0, 4.0]) + p.abs(), x, group, output="vectors")
    assert float(broken.lie_mean.min()) > SEPARATION * ZERO


def test_scaling_and_features_that_ride_along() -> None:
    x = points(3, features=2)
    ratio = lie_derivative(lambda p: nn.functional.normalize(shape_of(p[..., :3])), x, "Scale(3)")
    assert float(ratio.lie_mean.max()) <= ZERO
    plain = lie_derivative(lambda p: shape_of(p[..., :3]), x, "Scale(3)")
    assert np.allclose(plain.lie, 1, atol=0, rtol=SPLIT)  # lengths grow by one e-fold for each
    assert float(lie_derivative(lambda p: p[..., 3:].mean(1), x, "SO3 x").lie_mean.max()) <= ZERO


def test_a_shift_of_the_plane_is_told_by_a_linear_read_out() -> None:
    weight = torch.tensor([2.0, -3.0], dtype=torch.float64)
    x = points(2) + 5
    for group, each in (("translation x", 2.0), ("translation y", 3.0)):
        ds = lie_derivative(lambda p: p.mean(1) @ weight.view(2, 1) + 20, x, group, output="invariant")
        value = (x.mean(1) @ weight + 20).abs()
        assert np.allclose(ds.lie.sel(layer="output"), each / value, atol=0, rtol=SPLIT)


@pytest.mark.parametrize("name", "xyz")
def test_at_a_small_angle_the_exact_error_is_the_rate_times_the_angle(name: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    x, angle = points(3), 1e-3
    rate = lie_derivative(model, x, f"SO3 {name}", output="vectors")
    element = SO3().exp(angle * torch.eye(3, dtype=torch.float64)["xyz".index(name)])[None]
    exact = equivariance_error(model, x, "SO3", element, layers="all", output="vectors")
    for layer in ("0", "1", "output"):
        error = exact.error.sel(layer=layer).isel(transform=0)
        assert np.allclose(error / angle, rate.lie.sel(layer=layer), atol=0, rtol=LIE_AGAINST_ANGLE / 10)


def test_a_series_times_a_window_has_the_rate_of_the_window() -> None:
    # f = w x: J X x - X f = -w x' + (w x)' = w' x
    x = series()
    line = torch.arange(64, dtype=torch.float64)
    window = 1 + 0.5 * torch.sin(line * (2 * math.pi / 64))
    slope = 0.5 * (2 * math.pi / 64) * torch.cos(line * (2 * math.pi / 64))
    ds = lie_derivative(lambda z: z * window, x, "Translation1", padding="circular")
    expected = (x * slope).flatten(1).norm(dim=1) / (x * window).flatten(1).norm(dim=1)
    assert np.allclose(ds.lie.sel(layer="output"), expected, atol=0, rtol=GRID_DERIVATIVE)
    assert ds.lie.attrs["units"] == "1/sample"


@pytest.mark.parametrize("stride", [1, 2])
def test_circular_convolutions_follow_a_shift_and_zero_padding_does_not(stride: int) -> None:
    torch.manual_seed(0)
    rate = {}
    for mode in ("circular", "zeros"):
        conv = nn.Conv1d(2, 3, 5, padding=2, stride=stride, padding_mode=mode).double()
        model = nn.Sequential(conv, nn.Tanh())
        rate[mode] = lie_derivative(model, series(), "Translation1", padding="circular").lie_mean
    assert float(rate["circular"].max()) < GRID_DERIVATIVE * float(rate["zeros"].min())
    if stride == 1:
        assert float(rate["circular"].sel(layer="0")) <= ZERO


def test_a_mean_does_not_see_a_shift_and_a_slowing_down_of_a_constant_wave_is_its_slope() -> None:
    mean = lie_derivative(lambda z: z.mean(2), series(), "Translation1", padding="circular")
    assert float(mean.lie_mean.max()) <= ZERO
    line = torch.arange(64, dtype=torch.float64) - 31.5
    x = torch.exp(-(line**2) / 200).expand(1, 1, -1)
    ds = lie_derivative(lambda z: z.sum(2), x, "Scale(1)")
    assert np.allclose(ds.lie, 1, atol=0, rtol=GRID_DERIVATIVE)  # the integral of f(t / s) grows as s


@pytest.mark.parametrize("group", ["SO3 z", "Translation1"])
def test_the_dataset_is_that_of_images(group: str) -> None:
    x = points(3, 9) if group == "SO3 z" else series(9)
    ds = lie_derivative(nn.Linear(x.shape[-1], 5).double(), x, group, input_kind="noise", batch_size=4)
    validate(ds, {"lie": ("layer", "sample"), "lie_mean": ("layer",), "lie_low": ("layer",), "lie_high": ("layer",)})
    assert ds.attrs["group"] in (group, "translation x")
    assert bool((ds.lie_low <= ds.lie_high).all())


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"group": "SO3"}, "'SO3 x'"),
        ({"group": "E3"}, "'SO3 x'"),
        ({"group": "Translation3"}, "'Translation3 z'"),
        ({"group": "SO3 z", "images": points(2)}, "expected \\(B, N, 3\\)"),
        ({"group": "SO2", "input": "series"}, "'Translation1'"),
        ({"group": "SO3 z", "input": "image"}, "in space"),
        ({"group": "SO3 z", "input": "molecule"}, "'points'"),
        ({"group": "SO3 z", "output": "sideways"}, "'invariant'"),
        ({"group": "SO3 z", "images": points(3) * math.nan}, "NaN"),
        ({"group": "SO3 z", "images": points(3) * 0}, "does not change"),
        ({"group": "SO2", "images": torch.rand(2, 1, 8, 8), "output": "vectors"}, "'auto'"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_bad_input_gets_a_sentence(given: dict, sentence: str) -> None:
    arguments = {"model": lambda p: p.mean(1), "images": points(3)} | given
    with pytest.raises(ValueError, match=sentence):
        lie_derivative(**arguments)


def test_float32_and_layers_run_once_are_as_they_are_elsewhere() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.Identity(), nn.Linear(8, 3)).double()
    exact = lie_derivative(model, points(3), "SO3 y")
    assert np.array_equal(exact.lie.sel(layer="0"), exact.lie.sel(layer="1"))
    single = lie_derivative(model.float(), points(3), "SO3 y")
    assert np.allclose(single.lie, exact.lie, atol=0, rtol=LIE_ROUNDING[torch.float32])
    assert float(abs(single.lie - exact.lie).max()) > EXACT[torch.float64]

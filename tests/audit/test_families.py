"""Features of every kind, in the plane and in space, under one measure and in one picture."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor, nn

from tests.tolerances import BROKEN, EXACT
from workbench.actions import smooth
from workbench.audit.figures import curves_of
from workbench.groups import SO3, GroupSignal
from workbench.layers import GroupConv, GroupProjection, LiftingConv
from workbench.measure import equivariance_error, validate
from workbench.views.equivariance import orbit_error

pytestmark = pytest.mark.filterwarnings("ignore")  # e3nn's own use of deprecated parts of torch

ANGLES = torch.linspace(0, math.pi, 5, dtype=torch.float64)
QUARTERS = [0, 2, 4]  # of these angles, those that move pixels onto pixels
TIGHT = EXACT[torch.float64]


class Relaxed(nn.Module):
    """Wang, Walters and Yu 2022: a sum of group convolutions, each weighted anew at every element.

    With weights that are alike at all elements it is a group convolution; ``relaxed`` says how much they differ.
    """

    def __init__(self, relaxed: float) -> None:
        super().__init__()
        self.banks = nn.ModuleList(GroupConv(2, 2, 5, n=8) for _ in range(2))
        ramp = torch.linspace(-1, 1, 8, dtype=torch.float64)
        self.weight = nn.Parameter(1 + relaxed * torch.stack([ramp, ramp.flip(0)]))

    def forward(self, signal: GroupSignal) -> GroupSignal:
        found = [bank(signal) for bank in self.banks]
        weighted = (w[:, None, None] * one.values for w, one in zip(self.weight, found, strict=True))
        return found[0].with_values(sum(weighted))


class OfPoints(nn.Module):
    """Spherical harmonics of every point, mixed by e3nn's linear layer; ``order`` is that of a vector's components."""

    def __init__(self, order: tuple[int, ...] = (0, 1, 2)) -> None:
        from e3nn import o3

        super().__init__()
        self.order, self.mix = list(order), o3.Linear("1x0e+1x1o", "3x0e+2x1o").double()

    def forward(self, x: Tensor) -> Tensor:
        from e3nn import o3

        centred = x - x.mean(1, keepdim=True)
        fading = torch.exp(-centred.norm(dim=-1, keepdim=True))
        vectors = o3.spherical_harmonics(1, centred, normalize=True)[..., self.order] * fading
        return self.mix(torch.cat([fading, vectors], -1).sum(1))


def planar(layer: Callable[[], nn.Module], group: str = "SO2") -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(LiftingConv(1, 2, 5, n=8, group=group), layer(), GroupProjection("max")).double().eval()


def half_an_arc() -> nn.Module:
    layer = GroupConv(2, 2, 5, n=8, partial=True)
    with torch.no_grad():
        layer.distribution.theta.fill_(0.5)
    return layer


FAMILIES: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "regular": (lambda: planar(lambda: GroupConv(2, 2, 5, group="C(8)"), "C(8)"), "C(8)"),
    "continuous": (lambda: planar(lambda: GroupConv(2, 2, 5, n=8)), "SO2"),
    "partial": (lambda: planar(half_an_arc), "SO2"),
    "relaxed": (lambda: planar(lambda: Relaxed(0.5)), "SO2"),
    "e3nn": (OfPoints, "SO3"),
}


def measured(model: nn.Module, group: str) -> xr.Dataset:
    """The one measure at the one list of angles, whatever the features are."""
    generator = torch.Generator().manual_seed(1)
    if group == "SO3":
        x = torch.randn(4, 6, 3, generator=generator, dtype=torch.float64)
        elements = SO3().exp(ANGLES[:, None] * torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
        return equivariance_error(model, x, group, elements, output="irreps 3x0e+2x1o")
    x = smooth(torch.randn(4, 1, 16, 16, generator=generator, dtype=torch.float64), 1.5)
    return equivariance_error(model, x, group, ANGLES[:, None], layers=["1"])


@pytest.fixture(scope="module")
def families() -> dict[str, xr.Dataset]:
    return {name: measured(make(), group) for name, (make, group) in FAMILIES.items()}


def test_n9_features_of_every_kind_are_taken_by_one_measure(families) -> None:
    every = ("layer", "transform", "sample")
    for name, ds in families.items():
        validate(ds, {"error": every, "relative_error": every, "absolute_error": every, "input_floor": every[1:]})
        assert np.allclose(ds.angle_deg, torch.rad2deg(ANGLES), rtol=0, atol=TIGHT), name
    error = {name: ds.error_mean.values for name, ds in families.items()}  # of group signals and of what is read out
    assert {name: len(curves) for name, curves in error.items()} == {**dict.fromkeys(FAMILIES, 2), "e3nn": 1}
    assert all((curves[:, 0] <= TIGHT).all() for curves in error.values())
    for sound in ("regular", "continuous"):
        assert (error[sound][:, QUARTERS] <= TIGHT).all(), sound
    assert (error["e3nn"] <= TIGHT).all()
    for broken in ("partial", "relaxed"):  # on purpose, and the measure says how much
        assert (error[broken][0, 1:] > BROKEN).all(), broken


@pytest.mark.parametrize(
    ("sound", "twin", "group"),
    [
        (lambda: planar(lambda: Relaxed(0.0)), lambda: planar(lambda: Relaxed(0.5)), "SO2"),
        (OfPoints, lambda: OfPoints((1, 2, 0)), "SO3"),
    ],
    ids=["relaxed", "e3nn"],
)
def test_n9_the_one_measure_tells_a_sound_network_from_its_broken_twin(sound, twin, group) -> None:
    torch.manual_seed(0)
    assert float(measured(sound(), group).error_mean[:, QUARTERS].max()) <= TIGHT
    torch.manual_seed(0)
    assert float(measured(twin(), group).error_mean[0, QUARTERS[1:]].min()) > BROKEN


def test_n9_features_of_every_kind_stand_in_one_picture(families) -> None:
    figure = orbit_error(curves_of(families, "angle_deg"))
    told = " ".join(str(note["text"]) for note in figure["layout"]["annotations"])
    assert all(name in told for name in families)
    lines = {trace["name"]: trace for trace in figure["data"] if trace.get("name") in families}
    assert set(lines) == set(families)
    for name, ds in families.items():
        mean = ds.error_mean.sel(layer="output").values
        seen = mean > TIGHT
        assert np.allclose(np.asarray(lines[name]["y"])[seen], mean[seen], atol=0, rtol=EXACT[torch.float32]), name

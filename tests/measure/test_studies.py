"""The three studies: their networks are the layers', their shapes are the expected ones."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from tests.tolerances import AGAIN, ARC_GRADIENT, EXACT, GRID_GAIN, NOISE_GAIN, REFERENCE_RULE
from workbench.groups import SO2
from workbench.layers import GroupConv, GroupReLU, LiftingConv
from workbench.measure import open_dataset, save, validate
from workbench.measure.studies import TwoLayers, arc_gradient, blob_images, error_against_n, sampling_noise


def test_the_network_of_the_studies_is_the_layers_network() -> None:
    study = TwoLayers(0, 10.0, "periodic", 5)
    lift, conv = LiftingConv(1, 4, 5, kernel=study.lift.spec), GroupConv(4, 4, 5, kernel=study.conv.spec)
    lift.kernels.load_state_dict(study.lift.state_dict())
    conv.kernels.load_state_dict(study.conv.state_dict())
    net = nn.Sequential(lift, GroupReLU(), conv, GroupReLU()).double().eval()
    lift.kernels.gain.copy_(study.lift.gain)
    conv.kernels.gain.copy_(study.conv.gain)
    x, grid = torch.rand(2, 1, 9, 9, dtype=torch.float64), SO2().grid(8, dtype=torch.float64)
    with torch.no_grad():
        error = study(x, grid, grid) - net(x).values.mean((2, 3, 4))
    assert error.abs().max() <= EXACT[torch.float64]


def test_blobs_drawn_at_a_quarter_turn_are_the_turned_picture() -> None:
    pictures = blob_images(3, (0.0, 90.0), size=11)
    error = pictures[1] - torch.rot90(pictures[0], 1, (-2, -1))
    assert error.abs().max() <= EXACT[torch.float64]
    assert pictures.min() >= 0


@pytest.mark.slow
def test_eight_elements_beat_four_and_then_the_pixel_grid_is_left() -> None:
    ds = error_against_n(fast=True, seeds=(0, 1, 2), numbers=(1, 4, 8, 16))
    mean = ds.error_against_n.mean("seed")
    assert float(mean.sel(n=4) / mean.sel(n=8)) >= GRID_GAIN
    assert float(mean.sel(n=16)) > float(mean.sel(n=8)) / GRID_GAIN
    assert float(mean.sel(n=1)) > float(mean.sel(n=8))
    assert np.array_equal(ds.grid_floor, ds.error_against_n.sel(n=16))


def test_the_error_against_n_is_labelled_and_repeats(tmp_path) -> None:
    given = {"seeds": (1,), "numbers": (4,), "angles_deg": (45.0, 90.0), "fast": True}
    ds = error_against_n(**given)
    validate(ds, {"error_against_n": ("seed", "n"), "error_at_angle": ("seed", "n", "angle_deg")})
    assert ds.identical(error_against_n(**given))
    assert open_dataset(save(ds, tmp_path / "study.nc")).identical(ds)
    # a quarter turn of an analytic picture is exact with four elements: only generic angles cost anything
    assert float(ds.error_at_angle.sel(angle_deg=90.0).max()) <= EXACT[torch.float64]
    assert float(ds.error_at_angle.sel(angle_deg=45.0).min()) > EXACT[torch.float32]


def test_the_raw_angle_is_noisy_and_falls_as_one_over_n() -> None:
    ds = sampling_noise(fast=True, seeds=(0, 1), numbers=(4, 8, 16), omega0s=(3.0,))
    noise = ds.sampling_noise.mean("seed").sel(omega0=3.0)
    raw, periodic = noise.sel(encoding="raw"), noise.sel(encoding="periodic")
    assert float(raw.sel(n=8) / periodic.sel(n=8)) >= NOISE_GAIN
    assert float(raw.sel(n=16) / periodic.sel(n=16)) >= NOISE_GAIN
    assert float(raw.sel(n=4) / raw.sel(n=16)) == pytest.approx(4, rel=0.4)


def test_noise_is_measured_the_same_twice(tmp_path) -> None:
    given = {"fast": True, "seeds": (0,), "numbers": (4,), "omega0s": (3.0,)}
    ds = sampling_noise(**given)
    validate(ds, {"sampling_noise": ("seed", "encoding", "omega0", "n")})
    assert ds.identical(sampling_noise(**given))
    assert open_dataset(save(ds, tmp_path / "study.nc")).identical(ds)


def test_the_full_gradient_is_the_analytic_one_and_the_released_rule_is_not() -> None:
    ds = arc_gradient(fast=True, seeds=(0, 1))
    ratio = ds.arc_gradient_ratio
    assert np.abs(ratio.sel(rule="full") - 1).max() <= ARC_GRADIENT
    assert ratio.sel(rule="reference").max() <= REFERENCE_RULE
    assert float(ds.analytic) == pytest.approx(2 * 0.6 * math.pi**2 / 3, rel=AGAIN)


@pytest.mark.parametrize("theta", [0.3, 0.9])
def test_the_released_rule_loses_all_but_one_part_in_m_squared(theta: float) -> None:
    m = math.ceil(8 * theta)
    ds = arc_gradient(fast=True, seeds=(0,), theta=theta)
    assert float(ds.arc_gradient_ratio.sel(rule="reference").item()) == pytest.approx(1 / m**2, rel=ARC_GRADIENT)


def test_seeds_come_from_the_runs() -> None:
    ds = arc_gradient({("a", 3): "x", ("b", 3): "y", ("a", 1): "z"}, fast=True)
    assert ds.seed.values.tolist() == [1, 3]
    with pytest.raises(ValueError, match="no seeds"):
        arc_gradient(seeds=())

"""The kernel explorer: rows are turned copies moved along the columns, for every network, frequency and seed."""

import itertools

import numpy as np
import pytest

from tests.explorers.promises import finite, keeps_every_promise
from workbench.explorers.kernels import KernelExplorer


def test_it_keeps_every_promise_of_an_explorer(tmp_path):
    keeps_every_promise(KernelExplorer(), tmp_path, network="gabor", omega0=20, n=4, encoding="raw", follow_deg=90)


@pytest.mark.parametrize("network", ["siren", "fourier", "gabor", "magnet"])
@pytest.mark.parametrize("n", [4, 8])
def test_a_quarter_turn_of_output_and_input_gives_the_turned_kernel(network, n):
    kernel = (
        KernelExplorer(network=network, n=n, seed=1).dataset()["kernel"].transpose("g_out", "g_in", "y", "x").values
    )
    step = n // 4
    for row, column in itertools.product(range(n), repeat=2):
        copy = kernel[(row + step) % n, (column + step) % n]
        assert np.allclose(copy, np.rot90(kernel[row, column]), atol=1e-6)


def test_the_framed_tiles_have_the_relative_rotation_that_is_followed():
    for follow_deg, steps in ((0, 0), (44, 1), (-90, 6), (180, 4)):
        ds = KernelExplorer(n=8, follow_deg=follow_deg).dataset()
        assert ds["copy_column"].values.tolist() == [(row + steps) % 8 for row in range(8)]


def test_the_surface_passes_through_the_taps():
    ds = KernelExplorer(kernel_size=9, n=8, follow_deg=90).dataset()
    tile = ds["kernel"].transpose("g_out", "g_in", "y", "x").values[0, 2]
    surface = ds["surface"].transpose("fine_y", "fine_x").values
    every = (surface.shape[0] - 1) // 8
    assert np.allclose(surface[::every, ::every], tile, atol=1e-5)


def test_the_raw_encoding_jumps_at_the_identity_and_the_periodic_one_nowhere():
    def largest_step(encoding: str) -> float:
        course = KernelExplorer(encoding=encoding, seed=2).dataset()["weight"].values
        return np.abs(np.diff(course)).max() / np.ptp(course)

    assert largest_step("raw") > 3 * largest_step("periodic")
    course = KernelExplorer(encoding="periodic").dataset()["weight"].values
    assert course[0] == pytest.approx(course[-1], abs=1e-5)


def test_higher_frequencies_move_the_power_outwards():
    def mean_frequency(omega0: float) -> float:
        ds = KernelExplorer(omega0=omega0, kernel_size=13).dataset()
        return float((ds["power"] * ds["frequency"]).sum())

    assert mean_frequency(2) < mean_frequency(15) < mean_frequency(50)
    assert float(KernelExplorer().dataset()["power"].sum()) == pytest.approx(1)


def test_weights_are_shares_of_the_largest_so_that_the_scale_stays_put():
    for values in ({}, {"omega0": 40}, {"network": "fourier", "seed": 4}):
        ds = KernelExplorer(**values).dataset()
        assert float(np.abs(ds["kernel"]).max()) == pytest.approx(1)
        assert float(ds["limit"]) == 1
        assert ds.attrs["largest_weight"] > 0


def test_every_choice_at_its_ends_gives_finite_kernels():
    for name, value in (("omega0", 1), ("omega0", 60), ("n", 1), ("n", 16), ("kernel_size", 5), ("seed", 50)):
        assert finite(KernelExplorer(**{name: value}).dataset())


def test_drawing_a_network_leaves_the_global_random_state_alone():
    import torch

    before = torch.get_rng_state()
    KernelExplorer(seed=37).dataset()
    assert torch.equal(before, torch.get_rng_state())

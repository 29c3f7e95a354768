"""How symmetric a kernel is: harmonics with known changes, exact quarter turns, and what a grid of pixels can hold."""

import numpy as np
import pytest

from tests.tolerances import AGAIN, EXACT, GRID_BAND, TURNED_KERNEL
from workbench.measure import open_dataset, save
from workbench.measure.kernel_symmetry import bandwidth, kernel_symmetry, lost_when_turned, power_map

SMALL = min(EXACT.values())
ANGLES = np.arange(0, 361, 15.0)
SIZE = 21
Y, X = np.mgrid[SIZE // 2 : -SIZE // 2 : -1, -(SIZE // 2) : SIZE // 2 + 1].astype(float)
RADIUS, ANGLE = np.hypot(X, Y), np.arctan2(Y, X)


def harmonic(m: int, sigma: float = 2.5) -> np.ndarray:
    return (RADIUS**m * np.exp(-(RADIUS**2) / (2 * sigma**2)) * np.cos(m * ANGLE))[None]


@pytest.mark.parametrize("m", [0, 1, 2, 3, 4])
def test_a_harmonic_of_order_m_changes_by_twice_the_sine_of_half_m_angles(m):
    ds = kernel_symmetry(harmonic(m), ANGLES)
    wanted = 2 * np.abs(np.sin(m * np.radians(ANGLES) / 2))
    assert np.abs(ds["turned"] - wanted).max() < TURNED_KERNEL
    lattice = ANGLES % 90 == 0
    assert np.abs(ds["turned"].values - wanted)[lattice].max() < SMALL * 10
    assert float(ds["floor"].max()) < TURNED_KERNEL
    assert float(ds["floor"].values[lattice].max()) == 0
    mirrored = 2 * np.abs(np.cos(m * np.radians(ANGLES) / 2)) if m % 2 else wanted  # cos m(pi - a) = (-1)^m cos m a
    assert np.abs(ds["mirrored"] - mirrored).max() < TURNED_KERNEL


def test_one_weight_off_by_a_thousandth_is_seen_at_quarter_turns():
    kernel = harmonic(4)
    assert float(kernel_symmetry(kernel, np.array([90.0]))["turned"][0]) < SMALL
    kernel[0, 3, 5] += 1e-3 * np.abs(kernel).max()
    assert float(kernel_symmetry(kernel, np.array([90.0]))["turned"][0]) > 100 * SMALL


def test_a_checkerboard_cannot_be_turned_there_and_back():
    board = ((-1.0) ** (np.arange(9)[:, None] + np.arange(9)))[None]
    assert float(kernel_symmetry(board, np.array([45.0]))["floor"][0]) > 10 * TURNED_KERNEL


def test_kernels_are_taken_together(tmp_path):
    both = np.concatenate([harmonic(0), harmonic(1) / np.linalg.norm(harmonic(1)) * np.linalg.norm(harmonic(0))])
    ds = kernel_symmetry(both, np.array([180.0]))
    assert float(ds["turned"][0]) == pytest.approx(np.sqrt(2), rel=AGAIN)
    assert open_dataset(save(ds, tmp_path / "symmetry.nc")).identical(ds)


def test_the_radius_of_a_bell_is_that_of_its_formula():
    for sigma in (1.0, 1.5, 2.0):
        bell = np.exp(-(RADIUS**2) / (2 * sigma**2))
        wanted = np.sqrt(np.log(20)) / (2 * np.pi * sigma)  # 1 - exp(-(2 pi sigma r)^2) = 0.95
        assert bandwidth(power_map(bell[None])) == pytest.approx(wanted, rel=GRID_BAND)
    half = bandwidth(power_map(np.exp(-(RADIUS**2) / 2)[None]), 0.5)
    assert half == pytest.approx(np.sqrt(np.log(2)) / (2 * np.pi), rel=GRID_BAND)


def test_a_single_weight_loses_at_45_degrees_the_square_outside_its_turned_copy():
    white = power_map(np.eye(1)[None])
    lost = lost_when_turned(white, np.array([0.0, 45.0, 90.0, 180.0, 270.0]))
    assert lost[1] == pytest.approx(3 - 2 * np.sqrt(2), rel=GRID_BAND)  # 1 - the octagon 2 (sqrt 2 - 1)
    assert lost[[0, 2, 3, 4]].tolist() == [0, 0, 0, 0]
    assert bandwidth(white) > 0.5


def test_a_smooth_kernel_loses_nothing_and_a_checkerboard_all():
    assert lost_when_turned(power_map(harmonic(2)), ANGLES).max() < 1e-6
    board = power_map(((-1.0) ** (np.arange(15)[:, None] + np.arange(15)))[None])
    assert lost_when_turned(board, np.array([45.0]))[0] > 0.9


def test_nothing_has_no_power_and_bad_input_gets_a_sentence():
    nothing = power_map(np.zeros((1, 3, 3)))
    assert bandwidth(nothing) == 0
    assert float(kernel_symmetry(np.zeros((1, 3, 3)), ANGLES)["turned"].max()) == 0
    with pytest.raises(ValueError, match=r"kernels of shape \(3, 3\) were given; expected \(N, k, k\)"):
        kernel_symmetry(np.ones((3, 3)), ANGLES)

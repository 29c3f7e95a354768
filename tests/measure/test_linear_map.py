"""A matrix taken apart: against scipy's polar decomposition and logarithm; samples with their weights; refusals."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch

from tests.tolerances import AGAIN, BROKEN, EXACT
from workbench.groups import SL, GLPlus
from workbench.measure import validate
from workbench.measure.linear_map import linear_map, near_rotations

TIGHT = EXACT[torch.float64]


def some_matrices(count: int = 12) -> list[np.ndarray]:
    made = np.random.default_rng(0).normal(size=(4 * count, 2, 2))
    return list(made[np.linalg.det(made) > 0.05][:count])


@pytest.mark.parametrize("matrix", some_matrices(), ids=str)
def test_turn_and_stretch_are_the_polar_factors(matrix):
    found = validate(linear_map(matrix), {"coordinate": ("name",), "so_far": ("stage", "row", "column")})
    turn, stretch = scipy.linalg.polar(matrix, side="left")  # matrix = stretch @ turn
    assert np.abs(found["so_far"][1] - turn).max() <= TIGHT
    assert np.abs(found["so_far"][2] * math.sqrt(np.linalg.det(matrix)) - matrix).max() <= TIGHT
    assert np.abs(found["stretch"].values - np.sort(np.linalg.eigvalsh(stretch))[::-1]).max() <= TIGHT
    u, q, angle, s = found["coordinate"].values
    log = scipy.linalg.logm(stretch)
    assert np.abs(log - np.array([[s + u, q], [q, s - u]])).max() <= 10 * TIGHT
    assert angle == pytest.approx(math.atan2(turn[1, 0], turn[0, 0]), abs=TIGHT)
    other, _ = scipy.linalg.polar(matrix, side="right")
    assert np.abs(other - turn).max() <= TIGHT, "the turn is the same on either side, the stretch is not"
    right = scipy.linalg.polar(matrix, side="right")[1]
    assert np.abs(right - stretch).max() > BROKEN


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ([[1, 0], [0, 1]], True),
        ([[-1, 0], [0, -1]], True),  # a half turn
        ([[-2, 0], [0, -0.5]], False),
        ([[-1, 1], [0, -1]], False),  # one Jordan block
        ([[0, -3], [1, 0]], True),
        ([[1, 5], [0, 1]], True),
        ([[1, 0], [0, -1]], False),
    ],
)
def test_which_maps_are_exponentials(matrix, expected):
    assert bool(linear_map(matrix)["exponential"]) == expected
    if expected and matrix != [[-1, 0], [0, -1]]:  # scipy takes the principal branch, which is not real there
        log = scipy.linalg.logm(np.array(matrix, dtype=float))
        assert np.abs(np.imag(log)).max() <= TIGHT


def test_a_map_that_turns_the_plane_over_has_no_coordinates():
    found = linear_map([[1, 0], [0, -1]])
    assert np.isnan(found["coordinate"]).all()
    assert float(found["determinant"]) == -1
    assert np.isfinite(found["so_far"][[0, 3]]).all()


@pytest.mark.parametrize("wrong", [[[1, 2]], [[1, float("nan")], [0, 1]], 3.0])
def test_what_is_no_matrix_is_refused_with_a_sentence(wrong):
    with pytest.raises(ValueError, match=r"expected two rows of two numbers; use \[\[1, 0\], \[0, 1\]\]"):
        linear_map(wrong)


@pytest.mark.parametrize("group", [SL(3.0), GLPlus(3.0)], ids=str)
def test_samples_far_from_the_turns_weigh_more(group):
    found = validate(near_rotations(group, 400, 0.3), {"u": ("sample",), "q": ("sample",), "weight": ("sample",)})
    radius = np.hypot(found["u"], found["q"])
    assert float(found["weight"].mean()) == pytest.approx(1, rel=AGAIN)
    far, near = (found["weight"].values[radius.argsort().values[part]] for part in (slice(-40, None), slice(40)))
    assert np.median(far) > 5 * np.median(near)

"""What the sentences conclude from a sweep."""

import math

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from workbench.audit.answer import MAPS, VECTORS, verdict
from workbench.audit.questions import ROTATIONS, TURNS, questions
from workbench.audit.words import CLOSE, percent
from workbench.groups import SO2
from workbench.measure import equivariance_error
from workbench.measure.orbit import transform_coords

ANGLES = [0.0, 45.0, 90.0]
LIMIT = 1e-5


def sweep(errors: list[float], floors: list[float]) -> xr.Dataset:
    """A sweep over 0, 45 and 90 degrees with these mean errors and floors, end to end."""
    elements = torch.tensor(ANGLES, dtype=torch.float64).deg2rad()[:, None]
    rows = {
        "error_mean": errors, "error_low": errors, "error_high": errors, "input_floor_mean": floors,
        "output_floor_mean": floors, "exact": [True, False, True],
    }  # fmt: skip
    values = {name: (("layer", "transform"), np.array([row])) for name, row in rows.items()}
    values["input_floor_mean"] = (("transform",), np.array(floors))
    units = {"long_name": "root mean square error", "units": "output units"}
    values["absolute_error"] = (("layer", "transform", "sample"), np.array(errors)[None, :, None] * [1, 2, 3, 4], units)
    coords = transform_coords(elements, SO2()) | {
        "layer": ["output"], "sample": np.arange(4), "lattice": ("transform", [True, False, True]),
    }  # fmt: skip
    return xr.Dataset(values, coords)


def asked(errors: list[float], floors: list[float], **options):
    return verdict(ROTATIONS, sweep(errors, floors), nn.Identity(), None, LIMIT, VECTORS, **options)


def test_rotations_hold_as_far_as_pixels_allow_where_quarter_turns_are_exact():
    found = asked([0, 0.02, 0], [0, 0.02, 0])
    assert found.level == "floor"
    assert "as pixels allow" in found.sentence


def test_rotations_are_broken_where_quarter_turns_are_whatever_resampling_costs():
    found = asked([0, 0.02, 0.02], [0, 0.02, 0])
    assert found.level == "broken"
    assert "no more than resampling does" in found.sentence
    assert (
        "at a turn by 90°, where nothing is resampled, it differs by 2 % (0.05 in its own units) as well"
        in found.sentence
    )


def test_an_error_above_the_floor_is_told_beside_the_floor():
    found = asked([0, 0.2, 0.2], [0, 0.02, 0])
    assert found.level == "broken"
    assert "Resampling alone changes the input by 2 % there" in found.sentence


@pytest.mark.parametrize(("spread", "level"), [(1.0, "close"), (3.0, "close"), (0.5, "broken")])
def test_nearly_there_is_measured_by_how_far_two_images_are_apart(spread, level):
    error = 0.8 * CLOSE
    assert asked([0, error, error], [0, 0.001, 0], spread=spread).level == level


@pytest.mark.parametrize(
    ("noise", "low", "level"), [(0.0, 0.0, "broken"), (0.15, 0.2, "chance"), (0.15, 0.25, "broken")]
)
def test_chance_hides_an_error_whose_interval_reaches_down_to_what_chance_does(noise, low, level):
    told = sweep([0, 0.3, 0.3], [0, 0.02, 0])
    told["error_low"] = told["error_low"].copy(data=np.array([[0, low, low]]))
    if noise:
        told["noise_floor"] = (("layer", "transform", "sample"), np.full((1, 3, 4), noise))
        told.attrs |= {"stochastic": 0.4, "repeats": 8}
    found = verdict(ROTATIONS, told, nn.Identity(), None, LIMIT, VECTORS)
    assert found.level == level
    assert ("cannot be told" in found.sentence) == (level == "chance")
    assert ("Chance alone changes it by 15 %; without that about 26 % is left" in found.sentence) == (low == 0.25)


def test_a_strict_mean_is_exact_and_a_plain_filter_is_not():
    torch.manual_seed(0)
    images = torch.rand(4, 1, 8, 8)
    turns = next(q for q in questions("auto", (8, 8)) if q.name == TURNS)
    for model, level in ((nn.AvgPool2d(2), "exact"), (nn.Conv2d(1, 2, 3, padding=1), "broken")):
        ds = equivariance_error(model, images, turns.group, turns.elements, layers="all", mask=turns.mask)
        assert verdict(TURNS, ds, model, None, LIMIT, MAPS).level == level


def test_percentages_are_as_long_as_they_are_sure():
    assert [percent(v) for v in (0.0, 1e-4, 0.02, 0.5, math.pi)] == ["0", "1.0e-04", "2 %", "50 %", "314 %"]

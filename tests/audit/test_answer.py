"""What the sentences conclude from a sweep."""

import math

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from workbench.audit import audit
from workbench.audit.answer import MAPS, VECTORS, verdict
from workbench.audit.questions import ROTATIONS, SHIFTS, TURNS, questions
from workbench.audit.words import CLOSE, percent
from workbench.groups import SO2, Translation
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


SHIFTED = [0.0, 0.5, 1.0, 2.0, 4.0]


def shifted(errors: list[float], floors: list[float], exact: list[bool]) -> xr.Dataset:
    """A sweep over shifts to the right of an answer that is a map, with these mean errors and floors."""
    elements = torch.tensor([[step, 0.0] for step in SHIFTED], dtype=torch.float64)
    rows = {name: (("layer", "transform"), np.array([errors])) for name in ("error_mean", "error_low", "error_high")}
    rows |= {f"{end}_floor_mean": (("layer", "transform"), np.array([floors])) for end in ("input", "output")}
    rows |= {"exact": (("layer", "transform"), np.array([exact])), "comparable": (("layer",), np.array([True]))}
    units = {"long_name": "root mean square error", "units": "output units"}
    rows["absolute_error"] = (("layer", "transform", "sample"), np.array(errors)[None, :, None] * np.ones(4), units)
    coords = transform_coords(elements, Translation()) | {
        "layer": ["output"], "sample": np.arange(4), "lattice": ("transform", [step != 0.5 for step in SHIFTED]),
    }  # fmt: skip
    return xr.Dataset(rows, coords, {"input": "image", "output": "image"})


EVERY_FOURTH = [True, False, False, False, True]
"""Where an answer with a quarter of the pixels moves onto its own pixels."""


def test_a_shift_of_the_answer_between_its_own_pixels_counts_where_its_floor_does_not_explain_it():
    sweep = shifted([0, 0.06, 0.12, 0.18, 0], [0, 0.04, 0.05, 0.06, 0], EVERY_FOURTH)
    found = verdict(SHIFTS, sweep, nn.Identity(), None, LIMIT, MAPS)
    assert (found.level, found.at, found.error) == ("broken", "a shift by 2 px right", 0.18)
    assert found.lattice_error == 0.18
    assert "Resampling alone changes the output by 6 % there" in found.sentence
    assert "Where its answer moves by whole pixels, at a shift by 4 px right, it is exact" in found.sentence
    assert "One pixel to the right changes it by 12 % (0.12 in its own units), where resampling alone" in found.sentence


def test_a_shift_of_the_answer_between_its_own_pixels_may_cost_what_resampling_costs():
    sweep = shifted([0, 0.04, 0.05, 0.06, 0], [0, 0.04, 0.05, 0.06, 0], EVERY_FOURTH)
    found = verdict(SHIFTS, sweep, nn.Identity(), None, LIMIT, MAPS)
    assert found.level == "floor"
    assert "as equivariant to shifts as pixels allow" in found.sentence
    assert found.lattice_error == 0, "what resampling explains is no error of the network"
    assert found.because == ""


def test_an_element_far_above_its_floor_is_told_before_a_larger_error_that_resampling_explains():
    sweep = shifted([0, 0.06, 0.12, 0.18, 0], [0, 0.04, 0.02, 0.17, 0], EVERY_FOURTH)
    found = verdict(SHIFTS, sweep, nn.Identity(), None, LIMIT, MAPS)
    assert (found.level, found.at, found.lattice_error) == ("broken", "a shift by 1 px right", 0.12)
    assert "farthest beyond what resampling does, a shift by 1 px right" in found.sentence


@pytest.mark.parametrize(("stride", "level"), [(1, "exact"), (2, "broken"), (4, "broken")])
def test_strides_of_a_dense_network_break_shifts_by_single_pixels_and_are_the_reason(stride, level):
    torch.manual_seed(0)
    images = torch.rand(6, 3, 32, 32)
    result = audit(nn.Sequential(nn.Conv2d(3, 8, 3, stride, 1)), images, data_samples=0)
    found = result.verdicts[-1]
    assert (found.question, found.level) == (SHIFTS, level)
    assert (found.lattice_error > CLOSE) == (level == "broken")
    assert ("the steps of 0, which skip pixels" in found.because) == (level == "broken")
    assert (audit(nn.Conv2d(3, 8, 3, stride, 1), images, "Translation").error > CLOSE) == (level == "broken")


def test_percentages_are_as_long_as_they_are_sure():
    assert [percent(v) for v in (0.0, 1e-4, 0.02, 0.5, math.pi)] == ["0", "1.0e-04", "2 %", "50 %", "314 %"]

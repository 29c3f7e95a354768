"""Sampled integrals over groups without an end: 1 / sqrt(samples) with the weights, a plateau without."""

import pytest
import torch

from tests.tolerances import BROKEN
from workbench.groups import RotationScale
from workbench.measure import open_dataset, save
from workbench.measure.haar import sampled_integral_error

COUNTS = (100, 10_000)


@pytest.mark.parametrize("group", ["Scale(2,8)", "RotationScale(8)", "SL(2,4)", "GLPlus(2,4)"])
def test_errors_fall_with_the_root_of_the_samples_and_stay_without_weights(group):
    error = sampled_integral_error(group, COUNTS).error
    few, many = error.sel(samples="with weights").values
    assert 4 < few / many < 40  # sqrt(100) = 10
    assert many < BROKEN
    assert float(error.sel(samples="without", count=COUNTS[1])) > 2 * BROKEN


def test_the_weights_are_what_does_it(monkeypatch):
    """The twin: weights of another density."""
    own = RotationScale.draw
    monkeypatch.setattr(RotationScale, "draw", lambda *a: (own(*a)[0], own(*a)[1] ** 0.5))
    error = sampled_integral_error("RotationScale(8)", COUNTS[1:]).error
    assert float(error.sel(samples="with weights", count=COUNTS[1])) > BROKEN


def test_the_result_survives_a_file_and_comes_again(tmp_path):
    found = sampled_integral_error("Scale(2,8)", (50, 100), seeds=2)
    save(found, tmp_path / "haar.nc")
    assert open_dataset(tmp_path / "haar.nc").identical(found)
    torch.manual_seed(7)
    assert sampled_integral_error("Scale(2,8)", (50, 100), seeds=2).identical(found)


@pytest.mark.parametrize(
    ("group", "options", "words"),
    [
        ("SO2", {}, "SO2 was given; expected Scale, RotationScale, SL or GLPlus"),
        ("Scale", {"counts": (0,)}, "counts"),
        ("Scale", {"seeds": 0}, "seeds"),
    ],
)
def test_what_cannot_be_is_refused(group, options, words):
    with pytest.raises(ValueError, match=words):
        sampled_integral_error(group, **options)

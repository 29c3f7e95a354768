"""The audit of data inside an audit: class by class, with power and floors, the same numbers as the measure gives."""

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor, nn

from workbench.audit import AuditResult, audit, report_html
from workbench.audit.data import load_data
from workbench.audit.data_look import POWER_REPEATS, data_line, data_look, floor_told, small_grey
from workbench.measure import data_symmetry, open_dataset

NET = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())


def pictures(count: int = 30) -> tuple[Tensor, Tensor]:
    """Two classes: one its own mirror image, one bright on the left."""
    coarse = torch.rand(2 * count, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    coarse[count:] += torch.linspace(3, 0, 4)
    coarse[:count] = (coarse[:count] + coarse[:count].flip(-1)) / 2
    return nn.functional.interpolate(coarse, size=(16, 16), mode="bilinear"), torch.arange(2 * count) // count


@pytest.fixture(scope="module")
def result() -> AuditResult:
    x, labels = pictures()
    return audit(NET, x, labels=labels, samples=4)


def test_it_is_what_the_measure_gives_of_the_same_pictures(result):
    x, labels = pictures()
    pool = load_data(x, samples=128, labels=labels, kind="image")
    wanted = data_symmetry(
        small_grey(pool.inputs), pool.labels, n_angles=24, resamples=50, power_repeats=POWER_REPEATS, seed=0
    )
    found = result.more["data"]
    assert found["class"].values.tolist() == ["all", "0", "1"]
    xr.testing.assert_identical(found.drop_attrs(), wanted.drop_attrs())


def test_each_class_is_told_with_its_floor_and_its_power(result, tmp_path):
    at = result.more["data"]["question"].values.tolist().index("left-right")
    assert result.more["data"]["element_rejected"].values[1:, at].tolist() == [False, True]
    assert "By class, 2 of 2" in result.answer
    assert "mirrored left to right 1" in result.answer
    assert "the negative control, does not show" in result.answer
    page = report_html(result)
    for told in ("Your data by class", "resampling alone: p, corrected (floor)", "p of the floor", "Power, by arc",
                 "How many pictures would tell", "Arcs by class"):  # fmt: skip
        assert told in page
    stored = open_dataset(result.save(tmp_path)[0], group="data")
    assert {"floor", "floor_p", "power", "element_power", "element_needed", "arc_needed"} <= set(stored.variables)
    assert stored.sizes["class"] == 3


def test_without_labels_the_data_are_asked_as_a_whole():
    x, _ = pictures()
    found = audit(NET, x, samples=4)
    assert found.more["data"]["class"].values.tolist() == ["all"]
    assert "By class" not in found.answer
    assert "Your data as a whole" in report_html(found)
    assert "floor" in found.more["data"]


def test_small_classes_are_left_out_and_counted():
    x, labels = pictures(12)
    labels[:2] = 7
    ds = data_look(x, 0, labels=labels, classes=("even", "left"))
    assert ds["class"].values.tolist() == ["all", "even", "left"]
    assert ds.attrs["classes_left_out"] == 1
    assert "By class, 2 of 3" in data_line(ds)
    assert int(ds.pictures[0]) == 24
    alone = data_look(x[:8], 0, labels=torch.arange(8))
    assert "By class nothing was asked" in data_line(alone)


def test_a_floor_that_shows_is_a_warning(result):
    ds = result.more["data"]
    shows = ds.assign(floor_p=ds["floor_p"] * 0 + 1e-4)
    assert floor_told(shows).startswith("Careful: resampling alone already shows")
    assert "Careful" not in floor_told(ds)
    assert np.isfinite(ds["floor"]).all()

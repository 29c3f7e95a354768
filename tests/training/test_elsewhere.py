"""The comparison on other pictures: one experiment for each family and data, and where each stands."""

import pytest
import xarray as xr

from workbench.models import build_model
from workbench.models._families import GENERATED
from workbench.models._families_elsewhere import ELSEWHERE, PICTURES, PLACES
from workbench.training import Run
from workbench.training.elsewhere import elsewhere_experiment, elsewhere_measures


def test_every_family_of_the_backbone_is_trained_on_every_kind_of_rendered_digits_by_one_recipe():
    families = {family for _, family in PLACES.values()}
    assert set(PLACES.values()) == {
        (data, family) for data in ("rotated", "upright", "interval") for family in families
    }
    assert len(families) >= 7
    assert not families & set(GENERATED)
    assert len({str(dict(one.training)) for one in ELSEWHERE.experiments}) == 1
    assert all(dict(one.data).items() >= PICTURES.items() for one in ELSEWHERE.experiments)


def test_each_run_is_placed_by_its_family_and_its_data(tmp_path):
    runs = {}
    for data, family in (("upright", "plain"), ("interval", "strict (same backbone)")):
        experiment = elsewhere_experiment(data, family)
        run = Run.create(tmp_path / experiment.name, experiment.config(0))
        run.save_weights(build_model(run.config["model"]).state_dict())
        run.save_history(xr.Dataset({"test_accuracy": ((), 0.5)}))
        runs[experiment.name, 0] = run.path
    found = elsewhere_measures(runs, fast=True)
    assert found["family"].values.tolist() == ["plain", "strict (same backbone)"]
    assert found["data_set"].values.tolist() == ["rendered-upright", "rendered-interval"]
    assert found["samples"].values.tolist() == [520, 520]
    error = found["turn_error"].isel(seed=0, angle_deg=slice(1, None)).max("angle_deg").values
    assert error[1] < 1e-5 < error[0]


def test_a_family_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(ValueError, match="'partial' on 'upright' was given; expected one of plain, augmented"):
        elsewhere_experiment("upright", "partial")

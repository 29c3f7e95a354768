"""The comparison of families: what is measured of each run, and the stored results against what they must say."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from tests.tolerances import AGAIN, BROKEN_LOGITS
from tests.tolerances import EXACT as TOLERANCE
from workbench.datasets import load
from workbench.models._families import (
    BATCH,
    DATA,
    EQUAL_COMPUTE,
    EXACT,
    IMAGES,
    LEANING,
    METHOD,
    MODELS,
    PLACES,
    SHARES,
    UPDATES,
    experiment_name,
)
from workbench.training import fit
from workbench.training.families import family_measures, samples_needed
from workbench.training.reproduction import load_claims
from workbench.training.settings import read_config
from workbench.training.verdicts import verdicts

NEARLY = 0.3
"""How far a time measured anew may lie from the price by which updates were rounded."""


@pytest.fixture(scope="module")
def stored() -> xr.Dataset:
    return load_claims(METHOD)


@pytest.mark.slow
def test_runs_of_several_families_are_measured_alike(tmp_path: Path) -> None:
    small = {"plain": {"name": "plain_cnn"}, "pose": {"name": "symmetrised_cnn"}}
    data = {"name": "rotated", "train_share": 0.25, "repeats": 2}
    training = {"epochs": 1, "max_steps": 1, "error_points": 0, "device": "cpu"}
    runs = {}
    for name, model in small.items():
        path = runs[name, 3] = tmp_path / name
        fit({"model": {**model, "widths": [4, 4]}, "data": data, "training": training, "seed": 3}, path, progress=False)
    ds = family_measures(runs, fast=True)
    assert dict(ds.sizes) == {"experiment": 2, "seed": 1, "angle_deg": 4, "round": 2}
    assert bool(ds.lattice.all())
    assert float(ds.turn_error.sel(experiment="pose").max()) <= TOLERANCE[torch.float32]
    assert float(ds.turn_error.sel(experiment="plain").max()) > BROKEN_LOGITS
    assert ds.multiply_adds.values[0] == ds.multiply_adds.values[1], "a pose without ties costs nothing more"
    assert float(ds.evaluation_ms.min()) > 0
    assert float(ds.training_ms.min()) > 0
    assert ds.family.values.tolist() == ["plain", "pose"]
    assert set(ds.data_set.values) == {"digits-rotated"}
    assert ds.samples.values.tolist() == [len(load(**data).splits["train"][1]) // 2] * 2
    assert ds.updates.values.tolist() == [1, 1]


def test_images_needed_are_read_between_the_numbers_that_were_tried() -> None:
    rows = [("plain", 100), ("plain", 400), ("quick", 100), ("quick", 400), ("slow", 100), ("slow", 400), ("even", 400)]
    places = {
        "family": np.array([family for family, _ in rows]), "samples": np.array([size for _, size in rows]),
        "data_set": np.array(["d"] * 6 + ["other"]), "view": np.array(["v"] * 7),
    }  # fmt: skip
    accuracy = np.array([[0.6, 0.6], [0.7, 0.9], [0.7, 0.9], [0.9, 0.95], [0.5, 0.5], [0.6, 0.7], [1.0, 1.0]])
    found = samples_needed(places, accuracy)
    assert found[2:4] == pytest.approx(np.array([[200, 100], [200, 100]]), rel=AGAIN), "0.8 is plain's mean with all"
    assert np.isnan(found[4:]).all(), "not reached; only one number tried"


def test_every_data_set_has_as_many_images_and_shares_take_as_many_updates() -> None:
    for name in DATA.values():
        assert len(load(name).splits["train"][1]) == IMAGES
    for share in SHARES:
        data = METHOD.experiment(experiment_name("rotated", "plain", share)).data
        assert math.ceil(len(load(**data).splits["train"][1]) / BATCH) == math.ceil(IMAGES / BATCH), share


def test_stored_results_are_those_of_the_experiments_of_today(stored: xr.Dataset) -> None:
    assert stored.experiment.values.tolist() == [experiment.name for experiment in METHOD.experiments]
    assert stored.sizes["seed"] >= 5
    assert stored.attrs["fast"] == "false"
    for name, (family, view) in PLACES.items():
        expected = read_config(METHOD.experiment(name).config(0))[0]
        found = stored.sel(experiment=name)
        assert json.loads(str(found.config.values)) == {p: value for p, value in expected.items() if p != "seed"}
        assert (str(found.family.values), str(found.view.values)) == (family, view)
        assert str(found.data_set.values) == expected["data"]["name"]
    for variable in ("test_accuracy", "parameters", "turn_error", "multiply_adds", "evaluation_ms", "training_ms"):
        assert bool(np.isfinite(stored[variable]).all()), variable


def test_views_hold_equal_what_they_say(stored: xr.Dataset) -> None:
    alike = stored.sel(experiment=stored.view != EQUAL_COMPUTE)
    assert set(alike.updates.values) == {UPDATES}
    assert int(alike.samples.max()) == IMAGES
    compute = stored.sel(experiment=stored.view == EQUAL_COMPUTE)
    spent = compute.updates * compute.training_ms.median("round")
    budget = float(spent[compute.family.values.tolist().index("plain")])
    assert float(abs(spent / budget - 1).max()) <= NEARLY


def test_stored_errors_are_none_where_the_family_is_exact_and_some_elsewhere(stored: xr.Dataset) -> None:
    turns = stored.angle_deg[stored.lattice & (stored.angle_deg % 360 != 0)]
    lattice = stored.turn_error.sel(angle_deg=turns)
    for name, (family, _) in PLACES.items():
        errors = lattice.sel(experiment=name)
        if family in EXACT:
            assert float(errors.max()) <= TOLERANCE[torch.float32], name
        else:
            assert float(errors.min()) > BROKEN_LOGITS, name


def test_stored_results_lie_in_the_bands_of_the_claims(stored: xr.Dataset) -> None:
    for verdict in verdicts(stored, METHOD):
        assert verdict.in_band, verdict
        assert len(verdict.values) >= 5, verdict.claim


def test_families_are_named_once_and_each_kind_is_among_them() -> None:
    assert len(MODELS) >= 7
    assert set(LEANING) | set(EXACT) < set(MODELS)
    assert not set(LEANING) & set(EXACT)
    assert all(name.replace("_", "").isalnum() for name in PLACES), "names of folders and of the command line"

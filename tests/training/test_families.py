"""The comparison of families: what is measured of each run, and the stored results against what they must say."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from tests.tolerances import BROKEN_LOGITS, EXACT
from workbench.models._families import FAMILIES, MODELS
from workbench.training import fit
from workbench.training.families import family_measures
from workbench.training.reproduction import load_claims
from workbench.training.settings import read_config

INVARIANT = ("augmented", "test-time averaging", "canonical pose", "strict")
"""Families that are exactly invariant to quarter turns by construction."""


@pytest.fixture(scope="module")
def stored() -> xr.Dataset:
    return load_claims(FAMILIES)


@pytest.mark.slow
def test_runs_of_several_families_are_measured_alike(tmp_path: Path) -> None:
    small = {"plain": {"name": "plain_cnn"}, "pose": {"name": "symmetrised_cnn"}}
    data, training = {"name": "rotated"}, {"epochs": 1, "max_steps": 1, "error_points": 0, "device": "cpu"}
    runs = {}
    for name, model in small.items():
        path = runs[name, 3] = tmp_path / name
        fit({"model": {**model, "widths": [4, 4]}, "data": data, "training": training, "seed": 3}, path, progress=False)
    ds = family_measures(runs, fast=True)
    assert dict(ds.sizes) == {"experiment": 2, "seed": 1, "angle_deg": 4, "round": 2}
    assert bool(ds.lattice.all())
    assert float(ds.turn_error.sel(experiment="pose").max()) <= EXACT[torch.float32]
    assert float(ds.turn_error.sel(experiment="plain").max()) > BROKEN_LOGITS
    assert ds.multiply_adds.values[0] == ds.multiply_adds.values[1], "a pose without ties costs nothing more"
    assert float(ds.evaluation_ms.min()) > 0
    assert float(ds.training_ms.min()) > 0


def test_stored_results_are_those_of_the_experiments_of_today(stored: xr.Dataset) -> None:
    assert stored.experiment.values.tolist() == list(MODELS)
    assert len(MODELS) >= 7
    assert stored.sizes["seed"] >= 5
    assert stored.attrs["fast"] == "false"
    for name in MODELS:
        expected = read_config(FAMILIES.experiment(name).config(0))[0]
        found = json.loads(str(stored.config.sel(experiment=name).values))
        assert found == {part: value for part, value in expected.items() if part != "seed"}
    for variable in ("test_accuracy", "parameters", "turn_error", "multiply_adds", "evaluation_ms", "training_ms"):
        assert bool(np.isfinite(stored[variable]).all()), variable


def test_stored_errors_are_none_where_the_family_is_exact_and_some_elsewhere(stored: xr.Dataset) -> None:
    lattice = stored.turn_error.sel(angle_deg=stored.angle_deg[stored.lattice & (stored.angle_deg % 360 != 0)])
    for name in MODELS:
        errors = lattice.sel(experiment=name)
        if name in INVARIANT:
            assert float(errors.max()) <= EXACT[torch.float32], name
        else:
            assert float(errors.min()) > BROKEN_LOGITS, name


def test_every_family_is_far_above_chance_and_symmetry_helped(stored: xr.Dataset) -> None:
    accuracy = stored.test_accuracy.mean("seed")
    assert float(accuracy.min()) > 0.3
    plain = float(accuracy.sel(experiment="plain"))
    for name in ("augmented", "learned augmentation", "test-time averaging", "canonical pose", "relaxed group"):
        assert float(accuracy.sel(experiment=name)) > plain, name

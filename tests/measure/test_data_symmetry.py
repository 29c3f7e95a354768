"""The audit of data: what it says of sets whose symmetry is known, how often it errs, and that blur is no asymmetry."""

import math

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from tests.tolerances import AGAIN, DATA_ARC_DEG
from workbench.datasets import load
from workbench.measure import Cancelled, equivariance_error, open_dataset, save, validate, with_model
from workbench.measure.data_features import orbit_features
from workbench.measure.data_symmetry import ALL, data_symmetry, table_symmetry
from workbench.measure.studies import blob_images
from workbench.measure.two_sample import energy_test

FAST = {"n_angles": 24, "permutations": 499, "resamples": 20, "power_repeats": 0}


def digits(half_width: float, count: int, only: str = "0123456789") -> tuple[torch.Tensor, torch.Tensor]:
    data = load("digits-interval", half_widths_deg={}, otherwise_deg=half_width)
    images, labels = (torch.cat([part[at] for part in data.splits.values()]) for at in (0, 1))
    kept = torch.isin(labels, torch.tensor([int(c) for c in only])).nonzero().flatten()[:count]
    return images[kept], labels[kept]


def noise(count: int, size: int = 10, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 1, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def within_60() -> xr.Dataset:
    images, labels = digits(60.0, 240, "2367")
    index = torch.searchsorted(torch.tensor([2, 3, 6, 7]), labels)
    return data_symmetry(images, index, classes=tuple("2367"), permutations=999, power_repeats=6, resamples=60)


def test_digits_turned_within_60_degrees_are_found_to_be(within_60):
    whole = within_60.isel({"class": 0})
    assert str(whole["class"].values) == ALL
    assert abs(float(whole["arc_half_width_deg"]) - 60) <= DATA_ARC_DEG
    assert bool(whole["rejected"])
    assert bool((within_60["arc_low_deg"] <= 60).all() & (within_60["arc_high_deg"] >= 60).all())


def test_n1_every_variable_is_labelled_and_survives_a_file(within_60, tmp_path):
    dims = {"distance": ("class", "transform"), "lost": ("class", "difference"), "power": ("class", "added")}
    validate(within_60, dims)
    xr.testing.assert_identical(open_dataset(save(within_60, tmp_path / "data.nc")), within_60)
    assert within_60.attrs["features"] == "pixels"
    assert within_60.attrs["correction"].startswith("Holm")
    numbers = [v.values for v in within_60.variables.values() if v.dtype.kind == "f"]
    assert all(np.isfinite(v).all() for v in numbers)


def test_what_is_lost_follows_delta_of_the_fitted_arc(within_60):
    whole = within_60.isel({"class": 0})
    assert float(abs(whole["lost"] - whole["delta"]).mean()) < 0.12
    assert float(whole["delta"][0]) == 0
    assert float(whole["lost_fitted"][0]) == pytest.approx(0, rel=AGAIN)


def test_power_falls_to_the_rate_of_false_rejections_where_pictures_are_turned_all_round(within_60):
    power = within_60["power"].mean("class")
    assert float(power[0]) > 0.9
    assert float(power[-1]) <= 0.2


def test_the_floor_shows_that_resampling_alone_is_not_seen(within_60):
    assert float((within_60["floor_p"] <= 0.05).mean()) < 0.3
    assert float(within_60["floor"].max()) < float(within_60["distance"].max()) / 2


def test_pictures_turned_all_round_are_not_rejected_and_the_circle_stays_possible():
    ds = data_symmetry(digits(180.0, 300)[0], **FAST)
    assert not bool(ds["rejected"].any())
    assert float(ds["arc_high_deg"][0]) >= 160


def test_a_set_with_every_picture_upright_and_upside_down_says_both():
    data = load("6-180")
    images, labels = data.splits["train"]
    ds = data_symmetry(images, labels, classes=data.classes, **{**FAST, "permutations": 1999})
    assert ds["arc_high_deg"].values.max() <= DATA_ARC_DEG
    assert float(ds["upside_down_share"][0]) >= 0.4
    assert float(ds["upside_down_share"][1:].max()) <= 0.05
    half_turn = ds.sel(transform=int(np.argmax(ds["angle_deg"].values == 180)))
    assert half_turn["p_holm"].values[0] > 0.05
    assert bool(ds["rejected"].all())
    assert "upside-down" in str(ds["verdict"].values[0])


def test_rendered_digits_have_no_arc():
    ds = data_symmetry(
        load("glyphs", size=16, characters="digits").splits["train"][0][:250], **{**FAST, "n_angles": 72}
    )
    assert float(ds["arc_half_width_deg"][0]) <= DATA_ARC_DEG


def test_few_pictures_are_called_few_and_not_given_a_number():
    images, labels = digits(60.0, 60, "34")
    ds = data_symmetry(images, labels - 3, classes=("3", "4"), **{**FAST, "permutations": 999})
    assert not bool(ds["resolvable"][1:].any()) or float(ds["arc_high_deg"][1:].max()) < 75
    few = data_symmetry(images[:12], **FAST)
    assert str(few["verdict"].values[0]).startswith("not resolvable at this n: 12 pictures")


def test_a_width_that_cannot_be_told_comes_with_the_number_of_pictures_that_would_tell_it():
    images, _ = digits(120.0, 40)
    ds = data_symmetry(images, **{**FAST, "n_angles": 72, "resamples": 60})
    reach = max(float(ds["arc_high_deg"][0] - ds["arc_half_width_deg"][0]),
                float(ds["arc_half_width_deg"][0] - ds["arc_low_deg"][0]))  # fmt: skip
    assert not bool(ds["resolvable"][0])
    assert float(ds["arc_needed"][0]) == math.ceil(40 * (reach / 10) ** 2)
    assert "pictures would do, by 1/√n" in str(ds["verdict"].values[0])
    sure = data_symmetry(digits(0.0, 120)[0], **FAST)
    assert bool(sure["resolvable"][0])
    assert float(sure["arc_needed"][0]) <= 120
    assert "would do" not in str(sure["verdict"].values[0])


@pytest.mark.slow
def test_the_rate_of_any_rejection_is_at_most_alpha_on_sets_without_a_preferred_angle():
    """Blobs drawn anew at random angles: nothing is resampled before the audit; six angles are tested together."""
    hits = []
    for seed in range(60):
        angles = (torch.rand(24, generator=torch.Generator().manual_seed(seed)) * 360).tolist()
        x = torch.stack([blob_images(1000 * seed + n, [angle], 1, 13)[0, 0] for n, angle in enumerate(angles)])
        table = orbit_features(x.float(), n_angles=24, components=16)
        hits.append(
            bool(table_symmetry(table, permutations=199, resamples=0, power_repeats=0, seed=seed)["rejected"][0])
        )
    assert np.mean(hits) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 60)


def roughness(x: torch.Tensor) -> torch.Tensor:
    """How much neighbours differ along rows and columns: what blur changes most."""
    steps = [x.diff(dim=dim).square().mean((1, 2, 3)) for dim in (-1, -2)]
    return torch.stack([*steps, x.square().mean((1, 2, 3))], 1)


def test_white_noise_has_no_angle_although_turning_blurs_it():
    """The negative control: beside a copy that alone was turned, noise would be called asymmetric."""
    table = orbit_features(noise(120), roughness, n_angles=24)
    generator = torch.Generator().manual_seed(0)
    naive = energy_test(table.values[:60, 0], table.values[60:, 2], 199, generator)
    assert naive.p_value <= 0.01
    ds = data_symmetry(noise(120), features=roughness, **FAST)
    assert not bool(ds["rejected"][0])
    assert float(ds["floor_p"].min()) > 0.01


def test_features_of_ones_own_decide_what_is_seen():
    """The mean brightness knows no angle."""
    images, _ = digits(20.0, 120)
    sees = data_symmetry(images, **FAST)
    blind = data_symmetry(images, features=lambda x: torch.stack([x.mean((1, 2, 3)), x.std((1, 2, 3))], 1), **FAST)
    assert bool(sees["rejected"][0])
    assert not bool(blind["rejected"][0])
    assert blind.attrs["features"] == "<lambda>"


def test_r23_the_same_seed_gives_the_identical_dataset_and_another_seed_other_halves():
    images, _ = digits(60.0, 60)
    one, two, other = (data_symmetry(images, seed=seed, **FAST) for seed in (3, 3, 4))
    xr.testing.assert_identical(one, two)
    assert not one["p_value"].equals(other["p_value"])


def test_r20_it_tells_how_far_it_is_and_stops_when_asked():
    images, _ = digits(60.0, 60)
    told: list[float] = []
    data_symmetry(images, progress=told.append, **FAST)
    assert told == sorted(told)
    assert told[-1] == 1
    with pytest.raises(Cancelled):
        data_symmetry(images, cancel=lambda: True, **FAST)


def test_n15_a_large_set_says_that_a_part_was_tested():
    table = orbit_features(noise(420, 6), n_angles=24, components=4)
    ds = table_symmetry(table, permutations=139, resamples=0, power_repeats=0)
    assert ds.attrs["showing"] == "showing 400 of 420 pictures in the largest test"
    ds = data_symmetry(noise(210, 6), **FAST)
    assert ds.attrs["showing"] == "showing 200 of 210 pictures in the test of the largest subgroup"
    assert "showing" not in data_symmetry(noise(190, 6), **FAST).attrs


def test_data_and_model_stand_beside_each_other_in_one_sentence():
    images, _ = digits(0.0, 120)
    has = data_symmetry(images, **FAST)
    error = equivariance_error(nn.Flatten(), images[:4], "SO2", n_elements=9, output="invariant")
    ds = with_model(has, error)
    assert ds["model_angle_deg"].values == pytest.approx([0, 0, 45, 90, 135, 180], abs=1e-4)
    assert ds["model_error_mean"].values[:2] == pytest.approx(0, abs=1e-6)
    curve, half = ds["model_error_mean"].values, float(has["arc_half_width_deg"][0])
    beyond = curve[ds["model_angle_deg"].values > 2 * half].mean()
    data = str(has["verdict"].values[0]).partition(",")[0]
    assert str(ds["beside"].values[0]).startswith(f"Your data: {data}; your model changes")
    assert str(ds["beside"].values[0]).endswith(f"by {beyond:.0%} beyond")
    unknown = str(with_model(data_symmetry(images[:12], **FAST), error)["beside"].values[0])
    assert (
        unknown == f"Your data: not resolvable at this n; your model changes by {curve[2:].mean():.0%} over all turns"
    )
    mirrored = equivariance_error(nn.Flatten(), images[:4], "O2", n_elements=8, output="invariant")
    turns = with_model(has, mirrored)["model_error_mean"].values
    assert len(turns) == int(((mirrored["mirror"] > 0) & (mirrored["angle_deg"] % 360 <= 180)).sum())
    for wrong in (error.rename(layer="where"), error.drop_vars("angle_deg"), error.isel(layer=[])):
        with pytest.raises(ValueError, match="with_model: errors of .* expected those of 'output' over angles"):
            with_model(has, wrong)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"images": torch.zeros(2, 1, 8, 8)}, "2 images were given; expected at least 4"),
        ({"images": [1, 2]}, "images of type list were given"),
        ({"images": torch.zeros(12, 1, 8, 8).numpy()}, r"use torch.from_numpy\(images\)"),
        ({"labels": torch.zeros(7).long()}, r"labels of shape \(7,\) were given for 12 images"),
        ({"labels": torch.zeros(12)}, "one whole number"),
        ({"labels": -torch.ones(12).long()}, "one whole number"),
        ({"labels": torch.arange(12) // 10}, "class 1 has 2 images"),
        ({"labels": torch.arange(12) // 6, "classes": ("a",)}, "1 class names"),
        ({"labels": torch.arange(12) // 6, "classes": ("a", "all")}, "none of them 'all'"),
        ({"permutations": 5}, "permutations = 5"),
        ({"permutations": 60}, "permutations = 60 was given for 10 tests; expected at least 200"),
        ({"resamples": -1}, "resamples = -1"),
        ({"power_repeats": True}, "power_repeats = True"),
        ({"alpha": 1.0}, "alpha = 1.0"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(given, match):
    images = given.pop("images", noise(12, 8))
    with pytest.raises(ValueError, match=match):
        data_symmetry(images, **{**FAST, **given})

"""The kernel explorer: rows are turned copies moved along the columns, for every network, frequency and seed."""

import itertools

import numpy as np
import plotly.graph_objects as go
import pytest

from tests.explorers.promises import finite, keeps_every_promise
from tests.tolerances import AGAIN
from workbench.explorers._runs import image_set, run_path, trained_model
from workbench.explorers.kernels import KernelExplorer
from workbench.measure.filter_quality import orthogonality
from workbench.measure.first_layer import first_layer
from workbench.measure.planar_kernels import planar_kernels, planar_layers
from workbench.models import build_model
from workbench.training import Run
from workbench.training.history import History


def test_it_keeps_every_promise_of_an_explorer(tmp_path):
    keeps_every_promise(KernelExplorer(), tmp_path, network="gabor", omega0=20, n=4, encoding="raw", follow_deg=90)


@pytest.mark.parametrize("network", ["siren", "fourier", "gabor", "magnet"])
@pytest.mark.parametrize("n", [4, 8])
def test_a_quarter_turn_of_output_and_input_gives_the_turned_kernel(network, n):
    kernel = (
        KernelExplorer(network=network, n=n, seed=1).dataset()["kernel"].transpose("g_out", "g_in", "y", "x").values
    )
    step = n // 4
    for row, column in itertools.product(range(n), repeat=2):
        copy = kernel[(row + step) % n, (column + step) % n]
        assert np.allclose(copy, np.rot90(kernel[row, column]), rtol=0, atol=1e-6)


def test_the_framed_tiles_have_the_relative_rotation_that_is_followed():
    for follow_deg, steps in ((0, 0), (44, 1), (-90, 6), (180, 4)):
        ds = KernelExplorer(n=8, follow_deg=follow_deg).dataset()
        assert ds["copy_column"].values.tolist() == [(row + steps) % 8 for row in range(8)]


def test_the_surface_passes_through_the_taps():
    ds = KernelExplorer(kernel_size=9, n=8, follow_deg=90).dataset()
    tile = ds["kernel"].transpose("g_out", "g_in", "y", "x").values[0, 2]
    surface = ds["surface"].transpose("fine_y", "fine_x").values
    every = (surface.shape[0] - 1) // 8
    assert np.allclose(surface[::every, ::every], tile, rtol=0, atol=1e-5)


def test_the_raw_encoding_jumps_at_the_identity_and_the_periodic_one_nowhere():
    def largest_step(encoding: str) -> float:
        course = KernelExplorer(encoding=encoding, seed=2).dataset()["weight"].values
        return np.abs(np.diff(course)).max() / np.ptp(course)

    assert largest_step("raw") > 3 * largest_step("periodic")
    course = KernelExplorer(encoding="periodic").dataset()["weight"].values
    assert course[0] == pytest.approx(course[-1], abs=1e-5)


def test_higher_frequencies_move_the_power_outwards():
    def mean_frequency(omega0: float) -> float:
        ds = KernelExplorer(omega0=omega0, kernel_size=13).dataset()
        return float((ds["power"] * ds["frequency"]).sum())

    assert mean_frequency(2) < mean_frequency(15) < mean_frequency(50)
    assert float(KernelExplorer().dataset()["power"].sum()) == pytest.approx(1, rel=AGAIN)


def test_weights_are_shares_of_the_largest_so_that_the_scale_stays_put():
    for values in ({}, {"omega0": 40}, {"network": "fourier", "seed": 4}):
        ds = KernelExplorer(**values).dataset()
        assert float(np.abs(ds["kernel"]).max()) == pytest.approx(1, rel=AGAIN)
        assert float(ds["limit"]) == 1
        assert ds.attrs["largest_weight"] > 0


def test_every_choice_at_its_ends_gives_finite_kernels():
    for name, value in (("omega0", 1), ("omega0", 60), ("n", 1), ("n", 16), ("kernel_size", 5), ("seed", 50)):
        assert finite(KernelExplorer(**{name: value}).dataset())


def test_drawing_a_network_leaves_the_global_random_state_alone():
    import torch

    before = torch.get_rng_state()
    KernelExplorer(seed=37).dataset()
    assert torch.equal(before, torch.get_rng_state())


# ---- trained networks

GROUPED, PLAIN = "partial_gcnn/rotated_partial", "partial_gcnn/rotated_plain"
MIRRORED = "partial_gcnn/six_mirror_partial"
LOOKS = ("function", "copies", "numbers", "first")


def test_it_keeps_every_promise_at_a_trained_layer_too(tmp_path):
    start = KernelExplorer(run=GROUPED, layer=2, channel_out=3)
    keeps_every_promise(start, tmp_path, layer=4, channel_out=16, channel_in=8, n=4, look="copies", follow_deg=90)


@pytest.mark.parametrize("run", [GROUPED, PLAIN, MIRRORED])
def test_the_tiles_are_the_weights_of_the_trained_layer(run):
    model = trained_model(run_path(run))
    for number, name in enumerate(planar_layers(model), start=1):
        explorer = KernelExplorer(run=run, layer=number, channel_out=2, n=8)
        ds, layer = explorer.dataset(), model.get_submodule(name)
        assert ds.attrs["layer_shown"] == name
        whole = planar_kernels(layer, None if run == MIRRORED else 8)["kernel"].values
        row, column = next((r, int(c)) for r, c in enumerate(ds["copy_column"].values) if c >= 0)
        if run == PLAIN:
            row_of, column_of = 0, 0
        else:
            row_of, column_of = row, min(column, whole.shape[1] - 1)
        tile = whole[row_of, column_of, 1, 0] / np.abs(whole).max()
        assert np.allclose(ds["kernel"].values[row, column], tile, rtol=0, atol=1e-6)


def test_sliders_have_as_many_positions_as_the_network_and_two_where_there_is_one():
    explorer = KernelExplorer(run=GROUPED)
    bounds = {control.name: control.bounds for control in explorer.controls()}
    assert [bounds[name] for name in ("layer", "channel_out", "channel_in")] == [(1, 4), (1, 8), (1, 2)]
    explorer.set(layer=4, channel_out=16, channel_in=8)
    explorer.set(run=PLAIN, layer=1)
    assert (explorer.layer, explorer.channel_out, explorer.channel_in) == (1, 16, 2)
    with pytest.raises(ValueError, match="was given, but .* expected; use"):
        explorer.set(channel_out=17)
    explorer.set(run="network")
    assert explorer.state()["layer"] == 1


@pytest.mark.parametrize("run", ["network", GROUPED, PLAIN, MIRRORED, "untrained"])
@pytest.mark.parametrize("look", LOOKS)
def test_every_look_at_every_kind_of_layer_is_drawn(run, look):
    go.Figure(KernelExplorer(run=run, look=look, layer=1).figure_dict())


def test_a_part_of_the_channels_is_said_to_be_one():
    assert KernelExplorer(run=GROUPED, layer=2).showing == "showing 1 of 64 channel pairs"
    assert KernelExplorer(run=PLAIN, layer=2).showing == "showing 144 of 256 channel pairs"
    assert KernelExplorer(run=PLAIN, layer=1).showing == ""


def test_the_numbers_are_those_of_the_measure_and_stand_beside_random_ones():
    ds = KernelExplorer(run=PLAIN, look="numbers").dataset()
    weight = trained_model(run_path(PLAIN)).body[4].weight.numpy()
    assert float(ds["orthogonality"][1, 0]) == pytest.approx(orthogonality(weight), rel=1e-6)
    assert np.isfinite(ds["entropy_random"]).all()
    upright, turned = ds["entropy"][:, 0], ds["entropy"][:, 1]
    assert np.allclose(upright, turned, rtol=AGAIN, atol=AGAIN), "a plain network has one orientation"
    grouped = KernelExplorer(run=GROUPED, look="numbers").dataset()
    assert (grouped["entropy"][:, 0] < grouped["entropy"][:, 1] + 1e-9).all()


def test_the_first_layer_is_measured_on_the_images_that_it_was_trained_on():
    ds = KernelExplorer(run=PLAIN, look="first").dataset()
    images = image_set(run_path(PLAIN)).splits["train"][0]
    weight = trained_model(run_path(PLAIN)).body[0].weight.numpy()
    assert np.allclose(ds["energy"], first_layer(weight, images)["energy"], rtol=AGAIN, atol=AGAIN)
    assert "energy" not in KernelExplorer(look="first").dataset()


def test_a_run_of_ones_own_has_the_place_of_the_entry_and_any_planar_layer_is_shown(tmp_path):
    model = {"name": "relaxed_cnn", "widths": [3, 4], "kernel_size": 3, "pools": []}
    run = Run.create(tmp_path / "mine", {"model": model, "data": {"name": "upright"}, "training": {"epochs": 1}})
    run.save_weights(build_model(model).state_dict())
    run.save_history(History().dataset({"status": "finished"}))
    explorer = KernelExplorer()
    explorer.set_run(run)
    assert explorer.dataset().attrs["run"] == "your own run"
    assert explorer.dataset()["kernel"].shape == (5, 5, 3, 3)
    explorer.set(layer=2, channel_out=4)
    assert explorer.at().dataset().attrs["channel_out"] == 4
    assert "set_run" in explorer.code()
    explorer.set_run(None)
    assert "run" not in explorer.dataset().attrs

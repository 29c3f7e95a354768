"""The explorer of data: it finds the arc it was given, keeps every promise, and takes the reader's own pictures."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from tests.explorers.promises import finite, keeps_every_promise
from tests.tolerances import DATA_ARC_DEG, EXACT
from workbench.actions import disc_mask
from workbench.explorers._own_images import own_images
from workbench.explorers.data import DataExplorer


def test_it_keeps_every_promise_of_an_explorer(tmp_path):
    other = {"data": "glyphs", "class_name": "all", "n": 40, "angle_deg": 90, "upside_down": True, "network": "nothing"}
    keeps_every_promise(DataExplorer(n=40), tmp_path, **other)


@pytest.mark.parametrize("width", [0, 30, 60])
def test_the_arc_that_was_made_is_found_at_rest(width):
    ds = DataExplorer(class_name="3", width_deg=width).dataset()
    assert abs(float(ds["arc_half_width_deg"][0]) - width) <= DATA_ARC_DEG
    assert float(ds["made_half_width_deg"]) == width
    assert "floor" in ds
    needed = ds["element_needed"].values
    assert not np.isnan(needed).any()
    assert finite(ds.drop_vars("element_needed"))


def test_the_whole_circle_is_not_rejected_and_a_narrow_arc_is():
    assert not bool(DataExplorer(width_deg=180).at(coarse=True).dataset()["rejected"][0])
    assert bool(DataExplorer(width_deg=20).at(coarse=True).dataset()["rejected"][0])


def test_every_second_picture_upside_down_is_seen():
    ds = DataExplorer(class_name="6", width_deg=0, upside_down=True).at(coarse=True).dataset()
    assert float(ds["upside_down_share"][0]) >= 0.3
    assert float(ds["arc_half_width_deg"][0]) <= DATA_ARC_DEG


def test_while_a_slider_moves_fewer_pictures_answer_and_that_is_said():
    explorer = DataExplorer(n=160)
    assert explorer.at(coarse=True).showing == "showing 64 of 183 pictures"
    assert DataExplorer(n=20).at(coarse=True).showing == "showing 20 of 183 pictures"


def test_the_turn_that_is_shown_changes_the_pictures_and_not_the_audit():
    one, two = (DataExplorer(angle_deg=angle).at(coarse=True).dataset() for angle in (0, 90))
    assert one["distance"].equals(two["distance"])
    assert np.array_equal(one["picture"][0], one["picture"][1])
    assert np.array_equal(np.rot90(two["picture"].values[0], 1, (-2, -1)), two["picture"].values[1])


def test_a_trained_network_may_do_the_comparing():
    ds = DataExplorer(features="network", n=40).at(coarse=True).dataset()
    assert ds.attrs["features"] == "network"
    assert ds.attrs["components"] == 32


def test_finite_symmetries_are_asked_at_rest_and_their_place_is_kept_before():
    """A digit 3 is nearly the same mirrored top to bottom, and nothing like itself after a quarter turn."""
    coarse, rest = (DataExplorer(width_deg=20, n=80).at(coarse=coarse).dataset() for coarse in (True, False))
    assert coarse["question"].values.tolist() == rest["question"].values.tolist()
    assert np.isnan(coarse["element_distance"]).all()
    assert "element_power" not in coarse
    by_name = dict(zip(rest["question"].values.tolist(), rest["element_distance"].values[0].tolist(), strict=True))
    assert by_name["top-bottom"] < by_name["left-right"] < by_name["C4"]
    round_about = DataExplorer(width_deg=180, n=80).dataset()
    assert not bool(round_about.sel(question="C4")["element_rejected"].any()), "turned all round: quarter turns, too"


def test_the_model_beside_is_asked_about_the_pictures_as_they_are_and_once():
    explorer = DataExplorer(n=40, width_deg=30)
    assert np.isnan(explorer.at(coarse=True).dataset()["model_error_mean"]).all()
    ds = explorer.dataset()
    assert finite(ds[["model_error_mean"]])
    assert str(ds["beside"].values[0]).startswith("Your data: turned within ±")
    moved = explorer.at(coarse=True, width_deg=70).dataset()
    assert np.array_equal(moved["model_error_mean"], ds["model_error_mean"]), "kept while other sliders move"
    assert "model_error_mean" not in DataExplorer(n=40, network="nothing").at(coarse=True).dataset()


def test_a_model_of_ones_own_stands_beside_the_data_and_an_exact_one_has_no_error():
    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Conv2d(1, 1, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            disc = disc_mask(x.shape[-2], x.shape[-1])
            return torch.stack([(x * disc).mean((1, 2, 3)), (x * disc).abs().mean((1, 2, 3))], 1)

    explorer = DataExplorer(n=40)
    explorer.set_model(Mean())
    assert ("Model beside the data", "your own model") in explorer.state_lines()
    ds = explorer.dataset()
    assert ds.attrs["network"] == "your own model"
    quarter = np.isin(ds["model_angle_deg"].values, (0, 90, 180))
    assert float(ds["model_error_mean"].values[quarter].max()) <= EXACT[torch.float32]
    assert "explorer.set_model(model)" in explorer.code()
    explorer.set_model(nn.Sequential(nn.Flatten(), nn.Linear(256, 3)))
    assert float(explorer.dataset()["model_error_mean"].values[quarter][1:].min()) > 0.01
    explorer.set_model(None)
    assert explorer.dataset().attrs["network"] == explorer.network
    with pytest.raises(TypeError, match=r"expected a torch\.nn\.Module"):
        explorer.set_model("a name")


def test_own_pictures_with_labels_bring_their_own_classes():
    explorer = DataExplorer()
    images = torch.rand(24, 12, 12, generator=torch.Generator().manual_seed(0))
    explorer.set_images(images, torch.arange(24) % 2)
    assert explorer.class_name == "all"
    ds = explorer.at(coarse=True).dataset()
    assert int(ds["pictures"][0]) == 24
    assert "made_half_width_deg" not in ds
    explorer.class_name = "1"
    assert explorer.at(coarse=True).showing == "showing 12 of 12 pictures"
    assert "set_images" in explorer.code()
    explorer.set_images(None)
    assert "set_images" not in explorer.code()
    assert ("the digit 3", "3") in explorer.controls()[1].options


def test_a_folder_of_pictures_has_its_subfolders_as_classes(tmp_path):
    for name, count in (("cats", 5), ("dogs", 3)):
        (tmp_path / name).mkdir()
        for at in range(count):
            Image.fromarray(np.full((10, 14), 20 * at, dtype=np.uint8)).save(tmp_path / name / f"{at}.png")
    own = own_images(tmp_path, size=16)
    assert own.images.shape == (8, 1, 16, 16)
    assert own.classes == ("cats", "dogs")
    assert own.labels.bincount().tolist() == [5, 3]
    flat = own_images(tmp_path / "cats")
    assert flat.classes == ("cats",)
    assert flat.part("cats")[1] == flat.part(None)[1] == 5
    with pytest.raises(ValueError, match="dogs holds 3 pictures; expected at least 4"):
        own_images(tmp_path / "dogs")


def test_n15_of_a_large_folder_a_part_is_read_and_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("workbench.explorers._own_images.MOST", 6)
    for at in range(9):
        (tmp_path / "ab"[at % 2]).mkdir(exist_ok=True)
        Image.fromarray(np.full((10, 10), 20 * at, dtype=np.uint8)).save(tmp_path / "ab"[at % 2] / f"{at}.png")
    explorer = DataExplorer()
    explorer.set_images(tmp_path)
    assert explorer.at(coarse=True).showing == "showing 6 of 9 pictures"


@pytest.mark.parametrize(
    ("given", "labels", "error", "match"),
    [
        ("no such folder", None, FileNotFoundError, "there is no folder"),
        (3, None, TypeError, "a int was given"),
        (np.zeros((2, 8, 8)), None, ValueError, "4 to 2000"),
        (np.zeros((8, 5, 8, 8)), None, ValueError, "1 or 3 channels"),
        (np.full((8, 8, 8), np.nan), None, ValueError, "NaN"),
        (np.zeros((8, 8, 8)), [0, 1], ValueError, "labels of shape"),
        (np.zeros((8, 8, 8)), [0.5] * 8, ValueError, "labels of shape"),
    ],
)
def test_pictures_that_cannot_be_are_refused_with_a_sentence(given, labels, error, match):
    explorer = DataExplorer()
    with pytest.raises(error, match=match):
        explorer.set_images(given, labels)
    assert "images" not in explorer.attached


def test_large_and_oblong_pictures_are_cut_square_and_shrunk():
    assert own_images(np.zeros((4, 100, 140), dtype=np.uint8)).images.shape == (4, 1, 32, 32)
    assert own_images(torch.zeros(4, 3, 20, 30)).images.shape == (4, 3, 20, 20)

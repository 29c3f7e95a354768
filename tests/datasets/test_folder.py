"""A folder of pictures: its classes, what is chosen of it, what is left out, and what is refused."""

import numpy as np
import pytest
import torch
from PIL import Image

from workbench.datasets import folder as module
from workbench.datasets.folder import read_folder


def picture(path, shade=100, size=(14, 10), mode="L"):
    path.parent.mkdir(exist_ok=True)
    Image.new(mode, size, shade if mode == "L" else (shade, 0, 0)).save(path)


@pytest.fixture
def pets(tmp_path):
    for name, count in (("cats", 5), ("dogs", 3)):
        for at in range(count):
            picture(tmp_path / name / f"{at}.png", 20 * at)
    return tmp_path


def test_sub_folders_are_the_classes_and_each_picture_lies_in_its_own(pets):
    found = read_folder(pets)
    assert found.images.shape == (8, 1, 10, 10)
    assert (found.classes, found.sizes, found.of) == (("cats", "dogs"), (5, 3), 8)
    assert found.labels.tolist() == [0] * 5 + [1] * 3
    assert float(found.images[4].mean()) == pytest.approx(80 / 255, abs=1e-3)


def test_files_beside_the_sub_folders_have_no_class(pets):
    picture(pets / "zebra.png")
    assert read_folder(pets).labels.tolist() == [0] * 5 + [1] * 3 + [-1]


def test_size_and_channels_are_those_of_the_first_or_as_asked(tmp_path):
    picture(tmp_path / "1.png", size=(300, 250), mode="RGB")
    assert read_folder(tmp_path).images.shape == (1, 3, module.LARGEST_SIDE, module.LARGEST_SIDE)
    assert read_folder(tmp_path, 16, 1).images.shape == (1, 1, 16, 16)


def test_what_is_chosen_is_read_and_the_folder_still_counted(pets):
    found = read_folder(pets, choose=lambda count: torch.tensor([0, count - 1]))
    assert found.labels.tolist() == [0, 1]
    assert (found.of, found.sizes) == (8, (5, 3))


def test_r15_damaged_and_foreign_files_are_left_out_with_a_sentence(pets):
    (pets / "cats" / "0.png").write_bytes(b"no picture at all")
    (pets / "cats" / "note.txt").write_text("no picture by its name")
    found = read_folder(pets)
    assert len(found.images) == 7
    assert found.of == 8
    assert len(found.refused) == 1
    assert "known kind" in found.refused[0]


def test_r16_links_are_not_followed(pets, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    picture(outside / "secret.png")
    (pets / "link").symlink_to(outside)
    assert read_folder(pets).of == 8


def test_nothing_that_can_be_read_is_refused_with_the_first_reason(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="holds no pictures; expected files that end in"):
        read_folder(tmp_path)
    (tmp_path / "1.png").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="known kind"):
        read_folder(tmp_path)
    monkeypatch.setattr(module, "MOST_FILES", 0)
    with pytest.raises(ValueError, match="more than 0 pictures"):
        read_folder(tmp_path)


def test_pictures_lie_between_zero_and_one(pets):
    values = read_folder(pets).images.numpy()
    assert values.dtype == np.float32
    assert 0 <= values.min() <= values.max() <= 1

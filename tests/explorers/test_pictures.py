"""The pictures an explorer turns: embedded ones by name, the reader's own in every usual form."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tolerances import AGAIN, ONE_BIT
from workbench.explorers._pictures import PICTURES, own_picture, picture, pictures


@pytest.mark.parametrize("character", PICTURES.values())
def test_every_picture_of_the_menu_is_there_light_on_dark(character):
    shown, of = pictures(character, 16, 4)
    assert shown.shape == (4, 1, 16, 16)
    assert of >= 4
    assert 0 <= float(shown.min()) <= float(shown.max()) <= 1
    assert float(shown[:, :, 0].mean()) < 0.2
    assert torch.equal(picture(character, 16), shown[:1])


@pytest.mark.parametrize(
    "given",
    [
        np.eye(32),
        np.eye(32, dtype=np.float32),
        (255 * np.eye(32)).astype(np.uint8),
        np.eye(32, dtype=bool),
        np.repeat(np.eye(32)[..., None], 3, -1),
        np.repeat((255 * np.eye(32)).astype(np.uint8)[None], 3, 0),
        torch.eye(32),
        torch.eye(32)[None, None],
    ],
)
def test_the_usual_forms_of_one_picture_give_the_same(given):
    assert np.allclose(own_picture(given), own_picture(np.eye(32)), rtol=0, atol=1e-6)


def test_the_centred_square_is_cut_out_and_shrunk_by_means():
    wide = np.zeros((16, 48))
    wide[:, 16:32] = np.linspace(0, 1, 16)[:, None] * 0.5
    assert np.allclose(own_picture(wide, 16), wide[:, 16:32], rtol=0, atol=1e-6)
    assert own_picture(np.eye(32), 16).mean() == pytest.approx(np.eye(32).mean(), rel=AGAIN)


def test_a_pen_on_paper_is_turned_light_on_dark():
    assert np.allclose(own_picture(1 - np.eye(32)), own_picture(np.eye(32)), rtol=ONE_BIT, atol=0)


def test_a_file_and_its_bytes_are_read(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray((255 * np.eye(16)).astype(np.uint8)).save(buffer, "PNG")
    path = tmp_path / "eye.png"
    path.write_bytes(buffer.getvalue())
    assert np.allclose(own_picture(path), np.eye(16), rtol=0, atol=1e-2)
    assert np.allclose(own_picture(buffer.getvalue()), np.eye(16), rtol=0, atol=1e-2)

"""Inputs by name: what is read, what is left out aloud, and the sentence for what is refused."""

import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
import torch
import xarray as xr
from PIL import Image

from workbench.audit import load_data
from workbench.audit.data import MOST_PIXELS, chosen
from workbench.datasets.arrays import LARGEST_BYTES


def picture(path):
    Image.fromarray(np.random.randint(0, 255, (16, 20, 3), dtype=np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for at in range(3):
            picture(tmp_path / name / f"{at}.png")
    return tmp_path


def test_a_folder_of_pictures_is_a_batch_and_its_sub_folders_are_the_classes(folder):
    found = load_data(folder, samples=4)
    assert found.inputs.shape == (4, 3, 16, 16)
    assert (found.of, found.showing, found.classes) == (6, "showing 4 of 6 samples", ("cat", "dog"))
    assert set(found.labels.tolist()) <= {0, 1}
    assert torch.equal(found.inputs, load_data(folder, samples=4).inputs), "the seed fixes the choice"
    assert load_data(folder, samples=2, size=12, channels=1).inputs.shape == (2, 1, 12, 12)


def test_n15_pictures_left_out_are_counted_with_the_reason_of_the_first(folder):
    (folder / "cat" / "0.png").write_bytes(b"<svg/>")
    found = load_data(folder, samples=6)
    assert len(found.inputs) == 5
    assert any("1 of 6 pictures were left out" in note and "known kind" in note for note in found.notes)


def test_r16_a_link_that_leaves_the_folder_is_not_followed(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("secret")
    picture(elsewhere / "s.png")
    (folder / "cat" / "link.png").symlink_to(elsewhere / "s.png")
    (folder / "away").symlink_to(elsewhere, target_is_directory=True)
    found = load_data(folder, samples=20)
    assert len(found.inputs) == 6
    assert any("leads out of the folder" in note for note in found.notes)
    assert "away" not in found.classes


def test_r15_a_picture_of_ten_thousand_pixels_a_side_is_refused_by_its_header(tmp_path):
    head = b"IHDR" + struct.pack(">IIBBBBB", 10_000, 10_000, 8, 2, 0, 0, 0)
    checked = struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head)) + struct.pack(">I", 0) + b"IDAT"
    (tmp_path / "big.png").write_bytes(b"\x89PNG\r\n\x1a\n" + checked)
    with pytest.raises(ValueError, match="big.png is 10000 x 10000 pixels"):
        load_data(tmp_path, size=32)


def test_arrays_in_every_usual_layout_become_images(tmp_path):
    for shape, got in {(5, 3, 8, 9): (5, 3, 8, 9), (5, 8, 9, 3): (5, 3, 8, 9), (5, 8, 9): (5, 1, 8, 9)}.items():
        np.save(tmp_path / "x.npy", np.full(shape, 255, np.uint8))
        found = load_data(tmp_path / "x.npy")
        assert found.inputs.shape == got
        assert found.inputs.max() == 1
        assert any("divided by 255" in note for note in found.notes)


def test_npz_and_netcdf_bring_their_labels(tmp_path):
    images, labels = np.random.rand(6, 1, 8, 8).astype(np.float32), np.arange(6)
    np.savez_compressed(tmp_path / "d.npz", images=images, labels=labels)
    ds = xr.Dataset({"images": (("sample", "channel", "y", "x"), images), "labels": ("sample", labels)})
    ds.to_netcdf(tmp_path / "d.nc", engine="h5netcdf")
    for name in ("d.npz", "d.nc"):
        found = load_data(tmp_path / name, samples=6)
        assert torch.equal(found.inputs, torch.from_numpy(images))
        assert found.labels.tolist() == labels.tolist()
    np.savez(tmp_path / "f.npz", images=np.asfortranarray(images))
    assert torch.equal(load_data(tmp_path / "f.npz").inputs, torch.from_numpy(images))


def header(shape, descr="<f4"):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def test_r15_an_array_that_declares_more_than_it_holds_or_than_fits_is_refused(tmp_path):
    path = tmp_path / "x.npy"
    path.write_bytes(header((10**6, 3, 1000, 1000)) + bytes(64))
    with pytest.raises(ValueError, match=f"declares .* expected at most {LARGEST_BYTES}"):
        load_data(path)
    path.write_bytes(header((10, 3, 100, 100)) + bytes(64))
    with pytest.raises(ValueError, match="cut short"):
        load_data(path)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", header((10**6, 3, 1000, 1000)) + bytes(1000))
    with pytest.raises(ValueError, match="declares"):
        load_data(tmp_path / "bomb.npz")


def test_r15_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "zeros.npz", images=np.zeros((1, 1000, 1000), np.float32))
    monkeypatch.setattr("workbench.datasets.arrays.LARGEST_BYTES", 10**6)
    with pytest.raises(ValueError, match="unpacks to more than"):
        load_data(tmp_path / "zeros.npz")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("x.npy", b"not an array", "no numpy array"),
        ("x.npy", b"\x93NUMPY\x01\x00\x05\x00{1+1", "header of x.npy is damaged"),
        ("x.npz", b"PK\x03\x04broken", "cut short or damaged"),
        ("x.npz", b"\x80\x04\x95pickle", "cut short or damaged"),
        ("x.nc", b"\x89HDF broken", "could not be read"),
        ("x.pkl", b"\x80\x04", "no known kind"),
        ("x.pt", b"PK", "no known kind"),
    ],
)
def test_wrong_first_bytes_get_a_sentence(tmp_path, name, content, sentence):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=sentence):
        load_data(tmp_path / name)


def test_r3_object_arrays_are_refused_by_name(tmp_path):
    objects = np.array([{}, []], dtype=object)
    np.save(tmp_path / "o.npy", objects, allow_pickle=bool(1))
    np.savez(tmp_path / "o.npz", images=objects)
    for name in ("o.npy", "o.npz"):
        with pytest.raises(ValueError, match=r"holds Python objects, which could run code"):
            load_data(tmp_path / name)
    np.save(tmp_path / "t.npy", np.array([["text"]]))
    with pytest.raises(ValueError, match="expected numbers"):
        load_data(tmp_path / "t.npy")


class Pairs(torch.utils.data.Dataset):
    def __len__(self):
        return 10

    def __getitem__(self, at):
        return torch.full((1, 6, 6), float(at)), at % 2


def test_a_torch_dataset_gives_inputs_and_labels():
    found = load_data(Pairs(), samples=4)
    assert found.inputs.shape == (4, 1, 6, 6)
    assert found.labels.tolist() == [int(v) % 2 for v in found.inputs[:, 0, 0, 0].tolist()]
    assert found.of == 10


@pytest.mark.parametrize(
    ("value", "kind", "sentence"),
    [
        ([1, 2], TypeError, "expected tensors"),
        ([], ValueError, "empty"),
        ([torch.rand(1, 4, 4), torch.rand(1, 5, 5)], ValueError, "differ in shape"),
        (3, TypeError, "expected a torch Dataset"),
        (torch.full((2, 1, 4, 4), torch.nan), ValueError, "NaN"),
        (torch.rand(2, 1, 4, 4, device="meta"), ValueError, "on the device 'meta'.*load it on the CPU"),
        (torch.rand(2, 1, 4, 4) * 1j, ValueError, "complex numbers .*give their real part"),
        (np.zeros((2, 1, 4, 4), np.complex128), ValueError, "complex numbers .*give their real part"),
        ([torch.rand(1, 4, 4) * 1j] * 2, ValueError, "complex numbers .*give their real part"),
        (np.zeros((2, 1, 4, 4), "datetime64[s]"), ValueError, r"holds datetime64\[s\]; expected numbers"),
        (torch.zeros(1, 1, 2049, 2049), ValueError, f"at most {MOST_PIXELS}"),
        (torch.zeros(4), ValueError, "at least one sample"),
        ("nowhere", FileNotFoundError, "expected a folder of pictures"),
        ("a\0b", ValueError, "NUL"),
    ],
)
def test_what_is_no_data_gets_one_sentence(value, kind, sentence):
    with pytest.raises(kind, match=sentence):
        load_data(value)


def test_labels_come_from_a_list_or_a_file_and_must_fit(tmp_path):
    images = torch.rand(3, 1, 4, 4)
    (tmp_path / "l.txt").write_text("2\n1\n0\n")
    np.save(tmp_path / "l.npy", np.array([2, 1, 0]))
    for given in ([2, 1, 0], tmp_path / "l.txt", tmp_path / "l.npy"):
        assert load_data(images, labels=given).labels.tolist() == [2, 1, 0]
    for wrong in ([1, 2], [0.5, 1.0, 2.0]):
        with pytest.raises(ValueError, match="expected one whole number a sample"):
            load_data(images, labels=wrong)
    (tmp_path / "bad.txt").write_text("cat")
    with pytest.raises(ValueError, match="no list of labels"):
        load_data(images, labels=tmp_path / "bad.txt")


def test_named_sets_are_data_too_and_samples_are_bounded():
    assert load_data("digits", samples=3).inputs.shape == (3, 1, 16, 16)
    with pytest.raises(ValueError, match="split"):
        load_data("digits", split="none")
    for samples in (0, -1, 1.5, True, 10**9):
        with pytest.raises(ValueError, match="samples"):
            load_data("digits", samples=samples)
    assert chosen(10, 3, 1).tolist() != chosen(10, 3, 2).tolist()

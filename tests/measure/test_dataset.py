"""Labelled arrays on disk: unchanged, whole, checked."""

import os
import subprocess
import sys

import h5py
import numpy as np
import pytest
import torch
import xarray as xr

from tests.measure.toys import c4_net
from workbench.measure import dataset_groups, equivariance_error, labelled, open_dataset, save, validate
from workbench.measure.dataset import checksum
from workbench.measure.provenance import provenance


def measured() -> xr.Dataset:
    return equivariance_error(c4_net(), torch.rand(1, 1, 8, 8), "O2", n_elements=5, layers="all")


@pytest.fixture
def ds() -> xr.Dataset:
    return measured()


def test_n1_the_stock_netcdf_engine_gives_the_identical_dataset(ds: xr.Dataset, tmp_path) -> None:
    ds.to_netcdf(tmp_path / "error.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "error.nc", engine="h5netcdf") as back:
        assert back.load().identical(ds)
    for name in ds.variables:
        assert back[name].dtype == ds[name].dtype
        assert np.array_equal(back[name].values, ds[name].values, equal_nan=ds[name].dtype.kind == "f")


def test_saved_and_opened_is_identical(ds: xr.Dataset, tmp_path) -> None:
    path = save(ds, tmp_path / "error.nc")
    assert open_dataset(path).identical(ds)
    assert save(ds, path) == path
    assert sorted(os.listdir(tmp_path)) == ["error.nc"]


def test_groups_of_other_sizes_lie_in_the_same_file(ds: xr.Dataset, tmp_path) -> None:
    groups = {"Lie derivative": ds.isel(layer=slice(1)), "attribution": ds.isel(transform=slice(2))}
    path = save(ds, tmp_path / "error.nc", groups)
    assert dataset_groups(path) == ["Lie derivative", "attribution"]
    assert open_dataset(path).identical(ds)
    for name, group in groups.items():
        assert open_dataset(path, group=name).identical(group)
    with pytest.raises(ValueError, match="group = 'lie' was given; expected one of Lie derivative, attribution"):
        open_dataset(path, group="lie")
    with pytest.raises(ValueError, match="expected one of none"):
        open_dataset(save(ds, path), group="attribution")


def test_r5_a_changed_number_in_a_group_is_found(ds: xr.Dataset, tmp_path) -> None:
    path = save(ds, tmp_path / "error.nc", {"sweep": ds})
    with h5py.File(path, "r+") as file:
        file["sweep"]["error"][-1, -1, 0] += 1
    assert open_dataset(path).identical(ds)
    with pytest.raises(ValueError, match="does not match its fingerprint"):
        open_dataset(path, group="sweep")


def test_r4_a_failed_write_leaves_the_old_file(ds: xr.Dataset, tmp_path, monkeypatch) -> None:
    path = save(ds, tmp_path / "error.nc")

    def full_disc(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full_disc)
    with pytest.raises(OSError, match="no space"):
        save(ds.isel(transform=[0]), path)
    monkeypatch.undo()
    assert open_dataset(path).identical(ds)
    assert sorted(os.listdir(tmp_path)) == ["error.nc"]


@pytest.mark.slow
def test_r4_a_killed_writer_leaves_the_old_file_and_no_stray(ds: xr.Dataset, tmp_path) -> None:
    path = save(ds, tmp_path / "error.nc")
    script = (
        "import os, sys, xarray as xr\n"
        "from workbench.measure.dataset import save\n"
        "os.replace = lambda *_: os._exit(9)\n"
        "save(xr.Dataset({'a': 1.0}), sys.argv[1])\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert killed.returncode == 9
    assert open_dataset(path).identical(ds)
    assert len(os.listdir(tmp_path)) == 2
    save(ds, path)
    assert sorted(os.listdir(tmp_path)) == ["error.nc"]


@pytest.mark.parametrize("place", [0.02, 0.3, 0.5, 0.7, 0.9, 0.98])
def test_r5_a_flipped_byte_is_found_or_harmless(ds: xr.Dataset, tmp_path, place: float) -> None:
    path = save(ds, tmp_path / "error.nc")
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 0xFF
    path.write_bytes(bytes(content))
    try:
        opened = open_dataset(path)
    except ValueError as error:
        message = str(error)
    else:  # a byte of padding between the arrays
        assert opened.identical(ds)
        return
    assert str(path) in message


def test_r5_a_changed_number_is_found(ds: xr.Dataset, tmp_path) -> None:
    path = save(ds, tmp_path / "error.nc")
    content = path.read_bytes()
    number = ds.error.values[ds.error.values > 0][0].tobytes()
    assert number in content
    path.write_bytes(content.replace(number, np.float64(0.123).tobytes()))
    with pytest.raises(ValueError, match="fingerprint"):
        open_dataset(path)


@pytest.mark.parametrize("keep", [0, 10, 2000, -100])
def test_r5_a_truncated_file_is_named(ds: xr.Dataset, tmp_path, keep: int) -> None:
    path = save(ds, tmp_path / "error.nc")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"error\.nc"):
        open_dataset(path)


def test_r15_a_file_that_declares_too_much_is_refused_before_it_is_read(ds: xr.Dataset, tmp_path) -> None:
    with pytest.raises(ValueError, match="declares"):
        open_dataset(save(ds, tmp_path / "error.nc"), largest_bytes=100)


def test_missing_files_and_folders_get_a_sentence(ds: xr.Dataset, tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        open_dataset(tmp_path / "nothing.nc")
    with pytest.raises(FileNotFoundError, match="create it first"):
        save(ds, tmp_path / "nowhere" / "error.nc")
    with pytest.raises(TypeError, match="to_dataset"):
        save(ds.error, tmp_path / "error.nc")


def test_the_checksum_sees_every_part(ds: xr.Dataset) -> None:
    first = checksum(ds)
    assert checksum(ds.assign(error=ds.error + 1e-15)) != first
    assert checksum(ds.assign(error=ds.error.assign_attrs(units="m"))) != first
    assert checksum(ds.assign_attrs(seed=1)) != first
    assert checksum(ds.rename(error="mistake")) != first
    assert checksum(ds.assign_coords(layer=ds.layer.values[::-1])) != first
    assert checksum(ds.copy(deep=True)) == first


def test_validation_names_what_is_missing(ds: xr.Dataset) -> None:
    dims = {"error": ("layer", "transform", "sample")}
    assert validate(ds, dims) is ds
    with pytest.raises(ValueError, match="'gate'"):
        validate(ds, {"gate": ("layer",)})
    with pytest.raises(ValueError, match="transpose"):
        validate(ds.transpose(), dims)
    with pytest.raises(ValueError, match="without units"):
        validate(ds.assign(bare=("layer", np.zeros(ds.sizes["layer"]))), dims)
    with pytest.raises(ValueError, match="typed by hand"):
        validate(ds.drop_attrs(deep=False), dims)
    with pytest.raises(TypeError, match="Dataset"):
        validate(ds.error, dims)


def test_provenance_is_plain_and_repeatable() -> None:
    attrs = provenance("me", dtype=torch.float32, layers=["a", "b"], eps=1e-12, flag=False, nothing=None)
    assert attrs == provenance("me", dtype=torch.float32, layers=["a", "b"], eps=1e-12, flag=False, nothing=None)
    assert (attrs["dtype"], attrs["layers"], attrs["flag"], attrs["nothing"]) == ("float32", "a, b", "false", "none")
    assert {"workbench_version", "torch_version", "xarray_version", "seed", "mask"} <= attrs.keys()
    assert all(isinstance(v, str | int | float) for v in attrs.values())


def test_tensors_are_copied_out_of_the_model() -> None:
    values = torch.zeros(2)
    ds = xr.Dataset({"a": labelled("x", values, "a")})
    values += 1
    assert ds.a.values.tolist() == [0, 0]

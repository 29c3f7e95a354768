"""Labelled arrays: built with units, validated, saved atomically and read back unchanged."""

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

LARGEST_BYTES = 2**31
"""A file that declares more than this is refused before anything is allocated."""
_CHECKSUM = "content_sha256"


def labelled(
    dims: str | tuple[str, ...], values: object, long_name: str, units: str = "1"
) -> tuple[tuple[str, ...], np.ndarray, dict[str, str]]:
    """Dims, values and attributes of one variable, as xarray takes them; tensors are copied to the CPU."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().numpy().copy()
    dims = (dims,) if isinstance(dims, str) else dims
    return dims, np.asarray(values), {"long_name": long_name, "units": units}


def validate(
    ds: xr.Dataset, dims: Mapping[str, Iterable[str]], provenance: Iterable[str] = ("created_by", "seed", "dtype")
) -> xr.Dataset:
    """Give the Dataset back if it is what it should be, otherwise say what is missing.

    Args:
        ds: the Dataset.
        dims: for each variable that must be there, its dims in order.
        provenance: attributes that must be there.

    Raises:
        TypeError: for something that is no Dataset.
        ValueError: for a missing variable, other dims, a variable or coordinate without units, or a missing attribute.

    >>> ds = xr.Dataset({"error": labelled("transform", [0.1], "error")}, attrs={"created_by": "me"})
    >>> validate(ds, {"error": ("transform",)}, provenance=("created_by",)) is ds
    True
    """
    if not isinstance(ds, xr.Dataset):
        raise TypeError(f"{type(ds).__name__} was given; expected an xarray.Dataset returned by a measure.")
    for name, wanted in dims.items():
        if name not in ds.variables:
            present = ", ".join(map(str, ds.variables)) or "nothing"
            raise ValueError(f"no {name!r} was given; expected it over {tuple(wanted)}; the Dataset has {present}.")
        if ds[name].dims != tuple(wanted):
            raise ValueError(f"{name!r} over {ds[name].dims} was given; expected {tuple(wanted)}; use ds.transpose.")
    bare = [str(name) for name in ds.variables if "units" not in ds[name].attrs]
    if bare:
        raise ValueError(f"{', '.join(bare)} without units; expected a units attribute; use '1' for a bare number.")
    missing = [name for name in provenance if name not in ds.attrs]
    if missing:
        raise ValueError(
            f"a Dataset without the attributes {', '.join(missing)} was given; expected what a measure returns, "
            "because a number without provenance could have been typed by hand."
        )
    return ds


def checksum(ds: xr.Dataset) -> str:
    """A fingerprint of every value, dim, dtype and attribute, the same before and after a NetCDF round trip."""
    digest = hashlib.sha256()
    for name in sorted(map(str, ds.variables)):
        variable = ds[name].variable
        kind = "text" if variable.dtype.kind in "OUST" else variable.dtype.str
        head = [name, [str(d) for d in variable.dims], kind, list(variable.shape), _attributes(variable.attrs)]
        digest.update(json.dumps(head).encode())
        values = np.ascontiguousarray(variable.values)
        digest.update(json.dumps(values.tolist()).encode() if kind == "text" else values.tobytes())
    digest.update(json.dumps(_attributes({k: v for k, v in ds.attrs.items() if k != _CHECKSUM})).encode())
    return digest.hexdigest()


def _attributes(attrs: Mapping) -> list:
    return sorted([str(k), np.asarray(v).tolist()] for k, v in attrs.items())


def save(ds: xr.Dataset, path: str | os.PathLike, groups: Mapping[str, xr.Dataset] | None = None) -> Path:
    """Write NetCDF-4 so that the file is the old one or the new one, never half of either.

    The content's fingerprint is stored inside; :func:`open_dataset` checks it.

    Args:
        groups: further Datasets of the same file, each a NetCDF group of that name with dims of its own.

    Raises:
        TypeError: for something that is no Dataset, or attributes NetCDF cannot hold.
        FileNotFoundError: for a folder that does not exist.
    """
    if not isinstance(ds, xr.Dataset):
        raise TypeError(f"{type(ds).__name__} was given to save; expected an xarray.Dataset; use ds.to_dataset().")
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"the folder of {path} does not exist; expected an existing one; create it first.")
    content = bytes(_signed(ds).to_netcdf(engine="h5netcdf"))
    _sweep(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        for name, group in (groups or {}).items():
            _signed(group).to_netcdf(partial, mode="a", group=name, engine="h5netcdf")
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # not every file system lets a folder be synchronised
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    return path


def _signed(ds: xr.Dataset) -> xr.Dataset:
    return ds.assign_attrs({_CHECKSUM: checksum(ds)})


def _sweep(path: Path) -> None:
    """Remove what writers of this file left behind when they were killed."""
    for stray in path.parent.glob(f".{path.name}.*.partial"):
        pid = stray.name.split(".")[-2]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists() and Path("/proc").exists():
            stray.unlink(missing_ok=True)


def open_dataset(path: str | os.PathLike, largest_bytes: int = LARGEST_BYTES, group: str | None = None) -> xr.Dataset:
    """Read a NetCDF file, or one group of it, into memory; nothing in it is ever executed.

    Args:
        path: the file.
        largest_bytes: a file that declares more is refused before anything is allocated.
        group: one of :func:`dataset_groups`; the file's own Dataset where not given.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is damaged, truncated, of another format, declares too much, or has no such group.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; expected a NetCDF file written by workbench.measure.save.")
    if group is not None and group not in (there := dataset_groups(path)):
        raise ValueError(f"group = {group!r} was given; expected one of {', '.join(there) or 'none'} in {path}.")
    try:
        content = path.read_bytes()
        classic = content[:3] == b"CDF" and group is None
        kind: Any = {"engine": "scipy"} if classic else {"engine": "h5netcdf", "group": group}
        with xr.open_dataset(io.BytesIO(content), **kind) as lazy:
            if lazy.nbytes > largest_bytes:
                raise _TooLarge(lazy.nbytes)
            ds = lazy.load()
    except _TooLarge as error:
        raise ValueError(
            f"{path} declares {error.args[0]} bytes; expected at most {largest_bytes}; "
            "raise largest_bytes if you trust the file."
        ) from None
    except Exception as error:  # h5py and h5netcdf raise a dozen kinds for one damaged byte
        raise ValueError(
            f"{path} could not be read as NetCDF ({type(error).__name__}); expected an undamaged file; "
            "restore it from a copy, or measure again."
        ) from error
    stated = ds.attrs.pop(_CHECKSUM, None)
    if stated is not None and stated != checksum(ds):
        raise ValueError(
            f"the content of {path} does not match its fingerprint, so it was damaged after it was written; "
            "restore it from a copy, or measure again."
        )
    ds.encoding = {}
    return ds


def dataset_groups(path: str | os.PathLike) -> list[str]:
    """The names of the groups in a NetCDF file; none where it is no such file.

    Raises:
        FileNotFoundError: no such file.
    """
    import h5netcdf

    try:
        with h5netcdf.File(io.BytesIO(Path(path).read_bytes()), "r") as file:
            return sorted(file.groups)
    except FileNotFoundError:
        raise
    except Exception:  # damaged, or of another format: reading it says so
        return []


class _TooLarge(Exception):
    """The declared size, before anything of it was allocated."""

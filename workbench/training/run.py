"""A training run on disk: what was asked, what was learned, how it went, and where to go on from."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from workbench import __version__
from workbench.models import build_model
from workbench.training.history import as_bytes, from_bytes, on_cpu
from workbench.training.randomness import own_randomness
from workbench.training.remedies import resume_call
from workbench.training.settings import FORMAT, read_config, refuse_newer
from workbench.training.store import CHECKSUMS, DamagedFile, Store

if TYPE_CHECKING:
    import xarray as xr

CONFIG, WEIGHTS, HISTORY = "config.json", "weights.safetensors", "history.nc"
CHECKPOINT, PREVIOUS = "checkpoint.pt", "checkpoint.previous.pt"
ARCHIVE = b"PK"  # how torch's own files begin; anything else would be a bare pickle


class Run:
    """One run folder; opening it reads and checks its configuration only.

    config.json          the configuration, complete, with the format version.
    weights.safetensors  the weights with the best validation accuracy.
    history.nc           labelled history (see `workbench.training.history`).
    checkpoint.pt        everything an exact resume needs; checkpoint.previous.pt is the one before.
    checksums.json       SHA-256 of each of them.

    Nothing in a run folder is ever executed: weights and arrays are inert formats, and the checkpoint is read by
    torch's weights-only loader.

    Raises:
        FileNotFoundError: the folder or its configuration is missing.
        DamagedFile: a file is not what was written; the sentence names it.
        ValueError: a later version of the workbench wrote the folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise FileNotFoundError(f"there is no run folder {self.path}; expected what workbench.training.fit wrote")
        self._store = Store(self.path)
        stored = _read_json(self._store.read(CONFIG), self.path / CONFIG)
        refuse_newer(stored.get("format"), str(self.path / CONFIG))
        self.config, self.settings = read_config(stored)

    @classmethod
    def create(cls, path: str | Path, config: Mapping[str, Any]) -> Run:
        """Start a new run folder; FileExistsError where one is there already."""
        complete, _ = read_config(config)
        folder = Path(path)
        refuse_files(folder)
        folder.mkdir(parents=True, exist_ok=True)
        stored = {"format": FORMAT, "workbench": __version__, **complete}
        Store(folder).write(CONFIG, json.dumps(stored, indent=1).encode())
        return cls(folder)

    def model(self) -> nn.Module:
        """The trained network with its kept weights, on the CPU, in evaluation mode."""
        tensors = self.weights()
        with own_randomness():
            network = build_model(self.config["model"])
        learned = (tensors[name] for name, _ in network.named_parameters() if name in tensors)
        first = next((t for t in learned if t.is_floating_point()), None)
        if first is not None:  # a buffer may have a precision of its own
            network = network.to(first.dtype)
        try:
            network.load_state_dict(tensors)
        except RuntimeError as error:
            raise ValueError(
                f"{self.path / WEIGHTS} does not fit the model that {CONFIG} describes; the model's code has changed "
                f"since, so train it again: {str(error).splitlines()[-1].strip()}"
            ) from error
        return network.eval()

    def weights(self) -> dict[str, Tensor]:
        """The kept weights by name, on the CPU."""
        from safetensors import SafetensorError
        from safetensors.torch import load

        try:
            return load(self._read(WEIGHTS))
        except SafetensorError as error:
            raise DamagedFile(f"{self.path / WEIGHTS} is damaged: it is not a safetensors file") from error

    def history(self) -> xr.Dataset:
        """The labelled history, in memory."""
        content = self._read(HISTORY)
        try:
            return from_bytes(content)
        except Exception as error:  # h5py and xarray raise a dozen kinds for a foreign file
            raise DamagedFile(f"{self.path / HISTORY} is damaged: it is not a NetCDF-4 file") from error

    @property
    def status(self) -> str:
        """ "new", "running" (or killed), "cancelled", "stopped early" or "finished"."""
        return self.history().attrs["status"] if (self.path / HISTORY).exists() else "new"

    def checkpoint(self, *, previous: bool = False) -> dict[str, Any]:
        """The checkpoint's tensors, numbers, strings, lists and dicts; `previous` reads the one before it.

        Raises DamagedFile for bytes that are not what was written, naming the previous one where it is whole, and
        ValueError for a file that asks to run code: that is refused unread.
        """
        name = PREVIOUS if previous else CHECKPOINT
        try:
            return self._load_checkpoint(name)
        except (DamagedFile, FileNotFoundError) as error:
            if previous:
                raise
            raise type(error)(f"{error}; {self._offer_previous()}") from error

    def verify(self) -> None:
        """Read every listed file and raise DamagedFile naming the first that is not what was written."""
        for name in self._store.names():
            if name == PREVIOUS and (self.path / name).exists():
                self._store.read(name)
            elif name != PREVIOUS:
                self.check(name)

    def check(self, name: str) -> None:
        """Read one file; a DamagedFile names it and, where it is whole, the checkpoint that writes it again."""
        self._read(name)

    def save_weights(self, tensors: Mapping[str, Tensor]) -> None:
        """Replace weights.safetensors."""
        from safetensors.torch import save

        whole = {name: tensor.contiguous().clone() for name, tensor in on_cpu(tensors).items()}
        self._store.write(WEIGHTS, save(whole, {"format": str(FORMAT), "workbench": __version__}))

    def save_history(self, history: xr.Dataset) -> None:
        """Replace history.nc."""
        self._store.write(HISTORY, as_bytes(history))

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Replace checkpoint.pt and keep the one before it."""
        whole = {"format": FORMAT, **state}
        refuse_code(whole)
        buffer = io.BytesIO()
        torch.save(whole, buffer)
        self._store.write(CHECKPOINT, buffer.getvalue(), keep=PREVIOUS)

    def _read(self, name: str) -> bytes:
        try:
            return self._store.read(name)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{self.path} has no {name}: the run was stopped before it wrote one, or it was removed; "
                f"continue the run with {resume_call(self.path)}"
            ) from error
        except DamagedFile as error:
            if not (self.path / PREVIOUS).exists():
                raise
            raise DamagedFile(f"{error}; {self._offer_previous()}") from error

    def _load_checkpoint(self, name: str) -> dict[str, Any]:
        content = self._store.read(name)
        path = self.path / name
        if not content.startswith(ARCHIVE):
            raise DamagedFile(f"{path} was refused: it is not a checkpoint archive, so its objects could run code")
        try:
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise ValueError(
                f"{path} was refused: it holds objects that could run code when loaded, and a checkpoint holds only "
                "tensors, numbers, strings, lists and dicts; do not use this file"
            ) from error
        except (RuntimeError, EOFError, zipfile.BadZipFile) as error:
            raise DamagedFile(f"{path} is damaged: it is not a checkpoint file") from error
        if not isinstance(state, dict):
            raise DamagedFile(f"{path} holds a {type(state).__name__}; expected a checkpoint's dict")
        refuse_newer(state.get("format"), str(path))
        return state

    def _offer_previous(self) -> str:
        try:
            step = self._load_checkpoint(PREVIOUS)["step"]
        except (ValueError, FileNotFoundError, KeyError):
            return "no earlier checkpoint is whole, so start again in an empty folder"
        return f"{PREVIOUS} (step {step}) is whole: continue from it with {resume_call(self.path, previous=True)}"

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"


def refuse_files(folder: Path) -> None:
    """Raise FileExistsError where a new run would be written over something."""
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; expected a folder: choose an empty or a new one")
    if (folder / CONFIG).exists():
        raise FileExistsError(
            f"{folder} already holds a run; go on with it by {resume_call(folder)}, or choose an empty folder"
        )
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} already holds files that are no run; choose an empty or a new folder")


def refuse_code(value: Any, where: str = "checkpoint") -> None:
    """Raise TypeError for anything but tensors, numbers, strings, None and lists, tuples or dicts of them."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            refuse_code(key, where)
            refuse_code(entry, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for at, entry in enumerate(value):
            refuse_code(entry, f"{where}[{at}]")
    elif not (value is None or type(value) in (bool, int, float, str) or isinstance(value, Tensor)):
        raise TypeError(
            f"{where} is a {type(value).__name__}; a checkpoint holds only tensors, numbers, strings, lists and dicts: "
            "store groups and irreps by name"
        )


def _read_json(content: bytes, path: Path) -> dict[str, Any]:
    try:
        stored = json.loads(content)
    except ValueError as error:
        raise DamagedFile(f"{path} is damaged: it is not JSON") from error
    if not isinstance(stored, dict):
        raise DamagedFile(f"{path} is damaged: it holds no configuration")
    return stored


__all__ = ["CHECKPOINT", "CHECKSUMS", "CONFIG", "HISTORY", "PREVIOUS", "WEIGHTS", "Run"]

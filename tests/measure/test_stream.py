"""Long sweeps: the same bits as in one go, bounded memory, resumed, refused, cancelled, cut into whole passes."""

import functools
import json
import math
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from tests.measure.toys import Nosy
from workbench.groups import SO2, D, GroupSignal
from workbench.measure import Cancelled, equivariance_error, equivariance_error_streamed, open_dataset, parts, save
from workbench.measure import cells as cells_module
from workbench.measure.meter import Meter

SMALL = {"group": "SO2", "n_elements": 6, "layers": "all", "batch_size": 4}


def plain() -> nn.Sequential:
    torch.manual_seed(5)
    layers = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, stride=2), nn.Flatten(), nn.Linear(36, 3)
    return nn.Sequential(*layers)


def images(count: int = 14, size: int = 8, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(seed))


def streamed(folder: Path, model=None, x=None, **options) -> xr.Dataset:
    x = images() if x is None else x
    return equivariance_error_streamed(model or plain(), x, folder=folder, **{**SMALL, **options}).load()


@functools.cache
def usual() -> xr.Dataset:
    return equivariance_error(plain(), images(), **SMALL)


def whole(model=None, x=None, chunk=None, **options) -> xr.Dataset:
    if model is None and x is None and not options:
        return usual()
    return equivariance_error(model or plain(), images() if x is None else x, **{**SMALL, **options})


def pieces(folder: Path) -> list[Path]:
    return sorted(folder.glob("part-*.nc"))


CASES = {
    "one pass in a piece": {},
    "several passes in a piece": {"chunk": 8},
    "short passes with several elements in each": {"batch_size": 9},
    "one pass for all": {"batch_size": 256},
    "another form, mask and interval": {"form": "symmetric", "mask": "none", "interval": "t", "layers": ()},
    "absolute": {"form": "absolute", "resampler": "bilinear", "padding": "zeros"},
    "mirrors": {"group": D(4)},
    "another dtype of the transforms": {"transform_dtype": torch.float64},
}


@pytest.mark.parametrize("case", CASES)
def test_the_pieces_put_together_are_the_whole_to_the_bit(case: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(cells_module, "MOST_ELEMENTS", 3)  # several pieces of elements as well
    xr.testing.assert_identical(streamed(tmp_path, **CASES[case]), whole(**CASES[case]))
    assert len(pieces(tmp_path)) >= (1 if case == "one pass for all" else 2)


@pytest.mark.parametrize("rows", [1000, 3000, 2**22])
def test_the_intervals_are_those_of_the_whole_however_many_rows_fit_into_memory(rows, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("workbench.measure.interval._AT_ONCE", rows)
    monkeypatch.setattr(parts, "ROW_NUMBERS", rows // 100)
    anew = equivariance_error(plain(), images(), **SMALL)  # other sums of rows round otherwise
    xr.testing.assert_identical(streamed(tmp_path / "a"), anew)
    xr.testing.assert_identical(streamed(tmp_path / "b", interval="t"), whole(interval="t"))


class OnAnArc(nn.Module):
    """Puts out a signal on three of eight rotations: most elements lead out of them."""

    def forward(self, x: torch.Tensor) -> GroupSignal:
        elements = SO2().grid(8, dtype=x.dtype)[:3]
        return GroupSignal(x.unsqueeze(2).expand(-1, -1, 3, -1, -1), elements, SO2(), uniform=False)


class PlaneMean(nn.Module):
    def forward(self, signal: GroupSignal) -> torch.Tensor:
        return signal.values.mean((2, 3, 4))


def test_a_layer_that_some_elements_cannot_be_compared_on_is_missing_as_in_the_whole(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(cells_module, "MOST_ELEMENTS", 1)
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), OnAnArc(), PlaneMean())
    wanted = whole(model)
    assert wanted.comparable.values.tolist() == [True, False, True, True]
    xr.testing.assert_identical(streamed(tmp_path, model), wanted)
    refused = [json.loads(open_dataset(path).attrs["refused"]) for path in pieces(tmp_path)]
    assert {} in refused  # the twin that looks at each piece alone would keep its numbers
    assert any(refused)


def test_other_inputs_than_images_are_streamed_as_well(tmp_path: Path) -> None:
    points = torch.rand(11, 5, 3, generator=torch.Generator().manual_seed(0))
    options = {"group": "SO3", "layers": (), "batch_size": 4}
    for name, model in {"vectors": centred_mean, "points": twice}.items():
        xr.testing.assert_identical(
            streamed(tmp_path / name, model, points, **options), whole(model, points, **options)
        )


def centred_mean(x: torch.Tensor) -> torch.Tensor:
    return x.mean(1)


def twice(x: torch.Tensor) -> torch.Tensor:
    return 2 * x


def test_arrays_files_maps_and_loaders_of_any_batch_give_the_same(tmp_path: Path) -> None:
    x, wanted = images(), whole()
    np.save(tmp_path / "x.npy", x.numpy())
    labelled = torch.utils.data.TensorDataset(x, torch.arange(len(x)))
    given = {
        "array": x.numpy(),
        "file": tmp_path / "x.npy",
        "map": np.load(tmp_path / "x.npy", mmap_mode="r"),
        "loader": torch.utils.data.DataLoader(labelled, batch_size=5),
        "generator": (batch for batch in x.split(3)),
        "large batches": iter([x[:13], x[13:]]),
        "big-endian": x.numpy().astype(">f4"),
    }
    for name, value in given.items():
        xr.testing.assert_identical(streamed(tmp_path / name, x=value), wanted)


def test_the_result_is_a_plain_netcdf_whose_numbers_are_read_when_they_are_used(tmp_path: Path) -> None:
    ds = equivariance_error_streamed(plain(), images(), folder=tmp_path, **SMALL)
    assert not ds.error.variable._in_memory
    xr.testing.assert_identical(open_dataset(tmp_path / "error.nc"), whole())
    save(ds, tmp_path / "copy.nc")
    xr.testing.assert_identical(open_dataset(tmp_path / "copy.nc"), whole())


class Nothing:
    """Counts the samples that a model is run on."""

    def __init__(self) -> None:
        self.model, self.seen = plain(), 0
        self.__name__ = "counting"

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += len(x)
        return self.model(x)


def test_what_is_on_disk_is_not_measured_again_and_what_was_removed_is(tmp_path: Path) -> None:
    model, options = Nothing(), {"layers": ()}
    first = streamed(tmp_path, model, **options)
    cost, model.seen = model.seen, 0
    xr.testing.assert_identical(streamed(tmp_path, model, **options), first)
    assert model.seen <= 16 < cost  # the trial alone
    trial = model.seen
    pieces(tmp_path)[1].unlink()
    model.seen = 0
    xr.testing.assert_identical(streamed(tmp_path, model, **options), first)
    assert trial < model.seen < cost


def test_a_damaged_piece_is_measured_anew_and_would_otherwise_change_the_result(tmp_path: Path, monkeypatch) -> None:
    wanted = streamed(tmp_path)
    victim = pieces(tmp_path)[1]
    content = bytearray(victim.read_bytes())
    place = content.find(np.float64(xr.open_dataset(victim).relative_error.values[0, 1, 0]).tobytes())
    assert place > 0
    content[place + 5] ^= 0x10
    victim.write_bytes(content)
    xr.testing.assert_identical(streamed(tmp_path), wanted)
    victim.write_bytes(content[: len(content) // 2])
    xr.testing.assert_identical(streamed(tmp_path), wanted)
    victim.write_bytes(content)  # the broken twin: nobody looks at checksums
    monkeypatch.setattr("workbench.measure.dataset.checksum", lambda ds: ds.attrs.get("content_sha256", "any"))
    monkeypatch.setattr(parts, "open_dataset", lambda path: xr.open_dataset(path, engine="h5netcdf").load())
    assert not streamed(tmp_path).identical(wanted)


def nudged() -> nn.Module:
    model = plain()
    with torch.no_grad():
        model[0].weight[0, 0, 0, 0] += 1e-6
    return model


class Other(nn.Sequential):
    """The same modules and weights, but something else is done with them."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


OTHERS = {
    "weights": ({"model": nudged()}, "weights"),
    "code": ({"model": Other(*plain())}, "network|answers"),
    "first samples": ({"x": images(seed=1)}, "answers"),
    "group": ({"group": "O2"}, "group"),
    "elements": ({"n_elements": 7}, "elements"),
    "resampler": ({"resampler": "bilinear"}, "resampler"),
    "layers": ({"layers": ()}, "layers"),
    "size of the passes": ({"batch_size": 5}, "batch_size"),
    "a late sample": ({"x": torch.cat([images()[:13], images()[:1]])}, "samples 12 to 13"),
    "another order": ({"x": torch.cat([images()[:4], images()[4:].flip(0)])}, "samples 4 to 7"),
    "fewer samples": ({"x": images()[:8]}, "further samples"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_a_folder_of_another_question_is_refused_in_one_sentence_and_left_as_it_is(case: str, tmp_path: Path) -> None:
    streamed(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    changed, words = OTHERS[case]
    with pytest.raises(ValueError, match=f"another question.*({words})"):
        streamed(tmp_path, **changed)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_code_that_changed_behind_the_same_names_is_noticed_by_its_answers(tmp_path: Path, monkeypatch) -> None:
    model = Other(*plain())
    streamed(tmp_path, model)
    monkeypatch.setattr(Other, "forward", lambda self, x: 3 * nn.Sequential.forward(self, x))
    with pytest.raises(ValueError, match="answers of the model"):
        streamed(tmp_path, model)


def test_cancel_keeps_what_is_done_and_the_next_call_goes_on(tmp_path: Path) -> None:
    stop, told = threading.Event(), []

    def progress(done: float) -> None:
        told.append(done)
        if done > 0.5:
            stop.set()

    with pytest.raises(Cancelled, match=r"29% done; call it again with the same folder"):
        streamed(tmp_path, progress=progress, cancel=stop)
    kept = pieces(tmp_path)
    assert len(kept) == 1
    assert not (tmp_path / "error.nc").exists()
    stop.clear()
    again: list[float] = []
    ds = streamed(tmp_path, progress=again.append)
    xr.testing.assert_identical(ds, whole())
    assert again[0] >= 4 / 14
    assert again == sorted(again)
    assert again[-1] == 1
    assert again[-1].seconds_left == 0


def test_the_time_left_follows_the_pace_of_what_was_measured_and_not_of_what_was_found(monkeypatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    told: list = []
    meter = Meter(100, told.append)
    meter.on_disk(80)
    assert (told[-1], math.isnan(told[-1].seconds_left)) == (0.8, True)
    clock[0] += 10
    meter.finished(10)
    assert (told[-1], told[-1].seconds_left) == (0.9, 10)
    naive = (clock[0] - 100) * (1 - told[-1]) / told[-1]
    assert naive < 0.2 * told[-1].seconds_left  # the twin that counts what was found
    unknown = Meter(None, told.append)
    unknown.finished(3)
    assert told[-1] == 0
    unknown.end()
    assert told[-1] == 1


KILLED = """
import os, signal, sys
sys.path.insert(0, {root!r})
import torch
torch.set_num_threads(1)
from tests.measure.test_stream import streamed, pieces
from pathlib import Path
folder = Path(sys.argv[1])
streamed(folder, progress=lambda done: os.kill(os.getpid(), signal.SIGKILL) if len(pieces(folder)) == 2 else None)
"""


def test_a_killed_process_leaves_whole_pieces_that_the_next_one_goes_on_from(tmp_path: Path) -> None:
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run([sys.executable, "-c", KILLED.format(root=root), str(tmp_path)], check=False)
    assert done.returncode == -9
    kept = {path: path.stat().st_mtime_ns for path in pieces(tmp_path)}
    assert len(kept) == 2
    xr.testing.assert_identical(streamed(tmp_path), whole())
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert not list(tmp_path.glob(".*partial"))


def drawn(x: torch.Tensor) -> torch.Tensor:
    return x.mean((2, 3)) + torch.randn(len(x), 1)


REFUSED = {
    "chunk": ({"chunk": 0}, ValueError, "chunk = 0"),
    "unknown option": ({"resample": "bicubic"}, TypeError, "options resample"),
    "stochastic": ({"model": drawn, "layers": (), "stochastic": "refuse"}, ValueError, "expected a deterministic one"),
    "repeats": ({"repeats": 0}, ValueError, "repeats = 0"),
    "no samples": ({"x": iter([])}, ValueError, "no sample was given"),
    "a dict": ({"x": {"x": 1}}, TypeError, "a dict was given as images"),
    "a torch data set": ({"x": torch.utils.data.TensorDataset(images())}, TypeError, "wrap a torch Dataset"),
    "a list of numbers": ({"x": [1, 2]}, TypeError, "a batch that is a int"),
    "shapes that differ": ({"x": iter([images(2), images(2, 9)])}, ValueError, "expected samples of one shape"),
    "no file": ({"x": "nowhere.npy"}, FileNotFoundError, "there is no file nowhere.npy"),
    "objects": ({"x": np.array([["a"]])}, ValueError, "expected numbers"),
    "NaN": ({"x": images() * torch.nan}, ValueError, "NaN"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_streamed_is_refused_in_one_sentence(case: str, tmp_path: Path) -> None:
    given, kind, words = REFUSED[case]
    with pytest.raises(kind, match=words):
        streamed(tmp_path, **given)
    assert not pieces(tmp_path)


def test_a_folder_with_other_things_in_it_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ValueError, match="is a file; expected a folder"):
        streamed(file)
    streamed(tmp_path / "a")
    (tmp_path / "a" / "question.nc").unlink()
    with pytest.raises(ValueError, match="pieces without their question"):
        streamed(tmp_path / "a")


def test_the_model_is_left_as_it_was(tmp_path: Path) -> None:
    model = Nosy()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    streamed(tmp_path, model, layers=())
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())

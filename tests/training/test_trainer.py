"""Facts about training: it learns, resumes to the last bit, stops when asked, and says what went wrong."""

import functools
import random
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.tiny import StopAt, differences, tiny
from workbench.datasets import ImageSet
from workbench.training import Run, fit
from workbench.training.run import CHECKPOINT, HISTORY, WEIGHTS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The folder of a finished training with these settings, which is trained once and only read."""
    folder = tmp_path_factory.mktemp("trained")

    @functools.cache
    def train(**settings: Any) -> Path:
        name = "-".join(f"{name}-{value}" for name, value in settings.items())
        return fit(tiny(**settings), folder / name, progress=False).path

    return train


@pytest.fixture
def a_copy(trained_once: Callable[..., Path], tmp_path: Path) -> Callable[..., Run]:
    """A finished training with these settings, to do with as one likes."""
    return lambda **settings: Run(shutil.copytree(trained_once(**settings), tmp_path / "run"))


def test_a_run_leaves_a_model_a_history_and_results(tmp_path: Path) -> None:
    run = fit(tiny(error_points=1), tmp_path / "run", progress=False)
    history = run.history()
    assert run.status == "finished"
    assert {name: history.sizes[name] for name in ("epoch", "layer")} == {"epoch": 2, "layer": 3}
    assert history.epoch.values.tolist() == [1, 2]
    assert 0 <= float(history.test_accuracy) <= 1
    assert np.isfinite(history.error.values).sum() == 1
    model = run.model()
    assert not model.training
    assert int(history.parameters) == sum(p.numel() for p in model.parameters())


def test_n5_arcs_of_the_history_are_those_of_the_stored_network(tmp_path: Path) -> None:
    run = fit(tiny(lr_probs=0.1), tmp_path / "run", progress=False)
    history = run.history()
    stored = {name: t.item() for name, t in run.weights().items() if name.endswith("theta")}
    kept = history.arc.sel(epoch=int(history.best_epoch))
    assert {f"{layer}.distribution.theta": float(kept.sel(layer=layer)) for layer in kept.layer.values} == stored
    assert history.arc.min() < 1, "this network did learn its arcs"


def test_every_variable_of_a_history_has_units_and_the_history_its_provenance(tmp_path: Path) -> None:
    from workbench.measure.dataset import validate

    history = fit(tiny(epochs=1), tmp_path / "run", progress=False).history()
    dims = {"arc": ("epoch", "layer"), "gate": ("epoch", "layer"), "error": ("epoch",), "test_accuracy": ()}
    assert validate(history, dims) is history


def test_r23_the_same_seed_gives_the_same_run_and_another_seed_another(tmp_path: Path) -> None:
    runs = [
        fit({**tiny(epochs=1), "seed": seed}, tmp_path / str(k), progress=False) for k, seed in enumerate((3, 3, 4))
    ]
    same, again, other = (run.checkpoint() for run in runs)
    assert differences(same, again) == []
    assert differences(same["model"], other["model"]) != []


@pytest.mark.parametrize("stop", [1, 7, 13, 20])
def test_r6_stopped_and_resumed_equals_never_stopped_in_every_bit(
    trained_once: Callable[..., Path], tmp_path: Path, stop: int
) -> None:
    settings = {"weight_decay": 1e-4, "monotone": 1e-3}
    config, whole = tiny(**settings), Run(trained_once(**settings))
    part = fit(config, tmp_path / "part", progress=False, cancel=StopAt(stop))
    assert part.status == "cancelled"
    assert part.checkpoint()["step"] == stop
    resumed = fit(None, tmp_path / "part", progress=False, resume=True)
    assert differences(whole.checkpoint(), resumed.checkpoint()) == []
    without_clock = [run.history().drop_vars("seconds") for run in (whole, resumed)]
    assert without_clock[0].identical(without_clock[1])
    assert whole.weights().keys() == resumed.weights().keys()


def test_a_stop_that_comes_with_the_last_step_changes_nothing(tmp_path: Path) -> None:
    assert fit(tiny(epochs=1), tmp_path / "run", progress=False, cancel=StopAt(13)).status == "finished"


class Interrupted(RuntimeError):
    """Stands for a kill after the last step and before the last write."""


@pytest.mark.parametrize("settings", [{"epochs": 2}, {"epochs": 30, "early_stop": 2, "lr": 1e-6}, {"max_steps": 20}])
def test_r6_a_kill_between_the_last_step_and_the_results_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict
) -> None:
    import lightning.pytorch as pl

    class Kill(pl.Callback):
        def on_train_end(self, trainer: Any, module: Any) -> None:
            raise Interrupted

    monkeypatch.setattr("workbench.training.recorder.PAUSE_S", 0.0)
    config = tiny(**settings)
    whole = fit(config, tmp_path / "whole", progress=False)
    with pytest.raises(Interrupted):
        fit(config, tmp_path / "part", progress=False, callbacks=[Kill()])
    assert Run(tmp_path / "part").status == "running"
    resumed = fit(None, tmp_path / "part", progress=False, resume=True)
    assert resumed.status == whole.status
    assert differences(whole.checkpoint(), resumed.checkpoint()) == []
    assert float(resumed.history().test_accuracy) == float(whole.history().test_accuracy)


def test_the_resume_check_sees_one_changed_bit(a_copy: Callable[..., Run]) -> None:
    run = a_copy(epochs=1)
    state = run.checkpoint()
    for part in ("model", "optimiser", "random"):
        other = fit(None, run.path, progress=False, resume=True).checkpoint()
        tensor = _first_tensor(other[part])
        tensor.view(torch.uint8).reshape(-1)[0] ^= 1
        assert differences(state, other) != []


def _first_tensor(value: Any) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        return value.reshape(-1) if value.ndim == 0 else value
    entries = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((t for entry in entries if (t := _first_tensor(entry)) is not None and t.numel()), torch.empty(0))


LONG = tiny(epochs=16, max_steps=200, checkpoint_steps=100)
KILLED = """
import os, signal, sys
import torch
torch.set_num_threads(1)
import lightning.pytorch as pl
from tests.training.test_trainer import LONG
from workbench.training import fit
class Kill(pl.Callback):
    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if module.step == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
fit(LONG, sys.argv[1], progress=False, resume=True, callbacks=[Kill()])
"""


def test_r6_a_hundred_steps_kill_and_a_hundred_more_equal_two_hundred_bitwise(tmp_path: Path) -> None:
    """Killed in a process of its own, finished in this one, as is the training that nobody killed."""
    program = [sys.executable, "-W", "error", "-c", KILLED, str(tmp_path / "killed"), "137"]
    with subprocess.Popen(program) as child:
        whole = fit(LONG, tmp_path / "whole", progress=False)
        assert child.wait() == -signal.SIGKILL
    killed = Run(tmp_path / "killed")
    assert killed.checkpoint()["step"] == 100
    assert 100 % 13, "the kill fell into the middle of an epoch"
    fit(None, killed.path, progress=False, resume=True)
    one, other = whole.checkpoint(), killed.checkpoint()
    assert one["step"] == other["step"] == 200
    assert differences(one, other) == []


def test_resuming_a_finished_run_changes_nothing(a_copy: Callable[..., Run]) -> None:
    run = a_copy(epochs=1)
    before = {path.name: path.read_bytes() for path in run.path.iterdir()}
    fit(None, run.path, progress=False, resume=True)
    assert {path.name: path.read_bytes() for path in run.path.iterdir()} == before


def test_a_resume_sweeps_partials_and_refuses_another_configuration(tmp_path: Path) -> None:
    run = fit(tiny(), tmp_path / "run", progress=False, cancel=StopAt(2))
    (run.path / ".checkpoint.pt.0123456789ab.partial").write_bytes(b"half")
    with pytest.raises(ValueError, match="was started with training"):
        fit(tiny(lr=0.1), run.path, progress=False, resume=True)
    assert not list(run.path.glob(".*.partial"))


def test_a_folder_that_holds_a_run_is_not_overwritten(a_copy: Callable[..., Run], tmp_path: Path) -> None:
    assert a_copy(epochs=1).path == tmp_path / "run"
    with pytest.raises(FileExistsError, match="already holds a run; .*resume=True"):
        fit(tiny(epochs=1), tmp_path / "run", progress=False)
    with pytest.raises(FileNotFoundError, match="no run to resume"):
        fit(None, tmp_path / "other", progress=False, resume=True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    with pytest.raises(FileExistsError, match="already holds files that are no run; choose an empty or a new folder"):
        fit(tiny(epochs=1), tmp_path / "full", progress=False)
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match="is a file; expected a folder"):
        fit(tiny(epochs=1), tmp_path / "file", progress=False)


@pytest.mark.parametrize("name", [HISTORY, WEIGHTS, CHECKPOINT])
def test_r5_what_is_damaged_in_a_finished_run_is_written_again_from_the_previous_checkpoint(
    a_copy: Callable[..., Run], name: str
) -> None:
    run = a_copy(checkpoint_steps=5)
    before, clock = run.checkpoint(), run.history().drop_vars("seconds")
    weights = run.weights()
    for time in ("first", "again"):  # the second time the previous checkpoint is of the run's end, too
        with (run.path / name).open("ab") as file:
            file.write(b"damage")
        read = {HISTORY: Run(run.path).history, WEIGHTS: Run(run.path).weights, CHECKPOINT: Run(run.path).checkpoint}
        with pytest.raises(ValueError, match=rf'{name} is damaged.* is whole: continue from it .*resume="previous"'):
            read[name]()
        with pytest.raises(ValueError, match=rf"{name} is damaged"):
            fit(None, run.path, progress=False, resume=True)
        mended = fit(None, run.path, progress=False, resume="previous")
        mended.verify()
        assert differences(before, mended.checkpoint()) == [], time
        assert differences(weights, dict(sorted(mended.weights().items()))) == [], time
        assert mended.history().drop_vars("seconds").identical(clock), time


def test_r5_a_damaged_checkpoint_is_named_and_the_previous_one_goes_on_to_the_same_end(
    trained_once: Callable[..., Path], tmp_path: Path
) -> None:
    config, whole = tiny(checkpoint_steps=5), Run(trained_once(checkpoint_steps=5))
    run = fit(config, tmp_path / "run", progress=False, cancel=StopAt(12))
    content = bytearray((run.path / CHECKPOINT).read_bytes())
    content[len(content) // 2] ^= 1
    (run.path / CHECKPOINT).write_bytes(content)
    with pytest.raises(ValueError, match=r'checkpoint\.pt is damaged.*step 10.*resume="previous"'):
        fit(None, run.path, progress=False, resume=True)
    again = fit(None, run.path, progress=False, resume="previous")
    assert differences(whole.checkpoint(), again.checkpoint()) == []


def test_a_diverging_loss_stops_with_step_and_rate_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match=r"not a number at step \d+ \(epoch \d\) with lr .*lower training\.lr"):
        fit(tiny(lr=1e30, schedule="none", checkpoint_steps=1), tmp_path / "run", progress=False)
    run = Run(tmp_path / "run")
    assert run.status == "diverged"
    assert all(torch.isfinite(t).all() for t in run.checkpoint()["model"].values())


def _data(images: torch.Tensor, validation: int = 4) -> ImageSet:
    labels = torch.arange(len(images)) % 2
    held = (images[:validation], labels[:validation])
    return ImageSet("given", {"train": (images, labels), "validation": held, "test": held}, ("a", "b"), {})


@pytest.mark.parametrize(
    ("images", "validation", "settings", "sentence"),
    [
        (torch.zeros(0, 1, 16, 16), 0, {}, "training split is empty"),
        (torch.full((4, 1, 16, 16), float("nan")), 4, {}, "hold NaN"),
        (torch.zeros(4, 1, 16, 16), 0, {"early_stop": 2}, "early_stop watches the validation accuracy"),
        (torch.zeros(4, 1, 16, 16), 4, {"drop_last": True}, "fewer than one batch of 16"),
        (torch.zeros(4, 3, 16, 16), 4, {}, "expected images"),
    ],
)
def test_data_that_cannot_be_trained_on_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    images: torch.Tensor,
    validation: int,
    settings: dict,
    sentence: str,
) -> None:
    monkeypatch.setattr("workbench.datasets.load", lambda name: _data(images, validation))
    with pytest.raises(ValueError, match=sentence):
        fit(tiny(**settings), tmp_path / "run", progress=False)


def test_without_validation_images_the_last_weights_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.datasets.load", lambda name: _data(torch.randn(20, 1, 16, 16), 0))
    run = fit(tiny(epochs=3), tmp_path / "run", progress=False)
    assert int(run.history().best_epoch) == 3
    assert np.isnan(run.history().validation_accuracy.values).all()


def test_training_stops_early_when_the_validation_accuracy_stays(tmp_path: Path) -> None:
    run = fit(tiny(epochs=30, early_stop=2, lr=1e-6), tmp_path / "run", progress=False)
    history = run.history()
    assert run.status == "stopped early"
    assert history.sizes["epoch"] < 30
    assert history.epoch.values[-1] - int(history.best_epoch) >= 2


def test_r24_the_callers_random_generators_and_warnings_are_left_alone(tmp_path: Path) -> None:
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    filters = list(warnings.filters)
    fit(tiny(epochs=1), tmp_path / "run", progress=False)
    assert states == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    assert list(warnings.filters) == filters


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C interrupts, also where the tests run in the background of a shell, which ignores it there."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_stops_with_a_checkpoint_and_gives_the_signal_back(ctrl_c: None, tmp_path: Path) -> None:
    import lightning.pytorch as pl

    class Press(pl.Callback):
        def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
            if module.step == 4:
                signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="resume=True"):
        fit(tiny(), tmp_path / "run", progress=False, callbacks=[Press()])
    assert signal.getsignal(signal.SIGINT) is before
    assert Run(tmp_path / "run").checkpoint()["step"] == 5


def test_a_second_ctrl_c_interrupts_at_once_and_says_how_to_go_on(ctrl_c: None, tmp_path: Path) -> None:
    import lightning.pytorch as pl

    class Press(pl.Callback):
        def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
            if module.step == 4:
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="interrupted in the middle of a step; .*resume=True"):
        fit(tiny(checkpoint_steps=2), tmp_path / "run", progress=False, callbacks=[Press()])
    assert signal.getsignal(signal.SIGINT) is before
    assert Run(tmp_path / "run").checkpoint()["step"] == 4


def test_a_thread_may_train_and_progress_runs_from_above_0_to_1(tmp_path: Path) -> None:
    told: list[float] = []
    worker = threading.Thread(target=fit, args=(tiny(epochs=1), tmp_path / "run"), kwargs={"progress": told.append})
    worker.start()
    worker.join()
    assert told == sorted(told)
    assert told[-1] == 1
    assert len(told) == 13


def test_the_bar_tells_steps_and_scores(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    fit(tiny(), tmp_path / "bar", progress=True)
    shown = capsys.readouterr().err
    assert "26/26" in shown
    assert "validation=" in shown


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.float32), ("64", torch.float64)])
def test_other_precisions_train_and_load(tmp_path: Path, precision: str, dtype: torch.dtype) -> None:
    run = fit(tiny(epochs=1, precision=precision), tmp_path / "run", progress=False)
    assert {p.dtype for p in run.model().parameters()} == {dtype}
    assert float(run.history().train_loss[-1]) < 2


def test_a_missing_gpu_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match='training.device is "gpu"'):
        fit(tiny(device="gpu"), tmp_path / "run", progress=False)


def test_a_run_killed_before_its_first_checkpoint_starts_anew(
    trained_once: Callable[..., Path], tmp_path: Path
) -> None:
    whole = Run(trained_once(epochs=1))
    Run.create(tmp_path / "run", tiny(epochs=1))
    run = fit(tiny(epochs=1), tmp_path / "run", progress=False, resume=True)
    assert differences(whole.checkpoint(), run.checkpoint()) == []
    assert (run.path / WEIGHTS).exists()
    assert (run.path / HISTORY).exists()

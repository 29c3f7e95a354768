"""Train one network as its configuration says, and keep everything in a run folder."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import nn

from workbench.models import build_model
from workbench.training.batches import Batches
from workbench.training.checks import check_data, check_model
from workbench.training.randomness import own_randomness
from workbench.training.remedies import resume_call
from workbench.training.run import CHECKPOINT, CONFIG, PREVIOUS, WEIGHTS, Run, refuse_files
from workbench.training.settings import PRECISIONS, Settings, read_config
from workbench.training.store import sweep_partials

if TYPE_CHECKING:
    import lightning.pytorch as pl

    from workbench.training.recorder import Recorder

DONE = ("finished", "stopped early")


class Event(Protocol):
    """What tells a training to stop: a threading.Event, or anything that answers alike."""

    def is_set(self) -> bool:
        """Whether to stop."""

    def set(self) -> None:
        """Ask to stop."""


def fit(
    config: Mapping[str, Any] | None,
    path: str | Path,
    *,
    progress: bool | Callable[[float], None] = True,
    resume: bool | str = False,
    callbacks: Sequence[pl.Callback] = (),
    cancel: Event | None = None,
) -> Run:
    """Train a classifier, or a potential where the data are molecules, and return its run folder.

    Args:
        config: {"model": {"name", ...}, "data": {"name", ...}, "training": {...}, "seed": int}; see
            `workbench.training.Settings` for the training part. None takes the one of the folder to be resumed.
        path: the run folder, new or empty unless `resume`.
        progress: True for a bar in the terminal or the notebook, or a function that receives the fraction done.
        resume: True goes on from the last checkpoint, exactly as if nothing had stopped it (bitwise on a CPU), and
            starts anew where there is none; "previous" goes on from the checkpoint before the last, also in a
            finished run, and so writes whatever was damaged since once more.
        callbacks: further Lightning callbacks.
        cancel: set it from another thread to stop after the present step, with a checkpoint; Ctrl-C does the same
            and then raises KeyboardInterrupt.

    The global random generators are left as they were. A configuration that is refused leaves no folder behind.

    Raises:
        ValueError: unknown keys, impossible values, empty data, a network that does not fit the data, a folder that
            does not match, damaged files.
        FileExistsError: the folder holds files already, and `resume` was not asked for.
        FloatingPointError: the loss became NaN or infinite; the last good checkpoint stays.
    """
    folder = Path(path)
    given = None if config is None else read_config(config)
    run, state = _open(None if given is None else given[0], folder, resume)
    if run is not None and state is None and run.status in DONE:
        return run
    if run is not None:
        chosen, settings = run.config, run.settings
    else:
        assert given is not None, "_open refuses a new run without a configuration"
        chosen, settings = given
    data = _load(chosen["data"])
    if run is not None and state is not None and state["status"] in DONE:  # no step is left to take
        _recorder(run, data, state).write_again(state)
        return run
    with _quiet_lightning(), _stop_gently(folder, cancel) as stop, own_randomness(chosen["seed"]):
        model, batches = _prepare(chosen, settings, data)
        run = run or Run.create(folder, chosen)
        _train(run, model, batches, data, state, progress, callbacks, stop)
    return run


def _load(options: Mapping[str, Any]) -> Any:
    """An `ImageSet`, or a `MoleculeSet`, by the name of the data."""
    from workbench.datasets import load
    from workbench.datasets.molecules import load_molecules, molecule_names

    return load_molecules(**options) if options["name"] in molecule_names() else load(**options)


def _recorder(run: Run, data: Any, state: dict[str, Any] | None, stop: Event | None = None) -> Recorder:
    """The recorder that fits the data."""
    from workbench.training.potentials import PotentialRecorder
    from workbench.training.recorder import Recorder

    return (PotentialRecorder if _holds_molecules(data) else Recorder)(run, data, state, stop)


def _holds_molecules(data: Any) -> bool:
    from workbench.datasets.molecules import MoleculeSet

    return isinstance(data, MoleculeSet)


def _prepare(config: Mapping[str, Any], settings: Settings, data: Any) -> tuple[nn.Module, Batches]:
    """The new network and its batches, after everything that can be refused before a step is taken."""
    _accelerator(settings)
    if _holds_molecules(data):
        from workbench.training.potentials import prepare

        return prepare(config, settings, data)
    check_data(data, settings)
    images, labels = data.splits["train"]
    batches = Batches(images, labels, batch_size=settings.batch_size, seed=config["seed"], drop_last=settings.drop_last)
    model = build_model(config["model"]).train()
    check_model(model, config["model"], data)
    return model, batches


def _train(
    run: Run,
    model: nn.Module,
    batches: Batches,
    data: Any,
    state: dict[str, Any] | None,
    progress: bool | Callable[[float], None],
    callbacks: Sequence[pl.Callback],
    stop: Event,
) -> None:
    import lightning.pytorch as pl

    from workbench.training.module import TrainingModule
    from workbench.training.potentials import PotentialModule
    from workbench.training.progress import Bar, Tell

    settings = run.settings
    total = settings.epochs * len(batches)
    total = min(total, settings.max_steps or total)
    if state is not None:
        model.load_state_dict(state["model"])
        batches.step = int(state["step"])
    module = (PotentialModule if _holds_molecules(data) else TrainingModule)(model, settings, batches, total)
    recorder = _recorder(run, data, state, stop)
    shown: list[pl.Callback] = [Tell(progress)] if callable(progress) else [Bar(recorder)] if progress else []
    trainer = pl.Trainer(
        accelerator=_accelerator(settings),
        devices=1,
        precision=PRECISIONS[settings.precision],  # type: ignore[arg-type]
        max_epochs=settings.epochs,
        max_steps=total - batches.step,
        callbacks=[*shown, *callbacks, recorder],
        default_root_dir=run.path,
        logger=False,
        enable_checkpointing=True,  # by our Recorder, which is the only checkpoint callback
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        benchmark=False,
        use_distributed_sampler=False,
    )
    try:
        trainer.fit(module)
    except SystemExit as error:  # how Lightning answers a second Ctrl-C
        raise KeyboardInterrupt(
            f"training interrupted in the middle of a step; go on from the last checkpoint with {resume_call(run.path)}"
        ) from error


def _open(
    config: Mapping[str, Any] | None, folder: Path, resume: bool | str
) -> tuple[Run | None, dict[str, Any] | None]:
    """The run that is there and the checkpoint to go on from; no run where a new one is to start."""
    if resume not in (True, False, "previous"):
        raise ValueError(f'resume is {resume!r}; expected True, False or "previous"')
    if not resume or not (folder / CONFIG).exists():
        if config is None:
            raise FileNotFoundError(f"there is no run to resume in {folder}; say what to train to start one")
        if resume:
            sweep_partials(folder)
        refuse_files(folder)
        return None, None
    sweep_partials(folder)
    run = Run(folder)
    if config is not None:
        _refuse_other_config(run, config)
    if resume == "previous":
        return run, run.checkpoint(previous=True)
    started = (folder / CHECKPOINT).exists() or (folder / PREVIOUS).exists()
    if run.status in DONE:
        for name in (WEIGHTS, CHECKPOINT):  # "finished" is not said of damaged weights; what was removed is not missed
            if (folder / name).exists():
                run.check(name)
        return run, None
    return run, run.checkpoint() if started else None


def _refuse_other_config(run: Run, given: Mapping[str, Any]) -> None:
    for part, stored in run.config.items():
        if given[part] != stored:
            raise ValueError(
                f"{run.path} was started with {part} {stored!r}, and {given[part]!r} was given; "
                "resume with the same configuration (or none), or train into another folder"
            )


def _accelerator(settings: Settings) -> str:
    if settings.device == "gpu" and not torch.cuda.is_available():
        raise ValueError('training.device is "gpu", and torch sees none here; use "auto" or "cpu"')
    return "cpu" if settings.device == "cpu" or not torch.cuda.is_available() else "gpu"


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Inside this block Lightning's log tells warnings only, not its banner; the level comes back after it."""
    import lightning.pytorch  # noqa: F401 - its import sets the level

    log = logging.getLogger("lightning.pytorch")
    before = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(before)


@contextmanager
def _stop_gently(folder: Path, cancel: Event | None) -> Iterator[Event]:
    """An event that the first Ctrl-C sets; the second one interrupts at once. Lightning alone would end the process."""
    stop = cancel or threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    interrupted = False
    before = signal.getsignal(signal.SIGINT)

    def once(number: int, frame: Any) -> None:
        nonlocal interrupted
        interrupted = True
        stop.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, once)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
    if interrupted:
        raise KeyboardInterrupt(f"training stopped with a checkpoint; go on with {resume_call(folder)}")

"""The Lightning callback that keeps a run: it scores each epoch, writes the folder, and knows when to stop."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Checkpoint

from workbench.training.evaluation import evaluate, evaluation_mode
from workbench.training.history import History, learned_symmetry, on_cpu, parameter_count
from workbench.training.module import TrainingModule
from workbench.training.probe import ERROR_CHOICES, orbit_error
from workbench.training.randomness import random_state, set_random_state
from workbench.training.run import Run
from workbench.training.snapshots import kernel_snapshot, snapshot_epochs

if TYPE_CHECKING:
    import xarray as xr

    from workbench.datasets import ImageSet
    from workbench.training.trainer import Event

PAUSE_S = 5.0  # at least so long between two checkpoints at ends of epochs,
SHARE = 20.0  # and on a slow disk at least so many times as long as the last one took
CANCELLED, STOPPED, FINISHED, RUNNING, DIVERGED = "cancelled", "stopped early", "finished", "running", "diverged"


class Recorder(Checkpoint):
    """Writes the run folder while Lightning trains; Lightning calls it after every other callback.

    run       where everything is written.
    data      the image set: its validation split chooses the kept weights, its test split is scored once, at the end.
    resumed   a checkpoint to go on from, or None.
    cancel    once set, training stops after the present step, checkpoint written.
    """

    history_kind: type[History] = History

    def __init__(
        self, run: Run, data: ImageSet, resumed: dict[str, Any] | None = None, cancel: Event | None = None
    ) -> None:
        self.run, self.data, self.resumed = run, data, resumed
        self.cancel = cancel or threading.Event()
        state = resumed or {}
        self.history = self.history_kind(**state.get("history", {}))
        self.best: dict[str, Any] = state.get("best", {})
        self.seconds_before = float(state.get("seconds", 0.0))
        self.status = RUNNING
        self._best_on_disk = False
        self._last_save = self._start = time.monotonic()
        self._pause = PAUSE_S

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Move the images beside the model and, on a resume, put everything back where it was."""
        module = _ours(pl_module)
        module.batches.to(module.device)
        self._start = time.monotonic()
        if self.resumed is None:
            return
        trainer.optimizers[0].load_state_dict(self.resumed["optimiser"])
        for config in trainer.lr_scheduler_configs:
            config.scheduler.load_state_dict(self.resumed["schedule"])
        module.running = self.resumed["running"].clone()
        set_random_state(self.resumed["random"])
        self.resumed = None

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Stop when asked to; write a checkpoint where the recipe wants one in the middle of an epoch."""
        module = _ours(pl_module)
        if self.cancel.is_set() and module.step < module.total_steps:
            self.status = CANCELLED
            trainer.should_stop = True
        every = self.run.settings.checkpoint_steps
        if every and module.step % every == 0 and module.step % len(module.batches):
            self._save_unless_last(trainer, module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Score the epoch, keep the best weights, and write a checkpoint when it is time."""
        module = _ours(pl_module)
        whole = module.step % len(module.batches) == 0
        if not whole and module.step < module.total_steps:
            return  # stopped in the middle: the resumed run will end this epoch
        module.refuse_divergence()
        self._close_epoch(trainer, module)
        patience = self.run.settings.early_stop
        if patience and self.history.rows[-1]["epoch"] - self.best["epoch"] >= patience:
            self.status = STOPPED
            trainer.should_stop = True
        every = self.run.settings.checkpoint_steps
        due = module.step % every == 0 if every else time.monotonic() - self._last_save >= self._pause
        if due:
            self._save_unless_last(trainer, module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Score the kept weights once on the test split and write everything a last time."""
        module = _ours(pl_module)
        module.refuse_divergence()
        if self.status == RUNNING:
            self.status = FINISHED
        last = self._state(trainer, module)
        if self.status != CANCELLED:
            module.model.load_state_dict(self.best["weights"])
            self.history.results = self._results(module)
            last["history"] = self.history.state()
        self._write(last)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Leave the last good checkpoint alone; say in the history that the loss diverged."""
        if isinstance(exception, FloatingPointError):
            self.run.save_history(self._dataset(DIVERGED))

    def write_again(self, state: dict[str, Any]) -> None:
        """Write the files of a run that had ended from its last checkpoint, which holds them all."""
        self.status = state["status"]
        self._write(state)

    def _save_unless_last(self, trainer: pl.Trainer, module: TrainingModule) -> None:
        """Write what an exact resume starts from; `on_train_end` writes the last state, together with the results.

        A checkpoint of the last step without results could not be resumed: no step would be left to end the run.
        """
        if self.status == RUNNING and module.step < module.total_steps:
            module.refuse_divergence()
            self._write(self._state(trainer, module))

    def _write(self, state: dict[str, Any]) -> None:
        """Weights and history first: what says that a run is finished comes after its results."""
        start = time.monotonic()
        if self.best and not self._best_on_disk:
            self.run.save_weights(self.best["weights"])
            self._best_on_disk = True
        self.run.save_history(self._dataset(self.status))
        self.run.save_checkpoint(state)
        now = time.monotonic()
        self._last_save, self._pause = now, max(PAUSE_S, SHARE * (now - start))

    def _dataset(self, status: str) -> xr.Dataset:
        from workbench.measure.provenance import provenance

        config = self.run.config
        attrs = provenance(
            "fit",
            seed=config["seed"],
            dtype={"64": "float64"}.get(config["training"]["precision"], "float32"),
            reduction="means over images; error also over all elements but the identity",
            input_kind=config["data"]["name"],
        )
        model = config["model"]
        told = {"status": status, "model": model["name"], "preset": str(model.get("preset", "none"))}
        return self.history.dataset({**attrs, **told, **self._told()})

    def _told(self) -> dict[str, Any]:
        """What only runs of this kind have to say about their numbers."""
        return {**ERROR_CHOICES, "classes": len(self.data.classes)}

    def _state(self, trainer: pl.Trainer, module: TrainingModule) -> dict[str, Any]:
        schedules = [config.scheduler.state_dict() for config in trainer.lr_scheduler_configs]
        return {
            "step": module.step,
            "status": self.status,
            "model": on_cpu(module.model.state_dict()),
            "optimiser": trainer.optimizers[0].state_dict(),
            "schedule": schedules[0] if schedules else {},
            "running": module.running.cpu(),
            "random": random_state(),
            "best": self.best,
            "history": self.history.state(),
            "seconds": self._seconds(),
        }

    def _seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self._start

    def _close_epoch(self, trainer: pl.Trainer, module: TrainingModule) -> None:
        epoch = -(-module.step // len(module.batches))
        loss, accuracy, _ = (module.running / module.running[2]).tolist()
        module.running = torch.zeros_like(module.running)
        row: dict[str, Any] = {
            "epoch": epoch,
            "train_loss": loss,
            "train_accuracy": accuracy,
            "lr": float(trainer.optimizers[0].param_groups[0]["lr"]),
            "temperature": module.temperature,
            "layers": learned_symmetry(module.model),
        }
        images, labels = self.data.splits["validation"]
        if len(images):
            row["validation_loss"], row["validation_accuracy"] = evaluate(module.model, images, labels)
        settings = self.run.settings
        if epoch in snapshot_epochs(settings.epochs, settings.snapshots):
            row["kernels"] = kernel_snapshot(module.model)
        if epoch in snapshot_epochs(settings.epochs, settings.error_points):
            with evaluation_mode(module.model):
                row["error"], row["error_sem"] = orbit_error(module.model, self.data)
        row["seconds"] = self._seconds()
        self.history.add(**row)
        self._keep_if_best(module, row)

    def _keep_if_best(self, module: TrainingModule, row: dict[str, Any]) -> None:
        """Highest validation accuracy, then lowest loss; without a validation split the last epoch is kept."""
        rank = [row["validation_accuracy"], -row["validation_loss"]] if "validation_loss" in row else [0.0, 0.0]
        if not self.best or rank > self.best["rank"] or "validation_loss" not in row:
            self.best = {"rank": rank, "epoch": row["epoch"], "weights": on_cpu(module.model.state_dict())}
            self._best_on_disk = False

    def _results(self, module: TrainingModule) -> dict[str, float]:
        results = {"best_epoch": float(self.best["epoch"]), "parameters": float(parameter_count(module.model))}
        results["final_train_accuracy"] = evaluate(module.model, *self.data.splits["train"]).accuracy
        if len(self.data.splits["validation"][0]):
            results["best_validation_accuracy"] = self.best["rank"][0]
        if len(self.data.splits["test"][0]):
            results["test_loss"], results["test_accuracy"] = evaluate(module.model, *self.data.splits["test"])
        return results


def _ours(module: pl.LightningModule) -> TrainingModule:
    assert isinstance(module, TrainingModule)
    return module

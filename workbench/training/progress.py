"""How far a training run is: one bar in a terminal or a notebook, or a fraction handed to a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl

from workbench.training.module import TrainingModule
from workbench.training.recorder import Recorder


class Tell(pl.Callback):
    """Calls `tell` with the fraction done after every step."""

    def __init__(self, tell: Callable[[float], None]) -> None:
        self.tell = tell

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """One step more."""
        assert isinstance(pl_module, TrainingModule)
        self.tell(pl_module.step / pl_module.total_steps)


class Bar(pl.Callback):
    """One bar over all steps of the run, with the scores of the last epoch; a resumed run starts where it was."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.bar: Any = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the bar."""
        from tqdm.auto import tqdm

        assert isinstance(pl_module, TrainingModule)
        self.bar = tqdm(
            total=pl_module.total_steps, initial=pl_module.step, desc=self.recorder.run.path.name, unit="step"
        )

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Move it on by a step, and show the last whole epoch's scores."""
        self.bar.update()
        if self.recorder.history.rows:
            row = self.recorder.history.rows[-1]
            shown = {"epoch": row["epoch"], "loss": f"{row['train_loss']:.3f}"}
            if "validation_accuracy" in row:
                shown["validation"] = f"{row['validation_accuracy']:.1%}"
            self.bar.set_postfix(shown, refresh=False)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the bar."""
        self.bar.close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Close the bar where training broke off."""
        if self.bar is not None:
            self.bar.close()

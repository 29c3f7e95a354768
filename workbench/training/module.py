"""The Lightning module: one optimiser step of a group network, and the schedules that move with it."""

from __future__ import annotations

import math
import warnings
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities import CombinedLoader
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from workbench.training.batches import Batches
from workbench.training.evaluation import check_logits
from workbench.training.objective import (
    KernelNorms,
    arcs,
    distributions,
    monotone_prior,
    own_penalty,
    parameter_groups,
)
from workbench.training.settings import Settings

LAST_RATE = 1e-6  # where the cosine schedule ends, as in the paper's code
CHECK_EVERY = 20  # steps between looks at the loss on a GPU, where each look waits for the device


class TrainingModule(pl.LightningModule):
    """Cross-entropy plus the extra terms of the recipe and of the model itself.

    step     optimiser steps taken so far, also those before a resume; everything else is a function of it.
    running  (loss * images, correct images, images) of the present epoch.
    """

    def __init__(self, model: nn.Module, settings: Settings, batches: Batches, total_steps: int) -> None:
        super().__init__()
        self.model, self.settings, self.total_steps = model, settings, total_steps
        self.batches = batches
        self.step = batches.step
        self.running = torch.zeros(3, dtype=torch.float64)
        self._first_bad: Tensor = torch.tensor(-1)

    def train_dataloader(self) -> CombinedLoader:
        """Our own batches: the images are in memory already."""
        with warnings.catch_warnings():
            # Lightning 2.6 still builds the leaf in a way that torch 2.10 and later deprecate.
            warnings.filterwarnings("ignore", "`isinstance.treespec, LeafSpec.` is deprecated", FutureWarning)
            return CombinedLoader(self.batches, "max_size_cycle")

    def configure_optimizers(self) -> Any:
        """Adam with a rate for the weights and one for the distributions' own parameters."""
        rates = {"weights": self.settings.lr, "probs": self.settings.rate_of_distributions}
        groups = [
            {"params": chosen, "lr": rates[name], "name": name}
            for name, chosen in parameter_groups(self.model).items()
            if chosen
        ]
        optimiser = torch.optim.Adam(groups, fused=True)  # one call for all parameters
        schedule = self._schedule(optimiser)
        if schedule is None:
            return optimiser
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _schedule(self, optimiser: torch.optim.Optimizer) -> LRScheduler | None:
        if self.settings.schedule == "one-cycle":
            tops = [group["lr"] for group in optimiser.param_groups]
            return OneCycleLR(optimiser, tops, total_steps=self.total_steps)
        if self.settings.schedule == "cosine":
            warm_up = min(round(self.settings.warm_up * len(self.batches)), self.total_steps)
            lowest = LAST_RATE / self.settings.lr
            return LambdaLR(optimiser, lambda step: cosine(step, warm_up, self.total_steps, lowest))
        return None

    @property
    def temperature(self) -> float:
        """Temperature of the relaxed gates at this step."""
        first, last = self.settings.temperature
        return first + (last - first) * min(1.0, self.step / max(1, self.total_steps - 1))

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Cool the gates."""
        for distribution in distributions(self.model):
            distribution.temperature = self.temperature

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Loss of one batch: images (B, C, H, W), labels (B,)."""
        images, labels = batch
        penalty: Tensor | float = 0.0
        if self.settings.weight_decay:
            with KernelNorms(self.model) as norms:
                logits = self.model(images)
            penalty = self.settings.weight_decay * norms.total()
        else:
            logits = self.model(images)
        check_logits(logits, len(labels))
        cross_entropy = nn.functional.cross_entropy(logits, labels)
        if self.settings.monotone:
            penalty = penalty + self.settings.monotone * monotone_prior(arcs(self.model))
        penalty = penalty + own_penalty(self.model)
        self._watch(cross_entropy + penalty, cross_entropy, logits, labels)
        return cross_entropy + penalty

    def optimizer_step(self, *given: Any, **named: Any) -> None:
        """One step, then every distribution back into its range."""
        super().optimizer_step(*given, **named)
        for distribution in distributions(self.model):
            distribution.project_()
        self.step += 1
        self.batches.step = self.step

    @torch.no_grad()
    def _watch(self, loss: Tensor, cross_entropy: Tensor, logits: Tensor, labels: Tensor) -> None:
        count = torch.tensor(float(len(labels)), dtype=torch.float64, device=loss.device)
        correct = (logits.argmax(1) == labels).sum().double()
        self.running = self.running.to(loss.device) + torch.stack([cross_entropy.double() * count, correct, count])
        self.watch_finite(loss)

    def watch_finite(self, loss: Tensor) -> None:
        """Remember the first step whose loss is no number, and refuse to go on; on a GPU a few steps later."""
        bad = self._first_bad.to(loss.device)
        self._first_bad = torch.where((bad < 0) & ~torch.isfinite(loss), self.step, bad)
        if loss.device.type == "cpu" or self.step % CHECK_EVERY == 0:
            self.refuse_divergence()

    def refuse_divergence(self) -> None:
        """Raise FloatingPointError, naming step and rates, once a loss was NaN or infinite."""
        bad = int(self._first_bad)
        if bad < 0:
            return
        rates = {group["name"]: group["lr"] for group in self.trainer.optimizers[0].param_groups}
        listed = ", ".join(f"{'lr' if name == 'weights' else 'lr_' + name} {rate:.3g}" for name, rate in rates.items())
        raise FloatingPointError(
            f"the loss is not a number at step {bad + 1} (epoch {bad // len(self.batches) + 1}) with {listed}; "
            f"lower training.lr, for example to {self.settings.lr / 10:.3g}, or look for NaN in the images"
        )


def cosine(step: int, warm_up: int, total: int, lowest: float) -> float:
    """Factor of the rate: linear from 0 over the warm-up, then half a cosine down to `lowest`.

    >>> [round(cosine(step, 2, 6, 0.0), 3) for step in (0, 1, 2, 4, 6)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if step < warm_up:
        return step / warm_up
    share = min(1.0, (step - warm_up) / max(1, total - warm_up))
    return lowest + (1 - lowest) * 0.5 * (1 + math.cos(math.pi * share))

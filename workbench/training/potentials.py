"""Training of molecular potentials: energies and forces in place of class labels, in the same run folders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from workbench.datasets.molecules import MoleculeSet, Structures, references
from workbench.models import build_model
from workbench.training.batches import Batches
from workbench.training.history import NAN, SCALARS, History, on_cpu, parameter_count
from workbench.training.module import TrainingModule
from workbench.training.objective import own_penalty
from workbench.training.recorder import Recorder
from workbench.training.settings import Settings
from workbench.training.snapshots import snapshot_epochs

if TYPE_CHECKING:
    import lightning.pytorch as pl
    import xarray as xr

ENERGY_SHARE = 0.01
"""Weight of the energy term beside the force term."""
SMALLEST_SPREAD = 1e-3  # eV and eV/angstrom: no division by the spread of equal labels
UNUSED = ("train_accuracy", "validation_accuracy", "temperature", "error", "error_sem")
POTENTIAL_SCALARS = {
    **{name: (words, "1") for name, (words, _) in SCALARS.items() if name.endswith("loss")},
    **{name: told for name, told in SCALARS.items() if name not in UNUSED and not name.endswith("loss")},
    "train_force_mae": ("mean |force error| over the epoch's steps", "meV/angstrom"),
    "validation_force_mae": ("validation, mean |force error|", "meV/angstrom"),
    "validation_energy_mae": ("validation, mean |energy error|", "meV"),
    "rotation_error": ("equivariance error of the forces under rotation", "1"),
}
POTENTIAL_RESULTS = {
    "test_force_mae": ("test, mean |force error|", "meV/angstrom"),
    "test_force_rmse": ("test, root mean square force error", "meV/angstrom"),
    "test_energy_mae": ("test, mean |energy error|", "meV"),
    "test_force_mae_rotated": ("test, randomly turned, mean |force error|", "meV/angstrom"),
    "test_energy_mae_rotated": ("test, randomly turned, mean |energy error|", "meV"),
    "rotation_error_trained": ("equivariance error of the forces under rotation, trained", "1"),
    "rotation_error_untrained": ("equivariance error of the forces under rotation, untrained", "1"),
    "best_epoch": ("epoch of the kept weights", "1"),
    "parameters": ("trainable parameters", "1"),
}


class PotentialHistory(History):
    """Rows of a potential's training."""

    scalars = POTENTIAL_SCALARS
    result_words = POTENTIAL_RESULTS


class PotentialModule(TrainingModule):
    r"""Minimises :math:`\overline{(F - F^*)^2} / \sigma_F^2 + 0.01\, \overline{(E - E^*)^2} / \sigma_E^2`.

    sigma_F is the root mean square of the training forces, sigma_E the standard deviation of the training energies
    beyond the references of their elements.

    running  (loss * molecules, |force error| in meV/angstrom * components, molecules, components) of the epoch.
    """

    def __init__(self, model: nn.Module, settings: Settings, batches: Batches, total_steps: int) -> None:
        super().__init__(model, settings, batches, total_steps)
        self.running = torch.zeros(4, dtype=torch.float64)
        structures: Any = batches.images
        left = structures.energy - model.get_buffer("references").double().cpu()[structures.numbers].sum(1)
        known = structures.forces[structures.numbers > 0]
        self.force_spread = max(float(known.double().square().mean().sqrt()), SMALLEST_SPREAD)
        self.energy_spread = max(float(left.std(correction=0)), SMALLEST_SPREAD)

    def training_step(self, batch: tuple[Any, Tensor], batch_idx: int) -> Tensor:
        """Loss of one batch of `Structures`."""
        structures, energy = batch
        positions, numbers, which, forces = structures.flat()
        model: Any = self.model
        found, pushed = model.energy_and_forces(positions.to(self.dtype), numbers, which)
        off = pushed - forces
        energy_off = found.double() - energy
        loss = off.square().mean() / self.force_spread**2
        loss = loss + (ENERGY_SHARE * energy_off.square().mean() / self.energy_spread**2).to(loss)
        loss = loss + own_penalty(self.model)
        self._note(loss, off, len(energy))
        return loss

    @torch.no_grad()
    def _note(self, loss: Tensor, off: Tensor, count: int) -> None:
        seen = [loss.double() * count, 1000 * off.abs().sum().double()]
        counts = torch.tensor([float(count), float(off.numel())], dtype=torch.float64, device=loss.device)
        self.running = self.running.to(loss.device) + torch.cat([torch.stack(seen), counts])
        self.watch_finite(loss)


class PotentialRecorder(Recorder):
    """Writes the run folder of a potential: force and energy errors where a classifier has accuracies."""

    history_kind = PotentialHistory
    data: Any

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remember how far the untrained forces are from equivariant."""
        if self.resumed is None:
            assert isinstance(pl_module, PotentialModule)
            self.history.results["rotation_error_untrained"] = self._rotation_error(pl_module.model)
        super().on_train_start(trainer, pl_module)

    def _close_epoch(self, trainer: pl.Trainer, module: TrainingModule) -> None:
        epoch = -(-module.step // len(module.batches))
        loss, off, count, components = module.running.tolist()
        module.running = torch.zeros_like(module.running)
        row: dict[str, Any] = {
            "epoch": epoch,
            "train_loss": loss / count,
            "train_force_mae": off / components,
            "lr": float(trainer.optimizers[0].param_groups[0]["lr"]),
            "layers": {},
        }
        settings = self.run.settings
        if epoch in snapshot_epochs(settings.epochs, settings.error_points) or module.step == module.total_steps:
            row |= self._scores(module.model, "validation")
            row["rotation_error"] = self._rotation_error(module.model)
        row["seconds"] = self._seconds()
        self.history.add(**row)
        self._keep_if_best(module, row)

    def _keep_if_best(self, module: TrainingModule, row: dict[str, Any]) -> None:
        """Lowest validation force error; without a validation split the last epoch is kept."""
        if "validation_force_mae" in row:
            rank = [-row["validation_force_mae"], 0.0]
        elif len(self.data.splits["validation"]):
            return
        else:
            rank = [0.0, 0.0]
        if not self.best or rank > self.best["rank"] or not len(self.data.splits["validation"]):
            self.best = {"rank": rank, "epoch": row["epoch"], "weights": on_cpu(module.model.state_dict())}
            self._best_on_disk = False

    def _results(self, module: TrainingModule) -> dict[str, float]:
        results = {
            **self.history.results,
            "best_epoch": float(self.best["epoch"]),
            "parameters": float(parameter_count(module.model)),
            "rotation_error_trained": self._rotation_error(module.model),
        }
        if len(self.data.splits["test"]):
            found = measured(module.model, self.data.splits["test"])
            for name in ("force_mae", "force_rmse", "energy_mae"):
                results[f"test_{name}"] = float(found[name].sel(pose="upright"))
            for name in ("force_mae", "energy_mae"):
                results[f"test_{name}_rotated"] = float(found[name].sel(pose="rotated"))
        return results

    def _scores(self, model: nn.Module, split: str) -> dict[str, float]:
        if not len(self.data.splits[split]):
            return {}
        found = measured(model, self.data.splits[split]).sel(pose="upright")
        return {f"{split}_{name}": float(found[name]) for name in ("force_mae", "energy_mae")}

    def _rotation_error(self, model: nn.Module) -> float:
        few = next((part for part in (self.data.splits["validation"], self.data.splits["train"]) if len(part)), None)
        return NAN if few is None else float(measured(model, few[:FEW])["rotation_error"])

    def _told(self) -> dict[str, Any]:
        return {"energy_share": ENERGY_SHARE}


FEW = 20
"""Molecules on which the equivariance error is followed."""


def measured(model: nn.Module, structures: Structures) -> xr.Dataset:
    """`workbench.measure.forces.force_errors` of these molecules."""
    from workbench.measure.forces import force_errors

    device = next(iter(model.parameters())).device
    on = structures.to("cpu") if device.type == "cpu" else structures
    return force_errors(model, on.numbers, on.positions, on.energy, on.forces)


def prepare(config: Mapping[str, Any], settings: Settings, data: MoleculeSet) -> tuple[nn.Module, Batches]:
    """The new potential, its references fitted to the training energies, and its batches; or a refusal."""
    train = data.splits["train"]
    if not len(train):
        raise ValueError(f"{data.name} has no structures to train on; choose another set of molecules")
    for split, part in data.splits.items():
        if not bool(torch.isfinite(part.forces).all() & torch.isfinite(part.energy).all()):
            raise ValueError(f"the {split} structures of {data.name} lack forces or energies; a potential needs both")
    if settings.early_stop:
        raise ValueError("training.early_stop watches an accuracy, which a potential has not; set it to null")
    model = build_model(config["model"]).train()
    if not callable(getattr(model, "energy_and_forces", None)):
        raise ValueError(
            f"the model {config['model']['name']!r} gives no energies and forces, and {data.name} holds molecules; "
            "choose 'molecular_potential', or a set of images"
        )
    check_elements(model, data)
    with torch.no_grad():
        model.get_buffer("references").copy_(references(train))
    like_images: Any = train  # indexed, counted and moved like a tensor
    batches = Batches(
        like_images, train.energy, batch_size=settings.batch_size, seed=config["seed"], drop_last=settings.drop_last
    )
    return model, batches


def check_elements(model: nn.Module, data: MoleculeSet) -> None:
    """Refuse molecules with elements that the potential does not know; it says so itself."""
    numbers = torch.cat([part.numbers.flatten() for part in data.splits.values()]).unique()
    each = numbers[numbers > 0]
    apart = torch.arange(len(each)).unsqueeze(1) * torch.tensor([100.0, 0.0, 0.0])
    model(apart.to(next(iter(model.parameters()))), each, torch.arange(len(each)))

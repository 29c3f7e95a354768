"""What a training run leaves to look at: one labelled array per quantity, over epochs and layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from workbench.training.snapshots import as_variables

if TYPE_CHECKING:
    import xarray as xr

NAN = float("nan")
SCALARS = {  # variable -> (long name, units); one value per epoch
    "train_loss": ("training loss", "nat"),
    "train_accuracy": ("training accuracy", "1"),
    "validation_loss": ("validation loss", "nat"),
    "validation_accuracy": ("validation accuracy", "1"),
    "lr": ("learning rate", "1"),
    "temperature": ("temperature of the gates", "1"),
    "seconds": ("wall time since the start", "s"),
    "error": ("equivariance error", "1"),
    "error_sem": ("standard error of the equivariance error", "1"),
}
RESULTS = {  # variable -> (long name, units); one value per run, of the weights that are kept
    "test_loss": ("test loss", "nat"),
    "test_accuracy": ("test accuracy", "1"),
    "final_train_accuracy": ("training accuracy of the kept weights", "1"),
    "best_validation_accuracy": ("validation accuracy of the kept weights", "1"),
    "best_epoch": ("epoch of the kept weights", "1"),
    "parameters": ("trainable parameters", "1"),
}
LAYERED = {
    "arc": ("share of the circle that is kept", "1"),
    "gate": ("keep probability of the mirror gate or the mean of the rotation gates", "1"),
    "dial": ("how fast filters vary with the absolute place or rotation", "1"),
}


def learned_symmetry(model: nn.Module) -> dict[str, dict[str, float]]:
    """Arc (share of the circle), gate probability and dial of each layer that has one of them, read from it.

    Layers are named by their module path; a quantity that a layer does not have is NaN.
    """
    found = {}
    for name, module in model.named_modules():
        learned, dial = getattr(module, "distribution", None), getattr(module, "dial", None)
        if learned is not None or isinstance(dial, float):
            arc, gate = (NAN, NAN) if learned is None else (_arc(learned), _gate(learned))
            found[name] = {"arc": arc, "gate": gate, "dial": dial if isinstance(dial, float) else NAN}
    return found


def _arc(distribution: Any) -> float:
    arc = distribution.arc_fraction()
    return NAN if arc is None else float(arc)


def _gate(distribution: Any) -> float:
    keep: Tensor = distribution.keep_probabilities().detach()
    return float(keep.mean()) if keep.numel() else NAN


class History:
    """Rows of one run, one per epoch, as plain numbers; `dataset` labels them.

    scalars, result_words  variable -> (long name, units), of one value per epoch and of one value per run.
    """

    scalars: Mapping[str, tuple[str, str]] = SCALARS
    result_words: Mapping[str, tuple[str, str]] = RESULTS

    def __init__(self, rows: list[dict[str, Any]] | None = None, results: dict[str, float] | None = None) -> None:
        self.rows = rows or []
        self.results = results or {}

    def add(self, **row: Any) -> None:
        """Append one epoch: scalars by name, `layers` from `learned_symmetry`, maybe `kernels` from a snapshot."""
        self.rows.append(row)

    def state(self) -> dict[str, Any]:
        """Plain containers for the checkpoint."""
        return {"rows": [dict(row) for row in self.rows], "results": dict(self.results)}

    def dataset(self, attrs: Mapping[str, Any]) -> xr.Dataset:
        """Dims: epoch (1, 2, ...), layer and those of the kernels' snapshots.

        Epochs where the error was not measured hold NaN there.
        """
        import xarray as xr

        epochs = np.asarray([row["epoch"] for row in self.rows], dtype=np.int64)
        layers = list(self.rows[0]["layers"]) if self.rows else []
        coords = {
            "epoch": ("epoch", epochs, {"long_name": "epoch", "units": "1"}),
            "layer": ("layer", np.asarray(layers, dtype=str), {"long_name": "layer", "units": "1"}),
        }
        variables: dict[str, Any] = {}
        for name, (words, units) in self.scalars.items():
            values = np.asarray([row.get(name, NAN) for row in self.rows], dtype=np.float64)
            variables[name] = ("epoch", values, {"long_name": words, "units": units})
        for name, (words, units) in LAYERED.items():
            values = np.asarray([[row["layers"][layer].get(name, NAN) for layer in layers] for row in self.rows])
            values = values.reshape(len(epochs), len(layers)).astype(np.float64)
            variables[name] = (("epoch", "layer"), values, {"long_name": words, "units": units})
        for name, (words, units) in self.result_words.items():
            value = np.float64(self.results.get(name, NAN))
            variables[name] = ((), value, {"long_name": words, "units": units})
        kernels, kernel_coords = as_variables(self.rows)
        return xr.Dataset({**variables, **kernels}, {**coords, **kernel_coords}, dict(attrs))


def parameter_count(model: nn.Module) -> int:
    """Numbers that training may change."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def as_bytes(dataset: xr.Dataset) -> bytes:
    """The dataset as a NetCDF-4 file in memory."""
    import dask

    with dask.config.set(scheduler="synchronous"):  # in a Dask worker xarray would ask the cluster for a lock
        return bytes(dataset.to_netcdf(engine="h5netcdf"))


def from_bytes(content: bytes) -> xr.Dataset:
    """The dataset of a NetCDF-4 file in memory, fully loaded."""
    import io

    import dask
    import xarray as xr

    with dask.config.set(scheduler="synchronous"), xr.open_dataset(io.BytesIO(content), engine="h5netcdf") as opened:
        return opened.load()


def on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies of named tensors that later steps cannot change."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}


def all_finite(tensors: Mapping[str, Tensor]) -> bool:
    """Whether no tensor holds NaN or infinity."""
    return all(bool(torch.isfinite(t).all()) for t in tensors.values() if t.is_floating_point())

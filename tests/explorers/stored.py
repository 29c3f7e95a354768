"""Small run folders with a known history, written without any training."""

from pathlib import Path

import torch

from workbench.layers import group_layers
from workbench.measure.provenance import provenance
from workbench.models import build_model
from workbench.training import Run
from workbench.training.history import History, learned_symmetry, on_cpu
from workbench.training.snapshots import kernel_snapshot

SMALL = {"classes": 2, "widths": [2, 2, 2, 2], "hidden": 4}
EPOCHS = 5


def store_run(data: Path, name: str, model: dict, dataset: str = "6-180", seed: int = 0) -> Run:
    """A run of five epochs: its second group layer shrinks its arc from 1 to 0.6, or its gate; kernels grow evenly."""
    config = {"model": model, "data": {"name": dataset}, "training": {"epochs": EPOCHS}, "seed": seed}
    run = Run.create(data / "runs" / name, config)
    torch.manual_seed(seed)
    network = build_model(run.config["model"]).eval()
    learned = [m.distribution for m in network.modules() if getattr(m, "distribution", None) is not None]
    history = History()
    for epoch in range(1, EPOCHS + 1):
        if learned:
            _shrink(learned[0], (epoch - 1) / (EPOCHS - 1))
        for layer in group_layers(network).values():
            layer.kernels.gain.fill_(epoch / EPOCHS)
        accuracy = 0.5 + 0.1 * epoch
        history.add(
            epoch=epoch,
            layers=learned_symmetry(network),
            train_accuracy=accuracy,
            validation_accuracy=accuracy,
            error=0.1 * epoch if epoch % 2 else float("nan"),
            kernels=kernel_snapshot(network),
        )
    run.save_weights(on_cpu(network.state_dict()))
    attrs = provenance("fit", seed=seed, dtype="float32", input_kind=dataset)
    run.save_history(history.dataset({**attrs, "status": "finished"}))
    return run


def _shrink(distribution: torch.nn.Module, part: float) -> None:
    with torch.no_grad():
        if hasattr(distribution, "theta"):
            distribution.theta.fill_(1 - 0.4 * part)
        else:
            distribution.logit.fill_(1 - part)


def store_runs(data: Path) -> Path:
    """Partial, full, mirrored and plain networks: what the explorers offer in their menus."""
    own = {"name": "partial_gcnn", **SMALL}
    store_run(data, "six_180_partial/seed-0", {**own, "preset": "demo"})
    store_run(data, "six_180_full/seed-0", {**own, "preset": "demo_full"}, seed=1)
    store_run(data, "six_180_plain/seed-0", {"name": "plain_cnn", "classes": 2, "widths": [2, 2, 2, 2]}, seed=2)
    store_run(data, "six_mirror_partial/seed-0", {**own, "preset": "demo_mirror"}, "6-mirror", seed=3)
    return data

"""What finished runs of several families are worth beside their accuracy: error over the circle, cost and time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from workbench.models.symmetrised_cnn import CanonicalCNN
from workbench.training.randomness import own_randomness
from workbench.training.run import Run

if TYPE_CHECKING:
    import xarray as xr

IMAGES, FEW = 64, 8  # of the test split, and in the fast mode
ANGLES = 24  # of the circle, quarter turns among them
ROUNDS = 7


def family_measures(runs: Mapping[tuple[str, int], Path], fast: bool = False) -> xr.Dataset:
    """Error of invariance over the circle, multiply-adds and measured time of trained networks, on the same images.

    Args:
        runs: (experiment, seed) -> the folder of a finished run.
        fast: fewer pictures, angles and rounds.

    Returns:
        `turn_error(experiment, seed, angle_deg)`: mean over test images of the relative change of the logits,
        pictures resampled bicubically between quarter turns; `lattice(angle_deg)`; `multiply_adds(experiment)` of one
        image in evaluation, canonical poses without ties; `evaluation_ms` and `training_ms(experiment, round)`: process
        time of one image in batches of 64, a forward pass, and one with its gradient, rounds interleaved over
        experiments, first seed.
    """
    import xarray as xr

    from workbench.datasets import load
    from workbench.groups import SO2
    from workbench.measure import cost, equivariance_error, labelled, provenance

    names, seeds = list(dict.fromkeys(n for n, _ in runs)), sorted({s for _, s in runs})
    group, models, errors = SO2(), {}, []
    elements = group.grid(4 if fast else ANGLES, dtype=torch.float64)
    counted = []
    for name in names:
        for seed in seeds:
            run = Run(runs[name, seed])
            options = dict(run.config["data"])
            images, labels = load(options.pop("name"), **options).splits["test"]
            model, few = run.model(), images[: FEW if fast else IMAGES]
            found = equivariance_error(model, few, group, elements, output="invariant", input_kind="test images")
            errors.append(found["error_mean"].sel(layer="output").values)
            if seed == seeds[0]:
                models[name] = (model, images[:IMAGES], labels[:IMAGES])
                inner = model.network if isinstance(model, CanonicalCNN) else model
                counted.append(int(cost(inner, (1, *images.shape[1:])).multiply_adds.sum()))
    evaluation, training = _times(models, 2 if fast else ROUNDS)
    over, timed = ("experiment", "seed", "angle_deg"), ("experiment", "round")
    angles = np.degrees(elements[:, 0].numpy())
    return xr.Dataset(
        {
            "turn_error": labelled(over, np.reshape(errors, (len(names), len(seeds), -1)), "change of the logits"),
            "multiply_adds": labelled("experiment", counted, "multiply-adds of one image in evaluation"),
            "evaluation_ms": labelled(timed, evaluation, "process time of one image in evaluation", "ms"),
            "training_ms": labelled(timed, training, "process time of one image with its gradient", "ms"),
        },
        {
            "experiment": labelled("experiment", np.asarray(names, dtype=str), "experiment"),
            "seed": labelled("seed", np.asarray(seeds, dtype=np.int64), "seed"),
            "angle_deg": labelled("angle_deg", angles, "angle", "degree"),
            "lattice": labelled("angle_deg", np.isclose(angles % 90, 0) | np.isclose(angles % 90, 90), "quarter turn"),
            "round": labelled("round", np.arange(evaluation.shape[1]), "round of timing"),
        },
        provenance(
            "family_measures", seed=seeds, dtype="float32", reduction="mean over images", resampler="bicubic",
            input_kind="test images", images=FEW if fast else IMAGES, threads=torch.get_num_threads(),
        ),
    )  # fmt: skip


def _times(models: Mapping[str, tuple[nn.Module, Tensor, Tensor]], rounds: int) -> tuple[np.ndarray, np.ndarray]:
    """Milliseconds of process time per image (experiment, round): in evaluation, and with the gradient."""
    evaluation, training = np.zeros((2, len(models), rounds))
    with own_randomness(0):
        for turn in range(-1, rounds):  # the first warms up
            for at, (model, images, labels) in enumerate(models.values()):
                model.eval()
                with torch.no_grad():
                    begun = time.process_time()
                    model(images)
                    spent = time.process_time() - begun
                model.train()
                begun = time.process_time()
                nn.functional.cross_entropy(model(images), labels).backward()
                with_gradient = time.process_time() - begun
                if turn >= 0:
                    evaluation[at, turn], training[at, turn] = (
                        1e3 * spent / len(images),
                        1e3 * with_gradient / len(images),
                    )
    return evaluation, training

"""What finished runs of several families are worth beside their accuracy: error over the circle, cost and time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from workbench.models._families import EQUAL_SAMPLES, PLACES
from workbench.training.batches import Batches
from workbench.training.objective import own_penalty
from workbench.training.randomness import own_randomness
from workbench.training.run import Run

if TYPE_CHECKING:
    import xarray as xr

    from workbench.datasets import ImageSet

IMAGES, FEW = 64, 8  # of the test split, and in the fast mode
ANGLES = 24  # of the circle, quarter turns among them
ROUNDS = 7
PLACE_OF_RUN = {
    "family": "family", "data_set": "data set", "samples": "training images", "updates": "updates of the weights",
    "view": "what is equal among families",
}  # fmt: skip


def family_measures(runs: Mapping[tuple[str, int], Path], fast: bool = False) -> xr.Dataset:
    """Error of invariance over the circle, multiply-adds and measured time of trained networks, on test images.

    Args:
        runs: (experiment, seed) -> the folder of a finished run.
        fast: fewer pictures, angles and rounds.

    Returns:
        `turn_error(experiment, seed, angle_deg)`: mean over test images of the relative change of the logits,
        pictures resampled bicubically between quarter turns; `lattice(angle_deg)`; `samples_needed(experiment,
        seed)`: see :func:`samples_needed`; `multiply_adds(experiment)` and `activation_bytes(experiment)` of one test
        image in evaluation; `evaluation_ms` and `training_ms(experiment,
        round)`: process time of one image in batches of 64, a forward pass, and a whole update of the weights, rounds
        interleaved over experiments, first seed. Coordinates of each experiment: its `family` and `view` (see
        :mod:`workbench.models._families`), its `data_set`, `samples` (different training images) and `updates`.
    """
    import xarray as xr

    from workbench.groups import SO2
    from workbench.measure import cost, equivariance_error, labelled, provenance

    names, seeds = list(dict.fromkeys(n for n, _ in runs)), sorted({s for _, s in runs})
    elements = SO2().grid(4 if fast else ANGLES, dtype=torch.float64)
    loaded, models, told, errors, right = _loader(), {}, [], [], []
    for name in names:
        for seed in seeds:
            run = Run(runs[name, seed])
            data = loaded(run.config["data"])
            images, labels = data.splits["test"]
            model, few = run.model(), images[: FEW if fast else IMAGES]
            found = equivariance_error(model, few, SO2(), elements, output="invariant", input_kind="test images")
            errors.append(found["error_mean"].sel(layer="output").values)
            right.append(float(run.history()["test_accuracy"].values.flat[-1]))
            if seed == seeds[0]:
                models[name] = (model, images[:IMAGES], labels[:IMAGES])
                whole = cost(model, images[:1]).sum("layer")
                told.append((_place(name, run, data), int(whole.multiply_adds), int(whole.activation_bytes)))
    evaluation, training = _times(models, 2 if fast else ROUNDS)
    over, timed = ("experiment", "seed", "angle_deg"), ("experiment", "round")
    angles = np.degrees(elements[:, 0].numpy())
    places = {key: np.asarray([place[key] for place, _, _ in told]) for key in PLACE_OF_RUN}
    needed = samples_needed(places, np.reshape(right, (len(names), len(seeds))))
    return xr.Dataset(
        {
            "turn_error": labelled(over, np.reshape(errors, (len(names), len(seeds), -1)), "change of the logits"),
            "samples_needed": labelled(("experiment", "seed"), needed, "training images for plain accuracy"),
            "multiply_adds": labelled("experiment", [row[1] for row in told], "multiply-adds of one image"),
            "activation_bytes": labelled("experiment", [row[2] for row in told], "activations of one image", "bytes"),
            "evaluation_ms": labelled(timed, evaluation, "process time of one image in evaluation", "ms"),
            "training_ms": labelled(timed, training, "process time of one image in an update", "ms"),
        },
        {
            "experiment": labelled("experiment", np.asarray(names, dtype=str), "experiment"),
            "seed": labelled("seed", np.asarray(seeds, dtype=np.int64), "seed"),
            "angle_deg": labelled("angle_deg", angles, "angle", "degree"),
            "lattice": labelled("angle_deg", np.isclose(angles % 90, 0) | np.isclose(angles % 90, 90), "quarter turn"),
            "round": labelled("round", np.arange(evaluation.shape[1]), "round of timing"),
            **{key: labelled("experiment", places[key], words) for key, words in PLACE_OF_RUN.items()},
        },
        provenance(
            "family_measures", seed=seeds, dtype="float32", reduction="mean over images", resampler="bicubic",
            input_kind="test images", images=FEW if fast else IMAGES, threads=torch.get_num_threads(),
        ),
    )  # fmt: skip


def samples_needed(places: Mapping[str, np.ndarray], accuracy: np.ndarray) -> np.ndarray:
    """Training images with which each family reaches the mean accuracy of the plain one with all images.

    Read off the line through a family's accuracies over the logarithm of their number, seed by seed; the smallest
    number tried where that is enough, NaN where all are too few or only one number was tried.

    Args:
        places: the coordinates of each experiment, as :func:`family_measures` returns them.
        accuracy: ``(experiment, seed)``.
    """
    from workbench.measure.families import crossing

    needed = np.full(accuracy.shape, np.nan)
    of_all = list(zip(places["data_set"], places["view"], strict=True))
    for kind in dict.fromkeys(of_all):
        here = np.array([at for at, other in enumerate(of_all) if other == kind])
        sizes, families = places["samples"][here], places["family"][here]
        whole = here[(families == "plain") & (sizes == sizes.max())]
        for family in dict.fromkeys(families):
            own = here[families == family]
            own = own[np.argsort(places["samples"][own])]
            if len(own) < 2 or not len(whole):
                continue
            for seed in range(accuracy.shape[1]):
                target = float(accuracy[whole].mean())
                needed[own, seed] = crossing(places["samples"][own], accuracy[own, seed], target)
    return needed


def _place(name: str, run: Run, data: ImageSet) -> dict[str, Any]:
    """Where an experiment stands in the comparison; one that is not of it is a family of its own."""
    family, view = PLACES.get(name, (name, EQUAL_SAMPLES))
    images, labels = data.splits["train"]
    steps = len(Batches(images, labels, batch_size=run.settings.batch_size, seed=0, drop_last=run.settings.drop_last))
    updates = run.settings.epochs * steps
    return {
        "family": family,
        "data_set": data.name,
        "samples": len(images) // run.config["data"].get("repeats", 1),
        "updates": min(updates, run.settings.max_steps or updates),
        "view": view,
    }


def _loader() -> Callable[[Mapping[str, Any]], ImageSet]:
    """Loads each data set once."""
    from workbench.datasets import load

    kept: dict[str, ImageSet] = {}

    def loaded(options: Mapping[str, Any]) -> ImageSet:
        key = json.dumps(options, sort_keys=True)
        if key not in kept:
            kept[key] = load(**options)
        return kept[key]

    return loaded


def _times(models: Mapping[str, tuple[nn.Module, Tensor, Tensor]], rounds: int) -> tuple[np.ndarray, np.ndarray]:
    """Milliseconds of process time per image (experiment, round): in evaluation, and in an update of rate 0."""
    evaluation, training = np.zeros((2, len(models), rounds))
    optimisers = [torch.optim.Adam(model.parameters(), lr=0.0, fused=True) for model, _, _ in models.values()]
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
                optimisers[at].zero_grad()
                (nn.functional.cross_entropy(model(images), labels) + own_penalty(model)).backward()
                optimisers[at].step()
                updated = time.process_time() - begun
                if turn >= 0:
                    evaluation[at, turn], training[at, turn] = 1e3 * spent / len(images), 1e3 * updated / len(images)
    return evaluation, training

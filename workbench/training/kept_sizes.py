"""How accurate the networks of finished runs are on digits of one size, also of sizes that they were not trained on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench.training.evaluation import evaluate
from workbench.training.run import Run

if TYPE_CHECKING:
    import xarray as xr

SCALED = "digits-rotated-scaled"
FACTORS = (0.35, 0.5, 0.7, 1.0, 1.15)
"""Of the test digits; the default training range is 0.5 to 1."""
FEW = 64  # test images in the fast mode


def accuracies_by_size(runs: Mapping[tuple[str, int], Path], fast: bool = False) -> xr.Dataset:
    """Test accuracy with every digit at one scale, turned as in the set itself, standardised as the training images.

    Args:
        runs: (experiment, seed) -> the folder of a finished run.
        fast: few pictures.

    Returns:
        `size_accuracy(experiment, seed, size_factor)`, NaN for runs on other data than rotated and scaled digits.
    """
    import xarray as xr

    from workbench.datasets import load
    from workbench.measure import labelled, provenance

    names, seeds = list(dict.fromkeys(n for n, _ in runs)), sorted({s for _, s in runs})
    found = np.full((len(names), len(seeds), len(FACTORS)), np.nan)
    for (name, seed), path in runs.items():
        run = Run(path)
        options = dict(run.config["data"])
        if options.pop("name") != SCALED:
            continue
        trained, model = load(SCALED, **options), run.model()
        for at, factor in enumerate(FACTORS):
            one_size = load(SCALED, **{**options, "smallest": factor, "largest": factor})
            images, labels = (part[: FEW if fast else None] for part in one_size.splits["test"])
            seen = trained.standardise(one_size.pixels(images))
            found[names.index(name), seeds.index(seed), at] = evaluate(model, seen, labels).accuracy
    return xr.Dataset(
        {
            "size_accuracy": labelled(
                ("experiment", "seed", "size_factor"), found, "test accuracy with all digits at one scale"
            )
        },
        {
            "experiment": labelled("experiment", np.asarray(names, dtype=str), "experiment"),
            "seed": labelled("seed", np.asarray(seeds, dtype=np.int64), "seed"),
            "size_factor": labelled("size_factor", np.asarray(FACTORS), "scale of the test digits"),
        },
        provenance(
            "accuracies_by_size", seed=seeds, dtype="float32", reduction="mean over test images",
            input_kind="digits at one scale each, resampled once from the source",
        ),
    )  # fmt: skip

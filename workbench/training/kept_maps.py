"""How accurate the networks of finished runs are on digits under linear maps that they were not trained on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.training.evaluation import evaluate
from workbench.training.run import Run

if TYPE_CHECKING:
    import xarray as xr

MAPPED = "digits-affine"
MAPS: dict[str, dict[str, float]] = {
    "none": {"turn_deg": 0, "shear": 0, "smallest": 1, "largest": 1},
    "small": {},
    "large": {"turn_deg": 60, "shear": 0.5, "smallest": 0.6},
    "any turn": {"turn_deg": 180, "shear": 0, "smallest": 1, "largest": 1},
}
"""Of the test digits, as :func:`workbench.datasets.affine.affine_digits` takes them; "small" are its own."""
FEW = 64  # test images in the fast mode


def accuracies_by_map(runs: Mapping[tuple[str, int], Path], fast: bool = False) -> xr.Dataset:
    """Test accuracy with every digit under maps of one kind, standardised as the training images.

    Args:
        runs: (experiment, seed) -> the folder of a finished run.
        fast: few pictures.

    Returns:
        `map_accuracy(experiment, seed, maps)`, NaN for runs on other data than digits under linear maps.
    """
    import xarray as xr

    from workbench.datasets import load
    from workbench.measure import labelled, provenance

    names, seeds = list(dict.fromkeys(n for n, _ in runs)), sorted({s for _, s in runs})
    found = np.full((len(names), len(seeds), len(MAPS)), np.nan)
    for (name, seed), path in runs.items():
        run = Run(path)
        options: dict[str, Any] = dict(run.config["data"])
        if options.pop("name") != MAPPED:
            continue
        trained, model = load(MAPPED, **options), run.model()
        kept = {key: value for key, value in options.items() if key not in MAPS["none"]}
        for at, maps in enumerate(MAPS.values()):
            moved = load(MAPPED, **kept, **maps)
            images, labels = (part[: FEW if fast else None] for part in moved.splits["test"])
            seen = trained.standardise(moved.pixels(images))
            found[names.index(name), seeds.index(seed), at] = evaluate(model, seen, labels).accuracy
    what = labelled(("experiment", "seed", "maps"), found, "test accuracy under linear maps of one kind")
    return xr.Dataset(
        {"map_accuracy": what},
        {
            "experiment": labelled("experiment", np.asarray(names, dtype=str), "experiment"),
            "seed": labelled("seed", np.asarray(seeds, dtype=np.int64), "seed"),
            "maps": labelled("maps", np.asarray(list(MAPS), dtype=str), "linear maps of the test digits"),
        },
        provenance(
            "accuracies_by_map", seed=seeds, dtype="float32", reduction="mean over test images",
            input_kind="digits under random linear maps, resampled once from the source",
        ),
    )  # fmt: skip

"""A small study of four families on three data sets, made from formulas, so that tests know every number."""

import json

import numpy as np
import xarray as xr

from workbench.measure.dataset import labelled

FAMILIES = ("plain", "residual pathway", "strict", "test-time averaging")
SETS = ("digits-rotated", "digits-upright", "digits-interval")
SIZES = (100, 200, 400)
SEEDS, ROUNDS = 5, 7
ANGLES = np.arange(0, 360, 30.0)
BASE = {  # percent right with 100 pictures: (rotated, upright, per class)
    "plain": (60, 80, 65), "residual pathway": (66, 80, 75),
    "strict": (74, 60, 60), "test-time averaging": (73, 60, 66),
}  # fmt: skip
AT_QUARTER = {"plain": 0.5, "residual pathway": 0.2, "strict": 1e-7, "test-time averaging": 0.0}
WORK = {"plain": 1e6, "residual pathway": 1e6, "strict": 2e6, "test-time averaging": 4e6}
SPREAD = np.array([-1, -0.5, 0, 0.5, 1])  # points over seeds
PER_DOUBLING = 5  # points
BATCH, UPDATES = 50, 80


def made_study(drop: tuple[tuple[str, str, str, int], ...] = ()) -> xr.Dataset:
    """Equal samples at three sizes on each set, equal compute at the largest; without the experiments in `drop`.

    Accuracy grows by 5 points with each doubling; seeds lie up to one point around it, with the same order everywhere.
    """
    rows = [
        (family, data_set, view, size)
        for data_set in SETS
        for view, sizes in (("equal samples", SIZES), ("equal compute", SIZES[-1:]))
        for size in sizes
        for family in FAMILIES
    ]
    rows = [row for row in rows if row not in drop]
    quarter = ANGLES % 90 == 0
    accuracy = np.array([_right(*row)[:, None] for row in rows])[..., 0] / 100
    error = np.array([np.where(quarter, AT_QUARTER[f], 0.3) * np.ones((SEEDS, 1)) for f, *_ in rows])
    error[..., ANGLES == 0] = 0
    work = np.array([WORK[family] for family, *_ in rows])
    jitter = 1 + 0.01 * (np.arange(ROUNDS) - ROUNDS // 2)
    grid, timed = ("experiment", "seed"), ("experiment", "round")
    config = json.dumps({"training": {"batch_size": BATCH}})
    columns = list(zip(*rows, strict=True))
    return xr.Dataset(
        {
            "test_accuracy": labelled(grid, accuracy, "test accuracy"),
            "validation_accuracy": labelled(grid, accuracy, "validation accuracy"),
            "parameters": labelled(grid, np.full((len(rows), SEEDS), 100.0), "parameters"),
            "turn_error": labelled((*grid, "angle_deg"), error, "change of the logits"),
            "multiply_adds": labelled("experiment", work, "multiply-adds"),
            "evaluation_ms": labelled(timed, work[:, None] / 1e7 * jitter, "time", "ms"),
            "training_ms": labelled(timed, work[:, None] / 5e6 * jitter, "time", "ms"),
        },
        {
            "experiment": labelled("experiment", [" ".join(map(str, row)) for row in rows], "experiment"),
            "seed": labelled("seed", np.arange(SEEDS), "seed"),
            "angle_deg": labelled("angle_deg", ANGLES, "angle", "degree"),
            "lattice": labelled("angle_deg", quarter, "quarter turn"),
            "round": labelled("round", np.arange(ROUNDS), "round"),
            "family": labelled("experiment", columns[0], "family"),
            "data_set": labelled("experiment", columns[1], "data set"),
            "view": labelled("experiment", columns[2], "what is equal"),
            "samples": labelled("experiment", columns[3], "training images"),
            "updates": labelled("experiment", np.full(len(rows), UPDATES), "updates"),
            "config": labelled("experiment", [config] * len(rows), "configuration"),
        },
        {"created_by": "made", "seed": 0, "dtype": "float64"},
    )


def _right(family: str, data_set: str, view: str, size: int) -> np.ndarray:
    """Percent right of each seed."""
    doublings = np.log2(size / SIZES[0])
    more = 2.0 if view == "equal compute" else 0.0
    return BASE[family][SETS.index(data_set)] + PER_DOUBLING * doublings + more + SPREAD

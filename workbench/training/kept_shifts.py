"""What trained networks say of shifted test pictures: a study that reads run folders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench.training.run import Run

if TYPE_CHECKING:
    import xarray as xr

REACH = 3  # pixels
FEW = 32  # test pictures in the fast mode


def kept_consistency(runs: Mapping[tuple[str, int], Path], fast: bool = False) -> xr.Dataset:
    """Consistency of the kept networks under cyclic and real shifts by up to three pixels, on all test pictures.

    Args:
        runs: (experiment, seed) -> the folder of a finished run on the digits.
        fast: fewer pictures.

    Returns:
        `consistency(experiment, seed, kind, reach)` and `worst_accuracy` over the same, as
        :func:`workbench.measure.shifts.shift_consistency` defines them.
    """
    import xarray as xr

    from workbench.datasets import load
    from workbench.datasets.digits import content_size
    from workbench.measure import labelled, provenance
    from workbench.measure.shifts import shift_consistency

    names, seeds = list(dict.fromkeys(n for n, _ in runs)), sorted({s for _, s in runs})
    shape = len(names), len(seeds)
    found: dict[str, np.ndarray] = {}
    for (name, seed), path in runs.items():
        run = Run(path)
        options = dict(run.config["data"])
        images, labels = load(options.pop("name"), **options).splits["test"]
        if fast:
            images, labels = images[:FEW], labels[:FEW]
        margin = (images.shape[-1] - content_size(images.shape[-1])) // 2
        ds = shift_consistency(run.model(), images, labels, reach=REACH, margin=margin)
        for variable in ("consistency", "worst_accuracy"):
            whole = found.setdefault(variable, np.full((*shape, *ds[variable].shape), np.nan))
            whole[names.index(name), seeds.index(seed)] = ds[variable].values
    over = ("experiment", "seed", "kind", "reach")
    return xr.Dataset(
        {name: labelled(over, values, str(ds[name].attrs["long_name"])) for name, values in found.items()},
        {
            "experiment": labelled("experiment", np.asarray(names, dtype=str), "experiment"),
            "seed": labelled("seed", np.asarray(seeds, dtype=np.int64), "seed"),
            **{name: (ds[name].dims, ds[name].values, ds[name].attrs) for name in ("kind", "reach")},
        },
        provenance(
            "kept_consistency", seed=seeds, dtype="float32", resampler="none: whole pixels",
            reduction=ds.attrs["reduction"], input_kind="test images", images=ds.attrs["images"], margin=margin,
        ),
    )  # fmt: skip

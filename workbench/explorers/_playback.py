"""The trainings of relaxed networks that are stored, as what one moment of them looks like."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import xarray as xr

from workbench.explorers._runs import config, history, in_words, run_names, run_path
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance
from workbench.measure.relaxed import drift

LAYER = "layer"
"""The entry of the menu that stands for no run."""
MODEL = "relaxed_cnn"


def relaxed_runs() -> dict[str, str]:
    """Labels and names of the stored runs whose filters can be played back."""
    return dict(_found(run_names()))


@lru_cache(maxsize=8)
def _found(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    fitting = [name for name in names if config(run_path(name))["model"]["name"] == MODEL]
    return tuple((f"training of {in_words(name)}", name) for name in fitting if "kernel" in history(run_path(name)))


@lru_cache(maxsize=16)
def course(path: Path) -> xr.Dataset:
    """What a training left of its dials and filters; shared, do not change it.

    Returns:
        `dial(epoch, layer)`, `filters(snapshot, layer, row, column, y, x)` as shares of the layer's largest weight in
        all of training, `drift(snapshot, layer)` and `snapshot_epoch(snapshot)`.

    Raises:
        ValueError: for a run without filters of relaxed layers.
    """
    past = history(path)
    known = [str(name) for name in past["kernel_layer"].values] if "kernel" in past else []
    names = [str(name) for name in past["layer"].values if name in known]
    if not names or past.sizes.get("kernel_number") != 25 or not np.isfinite(past["dial"]).all():
        raise ValueError(
            f"{path} holds no filters of relaxed layers along its training; expected a run of {MODEL} whose training "
            "has snapshots, such as 'snapshots': 24."
        )
    stored = past["kernel"].transpose("snapshot", "kernel_layer", "kernel_number", "y", "x").values
    filters = np.stack([stored[:, known.index(name)] for name in names], 1).astype(np.float64)
    filters = filters.reshape(*filters.shape[:2], 5, 5, *filters.shape[3:])
    moved = drift(filters)
    largest = np.abs(filters).max(axis=(0, 2, 3, 4, 5), keepdims=True)
    taps = past["kernel_taps"].values[[known.index(name) for name in names]]
    over = ("snapshot", "layer", "row", "column", "y", "x")
    return xr.Dataset(
        {
            "dial": past["dial"].sel(layer=names),
            "filters": labelled(over, filters / np.where(largest > 0, largest, 1), "share of the largest weight"),
            "drift": labelled(("snapshot", "layer"), moved, "change of the filters over a fifth of the image"),
            "taps": labelled("layer", taps, "taps a side"),
        },
        {"snapshot_epoch": labelled("snapshot", past["snapshot_epoch"].values, "epoch of the snapshot")},
    )


def playback(path: Path, share: float, layer: int, show: str = "filter") -> xr.Dataset:
    """One moment of a training, beside its whole course and that of another stored training.

    Args:
        path: the run's folder.
        share: of the training that has passed, from 0 to 1.
        layer: counted from 1; the last one, beyond.
        show: "filter" or "difference" to the middle one.

    Returns:
        `shown(row, column, y, x)`; `dial_course(run, epoch, layer)` and `drift_course(run, snapshot, layer)`, NaN where
        a run is shorter; the scalars `epoch_shown` and `layer_shown`.
    """
    own = course(path)
    paths = [path, *(other for other in map(run_path, relaxed_runs().values()) if other and other != path)][:2]
    courses = [course(one) for one in paths]
    names = [_words(one) for one in paths]
    at = round(share * (own.sizes["snapshot"] - 1))
    which = min(layer, own.sizes["layer"]) - 1
    edge = (own.sizes["y"] - int(own["taps"][which])) // 2
    inside = slice(edge, own.sizes["y"] - edge)
    tiles = own["filters"].values[at, which, :, :, inside, inside]
    middle = (tiles.shape[0] // 2, tiles.shape[1] // 2)
    if show == "difference":
        tiles = tiles - tiles[middle]
    epoch = int(own["snapshot_epoch"].values[at])
    words = {"filter": "at 5 x 5 places", "difference": "differences"}[show]
    return xr.Dataset(
        {
            "shown": labelled(("row", "column", "y", "x"), tiles.astype(np.float32), words),
            "dial_course": labelled(("run", "epoch", "layer"), _aligned(courses, "dial", own), "dial of the layer"),
            "drift_course": labelled(
                ("run", "snapshot", "layer"), _aligned(courses, "drift", own), own["drift"].attrs["long_name"]
            ),
            "epoch_shown": labelled((), epoch, "epoch shown"),
            "layer_shown": labelled((), which + 1, "layer shown"),
        },
        {
            "epoch": labelled("epoch", own["epoch"].values, "epoch"),
            "snapshot_epoch": labelled("snapshot", own["snapshot_epoch"].values, "epoch of the snapshot"),
            "run": labelled("run", np.asarray(names, dtype=str), "training"),
        },
        provenance(
            "playback", seed="as the run", dtype="float32", reduction="root mean square over neighbouring places",
            framed_row=middle[0], framed_column=middle[1],
        ),
    )  # fmt: skip


def _words(path: Path) -> str:
    return path.name.replace("_", " ")


def _aligned(courses: list[xr.Dataset], name: str, own: xr.Dataset) -> np.ndarray:
    """One array `(run, time, layer)`, as long and as deep as the run that is shown."""
    shape = own[name].shape
    found = np.full((len(courses), *shape), np.nan)
    for at, one in enumerate(courses):
        values = one[name].values[: shape[0], : shape[1]]
        found[at, : values.shape[0], : values.shape[1]] = values
    return found

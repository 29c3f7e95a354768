"""How much may a filter change from place to place?"""

from __future__ import annotations

import copy
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import param
import torch
import xarray as xr

from workbench.explorers._explorer import Explorer
from workbench.explorers._playback import LAYER, playback, relaxed_runs
from workbench.explorers._runs import own_run, run_path, with_own
from workbench.kernels import RelaxedKernels
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance
from workbench.measure.relaxed import (
    SHIFT,
    corner,
    filter_atlas,
    orientation_filters,
    oriented,
    relaxed_errors,
    relaxed_matrix,
)
from workbench.views.relaxed import playback_picture, relaxed_picture

SIDE = 7
"""Odd, so that quarter turns of filters as wide as the image are exact."""
SIZE = (SIDE, SIDE)
FEATURES = 128
EXTREMES = ("linear", "equivariant", "invariant")
ORIENTATIONS = {"shifts": 4, "turns": 4, "eighths": 8}
WAY = (0.0, 0.05, 0.12, 0.25, 0.5, 1.0, 2.0)
"""Dials of the dotted ways through the triangle."""
_building = threading.Lock()  # weights are drawn from torch's global generator


class RelaxedExplorer(Explorer):
    """The filters, the matrix and the symmetry of an untrained relaxed layer on a small torus, or a trained one's past.

    >>> ds = RelaxedExplorer(absolute=0).dataset()
    >>> float(ds["equivariance_error"][0]) < 2e-6, float(RelaxedExplorer(relative=0).dataset()["rank"])
    (True, 1.0)
    """

    slug = "relaxed"
    title = "Relaxed filters"
    question = "How much may a filter change from place to place?"
    explanation = (
        "A convolution uses one filter everywhere. Here a small network makes the filter from two things: where the "
        "pixel lies within the filter, and where the answer lies in the image. Two dials say how fast it may change "
        "along each. With the dial of the place at 0 all filters are the same: a convolution, which answers a shifted "
        "picture by a shifted answer. Turn it up and the filters drift apart, until each place does something of its "
        "own: any linear map. With the other dial at 0 each filter is flat, and one as wide as the image no longer "
        "sees where things are. With turns, each pixel has four or eight answers, by one filter in as many "
        "orientations; a third dial lets the filter change from one to the next. Or choose a trained network and go "
        "through its training. After van der Ouderaa and others (2022); the parameterisation is a reconstruction."
    )
    accepts = ("run",)

    run = param.Selector(
        objects={"one layer, untrained": LAYER},
        default=LAYER,
        label="Filters of",
        doc="One untrained layer that the dials below make, or the training of a stored network whose dials learned.",
    )
    moment_percent = param.Number(
        100.0,
        bounds=(0, 100),
        step=1,
        label="Moment of training (percent)",
        doc="Goes back and forth through the training of a stored network: 0 is its first epoch, 100 its last.",
    )
    layer = param.Integer(
        1, bounds=(1, 3), step=1, label="Layer", doc="Whose filters are shown, of a stored network; its last, beyond."
    )
    absolute = param.Number(
        0.1,
        bounds=(0, 2),
        step=0.01,
        label="Dial of the place (cycles across the image)",
        doc="How fast the filter may change with the place of the answer; at 0 it is the same everywhere.",
    )
    relative = param.Number(
        1.0,
        bounds=(0, 2),
        step=0.01,
        label="Dial along the filter (cycles per half width)",
        doc="How fast the weights may change within one filter; at 0 every filter is flat.",
    )
    group = param.Selector(
        objects={
            "shifts": "shifts",
            "shifts and quarter turns, C4": "turns",
            "shifts and eighths of a turn, C8": "eighths",
        },
        default="shifts",
        label="Group",
        doc="Which moves the layer is built for: shifts alone, or also turns, with four or eight orientations of each "
        "filter. Errors are those of shifts and quarter turns: an eighth of a turn moves pixels beside pixels.",
    )
    turning = param.Number(
        0.0,
        bounds=(0, 2),
        step=0.01,
        label="Dial of the rotation (cycles around)",
        doc="How fast the filter may change with the orientation of the answer; at 0 orientations are turned copies. "
        "It matters with turns only, and never to shifts.",
    )
    side = param.Selector(
        objects={"the answer": "output", "what is read": "input"},
        default="output",
        label="The place is that of",
        doc="Whether a filter belongs to the pixel that is answered or to the pixel that is read. The abstract does "
        "not say which the paper takes; the layers here take the answer's.",
    )
    kernel_size = param.Selector(
        objects={"3 x 3": 3, "5 x 5": 5, "whole image": SIDE},
        default=SIDE,
        label="Filter size (pixels)",
        doc="How many pixels a filter covers on this image of 7 x 7, whose borders are joined.",
    )
    show = param.Selector(
        objects={"filters": "filter", "difference to the middle": "difference"},
        default="filter",
        label="Atlas",
        doc="Show the filters themselves, or how each differs from the framed one (or from its turned copy).",
    )
    seed = param.Integer(0, bounds=(0, 50), step=1, label="Seed", doc="Another draw of the random network.")

    def __init__(self, **values: Any) -> None:
        super().__init__()
        self.param.run.objects = self._choices(None)
        self.set(**values)

    def _choices(self, own: Any) -> dict[str, str]:
        return with_own({"one layer, untrained": LAYER, **relaxed_runs()}, own)

    def set_run(self, run: object) -> None:
        """Go through the training of your own network, a `Run` or its folder, in the present place of the menu.

        None takes it away. It must have stored filters of a relaxed layer.
        """
        own = None if run is None else own_run(run, self.run)
        if own is not None:
            playback(own.path, 0, 1)  # refuses one without filters
        self.param.run.objects = self._choices(own)
        self.attach("run", own)

    def compute(self) -> xr.Dataset:
        """Filters at some places, the matrix, both errors and the ways of the dials, or a moment of a training."""
        path = self._path()
        if path is not None:
            return playback(path, self.moment_percent / 100, self.layer, self.show)
        turning = None if self.group == "shifts" else self.turning
        dials, count = (self.absolute, self.relative), ORIENTATIONS[self.group]
        return relaxed_dataset(*dials, self.kernel_size, self.seed, self.show, turning, self.side, count)

    def _path(self) -> Path | None:
        own = self.attached.get("run")
        if own and own.entry == self.run:
            return own.path
        return None if self.run == LAYER else run_path(self.run)

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return playback_picture(ds) if "dial_course" in ds else relaxed_picture(ds)


EXPLORER = RelaxedExplorer


def relaxed_dataset(
    absolute: float,
    relative: float,
    kernel_size: int,
    seed: int,
    show: str = "filter",
    turning: float | None = None,
    side: str = "output",
    orientations: int = 4,
) -> xr.Dataset:
    """Everything the explorer shows of one layer with one channel on a torus of 7 x 7 pixels.

    Args:
        absolute, relative: the dials.
        kernel_size: k taps a side.
        seed: of the layer's weights.
        show: "filter" or "difference", which of the two is `shown`.
        turning: the dial of the rotation, for a layer with orientations; None for one without.
        side: "output" or "input", whose place the filters see.
        orientations: 4 or 8, of a layer with a dial of the rotation.
    """
    kernels = _at(absolute, relative, kernel_size, seed)
    cycles = None if turning is None else _turns(seed)
    matrix = relaxed_matrix(kernels, SIZE, side, turning or 0.0, cycles, orientations)
    found = relaxed_errors(matrix, SIZE)
    about = list(found)
    atlas, words, frame = _atlas(kernels, show, turning, cycles, orientations)
    count = len(matrix)
    rank = float(torch.linalg.matrix_rank(matrix))
    names = {"equivariance_error": "|M T - T M| / |M|, T the moves", "invariance_error": "|M T - M| / |M|"}
    way = _way(absolute, relative, kernel_size, seed, turning, side, orientations)
    return xr.Dataset(
        {
            "shown": labelled(("row", "column", "y", "x"), atlas.astype(np.float32), words),
            "matrix": labelled(("output", "input"), (matrix / matrix.abs().max()).float(), "share of the largest"),
            "share": labelled(("about", "extreme"), [corner(one) for one in found.values()], "share of each extreme"),
            "path": labelled(("about", "dial", "extreme"), way, "share along the dial of each move"),
            **{
                name: labelled("about", [one[name] for one in found.values()], said) for name, said in names.items()
            },
            "rank": labelled((), rank, "rank of the matrix"),
        },
        {
            "output": labelled("output", np.arange(count, dtype=np.int16), "output pixel"),
            "input": labelled("input", np.arange(SIDE * SIDE, dtype=np.int16), "input pixel, row by row"),
            "about": labelled("about", about, "moves"),
            "extreme": labelled("extreme", list(EXTREMES), "extreme"),
            "dial": labelled("dial", list(WAY), "dial of the place, of the rotation, or both"),
        },
        provenance(
            "relaxed_dataset", seed=seed, dtype="float64", padding="circular", reduction="Frobenius norms",
            shift=SHIFT, absolute=absolute, relative=relative, kernel_size=kernel_size, features=FEATURES,
            turning="no orientations" if turning is None else turning, place_of=side, orientations=orientations,
            framed_row=frame[0], framed_column=frame[1],
        ),
    )  # fmt: skip


def _atlas(
    kernels: RelaxedKernels, show: str, turning: float | None, cycles: torch.Tensor | None, orientations: int
) -> tuple[np.ndarray, str, tuple[int, int]]:
    """Tiles `(row, column, y, x)`, what they are, and the framed one: places, or orientations by middle places."""
    what = "Filters" if show == "filter" else "Differences"
    if cycles is None:
        return filter_atlas(kernels, SIZE)[show].values, f"{what} at 5 x 5 places", (2, 2)
    columns = np.linspace(0, SIDE - 1, 5).round().astype(np.int64)
    places = SIDE // 2 * SIDE + columns
    given = kernels, SIZE, turning or 0.0, cycles, orientations
    tiles = orientation_filters(*given)[:, places].numpy()
    largest = np.abs(tiles).max() or 1.0
    if show == "difference":
        tiles = tiles - orientation_filters(*given, 0)[:, places[2:3]].numpy()
    return tiles / largest, f"{what}, {orientations} orientations", (0, 2)


@lru_cache(maxsize=64)
def _kernels(kernel_size: int, seed: int) -> RelaxedKernels:
    """Seeded weights; shared, do not turn its dials."""
    with _building, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        kernels = RelaxedKernels(1, 1, kernel_size, features=FEATURES, learned=())
    return kernels.double().eval().requires_grad_(False)


@lru_cache(maxsize=64)
def _turns(seed: int) -> torch.Tensor:
    """How each feature sees the absolute rotation; do not change it."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(FEATURES, 2, generator=draw, dtype=torch.float64)


def _at(absolute: float, relative: float, kernel_size: int, seed: int) -> RelaxedKernels:
    """The same weights behind dials of its own; ten times as fast as a deep copy."""
    kernels = copy.copy(_kernels(kernel_size, seed))
    kernels._parameters = dict(kernels._parameters)
    for name, value in (("absolute", absolute), ("relative", relative), ("phase", kernels.phase)):
        kept = value if isinstance(value, torch.Tensor) else kernels.phase.new_tensor(value)
        kernels._parameters[name] = torch.nn.Parameter(kept.clone(), requires_grad=False)
    return kernels


@lru_cache(maxsize=64)
def _way(
    absolute: float, relative: float, kernel_size: int, seed: int, turning: float | None, side: str, orientations: int
) -> np.ndarray:
    """Shares of the extremes at each dial of the ways `(about, dial, extreme)`; shared, do not change them.

    For shifts the dial of the place goes its way, for quarter turns that of the rotation, for both moves both dials;
    the other stays where it is.
    """
    fixed = relative, kernel_size, seed, side, orientations

    def shares(about: str, place: float, rotation: float | None) -> np.ndarray:
        return _corner(about, place, rotation, *fixed)

    if turning is None:
        return np.array([[shares("shifts", dial, None) for dial in WAY]])
    ways = {
        "shifts": [(dial, turning) for dial in WAY],
        "quarter turns": [(absolute, dial) for dial in WAY],
        "both": [(dial, dial) for dial in WAY],
    }
    return np.array([[shares(about, *dials) for dials in way] for about, way in ways.items()])


@lru_cache(maxsize=512)
def _corner(
    about: str, absolute: float, turning: float | None, relative: float, kernel_size: int, seed: int, side: str,
    orientations: int,
) -> np.ndarray:  # fmt: skip
    """Shares of the extremes for one kind of move; shared: most points of the ways stay while one dial moves."""
    cycles = None if turning is None else _turns(seed)
    kernels = _at(absolute, relative, kernel_size, seed)
    mixed = _oriented(turning, relative, kernel_size, seed, orientations)
    matrix = relaxed_matrix(kernels, SIZE, side, turning or 0.0, cycles, orientations, mixed)
    return corner(relaxed_errors(matrix, SIZE, only=about)[about])


@lru_cache(maxsize=64)
def _oriented(turning: float | None, relative: float, kernel_size: int, seed: int, orientations: int) -> torch.Tensor:
    """The same for every dial of the place; shared, do not change it."""
    cycles = None if turning is None else _turns(seed)
    return oriented(_at(0.0, relative, kernel_size, seed), turning or 0.0, cycles, orientations)

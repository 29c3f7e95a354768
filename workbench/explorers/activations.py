"""Which non-linearity may stand behind which kind of features?"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import param
import torch
import xarray as xr

from workbench.explorers._explorer import Explorer
from workbench.measure.activations import (
    ACTIVATIONS,
    activation_check,
    regular_representation,
    rotation_representation,
    sampled_error,
)
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance
from workbench.views.activations import activations_picture

FREQUENCIES = 2
NUMBERS = (3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64)
SHOWN = ("relu", "tanh", "silu", "cube")
TURNS_DEG = (17.0, 55.0, 103.0, 131.0, 169.0)
"""Generic turns for the curves: none is a whole step of few points."""
SAMPLES = 64
FIXED = {
    "scalar": torch.ones(1, 1, 1, dtype=torch.float64),
    "regular, C(4)": regular_representation(4),
    "sign of a mirror": -torch.ones(1, 1, 1, dtype=torch.float64),
    "uneven swap": torch.tensor([[[0.0, 2.0], [0.5, 0.0]]], dtype=torch.float64),
}
"""Rows with moves of their own, and their matrices."""
TURNED = {"vector": 1, "frequency 2": 2}
"""Rows that are turned by the slider, and their frequencies."""


class ActivationsExplorer(Explorer):
    """Representations against activations: the error of each pair, what the table allows, and the remedy by samples.

    >>> ds = ActivationsExplorer(angle_deg=90).dataset()
    >>> vectors = ds.sel(representation="vector")
    >>> [bool(vectors["legal"].sel(activation=name)) for name in ("tanh", "relu")]
    [True, False]
    """

    slug = "activations"
    title = "Activations"
    question = "Which non-linearity may stand behind which kind of features?"
    explanation = (
        "When a picture is turned, the numbers of a feature are moved by a matrix. A non-linearity bends each "
        "number by itself, and that is harmless only if bending first and moving then gives the same as the "
        "other way round. Each cell shows how far it is from that; a tick says that the rule of its row "
        "allows it. Where numbers only change places, anything is allowed; where signs change, too, odd "
        "functions are; where sizes change and no sign, what only scales along, as ReLU does; and where a "
        "turn mixes numbers, as it does with the two numbers of a vector, nothing but multiples. Turn by 90 "
        "degrees and tanh seems to be fine: that is a trap, because a quarter turn mixes nothing. The remedy "
        "is to read the feature as a signal on the circle, to bend it at some points, and to go back. The "
        "curves show what is left at turns between whole steps of those points: it falls fast for a smooth "
        "function and slowly for one with a kink."
    )

    angle_deg = param.Number(
        30.0,
        bounds=(0, 180),
        step=1,
        label="Turn the features (degrees)",
        doc="The rotation that the last three rows are asked about; the other rows have moves of their own.",
    )
    n = param.Integer(
        8,
        bounds=(NUMBERS[0], NUMBERS[-1]),
        step=1,
        label="Samples on the circle",
        doc="On how many points of the circle the last row bends its signal; turns by whole steps of them are exact.",
    )

    def compute(self) -> xr.Dataset:
        """The error of every pair, the verdicts, and the remedy at every number of samples."""
        return activations_dataset(self.angle_deg, self.n)

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return activations_picture(ds)


EXPLORER = ActivationsExplorer


def activations_dataset(angle_deg: float, n: int) -> xr.Dataset:
    """What the explorer shows at one turn and number of samples.

    Args:
        angle_deg: of the rows "vector", "frequency 2" and "on samples".
        n: points of the circle, for the last row.

    Returns:
        `error(representation, activation)`: see :func:`workbench.measure.activations.activation_check`, largest over
        elements, and in the row "on samples" :func:`workbench.measure.activations.sampled_error`;
        `legal(representation, activation)`: the verdict of the table, False in the last row, of which it says nothing;
        `kind(representation)`: which row of the table holds; `curve(shown, number)`: error on so many samples at
        generic turns; `here(shown)`: the same at this turn and n.
    """
    turn = torch.tensor([math.radians(angle_deg)], dtype=torch.float64)
    rows = {name: _checked(name, angle_deg if name in TURNED else None) for name in (*FIXED, *TURNED)}
    last = sampled_error([n], turn, frequencies=FREQUENCIES, samples=SAMPLES)["error"]
    errors = np.stack([*(error for error, _, _ in rows.values()), last.values[:, 0]])
    verdicts = np.stack([*(legal for _, legal, _ in rows.values()), np.zeros(len(ACTIVATIONS), dtype=bool)])
    kinds = [*(kind for _, _, kind in rows.values()), f"0 to {FREQUENCIES}, on {n} points"]
    pair = ("representation", "activation")
    return xr.Dataset(
        {
            "error": labelled(pair, errors, "error"),
            "legal": labelled(pair, verdicts, "allowed by the table"),
            "kind": labelled("representation", np.asarray(kinds), "kind of the matrices"),
            "curve": labelled(("shown", "number"), _curves(), "error on samples"),
            "here": labelled("shown", last.sel(activation=list(SHOWN)).values[:, 0], "error at this turn"),
        },
        {
            "representation": labelled("representation", [*rows, "on samples"], "features"),
            "activation": labelled("activation", list(ACTIVATIONS), "non-linearity"),
            "shown": labelled("shown", list(SHOWN), "non-linearity"),
            "number": labelled("number", np.asarray(NUMBERS), "samples on the circle"),
        },
        provenance(
            "activations_dataset", seed=0, dtype="float64", reduction="maximum over random vectors and elements",
            input_kind="random vectors and signals", angle_deg=float(angle_deg), n=n, samples=SAMPLES,
            turns_deg=TURNS_DEG,
        ),
    )  # fmt: skip


@lru_cache(maxsize=32)
def _checked(name: str, angle_deg: float | None) -> tuple[np.ndarray, np.ndarray, str]:
    """Largest errors and verdicts of every activation in one row, and which row of the table holds."""
    turn = torch.tensor([math.radians(angle_deg or 0.0)], dtype=torch.float64)
    matrices = rotation_representation(turn, TURNED[name]) if name in TURNED else FIXED[name]
    ds = activation_check(matrices, samples=SAMPLES)
    return ds["error"].values.max(1), ds["legal"].values, str(ds.attrs["representation"])


@lru_cache(maxsize=1)
def _curves() -> np.ndarray:
    """The error of each shown activation at each number of samples, at the generic turns."""
    turns = torch.tensor(TURNS_DEG, dtype=torch.float64).deg2rad()
    shown = {name: ACTIVATIONS[name] for name in SHOWN}
    return sampled_error(NUMBERS, turns, shown, frequencies=FREQUENCIES, samples=SAMPLES)["error"].values

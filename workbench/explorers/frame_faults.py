"""How common are molecules without axes?"""

from __future__ import annotations

from typing import Any

import numpy as np
import param
import xarray as xr

from workbench.explorers._explorer import Explorer
from workbench.explorers.seeds import load
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance
from workbench.views.frames import faults_picture

METHOD = "symmetrised_potential"
SHOWN = ("gap", "pose_left", "answer", "slope")
FELT = 1e-3
"""From which share of the bare network's on the pose counts as felt."""


class FrameFaultsExplorer(Explorer):
    """Molecules at rest by the gap of their principal axes, a jump, and slopes: the stored study of random networks.

    >>> ds = FrameFaultsExplorer(smallest_gap=-3).dataset()
    >>> int(ds["without"]), ds.sizes["species"]
    (72, 148)
    """

    slug = "frame_faults"
    title = "Molecules without axes"
    question = "How common are molecules without axes?"
    explanation = (
        "Principal axes make any network of points symmetric, where a molecule has them: where no two are equally "
        "long. Left, each dot is a molecule of the G2 set at rest: the gap between its axes, and how much of the pose "
        "is left in the answer of a network that is averaged over frames, in single precision. Middle: the answer "
        "for ethanol while one axis is stretched past another. Right: the length of the gradient where a gap was "
        "made so small. Networks are random, one line or median each."
    )

    smallest_gap = param.Number(
        -3.0, bounds=(-8.0, -1.0), step=0.25, label="Smallest gap, log10",
        doc="Molecules whose gap is below ten to the power of this count as having no axes.",
    )  # fmt: skip

    def compute(self) -> xr.Dataset:
        """Read the stored study, and count."""
        return faults_dataset(load(METHOD), 10**self.smallest_gap)

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return faults_picture(ds)


EXPLORER = FrameFaultsExplorer


def faults_dataset(claims: xr.Dataset, smallest: float) -> xr.Dataset:
    """The stored study with a count of molecules whose gap is below the smallest one.

    Args:
        claims: as :func:`workbench.training.frame_faults.frame_faults` returns them, and more.
        smallest: gap of the eigenvalues, as a share of their sum.

    Returns:
        `gap`, `pose_left`, `answer` and `slope` as stored; `smallest_gap`; `without`, how many molecules lie below it,
        and `felt`, in how many of these the median network still has the pose in its answer.
    """
    below = claims["gap"].values < smallest
    felt = np.median(claims["pose_left"].transpose("species", "draw").values, 1) > FELT
    found = claims[list(SHOWN)].reset_coords(drop=True)
    found["smallest_gap"] = labelled((), smallest, "smallest gap that counts as axes")
    found["without"] = labelled((), int(below.sum()), "molecules without axes")
    found["felt"] = labelled((), int((below & felt).sum()), "of these, pose felt in the answer")
    return found.assign_attrs(
        provenance(
            "faults_dataset", seed=list(claims["draw"].values), dtype="float32 and float64", reduction="none",
            input_kind="relaxed G2 molecules, random networks", felt_from=FELT,
        )
    )  # fmt: skip

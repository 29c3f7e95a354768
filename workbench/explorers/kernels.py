"""What does one kernel look like from every orientation?"""

from __future__ import annotations

import copy
import math
import threading
from functools import lru_cache
from typing import Any

import numpy as np
import param
import torch
import xarray as xr

from workbench.explorers._explorer import Explorer
from workbench.groups import SO2
from workbench.kernels import KernelBank, KernelSpec, disc_mask, make_network, tap_offsets
from workbench.layers import GroupConv
from workbench.measure.dataset import labelled
from workbench.measure.kernels import kernels, spectrum
from workbench.measure.provenance import provenance
from workbench.views.kernels import film_strip

HIDDEN = 32
FINE = 33
"""Points a side at which the function behind the taps is drawn."""
COURSE = 181
"""Relative rotations at which the centre weight is drawn."""
CENTRE = 3
_building = threading.Lock()  # weights are drawn from torch's global generator


class KernelExplorer(Explorer):
    """All kernels of one group convolution, made by a small network of the coordinates, and what its choices change.

    >>> ds = KernelExplorer(n=4).dataset()
    >>> bool((ds["kernel"][1, 1] == ds["kernel"][0, 0].values[::-1].T[::-1, ::-1]).all())
    True
    """

    slug = "kernels"
    title = "Kernels"
    question = "What does one kernel look like from every orientation?"
    explanation = (
        "A group convolution needs one kernel for every pair of output and input orientation. It does not store them: "
        "a small network gives a weight for every place and every relative rotation, and the kernels are read from it. "
        "Each row of the strip is an output orientation. Follow the framed tile down the rows: it is the same kernel, "
        "turned by one step and moved one column further. That is what makes the layer equivariant, and it holds for "
        "every network, frequency and seed. What the sliders change is how finely the function wiggles: beyond half a "
        "cycle per pixel a turned copy no longer carries the same information, and the error between the exact angles "
        "grows."
    )

    network = param.Selector(
        objects={"SIREN": "siren", "Fourier": "fourier", "Gabor": "gabor", "MAGNet": "magnet"},
        default="siren",
        label="Network",
        doc="Which small network makes the weights: sines of sines (SIREN), products of sines (Fourier), or "
        "products of sines under bell curves of one width (Gabor) or of several (MAGNet).",
    )
    omega0 = param.Number(
        10.0,
        bounds=(1, 60),
        step=1,
        label="Frequency (radians per half width)",
        doc="How fast the network's sines vary across the kernel. Small: smooth kernels. Large: kernels that change "
        "from pixel to pixel, which turned copies cannot follow.",
    )
    n = param.Integer(
        8,
        bounds=(1, 16),
        step=1,
        label="Orientations",
        doc="The number of rotations the layer works with. Where it is divisible by 4, quarter turns are exact.",
    )
    kernel_size = param.Selector(
        objects={"5 x 5": 5, "7 x 7": 7, "9 x 9": 9, "13 x 13": 13},
        default=9,
        label="Kernel size (pixels)",
        doc="How many pixels the kernel covers; only a disc of them is used, so that every orientation has the same.",
    )
    encoding = param.Selector(
        objects={"periodic": "periodic", "raw": "raw"},
        default="periodic",
        label="Encoding of the relative rotation",
        doc="How the network is told the relative rotation: as a point on a circle, or as a bare number, which jumps "
        "at 0 degrees although 0 and 360 are the same rotation.",
    )
    follow_deg = param.Number(
        0.0,
        bounds=(-180, 180),
        step=1,
        label="Follow the relative rotation (degrees)",
        doc="Frames the tiles that belong to this difference between input and output orientation (the nearest one).",
    )
    seed = param.Integer(0, bounds=(0, 50), step=1, label="Seed", doc="Another draw of the network's random weights.")

    def compute(self) -> xr.Dataset:
        """Every kernel of a one-channel layer, the function behind it, its spectrum and its course in angle."""
        spec = KernelSpec(network=self.network, hidden=HIDDEN, omega0=self.omega0, encoding=self.encoding)
        return kernel_dataset(spec, self.kernel_size, self.seed, self.n, self.follow_deg)

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return film_strip(ds)


EXPLORER = KernelExplorer


@lru_cache(maxsize=8)
def _template(kernel_size: int, encoding: str) -> GroupConv:
    """A one-channel layer to put networks into; building one anew would calibrate its gain for 20 ms."""
    return GroupConv(1, 1, kernel_size, group="SO2", bias=False, kernel=KernelSpec(hidden=4, encoding=encoding))


@lru_cache(maxsize=64)
def _layer(spec: KernelSpec, kernel_size: int, seed: int) -> tuple[GroupConv, KernelBank, KernelBank]:
    """A one-channel layer with seeded weights, and its function read at many points and about the centre; shared."""
    with _building, torch.random.fork_rng(devices=[]):
        layer = copy.deepcopy(_template(kernel_size, spec.encoding))
        torch.manual_seed(seed)
        layer.kernels.network = make_network(spec, layer.kernels.coordinate_dim, 1)
    layer.kernels.spec = spec
    layer.eval().requires_grad_(False)
    return layer, _read_at(layer.kernels, FINE), _read_at(layer.kernels, CENTRE)


def _read_at(bank: KernelBank, kernel_size: int) -> KernelBank:
    """The same network read at other taps across the same disc."""
    other = copy.deepcopy(bank)
    other.kernel_size = kernel_size
    other.taps = tap_offsets(kernel_size)[disc_mask(kernel_size)] / ((kernel_size - 1) / 2)
    return other


def kernel_dataset(spec: KernelSpec, kernel_size: int, seed: int, n: int, follow_deg: float) -> xr.Dataset:
    """The kernels of a one-channel layer for every pair of orientations, and three looks at one of them.

    Args:
        spec: the coordinate network.
        kernel_size: k taps a side.
        seed: of its random weights.
        n: rotations on both sides.
        follow_deg: the relative rotation, taken to the nearest on the grid, whose tiles are pointed out.

    Returns:
        `kernel(g_out, g_in, y, x)` as shares of the largest weight, `copy_column(g_out)`,
        `surface(fine_y, fine_x)`, `weight(relative_angle_deg)`, `power(frequency)` and the scalar `limit`.
    """
    _, fine, _ = _layer(spec, kernel_size, seed)
    group, grid = SO2(), SO2().grid(n)
    nearest = grid[group.distance(grid, torch.tensor([math.radians(follow_deg)])).argmin()]
    ds = _every_orientation(spec, kernel_size, seed, n)
    copies = group.distance(group.product(grid, nearest)[:, None], grid[None]).argmin(-1)
    with torch.inference_mode():
        surface = fine(group.identity()[None], nearest[None])[0, 0, 0, 0].view(FINE, FINE)
    return ds.assign(
        copy_column=labelled("g_out", copies.to(torch.int16), "column of the kernel that is followed"),
        surface=labelled(("fine_y", "fine_x"), surface / ds.attrs["largest_weight"], "Behind the framed tile"),
    )


@lru_cache(maxsize=16)
def _every_orientation(spec: KernelSpec, kernel_size: int, seed: int, n: int) -> xr.Dataset:
    """What does not depend on the tile that is followed; shared, do not change it."""
    layer, _, centre = _layer(spec, kernel_size, seed)
    measured = kernels(layer, n)
    around = torch.linspace(-math.pi, math.pi, COURSE)[:, None]
    with torch.inference_mode():
        course = centre(SO2().identity()[None], around)[0, 0, 0, :, CENTRE**2 // 2] * COURSE
    one_orientation = spectrum(measured.isel(g_out=[0]))  # the others are turned copies with the same spectrum
    one_orientation["power"].attrs["long_name"] = "Power by frequency"
    ds = measured.isel(channel_out=0, channel_in=0, drop=True)
    largest = float(np.abs(ds["kernel"].values).max()) or 1.0
    ds["kernel"] = (ds["kernel"] / largest).assign_attrs(ds["kernel"].attrs)
    ds["kernel"].attrs["long_name"] = "A kernel for every pair of orientations"
    line = torch.linspace(-1, 1, FINE)
    given = {f"kernel_{name}": value for name, value in spec.asdict().items()}
    return ds.assign(
        power=one_orientation["power"],
        weight=labelled("relative_angle_deg", course / largest, "Weight at the centre"),
        limit=labelled((), 1.0, "end of the colour scale, a share of the largest weight"),
        fine_y=labelled("fine_y", -line, "up, in half kernel widths"),
        fine_x=labelled("fine_x", line, "right, in half kernel widths"),
        relative_angle_deg=labelled("relative_angle_deg", torch.rad2deg(around[:, 0]), "relative rotation", "degrees"),
    ).assign_attrs(
        provenance(
            "kernel_dataset", seed=seed, dtype="float32", reduction="weights as a share of the largest",
            largest_weight=largest, n=n, group="SO2", **given,
        )
    )  # fmt: skip

"""What does one kernel look like from every orientation?"""

from __future__ import annotations

import math
import threading
from functools import lru_cache
from typing import Any

import param
import torch
import xarray as xr

from workbench.explorers._explorer import Explorer
from workbench.groups import SO2
from workbench.kernels import KernelBank, KernelSpec
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance
from workbench.views.kernels import film_strip

HIDDEN = 32
FINE = 41
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


@lru_cache(maxsize=64)
def _banks(spec: KernelSpec, kernel_size: int, seed: int) -> tuple[KernelBank, KernelBank, KernelBank]:
    """One random network read at the taps, at many points, and about the centre; shared, do not train them."""
    with _building, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        banks = [KernelBank(1, 1, size, SO2(), spec, lifting=False) for size in (kernel_size, FINE, CENTRE)]
    for bank in banks:
        bank.load_state_dict(banks[0].state_dict())
        bank.eval().requires_grad_(False)
    return banks[0], banks[1], banks[2]


def kernel_dataset(spec: KernelSpec, kernel_size: int, seed: int, n: int, follow_deg: float) -> xr.Dataset:
    """The kernels k(h^-1 x, h^-1 h') of a one-channel layer over output rotation, input rotation and place.

    Args:
        spec: the coordinate network.
        kernel_size: k taps a side.
        seed: of its random weights.
        n: rotations on both sides.
        follow_deg: the relative rotation, taken to the nearest on the grid, whose tiles are pointed out.

    Returns:
        `kernel(g_out, g_in, y, x)` without the layer's mean over inputs, `copy_column(g_out)`,
        `surface(fine_y, fine_x)`, `weight(relative_angle_deg)`, `power(frequency)` and the scalar `limit`.
    """
    taps, fine, centre = _banks(spec, kernel_size, seed)
    group = SO2()
    grid = group.grid(n)
    around = torch.linspace(-math.pi, math.pi, COURSE)[:, None]
    nearest = grid[group.distance(grid, torch.tensor([math.radians(follow_deg)])).argmin()]
    with torch.inference_mode():
        kernel = taps(grid, grid, uniform=True)[0, :, 0].unflatten(-1, (kernel_size, kernel_size)) * n
        surface = fine(group.identity()[None], nearest[None])[0, 0, 0, 0].view(FINE, FINE)
        course = centre(group.identity()[None], around)[0, 0, 0, :, CENTRE**2 // 2] * COURSE
    copies = group.distance(group.product(grid, nearest)[:, None], grid[None]).argmin(-1)
    angles = torch.rad2deg(grid[:, 0])
    line = torch.linspace(-1, 1, FINE)
    ds = xr.Dataset(
        {
            "kernel": labelled(("g_out", "g_in", "y", "x"), kernel, "A kernel for every pair of orientations"),
            "copy_column": labelled("g_out", copies.to(torch.int16), "column of the kernel that is followed"),
            "surface": labelled(("fine_y", "fine_x"), surface, "The function behind the framed tile"),
            "weight": labelled("relative_angle_deg", course, "Centre weight, once around"),
            "limit": labelled((), _limit(float(kernel.abs().quantile(0.99))), "end of the colour scale"),
        },
        coords={
            "angle_out_deg": labelled("g_out", angles, "output orientation", "degrees"),
            "angle_in_deg": labelled("g_in", angles, "input orientation", "degrees"),
            "fine_y": labelled("fine_y", -line, "up, in half kernel widths"),
            "fine_x": labelled("fine_x", line, "right, in half kernel widths"),
            "relative_angle_deg": labelled(
                "relative_angle_deg", torch.rad2deg(around[:, 0]), "relative rotation", "degrees"
            ),
        },
    )
    given = {f"kernel_{name}": value for name, value in spec.asdict().items()}
    return ds.assign_attrs(provenance("kernel_dataset", seed=seed, dtype="float32", padding="none", **given))


def _limit(largest: float) -> float:
    """The next round number above the largest weight: the scale stays put while a slider moves a little."""
    power = 10.0 ** math.floor(math.log10(max(largest, 1e-12)))
    return next(step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * power >= largest)

"""What does one kernel look like from every orientation?"""

from __future__ import annotations

import copy
import math
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

import param
import torch
import xarray as xr

from workbench.explorers import _read_kernels as read
from workbench.explorers._explorer import Explorer
from workbench.explorers._read_kernels import CENTRE, COURSE, FINE, read_at
from workbench.explorers._runs import own_run, run_choices, shown_run, trained_model, with_own
from workbench.groups import SO2
from workbench.kernels import KernelBank, KernelSpec, make_network
from workbench.layers import GroupConv
from workbench.measure.planar_kernels import planar_kernels
from workbench.measure.provenance import provenance
from workbench.views.kernels import film_strip

HIDDEN = 32
NETWORK = "network"
"""The entry of the menu of runs that shows one untrained kernel network, made by the controls below."""
_building = threading.Lock()  # weights are drawn from torch's global generator


class KernelExplorer(Explorer):
    """All kernels of one convolution, of an untrained kernel network or of any trained run, and what is told by them.

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
        "grows. Choose a trained network to see what training made of it, layer by layer: its kernels, how symmetric "
        "each is by itself, and numbers that tell trained kernels from random and from dead ones."
    )
    accepts = ("run",)

    run = param.Selector(
        objects={"one kernel network, untrained": NETWORK},
        default=NETWORK,
        label="Kernels of",
        doc="An untrained kernel network that the controls below make, or any layer of a trained network.",
    )
    layer = param.Integer(
        1,
        bounds=(1, 2),
        step=1,
        label="Layer",
        doc="Which convolution of a trained network is shown; its last, beyond.",
    )
    channel_out = param.Integer(
        1,
        bounds=(1, 2),
        step=1,
        label="Output channel",
        doc="Which output the kernel belongs to, in a trained network; the last one, beyond.",
    )
    channel_in = param.Integer(
        1,
        bounds=(1, 2),
        step=1,
        label="Input channel",
        doc="Which input the kernel reads, in a trained network; the last one, beyond.",
    )
    look = param.Selector(
        objects={
            "the function behind a kernel": "function",
            "turned and mirrored copies": "copies",
            "three numbers for every layer": "numbers",
            "what the first layer looks for": "first",
        },
        default="function",
        label="Beside the kernels",
        doc="What the three panels on the right tell about these kernels.",
    )

    network = param.Selector(
        objects={"SIREN": "siren", "Fourier": "fourier", "Gabor": "gabor", "MAGNet": "magnet"},
        default="siren",
        label="Network",
        doc="Which small network makes the weights, where it is untrained: sines of sines (SIREN), products of sines "
        "(Fourier), or products of sines under bell curves of one width (Gabor) or of several (MAGNet).",
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
        doc="The number of rotations (or scalings) the layer works with, where its group is free in it. Where it is "
        "divisible by 4, quarter turns are exact.",
    )
    kernel_size = param.Selector(
        objects={"5 x 5": 5, "7 x 7": 7, "9 x 9": 9, "13 x 13": 13},
        default=9,
        label="Kernel size (pixels)",
        doc="How many pixels the untrained kernel covers; only a disc of them is used, so that every orientation has "
        "the same.",
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

    def __init__(self, **values: Any) -> None:
        super().__init__()
        self.param.run.objects = self._choices(None)
        self.param.watch(self._fit, ["run", "layer"], onlychanged=False)
        self.set(**values)

    def _choices(self, own: Any) -> dict[str, str]:
        return with_own({"one kernel network, untrained": NETWORK, **run_choices()}, own)

    def set_run(self, run: object) -> None:
        """Show a network you trained, a `Run` or its folder, in the present place of the menu; None takes it away."""
        own = None if run is None else own_run(run, self.run)
        self.param.run.objects = self._choices(own)
        self.attach("run", own)
        self._fit()

    def _shown(self) -> tuple[str, Path | None]:
        own = self.attached.get("run")
        if self.run == NETWORK and not (own and own.entry == NETWORK):
            return NETWORK, None
        return shown_run(self.run, own)

    def _fit(self, *_: Any) -> None:
        """As many positions of the sliders of layers and channels as there are; two where there is one."""
        name, path = self._shown()
        counts = {"layer": 1, "channel_out": 1, "channel_in": 1}
        if name != NETWORK:
            names = read.layers(path)
            counts["layer"] = len(names)
            counts["channel_out"], counts["channel_in"] = read.channels(path, names[min(self.layer, len(names)) - 1])
        with self._one_notice():
            for control, count in counts.items():
                most = max(2, count)
                self.param[control].bounds = (1, max(most, getattr(self, control)))
                if getattr(self, control) > most:
                    setattr(self, control, most)
                self.param[control].bounds = (1, most)

    def compute(self) -> xr.Dataset:
        """The kernels of one channel pair, and what the chosen panels tell."""
        name, path = self._shown()
        if name == NETWORK:
            spec = KernelSpec(network=self.network, hidden=HIDDEN, omega0=self.omega0, encoding=self.encoding)
            return kernel_dataset(spec, self.kernel_size, self.seed, self.n, self.follow_deg, self.look)
        ds = run_dataset(path, self.layer, (self.channel_out, self.channel_in), self.n, self.follow_deg, self.look)
        return ds.assign_attrs(run=name)

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return film_strip(ds, self.look)


EXPLORER = KernelExplorer


def run_dataset(
    path: Path | None, layer: int, channels: tuple[int, int], n: int, follow_deg: float, look: str = "function"
) -> xr.Dataset:
    """The kernels of one channel pair of a layer of a trained network, and one look at them.

    Args:
        path: the run's folder, None for the demonstration network with random weights.
        layer: counted from 1; the last one, beyond.
        channels: output and input, counted from 1; the last one, beyond.
        n: elements of the layer, where its group is free in it.
        follow_deg: the relative rotation, taken to the nearest, whose tiles are pointed out.
        look: one of `workbench.views.kernels.LOOKS`.
    """
    names = read.layers(path)
    name = names[min(layer, len(names)) - 1]
    ds = read.layer_kernels(path, name, n)
    sizes = ds.sizes["channel_out"], ds.sizes["channel_in"]
    pair = min(channels[0], sizes[0]) - 1, min(channels[1], sizes[1]) - 1
    found, place = read.strip(ds, *pair, follow_deg)
    if look in ("function", "copies"):
        found = found.assign(read.bands(ds, pair, place))
    if look == "function":
        found = found.assign(read.function_behind(ds, trained_model(path).get_submodule(name), pair, place))
    if look == "copies" or (look == "function" and "weight" not in found):
        found = found.assign(read.symmetry(ds, pair, place))
    if look == "numbers":
        found = found.merge(read.network_quality(path), combine_attrs="drop_conflicts")
    if look == "first" and (first := read.network_first_layer(path)) is not None:
        found = found.merge(first.rename(y="patch_y", x="patch_x"), combine_attrs="drop_conflicts")
    told = provenance("run_dataset", seed="as the run", dtype="float32", reduction="weights as a share of the largest")
    return found.assign_attrs(told, layer_shown=name, channel_out=pair[0] + 1, channel_in=pair[1] + 1, n=n)


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
    return layer, read_at(layer.kernels, FINE), read_at(layer.kernels, CENTRE)


def kernel_dataset(
    spec: KernelSpec, kernel_size: int, seed: int, n: int, follow_deg: float, look: str = "function"
) -> xr.Dataset:
    """The kernels of an untrained one-channel layer for every pair of orientations, and one look at them.

    Args:
        spec: the coordinate network.
        kernel_size: k taps a side.
        seed: of its random weights.
        n: rotations on both sides.
        follow_deg: the relative rotation, taken to the nearest on the grid, whose tiles are pointed out.
        look: one of `workbench.views.kernels.LOOKS`.

    Returns:
        `kernel(g_out, g_in, y, x)` as shares of the largest weight, `copy_column(g_out)` and the scalar `limit`; for
        the look "function" `surface(fine_y, fine_x)`, `weight(relative_angle_deg)` and `power(frequency)`.
    """
    _, fine, _ = _layer(spec, kernel_size, seed)
    whole = _every_orientation(spec, kernel_size, seed, n)
    ds, place = read.strip(whole, 0, 0, follow_deg)
    largest = ds.attrs["largest_weight"]
    if look in ("function", "copies"):
        ds = ds.assign(read.bands(whole, (0, 0), place))
    if look == "function":
        with torch.inference_mode():
            nearest = SO2().grid(n)[place[1]]
            ds = ds.assign(
                read.surface(fine(SO2().identity()[None], nearest[None])[0, 0, 0, 0].view(FINE, FINE) / largest)
            )
        ds = ds.assign(_course(spec, kernel_size, seed, largest))
    if look == "copies":
        ds = ds.assign(read.symmetry(whole, (0, 0), place))
    if look == "numbers":
        ds = ds.merge(_quality(spec, kernel_size, seed, n), combine_attrs="drop_conflicts")
    given = {f"kernel_{name}": value for name, value in spec.asdict().items()}
    told = provenance(
        "kernel_dataset", seed=seed, dtype="float32", reduction="weights as a share of the largest", n=n, group="SO2",
        **given,
    )  # fmt: skip
    return ds.assign_attrs(told)


@lru_cache(maxsize=16)
def _every_orientation(spec: KernelSpec, kernel_size: int, seed: int, n: int) -> xr.Dataset:
    """Every kernel of the layer; shared, do not change it."""
    return planar_kernels(_layer(spec, kernel_size, seed)[0], n)


@lru_cache(maxsize=16)
def _quality(spec: KernelSpec, kernel_size: int, seed: int, n: int) -> xr.Dataset:
    return read.quality({"the layer": _every_orientation(spec, kernel_size, seed, n)})


def _course(spec: KernelSpec, kernel_size: int, seed: int, largest: float) -> dict:
    _, _, centre = _layer(spec, kernel_size, seed)
    around = torch.linspace(-math.pi, math.pi, COURSE)[:, None]
    with torch.inference_mode():
        values = centre(SO2().identity()[None], around)[0, 0, 0, :, CENTRE**2 // 2] * COURSE
    return read.course(values / largest, around)

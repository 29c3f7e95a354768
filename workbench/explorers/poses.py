"""Where do a layer's answers go when the picture turns and grows?"""

from __future__ import annotations

import math
import threading
import warnings
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import param
import torch
import xarray as xr
from torch import Tensor

from workbench.actions import smooth
from workbench.explorers._explorer import Explorer
from workbench.explorers._pictures import PICTURES, own_picture, pictures
from workbench.explorers._shown_layers import FACTORS, WHOLE, ShownConv, ShownLifting
from workbench.groups import GroupSignal, RotationScale
from workbench.kernels import FACTORISATIONS, OF_SIMILARITIES, KernelSpec
from workbench.kernels.faults import RELEASED, TRANSPOSED, VIEWED, put_fault
from workbench.layers import GroupReLU
from workbench.measure.dataset import labelled
from workbench.measure.poses import AROUND, drawn, pose_error, pose_map
from workbench.views.poses import pose_picture

SEVEN = (WHOLE, *FACTORISATIONS, *OF_SIMILARITIES)
CHANNELS = 2
SPEC = KernelSpec(hidden=8)
SAMPLES, SOURCE_SIZE, BLUR_PX = 4, 16, 1.0
SHARE = 0.55
"""Of the frame that the source of a picture takes at factor 1, so that it fills the frame near the largest factor."""
GREY = 0.15
"""Taken from every picture, ground and all: about the mean of the digits, so that layers see pictures about 0."""
COARSE = (0, 5, 45, 85, 90, 180, 270, 360)
NONE, AS_RELEASED = "none", "released"
_building = threading.Lock()  # weights are drawn from torch's global generator


class PosesExplorer(Explorer):
    """Answers at every angle and scale of a lifting and one group layer, and errors of all factorisations.

    >>> ds = PosesExplorer().at(coarse=True).dataset()
    >>> bool(ds["error_mean"].where(ds["lattice"], drop=True).max() < 2e-6)
    True
    """

    slug = "poses"
    title = "Poses"
    question = "Where do a layer's answers go when the picture turns and grows?"
    explanation = (
        "A layer over rotations and scalings answers at a list of poses: every angle at every size. The two maps show "
        "what it says in the middle of the picture, at each pose. Turn the picture, and the map should move sideways, "
        "out at one side and in at the other; enlarge it, and the map should move up, as one piece. The "
        "dotted frame holds the answers that are in the list before and after; the cross says where the strongest of "
        "them should be, the disc where it is. Angles come round again, sizes do not: what moves past the last size is "
        "gone, and what comes in at the other end was not there before. Below, how "
        "far each of the seven kernels of the paper is from this, at every angle and at every step of size. "
        "The released code has two mistakes in five of them; put them in, and the error at 90 degrees, which should be "
        "rounding alone, shows them. Nothing is resampled: pictures are drawn anew at every pose."
    )
    heavy = True
    accepts = ("image",)

    picture = param.Selector(
        objects=PICTURES, default="6", label="Picture", doc="What is turned and enlarged: a digit or a letter."
    )
    angle_deg = param.Number(
        90.0, bounds=(0, 360), step=1, label="Turn the picture (degrees)", doc="Counter-clockwise, about the middle."
    )
    enlarged = param.Number(
        1.15,
        bounds=(0.5, 2),
        step=0.01,
        label="Enlarge the picture (times)",
        doc="About the middle; below 1 it shrinks. The steps of the list are marked in the lowest curve.",
    )
    layer = param.Selector(
        objects={"the lifting": 0, "the group layer": 1},
        default=0,
        label="Maps of",
        doc="Whose answers are mapped: the first layer's, which sees the picture alone, or the group layer's behind "
        "it, which reads neighbours in the list.",
    )
    factorisation = param.Selector(
        objects=FACTORS
        | {"angle x scale x plane": "separable+2d", "angle x scale x plane, every channel": "gseparable+2d"},
        default="separable",
        label="Factors",
        doc="Which product the kernels of the group layer are made of; the maps and the thick curves are its own.",
    )
    fault = param.Selector(
        objects={
            "none": NONE,
            "grid of pixels transposed": TRANSPOSED,
            "window over scales read in a wrong order": VIEWED,
            "as in the released code": AS_RELEASED,
        },
        default=NONE,
        label="Mistake",
        doc="Two mistakes of the released code, put into each group layer that has a place for them; the last choice "
        "puts each where the released code has it: the first in two factorisations, the second in three.",
    )
    n = param.Integer(
        8, bounds=(4, 8), step=1, label="Rotations", doc="Of the list. Exact at quarter turns where 4 divides it."
    )
    scales = param.Integer(5, bounds=(3, 7), step=1, label="Scales", doc="How many sizes the list has.")
    largest = param.Number(
        1.74,
        bounds=(1.2, 2.5),
        step=0.02,
        label="Largest scale",
        doc="The factor between the smallest and the largest size of the list.",
    )
    kernel_size = param.Selector(
        objects={"7 x 7": 7, "11 x 11": 11, "15 x 15": 15},
        default=15,
        label="Kernel size (pixels)",
        doc="How many pixels the largest filter covers; frame and picture grow with it.",
    )
    seed = param.Integer(0, bounds=(0, 50), step=1, label="Seed", doc="Another draw of the layers' random weights.")

    def set_image(self, image: object) -> None:
        """Turn and enlarge your own picture: an array (H, W), or the bytes or path of a file; None removes it."""
        self.attach("image", None if image is None else own_picture(image, SOURCE_SIZE))

    def compute(self) -> xr.Dataset:
        """Both maps, where the strongest answer should be and is, and the errors of all factorisations."""
        source, shown = self._source()
        curves = self._curves(source)
        size = 2 * self.kernel_size - 1
        pose = torch.tensor([[0.0, 1.0], [math.radians(self.angle_deg), self.enlarged]])
        both = drawn(source[:1], pose, size, SHARE * size)[:, 0]
        with torch.no_grad():
            signal = (
                self._layer(self.factorisation)(_lifted(self._lifting(), both))
                if self.layer
                else (self._lifting()(both - GREY))
            )
        maps = described(pose_map(signal), signal, self.angle_deg, self.enlarged, self.layer)
        still = labelled(("y", "x"), both[1, 0], "Picture as the layer gets it")
        ds = curves.assign({"picture": still, **maps})
        attrs = {
            "fault": self.fault,
            "shown": self.factorisation,
            "showing": shown and f"showing {len(source)} {shown}",
        }
        return ds.assign_attrs(attrs)

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return pose_picture(ds)

    def _source(self) -> tuple[Tensor, str]:
        """Pictures `(B, 1, h, h)`, blurred, and of how many they are the first, in words; one while a control moves."""
        own = self.attached.get("image")
        if own is None:
            chosen, of = pictures(self.picture, SOURCE_SIZE, SAMPLES)
            said = f"of {of} test pictures"
        else:
            chosen, said = torch.from_numpy(own.copy())[None, None], ""
        return smooth(chosen[:1] if self.coarse else chosen, BLUR_PX), said

    def _curves(self, source: Tensor) -> xr.Dataset:
        """Errors of all layers, the chosen one first, or where these are not yet known and a control moves its own."""
        names = ("picture", "fault", "n", "scales", "largest", "kernel_size", "seed")
        key = ("curves", self._revision, *(getattr(self, name) for name in names))
        kept = self._results.get(key)
        if kept is None and self.coarse:
            key = (*key, self.factorisation)
            kept = self._results.get(key)
        if kept is None:
            lifting, size = self._lifting(), 2 * self.kernel_size - 1
            factors = lifting.elements()[:: self.n, 1]
            kept = pose_error(
                {name: self._layer(name) for name in ((self.factorisation,) if self.coarse else SEVEN)},
                source, size, SHARE * size, factors, first=lambda images: _lifted(lifting, images),
                angles_deg=COARSE if self.coarse else AROUND, most_steps=1 if self.coarse else None,
                input_kind="test pictures", seed=self.seed, progress=self.tell_progress, cancel=self.cancel,
            )  # fmt: skip
            self._results.put(key, kept)
        if kept.sizes["model"] < len(SEVEN):
            return kept
        first = SEVEN.index(self.factorisation)
        return kept.isel(model=[first, *(at for at in range(len(SEVEN)) if at != first)])

    def _lifting(self) -> ShownLifting:
        return _lifting(self.n, self.scales, round(self.largest, 6), self.kernel_size, self.seed)

    def _layer(self, name: str) -> ShownConv:
        fault = RELEASED.get(name, NONE) if self.fault == AS_RELEASED else self.fault
        return _layer(name, fault, self.n, self.scales, round(self.largest, 6), self.kernel_size, self.seed)


EXPLORER = PosesExplorer


def described(
    answers: Tensor, signal: GroupSignal, angle_deg: float, enlarged: float, missing: int = 0
) -> dict[str, Any]:
    """Variables of both maps, of the channel that varies most, and where its strongest answer should be and is.

    Args:
        answers: to the picture as it is and as it is moved, ``(2, C, M, n)``.
        signal: whose elements they belong to.
        angle_deg, enlarged: how the picture is moved.
        missing: so many scales at both ends of the list lack a neighbour.

    Returns:
        `upright(scale, angle)` and `moved` as shares of the largest, coordinates, and scalars: the rows of the list
        `block_low` to `block_high` of `upright` whose answers are in the list before and after, to be found
        `block_steps` higher in `moved`, and the strongest of them by its pose before, and after as expected and found;
        NaN where none is left.
    """
    answers = answers.cpu()
    rows, count = answers.shape[2:]
    angles = np.round(np.rad2deg(signal.elements[:count, 0].double().numpy()) % 360, 3)
    factors = signal.elements[::count, 1].double().numpy()
    steps = math.log(enlarged) / math.log(factors[-1] / factors[0]) * (rows - 1)
    low, high = max(missing, missing - steps), min(rows - 1 - missing, rows - 1 - missing - steps)
    channel = int(answers[0, :, missing : rows - missing].flatten(1).std(1).argmax())
    upright, moved = answers[0, channel], answers[1, channel]
    most = float(upright.abs().max()) or 1.0
    poses = {name: (math.nan, math.nan) for name in ("start", "found", "expected")}
    before, after = _within(upright, low, high), _within(moved, low + steps, high + steps)
    if before and after:
        (row, column), (found_row, found_column) = before, after
        poses["start"], poses["found"] = (angles[column], factors[row]), (angles[found_column], factors[found_row])
        poses["expected"] = (angles[column] + angle_deg) % 360, factors[row] * enlarged
    words = {
        "start": "strongest that stays, before",
        "found": "strongest that stayed",
        "expected": "where it should be",
    }
    over = ("scale", "angle")
    return {
        "upright": labelled(over, (upright / most).float(), "Answers to it upright"),
        "moved": labelled(over, (moved / most).float(), "Answers to it as shown"),
        "pose_angle_deg": labelled("angle", angles, "angle of the pose", "degrees"),
        "pose_factor": labelled("scale", factors, "scale of the pose"),
        "angle_shown_deg": labelled((), float(angle_deg), "input turned by", "degrees"),
        "factor_shown": labelled((), float(enlarged), "input enlarged by"),
        "block_low": labelled((), low, "first place in the list that stays in it", "steps"),
        "block_high": labelled((), high, "last place in the list that stays in it", "steps"),
        "block_steps": labelled((), steps, "steps that answers move", "steps"),
        **{
            f"{name}_deg": labelled((), float(at), f"{words[name]}: angle", "degrees")
            for name, (at, _) in poses.items()
        },
        **{f"{name}_factor": labelled((), float(at), f"{words[name]}: scale") for name, (_, at) in poses.items()},
    }


def _within(values: Tensor, low: float, high: float) -> tuple[int, int] | None:
    """Row and column of the largest value of a map in rows from low to high, half a row more on both sides."""
    first, last = max(math.ceil(low - 0.5), 0), min(math.floor(high + 0.5), len(values) - 1)
    if first > last or low > high + 0.5:
        return None
    row, column = divmod(int(values[first : last + 1].argmax()), values.shape[1])
    return row + first, column


def _lifted(lifting: ShownLifting, images: Tensor) -> GroupSignal:
    """What the group layers get. It is not said to be even: then each kernel is evaluated by itself, as released."""
    signal = GroupReLU()(lifting(images - GREY))
    return replace(signal, uniform=False)


def _options(n: int, scales: int, largest: float) -> dict[str, Any]:
    group = RotationScale(largest)
    return {"group": group, "n": n, "stretches": scales, "padding": "valid", "bias": False, "kernel": SPEC}


@lru_cache(maxsize=32)
def _lifting(n: int, scales: int, largest: float, kernel_size: int, seed: int) -> ShownLifting:
    """With seeded weights; shared, do not change it."""
    with _building, torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of small kernels: what they cost is what is shown
        torch.manual_seed(seed)
        made = ShownLifting(1, CHANNELS, kernel_size, **_options(n, scales, largest))
    return made.eval().requires_grad_(False)


@lru_cache(maxsize=64)
def _layer(name: str, fault: str, n: int, scales: int, largest: float, kernel_size: int, seed: int) -> ShownConv:
    """With seeded weights and the fault where it has a place; shared, do not change it."""
    with _building, torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        torch.manual_seed(seed + 1000)  # other weights than the lifting's
        options = _options(n, scales, largest)
        made = ShownConv(CHANNELS, CHANNELS, kernel_size, factorisation=name, **options)
    if fault != NONE:
        put_fault(made.kernels, fault)
    return made.eval().requires_grad_(False)

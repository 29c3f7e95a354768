"""Does a layer with a stride follow a picture that moves by a pixel?"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any

import numpy as np
import param
import torch
import xarray as xr
from torch import Tensor, nn

from workbench.explorers._explorer import Explorer
from workbench.explorers._pictures import PICTURES, own_picture, picture
from workbench.layers.anchoring import PolyphaseAnchor, anchors
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance
from workbench.measure.shifts import best_alignment, each_shifted
from workbench.views.anchoring import anchoring_picture

SIZE, MARGIN = 16, 2
REACH = 7  # pixels
CHANNELS = 4
NEIGHBOURS = ("2", "4", "6")
LAYERS = ("plain", "anchored")
_building = threading.Lock()  # weights are drawn from torch's global generator


class AnchoredExplorer(Explorer):
    """The answers of one strided convolution, with and without an anchor, to a picture and to the picture moved.

    >>> ds = AnchoredExplorer(right_px=1).dataset()
    >>> [bool(error < 1e-6) for error in ds["error"].sel(layer=["anchored", "plain"]).values]
    [True, False]
    """

    slug = "anchored_cnn"
    title = "Shifts and strides"
    question = "Does a layer with a stride follow a picture that moves by a pixel?"
    explanation = (
        "A layer with a stride looks at the picture on a coarse grid only, every second pixel or every fourth. Move "
        "the picture by one pixel and the grid stays where it is: the layer looks at other pixels and says "
        "something else. "
        "An anchor chooses the grid by the picture: of all the places it could have, the one on which the picture is "
        "strongest. That grid moves along with the picture, and so does the answer, up to a whole step of the grid. "
        "The dots show both grids. The error is what is left when the answer to the moved picture is laid on the "
        "answer to the still one as well as it can be. Only where pixels come back on the other side is it rounding; "
        "where the picture is a window on a larger page, pixels get lost and others come in, and no grid helps. "
        "Nor does it where two grids are equally strong, as on the letter F with the widest stride: that is a tie."
    )
    accepts = ("image",)

    right_px = param.Integer(
        1,
        bounds=(-REACH, REACH),
        step=1,
        label="Shift to the right (pixels)",
        doc="How far the picture moves sideways.",
    )
    up_px = param.Integer(
        0, bounds=(-REACH, REACH), step=1, label="Shift upwards (pixels)", doc="How far the picture moves up or down."
    )
    stride = param.Selector(
        objects={"2 pixels": 2, "4 pixels": 4, "8 pixels": 8},
        default=4,
        label="Stride",
        doc="How far the points of the coarse grid lie apart; at 1 there would be nothing to break.",
    )
    kind = param.Selector(
        objects={"cyclic: back on the other side": "cyclic", "real: a window on a page": "real"},
        default="cyclic",
        label="Pixels that leave",
        doc="What comes in on one side for the pixels that leave on the other.",
    )
    picture = param.Selector(
        objects=PICTURES, default="6", label="Picture", doc="What is moved: handwritten digits or letters of a font."
    )
    filter_seed = param.Integer(
        0, bounds=(0, 50), step=1, label="Filter", doc="Other random filters; what you see holds for every one."
    )

    def compute(self) -> xr.Dataset:
        """Both pictures, both answers of both layers, and the error at every shift along the row."""
        given = self.attached.get("image")
        own = None if given is None else torch.from_numpy(own_picture(given, SIZE))[None, None]
        first = picture(self.picture, SIZE) if own is None else own
        return anchored_dataset(
            first, self.right_px, self.up_px, int(self.stride), self.kind, self.filter_seed, self.picture
        )

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return anchoring_picture(ds)


EXPLORER = AnchoredExplorer


def anchored_dataset(
    first: Tensor, right_px: int, up_px: int, stride: int, kind: str, seed: int, name: str = "6"
) -> xr.Dataset:
    """What the explorer shows of one picture ``(1, 1, H, W)``.

    Args:
        first: the picture.
        right_px, up_px: its shift.
        stride: of both layers, whose kernels are one pixel wider.
        kind: "cyclic" or "real"; then other pictures stand around it on a page.
        seed: of the filters.
        name: of the picture, for the provenance.

    Returns:
        `picture(state, y, x)` in the states "still" and "moved"; `grid_row`, `grid_column` (state, layer): where the
        grid of each layer begins; `answer(layer, state, channel, v, u)`, maps of the still and the moved picture;
        `error(layer)`: least relative distance of the two maps over all cyclic shifts of one; `error_along(layer,
        shift_px)`: the same for every shift to the right at this shift upwards; `worst(layer)`: the largest of all
        shifts of the window.
    """
    others = torch.cat([picture(one, SIZE) for one in NEIGHBOURS])
    scene = torch.cat([first, others, others, others])[:9]
    reach = range(-REACH, REACH + 1)
    shifts = [(right, up) for up in reach for right in reach]
    window = torch.cat([one[:1] for one in each_shifted(scene, shifts, kind, MARGIN)])
    at = (up_px + REACH) * len(reach) + right_px + REACH
    states = torch.cat([first, window[at : at + 1]])
    errors, maps = [], []
    conv = _layer(stride, seed)
    begin = torch.stack([torch.zeros(2, 2, dtype=torch.long), anchors(states, stride)], 1)
    with torch.no_grad():
        for anchor in (nn.Identity(), PolyphaseAnchor(stride)):
            still, moved = conv(anchor(first)), conv(anchor(window))
            errors.append(best_alignment(moved, still).reshape(len(reach), len(reach)))
            maps.append(torch.stack([still[0], moved[at]]))
    error, answer = torch.stack(errors), torch.stack(maps)
    over = ("layer", "state", "channel", "v", "u")
    return xr.Dataset(
        {
            "picture": labelled(("state", "y", "x"), states[:, 0], "The picture"),
            "grid_row": labelled(("state", "layer"), begin[..., 0], "first row of the grid", "pixels"),
            "grid_column": labelled(("state", "layer"), begin[..., 1], "first column of the grid", "pixels"),
            "answer": labelled(over, answer / float(answer.abs().max().clamp_min(1e-12)), "answer"),
            "error": labelled("layer", error[:, up_px + REACH, right_px + REACH], "relative error, best alignment"),
            "error_along": labelled(("layer", "shift_px"), error[:, up_px + REACH], "relative error, best alignment"),
            "worst": labelled("layer", error.flatten(1).amax(1), "largest error of the window"),
        },
        {
            "layer": labelled("layer", list(LAYERS), "layer"),
            "state": labelled("state", ["still", "moved"], "picture"),
            "shift_px": labelled("shift_px", np.array(reach), "shift to the right", "pixels"),
        },
        provenance(
            "anchored_dataset", seed=seed, dtype="float32", resampler="none: whole pixels", padding="circular",
            reduction="least over cyclic shifts of the map", input_kind=name, right_px=right_px, up_px=up_px,
            stride=stride, kind=kind, reach_px=REACH, margin_px=MARGIN,
        ),
    )  # fmt: skip


@lru_cache(maxsize=8)
def _layer(stride: int, seed: int) -> nn.Conv2d:
    """One convolution with that stride and circular padding, its filters drawn from the seed; shared."""
    with _building, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        k = stride + 1
        conv = nn.Conv2d(1, CHANNELS, k, stride=stride, padding=k // 2, padding_mode="circular", bias=False)
    return conv.eval().requires_grad_(False)

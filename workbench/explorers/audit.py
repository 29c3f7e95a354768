"""Which symmetry does a network have, where does it lose it, and how does it stand beside others?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import param
import xarray as xr
from torch import Tensor, nn

from workbench.explorers._both_ways import both_ways, sweep
from workbench.explorers._explorer import Explorer
from workbench.explorers._glance import glance
from workbench.explorers._moves import MOST_PX, MOVES, Move, parts
from workbench.explorers._networks import OwnModel, ordinary, own_model, shuffled, stages, stored
from workbench.explorers._pictures import PICTURES, own_picture, seen
from workbench.explorers._runs import image_set, preferred, run_choices, run_path
from workbench.groups import O2
from workbench.layers import group_layers
from workbench.measure import labelled
from workbench.measure.probe import OUTPUT
from workbench.views.audit import audit_picture

ORDINARY, RESNET = "resnet18", "ResNet-18"
NOTHING, THREE, DISORDER = "nothing", "three", "disorder"
SAMPLES = 4
RESAMPLER = "bicubic"
MOST_OWN = 3


class AuditExplorer(Explorer):
    """Several networks' errors on one axis, one of them opened up: pictures, curve, and where the error comes in.

    >>> ds = AuditExplorer(network="untrained", beside="nothing").at(coarse=True).dataset()
    >>> bool(ds["error_mean"].where(ds["lattice"], drop=True).max() < 1e-5)
    True
    """

    slug = "audit"
    title = "Audit"
    question = "Which symmetry does a network have, and where does it lose it?"
    explanation = (
        "The pictures show one move: the picture as it is and moved, what the network says both ways, and what is left "
        "between the two. The curves show the size of that rest at every place of the orbit, for several networks on "
        "one axis. At the dots the move takes pixels exactly onto pixels, so all that is left is the network's own; "
        "between them the grey floors say what guessing between pixels costs without any network. The bars below open "
        "up the first network. Left: how much of the error at the end each of its parts brings in, at exact moves; the "
        "bars add up to the whole, and one that points left takes some back. Right: how fast the ways part behind each "
        "part when the picture has hardly moved. Bring your own network; nothing here needs one of ours."
    )
    heavy = True
    accepts = ("image", "model", "models")

    network = param.Selector(
        objects={"untrained, random weights": "untrained"}, default="untrained", label="Network",
        doc="The network that is opened up. The ResNet-18 is an ordinary one from a file, its weights are random.",
    )  # fmt: skip
    beside = param.Selector(
        objects={"three of different kind": THREE, "itself in disorder": DISORDER, "nothing": NOTHING},
        default=THREE, label="Beside it",
        doc="What is drawn on the same axis: a plain, a group and a residual network; a control that should fail, the "
        "same kernels in disorder; or nothing.",
    )  # fmt: skip
    group = param.Selector(
        objects={"turned": "turns", "turned, then flipped": "flips", "shifted to the right": "shifts"},
        default="turns", label="The picture is", doc="The group whose moves the network is asked about.",
    )  # fmt: skip
    angle_deg = param.Number(
        30.0, bounds=(0, 360), step=1, label="Turn the picture (degrees)",
        doc="The turn that is shown, and the dotted line in the curves; not used for shifts.",
    )  # fmt: skip
    shift_px = param.Number(
        1.0, bounds=(0, MOST_PX), step=0.25, label="Shift the picture (pixels)",
        doc="The shift to the right that is shown where the picture is shifted; what leaves the frame is lost.",
    )  # fmt: skip
    depth = param.Selector(
        objects={"the answer": 0, "the first layer": 1, "a quarter of the way": 2, "half way": 3,
                 "three quarters of the way": 4, "the last layer": 5},
        default=0, label="Compared behind",
        doc="Where both ways are compared: at the end, or behind a convolution at that depth of each network. "
        "Layers on rotations alone cannot be flipped; there it is the end.",
    )  # fmt: skip
    sigma_px = param.Number(
        1.0, bounds=(0, 3), step=0.1, label="Smoothness of the picture (pixels)",
        doc="Blurs the picture first. The smoother it is, the less moving it costs, and both floors fall.",
    )  # fmt: skip
    log = param.Boolean(
        True, label="Logarithmic axis", doc="Shows powers of ten, so that exact moves are seen as what they are."
    )
    picture = param.Selector(
        objects=PICTURES, default="6", label="Picture", doc="What is moved: handwritten digits or letters."
    )

    def __init__(self, **values: Any) -> None:
        super().__init__()
        runs = run_choices()
        self.param.network.objects = {f"ordinary {RESNET}, random weights": ORDINARY, **runs}
        self.network = preferred(runs, "rotated_plain")
        self.set(**values)

    def set_image(self, image: object) -> None:
        """Move your own picture: an array (H, W), or the bytes or path of an image file; None takes it away."""
        self.attach("image", None if image is None else own_picture(image, 64))

    def set_model(self, model: object, size: int | None = None) -> None:
        """Open up your own torch module on images (B, C, H, W); None takes it away. It is left exactly as found.

        Args:
            model: a module; its channels are those of its first convolution.
            size: H = W of the images it is shown; tried where not given.
        """
        self.attach("model", None if model is None else own_model(model, size))

    def add_model(self, name: str, model: nn.Module, size: int | None = None) -> None:
        """Draw the error of one more of your own torch modules beside, under that name."""
        self.set_models({**self.attached.get("models", {}), name: own_model(model, size)})

    def set_models(self, models: Mapping[str, nn.Module | OwnModel] | None) -> None:
        """Draw the errors of your own torch modules beside, by name; None takes them away.

        Raises:
            ValueError, TypeError: more than three, or one that takes no images; then nothing changes.
        """
        given = dict(models or {})
        if len(given) > MOST_OWN:
            raise ValueError(f"{len(given)} models were given; expected at most {MOST_OWN}; more cannot be told apart.")
        own = {str(name): one if isinstance(one, OwnModel) else own_model(one) for name, one in given.items()}
        self.attach("models", own or None)

    def compute(self) -> xr.Dataset:
        """The curves of all networks, both ways of the move that is shown, and at rest the parts of the first."""
        own: OwnModel | None = self.attached.get("model")
        first = own or _named(self.network)
        move = MOVES[self.group]
        where = _layer(first, self.depth, move)
        images, shown = self._images(first, None if own else self.network)
        element, place = self._element(move)
        ds, ways = self._both(first, where, images, element)
        if "scores" in ways:
            classes = image_set(_path(self.network)).classes
            count = len(ways["scores"][1][0])
            named = not own and self.network != ORDINARY and len(classes) == count
            ways["score"] = labelled("score", list(classes) if named else [str(at) for at in range(count)], "class")
        showing = shown and f"showing {ds.attrs['samples']} {shown}"
        ds = ds.assign({**ways, "upright_map": labelled(("input_y", "input_x"), images[0, 0], "Picture"), **place})
        ds.attrs |= {"showing": showing, "network": "your own model" if own else self.network}
        opened = self._parts(first, images, move)
        return ds if opened is None else ds.merge(opened)

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return audit_picture(ds, log=self.log)

    def _images(self, one: OwnModel, name: str | None) -> tuple[Tensor, str]:
        data, given = image_set(_path(name or ORDINARY)), self.attached.get("image")
        return seen(self.picture, given, one.channels, one.size, data, SAMPLES, self.sigma_px)

    def _element(self, move: Move) -> tuple[Tensor, dict[str, Any]]:
        """The move that is shown, and the place of the cursor."""
        if move.along == "shift_x_px":
            shown = labelled((), self.shift_px, "input shifted right by", "pixels")
            return move.orbit((self.shift_px,))[0], {"shown": shown}
        shown = labelled((), self.angle_deg, "input turned by", "degrees")
        return move.orbit((self.angle_deg,))[0], {"angle_shown_deg": shown}

    def _both(self, first: OwnModel, where: str, images: Tensor, element: Tensor) -> tuple[xr.Dataset, dict[str, Any]]:
        """The curves where they are kept, or at rest the sweep, or a glance while a control moves; and the maps."""
        state = tuple(getattr(self, name) for name in ("network", "beside", "group", "depth", "sigma_px", "picture"))
        key, move = ("curves", self._revision, *state), MOVES[self.group]
        kept = self._results.get((*key, False)) or (self._results.get((*key, True)) if self.coarse else None)
        if kept is None and self.coarse:
            kept, ways = glance(
                first.module, images[:1], where, move.group, move.orbit(move.coarse), element, along=move.along,
                places=move.coarse, name=self._words(), resampler=RESAMPLER, form="relative", words=move.words,
            )  # fmt: skip
            kept = _worded(kept, move)
            self._results.put((*key, True), kept)
            return kept, ways
        if kept is None:
            kept = _worded(self._sweep(first, where, images, move), move)
            self._results.put((*key, False), kept)
        return kept, both_ways(first.module, images[:1], where, element, move.group, RESAMPLER, move.words)

    def _sweep(self, first: OwnModel, where: str, images: Tensor, move: Move) -> xr.Dataset:
        return sweep(
            {self._words(): (first.module, where, images)} | self._others(first, images),
            move.orbit(move.fine), move.group, resampler=RESAMPLER, form="relative",
            progress=lambda done: self.tell_progress(0.6 * done), cancel=self.cancel,
        )  # fmt: skip

    def _words(self) -> str:
        if "model" in self.attached:
            return "your own model"
        special = {ORDINARY: RESNET} | {name: words for words, name in _three().items()}
        return special.get(self.network, "the network")

    def _others(self, first: OwnModel, images: Tensor) -> dict[str, tuple[nn.Module, str, Tensor]]:
        """What is drawn beside the network: name, module, where it is compared, and its images."""
        found: dict[str, tuple[nn.Module, str, Tensor]] = {}
        if self.beside == DISORDER:
            found["in disorder"] = (shuffled(first.module), _layer(first, self.depth, MOVES[self.group]), images)
        if self.beside == THREE:
            for words, name in _three().items():
                if "model" in self.attached or name != self.network:
                    found[words] = self._beside(_named(name), name)
        for words, own in self.attached.get("models", {}).items():
            found[words] = self._beside(own, None)
        return found

    def _beside(self, one: OwnModel, name: str | None) -> tuple[nn.Module, str, Tensor]:
        return one.module, _layer(one, self.depth, MOVES[self.group]), self._images(one, name)[0]

    def _parts(self, first: OwnModel, images: Tensor, move: Move) -> xr.Dataset | None:
        """Each part's share in the error and the Lie derivative behind it; kept while a control moves."""
        key = ("parts", self._revision, self.network, self.group, self.sigma_px, self.picture)
        kept = self._results.get(key)
        if kept is not None or self.coarse:
            return kept
        ds = parts(
            first.module, stages(first.module), images, move,
            progress=lambda done: self.tell_progress(0.6 + 0.4 * done), cancel=self.cancel,
        )  # fmt: skip
        self._results.put(key, ds)
        return ds


EXPLORER = AuditExplorer


def _worded(ds: xr.Dataset, move: Move) -> xr.Dataset:
    """The curves with the words of their move, and without a floor that is zero everywhere, as of answers."""
    if move.words[0] == "flip":
        ds["angle_deg"].attrs["long_name"] = "input flipped, turned by"
    bare = ds if ds["output_floor_mean"].values.any() else ds.drop_vars("output_floor_mean")
    return bare.assign_attrs(along=move.along)


def _path(name: str) -> Path | None:
    """The run of that name; the ResNet-18 and the untrained network have none."""
    return None if name == ORDINARY else run_path(name)


def _named(name: str) -> OwnModel:
    return ordinary() if name == ORDINARY else stored(run_path(name))


def _three() -> dict[str, str]:
    """Words and names of three networks of different kind; the first two were trained on the same turned digits."""
    runs = run_choices()
    return {
        "plain network": preferred(runs, "rotated_plain"),
        "group network": preferred(runs, "rotated_strict"),
        RESNET: ORDINARY,
    }


def _layer(one: OwnModel, depth: int, move: Move) -> str:
    """The module at that depth, 1 the first and 5 the last, or the end of the model for 0.

    Signals on a group of rotations have no mirrored elements to flip to: such a network is compared at its end.
    """
    signals = group_layers(one.module).values()
    flat = isinstance(move.group, O2) and any(layer.group.element_dim == 1 for layer in signals)
    if depth == 0 or flat or not one.layers:
        return OUTPUT
    return one.layers[math.floor((depth - 1) / 4 * (len(one.layers) - 1) + 0.5)]

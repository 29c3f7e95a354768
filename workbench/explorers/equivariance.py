"""Where is this network equivariant, and how far off elsewhere?"""

from __future__ import annotations

from typing import Any

import param
import xarray as xr
from torch import Tensor, nn

from workbench.explorers._both_ways import angles, both_ways, overlay, sweep
from workbench.explorers._explorer import Explorer
from workbench.explorers._glance import glance
from workbench.explorers._networks import (
    OwnModel,
    layer_name,
    layers_of,
    made_ready,
    network,
    own_model,
    plain_beside,
    shuffled,
)
from workbench.explorers._pictures import PICTURES, own_picture, seen
from workbench.explorers._runs import UNTRAINED, image_set, preferred, run_choices, run_path
from workbench.groups import SO2
from workbench.measure.compare import FORMS
from workbench.measure.dataset import labelled
from workbench.measure.probe import OUTPUT
from workbench.views.equivariance import orbit_error

PREFERRED = ("rotated_strict",)
SHOWN = "the network"
SAMPLES = 4
DEMO_SIZE = 16
FINE = tuple(range(0, 361, 5))
COARSE = (0, 5, 45, 85, 90, 180, 270, 360)
"""Angles of the curve at rest and while a control moves, in degrees; close to the quarter turns both see the dips."""
IN_A_GLANCE = len(COARSE)
"""Pictures in the one pass while a control moves: upright, at the angle shown, and at each angle but 0 and 360."""
LAYERS = 6


class EquivarianceExplorer(Explorer):
    """The error of equivariance at every angle beside its two floors and two negative controls, for any network.

    >>> ds = EquivarianceExplorer(layer=1).dataset()
    >>> bool(ds["error_mean"].sel(model="the network").where(ds["lattice"], drop=True).max() < 1e-6)
    True
    """

    slug = "equivariance"
    title = "Equivariance"
    question = "Where is this network equivariant, and how far off elsewhere?"
    explanation = (
        "Turn the picture and then run the network, or run the network and then turn what it says: an equivariant "
        "network gives the same both ways. The pictures show both ways at one angle and what is left between them; the "
        "curve shows the size of that rest at every angle. At the marked angles turning moves pixels exactly onto "
        "pixels, so nothing but the network is measured there. Elsewhere turning must guess values between pixels; the "
        "two grey floors say what that alone costs, for the input and for the output. An error near its floors is as "
        "good as pixels allow. The two other curves are controls that should fail: the same network without a group, "
        "and the same network with its kernels in disorder."
    )
    heavy = True
    accepts = ("image", "model")

    network = param.Selector(
        objects={"untrained, random weights": UNTRAINED},
        default=UNTRAINED,
        label="Network",
        doc="Which network is measured. A group network is equivariant by construction, trained or not.",
    )
    layer = param.Selector(
        objects={"the whole network": 0, **{f"layer {at}": at for at in range(1, LAYERS + 1)}},
        default=2,
        label="Looked at after",
        doc="After which layer the two ways are compared. Layers turn along with the picture; the scores of the whole "
        "network should not change at all. A network with fewer layers shows its last one.",
    )
    angle_deg = param.Number(
        30.0,
        bounds=(0, 360),
        step=1,
        label="Turn the picture (degrees)",
        doc="The angle at which both ways are shown as pictures; the dotted line in the curve.",
    )
    n = param.Integer(
        8,
        bounds=(1, 16),
        step=1,
        label="Orientations",
        doc="How many rotations each layer works with; free to change after training. Exact at quarter turns where 4 "
        "divides it.",
    )
    sigma_px = param.Number(
        1.0,
        bounds=(0, 3),
        step=0.1,
        label="Smoothness of the picture (pixels)",
        doc="Blurs the picture first. The smoother it is, the less turning it costs, and both floors fall.",
    )
    resampler = param.Selector(
        objects=["nearest", "bilinear", "bicubic", "fourier"],
        default="bicubic",
        label="Resampler",
        doc="How values between pixels are guessed when something is turned.",
    )
    form = param.Selector(
        objects=list(FORMS),
        default="relative",
        label="Error",
        doc="Relative: the difference over the size of the turned output. Symmetric: over the mean size of both. "
        "Absolute: the root mean square difference.",
    )
    log = param.Boolean(
        True, label="Logarithmic axis", doc="Shows powers of ten, so that exact angles are seen as what they are."
    )
    arc_percent = param.Number(
        100.0,
        bounds=(1, 100),
        step=1,
        label="Overlay: a partial layer (percent of the circle)",
        doc="Below 100: the error that a layer must have which keeps only this share of the circle, and the share of "
        "its range that is lost.",
    )
    picture = param.Selector(
        objects=PICTURES, default="6", label="Picture", doc="What is turned: eight handwritten digits or letters."
    )

    def __init__(self, **values: Any) -> None:
        super().__init__()
        choices = run_choices()
        self.param.network.objects = choices
        self.network = preferred(choices, *PREFERRED)
        self.set(**values)

    def set_image(self, image: object) -> None:
        """Turn your own picture: an array (H, W), or the bytes or path of an image file; None takes it away."""
        self.attach("image", None if image is None else own_picture(image, 64))

    def set_model(self, model: object) -> None:
        """Measure your own torch module on images (B, C, H, W); None takes it away. It is left exactly as found."""
        self.attach("model", None if model is None else own_model(model))

    def compute(self) -> xr.Dataset:
        """The curves of the network and its controls, and both ways of turning at the present angle."""
        own: OwnModel | None = self.attached.get("model")
        model = own.module if own else network(run_path(self.network), self.n)
        if not own and not self.coarse:
            self._make_ready()
        where = layer_name(own.layers if own else layers_of(run_path(self.network)), self.layer)
        images, shown = self._images(own)
        curves, ways = self._both(model, where, own, images)
        shown_deg = labelled((), self.angle_deg, "input turned by", "degrees")
        ds = curves.assign({**ways, "angle_shown_deg": shown_deg})
        if "scores" in ds:
            classes = image_set(run_path(self.network)).classes
            known = not own and len(classes) == ds.sizes["score"]
            names = classes if known else [str(at) for at in range(ds.sizes["score"])]
            ds = ds.assign_coords(score=labelled("score", list(names), "class"))
        if self.arc_percent < 100:
            ds = ds.assign(overlay(ds["angle_deg"].values, self.arc_percent / 100))
        shown = shown and f"showing {curves.attrs['samples']} {shown}"
        return ds.assign_attrs(showing=shown, network="your own model" if own else self.network)

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return orbit_error(ds, log=self.log)

    def _images(self, own: OwnModel | None) -> tuple[Tensor, str]:
        """Standardised, blurred pictures `(B, C, H, W)`, and of how many they are the first ones."""
        data = image_set(None if own else run_path(self.network))
        channels, size = (own.channels, own.size) if own else (data.image_shape[0], data.image_shape[-1])
        return seen(self.picture, self.attached.get("image"), channels, size, data, SAMPLES, self.sigma_px)

    def _both(self, model: nn.Module, where: str, own: OwnModel | None, images: Tensor) -> tuple[xr.Dataset, dict]:
        """The curves where they are kept, or at rest the sweep, or a glance while a control moves; and the maps."""
        names = ("network", "layer", "n", "sigma_px", "resampler", "form", "picture")
        key = ("curves", self._revision, *(getattr(self, name) for name in names))
        shown = angles([self.angle_deg])[0]
        kept = self._results.get((*key, False)) or (self._results.get((*key, True)) if self.coarse else None)
        if kept is None and self.coarse:
            kept, ways = glance(
                model, images[:1], where, SO2(), angles(COARSE), shown, along="angle_deg", places=COARSE,
                name=SHOWN, resampler=self.resampler, form=self.form,
            )  # fmt: skip
            self._results.put((*key, True), kept)
            return kept, ways
        if kept is None:
            kept = self._sweep(model, where, own, images)
            self._results.put((*key, False), kept)
        return kept, both_ways(model, images[:1], where, shown, SO2(), self.resampler)

    def _make_ready(self) -> None:
        """Generate, once for a network, its kernels at every number of orientations: that slider then moves freely."""
        path, bounds = run_path(self.network), self.param.n.bounds
        shape = image_set(path).image_shape
        for n in range(bounds[0], bounds[1] + 1):
            self.tell_progress(0.0)
            made_ready(path, n, (IN_A_GLANCE, *shape))

    def _sweep(self, model: nn.Module, where: str, own: OwnModel | None, images: Tensor) -> xr.Dataset:
        models = {SHOWN: (model, where)} | self._controls(model, where, own)
        return sweep(
            {name: (*found, images) for name, found in models.items()},
            angles(FINE),
            SO2(),
            resampler=self.resampler,
            form=self.form,
            progress=self.tell_progress,
            cancel=self.cancel,
        )

    def _controls(self, model: nn.Module, where: str, own: OwnModel | None) -> dict[str, tuple[nn.Module, str]]:
        """What should fail beside a network: one without a group, and the network itself in disorder."""
        disorder = {"kernels in disorder": (shuffled(model), where)}
        if own is not None and (own.channels, own.size) != (1, DEMO_SIZE):
            return disorder
        name, plain, layers = plain_beside(None if own else run_path(self.network))
        return {name: (plain, layer_name(layers, self.layer if where != OUTPUT else 0)), **disorder}


EXPLORER = EquivarianceExplorer

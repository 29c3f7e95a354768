"""Small explorers for the tests of the served face: quick, slow, stubborn, failing, and one with awkward words."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import param
import xarray as xr

from workbench.explorers import Explorer


class Dots(Explorer):
    """A curve that follows two sliders; at 13 its maths fails, at 14 it refuses, as explorers may."""

    slug, title, question = "dots", "Dots", "Where does the curve go?"
    explanation = "Height moves the curve.\n\nPoints sets how finely it is drawn."

    height = param.Number(1.0, bounds=(-2, 20), step=0.5, label="Height (pixels)", doc="Moves the curve up.")
    points = param.Integer(5, bounds=(2, 50), label="Points", doc="How many points are drawn.")
    kind = param.Selector(default="line", objects={"Line": "line", "Dots": "dots"}, label="Drawn as", doc="The look.")
    mirrored = param.Boolean(False, label="Mirror it", doc="Turns the curve over.")

    accepts = ("image",)

    def compute(self) -> xr.Dataset:
        if self.height == 13:
            raise ZeroDivisionError("inner workings of the curve")
        if self.height == 14:
            raise ValueError("height = 14 was given, but the curve does not reach it; use 13.5.")
        y = self.height * np.linspace(0, 1, self.points) * (-1 if self.mirrored else 1)
        own = self.attached.get("image")
        ds = xr.Dataset({"y": ("x", y + (0 if own is None else 100))}, coords={"x": np.arange(self.points)})
        return ds.assign_attrs(showing="showing 2 of 3 dots") if self.points == 2 else ds

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        mode = "lines" if self.kind == "line" else "markers"
        trace = {"type": "scatter", "mode": mode, "x": ds.x.values, "y": ds.y.values.astype(np.float32)}
        return {"data": [trace], "layout": {"yaxis": {"range": [-25, 25]}}}


class Slow(Dots):
    """Takes long at full quality, and says how far it is; coarsely it answers at once."""

    slug, title, question, heavy = "slow", "Slow", "How long does it take?", True
    accepts = ()
    steps = 3000  # of 10 ms: half a minute, and every test stops it long before

    def compute(self) -> xr.Dataset:
        for step in range(0 if self.coarse else self.steps):
            self.tell_progress(step / self.steps)
            time.sleep(0.01)
        return super().compute()


class Stubborn(Dots):
    """Never looks up from its work: it cannot be stopped, only left behind."""

    slug, title, question = "stubborn", "Stubborn", "Will it ever end?"
    accepts = ()
    release = threading.Event()

    def compute(self) -> xr.Dataset:
        if self.height == 9:
            self.release.wait(20)
        return super().compute()


class Markup(Dots):
    """Its words try to be markup."""

    slug, title = "markup", "<b>T</b><script>document.title = 'run'</script>"
    question = "<img src=x onerror=\"document.title = 'run'\"> is shown?"
    explanation = "<script>document.title = 'run'</script> explains nothing."

    kind = param.Selector(
        default="<i>line</i>", objects=["<i>line</i>", "dots"], label="<u>Drawn</u> as", doc="<s>The</s> look."
    )

"""The base of the explorers: what it promises to both faces, shown on one tiny explorer."""

import numpy as np
import param
import pytest
import xarray as xr

from workbench.explorers import Explorer


class Tiny(Explorer):
    """The whole contract in one small explorer: a wave that can be turned."""

    slug, title = "tiny", "Tiny"
    question = "What does the phase do to a wave?"
    explanation = "A cosine, moved along by its phase."
    accepts = ("image", "model")

    angle_deg = param.Number(0.0, bounds=(-180.0, 180.0), step=1.0, label="Phase (degrees)", doc="Moves the wave.")
    n = param.Integer(8, bounds=(2, 64), label="Points", doc="How many points are drawn.")
    curve = param.Selector(default="cos", objects={"Cosine": "cos", "Sine": "sin"}, label="Curve", doc="Which wave.")
    doubled = param.Boolean(False, label="Twice as high", doc="Doubles the wave.")

    def compute(self) -> xr.Dataset:
        n = 2 if self.coarse else self.n
        x_deg = np.linspace(-180.0, 180.0, n)
        wave = {"cos": np.cos, "sin": np.sin}[self.curve](np.radians(x_deg + self.angle_deg))
        wave = wave * (2.0 if self.doubled else 1.0) + self.attached.get("image", np.zeros(1)).sum()
        ds = xr.Dataset({"wave": ("x", wave)}, coords={"x": ("x", x_deg, {"units": "degrees"})})
        return ds.assign_attrs(showing=f"showing {n} of 64 points") if n < 64 else ds

    def view(self, ds: xr.Dataset) -> dict:
        return {"data": [{"type": "scatter", "x": ds.x.values, "y": ds.wave.values}], "layout": {"title": "Wave"}}

    def set_image(self, image: np.ndarray) -> None:
        self.attach("image", np.asarray(image, dtype=np.float32))

    def set_model(self, model: object) -> None:
        self.attach("model", model)


def test_the_state_determines_dataset_and_figure():
    tiny = Tiny(angle_deg=90.0, curve="sin")
    np.testing.assert_allclose(tiny.dataset().wave, np.sin(np.radians(np.linspace(-180, 180, 8) + 90)), rtol=1e-12)
    np.testing.assert_array_equal(tiny.figure().data[0].y, tiny.dataset().wave)


@pytest.mark.parametrize(
    ("given", "expected", "fix"),
    [
        ({"angle_deg": float("nan")}, "a number from -180 to 180", "use 0"),
        ({"angle_deg": 200.0}, "a number from -180 to 180", "use 180"),
        ({"n": 0}, "a whole number from 2 to 64", "use 2"),
        ({"n": 10**5000}, "a whole number from 2 to 64", "use 64"),
        ({"n": 2.6}, "a whole number from 2 to 64", "use 3"),
        ({"curve": "cosine"}, "one of cos, sin", "use 'cos'"),
        ({"doubled": 1}, "True or False", "use False"),
        ({"angle": 3.0}, "the controls are angle_deg, n, curve, doubled", "did you mean 'angle_deg'"),
    ],
)
def test_a_bad_value_is_refused_with_the_nearest_fix_and_changes_nothing(given, expected, fix):
    tiny = Tiny(n=4)
    before = tiny.state()
    with pytest.raises(ValueError, match=fix) as refusal:
        tiny.set(**{"curve": "sin", **given})
    assert expected in str(refusal.value)
    assert tiny.state() == before

"""The base of the explorers: what it promises to both faces, shown on one tiny explorer."""

from pathlib import Path
from threading import Event
from urllib.parse import parse_qsl

import numpy as np
import param
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tolerances import AGAIN
from workbench import measure
from workbench.explorers import Cancelled, Explorer
from workbench.measure.dataset import open_dataset


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

    computed = 0  # how often, over all copies

    def compute(self) -> xr.Dataset:
        type(self).computed += 1
        n = 2 if self.coarse else self.n
        x_deg = np.linspace(-180.0, 180.0, n)
        wave = {"cos": np.cos, "sin": np.sin}[self.curve](np.radians(x_deg + self.angle_deg))
        wave = wave * (2.0 if self.doubled else 1.0) + self.attached.get("image", np.zeros(1)).sum()
        ds = xr.Dataset({"wave": ("x", wave)}, coords={"x": ("x", x_deg, {"units": "degrees"})})
        return ds.assign_attrs(showing=f"showing {n} of 64 points") if n < 64 else ds

    def view(self, ds: xr.Dataset) -> dict:
        return {"data": [{"type": "scatter", "x": ds.x.values, "y": ds.wave.values}], "layout": {"title": "Wave"}}


class Tied(Explorer):
    """A control whose options depend on another one."""

    slug, title = "tied", "Tied"

    run = param.Selector(default="a", objects=["a", "b"], doc="Which run.")
    layer = param.Selector(default="a1", objects=["a1", "a2"], doc="Which layer of it.")

    @param.depends("run", watch=True)
    def _layers_of_run(self) -> None:
        self.param.layer.objects = [f"{self.run}1", f"{self.run}2"]
        self.layer = f"{self.run}1"

    def compute(self) -> xr.Dataset:
        return xr.Dataset({"name": self.run + self.layer})


STATES = st.fixed_dictionaries(
    {
        "angle_deg": st.floats(-180.0, 180.0),
        "n": st.integers(2, 64),
        "curve": st.sampled_from(["cos", "sin"]),
        "doubled": st.booleans(),
    }
)


# ---- controls


def test_the_controls_describe_everything_a_face_draws():
    angle, n, curve, doubled = Tiny().controls()
    assert (angle.name, angle.label, angle.unit, angle.kind) == ("angle_deg", "Phase (degrees)", "degrees", "float")
    assert (angle.bounds, angle.step, angle.default, angle.doc) == ((-180, 180), 1.0, 0.0, "Moves the wave.")
    assert (n.kind, n.bounds, n.step, n.unit) == ("int", (2, 64), 1, "")
    assert (curve.kind, curve.options) == ("choice", (("Cosine", "cos"), ("Sine", "sin")))
    assert (doubled.kind, doubled.default) == ("switch", False)


@pytest.mark.parametrize(
    ("field", "missing"),
    [
        (param.Number(0.0, doc="Unbounded."), "no bounds"),
        (param.Number(0.0, bounds=(0, None), doc="Half bounded."), "no bounds"),
        (param.Number(0.0, bounds=(0, 1)), "no doc"),
        (param.String("", doc="Free text."), "param.String"),
    ],
)
def test_a_control_without_bounds_or_words_is_refused(field, missing):
    with pytest.raises(TypeError, match=missing):
        type("Wrong", (Explorer,), {"field": field})().controls()


@pytest.mark.parametrize(
    ("given", "expected", "fix"),
    [
        ({"angle_deg": float("nan")}, "a number from -180 to 180", "use 0"),
        ({"angle_deg": float("inf")}, "a number from -180 to 180", "use 0"),
        ({"angle_deg": 200.0}, "a number from -180 to 180", "use 180"),
        ({"angle_deg": np.float32(-1e30)}, "a number from -180 to 180", "use -180"),
        ({"angle_deg": "30"}, "a number from -180 to 180", "use 0"),
        ({"angle_deg": None}, "a number from -180 to 180", "use 0"),
        ({"n": 0}, "a whole number from 2 to 64", "use 2"),
        ({"n": 10**5000}, "a whole number from 2 to 64", "use 64"),
        ({"n": 2.6}, "a whole number from 2 to 64", "use 3"),
        ({"n": True}, "a whole number from 2 to 64", "use 8"),
        ({"curve": "cosine"}, "one of cos, sin", "use 'cos'"),
        ({"curve": "<script>" * 999}, "one of cos, sin", "use 'cos'"),
        ({"doubled": 1}, "True or False", "use False"),
        ({"angle": 3.0}, "the controls are angle_deg, n, curve, doubled", "did you mean 'angle_deg'"),
    ],
)
def test_r19_a_bad_value_is_refused_with_the_nearest_fix_and_changes_nothing(given, expected, fix):
    tiny = Tiny(n=4)
    before = tiny.state()
    with pytest.raises(ValueError, match=fix) as refusal:
        tiny.set(**{"curve": "sin", **given})
    assert expected in str(refusal.value)
    assert len(str(refusal.value)) < 200
    assert tiny.state() == before
    with pytest.raises(ValueError, match=fix):
        Tiny(**given)


def test_an_assignment_is_checked_like_everything_else():
    tiny = Tiny()
    with pytest.raises(ValueError, match="use 64"):
        tiny.n = 65
    tiny.n = np.int64(9)
    assert type(tiny.n) is int


def test_earlier_controls_may_change_the_options_of_later_ones():
    assert Tied(run="b", layer="b2").dataset()["name"] == "bb2"
    assert Tied.from_permalink("?layer=b2&run=b").state() == {"run": "b", "layer": "b2"}
    tied = Tied()
    with pytest.raises(ValueError, match="one of b1, b2"):
        tied.set(run="b", layer="a2")
    assert tied.state() == {"run": "a", "layer": "a1"}


def test_listeners_hear_once_of_each_change_and_never_of_a_refusal():
    tiny, heard = Tiny(), []
    stop = tiny.on_change(lambda: heard.append(tiny.state()))
    tiny.set(angle_deg=10.0, n=16)
    tiny.n = 32
    tiny.set(n=32)
    tiny.set_image(np.ones((2, 2)))
    with pytest.raises(ValueError, match="use 64"):
        tiny.set(angle_deg=20.0, n=99)
    stop()
    tiny.n = 2
    assert [(state["angle_deg"], state["n"]) for state in heard] == [(10.0, 16), (10.0, 32), (10.0, 32)]


# ---- results


def test_the_state_determines_dataset_and_figure():
    tiny = Tiny(angle_deg=90.0, curve="sin")
    np.testing.assert_allclose(tiny.dataset().wave, np.sin(np.radians(np.linspace(-90, 270, 8))), rtol=AGAIN, atol=0)
    np.testing.assert_array_equal(tiny.figure().data[0].y, tiny.dataset().wave)


def test_r12_a_result_is_computed_once_and_cannot_be_changed():
    tiny, before = Tiny(angle_deg=1.5), Tiny.computed
    first = tiny.dataset()
    with pytest.raises(ValueError, match="read-only"):
        first.wave.values[0] = 9.0
    first["wave"] = first.wave + 1
    tiny.angle_deg = 2.5
    tiny.dataset()
    tiny.angle_deg = 1.5
    assert not tiny.dataset().identical(first)
    assert Tiny.computed == before + 2


def test_only_a_bounded_number_of_results_is_remembered():
    tiny = Tiny()
    for n in range(2, 65):
        tiny.n = n
        tiny.dataset()
    assert len(tiny._results._kept) == 24


def test_a_copy_shares_results_and_attachments_but_not_the_state():
    tiny = Tiny(n=4)
    tiny.set_image(np.ones((2, 2)))
    copy = tiny.at(angle_deg=30.0)
    computed = Tiny.computed
    copy.dataset()
    tiny.angle_deg = 30.0
    assert tiny.dataset().identical(copy.dataset())
    assert Tiny.computed == computed + 1
    copy.n = 9
    assert tiny.n == 4


def test_a_coarse_copy_computes_less_unless_the_refined_result_is_known():
    tiny = Tiny(n=16)
    coarse = tiny.at(coarse=True)
    assert coarse.dataset().sizes["x"] == 2
    assert not coarse.refined
    tiny.dataset()
    assert coarse.refined
    assert coarse.dataset().sizes["x"] == 16


def test_a_cancelled_computation_stops_and_is_not_remembered():
    stop, told = Event(), []
    copy = Tiny().at(cancel=stop, progress=told.append)
    copy.tell_progress(0.4)
    copy.tell_progress(7.0)
    stop.set()
    with pytest.raises(Cancelled):
        copy.tell_progress(0.5)
    with pytest.raises(Cancelled):
        copy.dataset()
    assert told == [0.4, 1.0]
    assert not copy.refined


def test_a_measure_stopped_inside_compute_stops_the_explorer_in_the_same_words():
    def compute(self):
        raise measure.Cancelled("stopped inside")

    assert Cancelled is measure.Cancelled
    with pytest.raises(Cancelled, match="stopped inside"):
        type("Stopped", (Tiny,), {"compute": compute})().dataset()


def test_a_compute_that_gives_no_dataset_is_named():
    wrong = type("Wrong", (Tiny,), {"compute": lambda self: {"wave": 1}})
    with pytest.raises(TypeError, match=r"Wrong.compute gave a dict, but a xarray.Dataset was expected"):
        wrong().dataset()


def test_n15_showing_n_of_all_is_printed_once_by_every_display():
    tiny = Tiny(n=8)
    notes = [item["text"] for item in tiny.figure_dict()["layout"]["annotations"]]
    assert notes == ["showing 8 of 64 points"]
    assert all("showing 8 of 64 points" in tiny.table(kind) for kind in ("text", "html"))
    said = type(
        "Said",
        (Tiny,),
        {"view": lambda self, ds: {"data": [], "layout": {"annotations": [{"text": "<i>showing 8 of 64 points</i>"}]}}},
    )
    assert len(said().figure_dict()["layout"]["annotations"]) == 1
    assert "annotations" not in Tiny(n=64).figure_dict()["layout"]
    assert Tiny(n=64).showing == ""


# ---- what the reader brings along


def test_an_image_of_ones_own_changes_the_result_and_not_the_permalink():
    tiny, mine = Tiny(), np.ones((2, 2))
    plain, link = tiny.dataset(), tiny.permalink()
    tiny.set_image(mine)
    mine[:] = 5
    np.testing.assert_allclose(tiny.dataset().wave, plain.wave + 4, rtol=AGAIN, atol=0)
    assert tiny.permalink() == link
    tiny.set_image(None)
    assert tiny.dataset().identical(plain)


@pytest.mark.parametrize(
    "image", [np.zeros(3), np.zeros((2, 2, 4)), np.zeros((2000, 2)), np.full((2, 2), np.nan), np.array([["a"]])]
)
def test_an_image_that_is_none_is_refused(image):
    tiny = Tiny()
    with pytest.raises(ValueError, match="were expected"):
        tiny.set_image(image)
    assert not tiny.attached


def test_an_explorer_without_room_for_a_model_says_so():
    with pytest.raises(ValueError, match="Tied accepts nothing"):
        Tied().set_model(abs)
    with pytest.raises(ValueError, match="a str was given, but a torch module was expected"):
        Tiny().set_model("resnet")


# ---- going elsewhere and coming back


@given(STATES)
@settings(max_examples=60, deadline=None)
def test_n14_a_permalink_leads_back_to_exactly_its_state(state):
    assert Tiny.from_permalink(Tiny(**state).permalink()).state() == state


@given(st.text(max_size=60))
@settings(max_examples=150, deadline=None)
def test_n14_any_text_is_followed_within_the_ranges_or_refused_with_a_sentence(query):
    check_a_query(query)


@given(st.dictionaries(st.sampled_from(["angle_deg", "n", "curve", "doubled", "m"]), st.text(max_size=12), max_size=3))
@settings(max_examples=150, deadline=None)
def test_n14_any_value_is_followed_within_the_ranges_or_refused_with_a_sentence(values):
    check_a_query("&".join(f"{name}={value}" for name, value in values.items()))


def check_a_query(query: str) -> None:
    tiny = Tiny(n=5)
    try:
        tiny.follow(query)
        sentence = ""
    except ValueError as refusal:
        sentence = str(refusal)
    if sentence:
        assert "was given" in sentence or "times, but once was expected" in sentence
        assert tiny.state() == {"angle_deg": 0.0, "n": 5, "curve": "cos", "doubled": False}
        return
    assert all(name in tiny.state() for name, _ in parse_qsl(query.removeprefix("?")))
    for control in tiny.controls():
        control.check(getattr(tiny, control.name))


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("?angle_deg=181", "use 180"),
        ("?angle_deg=nan", "a number from -180 to 180 was expected"),
        ("?n=8.0", "a whole number from 2 to 64 was expected"),
        ("?n=1_0", "a whole number from 2 to 64 was expected"),
        ("?n=٣", "a whole number from 2 to 64 was expected"),
        ("?doubled=yes", "True or False was expected"),
        ("?curve=tan", "one of cos, sin was expected"),
        ("?phase=3", "'phase' was given, but the controls are"),
        ("?n=4&n=5", "'n' was given 2 times"),
        ("?n", "'?name=value&name=value' was expected"),
        ("?n=%ff", "'?name=value&name=value' was expected"),
        ("?n=" + "1" * 3000, "at most 2000"),
        (b"?n=4", "a permalink is text"),
    ],
)
def test_n14_unknown_malformed_and_absurd_permalinks_are_refused(query, sentence):
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 the sentence is checked in the next line
        Tiny.from_permalink(query)
    assert sentence in str(refusal.value)


def test_the_code_reproduces_the_present_state():
    tiny, made = Tiny(angle_deg=12.5, n=5, curve="sin", doubled=True), {}
    exec(tiny.code(), made)
    assert made["dataset"].identical(tiny.dataset())
    assert made["figure"].to_dict() == tiny.figure().to_dict()


def test_the_code_holds_a_small_image_and_names_what_the_reader_must_bring():
    tiny, model, made = Tiny(), abs, {}
    tiny.set_image(np.arange(6, dtype=np.uint8).reshape(2, 3))
    tiny.set_model(model)
    exec(tiny.code(), {"model": model}, made)
    np.testing.assert_array_equal(made["explorer"].attached["image"], tiny.attached["image"])
    assert made["dataset"].identical(tiny.dataset())
    tiny.set_image(np.zeros((500, 500), np.float32))
    assert "explorer.set_image(image)  # image: your own array of shape (500, 500)" in tiny.code()


def test_the_numbers_go_to_netcdf_and_back_unchanged(tmp_path: Path):
    tiny = Tiny(angle_deg=33.0)
    back = open_dataset(tiny.save(tmp_path / "tiny.nc"))
    assert back.identical(tiny.dataset())
    assert Tiny.from_permalink(back.attrs["state"]).state() == tiny.state()


# ---- without a browser


def test_n13_without_a_kernel_there_is_text_and_a_table():
    shown = Tiny(angle_deg=33.0)._repr_mimebundle_()
    assert set(shown) == {"text/plain", "text/html"}
    assert "What does the phase do to a wave?" in shown["text/plain"]
    assert "Phase (degrees): 33.0; Points: 8; Curve: Cosine; Twice as high: no" in shown["text/plain"]
    assert f"{np.cos(np.radians(33.0 - 180)):.4g}" in shown["text/plain"]
    assert shown["text/html"].count("<tr>") == 9
    assert "script" not in shown["text/html"]
    assert "style" not in shown["text/html"]


def test_r17_names_are_shown_as_text():
    nasty = "<img src=x onerror=alert(1)>"
    values = xr.Dataset({nasty: ("x", [1.0])}, coords={"x": [nasty]}, attrs={"showing": nasty})
    wrong = type("Wrong", (Tiny,), {"title": nasty, "question": nasty, "compute": lambda self: values})
    assert "<img" not in wrong().table("html")
    assert all("<img" not in item["text"] for item in _with_view(wrong)().figure_dict()["layout"]["annotations"])


def _with_view(cls: type[Explorer]) -> type[Explorer]:
    return type("Drawn", (cls,), {"view": lambda self, ds: {"data": [], "layout": {}}})

"""The notebook face without a browser: controls follow the explorer, mistakes become sentences, downloads are whole."""

import threading
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import param
import pytest
import xarray as xr

from tests.explorers.test_explorer import Tied, Tiny
from workbench.explorers._notebook import pixels
from workbench.explorers.molecule import MoleculeExplorer
from workbench.measure.dataset import open_dataset

LONG = 10.0  # s: an upper limit for a busy machine; nothing here waits for it


class Live:
    """A widget whose messages to the page are recorded."""

    def __init__(self, explorer):
        self.widget = explorer.widget()
        self.explorer, self.sliders = explorer, self.widget._sliders
        self.sent, self.saved = [], threading.Event()
        self.widget._figure.send = self.record

    def page(self, buffers=(), **content):
        """A message from the page."""
        self.widget._figure._hear(None, content, buffers)

    def download(self, what=None):
        """The file that the page is sent, after asking for one."""
        if what:
            self.page(type="save", what=what)
        assert self.saved.wait(LONG)
        self.saved.clear()
        return [(content, buffers[0]) for content, buffers in self.sent if content["type"] == "download"][-1]

    def record(self, content, buffers=None):
        self.sent.append((content, buffers))
        if content["type"] == "download":
            self.saved.set()

    def last(self, kind):
        """The last message of a kind to the page, once all pictures are there."""
        assert self.widget._runner.wait(LONG)
        return [content for content, _ in self.sent if content["type"] == kind][-1]


@pytest.fixture
def live():
    opened = []

    def open_one(explorer):
        opened.append(Live(explorer))
        return opened[-1]

    yield open_one
    for one in opened:
        one.widget.close()


def test_every_control_has_its_widget_with_name_limits_and_words(live):
    sliders = live(Tiny(n=5)).sliders
    kinds = {name: type(slider) for name, slider in sliders.items()}
    assert kinds == {
        "angle_deg": widgets.FloatSlider,
        "n": widgets.IntSlider,
        "curve": widgets.Dropdown,
        "doubled": widgets.Checkbox,
    }
    angle = sliders["angle_deg"]
    assert (angle.description, angle.tooltip, angle.min, angle.max) == ("Phase (degrees)", "Moves the wave.", -180, 180)
    assert angle.continuous_update
    assert sliders["n"].value == 5
    assert not any(slider.description_allow_html for slider in sliders.values())


def test_a_moved_slider_changes_the_explorer_and_the_picture(live):
    one = live(Tiny())
    one.sliders["angle_deg"].value = 30.0
    assert one.explorer.angle_deg == 30.0
    figure = one.last("figure")["figure"]
    assert figure["layout"]["meta"]["state"]["angle_deg"] == 30.0
    one.sliders["curve"].value = "sin"
    one.sliders["doubled"].value = True
    assert one.last("figure")["figure"]["layout"]["meta"]["state"] == one.explorer.state()
    assert (one.explorer.curve, one.explorer.doubled) == ("sin", True)


def test_the_last_of_many_moves_wins(live):
    one = live(Tiny())
    for degrees in range(1, 100):
        one.sliders["angle_deg"].value = float(degrees)
    assert one.last("figure")["figure"]["layout"]["meta"]["state"]["angle_deg"] == 99.0
    serials = [content["serial"] for content, _ in one.sent if content["type"] == "figure"]
    assert serials == sorted(serials)


def test_rounding_of_slider_steps_does_not_reach_the_state(live):
    one = live(Tiny())
    one.sliders["angle_deg"].value = 0.1 + 0.2
    assert one.explorer.angle_deg == 0.3
    assert one.sliders["angle_deg"].value == 0.1 + 0.2, "nothing is sent back: that would undo the next move"


def test_a_change_in_python_moves_the_sliders_and_their_options(live):
    one = live(Tiny())
    one.explorer.set(angle_deg=-45.0, n=64)
    assert (one.sliders["angle_deg"].value, one.sliders["n"].value) == (-45.0, 64)
    tied = live(Tied())
    tied.explorer.run = "b"
    assert (tied.sliders["layer"].options, tied.sliders["layer"].value) == ((("b1", "b1"), ("b2", "b2")), "b1")
    tied.sliders["run"].value = "a"
    assert (tied.explorer.layer, tied.sliders["layer"].value) == ("a1", "a1")


def test_r21_an_exception_is_a_message_on_the_page_and_the_state_survives(live, caplog):
    class Broken(Tiny):
        def compute(self) -> xr.Dataset:
            if self.n == 13:
                raise RuntimeError("thirteen <script>alert(1)</script>")
            return super().compute()

    one = live(Broken(n=12))
    one.sliders["n"].value = 13
    assert one.last("error")["text"] == "RuntimeError: thirteen <script>alert(1)</script>", "set as text by the page"
    assert len(caplog.records) == 1
    assert one.explorer.n == 13
    one.sliders["n"].value = 14
    assert one.last("figure")["figure"]["layout"]["meta"]["state"]["n"] == 14


def test_an_explorer_that_fails_at_once_still_opens_and_says_why(caplog):
    class Failing(Tiny):
        def compute(self) -> xr.Dataset:
            raise FileNotFoundError("no run is stored; make one with: workbench reproduce")

    widget = Failing().widget()
    assert widget._figure._standing["error"]["text"].startswith("FileNotFoundError: no run is stored")
    widget.close()


def test_r19_a_value_the_explorer_refuses_is_a_sentence_and_the_slider_goes_back(live):
    class Odd(Tiny):
        def set(self, **values) -> None:
            if values.get("n", 0) % 2:
                raise ValueError("n = 7 was given, but an even number was expected; use 8.")
            super().set(**values)

    one = live(Odd(n=8))
    one.sliders["n"].value = 7
    assert one.last("error")["text"].endswith("use 8.")
    assert (one.explorer.n, one.sliders["n"].value) == (8, 8)


def test_a_refusal_names_the_control_by_the_label_beside_it(live):
    class Sized(Tiny):
        size = param.Integer(8, bounds=(2, 64), label="Samples", doc="How many samples.")

        def set(self, **values) -> None:
            super().set(**{name: 999 if value == 12 else value for name, value in values.items()})

    one = live(Sized())
    one.sliders["size"].value = 12
    assert one.last("error")["text"].startswith("Samples = 999 was given")
    with pytest.raises(ValueError, match="size = 999 was given"):  # in Python the name is what can be typed
        one.explorer.set(size=12)


def test_r17_titles_labels_and_words_are_shown_as_text(live):
    nasty = "<img src=x onerror=alert(1)>"

    class Nasty(Tiny):
        title = question = explanation = nasty
        m = param.Integer(0, bounds=(0, 1), label=nasty, doc=nasty)

    one = live(Nasty())
    pages = [child.value for child in one.widget.children if isinstance(child, widgets.HTML)]
    assert len(pages) == 2
    assert not any("<img" in page for page in pages)
    assert all("&lt;img" in page for page in pages)


def test_the_page_gets_table_code_and_link_of_the_present_state(live):
    one = live(Tiny())
    one.explorer.angle_deg = 30.0
    one.page(type="ask", what="code")
    assert one.last("text") == {"type": "text", "what": "code", "text": one.explorer.code()}
    one.page(type="ask", what="link")
    link, _, _, python = one.last("text")["text"].split("\n")
    assert link == f"/tiny{one.explorer.permalink()}"
    assert eval(python, {"Tiny": Tiny}).state() == one.explorer.state()
    one.page(type="ask", what="table")
    assert one.last("text")["html"] == one.explorer.table("html")
    count = len(one.sent)
    one.page(type="ask", what="passwords")
    assert len(one.sent) == count


def test_the_page_saves_the_numbers_and_an_offline_page(live, tmp_path: Path):
    one = live(Tiny(angle_deg=30.0))
    content, file = one.download("netcdf")
    assert (content["filename"], content["mime"]) == ("tiny.nc", "application/x-netcdf")
    (tmp_path / "tiny.nc").write_bytes(file)
    assert open_dataset(tmp_path / "tiny.nc").identical(one.explorer.dataset())
    content, file = one.download("html")
    assert content["filename"] == "tiny.html"
    assert b"plotly.js v" in file
    assert b"cdn.plot.ly/plotly" not in file


def test_a_file_holds_the_refined_numbers_also_while_a_coarse_picture_is_shown(live, tmp_path: Path):
    gate = threading.Event()

    class Heavy(Tiny):
        heavy = True

        def compute(self) -> xr.Dataset:
            assert self.coarse or gate.wait(LONG)
            return super().compute()

    one = live(Heavy(n=32))
    one.page(type="ask", what="table")
    assert one.sent[-1][0]["html"] == one.explorer.at(coarse=True).table("html"), "answered at once, as it is shown"
    one.page(type="save", what="netcdf")
    gate.set()
    _, file = one.download()
    (tmp_path / "tiny.nc").write_bytes(file)
    assert open_dataset(tmp_path / "tiny.nc").sizes == {"x": 32}


def test_an_image_of_the_reader_arrives_as_pixels(live):
    one = live(Tiny())
    rgba = np.full((2, 3, 4), 255, np.uint8)
    rgba[0, 0] = (9, 9, 9, 0)
    one.page([memoryview(rgba.tobytes())], type="image", width=3, height=2)
    image = one.explorer.attached["image"]
    assert (image.shape, image.dtype) == ((2, 3, 3), np.uint8)
    np.testing.assert_array_equal(image, 255)
    assert one.widget._figure.has_own
    one.page(type="no_own")
    assert "image" not in one.explorer.attached
    assert not one.widget._figure.has_own


def test_an_image_brought_in_python_can_be_put_back_from_the_page(live):
    tiny = Tiny()
    tiny.set_image(np.ones((2, 2)))
    one = live(tiny)
    assert one.widget._figure.has_own
    one.page(type="no_own")
    assert not one.widget._figure.has_own


def test_a_molecule_of_the_reader_arrives_as_a_file_and_a_bad_one_is_refused(live):
    one = live(MoleculeExplorer(potential="untrained"))
    assert one.widget._figure.accepts == "molecule"
    one.page([memoryview(b"2\n\nO 0 0 0\nH 0 0 1\n")], type="molecule", name="mine.xyz")
    assert one.widget._figure.has_own
    shown = one.explorer.attached["molecule"]
    for buffers, said in (([], "0 bytes"), ([memoryview(bytes(2**20 + 1))], "expected 1 to 1048576")):
        one.page(buffers, type="molecule", name="bad.xyz")
        assert said in one.sent[-1][0]["text"]
    one.page([memoryview(b"nothing")], type="molecule", name="bad.xyz")
    assert "expected the number of atoms" in one.sent[-1][0]["text"]
    assert one.explorer.attached["molecule"] is shown
    one.page(type="no_own")
    assert not one.widget._figure.has_own


@pytest.mark.parametrize(
    ("content", "size"),
    [
        ({"width": 2, "height": 2}, 15),
        ({"width": 4000, "height": 1}, 16_000),
        ({"width": -2, "height": -2}, 16),
        ({"width": "2", "height": 2}, 16),
        ({"width": True, "height": None}, 0),
        ({}, 0),
    ],
)
def test_r15_pixels_that_do_not_fit_their_size_are_refused(content, size):
    with pytest.raises(ValueError, match="were expected"):
        pixels(content, [memoryview(bytes(size))] if size else [])


def test_cancel_on_the_page_stops_a_refinement(live):
    class Heavy(Tiny):
        heavy = True
        started = threading.Event()

        def compute(self) -> xr.Dataset:
            while not self.coarse:
                self.started.set()
                self.tell_progress(0.5)
            return super().compute()

    one = live(Heavy())
    one.explorer.n = 32
    assert one.explorer.started.wait(LONG)
    one.page(type="cancel")
    assert one.last("busy")["fraction"] is None
    assert one.last("figure")["figure"]["layout"]["meta"]["coarse"]


def test_an_explorer_has_one_widget_however_often_it_is_shown():
    tiny = Tiny()
    widget = tiny.widget()
    assert tiny.widget() is widget
    widget.close()
    assert tiny.widget() is not widget
    tiny.widget().close()


def test_after_closing_no_widget_is_left_and_moves_reach_no_picture(live):
    one = live(Tiny())
    parts = [one.widget, one.widget._figure, *one.sliders.values()]
    one.widget.close()
    assert all(part.comm is None for part in parts)
    one.explorer.n = 3
    assert one.sent == []


@pytest.fixture
def outputs(monkeypatch):
    """What is displayed, in order; a display that is updated changes in place."""
    shown = []

    class Handle:
        def __init__(self, index):
            self.index = index

        def update(self, bundle, raw):
            shown[self.index] = bundle

    def display(bundle, raw, display_id=False):
        shown.append(bundle)
        return Handle(len(shown) - 1) if display_id else None

    monkeypatch.setattr("IPython.display.display", display)
    return shown


def test_n13_a_display_holds_the_widget_and_a_static_table(outputs):
    tiny = Tiny(angle_deg=30.0)
    tiny._ipython_display_()
    live_bundle, static = outputs
    assert "application/vnd.jupyter.widget-view+json" in live_bundle
    assert "text/plain" in live_bundle
    assert static["text/plain"] == tiny.table()
    assert static["text/html"] == f'<div class="wb-static">{tiny.table("html")}</div>'
    tiny.widget().close()


def test_n13_the_static_copy_follows_the_last_picture_at_rest(live, outputs):
    one = live(Tiny())
    one.explorer._ipython_display_()
    one.sliders["angle_deg"].value = 30.0
    serial = one.last("figure")["serial"]
    picture = b"\x89PNG and so on"
    one.page([memoryview(picture)], type="still", serial=serial - 1)
    one.page([memoryview(b"<script>")], type="still", serial=serial)
    one.page([memoryview(picture + bytes(2_000_000))], type="still", serial=serial)
    one.page(type="still", serial=serial)
    assert "<img" not in outputs[1]["text/html"], "neither an old picture, nor what is none, nor a huge one"
    one.page([memoryview(picture)], type="still", serial=serial)
    assert '<img alt="Tiny" src="data:image/png;base64,' in outputs[1]["text/html"]
    assert "Phase (degrees): 30.0" in outputs[1]["text/plain"]

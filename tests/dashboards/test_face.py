"""The face of one explorer: what it describes, what it answers, and what it refuses, without a browser."""

import asyncio
import json
import logging
import re

import param
import pytest
from bokeh.document import Document
from panel.custom import JSComponent

from tests.dashboards.samples import Dots, Markup
from tests.dashboards.test_uploads import png
from workbench.dashboards.computing import TROUBLE
from workbench.dashboards.face import ASSETS, ExplorerFace, describe
from workbench.dashboards.uploads import LARGEST_IMAGE, LARGEST_MOLECULE
from workbench.explorers._potentials import own_molecule


class Page(ExplorerFace):
    """A face whose messages are kept instead of sent."""

    def __init__(self, explorer, **options):
        self.sent = []
        super().__init__(explorer, **options)

    def _send_msg(self, data):
        self.sent.append(data)

    def of(self, kind):
        return [message for message in self.sent if message["kind"] == kind]


def talk(explorer, *messages):
    """Send messages one after the other, each once the one before is answered; returns the page and its answers."""

    async def conversation():
        page = Page(explorer)
        for message in messages:
            before = len(page.sent)
            page._handle_msg(message)
            for _ in range(1000):
                await asyncio.sleep(0.005)
                if len(page.sent) > before and page._computer._task is None and not page._computer._errands:
                    break
        page.close()
        return page

    return asyncio.run(asyncio.wait_for(conversation(), 30))


def set_(ticket=1, **values):
    return {"kind": "set", "ticket": ticket, "values": values}


def test_every_control_is_described_with_label_unit_help_and_present_value():
    controls = {control["name"]: control for control in describe(Dots(height=2.0))["controls"]}
    assert list(controls) == ["height", "points", "kind", "mirrored"]
    assert controls["height"] == {
        "name": "height", "label": "Height (pixels)", "unit": "pixels", "kind": "float", "doc": "Moves the curve up.",
        "bounds": [-2, 20], "step": 0.5, "options": [], "value": "2.0",
    }  # fmt: skip
    assert controls["kind"]["options"] == [["Line", "line"], ["Dots", "dots"]]
    assert controls["mirrored"]["value"] == "false"
    json.dumps(describe(Dots()))


def test_a_page_that_has_arrived_gets_its_first_picture():
    (frame,) = talk(Dots(), {"kind": "hello"}).of("frame")
    assert json.loads(frame["text"])["layout"]["meta"]["state"]["height"] == 1.0
    assert frame["link"] == Dots().permalink()


def test_a_move_changes_the_explorer_the_picture_and_the_link():
    page = talk(Dots(), set_(height="2.5", mirrored="true"))
    (frame,) = page.of("frame")
    assert frame["ticket"] == 1
    assert "height=2.5" in frame["link"]
    assert frame["link"] == page._explorer.permalink()
    assert Dots.from_permalink(frame["link"]).state() == page._explorer.state()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"height": "1e9"}, "use 20"),
        ({"height": "nan"}, "number from -2 to 20"),
        ({"height": "-inf"}, "number from -2 to 20"),
        ({"height": "12; import os"}, "number from -2 to 20"),
        ({"height": 3.0}, "short text"),
        ({"height": "1" * 5000}, "short text"),
        ({"height": None}, "short text"),
        ({"points": "3.7"}, "whole number"),
        ({"kind": "pie"}, "one of line, dots"),
        ({"mirrored": "maybe"}, "True or False"),
        ({"heigth": "3"}, "did you mean 'height'"),
        ({"__class__": "x"}, "the controls are"),
        ({"name": "x"}, "the controls are"),
        ({"height": "3", "points": "0"}, "use 2"),
    ],
)
def test_r19_every_value_is_checked_here_and_a_refusal_changes_nothing(values, words):
    page = talk(Dots(), set_(**values))
    (refused,) = page.of("refused")
    assert words in refused["sentence"]
    assert refused["values"] == {"height": "1.0", "points": "5", "kind": "line", "mirrored": "false"}
    assert page._explorer.state() == Dots().state()
    assert not page.of("frame")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"points": "99999"}, "Points = 99999 was given, but a whole number from 2 to 50 was expected; use 50."),
        ({"height": "1e9"}, "Height (pixels) = 1000000000.0 was given"),
        ({"mirrored": "maybe"}, "Mirror it = 'maybe' was given"),
        ({"points": 3.0}, "a value of 'Points' was given"),
    ],
)
def test_a_refusal_names_the_control_by_the_label_beside_it(values, told):
    (refused,) = talk(Dots(), set_(**values)).of("refused")
    assert refused["sentence"].startswith(told)


@pytest.mark.parametrize(
    "message",
    [None, 7, "set", [], {}, {"kind": "close"}, {"kind": "__init__"}, {"kind": ["set"]}, {"kind": "set"},
     {"kind": "set", "values": [], "ticket": 1}, {"kind": "set", "values": {}, "ticket": "x"},
     {"kind": "set", "values": {str(i): "" for i in range(100)}, "ticket": 1}, {"kind": "export", "what": "files"}],
)  # fmt: skip
def test_r19_a_message_that_makes_no_sense_is_answered_with_a_sentence(message):
    page = talk(Dots(), message, set_(ticket=2, height="2"))
    assert "reload the page" in page.of("refused")[0]["sentence"]
    assert page.of("frame")[0]["ticket"] == 2


def test_r21_a_fault_in_a_handler_is_logged_once_and_told_to_this_visitor(caplog):
    class Torn(Dots):
        def set_image(self, image):
            raise RuntimeError("inner workings")

    with caplog.at_level(logging.ERROR):
        page = talk(Torn(), {"kind": "image", "name": "a.png", "data": png()}, set_(height="2"))
    assert page.of("refused")[0]["sentence"] == TROUBLE
    assert page.of("frame")
    assert len(caplog.records) == 1


def test_an_image_of_ones_own_is_taken_and_given_back():
    page = talk(Dots(), {"kind": "image", "name": "../../mine.png", "data": png()}, {"kind": "forget"})
    assert [message["name"] for message in page.of("image")] == ["mine.png", ""]
    assert len(page.of("frame")) == 2
    assert not page._explorer.attached


def test_another_picture_of_the_menu_takes_the_place_of_ones_own_and_it_comes_back():
    class Menu(Dots):
        picture = param.Selector(objects={"a six": "6", "a seven": "7"}, default="6", doc="What is drawn.")

    mine = {"kind": "image", "name": "mine.png", "data": png()}
    page = talk(Menu(), mine, set_(picture="7"), set_(ticket=2, picture="6"))
    assert [message["name"] for message in page.of("image")] == ["mine.png", "", "mine.png"]
    menus = [frame["controls"][-1]["options"][0][0] for frame in page.of("frame") if frame["controls"]]
    assert menus[0] == "your own picture"


@pytest.mark.parametrize("data", [b"\0" * (LARGEST_IMAGE + 1), b"GIF98a", b"", None, "x"])
def test_r14_a_bad_image_is_refused_with_a_sentence_and_the_page_goes_on(data):
    page = talk(Dots(), {"kind": "image", "name": "mine.png", "data": data}, set_(height="2"))
    assert len(page.of("refused")) == 1
    assert page.of("frame")
    assert not page._explorer.attached


def test_an_explorer_that_takes_no_image_says_so():
    class Without(Dots):
        accepts = ()

    assert describe(Without())["image_bytes"] == 0
    page = talk(Without(), {"kind": "image", "name": "a.png", "data": png()})
    assert "takes no image" in page.of("refused")[0]["sentence"]


WATER = b"3\nmine\nO 0 0 0.12\nH 0 0.8 -0.48\nH 0 -0.76 -0.48\n"


class Molecular(Dots):
    accepts = ("molecule",)

    def set_molecule(self, molecule):
        self.attach("molecule", own_molecule(molecule, None))


def test_a_molecule_of_ones_own_is_taken_and_given_back():
    page = talk(Molecular(), {"kind": "molecule", "name": "../../mine.xyz", "data": WATER}, {"kind": "forget"})
    assert [message["name"] for message in page.of("image")] == ["mine.xyz", ""]
    assert len(page.of("frame")) == 2
    assert not page._explorer.attached


def test_another_molecule_of_the_menu_takes_the_own_one_from_the_page_and_the_same_brings_it_back():
    class Menu(Molecular):
        species = param.Selector(objects=["water", "ethanol"], doc="A choice.")

    own = {"kind": "molecule", "name": "mine.xyz", "data": WATER}
    page = talk(Menu(), own, set_(species="ethanol"), set_(2, species="water"))
    assert [message["name"] for message in page.of("image")] == ["mine.xyz", "", "mine.xyz"]


def test_r12_a_molecule_is_seen_by_the_visitor_who_brought_it_only():
    mine, other = talk(Molecular(), {"kind": "molecule", "name": "a.xyz", "data": WATER}), talk(Molecular())
    assert mine._explorer.attached["molecule"].molecule.formula == "H2O"
    assert not other._explorer.attached


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\0" * (LARGEST_MOLECULE + 1), "at most 1 MB"),
        (b"", "1 to"),
        (None, "choose it again"),
        (b"\x7fELF" + bytes(100), "number of atoms"),
        (b"\xff\xfe", "no text"),
        (b"1\n\nQq 0 0 0\n", "Qq"),
        (b"999999999\n\n", "at most"),
        (b"1\n\nO nan 0 0\n", "finite"),
        (b"2\n\nO 0 0 0\nO 0 0 0\n", "0.2"),
    ],
)
def test_r14_what_is_no_molecule_is_refused_with_a_sentence_and_the_page_goes_on(data, words):
    page = talk(Molecular(), {"kind": "molecule", "name": "mine.xyz", "data": data}, set_(height="2"))
    (refused,) = page.of("refused")
    assert words in refused["sentence"]
    assert page.of("frame")
    assert not page._explorer.attached


def test_an_explorer_that_takes_no_molecule_says_so():
    assert describe(Dots())["molecule_bytes"] == 0
    page = talk(Dots(), {"kind": "molecule", "name": "a.xyz", "data": WATER})
    assert "takes no molecule" in page.of("refused")[0]["sentence"]


def test_code_table_and_data_of_the_present_state_can_be_taken_along(tmp_path):
    import xarray as xr

    asked = [{"kind": "export", "what": what} for what in ("code", "table", "data")]
    code, table, data = talk(Dots(height=2.0), *asked).of("export")
    assert "height=2.0" in code["text"]
    assert "<table>" in table["text"]
    (tmp_path / data["filename"]).write_bytes(data["buffer"])
    with xr.open_dataset(tmp_path / "dots.nc", engine="h5netcdf") as ds:
        assert float(ds.y.max()) == 2.0


def test_options_that_changed_are_sent_with_the_picture():
    class Growing(Dots):
        def set(self, **values):
            super().set(**values)
            if values.get("points") == 6:
                self.param.kind.objects = ["line", "dots", "stars"]

    first, second, third = talk(Growing(), set_(points="5"), set_(2, points="6"), set_(3, points="7")).of("frame")
    assert first["controls"] is None
    assert [text for _, text in second["controls"][2]["options"]] == ["line", "dots", "stars"]
    assert third["controls"] is None


def test_controls_that_moved_along_are_told_and_the_moved_one_is_not():
    class Coupled(Dots):
        def set(self, **values):
            super().set(**values)
            if "points" in values:
                super().set(height=float(self.points))

    first, second = talk(Coupled(), set_(points="6"), set_(2, mirrored="true")).of("frame")
    assert first["values"] == {"height": "6.0"}
    assert second["values"] == {}


def test_a_notice_is_shown_on_top():
    assert Page(Dots(), notice="This link cannot be followed.").spec["notice"] == "This link cannot be followed."


class Stock(ExplorerFace):
    """The face with Panel's own style sheets: what the next test must catch."""

    _get_model = JSComponent._get_model


def written(face) -> str:
    document = face.server_doc(Document(), location=False)
    return json.dumps(document.to_json(), default=str).replace("http://www.w3.org/2000/svg", "")


def test_the_document_points_to_no_other_machine():
    text = written(ExplorerFace(Dots()))
    assert "What do the controls do?" in text
    assert not re.search("https?://", text)
    assert re.search("https?://", written(Stock(Dots())))


def test_r17_nothing_in_the_browser_half_reads_text_as_markup():
    scripts = "\n".join(path.read_text() for path in ASSETS.glob("*.js"))
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert word not in scripts
    json.dumps(describe(Markup()))


def test_nothing_in_the_assets_points_to_another_machine():
    for path in ASSETS.iterdir():
        addresses = [line for line in path.read_text().splitlines() if "//" in line and "http" in line]
        allowed = ("http://www.w3.org/2000/svg", "https://arxiv.org/abs/{{")
        assert all(any(word in line for word in allowed) for line in addresses), (path.name, addresses)

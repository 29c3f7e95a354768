"""The served pages in a real browser: sliders moved by keyboard, pictures watched, files saved, nothing fetched."""

import json
import re
import time
import urllib.request
from pathlib import Path

import pytest

from tests.dashboards.serving import serving
from tests.dashboards.test_uploads import png
from tests.tolerances import AGAIN_SINGLE, SERVED_SOON
from workbench.explorers import explorers
from workbench.measure.dataset import open_dataset

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PATIENCE = 60.0  # s: importing torch on a busy machine is most of it
SAMPLES = [f"tests.dashboards.samples:{name}" for name in ("Dots", "Slow", "Markup")]

# The picture lies in a shadow root; what it draws, and for which state, is read from plotly itself.
PICTURE = """() => {
  const find = (root) => {
    for (const el of root.querySelectorAll('*')) {
      if (el.classList.contains('js-plotly-plot')) return el;
      const inner = el.shadowRoot && find(el.shadowRoot);
      if (inner) return inner;
    }
    return null;
  };
  const plot = find(document);
  return plot && plot.layout && plot.layout.meta && {
    state: plot.layout.meta.state, ticket: plot.layout.meta.ticket, ink: plot.layout.font.color,
    data: JSON.stringify(plot.data, (key, value) => ArrayBuffer.isView(value) ? Array.from(value) : value),
  };
}"""


@pytest.fixture(scope="module")
def samples():
    """The address of a server of three small explorers."""
    with serving(*SAMPLES) as address:
        yield address


@pytest.fixture(scope="module")
def workbench_server():
    """The address of a server of every explorer of the workbench."""
    with serving() as address:
        yield address


@pytest.fixture
def visit(chromium):
    """Open a page and wait for its first picture; the page must stay clean to the end."""

    def open_page(address):
        return arrive(chromium.page, address)

    yield open_page
    chromium.assert_clean()


def wait(page, condition, seconds=PATIENCE):
    """Wait until a condition holds, asked from here: the page's own policy lets nobody evaluate text in it."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        page.wait_for_timeout(25)


def arrive(page, address):
    page.goto(address, timeout=PATIENCE * 1e3)
    wait(page, lambda: picture(page))
    return page


def picture(page):
    return page.evaluate(PICTURE)


def wait_for_state(page, **values):
    def arrived():
        state = (picture(page) or {}).get("state", {})
        return all(state.get(name) == value for name, value in values.items())

    wait(page, arrived)


def slider(page, name):
    return page.locator(f"[data-name={name}] input[type=range]")


# ---- every explorer of the workbench


@pytest.mark.parametrize("slug", explorers())
def test_sliders_moved_by_keyboard_change_the_address_and_what_is_drawn(workbench_server, visit, chromium, slug):
    page = visit(workbench_server + slug)
    before = picture(page)
    sliders = page.locator("input[type=range]").all()
    handle = sliders[0] if sliders else page.locator("input[type=radio]:checked").first
    name = handle.evaluate("el => el.closest('.control').dataset.name")
    begin = handle.input_value()
    handle.focus()
    for key in ("Home", "End", "ArrowLeft", "ArrowLeft") if sliders else ("ArrowRight",):
        page.keyboard.press(key)
    if sliders:
        if handle.input_value() == begin:  # one of few steps, and back where it began
            page.keyboard.press("End")
        wanted = float(handle.input_value())
        wait(page, lambda: picture(page)["state"][name] == pytest.approx(wanted, rel=AGAIN_SINGLE))
    wait(page, lambda: picture(page)["state"] != before["state"])
    after = picture(page)
    assert after["state"] != before["state"]
    assert after["ticket"] > 0
    wait(page, lambda: f"{name}=" in page.url)
    chromium.screenshot(f"served-{slug}")
    first, drawn = before["data"], {after["data"]}
    for handle in sliders:
        ticket = picture(page)["ticket"]
        handle.focus()
        page.keyboard.press("Home" if float(handle.input_value()) > float(handle.get_attribute("min")) else "End")
        wait(page, lambda ticket=ticket: picture(page)["ticket"] > ticket)
        drawn.add(picture(page)["data"])
    assert drawn - {first}


def test_the_front_page_shows_a_picture_and_a_sentence_for_everything(workbench_server, chromium):
    page = chromium.page
    page.goto(workbench_server)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        for image in page.locator("img").all():  # those below the fold are fetched when they come near
            image.scroll_into_view_if_needed()
        wait(page, lambda: page.evaluate("[...document.images].every((i) => i.complete && i.naturalWidth > 0)"))
        chromium.screenshot(f"served-front-{theme}")
    assert page.locator(".cards .card").count() > len(explorers())
    for slug, cls in explorers().items():
        assert page.get_by_role("link", name=cls.title, exact=True).first.get_attribute("href") == slug
        assert page.get_by_text(cls.question).count() >= 1
    chromium.assert_clean()


# ---- one page closely


def test_the_last_position_wins_when_moves_come_faster_than_pictures(samples, visit):
    page = visit(samples + "dots")
    slider(page, "height").focus()
    for _ in range(25):
        page.keyboard.press("ArrowRight", delay=0)
    wait_for_state(page, height=13.5)
    wait(page, lambda: page.url.endswith("?height=13.5&points=5&kind=line&mirrored=false"))


def test_every_kind_of_control_answers_to_the_keyboard(samples, visit, chromium):
    page = visit(samples + "dots")
    page.locator("[data-name=mirrored] input").focus()
    page.keyboard.press("Space")
    wait_for_state(page, mirrored=True)
    page.locator("[data-name=kind] input").first.focus()
    page.keyboard.press("ArrowRight")
    wait_for_state(page, kind="dots")
    page.locator("[data-name=height] .exact").fill("3,25")
    page.keyboard.press("Enter")
    wait_for_state(page, height=3.25)
    assert json.loads(picture(page)["data"])[0]["mode"] == "markers"
    chromium.screenshot("served-controls")


def test_every_control_has_a_name_a_value_and_a_help_for_a_screen_reader(samples, visit):
    page = visit(samples + "dots")
    for name, role in (("Height (pixels)", "slider"), ("Mirror it", "switch"), ("Line", "radio"), ("Dots", "radio")):
        assert page.get_by_role(role, name=name, exact=True).count() == 1
    handle = page.get_by_role("slider", name="Height (pixels)")
    assert handle.get_attribute("aria-valuetext") == "1.0 pixels"
    described = handle.get_attribute("aria-describedby")
    assert page.locator(f"#{described}").text_content() == "Moves the curve up."
    assert page.locator("[role=img]").get_attribute("aria-label").startswith("Dots")


def test_n14_a_link_opens_its_state_and_a_bad_one_says_what_would_work(samples, visit, chromium):
    page = visit(samples + "dots?height=2.5&kind=dots")
    assert picture(page)["state"] == {"height": 2.5, "points": 5, "kind": "dots", "mirrored": False}
    visit(samples + "dots?height=99")
    alarm = page.get_by_role("alert")
    assert "a number from -2 to 20 was expected; use 20" in alarm.text_content()
    assert picture(page)["state"]["height"] == 1.0
    chromium.screenshot("served-bad-link")


def test_r19_an_absurd_value_is_answered_with_a_sentence_and_the_control_goes_back(samples, visit):
    page = visit(samples + "dots")
    field = page.locator("[data-name=height] .exact")
    for absurd in ("1e9", "NaN", "<b>", "12; x"):
        field.fill(absurd)
        field.press("Enter")
        page.get_by_role("alert").filter(has_text="a number from -2 to 20 was expected").wait_for()
        wait(page, lambda: field.input_value() == "1.0")
    slider(page, "height").focus()
    page.keyboard.press("ArrowRight")
    wait_for_state(page, height=1.5)
    assert not page.get_by_role("alert").is_visible()


def test_r21_a_fault_is_told_to_its_visitor_and_the_page_goes_on(samples, visit):
    page = visit(samples + "dots?height=12.5")
    slider(page, "height").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("alert").filter(has_text="the last good one").wait_for()
    assert "inner workings" not in page.get_by_role("alert").text_content()
    assert picture(page)["state"]["height"] == 12.5
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    wait_for_state(page, height=14.5)


def test_r12_two_visitors_do_not_see_each_other(samples, open_chromium):
    first, second = (open_chromium() for _ in range(2))
    pages = [arrive(one.page, samples + "dots") for one in (first, second)]
    slider(pages[0], "height").focus()
    pages[0].keyboard.press("End")
    wait_for_state(pages[0], height=20)
    slider(pages[1], "height").focus()
    pages[1].keyboard.press("Home")
    wait_for_state(pages[1], height=-2)
    assert [picture(page)["state"]["height"] for page in pages] == [20, -2]
    wait(pages[0], lambda: "height=20" in pages[0].url)
    pages[0].reload()
    wait_for_state(pages[0], height=20)  # the address kept it, the server did not
    for one in (first, second):
        one.assert_clean()


def test_r20_a_long_computation_shows_its_progress_is_stopped_and_holds_nobody_up(samples, visit, chromium):
    page = visit(samples + "slow")
    slider(page, "height").focus()
    page.keyboard.press("ArrowRight")
    wait_for_state(page, height=1.5)  # the coarse answer
    page.locator("progress[value]").wait_for()
    chromium.screenshot("served-progress")
    begin = time.monotonic()
    with urllib.request.urlopen(samples + "dots", timeout=10) as answer:
        assert answer.status == 200
    assert time.monotonic() - begin < SERVED_SOON
    begin = time.monotonic()
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped").wait_for()
    assert time.monotonic() - begin < SERVED_SOON
    page.locator("progress").wait_for(state="hidden")
    slider(page, "height").focus()
    page.keyboard.press("ArrowRight")
    wait_for_state(page, height=2.0)
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped").wait_for()


def test_r14_an_own_image_is_taken_and_a_bad_one_refused_on_the_page(samples, visit):
    page = visit(samples + "dots")
    picker = page.get_by_label("Your own image")
    before = picture(page)["data"]
    picker.set_input_files({"name": "mine.png", "mimeType": "image/png", "buffer": png()})
    page.get_by_text("Showing your image mine.png").wait_for()
    wait(page, lambda: picture(page)["data"] != before)
    for name, content, words in (
        ("large.png", png() + bytes(4 * 2**20), "at most 4 MB"),
        ("not.png", b"\x7fELF" + bytes(64), "not a picture of a known kind"),
    ):
        picker.set_input_files({"name": name, "mimeType": "image/png", "buffer": content})
        page.get_by_role("alert").filter(has_text=words).wait_for()
    page.get_by_role("button", name="Use ours again").click()
    wait(page, lambda: picture(page)["data"] == before)


def test_r14_an_own_molecule_is_taken_and_a_bad_one_refused_on_the_page(workbench_server, visit):
    page = visit(workbench_server + "molecule?potential=untrained")
    picker = page.get_by_label("Your own molecule")
    water = b"3\nmine\nO 0 0 0.12\nH 0 0.8 -0.48\nH 0 -0.76 -0.48\n"
    picker.set_input_files({"name": "mine.xyz", "mimeType": "chemical/x-xyz", "buffer": water})
    page.get_by_text("Showing your molecule mine.xyz").wait_for()
    wait(page, lambda: "Its numbers are under “Numbers”. H2O" in page.locator("[role=img]").get_attribute("aria-label"))
    for name, content, words in (
        ("large.xyz", bytes(2**20 + 1), "at most 1 MB"),
        ("not.xyz", b"\x7fELF" + bytes(64), "expected the number of atoms"),
    ):
        picker.set_input_files({"name": name, "mimeType": "chemical/x-xyz", "buffer": content})
        page.get_by_role("alert").filter(has_text=words).wait_for()
    page.get_by_role("button", name="Use ours again").click()
    page.get_by_text("Showing your molecule").wait_for(state="hidden")
    page.get_by_role("alert").wait_for(state="hidden")


def test_r17_words_that_try_to_be_markup_are_shown_as_words(samples, visit, chromium):
    page = visit(samples + "markup")
    assert page.locator("h1").text_content() == "<img src=x onerror=\"document.title = 'run'\"> is shown?"
    assert "run" not in re.sub(r"<.*>", "", page.title())
    page.get_by_text("What do the controls do?").click()
    assert page.locator("legend").text_content() == "<u>Drawn</u> as"
    page.get_by_role("button", name="Numbers").click()
    page.get_by_role("heading", name="The numbers behind the picture").wait_for()
    assert page.locator(".table script, .table b, .table img").count() == 0
    assert page.evaluate("document.title") != "run"
    chromium.screenshot("served-markup")


def test_picture_numbers_code_and_link_can_be_taken_along(samples, visit, tmp_path):
    page = visit(samples + "dots?height=2.0")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    for button, ending in (("PNG", ".png"), ("SVG", ".svg"), ("Data", ".nc")):
        with page.expect_download() as download:
            page.get_by_role("button", name=button, exact=True).click()
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        assert path.suffix == ending
        assert path.stat().st_size > 500
    assert (tmp_path / "dots.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "dots.svg").read_text()
    assert float(open_dataset(tmp_path / "dots.nc").y.max()) == 2.0
    page.get_by_role("button", name="Numbers").click()
    page.locator(".output table").first.wait_for()
    page.get_by_role("button", name="Code").click()
    assert "height=2.0" in page.locator(".output pre").text_content()
    page.get_by_role("button", name="Copy link").click()
    page.get_by_text("The link is copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()").endswith(
        "/dots?height=2.0&points=5&kind=line&mirrored=false"
    )


def test_the_theme_follows_the_system_and_the_visitor(samples, visit, chromium):
    page = visit(samples + "dots")
    chromium.screenshot("served-light")
    light = picture(page)["ink"]
    page.emulate_media(color_scheme="dark")
    wait(page, lambda: picture(page)["ink"] != light)
    chromium.screenshot("served-dark")
    page.get_by_role("button", name="Dark theme").click()
    wait(page, lambda: picture(page)["ink"] == light)
    arrive(page, samples + "dots")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"


def test_a_lost_connection_is_told(open_chromium):
    page = open_chromium().page
    with serving(SAMPLES[0]) as address:
        arrive(page, address + "dots?height=2.0")
    page.get_by_role("alert").filter(has_text="connection to the server is lost").wait_for()
    assert picture(page)["state"]["height"] == 2.0


def test_on_a_narrow_window_nothing_runs_over_the_edge(samples, visit, chromium):
    page = visit(samples + "dots")
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    slider(page, "height").focus()
    page.keyboard.press("ArrowRight")
    wait_for_state(page, height=1.5)
    chromium.screenshot("served-narrow")


def test_the_artefacts_are_there_to_be_looked_at(artefacts: Path):
    assert (artefacts / "served-front-light.png").stat().st_size > 10_000

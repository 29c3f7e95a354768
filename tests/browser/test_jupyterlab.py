"""The explorers in a real JupyterLab: sliders moved by keyboard, pictures watched, files saved, nothing fetched."""

import json
import time

import numpy as np
import pytest

from tests.chromium import Chromium, within
from tests.lab_server import end_kernel, jupyter_lab, open_first_cell, write_notebook
from workbench.explorers import explorers
from workbench.measure.dataset import open_dataset

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PLOT = ".wb-plot .main-svg"
OTHER_PICTURE = """() => {
  const plot = document.querySelector('.wb-plot');
  return plot && plot !== window.earlier && plot.querySelector('.main-svg');
}"""
FIRST_PICTURE = 90_000  # ms: importing torch on a busy machine is most of it
STATE = "document.querySelector('.wb-plot').layout.meta.state"
DATA = """() => JSON.stringify(document.querySelector('.wb-plot').data,
  (key, value) => ArrayBuffer.isView(value) ? Array.from(value) : value)"""

TINY = "from tests.explorers.test_explorer import Tiny\n"
WAVES = "from tests.benchmarks.latency_explorer import Waves\nwaves = Waves()\nwaves"
BROKEN = (
    TINY
    + """
class Broken(Tiny):
    title = "Broken"
    def compute(self):
        if self.n == 9:
            raise RuntimeError("<img src=x onerror='window.harmed = true'> at nine")
        return super().compute()

Broken(n=8)"""
)
HEAVY = (
    TINY
    + """
import time

class Heavy(Tiny):
    title, heavy = "Heavy", True
    def compute(self):
        if not self.coarse:
            for step in range(STEPS):
                time.sleep(0.02)
                self.tell_progress(step / STEPS)
        return super().compute()

Heavy(n=8)"""
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A running JupyterLab: its folder of notebooks and the address of the notebook named NAME.ipynb."""
    folder, settings = tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("settings")
    write_notebook(folder / "NAME.ipynb", [])
    with jupyter_lab(folder / "NAME.ipynb", settings) as address:
        yield folder, address


@pytest.fixture
def open_cell(lab, chromium, request):
    """Open cells as a notebook, run the first, wait for the picture; the page must stay clean to the end."""
    folder, address = lab
    name = f"{request.node.name}.ipynb"

    def open_one(*cells):
        write_notebook(folder / name, cells)
        open_first_cell(chromium.page, address.replace("NAME.ipynb", name))
        chromium.page.wait_for_selector(PLOT, timeout=FIRST_PICTURE)
        return chromium.page, folder / name

    yield open_one
    chromium.assert_clean()
    end_kernel(address, name)


@pytest.fixture(scope="module")
def desk(lab, browser, artefacts):
    """A visitor with a notebook of one cell that stays open, because opening one takes longer than most tests."""
    folder, address = lab
    write_notebook(folder / "desk.ipynb", ["'first'"])
    visitor = Chromium(within(browser), artefacts)
    # In a workspace of its own, or it would be opened once more where another page is loaded again.
    open_first_cell(visitor.page, address.replace("/lab/tree/NAME.ipynb", "/lab/workspaces/desk/tree/desk.ipynb"))
    yield visitor
    visitor.close()
    end_kernel(address, "desk.ipynb")


@pytest.fixture
def run_cell(desk, failed, request):
    """Put other text into that cell, run it, wait for its picture; the page must stay clean to the end."""

    def run(text):
        page = desk.page
        page.evaluate("window.earlier = document.querySelector('.wb-plot')")
        page.click(".jp-CodeCell .cm-content")
        page.keyboard.press("Control+a")
        page.keyboard.insert_text(text)
        page.keyboard.press("Control+Enter")
        page.wait_for_function(OTHER_PICTURE, timeout=FIRST_PICTURE)
        return page

    yield run
    if failed():
        desk.screenshot(f"failed_{request.node.name}")
    try:
        desk.assert_clean()
    finally:
        desk.console_errors.clear()


def save(page, path):
    """Save the notebook as a reader does and wait until its outputs are in the file."""
    page.keyboard.press("Control+s")
    end = time.monotonic() + FIRST_PICTURE / 1e3
    while not outputs(path):
        assert time.monotonic() < end, "the notebook was not saved"
        time.sleep(0.1)


def outputs(path):
    """The outputs of the first cell in the file; none while JupyterLab is still writing it."""
    try:
        return json.loads(path.read_text())["cells"][0]["outputs"]
    except json.JSONDecodeError:
        return []


def wait_for_state(page, **values):
    for name, value in values.items():
        page.wait_for_function(f"{STATE}.{name} === {json.dumps(value)}")


def test_controls_moved_by_the_keyboard_change_the_picture_of_every_explorer(open_cell, chromium):
    shipped = explorers()
    cells = [f"from {cls.__module__} import {cls.__name__}\n{cls.__name__}()" for cls in shipped.values()]
    page, _ = open_cell(*cells)
    for index, (slug, cls) in enumerate(shipped.items()):
        cell = f'.jp-CodeCell[data-windowed-list-index="{index}"]'
        if index:
            page.click(f"{cell} .cm-content")
            page.keyboard.press("Control+Enter")
        page.wait_for_selector(f"{cell} {PLOT}", timeout=FIRST_PICTURE)
        page.evaluate("(cell) => document.querySelector(`${cell} .wb-explorer`).scrollIntoView()", cell)
        chromium.screenshot(f"jupyterlab-{slug}")
        assert controls_that_change_the_picture(page, cell, cls), f"no control changes the picture of {slug}"


def controls_that_change_the_picture(page, cell, cls):
    """Press an arrow key once on every slider of an explorer; what changed the data. Without sliders, use its menus."""
    plot = f"document.querySelector('{cell} .wb-plot')"
    data = f"JSON.stringify({plot}.data, (key, value) => ArrayBuffer.isView(value) ? Array.from(value) : value)"
    changed, before = [], page.evaluate(data)
    controls = cls().controls()
    sliders = [control for control in controls if control.bounds]
    moved = sliders or [control for control in controls if control.kind == "choice"]
    handles = page.query_selector_all(f"{cell} .noUi-handle" if sliders else f"{cell} .widget-dropdown select")
    for control, handle in zip(moved, handles, strict=True):
        value = page.evaluate(f"{plot}.layout.meta.state.{control.name}")
        if control.bounds:
            handle.focus()
            page.keyboard.press("ArrowLeft" if value == control.bounds[1] else "ArrowRight")
        else:  # JupyterLab keeps arrow keys on a menu for itself
            handle.select_option(next(label for label, other in control.options if other != value))
        page.wait_for_function(f"{plot}.layout.meta.state.{control.name} !== {json.dumps(value)}")
        after = page.evaluate(data)
        changed += [control.name] if after != before else []
        before = after
    return changed


def test_the_last_position_of_a_fast_slider_wins(run_cell):
    page = run_cell(WAVES)
    page.focus(".noUi-handle")
    for _ in range(40):
        page.keyboard.press("ArrowRight", delay=0)
    wait_for_state(page, angle_deg=40)
    assert page.inner_text(".widget-readout >> nth=0") == "40"
    time.sleep(0.5)  # nothing stale comes later
    assert page.evaluate(f"{STATE}.angle_deg") == 40


def test_the_picture_comes_while_its_own_cell_still_runs(open_cell):
    page, _ = open_cell(f"{WAVES}._ipython_display_()\nimport time\ntime.sleep(3600)")
    assert page.inner_text(".jp-InputArea-prompt") == "[*]:"


def test_controls_have_names_and_every_one_is_reached_by_tab(run_cell):
    page = run_cell(WAVES)
    names = page.eval_on_selector_all(".noUi-handle", "all => all.map(one => one.getAttribute('aria-label'))")
    assert names == ["Angle (degrees)", "Frequency (waves)"]
    assert page.get_attribute(".wb-plot", "role") == "img"
    assert "How long does it take" in page.get_attribute(".wb-plot", "aria-label")
    page.focus(".noUi-handle")
    wanted = ["Disc", "Numbers", "Code", "Link", "PNG", "SVG", "HTML", "Data", "What do"]
    reached = ""
    for _ in range(40):
        if all(word in reached for word in wanted):
            return
        reached += page.evaluate("document.activeElement.textContent.trim().slice(0, 30) + '|'")
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab reached {reached}, and not all of {wanted}")


def test_numbers_code_and_link_follow_the_slider(run_cell):
    page = run_cell(WAVES)
    for button, first, then in (
        ("Numbers", "Angle (degrees): 0.0", "Angle (degrees): 1.0"),
        ("Code", "angle_deg=1.0", "angle_deg=2.0"),
        ("Link", "?angle_deg=2.0", "?angle_deg=3.0"),
    ):
        page.click(f".wb-buttons button:text-is('{button}')")
        page.wait_for_selector(f".wb-panel:has-text('{first}')")
        page.focus(".noUi-handle")
        page.keyboard.press("ArrowRight")
        page.wait_for_selector(f".wb-panel:has-text('{then}')")


def test_a_failure_is_shown_as_text_and_the_next_move_draws_again(run_cell, desk):
    page = run_cell(BROKEN)
    page.focus(".noUi-handle >> nth=1")
    page.keyboard.press("ArrowRight")
    alert = page.wait_for_selector("[role=alert]")
    assert "RuntimeError: <img src=x onerror=" in alert.inner_text()
    assert page.evaluate(f"{STATE}.n") == 8, "the last good picture stays"
    desk.screenshot("jupyterlab-failure")
    page.keyboard.press("ArrowRight")
    wait_for_state(page, n=10)
    page.wait_for_selector("[role=alert]", state="detached")
    assert not page.evaluate("window.harmed")


def test_a_heavy_picture_shows_progress_and_can_be_stopped(run_cell, desk):
    page = run_cell(f"STEPS = 20_000\n{HEAVY}")
    page.wait_for_selector("progress")
    page.focus(".noUi-handle >> nth=1")
    page.keyboard.press("ArrowRight")
    wait_for_state(page, n=9)
    assert page.evaluate("document.querySelector('.wb-plot').layout.meta.coarse")
    page.wait_for_function("document.querySelector('.wb-status progress')?.value > 0")
    desk.screenshot("jupyterlab-refining")
    page.click("text=Cancel")
    page.wait_for_selector("progress", state="detached", timeout=5_000)
    assert page.evaluate(f"{STATE}.n") == 9


def test_a_heavy_picture_is_refined_at_rest(run_cell):
    page = run_cell(f"STEPS = 20\n{HEAVY}")
    points = "document.querySelector('.wb-plot').data[0].y.length"
    page.wait_for_function(f"{points} === 8")
    page.focus(".noUi-handle >> nth=1")
    for n in (9, 10):
        page.keyboard.press("ArrowRight")
        wait_for_state(page, n=n)
        page.wait_for_function(f"{points} === {n}")
    page.wait_for_selector("progress", state="detached")
    assert not page.evaluate("document.querySelector('.wb-plot').layout.meta.coarse")


def test_picture_page_and_numbers_are_saved_from_the_browser(run_cell, tmp_path):
    page = run_cell(WAVES)
    page.focus(".noUi-handle")
    page.keyboard.press("ArrowRight")
    wait_for_state(page, angle_deg=1)
    saved = {}
    for button in ("PNG", "SVG", "HTML", "Data"):
        with page.expect_download() as download:
            page.click(f".wb-buttons button:text-is('{button}')")
        saved[button] = tmp_path / download.value.suggested_filename
        download.value.save_as(saved[button])
    assert [path.name for path in saved.values()] == ["waves.png", "waves.svg", "waves.html", "waves.nc"]
    assert saved["PNG"].read_bytes().startswith(b"\x89PNG")
    assert "<svg" in saved["SVG"].read_text()
    assert "Plotly.newPlot" in saved["HTML"].read_text()
    dataset = open_dataset(saved["Data"])
    assert dataset.sizes == {"g": 8, "y": 64, "x": 64, "order": 3, "angle_deg": 200}
    assert dataset.attrs["state"].startswith("?angle_deg=1.0&")


def test_n13_r8_a_saved_notebook_is_small_readable_without_a_kernel_and_live_again_after_a_reload(open_cell):
    page, path = open_cell(WAVES)
    page.focus(".noUi-handle")
    page.keyboard.press("ArrowRight")
    wait_for_state(page, angle_deg=1)
    save(page, path)
    assert path.stat().st_size < 200_000
    live, static = (output["data"] for output in json.loads(path.read_text())["cells"][0]["outputs"])
    assert "application/vnd.jupyter.widget-view+json" in live
    assert "Eight turning kernels" in "".join(static["text/plain"])
    assert "<table>" in "".join(static["text/html"])
    assert not page.is_visible(".wb-static"), "the static table hides beside the live explorer"
    page.reload()
    page.wait_for_selector(PLOT, timeout=FIRST_PICTURE)
    wait_for_state(page, angle_deg=1)
    page.focus(".noUi-handle")
    page.keyboard.press("ArrowRight")
    wait_for_state(page, angle_deg=2)


def test_n13_a_notebook_whose_kernel_is_gone_shows_picture_and_table(open_cell, chromium, lab):
    page, path = open_cell(WAVES)
    page.focus(".noUi-handle")
    page.keyboard.press("ArrowRight")
    wait_for_state(page, angle_deg=1)
    page.wait_for_selector(".wb-static img", state="attached")
    save(page, path)
    end_kernel(lab[1], path.name)
    page.goto(lab[1].replace("NAME.ipynb", path.name))
    page.wait_for_selector(".wb-static table", timeout=FIRST_PICTURE)
    page.wait_for_selector(".wb-static img")
    assert "Angle (degrees): 1.0" in page.inner_text(".wb-static")
    chromium.screenshot("jupyterlab-without-kernel")
    chromium.console_errors.clear()  # ipywidgets complains of the model that is gone, and it is right


def test_a_refusal_stays_while_the_picture_before_it_is_refined(run_cell, tmp_path):
    (tmp_path / "notes.png").write_text("no image")
    page = run_cell(f"STEPS = 150\n{HEAVY}")
    page.wait_for_selector("progress")
    page.set_input_files(".wb-file", tmp_path / "notes.png")
    page.wait_for_selector("[role=alert]:has-text('notes.png is no image')")
    page.wait_for_function("document.querySelector('.wb-plot').layout.meta.coarse === false")
    assert page.is_visible("[role=alert]:has-text('notes.png is no image')")
    page.focus(".noUi-handle >> nth=1")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("[role=alert]", state="detached")


def test_an_image_of_the_reader_is_drawn_and_put_back(run_cell, tmp_path):
    from PIL import Image

    Image.fromarray(np.full((300, 600, 3), 7, np.uint8)).save(tmp_path / "mine.png")
    (tmp_path / "notes.png").write_text("no image")
    page = run_cell(TINY + "Tiny()")
    before = page.evaluate(DATA)
    page.set_input_files(".wb-file", tmp_path / "mine.png")
    page.wait_for_selector("text=Put it back")
    page.wait_for_function(f"({DATA})() !== {json.dumps(before)}")
    page.click("text=Put it back")
    page.wait_for_function(f"({DATA})() === {json.dumps(before)}")
    page.set_input_files(".wb-file", tmp_path / "notes.png")
    page.wait_for_selector("[role=alert]:has-text('notes.png is no image')")


def test_a_molecule_of_the_reader_is_drawn_and_put_back(run_cell, tmp_path):
    (tmp_path / "mine.xyz").write_text("3\nmine\nO 0.0 0.0 0.12\nH 0.0 0.8 -0.48\nH 0.0 -0.76 -0.48\n")
    (tmp_path / "notes.xyz").write_text("no molecule")
    page = run_cell(
        "from workbench.explorers.molecule import MoleculeExplorer\nMoleculeExplorer(potential='untrained')"
    )
    title = "() => document.querySelector('.wb-plot').layout.annotations[0].text"
    page.wait_for_function(f"({title})().includes('C2H6O')")
    page.set_input_files(".wb-file", tmp_path / "mine.xyz")
    page.wait_for_function(f"({title})().includes('H2O') && !({title})().includes('C2H6O')")
    said = page.get_attribute(".wb-plot", "aria-label")
    assert "does the push turn along? H2O" in said
    assert "<b>" not in said
    page.set_input_files(".wb-file", tmp_path / "notes.xyz")
    page.wait_for_selector("[role=alert]:has-text('expected the number of atoms')")
    page.click("text=Put it back")
    page.wait_for_function(f"({title})().includes('C2H6O')")


def test_light_and_dark_follow_jupyterlab(run_cell, desk):
    page = run_cell(WAVES)
    ink = "document.querySelector('.wb-plot')._fullLayout.font.color"
    assert page.evaluate(ink) == "#24292f"
    page.click("text=Settings")
    page.hover("text=Theme >> nth=0")
    page.click("text=JupyterLab Dark >> nth=0")
    page.wait_for_function(f"{ink} === '#e3e6ea'")
    desk.screenshot("jupyterlab-dark")

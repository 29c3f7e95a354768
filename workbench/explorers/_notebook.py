"""The notebook face of an explorer: its title, its controls and its picture, generated from its description."""

from __future__ import annotations

import base64
import tempfile
import threading
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import numpy as np

from workbench.explorers._control_widgets import control_widget, move
from workbench.explorers._explorer import Explorer, own_file
from workbench.explorers._figure_widget import FigureWidget
from workbench.explorers._runner import Picture, Runner, sentence

_REFINED_WITHIN = 600.0  # s that saving waits for a refinement that runs
_LARGEST_STILL = 1_000_000  # bytes of a still image that a notebook is made to carry
_LARGEST_MOLECULE = 2**20  # bytes; the page checks it first, this is the check that counts


class ExplorerWidget(widgets.VBox):
    """An explorer on the page, with a static table beside it for a notebook that is read without a kernel."""

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer
        self._lock = threading.RLock()  # JupyterLab may answer widgets and cells in two threads of the kernel
        self._static: Any = None  # the handle of the static copy in the notebook's output
        self._following = False  # true while the widgets are moved to where the explorer is
        self._sliders = {
            control.name: control_widget(control, getattr(explorer, control.name)) for control in explorer.controls()
        }
        self._figure = FigureWidget(
            filename=explorer.slug or "explorer",
            accepts=own_file(explorer),
            has_own=own_file(explorer) in explorer.attached,
        )
        super().__init__([_head(explorer), _body(list(self._sliders.values()), self._figure), _help(explorer)])
        self.add_class("wb-explorer")
        self._runner = Runner(explorer, show=self._show, fail=self._fail, progress=self._busy)
        for name, slider in self._sliders.items():
            slider.observe(self._moved(name), "value")
        self._unwatch = explorer.on_change(self._changed)
        self._listen()
        self._runner.begin()

    # ---- from the page to the explorer

    def _moved(self, name: str) -> Any:
        def move(change: dict[str, Any]) -> None:
            value = change["new"]
            tidy = float(f"{value:.10g}") if isinstance(value, float) else value  # 0.1 + 0.2 is 0.3 on a slider
            with self._lock:
                if not self._following:
                    self._try(lambda: self._explorer.set(**{name: tidy}))

        return move

    def _try(self, act: Any) -> None:
        try:
            act()
        except Exception as error:  # a refused value or image is a sentence on the page, and nothing is lost
            self._fail(sentence(error), self._runner.asked)
            self._follow()

    def _listen(self) -> None:
        figure, explorer = self._figure, self._explorer
        figure.on_page("cancel", lambda content, buffers: self._runner.cancel())
        figure.on_page("ask", lambda content, buffers: self._try(lambda: self._answer(content.get("what"))))
        figure.on_page("save", lambda content, buffers: self._try(lambda: self._save(content.get("what"))))
        figure.on_page(
            "image", lambda content, buffers: self._try(lambda: explorer.set_image(pixels(content, buffers)))
        )
        figure.on_page("molecule", lambda content, buffers: self._try(lambda: self._bring_molecule(buffers)))
        figure.on_page("still", lambda content, buffers: self._keep_still(content.get("serial"), buffers))
        figure.on_page("no_own", lambda content, buffers: self._try(lambda: explorer.attach(own_file(explorer), None)))

    def _bring_molecule(self, buffers: list[memoryview]) -> None:
        size = buffers[0].nbytes if buffers else 0
        if not 0 < size <= _LARGEST_MOLECULE:
            raise ValueError(f"a file of {size} bytes was given; expected 1 to {_LARGEST_MOLECULE}: one molecule.")
        explorer: Any = self._explorer
        explorer.set_molecule(bytes(buffers[0]))

    def _answer(self, what: object) -> None:
        explorer = self._explorer.at(coarse=self._explorer.heavy)  # the numbers of the picture that is there
        if what == "table":
            self._figure.tell("text", what=what, html=explorer.table("html"))
        elif what == "code":
            self._figure.tell("text", what=what, text=explorer.code())
        elif what == "link":
            link = explorer.permalink()
            text = f"/{explorer.slug}{link}\n\n# in Python:\n{type(explorer).__name__}.from_permalink({link!r})"
            self._figure.tell("text", what=what, text=text)

    def _save(self, what: object) -> None:
        """Send a file, in full and beside the event loop: a heavy explorer may still be refining it."""
        work = {"html": self._send_page, "netcdf": self._send_numbers}.get(str(what))
        if work is None:
            return
        explorer = self._explorer.at()

        def send() -> None:
            self._runner.wait(_REFINED_WITHIN)
            self._try(lambda: work(explorer))

        threading.Thread(target=send, name=f"save-{explorer.slug}", daemon=True).start()

    def _send_page(self, explorer: Explorer) -> None:
        page = explorer.figure().to_html(include_plotlyjs=True, full_html=True)
        self._figure.tell("download", [page.encode()], filename=f"{self._figure.filename}.html", mime="text/html")

    def _send_numbers(self, explorer: Explorer) -> None:
        with tempfile.TemporaryDirectory() as folder:
            content = explorer.save(Path(folder) / "data.nc").read_bytes()
        name, mime = f"{self._figure.filename}.nc", "application/x-netcdf"
        self._figure.tell("download", [content], filename=name, mime=mime)

    # ---- from the explorer to the page

    def _changed(self) -> None:
        self._follow()
        self._figure.has_own = own_file(self._explorer) in self._explorer.attached
        self._runner.request()

    def _follow(self) -> None:
        """Move the widgets to where the explorer is: it may have been moved in Python, or have refused."""
        with self._lock:
            self._following = True
            try:
                for control in self._explorer.controls():
                    move(self._sliders[control.name], control, getattr(self._explorer, control.name))
            finally:
                self._following = False

    def _show(self, picture: Picture) -> None:
        about = {
            "serial": picture.serial,
            "asked": picture.asked,
            "state": picture.state,
            "coarse": picture.coarse,
            "compute_ms": picture.compute_ms,
        }
        if picture.serial == 1:
            self._figure.label = f"{self._explorer.title}: {self._explorer.question}"
        self._figure.draw(picture.figure, about, first=picture.serial == 1)

    def _fail(self, text: str, asked: int) -> None:
        self._figure.tell("error", text=text, asked=asked)

    def _busy(self, fraction: float | None) -> None:
        self._figure.tell("busy", fraction=fraction)

    def close(self) -> None:
        """Stop computing and leave the page."""
        self._runner.close()
        self._unwatch()
        for part in _parts(self):
            part.close()
        super().close()

    # ---- in a notebook's output

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self._repr_mimebundle_(), raw=True)
        self._static = display(self._static_copy(), raw=True, display_id=True)

    def _static_copy(self, picture: bytes = b"") -> dict[str, str]:
        """What is read where no kernel runs: the numbers, and the picture once the page has drawn it."""
        explorer = self._explorer.at(coarse=self._explorer.heavy)
        try:
            text, html = explorer.table(), explorer.table("html")
        except Exception as error:  # the picture's place says it already
            text, html = sentence(error), escape(sentence(error))
        if picture:
            source = base64.b64encode(picture).decode()
            html = f'<img alt="{escape(explorer.title)}" src="data:image/png;base64,{source}">{html}'
        return {"text/plain": text, "text/html": f'<div class="wb-static">{html}</div>'}

    def _keep_still(self, serial: object, buffers: list[memoryview]) -> None:
        picture = bytes(buffers[0]) if buffers else b""
        shown = self._figure.serial == serial and picture.startswith(b"\x89PNG") and len(picture) <= _LARGEST_STILL
        if self._static is not None and shown:
            self._static.update(self._static_copy(picture), raw=True)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        bundle = super()._repr_mimebundle_(**kwargs)
        return {**bundle, "text/plain": f"{self._explorer.title}: live where a kernel runs, a table below elsewhere"}


def pixels(content: dict[str, Any], buffers: list[memoryview]) -> np.ndarray:
    """The reader's image as the page sent it: (H, W, 3) uint8, transparent parts white.

    Raises:
        ValueError: where the bytes are not width x height RGBA pixels, or the sides are not from 1 to 1024.
    """
    width, height = content.get("width"), content.get("height")
    for side in (width, height):
        if not isinstance(side, int) or not 1 <= side <= 1024:
            raise ValueError(
                f"an image of {width} x {height} px was given, but sides from 1 to 1024 were expected; "
                "choose a smaller one."
            )
    raw = np.frombuffer(buffers[0], np.uint8) if buffers else np.empty(0, np.uint8)
    if raw.size != 4 * width * height:  # type: ignore[operator]
        raise ValueError(
            f"{raw.size} bytes were given, but {width} x {height} pixels of 4 bytes were expected; "
            "choose the image again."
        )
    rgba = raw.reshape(height, width, 4).astype(np.float32)  # type: ignore[arg-type]
    alpha = rgba[..., 3:] / 255
    return np.round(rgba[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)


def _parts(box: widgets.Box) -> list[widgets.Widget]:
    """Every widget inside a box, however deep."""
    inner = [part for child in box.children if isinstance(child, widgets.Box) for part in _parts(child)]
    return [*inner, *box.children]


def _head(explorer: Explorer) -> widgets.HTML:
    head = widgets.HTML(
        f'<p class="wb-title" role="heading" aria-level="3">{escape(explorer.title)}</p>'
        f'<p class="wb-question">{escape(explorer.question)}</p>'
    )
    return head.add_class("wb-head")


def _help(explorer: Explorer) -> widgets.HTML:
    said = "".join(f"<dt>{escape(control.label)}</dt><dd>{escape(control.doc)}</dd>" for control in explorer.controls())
    text = (
        f"<details><summary>What do the controls do?</summary><p>{escape(explorer.explanation)}</p>"
        f"<dl>{said}</dl></details>"
    )
    return widgets.HTML(text).add_class("wb-help")


def _body(sliders: list[widgets.Widget], figure: FigureWidget) -> widgets.Box:
    controls = widgets.Box(sliders).add_class("wb-controls")
    return widgets.Box([controls, figure]).add_class("wb-body")

"""The served face of an explorer: one Panel component, generated from the explorer's own description."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import param
from bokeh.models import ImportedStyleSheet
from panel.custom import JSComponent

from workbench.dashboards.computing import TROUBLE, Computer, Outcome, is_for_the_visitor
from workbench.dashboards.uploads import LARGEST_IMAGE, LARGEST_MOLECULE, read_image, read_molecule
from workbench.explorers import Control, Explorer
from workbench.explorers._controls import on_page, write
from workbench.explorers._explorer import own_file

logger = logging.getLogger(__name__)

ASSETS = Path(__file__).parent / "assets"
_SCRIPTS = ("frame.js", "controls.js", "face.js")
_MOST_VALUES = 64  # controls that one message may set
_LONGEST_TEXT = 200  # characters of one value


@lru_cache(maxsize=1)
def shared_pool() -> Executor:
    """The threads all visitors' pictures are computed in."""
    return ThreadPoolExecutor(max_workers=max(4, os.cpu_count() or 1), thread_name_prefix="workbench-compute")


class ExplorerFace(JSComponent):
    """A Panel component that shows an explorer: controls left, picture right, its question above.

    The picture travels as one message of binary arrays and is drawn by plotly.js, which the page must hold as
    `window.Plotly` (our own pages do; elsewhere `panel.extension("plotly")` brings one). Nothing that a browser sends
    is trusted: every value is read and checked by the explorer's controls.

    Args:
        explorer: the explorer of this visitor; no other face may use it.
        notice: one sentence to show on top, for instance why a permalink was refused.
        pool: where pictures are computed; a pool shared by all visitors unless given.
    """

    spec = param.Dict(default={}, doc="Texts and controls, as the browser draws them.")

    _esm: ClassVar[str] = "\n".join((ASSETS / name).read_text("utf-8") for name in _SCRIPTS)
    _stylesheets: ClassVar[list[str]] = [(ASSETS / "face.css").read_text("utf-8")]

    def __init__(self, explorer: Explorer, *, notice: str = "", pool: Executor | None = None, **layout: Any) -> None:
        self._explorer = explorer
        self._described = describe_controls(explorer)
        self._own_name = ""
        self._along: dict[str, str] = {}  # controls that moved along with the visitor's, not yet told
        self._computer = Computer(explorer, pool or shared_pool(), self._deliver, self._tell_progress)
        super().__init__(spec=describe(explorer, notice), **{"sizing_mode": "stretch_width", **layout})

    def close(self) -> None:
        """The visitor has left: stop computing."""
        self._computer.close()

    def _get_model(self, *given: Any, **named: Any) -> Any:
        """Panel's own style sheets are left out: a page needs none, and they may be asked for on another machine."""
        model: Any = super()._get_model(*given, **named)
        model.stylesheets = [sheet for sheet in model.stylesheets if not isinstance(sheet, ImportedStyleSheet)]
        return model

    # ---- from the browser

    def _handle_msg(self, data: Any) -> None:
        handlers: dict[str, Callable[[dict[str, Any]], None]] = {
            "hello": self._on_hello,
            "set": self._on_set,
            "stop": self._on_stop,
            "image": self._on_image,
            "molecule": self._on_molecule,
            "forget": self._on_forget,
            "export": self._on_export,
        }
        handler = handlers.get(str(data.get("kind"))) if isinstance(data, dict) else None
        try:
            if handler is None:
                raise ValueError("the page sent a message that is not understood; reload the page.")
            handler(data)
        except Exception as error:
            if is_for_the_visitor(error):
                self._refuse(on_page(error))
                return
            logger.exception("a message to the explorer %r could not be handled", self._explorer.slug)
            self._refuse(TROUBLE)

    def _on_hello(self, data: dict[str, Any]) -> None:
        self._computer.want()

    def _on_set(self, data: dict[str, Any]) -> None:
        texts, ticket = data.get("values"), data.get("ticket")
        if not isinstance(texts, dict) or len(texts) > _MOST_VALUES or not isinstance(ticket, int | float):
            raise ValueError("the page sent a message that is not understood; reload the page.")
        before, own = self._explorer.state(), self._shows_own()
        self._explorer.set(**{name: self._read(name, text) for name, text in texts.items()})
        # A control may move others; the page moves the ones it sent by itself, and must not be sent back its own past.
        moved = {name: value for name, value in self._explorer.state().items() if value != before[name]}
        self._along.update({name: write(value) for name, value in moved.items() if name not in texts})
        if own != self._shows_own():  # another picture was chosen, or the visitor's own again
            self._send_msg({"kind": "image", "name": "" if own else self._own_name})
        self._computer.want(int(ticket))

    def _read(self, name: str, text: object) -> Any:
        """The value a text stands for; names the explorer does not know are left for it to refuse."""
        named = {control.name: control for control in self._explorer.controls()}
        if not isinstance(text, str) or len(text) > _LONGEST_TEXT:
            told = named[name].label if name in named else str(name)[:40]
            raise ValueError(f"a value of {told!r} was given that is no short text; move the control again.")
        return named[name].parse(text) if name in named else text

    def _on_stop(self, data: dict[str, Any]) -> None:
        self._computer.stop()
        self._send_msg({"kind": "stopped"})

    def _on_image(self, data: dict[str, Any]) -> None:
        if "image" not in self._explorer.accepts:
            raise ValueError(f"{self._explorer.title} takes no image of your own; leave it out.")
        name = Path(str(data.get("name", ""))).name[:80]
        self._explorer.set_image(read_image(data.get("data"), name))
        self._keep_name(name)

    def _on_molecule(self, data: dict[str, Any]) -> None:
        explorer: Any = self._explorer
        if "molecule" not in explorer.accepts:
            raise ValueError(f"{explorer.title} takes no molecule of your own; leave it out.")
        name = Path(str(data.get("name", ""))).name[:80]
        explorer.set_molecule(read_molecule(data.get("data"), name))
        self._keep_name(name)

    def _keep_name(self, name: str) -> None:
        self._own_name = name
        self._send_msg({"kind": "image", "name": name})
        self._computer.want()

    def _shows_own(self) -> bool:
        return own_file(self._explorer) in self._explorer.attached

    def _on_forget(self, data: dict[str, Any]) -> None:
        self._explorer.attach(own_file(self._explorer) or "image", None)
        self._send_msg({"kind": "image", "name": ""})
        self._computer.want()

    def _on_export(self, data: dict[str, Any]) -> None:
        what, slug = data.get("what"), self._explorer.slug
        if what == "code":
            self._send_msg({"kind": "export", "what": what, "text": self._explorer.code()})
        elif what in ("table", "data"):
            self._computer.do(lambda explorer: export(explorer, what, f"{slug}.nc"), self._send_msg)
        else:
            raise ValueError("the page asked for something that is not there; reload the page.")

    # ---- to the browser

    def _deliver(self, outcome: Outcome) -> None:
        if outcome.stopped:
            self._send_msg({"kind": "stopped"})
        elif outcome.trouble:
            self._send_msg({"kind": "trouble", "sentence": outcome.trouble})
        else:
            self._send_msg(self._frame(outcome))

    def _frame(self, outcome: Outcome) -> dict[str, Any]:
        controls = describe_controls(self._explorer)
        changed = [{**c, "value": ""} for c in controls] != [{**c, "value": ""} for c in self._described]
        self._described = controls
        along, self._along = self._along, {}
        return {
            "kind": "frame",
            "ticket": outcome.ticket,
            "text": outcome.text,
            "buffer": outcome.buffer,
            "coarse": outcome.coarse,
            "showing": outcome.showing,
            "link": self._explorer.permalink(),
            "controls": controls if changed else None,
            "values": along,
            "timing": {"compute_ms": outcome.compute_ms, "pack_ms": outcome.pack_ms},
        }

    def _tell_progress(self, fraction: float) -> None:
        self._send_msg({"kind": "progress", "fraction": fraction})

    def _refuse(self, sentence: str) -> None:
        values = {name: write(value) for name, value in self._explorer.state().items()}
        self._send_msg({"kind": "refused", "sentence": sentence, "values": values})


def describe(explorer: Explorer, notice: str = "") -> dict[str, Any]:
    """Everything the browser needs to draw the face of an explorer, as plain data."""
    return {
        "slug": explorer.slug,
        "title": explorer.title,
        "question": explorer.question,
        "explanation": explorer.explanation,
        "controls": describe_controls(explorer),
        "image_bytes": LARGEST_IMAGE if "image" in explorer.accepts else 0,
        "molecule_bytes": LARGEST_MOLECULE if "molecule" in explorer.accepts else 0,
        "notice": notice,
    }


def describe_controls(explorer: Explorer) -> list[dict[str, Any]]:
    """The controls as plain data, with the text of each present value."""
    return [_describe_control(control, getattr(explorer, control.name)) for control in explorer.controls()]


def _describe_control(control: Control, value: Any) -> dict[str, Any]:
    return {
        "name": control.name,
        "label": control.label,
        "unit": control.unit,
        "kind": control.kind,
        "doc": control.doc,
        "bounds": list(control.bounds or ()),
        "step": control.step,
        "options": [[label, write(option)] for label, option in control.options],
        "value": write(value),
    }


def export(explorer: Explorer, what: str, filename: str) -> dict[str, Any]:
    """The numbers behind the picture, as an escaped table or as the bytes of a NetCDF file."""
    if what == "table":
        return {"kind": "export", "what": what, "text": explorer.table("html")}
    with tempfile.TemporaryDirectory() as folder:
        content = explorer.save(Path(folder) / filename).read_bytes()
    return {"kind": "export", "what": what, "buffer": content, "filename": filename}

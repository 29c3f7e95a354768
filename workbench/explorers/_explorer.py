"""The base of every explorer: typed controls, one pure computation, one view; both faces are generated from it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import param

from workbench.explorers._controls import Control, Value, describe, refuse_unknown, write
from workbench.explorers._permalink import read_query, write_query
from workbench.explorers._results import Results
from workbench.measure import Cancelled

if TYPE_CHECKING:
    import ipywidgets
    import plotly.graph_objects as go
    import xarray as xr

OWN = {
    "image": (("picture",), "your own picture"),
    "model": (("network", "potential"), "your own model"),
    "molecule": (("species",), "your own molecule"),
}
"""What the reader brings takes the place of one choice of a menu, under a name of its own."""
_KEPT_RESULTS = 24  # results one explorer remembers: a slider moved to and fro costs nothing


class Explorer(param.Parameterized):
    """A question with controls: the values of its parameters determine one labelled Dataset and one picture.

    **What a subclass writes.** The four texts, its controls, `compute` and `view`; its module says
    `EXPLORER = ClassName`.

    - Controls are `param.Number` / `param.Integer` (with bounds), `param.Selector`, `param.Boolean`, each with a doc
      (a sentence for a newcomer) and a label whose closing bracket is the unit, as in "Turn (degrees)". Options or
      bounds may be changed on the instance (`self.param.layer.objects = [...]`); the faces follow.
    - `compute` is a pure function of the controls and of what was `attach`ed: it reads nothing else that changes, so
      that it can run on a copy in another thread, be cached, and be reproduced by `code()`.
    - `view` maps that Dataset to {"data": [...], "layout": {...}} of numpy arrays, by functions of `workbench.views`.
      It sets no paper, grid or text colours: the faces give the picture their theme, light or dark.
    - `ds.attrs["showing"] = "showing 64 of 128 kernels"` where it subsamples; every face and table prints it.
    - `heavy = True` where compute may take over 20 ms: the faces then compute with `self.coarse` true while a control
      moves (answer within 20 ms: a smaller grid, a stored result) and once more with `self.coarse` false at rest,
      cancellable. Long loops call `self.tell_progress(fraction)`, or hand `progress=self.tell_progress,
      cancel=self.cancel` to the measure they call.
    - `accepts = ("image",)` or `("image", "model")` where the reader may bring their own, by `set_image(array)` and
      `set_model(module)` (override them to check more, and call super); compute reads `self.attached.get("image")`,
      uint8 in 0..255 as the faces send it or what was given. It is no control and no part of the permalink.

    **What a face uses.** `controls()`, `state()`, `set(**values)`, `on_change(callback)`, `at(...)`, `figure_dict()`,
    `showing`, `permalink()`, `code()`, `table()`, `save(path)`.

    Every value that enters, by whatever door, is checked here in Python; a refusal is one sentence and changes nothing.
    """

    slug: ClassVar[str] = ""
    title: ClassVar[str] = ""
    question: ClassVar[str] = ""
    explanation: ClassVar[str] = ""
    heavy: ClassVar[bool] = False
    accepts: ClassVar[tuple[str, ...]] = ()

    # Set by a face on the copy it computes with (`at`), never by a reader.
    coarse: bool = False
    progress: Callable[[float], None] | None = None
    cancel: threading.Event | None = None

    def __init__(self, **values: Value) -> None:
        super().__init__()
        self._attached: dict[str, Any] = {}
        self._entries: dict[str, Value] = {}  # which choice of its menu an attachment has the place of
        self._revision = 0  # counts attachments: part of the key of a result
        self._results = Results(_KEPT_RESULTS)
        self._callbacks: list[Callable[[], None]] = []
        self._held = False
        self._widget: ipywidgets.VBox | None = None
        self.param.watch(self._notice, list(control_names(type(self))))
        self.set(**values)

    def compute(self) -> xr.Dataset:
        """Compute the labelled arrays behind the picture, from the controls and what is attached alone."""
        raise NotImplementedError(f"{type(self).__name__} has no compute; write it.")

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw the Dataset as {"data": [...], "layout": {...}}."""
        raise NotImplementedError(f"{type(self).__name__} has no view; write it.")

    # ---- controls and state

    def controls(self) -> tuple[Control, ...]:
        """The controls in the order they are written in the class, as the faces draw them."""
        return tuple(self._with_own(describe(self, name)) for name in control_names(type(self)))

    def _with_own(self, control: Control) -> Control:
        kind = next((kind for kind, (menus, _) in OWN.items() if control.name in menus), "")
        if kind not in self._entries:
            return control
        options = ((OWN[kind][1] if own == self._entries[kind] else words, own) for words, own in control.options)
        return replace(control, options=tuple(options))

    def state(self) -> dict[str, Value]:
        """The value of every control."""
        return {name: getattr(self, name) for name in control_names(type(self))}

    def set(self, **values: Value) -> None:
        """Set several controls at once: all of them or, where one is refused, none.

        Raises:
            ValueError: a name that is no control, or a value its control does not accept.
        """
        names = control_names(type(self))
        refuse_unknown(list(values), list(names))
        before = self.state()
        with self._one_notice():
            try:
                for name in names:  # in the order of the class: an earlier control may change a later one's options
                    if name in values:
                        setattr(self, name, values[name])
            except ValueError:
                for name in names:
                    setattr(self, name, before[name])
                raise

    def __setattr__(self, name: str, value: Any) -> None:
        if name in control_names(type(self)):
            value = describe(self, name).check(value)
        super().__setattr__(name, value)

    def on_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback()` after a control or an attachment changed (once per `set`); returns what undoes this."""
        self._callbacks.append(callback)

        def stop() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return stop

    def at(
        self,
        *,
        coarse: bool = False,
        cancel: threading.Event | None = None,
        progress: Callable[[float], None] | None = None,
        **values: Value,
    ) -> Explorer:
        """A copy at the present state (or another one): for computing in a thread while this one moves on.

        The copy shares the attachments and the remembered results.
        """
        copy = type(self)()
        copy._attached, copy._entries = dict(self._attached), dict(self._entries)
        copy._revision, copy._results = self._revision, self._results
        copy.set(**{**self.state(), **values})
        copy.coarse, copy.cancel, copy.progress = coarse, cancel, progress
        return copy

    # ---- what the reader brings along

    @property
    def attached(self) -> Mapping[str, Any]:
        """What the reader brought along and is shown, by name: "image" (a read-only array) or "model".

        Each has the place of the choice that its menu stood at; another choice leads back to what is stored.
        """
        entries = self._entries
        shown = {
            k: own
            for k, own in self._attached.items()
            if k not in entries or entries[k] == getattr(self, self._menu(k))
        }
        return MappingProxyType(shown)

    def _menu(self, name: str) -> str:
        """The control in whose menu what was brought has its place."""
        menus = OWN[name][0] if name in OWN else ()
        return next((menu for menu in menus if menu in control_names(type(self))), "")

    def attach(self, name: str, value: Any) -> None:
        """Keep a checked image or model beside the controls; None takes it away again."""
        if name not in self.accepts:
            raise ValueError(
                f"{name!r} was given, but {self.title or type(self).__name__} accepts "
                f"{' and '.join(self.accepts) or 'nothing to be attached'}; leave it out."
            )
        if isinstance(value, np.ndarray):
            value = value.copy()
            value.flags.writeable = False
        self._attached = {key: kept for key, kept in self._attached.items() if key != name}
        self._entries = {key: kept for key, kept in self._entries.items() if key != name}
        if value is not None:
            self._attached[name] = value
            menu = self._menu(name)
            self._entries |= {name: getattr(self, menu)} if menu else {}
        self._revision += 1
        self._notice()

    def set_image(self, image: Any) -> None:
        """Bring an image of your own: (H, W) or (H, W, 3), sides from 1 to 1024, finite numbers; None takes it away."""
        array = None if image is None else np.asarray(image)
        if array is not None:
            fits = array.ndim in (2, 3) and array.shape[2:] in ((), (3,)) and all(1 <= n <= 1024 for n in array.shape)
            if not fits or array.dtype.kind not in "buif" or not np.isfinite(array).all():
                raise ValueError(
                    f"an image of shape {array.shape} and dtype {array.dtype} was given, but (height, width) "
                    "or (height, width, 3) finite numbers, sides 1 to 1024, were expected; cut, convert or shrink it."
                )
        self.attach("image", array)

    def set_model(self, model: Any) -> None:
        """Bring a torch module of your own; None takes it away."""
        if model is not None and not callable(model):
            raise ValueError(f"a {type(model).__name__} was given, but a torch module was expected; pass the network.")
        self.attach("model", model)

    # ---- results

    def tell_progress(self, fraction: float) -> None:
        """Called by a long `compute` now and then, with the part done in [0, 1]; raises `Cancelled` to stop it."""
        if self.cancel is not None and self.cancel.is_set():
            raise Cancelled(f"the picture of {self.slug} is no longer wanted; it was not finished.")
        if self.progress is not None:
            self.progress(min(max(fraction, 0.0), 1.0))

    def dataset(self) -> xr.Dataset:
        """The labelled arrays at the present state: computed once, then remembered; the arrays are read-only."""
        ds = self._results.get(self._key(False))
        if ds is None and self.coarse:
            ds = self._results.get(self._key(True))
        if ds is None:
            ds = self._freeze(self.compute())
            if self.cancel is not None and self.cancel.is_set():
                raise Cancelled(f"the picture of {self.slug} is no longer wanted; it was not finished.")
            self._results.put(self._key(self.coarse), ds)
        return ds.copy(deep=False)

    @property
    def refined(self) -> bool:
        """Whether the full result of the present state is remembered: asking for it then costs nothing."""
        return self._results.get(self._key(False)) is not None

    def _key(self, coarse: bool) -> tuple[Any, ...]:
        return (coarse, self._revision, *self.state().values())

    def figure_dict(self) -> dict[str, Any]:
        """The picture as plain data: {"data": [...], "layout": {...}}."""
        ds = self.dataset()
        drawn = self.view(ds)
        layout = {"uirevision": self.slug, **drawn["layout"]}
        note = escape(str(ds.attrs.get("showing", "")), quote=False)
        written = " ".join(str(item.get("text")) for item in layout.get("annotations", ()))
        if note and note not in written:
            layout["annotations"] = [*layout.get("annotations", ()), _note(note)]
        return {"data": drawn["data"], "layout": layout}

    def figure(self) -> go.Figure:
        """The picture as a plotly figure."""
        import plotly.graph_objects as go

        return go.Figure(self.figure_dict())

    @property
    def showing(self) -> str:
        """'showing n of N ...' where the present result is a part of what there is, else an empty string."""
        return str(self.dataset().attrs.get("showing", ""))

    def table(self, kind: str = "text") -> str:
        """The numbers behind the picture as a "text" or an escaped "html" table."""
        from workbench.explorers._table import as_html, as_text

        write_table = {"text": as_text, "html": as_html}[kind]
        return write_table(self.title, self.question, self.state_lines(), self.dataset())

    def state_lines(self) -> list[tuple[str, str]]:
        """Every control's label and present value in words, for tables and captions."""
        lines = []
        for control in self.controls():
            value = getattr(self, control.name)
            labels = {option: label for label, option in control.options}
            words = {True: "yes", False: "no"} if control.kind == "switch" else labels
            lines.append((control.label, words.get(value) or write(value)))
        return lines

    def save(self, path: str | Path) -> Path:
        """Write the Dataset as NetCDF; `workbench.measure.open_dataset` reads it back unchanged."""
        from workbench.measure.dataset import save

        save(self.dataset(), path)
        return Path(path)

    # ---- going elsewhere and coming back

    def permalink(self) -> str:
        """The present state as the query of an address, every control named: '?angle_deg=30.0&n=8'."""
        return write_query(self.state())

    @classmethod
    def from_permalink(cls, query: str) -> Explorer:
        """The explorer at the state of a permalink; controls it does not name keep their defaults.

        Raises:
            ValueError: malformed, too long, a key that is unknown or comes twice, a value out of range.
        """
        explorer = cls()
        explorer.follow(query)
        return explorer

    def follow(self, query: str) -> None:
        """Go to the state of a permalink; refused like `from_permalink`, and then nothing changes."""
        texts = read_query(query)
        names = control_names(type(self))
        refuse_unknown(list(texts), list(names))
        before = self.state()
        with self._one_notice():
            try:
                for name in names:
                    if name in texts:
                        setattr(self, name, describe(self, name).parse(texts[name]))
            except ValueError:
                self.set(**before)
                raise

    def code(self) -> str:
        """Python that reproduces the present state, ready to be pasted into a notebook."""
        from workbench.explorers._code import as_code

        return as_code(self)

    def widget(self) -> ipywidgets.VBox:
        """The explorer as a widget for a notebook: always the same one, however often it is shown."""
        if self._widget is None or self._widget.comm is None:
            from workbench.explorers._notebook import ExplorerWidget

            self._widget = ExplorerWidget(self)
        return self._widget

    def _ipython_display_(self) -> None:
        self.widget()._ipython_display_()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": self.table(), "text/html": self.table("html")}

    # ---- machinery

    def _freeze(self, ds: xr.Dataset) -> xr.Dataset:
        import xarray as xr

        if not isinstance(ds, xr.Dataset):
            raise TypeError(
                f"{type(self).__name__}.compute gave a {type(ds).__name__}, but a xarray.Dataset was "
                "expected; return what the measure returns."
            )
        ds = ds.assign_attrs(explorer=self.slug, state=self.permalink())
        for variable in ds.variables.values():
            if isinstance(variable.data, np.ndarray):
                variable.data.flags.writeable = False
        return ds

    def _notice(self, *_: param.parameterized.Event) -> None:
        if not self._held:
            for callback in list(self._callbacks):
                callback()

    @contextmanager
    def _one_notice(self) -> Iterator[None]:
        before, held, self._held = self.state(), self._held, True
        try:
            yield
        finally:
            self._held = held
            if self.state() != before:
                self._notice()


@cache
def control_names(cls: type[Explorer]) -> tuple[str, ...]:
    """The names of an explorer's controls, in the order they are written."""
    return tuple(name for name in cls.param if name != "name" and (cls.param[name].precedence or 0) >= 0)


def own_file(explorer: Explorer) -> str:
    """What the reader may bring to the page from a file: "image", "molecule" or nothing."""
    return next((kind for kind in ("image", "molecule") if kind in explorer.accepts), "")


def _note(text: str) -> dict[str, Any]:
    """The 'showing n of N' note in the lower right corner, below the axis."""
    place = {"x": 1, "y": 0, "xref": "paper", "yref": "paper", "xanchor": "right", "yanchor": "top", "yshift": -30}
    return {**place, "text": text, "showarrow": False, "font": {"size": 11}, "opacity": 0.8}

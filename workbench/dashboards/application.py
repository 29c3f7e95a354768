"""What is served: the front page, one Panel page per explorer, their pictures, the assets, the health report."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from tornado.web import HTTPError, RequestHandler, StaticFileHandler, authenticated

from workbench import __version__
from workbench.dashboards.front import front_page
from workbench.dashboards.pages import ASSETS, plotly_script, template
from workbench.dashboards.pictures import explorer_picture, method_picture
from workbench.explorers import Explorer, explorers
from workbench.models.method import methods

logger = logging.getLogger(__name__)


Served = Mapping[str, type[Explorer]]


def application(served: Served | None = None) -> dict[str, Any]:
    """The Panel applications by path: one page per explorer, each visit with an explorer of its own.

    Args:
        served: explorers by slug; every explorer of the workbench unless given.

    >>> sorted(application()) == sorted(f"/{slug}" for slug in explorers())
    True
    """
    served = explorers() if served is None else served
    return {f"/{slug}": _page(cls, served) for slug, cls in served.items()}


def routes(served: Served | None = None) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """Everything that is served without a session."""
    shown = {"served": explorers() if served is None else served}
    return [
        (r"/", FrontPage, shown),
        (r"/health", Health, {}),
        (r"/pictures/(method-)?([a-z0-9_-]+)\.svg", Picture, shown),
        (r"/assets/(plotly\.min\.js)", Asset, {"path": str(plotly_script().parent)}),
        (r"/assets/(.*)", Asset, {"path": str(ASSETS)}),
    ]


async def warm(served: Served | None = None) -> None:
    """Draw the front page's pictures before the first visitor asks for them."""
    for cls in (explorers() if served is None else served).values():
        await explorer_picture(cls)


def _page(cls: type[Explorer], served: Served) -> Callable[[], Any]:
    def page() -> Any:
        """One visit of the explorer's page."""
        import panel as pn

        from workbench.dashboards.face import ExplorerFace

        document: Any = pn.state.curdoc
        explorer, notice = open_at(cls, document.session_context.request.arguments)
        face = ExplorerFace(explorer, notice=notice)
        document.config.notify_connection_status = False  # the face says it in its own words
        document.template = template("explorer.html")
        document.template_variables.update(
            pages=list(served.values()),
            here=cls.slug,
            description=cls.question,
            question=cls.question,
            nonce=secrets.token_urlsafe(18),
        )
        pn.state.on_session_destroyed(lambda _: face.close())
        return face

    return page


def open_at(cls: type[Explorer], arguments: dict[str, list[bytes]]) -> tuple[Explorer, str]:
    """The explorer at the state of a permalink; where it is refused, at its defaults and with the sentence why."""
    from urllib.parse import urlencode

    query = urlencode([(name, value) for name, values in arguments.items() for value in values])
    try:
        return cls.from_permalink(query), ""
    except ValueError as refusal:
        return cls(), f"This link cannot be followed: {refusal} You see the explorer as it starts."


class _Guarded(RequestHandler):
    """A page that asks for the password where one is set."""

    def initialize(self, served: Served) -> None:
        self._served = served

    def get_current_user(self) -> Any:
        provider = self.application.auth_provider  # type: ignore[attr-defined]
        return provider.get_user(self) if provider.get_user else "visitor"

    def get_login_url(self) -> str:
        return "/login"


class FrontPage(_Guarded):
    """A picture and a sentence for every explorer and method."""

    @authenticated
    def get(self) -> None:
        self.finish(front_page(self._served, methods()))


class Picture(_Guarded):
    """The small picture of an explorer or a method."""

    @authenticated
    async def get(self, method: str | None, name: str) -> None:
        dark = self.get_query_argument("theme", "light") == "dark"
        if name not in (methods() if method else self._served):
            self.send_error(404)
            return
        picture = await (method_picture(methods()[name], dark) if method else explorer_picture(self._served[name]))
        self.set_header("Content-Type", "image/svg+xml; charset=utf-8")
        self.set_header("Cache-Control", "private, max-age=600")
        self.finish(picture)


class Asset(StaticFileHandler):
    """Style sheets and scripts; they hold nothing of the visitor, so the login page may use them too."""

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
        if "\0" in absolute_path:
            raise HTTPError(404)
        return super().validate_absolute_path(root, absolute_path)


class Health(RequestHandler):
    """Whether the server answers, for a monitor: {"status", "version", "sessions"}."""

    def get(self) -> None:
        site: Any = self.application
        sessions = sum(len(site.get_sessions(path)) for path in site.app_paths)
        self.set_header("Cache-Control", "no-store")
        self.finish({"status": "ok", "version": __version__, "sessions": sessions})

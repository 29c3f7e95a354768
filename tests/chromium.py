"""A headless Chromium for one test: fresh profile, everything it complained about or asked for on record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright

from tests.offline.sitecustomize import is_local
from workbench.commands.browser import REMEDY, find_browser

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)


VIEWPORT = {"width": 1400, "height": 1000}


def stays_here(url: str) -> bool:
    """Whether a request for this address is answered by this machine.

    >>> stays_here("http://127.0.0.1:8888/lab"), stays_here("data:,x"), stays_here("https://example.org/a.js")
    (True, True, False)
    """
    parts = urlsplit(url)
    return parts.scheme not in ("http", "https", "ws", "wss", "ftp") or is_local(parts.hostname)


def installed() -> Path:
    """The Chromium of this machine; without one the test fails and says the remedy."""
    executable = find_browser()
    if executable is None:
        pytest.fail(REMEDY)
    return executable


def settings(executable: Path) -> dict[str, Any]:
    """How Playwright is to launch it."""
    return {"executable_path": executable, "headless": True, "args": list(FLAGS)}


def with_profile(playwright: Playwright, executable: Path, profile: Path) -> BrowserContext:
    """A browser of its own, whose profile lies in that folder."""
    return playwright.chromium.launch_persistent_context(profile, viewport=VIEWPORT, **settings(executable))


def within(browser: Browser) -> BrowserContext:
    """A visitor in a browser that runs already: no cookies, storage or cache in common with the others."""
    return browser.new_context(viewport=VIEWPORT)


class Chromium:
    """One visitor: a browser with its own profile, one open page, and a record of what went wrong.

    `page` is a Playwright page; `console_errors` and `outside_requests` fill up while the test runs.
    """

    def __init__(self, context: BrowserContext, artefacts: Path) -> None:
        self.artefacts = artefacts
        self.console_errors: list[str] = []
        self.outside_requests: list[str] = []
        self.context = context
        self.context.on("request", lambda request: self._note_request(request.url))
        self.context.on("page", self._watch)
        self.page: Page = self.context.pages[0] if self.context.pages else self.context.new_page()
        self._watch(self.page)
        self.page.set_default_timeout(30_000)  # ms

    def _watch(self, page: Page) -> None:
        page.on("console", self._note_console)
        page.on("pageerror", lambda error: self.console_errors.append(f"uncaught: {error}"))
        page.on("websocket", lambda socket: self._note_request(socket.url))

    def _note_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.console_errors.append(f"{message.text} ({message.location.get('url', '')})")

    def _note_request(self, url: str) -> None:
        if not stays_here(url):
            self.outside_requests.append(url)

    def screenshot(self, name: str, page: Page | None = None) -> Path:
        """Save what is on screen as artefacts/NAME.png and return its path."""
        path = self.artefacts / f"{name}.png"
        (page or self.page).screenshot(path=path)
        return path

    def assert_clean(self) -> None:
        """Fail where the console showed an error or a request left this machine."""
        assert self.outside_requests == [], f"requests left the machine: {self.outside_requests}"
        assert self.console_errors == [], f"the browser console showed errors: {self.console_errors}"

    def close(self) -> None:
        self.context.close()


@contextmanager
def visitors(
    name: str, failed: Callable[[], bool], artefacts: Path, new_context: Callable[[int], BrowserContext]
) -> Iterator[Callable[[], Chromium]]:
    """A function that opens one more visitor for the test of that name; what they see is kept where it failed."""
    opened: list[Chromium] = []
    with ExitStack() as stack:

        def open_one() -> Chromium:
            opened.append(Chromium(new_context(len(opened)), artefacts))
            stack.callback(opened[-1].close)
            return opened[-1]

        yield open_one
        if failed():
            for number, visitor in enumerate(opened):
                visitor.screenshot(f"failed_{name}_{number}")
    for visitor in opened:
        assert visitor.outside_requests == [], f"requests left the machine: {visitor.outside_requests}"

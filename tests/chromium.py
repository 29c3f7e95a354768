"""A headless Chromium for one test: fresh profile, everything it complained about or asked for on record."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Playwright

from tests.offline.sitecustomize import is_local

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


def stays_here(url: str) -> bool:
    """Whether a request for this address is answered by this machine.

    >>> stays_here("http://127.0.0.1:8888/lab"), stays_here("data:,x"), stays_here("https://example.org/a.js")
    (True, True, False)
    """
    parts = urlsplit(url)
    return parts.scheme not in ("http", "https", "ws", "wss", "ftp") or is_local(parts.hostname)


class Chromium:
    """One visitor: a browser with its own profile, one open page, and a record of what went wrong.

    `page` is a Playwright page; `console_errors` and `outside_requests` fill up while the test runs.
    """

    def __init__(self, playwright: Playwright, executable: Path, profile: Path, artefacts: Path) -> None:
        self.artefacts = artefacts
        self.console_errors: list[str] = []
        self.outside_requests: list[str] = []
        self.context: BrowserContext = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=executable,
            headless=True,
            args=list(FLAGS),
            viewport={"width": 1400, "height": 1000},
        )
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

"""A real server, asked as browsers and strangers ask it: origins, hosts, passwords, headers, limits, visitors."""

import asyncio
import gc
import json
import logging
import weakref
from contextlib import suppress
from urllib.parse import urlencode

import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClosedError, websocket_connect

from tests.dashboards.samples import Dots, Slow
from tests.dashboards.serving import running, until
from workbench.dashboards.protection import HEADERS
from workbench.dashboards.server import make_server
from workbench.dashboards.uploads import LARGEST_MESSAGE

PASSWORD = "correct horse"
CYCLES = 50
MOST_GROWTH = 50 * 2**20  # bytes


@pytest.fixture(scope="module")
def server():
    with running(Dots, Slow, session_lifetime=0.4) as one:
        yield one


@pytest.fixture(scope="module")
def guarded():
    with running(Dots, auth=PASSWORD) as one:
        yield one


def test_r10_our_own_pages_may_connect(server):
    key = {"Sec-WebSocket-Protocol": f"bokeh, {server.token('/dots')}"}
    assert server.handshake("/dots", f"http://127.0.0.1:{server.port}", **key) == 101
    assert server.handshake("/dots", f"http://localhost:{server.port}", **key) == 101


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "http://localhost:{port}.evil.example", "http://localhost", "http://127.0.0.1:1", "null",
     "http://localhost:{port}@evil.example", "http://evil.example:{port}", "https://evil.example/localhost:{port}"],
)  # fmt: skip
def test_r10_foreign_pages_may_not(server, origin):
    key = {"Sec-WebSocket-Protocol": f"bokeh, {server.token('/dots')}"}
    assert server.handshake("/dots", origin.format(port=server.port), **key) == 403


def test_r10_a_page_that_renamed_this_machine_is_not_answered(server):
    for path in ("/", "/dots", "/health", "/assets/theme.css"):
        status, _, text = server.get(path, Host="evil.example")
        assert status == 403
        assert "--allow-origin" in text


def test_r10_a_named_proxy_is_answered():
    with running(Dots, allow_origins=["lab.example.org"]) as server:
        assert server.get("/", Host="lab.example.org")[0] == 200
        key = {"Sec-WebSocket-Protocol": f"bokeh, {server.token('/dots')}", "Host": "lab.example.org"}
        assert server.handshake("/dots", "https://lab.example.org:443", **key) == 101
        assert server.handshake("/dots", "https://lab.example.org.evil.example", **key) == 403


def test_r11_without_a_password_the_server_does_not_start_for_others():
    with pytest.raises(ValueError, match="set a password"):
        make_server(0, "0.0.0.0")
    with pytest.raises(ValueError, match="unsafe_any_origin"):
        make_server(0, allow_origins=["*"])


def test_r11_by_default_this_machine_alone_is_listened_to(server):
    assert server.server.address == "127.0.0.1"


def test_r12_a_planted_session_is_refused(server):
    assert server.get("/dots?bokeh-session-id=known")[0] == 403
    assert server.get("/dots", **{"Bokeh-Session-Id": "known"})[0] == 403


def test_r12_two_visits_have_two_explorers_and_two_documents():
    born = []

    class Noted(Dots):
        slug = "noted"

        def __init__(self, **values):
            born.append(self)
            super().__init__(**values)

    with running(Noted) as server:
        assert server.token("/noted") != server.token("/noted")
        sessions = server.call(lambda: server.server.get_sessions("/noted"))
        assert len({id(session.document) for session in sessions}) == 2
        born[0].set(height=7.0)
        assert [explorer.height for explorer in born] == [7.0, 1.0]


def test_a_browser_that_comes_late_finds_the_state_of_its_link_again():
    born = []

    class Noted(Dots):
        slug = "noted"

        def __init__(self, **values):
            born.append(self)
            super().__init__(**values)

    async def come(server):
        late = Connection(server, "/noted")
        late.token = server.token("/noted", "?height=2.5")
        until(lambda: server.health()["sessions"] == 0)
        born.clear()
        async with late:
            assert born[0].height == 2.5

    with running(Noted, session_lifetime=0.3) as server:
        asyncio.run(come(server))


@pytest.mark.parametrize("path", ["/", "/dots", "/health", "/nothing", "/assets/theme.css", "/static/js/bokeh.min.js",
                                  "/pictures/dots.svg", "/dots/autoload.js", "/favicon.ico"])  # fmt: skip
def test_r18_every_answer_carries_the_protective_headers(server, path):
    _, headers, _ = server.get(path)
    for name, value in HEADERS.items():
        assert headers[name.lower()] == value
    rules = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["frame-ancestors"] == "'none'"
    assert "unsafe" not in rules["script-src"]
    assert "http" not in headers["content-security-policy"]
    assert "Tornado" not in headers["server"]


def test_r18_refusals_carry_them_too(server):
    for _, headers, _ in (server.get("/", Host="evil.example"), server.request("POST", "/", "x=1")):
        assert headers["x-frame-options"] == "DENY"


# ---- passwords


def test_without_the_password_every_page_asks_for_it(guarded):
    for path in ("/", "/dots", "/pictures/dots.svg"):
        status, headers, _ = guarded.get(path)
        assert status == 302
        assert headers["location"].lstrip(".").startswith("/login?next="), path
    assert guarded.handshake("/dots", f"http://127.0.0.1:{guarded.port}") == 403
    assert guarded.get("/health")[0] == 200
    status, _, form = guarded.get("/login?next=%2Fdots")
    assert status == 200
    assert "password" in form
    assert "https://" not in form


def test_a_wrong_password_is_told_and_a_right_one_opens_the_page_that_was_asked_for(guarded):
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    status, headers, form = guarded.request("POST", "/login", urlencode({"password": "wrong"}), kind)
    assert status == 403
    assert "not the password" in form
    assert "set-cookie" not in headers
    status, headers, _ = guarded.request("POST", "/login?next=%2Fdots", urlencode({"password": PASSWORD}), kind)
    assert (status, headers["location"]) == (302, "/dots")
    assert "httponly" in headers["set-cookie"].lower()
    assert "samesite=lax" in headers["set-cookie"].lower()
    cookie = headers["set-cookie"].split(";")[0]
    status, _, page = guarded.get("/dots", Cookie=cookie)
    assert status == 200
    token = page.split('"token":"')[1].split('"')[0]
    key = {"Sec-WebSocket-Protocol": f"bokeh, {token}"}
    own = f"http://127.0.0.1:{guarded.port}"
    assert guarded.handshake("/dots", own, Cookie=cookie, **key) == 101
    assert guarded.handshake("/dots", own, **key) == 403
    assert guarded.handshake("/dots", "http://evil.example", Cookie=cookie, **key) == 403
    assert guarded.get("/", Cookie=cookie)[0] == 200
    assert guarded.get("/dots", Cookie=cookie[:-4] + "beef")[0] == 302


def test_after_the_password_nobody_is_sent_to_another_site(guarded):
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    body = urlencode({"password": PASSWORD})
    assert guarded.request("POST", "/login?next=%2F%2Fevil.example", body, kind)[1]["location"] == "/"


def test_a_form_of_megabytes_is_not_read(guarded):
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    with suppress(ConnectionError):  # the server may hang up while it is still being sent
        assert guarded.request("POST", "/login", "password=" + "x" * 2**20, kind)[0] >= 400
    assert guarded.health()["status"] == "ok"


# ---- visitors that come, misbehave and go


class Connection:
    """A browser's connection to its page, up to the point where the browser would ask for the document."""

    def __init__(self, server, path):
        self._server, self._path = server, path
        self.heard, self.closed, self.token = [], asyncio.Event(), None

    def _hear(self, message):
        self.heard.append(message)
        if message is None:
            self.closed.set()

    async def __aenter__(self):
        server = self._server
        address = f"ws://127.0.0.1:{server.port}{self._path}/ws"
        request = HTTPRequest(address, headers={"Origin": f"http://127.0.0.1:{server.port}"})
        protocols = ["bokeh", self.token or server.token(self._path)]
        self.socket = await websocket_connect(request, subprotocols=protocols, on_message_callback=self._hear)
        async with asyncio.timeout(20):
            while not self.heard:
                await asyncio.sleep(0.01)
        assert json.loads(self.heard[0])["msgtype"] == "ACK"
        return self

    async def __aexit__(self, *_):
        self.socket.close()
        await asyncio.wait_for(self.closed.wait(), 20)


def test_r14_a_message_beyond_the_limit_ends_its_connection_and_nothing_else(server):
    async def flood():
        async with Connection(server, "/dots") as good, Connection(server, "/dots") as bad:
            with suppress(WebSocketClosedError):  # the server may close it while it is still being sent
                await bad.socket.write_message(b"x" * (LARGEST_MESSAGE + 1), binary=True)
            await asyncio.wait_for(bad.closed.wait(), 20)
            good.socket.ping(b"still there")  # raises on a closed connection

    asyncio.run(flood())
    assert server.health()["status"] == "ok"
    assert server.get("/dots")[0] == 200


@pytest.mark.slow
def test_r13_memory_returns_after_visitors_have_left(monkeypatch):
    alive: weakref.WeakSet = weakref.WeakSet()

    class Counted(Dots):
        slug = "counted"

        def __init__(self, **values):
            alive.add(self)
            super().__init__(**values)

    async def visits(server, count):
        for _ in range(count):
            async with Connection(server, "/counted"):
                pass

    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)  # pytest keeps what a log line refers to
    with running(Counted, session_lifetime=0.3) as server:
        asyncio.run(visits(server, 5))  # what is loaded once stays
        before = resident()
        asyncio.run(visits(server, CYCLES))
        until(lambda: server.health()["sessions"] == 0, 30)
        until(lambda: gc.collect() >= 0 and len(alive) == 0, 30)
        assert resident() - before < MOST_GROWTH


def resident() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

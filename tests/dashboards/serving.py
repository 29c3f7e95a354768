"""A real server for one test: in a thread of this process, or in a process of its own (`python -m`)."""

from __future__ import annotations

import asyncio
import http.client
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workbench.dashboards.server import make_server, url
from workbench.explorers import Explorer

ROOT = Path(__file__).resolve().parents[2]
STARTS_WITHIN = 60.0  # s, on a busy machine
ENDS_WITHIN = 10.0  # s


class Running:
    """A server in a thread: `url`, `port`, `get(path)`, `handshake(path, ...)`, and `call` to run on its loop."""

    def __init__(self, served: dict[str, type[Explorer]], options: dict[str, Any]) -> None:
        self._ready, self._error = threading.Event(), None
        self._thread = threading.Thread(target=self._run, args=(served, options), daemon=True)
        self._thread.start()
        assert self._ready.wait(STARTS_WITHIN)
        if self._error is not None:
            raise self._error
        self.port, self.url = self.server.port, url(self.server)

    def _run(self, served: dict[str, type[Explorer]], options: dict[str, Any]) -> None:
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)

        async def begin() -> None:
            self.server = make_server(0, served=served, **options)
            self.server.start()

        try:
            self.loop.run_until_complete(begin())
        except Exception as error:
            self._error = error
            self.loop.close()
            return
        finally:
            self._ready.set()
        self.loop.run_forever()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    def call(self, work: Callable[[], Any]) -> Any:
        """Run something on the server's loop and return what it gives."""

        async def on_loop() -> Any:
            return work()

        return asyncio.run_coroutine_threadsafe(on_loop(), self.loop).result(ENDS_WITHIN)

    def stop(self) -> None:
        async def end() -> None:
            self.server.stop(wait=False)
            await self.server._http.close_all_connections()

        asyncio.run_coroutine_threadsafe(end(), self.loop).result(ENDS_WITHIN)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(ENDS_WITHIN)

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], str]:
        """Status, headers in lower case, body."""
        return self.request("GET", path, headers=headers)

    def request(
        self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, text
        finally:
            connection.close()

    def health(self) -> dict[str, Any]:
        return json.loads(self.get("/health")[2])

    def handshake(self, path: str, origin: str, **headers: str) -> int:
        """The status with which a websocket is answered."""
        asked = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version": "13",
            "Origin": origin,
            **headers,
        }
        return self.get(f"{path}/ws", **asked)[0]

    def token(self, path: str, query: str = "") -> str:
        """Load a page as a browser does: the key to its session."""
        status, _, page = self.get(path + query)
        assert status == 200, page[:500]
        return re.search(r'"token":"([^"]+)"', page).group(1)


@contextmanager
def running(*explorers: type[Explorer], **options: Any) -> Iterator[Running]:
    """A server of these explorers in a thread."""
    server = Running({cls.slug: cls for cls in explorers}, options)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def serving(*names: str) -> Iterator[str]:
    """A server in a process of its own; names are MODULE:CLASS, none for every explorer. Yields its address."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    line = [sys.executable, "-m", "tests.dashboards.serving", *names]
    environment = {**os.environ, "PYTHONPATH": path}
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(line, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=log, text=True) as server,
    ):
        try:
            address = server.stdout.readline().strip()
            if not address:
                log.seek(0)
                raise RuntimeError(f"the server did not start:\n{log.read()[-2000:]}")
            yield address
        finally:
            server.terminate()
            try:
                server.wait(ENDS_WITHIN)
            except subprocess.TimeoutExpired:
                server.kill()


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for a condition instead of sleeping; fails where it does not come."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.02)


def main(names: list[str]) -> None:
    import torch

    torch.set_num_threads(1)
    chosen = [getattr(importlib.import_module(module), name) for module, name in (n.split(":") for n in names)]
    server = make_server(0, served={cls.slug: cls for cls in chosen} if chosen else None)
    print(url(server), flush=True)
    server.run_until_shutdown()


if __name__ == "__main__":
    main(sys.argv[1:])

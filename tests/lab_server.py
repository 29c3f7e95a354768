"""A real JupyterLab for one test or benchmark: private, on this machine, ended with its kernels."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page

from workbench.commands.lab import lab_arguments, lab_environment, write_defaults

ROOT = Path(__file__).resolve().parent.parent
STARTS_WITHIN = 90.0  # s, on a busy machine
ENDS_WITHIN = 15.0  # s, then it is killed


def write_notebook(path: Path, cells: Sequence[str]) -> None:
    """Write a notebook of code cells, without outputs, that opens without asking for a kernel."""
    made = [
        {"cell_type": "code", "id": f"cell-{i}", "metadata": {}, "source": text, "outputs": [], "execution_count": None}
        for i, text in enumerate(cells)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(content), encoding="utf-8")


@contextmanager
def jupyter_lab(notebook: Path, settings: Path) -> Iterator[str]:
    """Serve a notebook with the settings of `workbench lab`; yields the address that opens it."""
    token, port = secrets.token_hex(16), _free_port()
    line = lab_arguments(
        notebook,
        write_defaults(settings),
        port=port,
        browser=False,
        root=os.getuid() == 0,
        rest=[f"--IdentityProvider.token={token}"],
    )
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, **lab_environment(settings), "PYTHONPATH": path}
    with (settings / "lab.log").open("w") as log:
        server = subprocess.Popen(line, env=environment, stdout=log, stderr=log, cwd=ROOT, start_new_session=True)
    try:
        _wait_for(f"http://127.0.0.1:{port}/api?token={token}", server, settings / "lab.log")
        yield f"http://127.0.0.1:{port}/lab/tree/{notebook.name}?reset&token={token}"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def open_first_cell(page: Page, address: str) -> None:
    """Open the notebook in the browser and run its first cell, once its kernel is there."""
    page.goto(address)
    # The status bar tells when the kernel is connected; the circle in the toolbar starts out idle.
    page.get_by_text(re.compile(r"\| Idle")).wait_for(timeout=STARTS_WITHIN * 1e3)
    page.click(".jp-CodeCell .cm-content")
    page.keyboard.press("Control+Enter")
    page.wait_for_function("document.querySelector('.jp-InputArea-prompt').textContent !== '[ ]:'")


def end_kernel(address: str, notebook: str) -> None:
    """End the kernel of a notebook of the server: each one holds a few hundred megabytes."""
    server, _, query = address.partition("/lab/tree/")
    token = f"?token={query.rpartition('token=')[2]}"
    with urllib.request.urlopen(f"{server}/api/sessions{token}", timeout=30) as answer:
        sessions = json.load(answer)
    for session in (one for one in sessions if one["path"] == notebook):
        ended = urllib.request.Request(f"{server}/api/sessions/{session['id']}{token}", method="DELETE")
        urllib.request.urlopen(ended, timeout=30).close()


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def _wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not answer; its log ends with:\n{log.read_text()[-2000:]}")

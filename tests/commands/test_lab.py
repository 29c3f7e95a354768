"""`workbench lab` as a reader meets it: the notebook opens at once, nothing pops up, nothing is fetched."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workbench.commands import lab
from workbench.commands.memory import KEEP_MEMORY

NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "id": "title", "metadata": {}, "source": "# A first look"},
        {
            "cell_type": "code",
            "id": "one",
            "metadata": {},
            "source": "import os\nprint('kept', os.environ['MALLOC_TRIM_THRESHOLD_'])",
            "outputs": [],
            "execution_count": None,
        },
    ],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


START_LIMIT_S = 90


@pytest.fixture
def notebook(tmp_path) -> Path:
    path = tmp_path / "notebooks" / "a first look.ipynb"
    path.parent.mkdir()
    path.write_text(json.dumps(NOTEBOOK), encoding="utf-8")
    return path


@pytest.fixture
def address(notebook, tmp_path):
    """The address of a JupyterLab that the command itself started on the notebook."""
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    apart = {"WORKBENCH_SETTINGS": str(tmp_path / "settings"), "HOME": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "workbench", "lab", str(notebook), "--no-browser", "--port", str(port)]
    log = tmp_path / "lab.log"
    with log.open("w") as sink:
        # a setting of the machine's own would win, as a user's does
        own = {name: value for name, value in os.environ.items() if name not in KEEP_MEMORY}
        server = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT, env={**own, **apart})
    yield printed_address(log, server, port)
    server.terminate()
    server.wait(timeout=60)


def printed_address(log: Path, server: subprocess.Popen, port: int) -> str:
    limit = time.monotonic() + START_LIMIT_S
    while time.monotonic() < limit and server.poll() is None:
        found = re.search(rf"http://127\.0\.0\.1:{port}/\S+token=\w+", log.read_text())
        if found:
            return found.group()
        time.sleep(0.2)
    server.kill()
    raise AssertionError(f"JupyterLab did not start: {log.read_text()}")


@pytest.mark.slow
@pytest.mark.browser
def test_the_notebook_opens_with_a_running_kernel_and_nothing_in_the_way(address, chromium):
    page = chromium.page
    page.goto(address)
    # The status bar tells when the kernel is connected; the toolbar's circle starts out idle.
    page.get_by_text(re.compile(r"\| Idle")).wait_for(timeout=60_000)
    page.click(".jp-CodeCell .cm-content")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".jp-OutputArea-output")
    assert f"kept {2**30}" in page.inner_text(".jp-OutputArea-output")
    chromium.screenshot("workbench_lab")
    assert page.locator(".jp-Dialog").count() == 0
    assert page.locator(".Toastify__toast").count() == 0
    chromium.assert_clean()


def test_the_settings_stay_in_a_folder_of_our_own(tmp_path):
    environment = lab.lab_environment(tmp_path)
    assert environment["JUPYTERLAB_SETTINGS_DIR"].startswith(str(tmp_path))
    assert environment["JUPYTERLAB_WORKSPACES_DIR"].startswith(str(tmp_path))
    overrides = json.loads((lab.write_defaults(tmp_path) / "overrides.json").read_text())
    assert overrides["@jupyterlab/apputils-extension:notification"] == {"fetchNews": "false", "checkForUpdates": False}


def test_root_is_allowed_only_where_the_user_is_root(notebook, tmp_path):
    assert "--allow-root" not in lab.lab_arguments(notebook, tmp_path)
    assert "--allow-root" in lab.lab_arguments(notebook, tmp_path, root=True)


def test_what_follows_two_dashes_reaches_jupyterlab_last(notebook, tmp_path):
    line = lab.lab_arguments(notebook, tmp_path, rest=["--ServerApp.ip=0.0.0.0"])
    assert line[-1] == "--ServerApp.ip=0.0.0.0"
    assert line.index("--ServerApp.ip=127.0.0.1") < len(line) - 1


def test_an_unknown_notebook_is_refused_with_the_ones_there_are():
    with pytest.raises(FileNotFoundError, match=r"there is no notebook .*in that folder"):
        lab.find_notebook("nonsense.ipynb")

"""`workbench lab`: JupyterLab on the first notebook, private, offline and apart from the user's own settings."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from workbench.commands.flags import on_a_free_port
from workbench.commands.memory import KEEP_MEMORY
from workbench.commands.places import FIRST_NOTEBOOK, notebook_folder, settings_folder
from workbench.dashboards.ports import claim

# JupyterLab fetches news and looks for updates by default; both are switched off at every place that asks.
OVERRIDES = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
}
PRIVATE = (
    "--LabApp.news_url=",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
)
# Sliders answer some 20 ms sooner without TCP's wait before small messages.
PROMPT = "--ServerApp.kernel_websocket_connection_class=workbench.commands.prompt.PromptConnection"


def run(options: argparse.Namespace) -> int:
    """Replace this process by JupyterLab; returns only where it could not start."""
    notebook = find_notebook(options.notebook)
    if options.port:  # JupyterLab looks for a free one where none was asked for
        with on_a_free_port(options.given, options.rest):
            claim("127.0.0.1", options.port)
    settings = settings_folder("lab")
    arguments = lab_arguments(
        notebook,
        write_defaults(settings),
        port=options.port,
        browser=not options.no_browser,
        root=_is_root(),
        rest=options.rest,
    )
    if _is_root():
        print("Running as root, so JupyterLab is told to allow it; it still listens on this machine only.")
    print(f"Opening {notebook} in JupyterLab. Stop it with Control-C.", flush=True)
    os.execve(sys.executable, arguments, {**os.environ, **lab_environment(settings)})  # noqa: S606


def find_notebook(given: str | None) -> Path:
    """The notebook to open: the one given, by path or by its name among ours, else the first."""
    if given is None:
        return _existing(notebook_folder() / FIRST_NOTEBOOK)
    here = Path(given).expanduser()
    return here.resolve() if here.is_file() else _existing(notebook_folder() / here.name)


def lab_arguments(
    notebook: Path,
    defaults: Path,
    *,
    port: int | None = None,
    browser: bool = True,
    root: bool = False,
    rest: Sequence[str] = (),
) -> list[str]:
    """The command line of JupyterLab: private, on this machine, its root at the notebook's project.

    >>> line = lab_arguments(Path("/home/me/notebooks/00_start_here.ipynb"), Path("/defaults"), port=8899)
    >>> "--LabApp.extension_manager=readonly" in line, "--allow-root" in line, "--ServerApp.port=8899" in line
    (True, False, True)
    """
    folder = notebook.parent.parent if notebook.parent.name == "notebooks" else notebook.parent
    page = "/lab/tree/" + quote(notebook.relative_to(folder).as_posix())
    line = [sys.executable, "-m", "jupyterlab", *PRIVATE, PROMPT, f"--LabApp.app_settings_dir={defaults}"]
    line += [f"--ServerApp.root_dir={folder}", f"--LabApp.default_url={page}", "--ServerApp.ip=127.0.0.1"]
    if port is not None:
        line += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    if not browser:
        line.append("--no-browser")
    if root:
        line.append("--allow-root")
    return [*line, *rest]


def lab_environment(settings: Path) -> dict[str, str]:
    """What JupyterLab finds in its environment: our settings folder, this environment's kernel, kept memory."""
    return {
        "JUPYTERLAB_SETTINGS_DIR": str(settings / "user-settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(settings / "workspaces"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        **{name: os.environ.get(name, value) for name, value in KEEP_MEMORY.items()},
    }


def write_defaults(settings: Path) -> Path:
    """Write the defaults that keep JupyterLab quiet and return their folder."""
    folder = settings / "defaults"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "overrides.json").write_text(json.dumps(OVERRIDES, indent=1), encoding="utf-8")
    except OSError as error:
        raise OSError(f"the settings folder {settings} cannot be written ({error}); set WORKBENCH_SETTINGS") from error
    return folder


def _existing(notebook: Path) -> Path:
    if notebook.is_file():
        return notebook
    there = ", ".join(path.name for path in sorted(notebook.parent.glob("*.ipynb"))) or "none"
    raise FileNotFoundError(f"there is no notebook {notebook}; in that folder: {there}")


def _is_root() -> bool:
    return hasattr(os, "getuid") and os.getuid() == 0

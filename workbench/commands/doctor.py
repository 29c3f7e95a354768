"""`workbench doctor`: what this installation has, what is missing, and the one command that mends it."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from workbench.commands.browser import INSTALL, find_browser
from workbench.commands.memory import KEEP_MEMORY
from workbench.commands.places import CHECKOUT, FIRST_NOTEBOOK, PACKAGE

DISTRIBUTION = "equivariance-workbench"
ENOUGH_DISK_GB = 2.0  # trained runs of one reproduction, checkpoints included
WIDTH = 110  # characters
MARKS = {"ok": "ok", "hint": "hint", "missing": "MISSING"}


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was looked at, what was found, and the command that mends it."""

    subject: str
    state: Literal["ok", "hint", "missing"]
    found: str
    remedy: str = ""


def run(options: argparse.Namespace) -> int:
    """Print every finding; 1 where something needed is missing."""
    findings = list(examine())
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        head = f"{MARKS[finding.state]:<8}{finding.subject:<{width}}  "
        print(textwrap.fill(finding.found, WIDTH, initial_indent=head, subsequent_indent=" " * len(head)))
        if finding.remedy:
            print(f"{' ' * len(head)}-> {finding.remedy}")
    missing = sum(finding.state == "missing" for finding in findings)
    print(f"\n{missing} needed thing(s) missing." if missing else "\nEverything needed is here.")
    return int(missing > 0)


def examine() -> Iterator[Finding]:
    """Every finding, in the order of the report."""
    yield _python()
    yield from _packages()
    yield _device()
    yield _memory_setting()
    yield _disk()
    yield _notebooks()
    yield _fonts()
    yield from _data()
    yield _browser()


def _python() -> Finding:
    return Finding("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _packages() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    mend = _pip_again()
    try:
        wanted = [Requirement(text) for text in importlib.metadata.requires(DISTRIBUTION) or []]
    except importlib.metadata.PackageNotFoundError:
        yield Finding("package", "missing", f"{DISTRIBUTION} is not installed in this environment", mend)
        return
    fine = []
    for requirement in wanted:
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(requirement.name, "missing", "not installed", mend)
            continue
        if version not in requirement.specifier:
            yield Finding(requirement.name, "missing", f"{version}, but {requirement.specifier} is needed", mend)
        else:
            fine.append(f"{requirement.name} {version}")
    yield Finding("packages", "ok", ", ".join(fine))


def _device() -> Finding:
    import torch

    threads = torch.get_num_threads()
    if torch.cuda.is_available():
        return Finding("device", "ok", f"GPU: {torch.cuda.get_device_name(0)}, and {threads} CPU threads")
    cpu = f"CPU with {threads} threads"
    if shutil.which("nvidia-smi"):
        built = "built without CUDA" if torch.version.cuda is None else f"built for CUDA {torch.version.cuda}"
        return Finding(
            "device",
            "hint",
            f"{cpu}; there is a GPU, but torch {torch.__version__} ({built}) cannot use it",
            f"{sys.executable} -m pip install --force-reinstall --no-deps torch=={torch.__version__.split('+')[0]}",
        )
    return Finding("device", "ok", f"{cpu} (no GPU here; none is needed)")


def _memory_setting() -> Finding:
    if sys.platform != "linux":
        return Finding("memory", "ok", "allocator left as it is (the hint is for Linux)")
    unset = [f"{name}={value}" for name, value in KEEP_MEMORY.items() if name not in os.environ]
    if not unset:
        return Finding("memory", "ok", "freed memory is kept by this process")
    return Finding(
        "memory",
        "hint",
        "training can be faster when freed memory is kept (`workbench lab` and `workbench kernel` set this)",
        "export " + " ".join(unset),
    )


def _disk() -> Finding:
    free_gb = shutil.disk_usage(Path.cwd()).free / 1e9
    if free_gb < ENOUGH_DISK_GB:
        return Finding(
            "disk", "hint", f"{free_gb:.1f} GB free here", f"free up {ENOUGH_DISK_GB:.0f} GB before training"
        )
    return Finding("disk", "ok", f"{free_gb:.1f} GB free here")


def _notebooks() -> Finding:
    for folder in (CHECKOUT / "notebooks", PACKAGE / "_notebooks"):
        if (folder / FIRST_NOTEBOOK).is_file():
            return Finding("notebooks", "ok", f"{len(list(folder.glob('*.ipynb')))} in {folder}")
    return Finding("notebooks", "missing", f"{FIRST_NOTEBOOK} was not found", _notebooks_again())


def _notebooks_again() -> str:
    in_checkout = (CHECKOUT / "pyproject.toml").is_file()
    return f"git -C {CHECKOUT} checkout -- notebooks" if in_checkout else _pip_again()


def _fonts() -> Finding:
    specification = importlib.util.find_spec("matplotlib")
    if specification is None or specification.origin is None:
        return Finding("fonts", "missing", "matplotlib, which carries them, is not installed", _pip_again())
    folder = Path(specification.origin).parent / "mpl-data" / "fonts" / "ttf"
    count = len(list(folder.glob("DejaVu*.ttf")))
    if count == 0:
        return Finding("fonts", "missing", f"no DejaVu fonts in {folder}", _pip_again())
    return Finding("fonts", "ok", f"{count} DejaVu fonts for the glyph data")


def _data() -> Iterator[Finding]:
    from workbench.commands.listing import is_here
    from workbench.datasets import data_folder, describe

    folder = data_folder()
    if folder.is_dir():
        runs = sum(1 for _ in folder.rglob("config.json"))
        yield Finding("data", "ok", f"{runs} trained runs in {folder}")
    else:
        yield Finding("data", "missing", f"the folder {folder} was not found", _pip_again())
    absent = [name for name, about in describe().items() if about.fetch_command and not is_here(name)]
    if absent:
        found = f"published sets not fetched (optional): {', '.join(absent)}"
        yield Finding("data", "hint", found, f"{sys.executable} -m workbench.datasets fetch {absent[0]}")


def _pip_again() -> str:
    """The command that installs this package again, from the checkout where there is one."""
    if (CHECKOUT / "pyproject.toml").is_file():
        return f"cd {CHECKOUT} && {sys.executable} -m pip install -c constraints.txt -e ."
    return f"{sys.executable} -m pip install --force-reinstall {DISTRIBUTION}"


def _browser() -> Finding:
    found = find_browser()
    if found is not None:
        return Finding("browser", "ok", f"{found} (only the tests need it)")
    testing = importlib.util.find_spec("playwright") is not None
    state: Literal["missing", "hint"] = "missing" if testing else "hint"
    return Finding("browser", state, "no Chromium; only the browser tests need it", f"as root: {INSTALL}")

"""Find the system's Chromium, which draws the browser tests and nothing else."""

import os
import shutil
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
INSTALL = "apt-get update && apt-get install -y chromium"
REMEDY = f"No Chromium was found (looked for {', '.join(NAMES)}). Install it as root with: {INSTALL}"


def find_browser() -> Path | None:
    """Path of the first Chromium on this machine, or None.

    >>> found = find_browser()
    >>> found is None or found.exists()
    True
    """
    search = os.pathsep.join([os.environ.get("PATH", ""), "/usr/bin", "/usr/local/bin"])
    for name in NAMES:
        found = shutil.which(name, path=search)
        if found:
            return Path(found)
    return None

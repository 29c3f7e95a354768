"""Where the notebooks and this program's own settings lie, in a source checkout and in an installed wheel."""

import os
import shutil
import tempfile
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
CHECKOUT = PACKAGE.parent
FIRST_NOTEBOOK = "00_start_here.ipynb"
COPY = "workbench-notebooks"  # folder made in the working directory from an installed wheel


def notebook_folder(working: Path | None = None) -> Path:
    """The folder of notebooks a person may edit.

    A checkout has its own; from a wheel the packaged ones are copied once to `working`/workbench-notebooks
    (default: the current folder), and what is already there is never overwritten.
    """
    if (CHECKOUT / "pyproject.toml").is_file() and (CHECKOUT / "notebooks").is_dir():
        return CHECKOUT / "notebooks"
    packaged = PACKAGE / "_notebooks"
    if not packaged.is_dir():
        raise FileNotFoundError("this installation carries no notebooks; install the package again")
    target = (working or Path.cwd()) / COPY
    target.mkdir(parents=True, exist_ok=True)
    for source in sorted([*packaged.glob("*.ipynb"), *packaged.glob("*.py")]):  # and the networks that they load
        if not (target / source.name).exists():
            shutil.copyfile(source, target / source.name)
    return target


def settings_folder(name: str) -> Path:
    """A folder of this program's own for settings, made if need be: WORKBENCH_SETTINGS, else the user's ~/.config.

    Where neither can be written, a temporary folder serves: nothing of value is kept there.
    """
    chosen = os.environ.get("WORKBENCH_SETTINGS")
    base = Path(chosen) if chosen else _user_config() / "equivariance-workbench"
    try:
        (base / name).mkdir(parents=True, exist_ok=True)
        if os.access(base / name, os.W_OK):
            return base / name
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="equivariance-workbench-"))


def _user_config() -> Path:
    given = os.environ.get("XDG_CONFIG_HOME")
    return Path(given) if given else Path.home() / ".config"

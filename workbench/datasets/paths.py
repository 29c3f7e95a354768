"""Where data lives on disk, and the one check every file name from outside passes through."""

import os
import re
from pathlib import Path

DATA_VARIABLE = "WORKBENCH_DATA"
_ROOT = Path(__file__).resolve().parents[2]
_PACKAGED = Path(__file__).resolve().parents[1] / "_data"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_WINDOWS_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def data_folder() -> Path:
    """Return the folder of the data that ships with the workbench (trained runs, stored claims).

    The environment variable ``WORKBENCH_DATA`` wins; otherwise it is ``data/`` of the repository this package is
    imported from; otherwise the copy inside the installed package.

    >>> data_folder().is_absolute()
    True
    """
    chosen = os.environ.get(DATA_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().resolve()
    repository = _ROOT / "data"
    return repository if (_ROOT / "pyproject.toml").is_file() and repository.is_dir() else _PACKAGED


def downloads_folder() -> Path:
    """Return the folder that holds fetched data sets.

    ``$WORKBENCH_DATA/downloads`` when that variable is set; otherwise the user's cache
    (``$XDG_CACHE_HOME/equivariance-workbench`` or ``~/.cache/equivariance-workbench``), so that hundreds of megabytes
    never land in the repository.

    >>> downloads_folder().is_absolute()
    True
    """
    if os.environ.get(DATA_VARIABLE):
        return data_folder() / "downloads"
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache).expanduser().resolve() / "equivariance-workbench"


def checked_path(folder: str | os.PathLike[str], name: str | os.PathLike[str]) -> Path:
    """Return ``folder/name`` after making sure that it cannot lie outside ``folder``.

    A name is one or more plain parts joined by ``/``. Refused on every system, so that a name that is safe here is
    safe everywhere: an empty name, ``.`` and ``..``, absolute names, ``~``, backslashes, colons (drive letters and
    alternate streams), control characters including NUL, Windows device names, parts that end in a dot or blank,
    and names that leave the folder through a symbolic link.

    Raises:
        TypeError: the name is not text.
        ValueError: the name is refused; the message says why.

    >>> checked_path("/tmp", "runs/first.nc").name
    'first.nc'
    >>> checked_path("/tmp", "../secret")
    Traceback (most recent call last):
    ...
    ValueError: the name '../secret' is refused: it has a '..' part; give a plain name inside the folder...
    """
    text = os.fspath(name)
    if not isinstance(text, str):
        raise TypeError(f"a file name must be text, got {type(text).__name__}; decode it first")
    base = Path(folder).resolve()
    reason = _refusal(text)
    if reason is None:
        path = base.joinpath(*text.split("/"))
        if Path(os.path.realpath(path)).is_relative_to(base):
            return path
        reason = "a symbolic link on the way leads out of the folder"
    raise ValueError(
        f"the name {text!r} is refused: {reason}; give a plain name inside the folder, such as 'runs/first.nc'"
    )


def _refusal(text: str) -> str | None:
    """Say why ``text`` is no plain relative name, or None when it is one."""
    if not text:
        return "it is empty"
    if _CONTROL.search(text):
        return "it has a control character (NUL, line break or similar)"
    if "\\" in text or ":" in text:
        return "it has a backslash or a colon (a Windows path or drive)"
    if text.startswith(("/", "~")):
        return "it is absolute"
    for part in text.split("/"):
        if part in ("", ".", ".."):
            return f"it has {f'a {part!r}' if part else 'an empty'} part"
        if part != part.rstrip(". "):
            return f"its part {part!r} ends in a dot or blank"
        if _WINDOWS_DEVICE.fullmatch(part):
            return f"{part!r} is a device on Windows"
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return "it cannot be written as a file name"
    return None

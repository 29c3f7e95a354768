"""Names from outside cannot leave their folder."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.datasets.paths import checked_path, data_folder, downloads_folder

ESCAPES = (
    "..",
    "../secret",
    "runs/../../secret",
    "/etc/passwd",
    "//server/share",
    "link/secret",
    "deep/link/secret",
    "a\0b",
    "..\\secret",
    "C:\\secret",
    "C:secret",
    "c:/secret",
    "\\\\server\\share",
    "file.nc:stream",
    "~/secret",
    "~root/x",
    "",
    ".",
    "./x",
    "a//b",
    "a/",
    "con",
    "NUL.txt",
    "lpt1",
    "a/ ",
    "a.",
    ".. ",
    "line\nbreak",
    "\ud800",
)
PARTS = ("..", ".", "", "/", "\\", "C:", "link", "deep", "runs", "a b", "é", "\0", "~", "NUL", "x" * 300, "%2e%2e", "…")


def _folder(tmp_path: Path) -> Path:
    """A folder beside a secret, with symbolic links that lead out of it, in circles, and inside it."""
    folder = tmp_path / "data"
    if not folder.exists():
        (folder / "deep").mkdir(parents=True)
        (folder / "runs").mkdir()
        (tmp_path / "secret").mkdir()
        (folder / "link").symlink_to(tmp_path)
        (folder / "deep" / "link").symlink_to("../../secret")
        (folder / "loop").symlink_to("loop")
        (folder / "latest").symlink_to("runs")
    return folder


def _stays_inside(check: Callable[[Path, str], Path], folder: Path, name: str) -> bool:
    """Whether a name is refused or leads to a place inside the folder."""
    try:
        path = check(folder, name)
    except ValueError:
        return True
    return Path(os.path.realpath(path)).is_relative_to(folder.resolve())


@given(name=st.one_of(st.lists(st.sampled_from(PARTS), max_size=6).map("/".join), st.text(max_size=30)))
def test_no_name_leads_out_of_the_folder(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    folder = _folder(tmp_path_factory.getbasetemp())
    assert _stays_inside(checked_path, folder, name)


@pytest.mark.parametrize("name", ESCAPES, ids=repr)
def test_a_name_that_could_escape_on_any_system_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is refused"):
        checked_path(_folder(tmp_path), name)


def test_the_property_catches_a_check_that_only_joins(tmp_path: Path) -> None:
    def joins(folder: Path, name: str) -> Path:
        return folder / name

    folder = _folder(tmp_path)
    assert not _stays_inside(joins, folder, "../secret")
    assert not _stays_inside(joins, folder, "/etc/passwd")
    assert not _stays_inside(joins, folder, "link/secret")


def test_the_property_catches_a_check_that_ignores_links(tmp_path: Path) -> None:
    def lexical(folder: Path, name: str) -> Path:
        if ".." in name.split("/") or name.startswith("/"):
            raise ValueError
        return folder / name

    folder = _folder(tmp_path)
    assert _stays_inside(lexical, folder, "../secret")
    assert not _stays_inside(lexical, folder, "deep/link/secret")


def test_a_link_in_circles_leads_nowhere(tmp_path: Path) -> None:
    assert _stays_inside(checked_path, _folder(tmp_path), "loop/secret")


@given(parts=st.lists(st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9_ .-]{0,20}[a-zA-Z0-9_]", fullmatch=True), min_size=1))
def test_plain_names_are_accepted(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    folder = tmp_path_factory.getbasetemp()
    devices = ("con", "prn", "aux", "nul", "com", "lpt")
    if any(part.lower().startswith(devices) for part in parts):
        return
    assert checked_path(folder, "/".join(parts)) == folder.resolve().joinpath(*parts)


def test_a_link_that_stays_inside_is_accepted(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    assert checked_path(folder, "latest/weights.safetensors").parent.resolve() == folder / "runs"


def test_a_name_of_bytes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="must be text, got bytes"):
        checked_path(tmp_path, b"name")  # type: ignore[arg-type]


def test_the_environment_chooses_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    assert data_folder() == tmp_path.resolve()
    assert downloads_folder() == tmp_path.resolve() / "downloads"


def test_downloads_stay_out_of_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKBENCH_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert data_folder().name in ("data", "_data")
    assert downloads_folder() == tmp_path.resolve() / "equivariance-workbench"

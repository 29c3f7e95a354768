"""Archives are read without trusting their names or sizes, and nothing is unpacked to disk."""

import gzip
import io
import struct
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from tests.datasets.conftest import tar_gz, zipped
from workbench.datasets.archives import DamagedFile, read_gzip, read_tar_gz, read_zip

GOOD = {"set/a.bin": b"first", "set/b.bin": b"second", "set/readme.txt": b"words"}
WANTED = ("set/a.bin", "set/b.bin")
NAMES = ("../evil", "set/../../evil", "/etc/evil", "C:\\evil", "..\\evil", "set/a\tb")
LIMIT = 100_000
ENOUGH_MEMORY = 8 * LIMIT  # what reading may take at most: the limit, its buffers, and no bomb
READERS = {"tar": (read_tar_gz, tar_gz), "zip": (read_zip, zipped)}


def _stored(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "archive"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("kind", READERS)
def test_the_wanted_members_come_back_and_nothing_is_written(tmp_path: Path, kind: str) -> None:
    read, pack = READERS[kind]
    path = _stored(tmp_path, pack(GOOD))
    assert read(path, WANTED, LIMIT) == {name: GOOD[name] for name in WANTED}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", READERS)
def test_an_archive_with_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, kind: str, name: str) -> None:
    read, pack = READERS[kind]
    path = _stored(tmp_path, pack({name: b"x", **GOOD}))
    with pytest.raises(DamagedFile, match="must not be there"):
        read(path, WANTED, LIMIT)


@pytest.mark.parametrize("kind", READERS)
def test_a_missing_member_is_named(tmp_path: Path, kind: str) -> None:
    read, pack = READERS[kind]
    path = _stored(tmp_path, pack({"set/a.bin": b"first"}))
    with pytest.raises(DamagedFile, match=r"lacks set/b\.bin"):
        read(path, WANTED, LIMIT)


@pytest.mark.parametrize("kind", READERS)
def test_a_bomb_is_refused_before_it_fills_the_memory(tmp_path: Path, kind: str) -> None:
    read, pack = READERS[kind]
    path = _stored(tmp_path, pack({**GOOD, "set/a.bin": bytes(100 * LIMIT)}))
    assert path.stat().st_size < LIMIT
    tracemalloc.start()
    try:
        with pytest.raises(DamagedFile, match="expected"):
            read(path, WANTED, LIMIT)
        assert tracemalloc.get_traced_memory()[1] < ENOUGH_MEMORY
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", READERS)
def test_many_members_that_are_each_small_enough_are_refused(tmp_path: Path, kind: str) -> None:
    read, pack = READERS[kind]
    path = _stored(tmp_path, pack({f"set/{k}": bytes(LIMIT // 2) for k in range(5)}))
    with pytest.raises(DamagedFile, match="expected"):
        read(path, ("set/4",), LIMIT)
    path = _stored(tmp_path, pack({f"set/{k}": b"" for k in range(1100)}))
    with pytest.raises(DamagedFile, match=r"more than 1000 members|expected"):
        read(path, ("set/1099",), 100 * LIMIT)


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("keep", [0, 1, 20, 0.5, 0.95])
def test_an_archive_cut_short_is_refused(tmp_path: Path, kind: str, keep: float) -> None:
    read, pack = READERS[kind]
    data = pack({**GOOD, "set/b.bin": bytes(range(256)) * 20})
    path = _stored(tmp_path, data[: keep if isinstance(keep, int) else int(keep * len(data))])
    with pytest.raises(DamagedFile, match="archive"):
        read(path, WANTED, LIMIT)


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_any_flipped_byte_gives_the_right_content_or_a_named_error(tmp_path: Path, kind: str) -> None:
    read, pack = READERS[kind]
    data = pack(GOOD)
    for position in range(0, len(data), 3):
        path = _stored(tmp_path, data[:position] + bytes([data[position] ^ 0x55]) + data[position + 1 :])
        found, said = None, ""
        try:
            found = read(path, WANTED, LIMIT)
        except DamagedFile as error:
            said = str(error)
        assert found == {name: GOOD[name] for name in WANTED} or str(path) in said


def _tar_gz_of(*entries: tarfile.TarInfo) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for entry in entries:
            archive.addfile(entry, io.BytesIO(bytes(min(entry.size, 10))) if entry.size <= 10 else None)
    return packed.getvalue()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_a_wanted_member_that_is_no_plain_file_is_refused(tmp_path: Path, kind: bytes) -> None:
    entry = tarfile.TarInfo("set/a.bin")
    entry.type, entry.linkname = kind, "/etc/passwd"
    path = _stored(tmp_path, _tar_gz_of(entry))
    with pytest.raises(DamagedFile, match="link or device"):
        read_tar_gz(path, ("set/a.bin",), LIMIT)


def test_a_tar_member_that_declares_a_huge_size_is_refused_by_its_header(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("set/a.bin")
    entry.size = 1 << 40
    header = entry.tobuf(tarfile.GNU_FORMAT)
    path = _stored(tmp_path, gzip.compress(header))
    with pytest.raises(DamagedFile, match=f"declares {1 << 40} bytes"):
        read_tar_gz(path, ("set/a.bin",), LIMIT)


def test_a_tar_whose_hidden_header_is_a_bomb_is_refused(tmp_path: Path) -> None:
    # A pax header is read by the tar module itself, before its member's name and size can be checked.
    entry = tarfile.TarInfo("././@PaxHeader")
    entry.type, entry.size = tarfile.XHDTYPE, 100 * LIMIT
    path = _stored(tmp_path, gzip.compress(entry.tobuf(tarfile.PAX_FORMAT) + bytes(100 * LIMIT)))
    with pytest.raises(DamagedFile, match="more than the 100000 bytes expected"):
        read_tar_gz(path, ("set/a.bin",), LIMIT)


def test_a_zip_that_declares_less_than_it_holds_is_refused(tmp_path: Path) -> None:
    data = bytearray(zipped({"set/a.bin": bytes(50 * LIMIT)}))
    size = struct.pack("<I", 50 * LIMIT)
    while (at := data.find(size)) >= 0:
        data[at : at + 4] = struct.pack("<I", 10)
    path = _stored(tmp_path, bytes(data))
    with pytest.raises(DamagedFile, match=r"not a whole \.zip"):
        read_zip(path, ("set/a.bin",), LIMIT)


def test_an_encrypted_zip_is_refused_with_a_sentence(tmp_path: Path) -> None:
    data = bytearray(zipped({"set/a.bin": b"x"}))
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(magic) + at] |= 1
    with pytest.raises(DamagedFile, match=r"not a whole \.zip"):
        read_zip(_stored(tmp_path, bytes(data)), ("set/a.bin",), LIMIT)


def test_folders_and_dot_names_are_ordinary(tmp_path: Path) -> None:
    folder = tarfile.TarInfo("./set/")
    folder.type = tarfile.DIRTYPE
    file = tarfile.TarInfo("./set/a.bin")
    file.size = 3
    path = _stored(tmp_path, _tar_gz_of(folder, file))
    assert read_tar_gz(path, ("./set/a.bin",), LIMIT) == {"./set/a.bin": bytes(3)}


def test_gzip_is_read_whole_or_refused(tmp_path: Path) -> None:
    content = bytes(range(256)) * 50
    data = gzip.compress(content)
    assert read_gzip(_stored(tmp_path, data), len(content)) == content
    with pytest.raises(DamagedFile, match="more than the"):
        read_gzip(_stored(tmp_path, data), len(content) - 1)
    for damaged in (data[:-3], data[:20], b"", b"<html>", data[:30] + b"\x00\x01" + data[32:]):
        with pytest.raises(DamagedFile, match="whole gzip"):
            read_gzip(_stored(tmp_path, damaged), len(content))


def test_a_gzip_bomb_is_refused_within_bounded_memory(tmp_path: Path) -> None:
    path = _stored(tmp_path, gzip.compress(bytes(200 * LIMIT)))
    tracemalloc.start()
    try:
        with pytest.raises(DamagedFile, match="more than the"):
            read_gzip(path, LIMIT)
        assert tracemalloc.get_traced_memory()[1] < ENOUGH_MEMORY
    finally:
        tracemalloc.stop()


def test_unpacking_naively_would_have_written_outside(tmp_path: Path) -> None:
    # The broken twin of reading members by name: joining a member's name to a folder leaves it.
    with zipfile.ZipFile(io.BytesIO(zipped({"../evil": b"x"}))) as archive:
        name = archive.namelist()[0]
    assert not (tmp_path / name).resolve().is_relative_to(tmp_path)

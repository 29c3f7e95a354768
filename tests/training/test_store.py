"""Facts about durable files: old or new and never half, damage named."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.training.store import CHECKSUMS, DamagedFile, Store, sweep_partials, write_durably


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_was_written_is_read_back_and_nothing_else_is_left(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write("a.bin", b"one")
    store.write("a.bin", b"two")
    assert store.read("a.bin") == b"two" == Store(tmp_path).read("a.bin")
    assert names(tmp_path) == {"a.bin", CHECKSUMS}


def test_the_replaced_file_is_kept_under_its_other_name(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for content in (b"one", b"two", b"three"):
        store.write("a", content, keep="a.previous")
    assert (store.read("a"), store.read("a.previous")) == (b"three", b"two")


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b"", lambda b: bytes([b[0] ^ 1]) + b[1:]])
def test_r5_a_cut_or_flipped_file_is_named(tmp_path: Path, change: object) -> None:
    Store(tmp_path).write("a.bin", b"content")
    (tmp_path / "a.bin").write_bytes(change(b"content"))  # type: ignore[operator]
    with pytest.raises(DamagedFile, match=r"a\.bin is damaged"):
        Store(tmp_path).read("a.bin")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"files": {}}', b'{"own": "0", "files": {"a": ["00"]}}'])
def test_r5_damaged_checksums_are_named_and_not_blamed_on_another_file(tmp_path: Path, content: bytes) -> None:
    Store(tmp_path).write("a", b"content")
    (tmp_path / CHECKSUMS).write_bytes(content)
    with pytest.raises(DamagedFile, match=r"checksums\.json is damaged"):
        Store(tmp_path).read("a")


def test_a_missing_an_unlisted_and_a_listed_file_are_told_apart(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(FileNotFoundError, match="has no a"):
        store.read("a")
    store.write("a", b"content")
    (tmp_path / "b").write_bytes(b"stranger")
    with pytest.raises(DamagedFile, match="b is not listed"):
        store.read("b")


def test_a_damaged_file_never_replaces_a_good_previous_one(tmp_path: Path) -> None:
    for content in (b"one", b"two"):
        Store(tmp_path).write("a", content, keep="a.previous")
    (tmp_path / "a").write_bytes(b"damaged")
    Store(tmp_path).write("a", b"three", keep="a.previous")
    assert (Store(tmp_path).read("a"), Store(tmp_path).read("a.previous")) == (b"three", b"one")


def test_a_failed_write_leaves_the_old_file_and_no_partial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    store.write("a", b"old")

    def full_disk(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="no space"):
        store.write("a", b"new")
    assert store.read("a") == b"old"
    assert names(tmp_path) == {"a", CHECKSUMS}


def test_where_links_are_refused_the_previous_file_is_kept_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("links are not supported")

    monkeypatch.setattr("os.link", refuse)
    for content in (b"one", b"two"):
        Store(tmp_path).write("a", content, keep="a.previous")
    assert (Store(tmp_path).read("a"), Store(tmp_path).read("a.previous")) == (b"two", b"one")


def test_stray_partials_are_swept_and_nothing_else(tmp_path: Path) -> None:
    write_durably(tmp_path / "a", b"a")
    (tmp_path / ".a.0123456789ab.partial").write_bytes(b"half")
    sweep_partials(tmp_path)
    assert names(tmp_path) == {"a"}


KILLED_WRITER = """
import json, os, random, signal, sys, time
from pathlib import Path
from workbench.training.store import Store, sweep_partials
folder, kills = Path(sys.argv[1]), int(sys.argv[2])
draw = random.Random(0)
loaded, strays, highest = [], 0, 0
Store(folder).write("c", b"0" * 100000, keep="c.previous")
for kill in range(kills):
    child = os.fork()
    if not child:
        store, step = Store(folder), int(Store(folder).read("c")[:9])
        while True:
            step += 1
            store.write("c", b"%09d" % step + b"x" * 100000, keep="c.previous")
    time.sleep(draw.uniform(0.002, 0.06))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    strays += len(list(folder.glob("*.partial"))) + len(list(folder.glob(".*.partial")))
    latest, previous = Store(folder).read("c"), folder / "c.previous"
    loaded.append(int(latest[:9]))
    if previous.exists():
        Store(folder).read("c.previous")
    sweep_partials(folder)
    left = {path.name for path in folder.iterdir()} - {"c", "c.previous", "checksums.json"}
    assert not left, left
print(json.dumps({"loaded": loaded, "strays": strays}))
"""


@pytest.mark.slow
def test_r4_killed_at_a_hundred_random_moments_the_latest_file_always_loads(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED_WRITER, str(tmp_path), "100"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert len(report["loaded"]) == 100
    assert report["loaded"] == sorted(report["loaded"]), "a later file never gives way to an earlier one"
    assert report["loaded"][-1] > 100, "the writers did write"
    assert report["strays"] > 0, "some were killed in the middle of a write"

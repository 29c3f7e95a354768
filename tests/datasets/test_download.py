"""Downloads from a real server: whole, resumed, checked, or refused with a sentence."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.datasets.conftest import Mirror
from workbench.datasets import download as module
from workbench.datasets.archives import DamagedFile
from workbench.datasets.download import RemoteFile, download

DATA = bytes(range(256)) * 4096  # 1 MiB: several chunks


def _get(remote: RemoteFile, folder: Path, *mirrors: Mirror, progress: module.Progress | None = None) -> Path:
    return download(remote, [m.address for m in mirrors], folder, progress=progress, pause_s=0)


def test_a_file_arrives_whole_and_progress_grows_to_its_size(mirror: Mirror, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    path = _get(mirror.add("a.bin", DATA), tmp_path, mirror, progress=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == DATA
    assert list(tmp_path.iterdir()) == [path]
    assert seen == sorted(seen)
    assert seen[-1] == (len(DATA), len(DATA))


def test_an_interrupted_transfer_resumes_where_it_broke_off(mirror: Mirror, tmp_path: Path) -> None:
    remote = mirror.add("a.bin", DATA)
    mirror.cut_after = [300_000, 200_000]
    assert _get(remote, tmp_path, mirror).read_bytes() == DATA
    assert mirror.requests == [("a.bin", None), ("a.bin", "bytes=300000-"), ("a.bin", "bytes=500000-")]


def test_a_later_call_resumes_what_an_earlier_one_kept(mirror: Mirror, tmp_path: Path) -> None:
    remote = mirror.add("a.bin", DATA)
    mirror.cut_after = [1000] * module.ATTEMPTS
    with pytest.raises(ConnectionError, match=r"4000 bytes are kept in .*a\.bin\.partial"):
        _get(remote, tmp_path, mirror)
    assert not (tmp_path / "a.bin").exists()
    mirror.requests.clear()
    assert _get(remote, tmp_path, mirror).read_bytes() == DATA
    assert mirror.requests == [("a.bin", "bytes=4000-")]


def test_a_server_without_ranges_starts_over(mirror: Mirror, tmp_path: Path) -> None:
    remote = mirror.add("a.bin", DATA)
    mirror.ranges, mirror.cut_after = False, [300_000]
    assert _get(remote, tmp_path, mirror).read_bytes() == DATA


def test_appending_a_full_answer_would_have_been_wrong(mirror: Mirror, tmp_path: Path) -> None:
    # The broken twin of the test above: what a downloader that ignores the status would store.
    assert DATA[:300_000] + DATA != DATA
    remote = mirror.add("a.bin", DATA)
    (tmp_path / "a.bin.partial").write_bytes(DATA[:300_000] + DATA)
    with pytest.raises(DamagedFile, match="arrived damaged"):
        module._place(tmp_path / "a.bin.partial", tmp_path / "a.bin", remote)


def test_a_complete_partial_file_needs_no_byte_more(mirror: Mirror, tmp_path: Path) -> None:
    remote = mirror.add("a.bin", DATA)
    (tmp_path / "a.bin.partial").write_bytes(DATA)
    assert _get(remote, tmp_path, mirror).read_bytes() == DATA
    assert mirror.requests == [("a.bin", f"bytes={len(DATA)}-")]


def test_a_partial_file_of_something_else_is_dropped(mirror: Mirror, tmp_path: Path) -> None:
    remote = mirror.add("a.bin", DATA)
    (tmp_path / "a.bin.partial").write_bytes(b"an old version" * 1000)
    assert _get(remote, tmp_path, mirror).read_bytes() == DATA
    assert [span for _, span in mirror.requests] == ["bytes=14000-", None]


def test_a_partial_file_longer_than_the_file_is_dropped(mirror: Mirror, tmp_path: Path) -> None:
    remote = mirror.add("a.bin", b"short")
    (tmp_path / "a.bin.partial").write_bytes(DATA)
    assert _get(remote, tmp_path, mirror).read_bytes() == b"short"


def test_a_wrong_checksum_names_the_file_and_sets_it_aside(mirror: Mirror, tmp_path: Path) -> None:
    remote = mirror.add("a.bin", DATA)
    mirror.files["a.bin"] = DATA[:-1] + b"!"
    with pytest.raises(DamagedFile, match=r"a\.bin arrived damaged .* expected .* set aside as .*a\.bin\.damaged"):
        _get(remote, tmp_path, mirror)
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin.damaged"]
    assert len(mirror.requests) == 1, "the same wrong file is not fetched again and again"


def test_an_existing_good_file_survives_a_failed_download(mirror: Mirror, tmp_path: Path) -> None:
    remote = mirror.add("a.bin", DATA)
    (tmp_path / "a.bin").write_bytes(b"old")
    mirror.files["a.bin"] = b"wrong"
    with pytest.raises(DamagedFile):
        _get(remote, tmp_path, mirror)
    assert (tmp_path / "a.bin").read_bytes() == b"old"


def test_the_next_mirror_is_tried(new_mirror: Callable[[], Mirror], tmp_path: Path) -> None:
    empty, wrong, good = new_mirror(), new_mirror(), new_mirror()
    wrong.add("a.bin", b"a login page")
    remote = good.add("a.bin", DATA)
    assert _get(remote, tmp_path, empty, wrong, good).read_bytes() == DATA
    assert (len(empty.requests), len(wrong.requests)) == (1, 1)


def test_a_missing_file_is_asked_for_once(mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(ConnectionError, match=r"a\.bin could not be fetched .*404"):
        _get(RemoteFile("a.bin", "0" * 32, 100), tmp_path, mirror)
    assert len(mirror.requests) == 1


def test_a_server_in_trouble_is_asked_again(mirror: Mirror, tmp_path: Path) -> None:
    remote = mirror.add("a.bin", DATA)
    mirror.status = 503
    with pytest.raises(ConnectionError, match="503"):
        _get(remote, tmp_path, mirror)
    assert len(mirror.requests) == module.ATTEMPTS


def test_no_server_at_all_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ConnectionError, match=r"could not be fetched .*[Rr]efused"):
        download(RemoteFile("a.bin", "0" * 32, 100), ["http://127.0.0.1:9"], tmp_path, pause_s=0)


@pytest.mark.parametrize("announce", [True, False])
def test_more_bytes_than_expected_are_refused(mirror: Mirror, tmp_path: Path, announce: bool) -> None:
    remote = mirror.add("a.bin", DATA, max_bytes=1000)
    mirror.announce = announce
    with pytest.raises(DamagedFile, match="more than the 1000"):
        _get(remote, tmp_path, mirror)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_before_it_is_full(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = mirror.add("a.bin", DATA)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10})())
    with pytest.raises(ConnectionError, match="has no room"):
        _get(remote, tmp_path, mirror)


def test_a_server_that_stops_sending_is_given_up_and_the_rest_resumed(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIMEOUT_S", 0.3)
    remote = mirror.add("a.bin", DATA)
    mirror.cut_after, mirror.stall = [600_000], threading.Event()
    try:
        assert _get(remote, tmp_path, mirror).read_bytes() == DATA
    finally:
        mirror.stall.set()
    assert len(mirror.requests) == 2
    assert mirror.requests[1][1] not in (None, "bytes=0-")


@pytest.mark.parametrize("address", ["file:///etc", "ftp://example.org", "/data", "example.org/x", ""])
def test_a_mirror_that_is_no_web_address_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(ValueError, match="http or https address"):
        download(RemoteFile("a.bin", "0" * 32, 100), [address], tmp_path)


def test_no_mirror_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no mirror to fetch"):
        download(RemoteFile("a.bin", "0" * 32, 100), [], tmp_path)


def test_a_name_that_leaves_the_folder_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is refused"):
        _get(RemoteFile("../a.bin", "0" * 32, 100), tmp_path / "inner", mirror)
    assert mirror.requests == []

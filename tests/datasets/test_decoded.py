"""The decoded copy comes back as written, or is called damaged."""

from pathlib import Path

import pytest
import torch

from workbench.datasets import decoded
from workbench.datasets.archives import DamagedFile

TENSORS = {
    "images": torch.arange(48, dtype=torch.uint8).view(3, 1, 4, 4),
    "floats": torch.linspace(0, 1, 6).view(2, 3),
}


def _written(tmp_path: Path) -> Path:
    decoded.write(tmp_path / "d.safetensors", TENSORS, ("a", "b<i>"), "print")
    return tmp_path / "d.safetensors"


def test_arrays_and_classes_come_back_as_written(tmp_path: Path) -> None:
    tensors, classes = decoded.read(_written(tmp_path), "print")
    assert classes == ("a", "b<i>")
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)
    assert [p.name for p in tmp_path.iterdir()] == ["d.safetensors"], "no temporary file stays behind"


def test_every_flipped_byte_of_the_arrays_is_noticed(tmp_path: Path) -> None:
    data = _written(tmp_path).read_bytes()
    for position in range(0, len(data)):
        path = tmp_path / "damaged.safetensors"
        path.write_bytes(data[:position] + bytes([data[position] ^ 0x10]) + data[position + 1 :])
        tensors, said = TENSORS, ""
        try:
            tensors, _ = decoded.read(path, "print")
        except DamagedFile as error:
            said = str(error)
        assert not said or "damaged.safetensors" in said
        assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


@pytest.mark.parametrize("keep", [0, 4, 40, -1])
def test_a_file_cut_short_is_noticed(tmp_path: Path, keep: int) -> None:
    path = _written(tmp_path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DamagedFile):
        decoded.read(path, "print")


def test_a_copy_of_other_archives_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(DamagedFile, match="other archives"):
        decoded.read(_written(tmp_path), "another print")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _written(tmp_path)
    before = path.read_bytes()

    def no_room(*_: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr("os.replace", no_room)
    with pytest.raises(OSError, match="no room"):
        decoded.write(path, {"images": TENSORS["images"]}, (), "print")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]

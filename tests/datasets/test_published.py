"""Tiny sets in the real formats, fetched from a real server, read, split, and kept."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.datasets.conftest import Mirror, Tiny, idx_gz
from tests.tolerances import EXACT
from workbench.datasets import DamagedFile, MissingData, fetch, load, published
from workbench.datasets.__main__ import main
from workbench.datasets.image_set import SPLITS
from workbench.datasets.published import published_pixels
from workbench.datasets.published_set import PUBLISHED

NAMES = tuple(PUBLISHED)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    monkeypatch.delenv("WORKBENCH_MIRROR", raising=False)


@pytest.fixture
def installed(tiny: Callable[[str], Tiny], monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Tiny]:
    """A function that puts a tiny set in the place of the published one."""

    def install(name: str) -> Tiny:
        small = tiny(name)
        monkeypatch.setitem(PUBLISHED, name, small.spec)
        return small

    return install


@pytest.mark.parametrize("name", NAMES)
def test_a_fetched_set_holds_the_pixels_and_labels_that_were_published(tiny: Callable[[str], Tiny], name: str) -> None:
    small = tiny(name)
    fetch(small.spec, progress=False)
    splits = published_pixels(small.spec).splits
    assert [len(splits[s].labels) for s in SPLITS] == [15, 5, 6]
    for part, of in (("train", ("train", "validation")), ("test", ("test",))):
        origin = torch.cat([splits[s].origin for s in of]) - (20 if part == "test" else 0)
        assert torch.equal(origin.sort().values, torch.arange(len(origin)))
        expected = torch.from_numpy(small.arrays[f"{part}_images"])[origin].float() / 255
        got = torch.cat([splits[s].images for s in of])
        assert (got - expected).abs().max() <= EXACT[torch.float32]
        labels = torch.cat([splits[s].labels for s in of])
        assert torch.equal(labels, torch.from_numpy(small.arrays[f"{part}_labels"]).long()[origin])


@pytest.mark.parametrize("name", NAMES)
def test_load_standardises_with_the_constants_of_the_paper(installed: Callable[[str], Tiny], name: str) -> None:
    spec = installed(name).spec
    fetch(name, progress=False)
    image_set = load(name)
    pixels = published_pixels(name).splits["test"].images
    if spec.mean is not None:
        assert image_set.attrs["mean"] == list(spec.mean)
    mean, std = (torch.tensor(image_set.attrs[key]).view(-1, 1, 1) for key in ("mean", "std"))
    assert ((pixels - mean) / std - image_set.splits["test"][0]).abs().max() <= EXACT[torch.float32]
    assert image_set.to_dataset().sizes["sample"] == 26


def test_the_constants_are_those_stated() -> None:
    assert {name: (s.mean, s.std) for name, s in PUBLISHED.items()} == {
        "mnist": ((0.1307,), (0.3081,)),
        "rotmnist": ((0.13,), (0.2970,)),
        "cifar10": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        "cifar100": (None, None),
    }
    sizes = {name: (s.n_train - s.n_validation, s.n_validation, s.n_test) for name, s in PUBLISHED.items()}
    assert sizes["rotmnist"] == (10_000, 2_000, 50_000)
    assert sizes["cifar10"] == sizes["cifar100"] == (45_000, 5_000, 10_000)


def test_the_validation_split_is_the_one_random_split_makes_under_seed_42(tiny: Callable[[str], Tiny]) -> None:
    spec = tiny("mnist").spec
    fetch(spec, progress=False)
    train, validation = torch.utils.data.random_split(range(20), [15, 5], torch.Generator().manual_seed(42))
    splits = published_pixels(spec).splits
    assert splits["train"].origin.tolist() == sorted(train)
    assert splits["validation"].origin.tolist() == sorted(validation)


def test_class_names_come_from_the_archive(tiny: Callable[[str], Tiny]) -> None:
    for name, number in (("cifar10", 10), ("cifar100", 100)):
        spec = tiny(name).spec
        fetch(spec, progress=False)
        assert published_pixels(spec).classes == tuple(f"kind{k}" for k in range(number))


@pytest.mark.parametrize("name", NAMES)
def test_missing_data_gives_the_one_command_that_fetches_it(name: str) -> None:
    with pytest.raises(MissingData, match=f"python -m workbench.datasets fetch {name}$"):
        load(name)
    with pytest.raises(MissingData, match=r"fetch mnist$"):
        load("6-180", source="mnist")


def test_that_command_works(
    installed: Callable[[str], Tiny], capsys: pytest.CaptureFixture[str], mirror: Mirror
) -> None:
    installed("rotmnist")
    with pytest.raises(MissingData) as missing:
        load("rotmnist")
    command = str(missing.value).split("python -m workbench.datasets ")[1].split()
    assert main([*command, "--mirror", mirror.address]) == 0
    assert "rotmnist is in " in capsys.readouterr().out
    assert len(load("rotmnist").splits["test"][1]) == 6


def test_the_command_reports_failure_in_one_sentence(
    mirror: Mirror, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["fetch", "mnist", "--mirror", mirror.address, "--folder", str(tmp_path / "elsewhere")]) == 1
    captured = capsys.readouterr()
    assert "could not be fetched" in captured.err.splitlines()[-1]
    assert "Traceback" not in captured.err


def test_the_command_lists_every_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("mnist ") and "fetch mnist" in line for line in lines)
    assert any(line.startswith("digits ") and "embedded" in line for line in lines)


def test_the_environment_chooses_the_mirror(
    tiny: Callable[[str], Tiny], mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = replace(tiny("cifar10").spec, mirrors=("http://127.0.0.1:9",))
    monkeypatch.setenv("WORKBENCH_MIRROR", mirror.address + "/")
    fetch(spec, progress=False)
    assert len(mirror.requests) == 1


def test_fetching_again_asks_the_server_for_nothing(tiny: Callable[[str], Tiny], mirror: Mirror) -> None:
    spec = tiny("mnist").spec
    fetch(spec, progress=False)
    mirror.requests.clear()
    fetch(spec, progress=False)
    assert mirror.requests == []


def test_a_file_damaged_on_disk_is_named_and_fetched_again(tiny: Callable[[str], Tiny], mirror: Mirror) -> None:
    spec = tiny("mnist").spec
    path = fetch(spec, progress=False) / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    path.with_name("decoded.safetensors").unlink()
    with pytest.raises(DamagedFile, match=r"t10k-labels-idx1-ubyte\.gz is damaged .* fetch mnist$"):
        published_pixels(spec)
    mirror.requests.clear()
    fetch(spec, progress=False)
    assert mirror.requests == [("t10k-labels-idx1-ubyte.gz", None)]
    assert len(published_pixels(spec).splits["test"].labels) == 6


@pytest.mark.parametrize("name", NAMES)
def test_the_second_read_uses_the_decoded_copy(
    tiny: Callable[[str], Tiny], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tiny(name).spec
    fetch(spec, progress=False)
    first = published_pixels(spec)

    def never(*_: object) -> None:
        raise AssertionError("decoded twice")

    second = published_pixels(replace(spec, decode=never))
    assert second.classes == first.classes
    for split in SPLITS:
        assert all(torch.equal(a, b) for a, b in zip(first.splits[split], second.splits[split], strict=True))


def test_a_damaged_decoded_copy_is_made_again(tiny: Callable[[str], Tiny], caplog: pytest.LogCaptureFixture) -> None:
    spec = tiny("cifar100").spec
    folder = fetch(spec, progress=False)
    first = published_pixels(spec).splits["train"].images
    copy = folder / "decoded.safetensors"
    copy.write_bytes(copy.read_bytes()[:-1] + b"!")
    with caplog.at_level(logging.WARNING):
        assert torch.equal(published_pixels(spec).splits["train"].images, first)
    assert "decoded.safetensors is damaged" in caplog.text


def test_a_folder_that_cannot_be_written_is_read_all_the_same(
    tiny: Callable[[str], Tiny], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    spec = tiny("mnist").spec

    def refuse(*_: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(published.decoded, "write", refuse)
    fetch(spec, progress=False)
    assert len(published_pixels(spec).splits["test"].labels) == 6
    assert "could not keep the decoded copy" in caplog.text


def test_another_number_of_images_is_refused(tiny: Callable[[str], Tiny]) -> None:
    spec = replace(tiny("cifar10").spec, n_train=25)
    with pytest.raises(DamagedFile, match=r"train part .* images \(20, 3, 32, 32\)"):
        fetch(spec, progress=False)


def test_a_label_out_of_range_is_refused(tiny: Callable[[str], Tiny], mirror: Mirror) -> None:
    spec = tiny("mnist").spec
    wrong = mirror.add("t10k-labels-idx1-ubyte.gz", idx_gz(np.full(6, 10)))
    spec = replace(spec, files=(*spec.files[:3], wrong))
    with pytest.raises(DamagedFile, match="label 10, expected < 10"):
        fetch(spec, progress=False)


def test_derived_sets_can_be_made_from_a_fetched_one(installed: Callable[[str], Tiny]) -> None:
    installed("mnist")
    fetch("mnist", progress=False)
    image_set = load("6-180", source="mnist", rotate_deg=30, seed=1)
    assert image_set.attrs["mean"] == [0.1307]
    for images, labels in image_set.splits.values():
        assert torch.equal(images[labels == 1], images[labels == 0].flip(-2, -1))
    owners = [set(image_set.origin[s].tolist()) for s in SPLITS]
    assert not (owners[0] | owners[1]) & owners[2]


def test_progress_can_be_watched(tiny: Callable[[str], Tiny]) -> None:
    seen: list[int] = []
    fetch(tiny("cifar10").spec, progress=lambda done, total: seen.append(done))
    assert seen
    assert seen == sorted(seen)


def test_a_set_that_is_not_published_is_explained() -> None:
    with pytest.raises(ValueError, match="'digits' is not a set to fetch; choose one of mnist"):
        fetch("digits")

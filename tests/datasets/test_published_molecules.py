"""rMD17 and QM9 in their own formats, small, from a real server: units, splits, bombs, objects and damage."""

import io
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.datasets.conftest import Mirror
from tests.tolerances import AGAIN, EXACT
from workbench.datasets import DamagedFile, MissingData
from workbench.datasets.__main__ import main
from workbench.datasets.molecule_formats import HARTREE, KCAL_PER_MOL, decode_indices, decode_qm9, decode_rmd17
from workbench.datasets.molecules import PUBLISHED, load_molecules, molecule_names
from workbench.datasets.published_molecules import (
    MOLECULE_SETS,
    RMD17_SPLITS,
    describe_molecules,
    fetch_molecules,
    qm9,
    rmd17,
)
from workbench.training import fit

COUNT = 12
METHANE = (
    "5\ngdb 1\t157.7118\t157.70997\t157.70699\t0.\t13.21\t-0.3877\t0.1171\t0.5048\t35.3641\t0.044749\t-40.47893\t"
    "-40.476062\t-40.475117\t-40.498597\t6.469\t\n"
    "C\t-0.0126981359\t 1.0858041578\t 8.*^-6\t-0.535689\nH\t 0.00215\t-0.0060313\t 0.00197\t 0.133921\n"
    "H\t 1.0117308433\t 1.4637511618\t 0.0002765748\t 0.133922\nH\t-0.540815069\t 1.4475266138\t-0.87664\t 0.13\n"
    "H\t-0.5238136345\t 1.4379326443\t 9.0639e-1\t 0.133923\n1341.307\t1341.3284\nC\tC\t\nInChI=1S/CH4/h1H4\tInChI=1S\n"
)
FAILED = "\n".join(["a header"] * 9 + ["      3  C  C  C  1.0", "", "==== the end", ""])


def packed(members: dict[str, bytes], link: str = "") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:bz2") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        if link:
            entry = tarfile.TarInfo(link)
            entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(entry)
    return made.getvalue()


def arrays() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        "nuclear_charges": np.array([6, 1, 8], dtype=np.uint8),
        "coords": random.normal(size=(COUNT, 3, 3)),
        "energies": random.normal(-97000, 5, COUNT),
        "forces": random.normal(0, 20, (COUNT, 3, 3)),
        "old_indices": np.arange(COUNT),
    }


def npz(given: dict[str, np.ndarray]) -> bytes:
    made = io.BytesIO()
    np.savez_compressed(made, **given)  # type: ignore[arg-type]
    return made.getvalue()


def rmd17_members() -> dict[str, bytes]:
    members = {"rmd17/readme.txt": b"words", "rmd17/npz_data/rmd17_ethanol.npz": npz(arrays())}
    for k in RMD17_SPLITS:
        order = np.random.default_rng(k).permutation(COUNT)
        for part, places in (("train", order[:7]), ("test", order[7:])):
            members[f"rmd17/splits/index_{part}_{k:02d}.csv"] = "\n".join(map(str, places)).encode() + b"\n"
    return members


def qm9_members(count: int = 10) -> dict[str, bytes]:
    made = {}
    for index in range(1, count + 1):
        text = METHANE.replace("gdb 1", f"gdb {index}").replace("-40.47893", f"-{index}.5*^1")
        made[f"dsgdb9nsd_{index:06d}.xyz"] = text.encode()
    return made


@pytest.fixture
def serve(mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that puts a set on the server and in the place of the published one."""
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    monkeypatch.setenv("WORKBENCH_MIRROR", mirror.address)

    def put(name: str, *data: bytes, **other: object) -> None:
        spec = MOLECULE_SETS[name]
        files = [mirror.add(remote.name, content) for remote, content in zip(spec.files, data, strict=True)]
        files = [replace(new, md5=new.md5 if old.md5 else "") for new, old in zip(files, spec.files, strict=True)]
        monkeypatch.setitem(MOLECULE_SETS, name, replace(spec, files=tuple(files), **other))  # type: ignore[arg-type]

    return put


def test_rmd17_comes_in_electronvolts_and_in_each_of_its_published_splits(serve: Callable[..., None]) -> None:
    serve("rmd17", packed(rmd17_members()))
    fetch_molecules("rmd17", progress=False)
    given = arrays()
    for k in RMD17_SPLITS:
        found = rmd17("ethanol", split=k, validation=2)
        order = np.random.default_rng(k).permutation(COUNT)
        for part, places in (("train", order[:5]), ("validation", order[5:7]), ("test", order[7:])):
            got = found.splits[part]
            assert got.numbers.tolist() == [[6, 1, 8]] * len(places)
            assert got.energy.numpy() == pytest.approx(given["energies"][places] * 4184 / 96485.33212, rel=1e-9)
            for name, scale in (("coords", 1.0), ("forces", KCAL_PER_MOL)):
                off = (got.positions if name == "coords" else got.forces).numpy() - scale * given[name][places]
                assert np.abs(off).max() < EXACT[torch.float32]
    assert found.attrs["energy_units"] == "eV"


def test_published_sets_have_their_place_among_the_others_and_rmd17_is_trained_on(
    serve: Callable[..., None], tmp_path: Path
) -> None:
    serve("rmd17", packed(rmd17_members()))
    serve("qm9", packed(qm9_members()), FAILED.encode())
    for name in PUBLISHED:
        fetch_molecules(name, progress=False)
    options = {"molecule": "ethanol", "split": 2, "validation": 2}
    found, whole = load_molecules("rmd17", train=3, **options), rmd17(**options)
    assert torch.equal(found.splits["train"].energy, whole.splits["train"].energy[:3])
    assert torch.equal(found.splits["test"].forces, whole.splits["test"].forces)
    assert len(load_molecules("qm9", train=4, validation=2).splits["train"]) == 4
    assert tuple(describe_molecules()) == molecule_names()
    with pytest.raises(ValueError, match="a whole number from 1 to the 5"):
        load_molecules("rmd17", train=6, **options)
    with pytest.raises(ValueError, match="quantity were given for 'rmd17'; expected only molecule"):
        load_molecules("rmd17", quantity="U0")
    with pytest.raises(ValueError, match="split were given for 'ethanol'"):
        load_molecules("ethanol", split=1)
    model = {"name": "molecular_potential", "lmax": 1, "channels": 2, "hidden": 4}
    training = {"epochs": 1, "batch_size": 2, "device": "cpu"}
    config = {"model": model, "data": {"name": "rmd17", **options}, "training": training, "seed": 0}
    history = fit(config, tmp_path / "run", progress=False).history()
    assert np.isfinite(history.train_force_mae.values).all()
    with pytest.raises(ValueError, match="lack forces or energies"):
        fit({**config, "data": {"name": "qm9", "train": 4, "validation": 2}}, tmp_path / "none", progress=False)


def test_qm9_is_read_with_its_odd_exponents_and_without_what_failed(serve: Callable[..., None]) -> None:
    serve("qm9", packed(qm9_members()), FAILED.encode())
    fetch_molecules("qm9", progress=False)
    found = qm9(train=5, validation=2)
    assert [len(part) for part in found.splits.values()] == [5, 2, 2]
    energies = torch.cat([part.energy for part in found.splits.values()]).sort(descending=True).values
    expected = [-(index * 10 + 5) * HARTREE for index in range(1, 11) if index != 3]
    assert energies.numpy() == pytest.approx(expected, rel=AGAIN)
    one = found.splits["train"]
    assert one.numbers[0].tolist() == [6, 1, 1, 1, 1] + [0] * 24
    assert float(one.positions[0, 0, 2]) == pytest.approx(8e-6, rel=AGAIN)
    assert bool(one.forces[0, :5].isnan().all())
    assert not bool(one.forces[0, 5:].any())
    gaps = qm9("gap", train=5, validation=2).splits["test"].energy
    assert gaps.numpy() == pytest.approx(0.5048 * HARTREE, rel=AGAIN)


def test_the_second_read_takes_the_decoded_copy_and_a_damaged_copy_is_made_again(
    serve: Callable[..., None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    serve("rmd17", packed(rmd17_members()))
    place = fetch_molecules("rmd17", progress=False)
    first = rmd17(validation=1)
    copy = place / "ethanol.safetensors"
    copy.write_bytes(copy.read_bytes()[:-1] + b"x")
    again = rmd17(validation=1)
    assert "reading the archive again" in caplog.text
    assert torch.equal(first.splits["test"].energy, again.splits["test"].energy)


def test_r22_missing_sets_give_the_command_and_it_works(
    serve: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    serve("qm9", packed(qm9_members()), FAILED.encode())
    for call, name in ((qm9, "qm9"), (rmd17, "rmd17")):
        with pytest.raises(MissingData, match=f"python -m workbench.datasets fetch {name}$"):
            call()
    assert main(["fetch", "qm9"]) == 0
    assert len(qm9(train=5, validation=2).splits["test"]) == 2
    assert main(["list"]) == 0
    listed = capsys.readouterr().out
    assert all(f"fetch {name}" in listed for name in MOLECULE_SETS)


def test_r15_an_archive_that_unpacks_to_too_much_is_refused(serve: Callable[..., None]) -> None:
    serve("rmd17", packed({"rmd17/zeros": bytes(5_000_000), **rmd17_members()}), unpacked_bytes=1_000_000)
    fetch_molecules("rmd17", progress=False)
    with pytest.raises(DamagedFile, match="1000000"):
        rmd17()


def test_r16_links_and_names_that_leave_the_folder_are_refused(serve: Callable[..., None]) -> None:
    for archive, said in (
        (packed({"../evil": b"x", **rmd17_members()}), "must not be there"),
        (packed({}, link="rmd17/npz_data/rmd17_ethanol.npz"), "link or device"),
    ):
        serve("rmd17", archive)
        (fetch_molecules("rmd17", progress=False) / "rmd17.tar.bz2").write_bytes(archive)
        with pytest.raises(DamagedFile, match=said):
            rmd17()


def test_r3_objects_in_an_npz_are_refused_and_nothing_runs() -> None:
    given = {**arrays(), "energies": np.array([{}] * COUNT, dtype=object)}
    made = io.BytesIO()
    np.savez(made, **given)  # type: ignore[arg-type]
    with pytest.raises(DamagedFile, match="could run code"):
        decode_rmd17(made.getvalue(), "rmd17_ethanol.npz")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"forces": np.zeros((COUNT, 2, 3))}, "expected"),
        ({"energies": np.full(COUNT, np.nan)}, "cannot be"),
        ({"nuclear_charges": np.array([0, 1, 8])}, "cannot be"),
        ({"nuclear_charges": np.array([6.0, 1.0, 8.0])}, "cannot be"),
        ({"coords": np.zeros((0, 3, 3)), "energies": np.zeros(0)}, "expected"),
    ],
)
def test_arrays_that_cannot_be_are_refused(change: dict[str, np.ndarray], said: str) -> None:
    with pytest.raises(DamagedFile, match=said):
        decode_rmd17(npz({**arrays(), **change}), "rmd17_ethanol.npz")
    with pytest.raises(DamagedFile, match="lacks forces"):
        decode_rmd17(npz({name: one for name, one in arrays().items() if name != "forces"}), "rmd17_ethanol.npz")


@pytest.mark.parametrize("text", ["", "-1", "12", "1.5", "3\n3", "<b>", "99999999999"])
def test_an_index_list_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(DamagedFile):
        decode_indices(text.encode(), "index_train_01.csv", COUNT)


@pytest.mark.parametrize(
    "change", [("5\n", "6\n"), ("5\n", "\n"), ("gdb", "xyz"), ("C\t-", "Qq\t-"), ("13.21", "many"), ("13.21", "nan"),
               ("\t6.469", "")],
)  # fmt: skip
def test_a_file_that_is_none_of_qm9_is_refused(change: tuple[str, str]) -> None:
    assert decode_qm9(METHANE.encode(), "one.xyz").index == 1
    with pytest.raises(DamagedFile, match=r"one\.xyz"):
        decode_qm9(METHANE.replace(*change, 1).encode(), "one.xyz")


def test_choices_that_do_not_exist_are_refused(serve: Callable[..., None]) -> None:
    serve("rmd17", packed(rmd17_members()))
    serve("qm9", packed(qm9_members()), FAILED.encode())
    fetch_molecules("rmd17", progress=False)
    fetch_molecules("qm9", progress=False)
    for call, said in (
        (lambda: rmd17("water"), "no molecule 'water'"),
        (lambda: rmd17(split=6), "no split 6"),
        (lambda: rmd17(validation=7), "0 to 6"),
        (lambda: qm9("mu"), "no energy of qm9"),
        (lambda: qm9(train=8, validation=1), "leave some to test on"),
        (lambda: qm9(train=0), "at least 1"),
        (lambda: fetch_molecules("md17"), "choose one of rmd17, qm9"),
    ):
        with pytest.raises(ValueError, match=said):
            call()

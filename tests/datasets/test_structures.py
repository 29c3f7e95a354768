"""Files of any kind: .xyz without a further package, others by ASE, and a sentence where it is missing."""

import gzip
import sys
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
import torch
from ase.calculators.singlepoint import SinglePointCalculator

from tests.tolerances import EXACT
from workbench.datasets.structures import of_ase, read_structures

WHERE = np.array([[0.0, 0.0, 0.12], [0.0, 0.76, -0.48], [0.0, -0.76, -0.48]])


@pytest.fixture
def water() -> ase.Atoms:
    return ase.Atoms("OHH", positions=WHERE)


@pytest.mark.parametrize("name", ["water.pdb", "water.sdf", "water.gen", "water.xsf"])
def test_other_kinds_are_read_by_ase_and_agree_with_what_was_written(
    tmp_path: Path, water: ase.Atoms, name: str
) -> None:
    if name.endswith("sdf"):
        lines = ["", " made", "", "  3  0  0  0  0  0  0  0  0  0999 V2000"]
        lines += [f"{x:10.4f}{y:10.4f}{z:10.4f} {s:3s} 0  0" for s, (x, y, z) in zip("OHH", WHERE, strict=True)]
        (tmp_path / name).write_text("\n".join([*lines, "M  END", "$$$$", ""]))
    else:
        ase.io.write(tmp_path / name, water)
    (found,) = read_structures(tmp_path / name)
    assert found.formula == "H2O"
    assert found.cell is None
    apart = np.linalg.norm(found.positions[1:] - found.positions[0], axis=1)
    assert apart == pytest.approx(np.linalg.norm(WHERE[1:] - WHERE[0], axis=1), abs=2e-3)


def test_a_cell_energy_and_forces_are_kept(water: ase.Atoms) -> None:
    water.set_cell([9.0, 9.0, 9.0])
    water.set_pbc(True)
    water.calc = SinglePointCalculator(water, energy=-3.5, forces=2 * WHERE)
    found = of_ase(water)
    assert found.cell is not None
    assert found.forces is not None
    assert found.energy == -3.5
    assert np.abs(found.cell - 9 * np.eye(3)).max() < EXACT[torch.float64]
    assert found.forces.tolist() == (2 * WHERE).tolist()


def test_xyz_is_read_without_ase_and_other_kinds_name_the_command(
    tmp_path: Path, water: ase.Atoms, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("water.xyz", "water.pdb"):
        ase.io.write(tmp_path / name, water)
    monkeypatch.setitem(sys.modules, "ase", None)
    monkeypatch.setitem(sys.modules, "ase.io", None)
    assert read_structures(tmp_path / "water.xyz")[0].formula == "H2O"
    with pytest.raises(ImportError, match="pip install ase"):
        read_structures(tmp_path / "water.pdb")


def test_what_cannot_be_read_or_could_run_code_is_refused(tmp_path: Path, water: ase.Atoms) -> None:
    (tmp_path / "torn.pdb").write_text("ATOM torn")
    (tmp_path / "empty.cif").write_text("")
    (tmp_path / "evil.pckl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    for name, said in (("torn.pdb", "torn.pdb"), ("empty.cif", "empty.cif"), ("evil.pckl", "more than structures")):
        with pytest.raises(ValueError, match=said):
            read_structures(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_structures(tmp_path / "none.cif")
    water.set_cell([9.0, 9.0, 9.0])
    water.set_pbc([True, True, False])
    with pytest.raises(ValueError, match="some axes only"):
        of_ase(water)
    with pytest.raises(ValueError, match="apart"):
        of_ase(ase.Atoms("HH", positions=np.zeros((2, 3))))


@pytest.mark.parametrize("name", ["water.xyz.gz", "water.pdb.bz2", "water.cif.XZ", "water.zip"])
def test_r15_compressed_files_are_refused_before_anything_unpacks_them(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(b"1\n\nO 0 0 0\n"))
    with pytest.raises(ValueError, match="unpack it first"):
        read_structures(tmp_path / name)


def test_the_home_of_nobody_is_told() -> None:
    with pytest.raises(FileNotFoundError, match="give the whole path"):
        read_structures("~nobody_of_this_name/water.xyz")

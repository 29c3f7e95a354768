"""Molecules in .xyz files: every frame comes back, and what is no molecule gets a sentence."""

import itertools
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench.datasets import xyz
from workbench.datasets.molecule import Molecule, check_molecule
from workbench.datasets.xyz import read_xyz, write_xyz

WATER = b"3\nwater\nO 0.0 0.0 0.12\nH 0.0 0.76 -0.48\nH 0.0 -0.76 -0.48\n"
EXTENDED = (
    b'2\nLattice="4 0 0 0 5 0 0 0 6" Properties=species:S:1:forces:R:3:tags:I:1:pos:R:3 energy=-1.5 pbc="T T T"\n'
    b"Na 0.1 0.2 0.3 7 0 0 0\nCl -0.1 -0.2 -0.3 8 2 2.5 3\n"
)


def test_a_plain_file_gives_elements_and_positions(tmp_path: Path) -> None:
    path = tmp_path / "water.xyz"
    path.write_bytes(WATER)
    (water,) = read_xyz(path)
    assert (water.symbols, water.formula, water.comment) == (("O", "H", "H"), "H2O", "water")
    assert water.positions.tolist() == [[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]]
    assert (water.cell, water.energy, water.forces) == (None, None, None)


def test_an_extended_file_finds_its_columns_by_name() -> None:
    (salt,) = read_xyz(EXTENDED)
    assert salt.positions.tolist() == [[0, 0, 0], [2, 2.5, 3]]
    assert salt.forces is not None
    assert salt.forces.tolist() == [[0.1, 0.2, 0.3], [-0.1, -0.2, -0.3]]
    assert salt.cell is not None
    assert np.diag(salt.cell).tolist() == [4, 5, 6]
    assert salt.energy == -1.5


def test_numbers_stand_for_elements_and_fortran_writes_exponents_with_d() -> None:
    (found,) = read_xyz(b"2\n\n8 0 0 1.2D-1\n1 0 0 1.08d0\n")
    assert found.numbers.tolist() == [8, 1]
    assert found.positions[:, 2].tolist() == [0.12, 1.08]


def test_several_frames_come_in_order_with_blank_lines_between_or_none() -> None:
    frames = read_xyz(WATER + b"\n" + WATER + b"1\n\nHe 0 0 0\n\n\n")
    assert [frame.formula for frame in frames] == ["H2O", "H2O", "He"]


def test_lines_that_end_as_on_other_systems_and_a_byte_order_mark_are_read() -> None:
    (water,) = read_xyz(b"\xef\xbb\xbf" + WATER.replace(b"\n", b"\r\n"))
    assert water.formula == "H2O"


def test_what_was_written_is_read_back_to_the_last_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    numbers = np.array([8, 1, 1, 17])
    kept = [
        Molecule(numbers, rng.normal(size=(4, 3)) * 3, energy=-0.1 / 3, forces=rng.normal(size=(4, 3))),
        Molecule(numbers, rng.normal(size=(4, 3)) * 3, cell=np.eye(3) * 10 / 3),
    ]
    again = read_xyz(write_xyz(tmp_path / "some.xyz", kept))
    for before, after in zip(kept, again, strict=True):
        for name in ("numbers", "positions", "cell", "forces"):
            first, second = getattr(before, name), getattr(after, name)
            assert (first is None) == (second is None), name
            assert first is None or np.array_equal(first, second), name
        assert before.energy == after.energy


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "the file is empty; expected the number of atoms"),
        (b"\n\n  \n", "the file is empty"),
        (b"water\n\nO 0 0 0\n", "line 1 of the file is 'water'; expected the number of atoms"),
        (b"0\n\n", "line 1 of the file is '0'"),
        (b"2\n\nO 0 0 0\n", "announces 2 atoms in line 1 and has 1; correct the number"),
        (b"1\n\nO 0 0 0\nH 0 0 1\n", "line 4 of the file is 'H 0 0 1'; expected the number of atoms"),
        (b"1\n\nXx 0 0 0\n", "'Xx' is no chemical element; did you mean 'Xe'?"),
        (b"1\n\nO 0 nan 0\n", "holds 'nan'; expected a finite number"),
        (b"1\n\nO 0 zero 0\n", "holds 'zero' where a number was expected"),
        (b"1\n\nO 0 0\n", "has 3 words; expected at least 4"),
        (b"2\n\nO 0 0 0\nO 0 0 0.1\n", "atoms 1 and 2 of frame 1 of the file (O and O) are 0.1 angstrom apart"),
        (b"1\n\nO 0 0 1e9\n", "beyond 100000 angstrom"),
        (b"99999\n\nO 0 0 0\n", "expected at most 10000"),
        (b'1\nLattice="1 0 0"\nO 0 0 0\n', "a Lattice of 3 numbers; expected nine"),
        (b'1\nLattice="1 0 0 2 0 0 3 0 0"\nO 0 0 0\n', "a cell without a volume"),
        (b'1\nLattice="9 0 0 0 9 0 0 0 9" pbc="T T F"\nO 0 0 0\n', "periodic along some axes only"),
        (b"1\nProperties=pos:R:3\nO 0 0 0\n", "expected species:S:1 and pos:R:3"),
        (b"1\nenergy=much Properties=species:S:1:pos:R:3\nO 0 0 0\n", "holds 'much' where a number was expected"),
        (b"\x89PNG\r\n", "is no text"),
    ],
)  # fmt: skip
def test_what_is_no_molecule_gets_a_sentence(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        read_xyz(data)


def test_an_open_cell_that_is_not_periodic_is_no_cell() -> None:
    (found,) = read_xyz(b'1\nLattice="9 0 0 0 9 0 0 0 9" pbc="F F F"\nO 0 0 0\n')
    assert found.cell is None


def test_r15_long_files_and_trajectories_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "long.xyz"
    path.write_bytes(WATER * 5)
    monkeypatch.setattr(xyz, "MAX_FRAMES", 4)
    with pytest.raises(ValueError, match="more than 4 frames"):
        read_xyz(path)
    monkeypatch.setattr(xyz, "MAX_BYTES", len(WATER))
    for given in (path, path.read_bytes()):
        with pytest.raises(ValueError, match="cut the trajectory into parts"):
            read_xyz(given)


def test_a_name_without_a_file_is_told() -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no file nowhere\.xyz"):
        read_xyz("nowhere.xyz")
    with pytest.raises(ValueError, match="NUL"):
        read_xyz("a\0b")
    with pytest.raises(TypeError, match="got int"):
        read_xyz(3)  # type: ignore[arg-type]


def test_the_nearest_pair_is_found_among_many() -> None:
    grid = np.array(list(itertools.product(range(6), repeat=3)), dtype=float)
    numbers = np.full(len(grid), 6)
    assert check_molecule(Molecule(numbers, grid)).formula == "C216"
    grid[100] = grid[17] + 0.05
    with pytest.raises(ValueError, match="atoms 18 and 101"):
        check_molecule(Molecule(numbers, grid))


def test_one_atom_is_a_molecule() -> None:
    (helium,) = read_xyz(b"1\n\nHe 0 0 0\n")
    numbers, positions, cell = helium.tensors()
    assert (numbers.tolist(), tuple(positions.shape), cell) == ([2], (1, 3), None)


def test_numbers_of_numpy_are_written_as_numbers_and_what_is_not_known_is_left_out(tmp_path: Path) -> None:
    (water,) = read_xyz(WATER)
    known = replace(water, energy=np.float64(-3.5), forces=np.ones((3, 3)))
    (again,) = read_xyz(write_xyz(tmp_path / "known.xyz", known))
    assert again.energy == -3.5
    unknown = replace(water, energy=float("nan"), forces=np.full((3, 3), np.nan))
    (again,) = read_xyz(write_xyz(tmp_path / "unknown.xyz", unknown))
    assert (again.energy, again.forces) == (None, None)


def test_r4_what_is_no_molecule_is_not_written_and_the_old_file_stays(tmp_path: Path) -> None:
    (water,) = read_xyz(WATER)
    path = write_xyz(tmp_path / "water.xyz", water)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="molecule 1"):
        write_xyz(path, replace(water, numbers=np.array([8, 1, 0])))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["write_bytes", "replace"])
def test_r4_a_write_that_fails_leaves_the_old_file_alone(step: str, tmp_path: Path, monkeypatch: Any) -> None:
    path = write_xyz(tmp_path / "water.xyz", read_xyz(WATER))
    before = path.read_bytes()

    def full(*given: Any) -> None:
        if step == "write_bytes":
            given[0].touch()  # as a disk that fills up while it is written
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((Path, step) if step == "write_bytes" else (xyz.os, step)), full)
    with pytest.raises(OSError, match="No space left"):
        write_xyz(path, read_xyz(EXTENDED))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_r4_a_folder_in_the_place_of_the_file_stays_alone(tmp_path: Path) -> None:
    (tmp_path / "water.xyz").mkdir()
    with pytest.raises(OSError, match=r"water\.xyz"):
        write_xyz(tmp_path / "water.xyz", read_xyz(WATER))
    assert [each.name for each in tmp_path.iterdir()] == ["water.xyz"]


def test_r15_a_long_comment_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="a comment of 200000 characters"):
        read_xyz(b"1\n" + b"a" * 200_000 + b"\nH 0 0 0\n")
    read_xyz(b"1\n" + b"a" * 9_999 + b"\nH 0 0 0\n")  # a pattern that tries every start would take minutes


@pytest.mark.parametrize(
    "properties",
    [
        "species:S:1:pos:R:3:forces:R:1",
        "species:S:1:pos:R:3:forces:R:0",
        "species:S:1:pos:R:3:junk:I:-3",
        "species:S:0:pos:R:3",
    ],
)
def test_columns_of_another_width_are_refused(properties: str) -> None:
    with pytest.raises(ValueError, match="Properties="):
        read_xyz(f"1\nProperties={properties}\nH 0 0 0 1 2 3\n".encode())


def test_energies_in_another_unit_are_refused_and_words_of_a_plain_comment_are_words() -> None:
    with pytest.raises(ValueError, match="an energy in Hartree; expected electronvolts"):
        read_xyz(b"1\nEnergy=-1.17 Hartree\nH 0 0 0\n")
    (told,) = read_xyz(b"1\nenergy=unknown lattice=5.43 bulk\nH 0 0 0\n")
    assert (told.energy, told.cell) == (None, None)
    (quoted,) = read_xyz(b'1\nname="a \\"q\\" energy=9" Properties=species:S:1:pos:R:3\nH 0 0 0\n')
    assert quoted.energy is None
    assert read_xyz("1\na\u2028b\x0cc\nH 0 0 0\n".encode())[0].symbols == ("H",)


def test_atoms_that_meet_across_a_side_of_the_cell_are_refused() -> None:
    box = b'2\nLattice="5 0 0 0 5 0 0 0 5"\nO 0.05 1 1\nO %s 1 1\n'
    assert len(read_xyz(box % b"4.7")[0].numbers) == 2
    for place in (b"4.95", b"-0.05", b"10.06"):
        with pytest.raises(ValueError, match=r"atoms 1 and 2 of .* apart"):
            read_xyz(box % place)
    open_box = box.replace(b'5"', b'5" pbc="F F F"')
    assert read_xyz(open_box % b"4.95")[0].cell is None


def test_overlaps_across_skewed_cells_are_those_that_a_slow_loop_finds() -> None:
    random = np.random.default_rng(0)
    answers = []
    for _ in range(60):
        cell = 1.2 * np.eye(3) + random.normal(0, 0.15, (3, 3))
        positions = random.normal(0, 2, (3, 3))
        steps = np.array(list(itertools.product(range(-12, 13), repeat=3))) @ cell
        gaps = [np.linalg.norm(positions[i] - positions[j] + steps, axis=1).min() for i, j in ((0, 1), (0, 2), (1, 2))]
        near = min(gaps) <= 0.2
        try:
            check_molecule(Molecule(np.array([6, 6, 6]), positions, cell=cell))
            found = False
        except ValueError as error:
            found = "apart" in str(error)
        answers.append((near, found))
    assert all(near == found for near, found in answers)
    assert {near for near, _ in answers} == {True, False}


def test_a_pair_told_twice_is_refused_unless_both_agree() -> None:
    with pytest.raises(ValueError, match="tells Energy twice"):
        read_xyz(b"1\nenergy=-1.0 Energy=-2.0\nO 0 0 0\n")
    assert read_xyz(b"1\nenergy=-1.0 energy=-1.0\nO 0 0 0\n")[0].energy == -1.0
    assert read_xyz(b"1\nstep=1 step=2\nO 0 0 0\n")[0].energy is None


def test_r4_no_molecules_are_not_written_and_the_old_file_stays(tmp_path: Path) -> None:
    path = write_xyz(tmp_path / "water.xyz", read_xyz(WATER))
    before = path.read_bytes()
    with pytest.raises(ValueError, match="expected at least one"):
        write_xyz(path, [])
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"forces": np.zeros((2, 3))}, r"forces of shape \(2, 3\); expected \(3, 3\)"),
        ({"forces": np.array([[0, 0, np.nan], [0, 0, 0], [0, 0, 0]])}, "forces that are not finite"),
        ({"energy": float("inf")}, "an energy that is not finite"),
        ({"cell": np.ones(3)}, r"a cell of shape \(3,\)"),
        ({"cell": np.full((3, 3), np.nan)}, "finite numbers"),
    ],
)
def test_results_and_cells_of_another_shape_or_not_finite_are_refused(part: dict[str, Any], said: str) -> None:
    (water,) = read_xyz(WATER)
    with pytest.raises(ValueError, match=said):
        check_molecule(replace(water, **part))

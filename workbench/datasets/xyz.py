"""Molecules in plain and extended .xyz files, read and written without any further package.

A frame is a line with the number of atoms, a comment, and a line `symbol x y z` for each atom, in angstrom. In an
extended file the comment holds `key=value` pairs: `Lattice` (nine numbers, three vectors in angstrom), `pbc`, `energy`
(eV), and `Properties`, which names the columns, `forces` (eV/angstrom) among them.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from workbench.datasets.elements import SYMBOLS, atomic_number
from workbench.datasets.molecule import MAX_ATOMS, Molecule, check_molecule

MAX_BYTES = 50 * 1024 * 1024
MAX_FRAMES = 100_000
WIDEST = 1000  # columns of one property
MAX_COMMENT = 10_000
_PAIR = re.compile(
    r"""(?<![\w\-.])([A-Za-z_][\w\-.]{0,63})\s{0,8}=\s{0,8}"""
    r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\{[^}]*\}|\[[^\]]*\]|\S+)"""
)
_PLAIN = "species:S:1:pos:R:3"
_OTHER_UNIT = re.compile(
    r"(?i)\benergy\s{0,8}=\s{0,8}[\d.+\-ed]{1,40}\s{1,8}(hartree|ha|a\.?u\.?|ry|rydberg|kcal|kj)\b"
)
_LINE_END = re.compile(r"\r\n|\r|\n")
_READ = ("properties", "lattice", "pbc", "energy")
_TRUE, _FALSE = {"t", "true", "1"}, {"f", "false", "0"}


def read_xyz(path_or_bytes: str | os.PathLike[str] | bytes, most: int | None = None) -> tuple[Molecule, ...]:
    """Read every frame of a plain or extended .xyz file.

    Args:
        path_or_bytes: a file name, or the bytes of the file.
        most: frames that it may hold, each of which takes some 60 microseconds and more; None for 100,000.

    Raises:
        FileNotFoundError: no such file.
        ValueError: an empty file, one beyond 50 MB, 10,000 atoms a frame or the most frames, a count that does not fit,
            an unknown element, a position that is no finite number, two atoms in one place, or a cell that is
            periodic along some axes only; the sentence names the frame and the line.

    >>> frames = read_xyz(b"2\\nhydrogen\\nH 0 0 0\\nH 0 0 0.74\\n")
    >>> frames[0].numbers.tolist(), frames[0].positions[1].tolist()
    ([1, 1], [0.0, 0.0, 0.74])
    """
    text, name = _text(path_or_bytes)
    frames = tuple(_frames(_LINE_END.split(text), name, most or MAX_FRAMES))
    if not frames:
        raise ValueError(f"{name} is empty; expected the number of atoms, a comment and a line for each atom")
    return frames


def write_xyz(path: str | os.PathLike[str], molecules: Molecule | Sequence[Molecule]) -> Path:
    """Write one molecule or several as an extended .xyz file, positions and forces to the last digit.

    Raises:
        ValueError: no molecules, or what `check_molecule` refuses; a file that is there stays as it was.

    >>> import tempfile
    >>> water = read_xyz(b"3\\n\\nO 0 0 0.12\\nH 0 0.76 -0.48\\nH 0 -0.76 -0.48\\n")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = read_xyz(write_xyz(Path(folder) / "water.xyz", water))
    >>> bool((again[0].positions == water[0].positions).all())
    True
    """
    target = Path(path)
    several = [molecules] if isinstance(molecules, Molecule) else list(molecules)
    if not several:
        raise ValueError(f"no molecules were given to be written to {target.name}; expected at least one")
    for at, one in enumerate(several):
        check_molecule(one, f"molecule {at + 1}")
    content = "".join(line for one in several for line in _lines(one)).encode()
    partial = target.with_name(f".{target.name}.{secrets.token_hex(6)}.partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, target)  # the old file or the new one, never half
    finally:
        partial.unlink(missing_ok=True)
    return target


def existing_file(given: str | os.PathLike[str]) -> Path:
    """The path of a file that is there; FileNotFoundError or ValueError otherwise."""
    if "\0" in os.fspath(given):
        raise ValueError("the file name has a NUL character; give a plain file name")
    try:
        path = Path(given).expanduser()
    except RuntimeError as error:
        raise FileNotFoundError(
            f"{os.fspath(given)} begins with the name of a user who has no home here; give the whole path of the file"
        ) from error
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; give the path of a molecule, such as water.xyz")
    return path


def _lines(molecule: Molecule) -> Iterator[str]:
    columns, rows = _PLAIN, molecule.positions
    if molecule.forces is not None and np.isfinite(molecule.forces).all():  # NaN stands for not known
        columns, rows = columns + ":forces:R:3", np.concatenate([rows, molecule.forces], 1)
    words = [f"Properties={columns}"]
    if molecule.energy is not None and np.isfinite(molecule.energy):
        words.append(f"energy={float(molecule.energy)!r}")
    if molecule.cell is not None:
        words.append('Lattice="' + " ".join(repr(float(v)) for v in molecule.cell.ravel()) + '"')
    words.append('pbc="F F F"' if molecule.cell is None else 'pbc="T T T"')
    yield f"{len(molecule.numbers)}\n{' '.join(words)}\n"
    for number, row in zip(molecule.numbers, rows, strict=True):
        yield f"{SYMBOLS[int(number) - 1]} {' '.join(repr(float(v)) for v in row)}\n"


def _text(given: str | os.PathLike[str] | bytes) -> tuple[str, str]:
    if isinstance(given, bytes | bytearray | memoryview):
        data, name = bytes(given), "the file"
    elif isinstance(given, str | os.PathLike):
        path = existing_file(given)
        name = path.name
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    else:
        raise TypeError(f"expected a file name or the bytes of an .xyz file, got {type(given).__name__}")
    if len(data) > MAX_BYTES:
        raise ValueError(f"{name} has more than {MAX_BYTES} bytes (50 MB); cut the trajectory into parts")
    try:
        return data.decode("utf-8-sig"), name
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is no text (byte {error.start}); expected an .xyz file") from error


def _frames(lines: list[str], name: str, most: int) -> Iterator[Molecule]:
    at, frame = 0, 0
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        frame += 1
        if frame > most:
            raise ValueError(f"{name} has more than {most} frames; cut the trajectory into parts")
        count = _count(lines[at], name, at)
        body = lines[at + 2 : at + 2 + count]
        if len(body) < count or any(not line.strip() for line in body):
            found = next((k for k, line in enumerate(body) if not line.strip()), len(body))
            raise ValueError(
                f"frame {frame} of {name} announces {count} atoms in line {at + 1} and has {found}; correct the number"
            )
        yield _frame(lines[at + 1], body, f"frame {frame} of {name}", at + 3)
        at += 2 + count


def _count(line: str, name: str, at: int) -> int:
    text = line.strip()
    if not text.isdecimal() or len(text) > 9 or int(text) == 0:
        raise ValueError(
            f"line {at + 1} of {name} is {text[:40]!r}; expected the number of atoms of a frame: an .xyz frame is "
            "that number, a comment, and one line for each atom"
        )
    if int(text) > MAX_ATOMS:
        raise ValueError(f"line {at + 1} of {name} announces {text} atoms; expected at most {MAX_ATOMS}")
    return int(text)


def _frame(comment: str, body: list[str], where: str, first: int) -> Molecule:
    if len(comment) > MAX_COMMENT:
        raise ValueError(f"{where} has a comment of {len(comment)} characters; expected at most {MAX_COMMENT}")
    if unit := _OTHER_UNIT.search(comment):
        raise ValueError(
            f"{where} has an energy in {unit[1]}; expected electronvolts: convert it and leave the unit out"
        )
    told = _told(comment, where)
    columns = _columns(told.get("properties", _PLAIN), where)
    numbers, values = [], []
    for at, line in enumerate(body):
        symbol, row = _row(line.split(), columns, f"line {first + at} ({where})")
        numbers.append(symbol)
        values.append(row)
    table = np.array(values, dtype=np.float64)
    return check_molecule(
        Molecule(
            np.array(numbers, dtype=np.int64),
            np.ascontiguousarray(table[:, :3]),
            cell=_cell(told, where),
            energy=_energy(told, where),
            forces=np.ascontiguousarray(table[:, 3:]) if "forces" in columns else None,
            comment=comment.strip()[:1000],
        ),
        where,
    )


def _told(comment: str, where: str) -> dict[str, str]:
    """The pairs of a comment; one that is read here and told twice is refused, as nobody can say which counts."""
    told: dict[str, str] = {}
    for key, value in _PAIR.findall(comment):
        name, plain = key.lower(), value.strip("\"'{}[]")
        if name in _READ and told.get(name, plain) != plain:
            raise ValueError(f"{where} tells {key} twice, with different values; expected it once: leave one out")
        told[name] = plain
    return told


def _columns(text: str, where: str) -> dict[str, tuple[int, int]]:
    """Where in a line each property stands: name -> first column and how many."""
    parts = text.split(":")
    found, at = {}, 0
    try:
        for name, _, width in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            if not 1 <= int(width) <= WIDEST:
                raise ValueError(width)
            found[{"force": "forces", "z": "species"}.get(name.lower(), name.lower())] = (at, int(width))
            at += int(width)
    except ValueError as error:
        raise ValueError(
            f"{where} has Properties={text[:80]!r}; expected name:kind:columns, such as species:S:1:pos:R:3"
        ) from error
    widths = {name: width for name, (_, width) in found.items()}
    if widths.get("species") != 1 or widths.get("pos") != 3 or widths.get("forces", 3) != 3:
        raise ValueError(
            f"{where} has Properties={text[:80]!r}; expected species:S:1 and pos:R:3 among them, and forces, if any, "
            "as forces:R:3"
        )
    return found


def _row(words: list[str], columns: Mapping[str, tuple[int, int]], where: str) -> tuple[int, list[float]]:
    needed = max(first + width for first, width in columns.values())
    if len(words) < needed:
        raise ValueError(f"{where} has {len(words)} words; expected at least {needed}: a symbol, then its numbers")
    try:
        number = atomic_number(words[columns["species"][0]])
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    row = []
    for name in ("pos", "forces"):
        first, width = columns.get(name, (0, 0))
        for word in words[first : first + width]:
            row.append(_number(word, where))
    return number, row


def _number(word: str, where: str) -> float:
    try:
        value = float(word.replace("D", "E").replace("d", "e"))
    except ValueError as error:
        raise ValueError(f"{where} holds {word[:30]!r} where a number was expected; correct that line") from error
    if not np.isfinite(value):
        raise ValueError(f"{where} holds {word[:30]!r}; expected a finite number: a geometry with NaN is of no use")
    return value


def _energy(told: Mapping[str, str], where: str) -> float | None:
    if "energy" not in told or not _meant(told, told["energy"].split()):
        return None
    return _number(told["energy"], f"the energy of {where}")


def _meant(told: Mapping[str, str], words: Sequence[str]) -> bool:
    """Whether an extended comment holds these numbers: in a plain one, without columns, any word may stand."""
    if "properties" in told:
        return True
    try:
        return all(np.isfinite(float(word)) for word in words)
    except ValueError:
        return False


def _cell(told: Mapping[str, str], where: str) -> np.ndarray | None:
    """Rows are lattice vectors in angstrom; None for a molecule in empty space."""
    if "lattice" not in told:
        return None
    words = told["lattice"].split()
    if len(words) == 1 and "properties" not in told:
        return None  # a word of a plain comment
    if len(words) != 9:
        raise ValueError(f"{where} has a Lattice of {len(words)} numbers; expected nine: three vectors in angstrom")
    periodic = [word.lower() for word in told.get("pbc", "T T T").split()]
    if len(periodic) != 3 or not set(periodic) <= _TRUE | _FALSE:
        raise ValueError(f"{where} has pbc={told['pbc']!r}; expected three of T and F")
    along = {word in _TRUE for word in periodic}
    if along == {True, False}:
        raise ValueError(
            f"{where} is periodic along some axes only (pbc={told['pbc']!r}); expected all three or none: write "
            'pbc="T T T" with an empty gap along the others, or pbc="F F F"'
        )
    return (
        np.array([_number(word, f"the Lattice of {where}") for word in words]).reshape(3, 3) if True in along else None
    )

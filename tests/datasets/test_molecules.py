"""The molecules that ship with the workbench: units, splits, physics, and the energies of elements."""

from pathlib import Path

import numpy as np
import pytest
import torch

from workbench.datasets import molecules as room
from workbench.datasets.molecules import (
    ELEMENTS,
    SHIPPED,
    Structures,
    joined,
    load_molecules,
    molecule_names,
    molecules,
    of_dataset,
    references,
)
from workbench.datasets.paths import data_folder

UNITS = {
    "numbers": "1", "positions": "angstrom", "energy": "eV", "forces": "eV/angstrom", "dipole": "e angstrom",
}  # fmt: skip
FLOAT32_FORCE = 1e-4  # eV/angstrom: rounding of forces up to 70, summed over nine atoms


@pytest.mark.parametrize("name", SHIPPED)
def test_n1_every_file_has_units_provenance_and_licence(name: str) -> None:
    found = molecules(name)
    assert {str(v): found[v].attrs["units"] for v in found.data_vars} == UNITS
    assert {"ase_version", "tblite_version", "method", "licence", "source", "seed"} <= set(found.attrs)
    assert (found["numbers"].values == 0).tolist() == np.isnan(found["positions"].values[..., 0]).tolist()


def test_they_are_small_and_as_large_as_said() -> None:
    assert sum((data_folder() / f"molecules/{name}.nc").stat().st_size for name in SHIPPED) < 1_000_000
    sizes = {name: dict(molecules(name).sizes) for name in SHIPPED}
    assert [sizes[name]["structure"] for name in SHIPPED] == [600, 444, 292]
    ethanol, g2 = molecules("ethanol"), molecules("g2")
    assert [int((ethanol["split"] == s).sum()) for s in ("train", "validation", "test")] == [400, 100, 100]
    assert len(set(g2["species"].values)) == 148
    assert len(set(g2["numbers"].values.ravel()) - {0}) == 14


@pytest.mark.parametrize("name", SHIPPED)
def test_forces_sum_to_nothing_and_turn_nothing(name: str) -> None:
    found = molecules(name)
    forces, positions = np.nan_to_num(found["forces"].values), np.nan_to_num(found["positions"].values)
    assert np.abs(forces.sum(1)).max() < FLOAT32_FORCE
    assert np.abs(np.cross(positions, forces).sum(1)).max() < FLOAT32_FORCE


def test_relaxed_species_feel_no_force_and_rattled_ones_do() -> None:
    found = molecules("g2")
    largest = np.nanmax(np.abs(found["forces"].values), axis=(1, 2))
    at_rest = found["rattle"].values == 0
    assert at_rest.sum() == 148
    assert largest[at_rest].max() < 0.005 + FLOAT32_FORCE
    assert np.median(largest[~at_rest]) > 0.5


def test_water_has_its_dipole_and_turning_the_hydroxyl_costs_what_it_should() -> None:
    g2 = molecules("g2")
    water = g2.isel(structure=np.flatnonzero((g2["species"] == "H2O") & (g2["rattle"] == 0)))
    debye = np.linalg.norm(water["dipole"].values) / 0.20819434
    assert 1.8 < debye < 2.5  # measured in the gas: 1.86; GFN2-xTB gives more
    scans = molecules("scans")
    for scan, low, high in (("C-C-O-H", 0.04, 0.12), ("methyl", 0.07, 0.16)):
        energy = scans["energy"].values[(scans["scan"] == scan) & (scans["rattle"] == 0)]
        assert low < np.ptp(energy) < high  # eV
        assert energy[0] == pytest.approx(energy[-1], abs=1e-6)  # a whole turn


def test_splits_come_as_tensors_and_are_cut_to_size() -> None:
    whole = load_molecules("ethanol")
    part = load_molecules("ethanol", train=50)
    assert len(part.splits["train"]) == 50
    assert torch.equal(part.splits["train"].positions, whole.splits["train"].positions[:50])
    assert len(part.splits["test"]) == len(whole.splits["test"])
    assert whole.splits["train"].positions.dtype == torch.float32
    assert whole.splits["train"].energy.dtype == torch.float64


def test_molecules_of_different_size_lie_one_after_another() -> None:
    both = load_molecules("g2+ethanol").splits["test"]
    positions, numbers, batch, forces = both.flat()
    assert len(positions) == int((both.numbers > 0).sum()) == len(numbers) == len(batch) == len(forces)
    assert torch.equal(batch.bincount(), (both.numbers > 0).sum(1))
    for at in (0, 7, len(both) - 1):
        there = both.numbers[at] > 0
        assert torch.equal(positions[batch == at], both.positions[at, there])
        assert torch.equal(forces[batch == at], both.forces[at, there])


def test_references_are_those_of_a_sum_over_atoms() -> None:
    train = load_molecules("g2").splits["train"]
    truth = torch.zeros(ELEMENTS, dtype=torch.float64)
    truth[1:20] = torch.randn(19, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    made = Structures(train.numbers, train.positions, truth[train.numbers].sum(1), train.forces)
    found = references(made)
    occurring = train.numbers.unique()[1:]
    assert torch.allclose(found[occurring], truth[occurring], rtol=0, atol=1e-9)
    assert found[[0, 2, 10, 118]].abs().max() < 1e-9  # nothing, and elements that do not occur


def test_references_of_one_composition_give_its_mean() -> None:
    train = load_molecules("ethanol").splits["train"]
    left = train.energy - references(train)[train.numbers].sum(1)
    assert abs(float(left.mean())) < 1e-9


def test_unknown_names_and_impossible_cuts_get_a_sentence() -> None:
    with pytest.raises(ValueError, match="no set of molecules 'methanol'; choose one of ethanol"):
        load_molecules("methanol")
    with pytest.raises(ValueError, match="no shipped set"):
        molecules("../ethanol")
    for train in (0, 401, True, 1.5):
        with pytest.raises(ValueError, match="expected a whole number from 1 to the 400"):
            load_molecules("ethanol", train=train)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="there are no structures"):
        references(load_molecules("scans").splits["train"])
    assert set(SHIPPED) < set(molecule_names())


def test_r5_r15_a_damaged_file_and_one_that_declares_too_much_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = (data_folder() / "molecules/ethanol.nc").read_bytes()
    (tmp_path / "molecules").mkdir()
    target = tmp_path / "molecules/ethanol.nc"
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"ethanol\.nc is missing; restore it"):
        molecules("ethanol")
    damaged = bytearray(whole)
    damaged[100_000] ^= 0xFF  # among the positions
    for content in (bytes(damaged), whole[:5000], b"nothing"):
        target.write_bytes(content)
        with pytest.raises(ValueError, match=r"ethanol\.nc is damaged"):
            molecules("ethanol")
    target.write_bytes(whole)
    assert molecules("ethanol").sizes["structure"] == 600
    monkeypatch.setattr(room, "LARGEST_BYTES", 1000)
    with pytest.raises(ValueError, match="declares"):
        molecules("ethanol")


def test_joined_keeps_what_each_part_says() -> None:
    small, large = of_dataset(molecules("ethanol"), "test"), of_dataset(molecules("g2"), "test")
    both = joined([small, large])
    assert torch.equal(both.forces[: len(small), :9], small.forces)
    assert torch.equal(both.numbers[len(small) :], large.numbers)
    assert int(both.numbers[: len(small), 9:].abs().max()) == 0


def test_ethanols_are_rattled_as_said_and_scans_go_round_in_steps_of_five_degrees() -> None:
    rattle = molecules("ethanol")["rattle"].values
    assert 0.03 <= rattle.min() < 0.04
    assert 0.11 < rattle.max() <= 0.12
    scans = molecules("scans")
    assert set(scans["rattle"].values) == {0.0, 0.05}
    for scan in ("C-C-O-H", "methyl"):
        for size in (0.0, 0.05):
            one = scans["angle_deg"].values[(scans["scan"] == scan) & (scans["rattle"] == size)]
            assert one.tolist() == np.linspace(0, 360, 73).tolist()

"""The curve of a molecule's errors over a turn: a sound potential keeps its rounding, and a field is found exactly."""

import math

import numpy as np
import pytest
import torch

from tests.measure.test_motions import NUMBERS, POSITIONS, Springs
from tests.tolerances import EXACT, SEPARATION
from workbench.groups import SO3
from workbench.measure.dataset import validate
from workbench.measure.molecule_orbit import molecule_orbit
from workbench.measure.motions import InField, rounding

ANGLES = (0, 30, 90, 180, 250, 360)


def test_a_sound_potential_stays_at_rounding_and_one_that_prefers_an_axis_does_not() -> None:
    models = {"sound": Springs("none"), "axis": Springs("rotation")}
    for reflected in (False, True):
        ds = molecule_orbit(models, NUMBERS, POSITIONS, ANGLES, axis=(1, 2, 2), reflected=reflected)
        assert float(ds["error_mean"].sel(model="sound").max()) < 10 * EXACT[torch.float64]
        between = ds["error_mean"].sel(model="axis").where(ds["angle_deg"] % 360 != 0, drop=True)
        assert float(between.min()) > SEPARATION * float(ds["rounding_floor"].max())
        assert ds["lattice"].values.tolist() == [not reflected, False, False, False, False, not reflected]
    wanted = {"error_mean": ("model", "transform"), "rounding_floor": ("transform",)}
    assert validate(ds, wanted) is ds


def test_a_shift_reflects_nothing_and_the_middle_does_not_matter() -> None:
    near, far = (
        molecule_orbit({"axis": Springs("rotation")}, NUMBERS, POSITIONS + shift, ANGLES)["error_mean"].values
        for shift in (0.0, 40.0)
    )
    np.testing.assert_allclose(near, far, rtol=0, atol=10 * EXACT[torch.float64])


def test_the_error_of_a_field_is_the_one_written_down_by_hand() -> None:
    """F(x) + p with p along z: F(g x) + p - g (F(x) + p) = p - g p, in every atom, over |F(x) + p|."""
    angles, axis, strength = (20.0, 75.0, 180.0), torch.tensor([1.0, 2.0, 2.0], dtype=torch.float64) / 3, 0.1
    sound = Springs("none")
    ds = molecule_orbit({"field": InField(sound, strength)}, NUMBERS, POSITIONS, angles, axis=axis.tolist())
    forces = InField(sound, strength).energy_and_forces(
        POSITIONS - POSITIONS.mean(0), NUMBERS, torch.zeros_like(NUMBERS)
    )[1]
    pull = torch.tensor([0.0, 0.0, strength], dtype=torch.float64)
    for angle, found in zip(angles, ds["error_mean"].values[0], strict=True):
        turn = SO3().matrix(SO3().exp(axis * math.radians(angle)))
        wanted = (pull - turn @ pull).norm() * math.sqrt(len(NUMBERS)) / forces.norm()
        assert found == pytest.approx(float(wanted), rel=EXACT[torch.float64] * 10, abs=0)
        other_way = (pull - turn @ pull).norm() / forces.norm()  # one atom's share alone: the twin
        assert abs(found - float(other_way)) > SEPARATION * EXACT[torch.float64]


def test_the_floor_is_the_rounding_of_both_poses_and_an_exact_copy_may_be_handed_in() -> None:
    potential = Springs("none").float()
    ds = molecule_orbit({"one": potential}, NUMBERS, POSITIONS, (0, 0, 90))
    centred = torch.cat([POSITIONS - POSITIONS.mean(0), NUMBERS[:, None].double()], 1)[None]
    still = float(rounding(potential, centred, torch.zeros(()))[0])
    np.testing.assert_allclose(ds["rounding_floor"].values[:2], 2 * still, rtol=EXACT[torch.float64], atol=0)
    assert float(ds["error_mean"].max()) < 2 * float(ds["rounding_floor"].max()) < 10 * EXACT[torch.float32]
    given = molecule_orbit({"one": potential}, NUMBERS, POSITIONS, (0, 0, 90), exact=Springs("none"))
    assert given["rounding_floor"].equals(ds["rounding_floor"])


def test_progress_is_told_over_all_potentials() -> None:
    told: list[float] = []
    molecule_orbit({"one": Springs("none"), "two": Springs("none")}, NUMBERS, POSITIONS, ANGLES, progress=told.append)
    assert told == sorted(told)
    assert 0.5 in told
    assert told[-1] == 1.0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"models": {}}, "0 potentials"),
        ({"angles_deg": ()}, r"angles \[\]"),
        ({"angles_deg": (math.nan,)}, "finite angles"),
        ({"axis": (0, 0, 0)}, "not all 0"),
        ({"axis": (1, 0)}, "three numbers"),
        ({"axis": (math.nan, 0, 1)}, "not all 0"),
        ({"positions": POSITIONS * math.nan}, "finite"),
    ],
)
def test_what_cannot_be_turned_is_refused(given: dict, words: str) -> None:
    usual = {"models": {"one": Springs("none")}, "numbers": NUMBERS, "positions": POSITIONS, "angles_deg": ANGLES}
    with pytest.raises(ValueError, match=words):
        molecule_orbit(**{**usual, **given})

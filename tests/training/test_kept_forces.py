"""Learning curves read from run folders: known laws come back, and what is asked of them is checked."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from tests.tolerances import AGAIN
from workbench.models._molecular_claims import DEGREES, EXPERIMENTS, SIZES
from workbench.training import kept_forces
from workbench.training.kept_forces import curves_at, learning_curves, slopes_of, step_seconds

SLOPES = {0: -0.25, 1: -0.5, 2: -0.75, 3: -1.0}


class Told:
    """A run folder whose test error is a power law of its geometries, and whose validation error of its epochs."""

    def __init__(self, path: Path) -> None:
        self.name, self.seed = path.name.rsplit("-", 1)

    def history(self) -> xr.Dataset:
        degree, _, size = self.name.removeprefix("equal_").removeprefix("l").partition("_")
        error = 1000.0 * float(size or 400) ** SLOPES[int(degree)] * (1 + 0.01 * int(self.seed))
        epochs = np.arange(1, 26)
        told = np.where(epochs % 5 == 0, 100.0 / epochs, np.nan)
        single = {
            "test_force_mae": error, "test_energy_mae": 2 * error, "rotation_error_trained": 1e-6,
            "test_force_mae_rotated": 1.5 * error, "test_energy_mae_rotated": 3 * error, "parameters": 5000.0,
        }  # fmt: skip
        return xr.Dataset({**single, "validation_force_mae": ("epoch", told)}, {"epoch": epochs})


@pytest.fixture
def curves(monkeypatch: pytest.MonkeyPatch) -> xr.Dataset:
    monkeypatch.setattr(kept_forces, "Run", Told)
    monkeypatch.setattr(kept_forces, "step_seconds", lambda rounds: np.full((4, 3), 0.01) * np.arange(1, 5)[:, None])
    return learning_curves({(one.name, seed): Path(f"{one.name}-{seed}") for one in EXPERIMENTS for seed in range(3)})


def test_power_laws_come_back_with_their_slopes(curves):
    assert curves["curve_slope"].values == pytest.approx(np.tile(list(SLOPES.values()), (3, 1)).T, rel=AGAIN)
    assert np.abs(curves["curve_slope_high"] - curves["curve_slope_low"]).max() < 1e-9
    upright, turned = (curves["curve_force_mae"].sel(pose=pose).values for pose in ("upright", "rotated"))
    assert upright[2, :, 0] == pytest.approx([1000 * size**-0.75 for size in SIZES], rel=AGAIN)
    assert turned == pytest.approx(1.5 * upright, rel=AGAIN)


def test_a_wrong_order_of_sizes_would_be_found_out():
    errors = np.array([[[float(size) ** -0.5] for size in SIZES]])
    assert slopes_of(errors) == pytest.approx(-0.5, rel=AGAIN)
    assert slopes_of(errors[:, ::-1]) == pytest.approx(0.5, rel=AGAIN)


def test_equal_time_is_read_between_what_was_told(curves):
    ds = curves_at(curves, 4.0)
    assert ds["told_seconds"].values[:, 0] == pytest.approx([2, 4, 6, 8], rel=AGAIN)  # 200 steps of 0.01 to 0.04 s
    now = ds["now"].values
    assert now[:2] == pytest.approx([10.0, 20.0], rel=AGAIN)
    assert np.isnan(now[2:]).all()
    between = float(curves_at(curves, 3.0)["now"][0])
    assert between == pytest.approx(np.sqrt(10.0 * 20.0), rel=AGAIN)
    assert curves_at(curves, 10.0)["now"].values[:1] == pytest.approx(4.0, rel=AGAIN)  # the last told
    assert np.isnan(curves_at(curves, 10.1)["now"].values[0])  # no degree keeps a time that it was not trained for
    assert ds["matched_seconds"].values == pytest.approx([17.6, 20, 21.45, 21.8], rel=AGAIN)


def test_what_is_shown_is_of_the_quantity_and_the_pose_asked_for(curves):
    energy = curves_at(curves, 4.0, "energy", "rotated")["error"]
    assert energy.attrs["units"] == "meV"
    assert energy.values[0, 0, 0] == pytest.approx(3000 * 50**-0.25, rel=AGAIN)
    for wrong in ({"quantity": "dipole"}, {"pose": "upside down"}, {"seconds": 0}, {"seconds": float("nan")}):
        with pytest.raises(ValueError, match="expected"):
            curves_at(curves, **{"seconds": 1.0, **wrong})


def test_a_step_of_every_degree_is_timed():
    found = step_seconds(2)
    assert found.shape == (len(DEGREES), 2)
    assert (found > 0).all()

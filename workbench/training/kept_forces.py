"""How force errors of kept potentials fall with geometries and with time, and what one of their steps costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from workbench.models._molecular_claims import BATCH, DEGREES, EQUAL_STEPS, LARGEST, SIZES, STEPS, equal, learned
from workbench.training.kept_costs import interleaved
from workbench.training.randomness import own_randomness
from workbench.training.run import Run

if TYPE_CHECKING:
    import xarray as xr

ROUNDS = 21
MOVED, MOVED_FS = 2, 200.0
"""Degree of the potentials that move a molecule, and for how many fs."""
KEPT = ("test_force_mae", "test_energy_mae", "rotation_error_trained", "rotation_error_untrained", "parameters")
POSES = {"upright": "", "rotated": "_rotated"}
CURVE = "validation_force_mae"


def learning_curves(runs: Mapping[tuple[str, int], Path], fast: bool = False) -> xr.Dataset:
    """Errors of the kept weights by degree and number of geometries, their slopes, and the same at equal time.

    Args:
        runs: (experiment, seed) -> the folder of a finished run.
        fast: fewer timings of a step.

    Returns:
        Over (lmax, geometries, seed): `curve_force_mae` and `curve_energy_mae`, also over pose; `curve_trained_error`,
        `curve_untrained_error`, the equivariance errors of the forces; `curve_parameters`.
        `curve_slope(lmax, seed)`: d log(force error) / d log(geometries), by least squares; `curve_slope_low` and
        `curve_slope_high(lmax)`, 95 % interval of Student's t over seeds.
        `step_seconds(lmax, timing)`: CPU time of a training step on one thread.
        `equal_force_mae(lmax, seed)` after the steps that cost as much as those of degree 1, `equal_steps(lmax)`.
        `told_force_mae(lmax, told, seed)`: validation error after a share `told_step(lmax, told)` of the steps with
        all geometries.
    """
    import xarray as xr

    from workbench.measure import labelled, provenance
    from workbench.measure.interval import student

    seeds = sorted({seed for _, seed in runs})
    cells = {
        (lmax, size): [_results(runs[learned(lmax, size), seed]) for seed in seeds] for lmax in DEGREES
        for size in SIZES
    }  # fmt: skip
    shape = len(DEGREES), len(SIZES), len(seeds)

    def kept(name: str) -> np.ndarray:
        return np.array([[one.get(name, np.nan) for one in cell] for cell in cells.values()]).reshape(shape)

    def posed(name: str) -> np.ndarray:
        return np.stack([kept(f"{name}{ending}") for ending in POSES.values()], -1)

    slopes = slopes_of(kept("test_force_mae"))
    low, high = student(slopes)
    told, steps = _told(runs, seeds)
    matched = np.array([[_results(runs[equal(lmax), seed])["test_force_mae"] for seed in seeds] for lmax in DEGREES])
    over, force = ("lmax", "geometries", "seed"), "meV/angstrom"
    times = step_seconds(3 if fast else ROUNDS)
    return xr.Dataset(
        {
            "curve_force_mae": labelled((*over, "pose"), posed("test_force_mae"), "mean |force error|, test", force),
            "curve_energy_mae": labelled((*over, "pose"), posed("test_energy_mae"), "mean |energy error|, test", "meV"),
            "curve_trained_error": labelled(over, kept("rotation_error_trained"), "rotation error, trained"),
            "curve_untrained_error": labelled(over, kept("rotation_error_untrained"), "rotation error, untrained"),
            "curve_parameters": labelled(over, kept("parameters"), "trainable parameters"),
            "curve_slope": labelled(("lmax", "seed"), slopes, "slope of log force error over log geometries"),
            "curve_slope_low": labelled("lmax", low, "slope, low end of 95 %"),
            "curve_slope_high": labelled("lmax", high, "slope, high end of 95 %"),
            "step_seconds": labelled(("lmax", "timing"), times, "CPU time of a step", "s"),
            "equal_force_mae": labelled(("lmax", "seed"), matched, "mean |force error|, test, equal CPU time", force),
            "equal_steps": labelled("lmax", np.array([EQUAL_STEPS.get(d, STEPS) for d in DEGREES]), "steps"),
            "told_force_mae": labelled(("lmax", "told", "seed"), told, "mean |force error|, validation", force),
            "told_step": labelled(("lmax", "told"), steps, "steps done"),
        },
        {
            "lmax": labelled("lmax", np.array(DEGREES), "highest degree"),
            "geometries": labelled("geometries", np.array(SIZES), "training geometries"),
            "seed": labelled("seed", np.asarray(seeds, dtype=np.int64), "seed"),
            "pose": labelled("pose", np.array(list(POSES)), "pose of the test molecules"),
        },
        provenance(
            "learning_curves", seed=seeds, dtype="float32", resampler="none: points are turned",
            reduction="mean over Cartesian components of |F - F*|", input_kind="100 test geometries of ethanol",
            steps=STEPS, batch=BATCH, threads=1,
        ),
    )  # fmt: skip


def slopes_of(errors: np.ndarray) -> np.ndarray:
    """Slopes ``(D, S)`` of log error over log size, by least squares, of errors ``(D, sizes, S)``.

    >>> slopes_of(np.array([[[8.0], [4.0], [2.0], [1.0]]])).round(6).tolist()
    [[-1.0]]
    """
    x = np.log(np.array(SIZES, dtype=float))
    x = x - x.mean()
    return np.einsum("g,dgs->ds", x, np.log(errors)) / (x**2).sum()


def _results(path: Path) -> dict[str, float]:
    history = Run(path).history()
    names = (*KEPT, *(f"{name}_rotated" for name in KEPT[:2]))
    return {name: float(history[name]) for name in names if name in history}


def _told(runs: Mapping[tuple[str, int], Path], seeds: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Validation errors on the way, with all geometries: ``(lmax, told, seed)``, and after how many steps."""
    curves = [[Run(runs[learned(lmax, LARGEST), seed]).history() for seed in seeds] for lmax in DEGREES]
    first = curves[0][0]
    points = np.flatnonzero(np.isfinite(first[CURVE].values))
    told = np.array([[one[CURVE].values[points] for one in row] for row in curves]).swapaxes(1, 2)
    steps = np.minimum(first.epoch.values[points] * -(-LARGEST // BATCH), STEPS)
    return told, np.tile(steps, (len(DEGREES), 1))


def step_seconds(rounds: int = ROUNDS) -> np.ndarray:
    """CPU seconds ``(lmax, rounds)`` of one training step of ten ethanols, the degrees taken in turn."""
    with own_randomness(0):
        return interleaved([_step(lmax) for lmax in DEGREES], rounds) / 1000


def _step(lmax: int) -> Callable[[], None]:
    from workbench.datasets.molecules import load_molecules
    from workbench.models import build_model

    model: Any = build_model({"name": "molecular_potential", "lmax": lmax}).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4)
    positions, numbers, which, forces = load_molecules("ethanol").splits["train"][:BATCH].flat()
    positions, forces = positions.float(), forces.float()

    def step() -> None:
        optimiser.zero_grad()
        energy, found = model.energy_and_forces(positions, numbers, which)
        ((found - forces).square().mean() + 1e-3 * energy.square().mean()).backward()
        optimiser.step()

    return step


def drifts(runs: Mapping[tuple[str, int], Path], fast: bool = False) -> xr.Dataset:
    """How well the energy of an ethanol stays that moves by the kept potentials of degree 2 with all geometries.

    It starts from the test geometry of lowest energy, with velocities of 300 K.

    Args:
        runs: (experiment, seed) -> the folder of a finished run.
        fast: a short time.

    Returns:
        Over seed: `dynamics_change(step_fs, time_fs)`, `dynamics_swing(step_fs)` and `dynamics_drift(step_fs)` of
        :func:`workbench.measure.dynamics.energy_drift`.
    """
    import xarray as xr

    from workbench.datasets.elements import atomic_mass
    from workbench.datasets.molecules import load_molecules
    from workbench.measure import labelled
    from workbench.measure.dynamics import energy_drift

    seeds = sorted({seed for _, seed in runs})
    held_out = load_molecules("ethanol").splits["test"]
    lowest = int(held_out.energy.argmin())
    positions, numbers, _, _ = held_out[lowest : lowest + 1].flat()
    masses = torch.tensor([atomic_mass(int(one)) for one in numbers])
    found = [
        energy_drift(
            Run(runs[learned(MOVED, LARGEST), seed]).model(), numbers, positions, masses, seed=seed,
            time_fs=20.0 if fast else MOVED_FS, points=5 if fast else 50, input_kind="ethanol",
        ) for seed in seeds
    ]  # fmt: skip
    joined = xr.concat(found, "seed", combine_attrs="override", join="exact")
    seed = labelled("seed", np.asarray(seeds, dtype=np.int64), "seed")
    names = {"energy_change": "dynamics_change", "swing": "dynamics_swing", "drift": "dynamics_drift"}
    return joined.rename(names).assign_coords(seed=seed).assign_attrs(seed=str(seeds))


def curves_at(ds: xr.Dataset, seconds: float, quantity: str = "force", pose: str = "upright") -> xr.Dataset:
    """What a reader sees of stored learning curves who has so much CPU time.

    Args:
        ds: stored results with the variables of :func:`learning_curves`.
        seconds: CPU time of one training with all geometries.
        quantity: "force" or "energy".
        pose: of the test molecules, "upright" or "rotated".

    Returns:
        `error(lmax, geometries, seed)`; `slope`, `slope_low`, `slope_high(lmax)`; `told_error(lmax, told, seed)` at
        `told_seconds(lmax, told)`; `now(lmax)`, the mean told error after so many seconds, on a line between the
        logarithms of those told, NaN before the first and after the last; `matched(lmax, seed)` at
        `matched_seconds(lmax)`.

    Raises:
        ValueError: for another quantity or pose, or a time that is no positive number.
    """
    import xarray as xr

    from workbench.measure import labelled, provenance

    if quantity not in ("force", "energy") or pose not in POSES:
        raise ValueError(f"quantity {quantity!r} and pose {pose!r} were given; expected force or energy, and {POSES}")
    if not 0 < float(seconds) < float("inf"):
        raise ValueError(f"seconds = {seconds!r} was given; expected a positive number")
    each = np.median(ds["step_seconds"].values, 1)
    at = ds["told_step"].values * each[:, None]
    mean = np.log(ds["told_force_mae"].mean("seed").values)
    now = [np.exp(np.interp(seconds, one, line, left=np.nan, right=np.nan)) for one, line in zip(at, mean, strict=True)]
    over, unit = ("lmax", "geometries", "seed"), "meV/angstrom"
    error = ds[f"curve_{quantity}_mae"].sel(pose=pose)
    return xr.Dataset(
        {
            "error": labelled(over, error.transpose(*over).values, error.attrs["long_name"], error.attrs["units"]),
            **{f"slope{end}": ds[f"curve_slope{end}"] for end in ("_low", "_high")},
            "slope": labelled("lmax", ds["curve_slope"].mean("seed").values, "slope of log force error"),
            "told_error": ds["told_force_mae"],
            "told_seconds": labelled(("lmax", "told"), at, "CPU time", "s"),
            "now": labelled("lmax", np.array(now), "mean |force error| after this time", unit),
            "now_seconds": labelled((), float(seconds), "CPU time", "s"),
            "matched": ds["equal_force_mae"],
            "matched_seconds": labelled("lmax", ds["equal_steps"].values * each, "CPU time", "s"),
        },
        {"lmax": ds["lmax"], "geometries": ds["geometries"]},
        provenance(
            "curves_at", seed=[int(one) for one in ds["seed"]], dtype="float32", reduction="means over seeds",
            input_kind="ethanol", quantity=quantity, pose=pose,
        ),
    ).drop_vars("seed", errors="ignore")  # fmt: skip

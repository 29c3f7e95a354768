"""Molecules that move by their own forces: does the energy stay, and how does that depend on the time step?

Velocity Verlet (W. C. Swope et al., J. Chem. Phys. 76, 637, 1982; from memory, unverified). Lengths in angstrom, times
in femtosecond, masses in dalton, energies in eV.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from workbench.e3.copies import copied
from workbench.e3.graphs import check_numbers
from workbench.groups.base import check_count, check_floating
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance

PER_DALTON = 9.648533212e-3
"""Angstrom per femtosecond squared that 1 eV/angstrom gives 1 dalton (CODATA 2018)."""
BOLTZMANN = 8.617333262e-5
"""eV per kelvin."""
STEPS_FS = (0.25, 0.5, 1.0, 2.0)
MOST_STEPS = 100_000
BROKEN_EV = 100.0
"""A molecule whose energy moved by this much has flown apart; it is followed no further."""
Push = Callable[[Tensor], tuple[Tensor, Tensor]]


def thermal_velocities(masses: Tensor, kelvin: float, generator: torch.Generator | None = None) -> Tensor:
    """Velocities ``(N, 3)`` in angstrom/fs drawn at a temperature, without momentum of the whole.

    Args:
        masses: ``(N,)`` in dalton.
        kelvin: temperature.
        generator: of the draw.

    >>> v = thermal_velocities(torch.tensor([1.0, 16.0], dtype=torch.float64), 300, torch.Generator().manual_seed(0))
    >>> bool((torch.tensor([[1.0], [16.0]]) * v).sum(0).abs().max() < 1e-12)
    True
    """
    drawn = torch.randn(len(masses), 3, generator=generator, dtype=masses.dtype)
    drawn = drawn * (kelvin * BOLTZMANN * PER_DALTON / masses).sqrt()[:, None]
    return drawn - (masses[:, None] * drawn).sum(0) / masses.sum()


def verlet(
    push: Push, positions: Tensor, velocities: Tensor, masses: Tensor, step_fs: float, steps: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Positions and velocities after each of so many steps of velocity Verlet, and the total energy on the way.

    Args:
        push: positions ``(N, 3)`` to the potential energy, a scalar in eV, and forces ``(N, 3)`` in eV/angstrom.
        positions: ``(N, 3)`` in angstrom. velocities: ``(N, 3)`` in angstrom/fs. masses: ``(N,)`` in dalton.
        step_fs: time step in fs; a negative one goes back.
        steps: how many.

    Returns:
        Positions and velocities at the end, ``(N, 3)``; total energies ``(steps + 1,)``, NaN from where it broke.
    """
    x, v, per_mass = positions.clone(), velocities.clone(), PER_DALTON / masses[:, None]
    energy, force = push(x)
    total = [_total(energy, v, masses)]
    for _ in range(steps):
        v = v + 0.5 * step_fs * per_mass * force
        x = x + step_fs * v
        try:
            energy, force = push(x)
        except ValueError:  # a potential refuses atoms that run into each other
            break
        v = v + 0.5 * step_fs * per_mass * force
        now = _total(energy, v, masses)
        if not abs(now - total[0]) < BROKEN_EV:
            break
        total.append(now)
    return x, v, torch.tensor([*total, *[float("nan")] * (steps + 1 - len(total))], dtype=torch.float64)


def _total(energy: Tensor, velocities: Tensor, masses: Tensor) -> float:
    return float(energy) + float((0.5 * masses[:, None] * velocities**2).sum() / PER_DALTON)


def energy_drift(
    potential: nn.Module,
    numbers: Tensor,
    positions: Tensor,
    masses: Tensor,
    *,
    steps_fs: Sequence[float] = STEPS_FS,
    time_fs: float = 200.0,
    kelvin: float = 300.0,
    seed: int = 0,
    points: int = 50,
    input_kind: str = "",
) -> xr.Dataset:
    """Total energy of one molecule that moves by a potential's forces at constant energy, for several time steps.

    All time steps start alike. An exact integration of forces that are the gradient of an energy keeps the total; what
    velocity Verlet loses falls with the square of the time step, and swings about zero rather than growing.

    Args:
        potential: has `energy_and_forces(positions, numbers, batch)`; computed with in float64, left as found.
        numbers: ``(N,)`` int64. positions: ``(N, 3)`` in angstrom. masses: ``(N,)`` in dalton.
        steps_fs: time steps in fs, each a whole fraction of `time_fs` / `points`.
        time_fs: how long, in fs. kelvin: of the velocities at the start. seed: of their draw.
        points: times that are told.
        input_kind: what the molecule is, for the reader.

    Returns:
        `energy_change(step_fs, time_fs)`, total energy per atom against the start, in meV, NaN from where a molecule
        flew apart; `swing(step_fs)`, its root mean square; `drift(step_fs)`, the slope of the straight line through
        it, in meV per atom and ps; both NaN where it flew apart.

    Raises:
        ValueError: time steps that do not divide the time, a number that is not positive, or shapes that do not fit.
    """
    _check(numbers, positions, masses, steps_fs, time_fs, kelvin, points)
    net: Any = copied(potential).double().eval()
    here = positions.detach().double()
    batch = torch.zeros(len(numbers), dtype=torch.int64)

    def push(x: Tensor) -> tuple[Tensor, Tensor]:
        energy, forces = net.energy_and_forces(x, numbers, batch)
        return energy.sum().detach(), forces.detach()

    heavy = masses.detach().double()
    start = thermal_velocities(heavy, kelvin, torch.Generator().manual_seed(seed))
    told = np.linspace(0, time_fs, points + 1)
    change = np.empty((len(steps_fs), points + 1))
    push(here)  # what it warns of at the start is heard
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # on the way atoms may fly off
        for at, step in enumerate(steps_fs):
            energies = verlet(push, here, start, heavy, float(step), round(time_fs / step))[2].numpy()
            kept = energies[:: round(time_fs / points / step)]
            change[at] = 1000 * (kept - kept[0]) / len(numbers)
    line = told / 1000 - (told / 1000).mean()
    drift = (change - change.mean(1, keepdims=True)) @ line / (line**2).sum()
    return xr.Dataset(
        {
            "energy_change": labelled(("step_fs", "time_fs"), change, "change of the total energy per atom", "meV"),
            "swing": labelled("step_fs", np.sqrt((change**2).mean(1)), "root mean square change per atom", "meV"),
            "drift": labelled("step_fs", drift, "drift of the total energy per atom", "meV/ps"),
        },
        {
            "step_fs": labelled("step_fs", np.asarray(steps_fs, dtype=float), "time step", "fs"),
            "time_fs": labelled("time_fs", told, "time", "fs"),
        },
        provenance(
            "energy_drift", seed=seed, dtype="float64", resampler="none", reduction="per atom", input_kind=input_kind,
            kelvin=kelvin, integrator="velocity Verlet",
        ),
    )  # fmt: skip


def _check(
    numbers: Tensor, positions: Tensor, masses: Tensor, steps_fs: Sequence[float], time_fs: float, kelvin: float,
    points: int,
) -> None:  # fmt: skip
    check_count(points, "energy_drift, points", "use 50")
    check_floating(positions, "energy_drift: positions", numbers=True)
    check_floating(masses, "energy_drift: masses", numbers=True)
    count = len(numbers)
    if positions.shape != (count, 3) or masses.shape != (count,) or not count:
        raise ValueError(
            f"energy_drift: numbers {tuple(np.shape(numbers))}, positions {tuple(positions.shape)} and masses "
            f"{tuple(masses.shape)} were given; expected (N,), (N, 3) and (N,) of one molecule"
        )
    check_numbers(numbers, positions)
    if not bool((masses > 0).all()) or not bool(torch.isfinite(positions).all()):
        raise ValueError("energy_drift: positions must be finite, and masses positive")
    for name, value in (("time_fs", time_fs), ("kelvin", kelvin), *(("steps_fs", one) for one in steps_fs)):
        if not 0 < float(value) < float("inf"):
            raise ValueError(f"energy_drift: {name} holds {value!r}; expected positive numbers")
    told = time_fs / points
    for step in steps_fs:
        if abs(told / step - round(told / step)) > 1e-6 or step > told:
            raise ValueError(
                f"energy_drift: a time step of {step:g} fs does not divide the {told:g} fs between the {points} times "
                f"that are told; take {told / max(round(told / step), 1):g} fs"
            )
        if time_fs / step > MOST_STEPS:
            raise ValueError(f"energy_drift: {time_fs / step:.3g} steps were asked for; expected at most {MOST_STEPS}")

"""A law of a material learned from samples in one pose, and asked in others: three ways to a tensor-valued function."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from workbench.groups import SO3
from workbench.groups.base import check_count
from workbench.measure.dataset import labelled, validate
from workbench.measure.provenance import provenance

MODELS = ("components", "components, turned", "tensor networks")
POSES = ("as trained", "turned")
TENSORS = {"E": 2, "a": 1}
SPREAD = 0.3
"""Of the strains, relative to one; and of fibres about the axis that they have in training."""

Sample = dict[str, Tensor]


def learned_stress(
    samples: int = 200, steps: int = 400, seeds: int = 5, degree: int = 3, rate: float = 5e-3
) -> xr.Dataset:
    r"""How well three networks learn the stress of a material with fibres, in the pose of the samples and in others.

    The law is sigma(E, a) = (1 + tr E) I + 2 exp(tr E^2) E + E^2 + 2 exp(a.E a) a a^T + (a (E a)^T + (E a) a^T): not a
    polynomial, so that no network holds it exactly. Strains E are symmetric and normal, fibres a lie near the z axis,
    in training and in the first pose; the second turns each test sample at random.

    Args:
        samples: in training, and as many in each test.
        steps: of Adam over all samples at once.
        seeds: how many trainings of each network.
        degree: of the tensor networks, see :class:`workbench.e3.networks.TensorFunction`.
        rate: of learning.

    Returns:
        ``error(model, pose, seed)``, the root of the mean square over that of the stress; ``parameters(model)``. The
        models are a network of the 6 + 3 components, the same with every batch turned at random, and coefficients of
        invariants times tensor networks.

    Raises:
        ValueError: for counts that are none.

    >>> found = learned_stress(samples=40, steps=20, seeds=1).error
    >>> bool(abs(found.sel(model="tensor networks").diff("pose")).max() < 0.2 * found.max())
    True
    """
    for name, value in (("samples", samples), ("steps", steps), ("seeds", seeds), ("degree", degree)):
        check_count(value, f"learned_stress: {name}")
    found, sizes = np.empty((len(MODELS), len(POSES), seeds)), np.empty(len(MODELS))
    for seed in range(seeds):
        train, test = (_samples(samples, 2 * seed + part) for part in (0, 1))
        turned = _turned(test, _rotations(samples, 10_000 + seed))
        for at, name in enumerate(MODELS):
            model = _model(name, seed, degree)
            sizes[at] = sum(p.numel() for p in model.parameters())
            _fit(model, train, steps, rate, seed if name == MODELS[1] else None)
            for pose, given in enumerate((test, turned)):
                wanted = stress(given)
                with torch.no_grad():
                    found[at, pose, seed] = float((model(given) - wanted).norm() / wanted.norm())
    ds = xr.Dataset(
        {
            "error": labelled(("model", "pose", "seed"), found, "error of the stress, relative"),
            "parameters": labelled("model", sizes.astype(np.int64), "trainable parameters"),
        },
        {
            "model": labelled("model", np.array(MODELS), "network"),
            "pose": labelled("pose", np.array(POSES), "pose of the test samples"),
            "seed": labelled("seed", np.arange(seeds), "seed"),
        },
        provenance(
            "learned_stress", seed=list(range(seeds)), dtype="float32", reduction="root mean square over samples",
            samples=samples, steps=steps, degree=degree,
        ),
    )  # fmt: skip
    return validate(ds, {"error": ("model", "pose", "seed")})


def stored_stress(runs: Mapping[tuple[str, int], Path], fast: bool = False) -> xr.Dataset:
    """Study of the stored claims: :func:`learned_stress`, as `stress_error` and `stress_parameters`."""
    found = learned_stress(40, 20, 1) if fast else learned_stress()
    return found.rename(error="stress_error", parameters="stress_parameters")


def stress(given: Sample) -> Tensor:
    """The law that is learned: strains ``(N, 3, 3)`` and fibres ``(N, 3)`` to stresses ``(N, 3, 3)``."""
    strain, fibre = given["E"], given["a"]
    pulled = (strain @ fibre.unsqueeze(-1)).squeeze(-1)
    along = (fibre * pulled).sum(-1)[:, None, None]
    trace = strain.diagonal(dim1=-2, dim2=-1).sum(-1)[:, None, None]
    square = strain @ strain
    both = fibre.unsqueeze(-1) * pulled.unsqueeze(-2)
    return (
        (1 + trace) * torch.eye(3) + 2 * square.diagonal(dim1=-2, dim2=-1).sum(-1)[:, None, None].exp() * strain
        + square + 2 * along.exp() * fibre.unsqueeze(-1) * fibre.unsqueeze(-2) + both + both.mT
    )  # fmt: skip


class _Components(nn.Module):
    """An ordinary network of the six components of the strain and the three of the fibre."""

    def __init__(self, hidden: int = 64) -> None:
        super().__init__()
        self.upper = torch.triu_indices(3, 3)
        self.layers = nn.Sequential(
            nn.Linear(9, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, 6)
        )

    def forward(self, given: Sample) -> Tensor:
        rows, columns = self.upper
        six = self.layers(torch.cat([given["E"][:, rows, columns], given["a"]], -1))
        whole = six.new_zeros(len(six), 3, 3)
        whole[:, rows, columns] = six
        whole[:, columns, rows] = six
        return whole


def _model(name: str, seed: int, degree: int) -> nn.Module:
    from workbench.e3.networks import TensorFunction

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TensorFunction(TENSORS, 2, degree) if name == MODELS[2] else _Components()


def _samples(count: int, seed: int) -> Sample:
    generator = torch.Generator().manual_seed(seed)
    strain = SPREAD * torch.randn(count, 3, 3, generator=generator)
    fibre = torch.tensor([0.0, 0.0, 1.0]) + SPREAD * torch.randn(count, 3, generator=generator)
    return {"E": (strain + strain.mT) / 2, "a": nn.functional.normalize(fibre, dim=-1)}


def _rotations(count: int, seed: int) -> Tensor:
    return SO3().matrix(SO3().sample(count, generator=torch.Generator().manual_seed(seed)))


def _turned(given: Sample, by: Tensor) -> Sample:
    return {"E": by @ given["E"] @ by.mT, "a": (by @ given["a"].unsqueeze(-1)).squeeze(-1)}


def _fit(model: nn.Module, train: Sample, steps: int, rate: float, turns: int | None) -> None:
    """Adam over all samples at once; turned anew each step where ``turns`` is a seed."""
    optimiser = torch.optim.Adam(model.parameters(), rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        given = train if turns is None else _turned(train, _rotations(len(train["a"]), turns * steps + step))
        loss = (model(given) - stress(given)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()

"""Long sweeps of models with chance in them: the same bits in any order, averaged, and nothing drawn twice."""

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from tests.measure.test_stream import images, pieces, streamed
from tests.tolerances import BROKEN, SPLIT
from workbench.measure import Cancelled, equivariance_error, stream

OPTIONS = {"group": "C(4)", "layers": (), "batch_size": 4}


class Noisy(nn.Module):
    """A picture's mean and noise on it, as dropout at work would be."""

    def __init__(self, level: float = 0.1) -> None:
        super().__init__()
        self.weight, self.level = nn.Parameter(torch.linspace(0.5, 2, 64).view(1, 1, 8, 8)), level

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x * self.weight).mean((2, 3)) + self.level * torch.randn(len(x), 1)


def test_pieces_give_the_same_bits_again_in_whatever_order_and_after_a_stop(tmp_path: Path) -> None:
    wanted = streamed(tmp_path / "a", Noisy(), **OPTIONS)
    xr.testing.assert_identical(streamed(tmp_path / "b", Noisy(), **OPTIONS), wanted)
    for path in pieces(tmp_path / "b")[::2]:
        path.unlink()
    xr.testing.assert_identical(streamed(tmp_path / "b", Noisy(), **OPTIONS), wanted)
    with pytest.raises(Cancelled):
        streamed(tmp_path / "c", Noisy(), **OPTIONS, cancel=lambda: len(pieces(tmp_path / "c")) == 2)
    xr.testing.assert_identical(streamed(tmp_path / "c", Noisy(), **OPTIONS), wanted)
    assert not streamed(tmp_path / "d", Noisy(), **OPTIONS, seed=1).error.equals(wanted.error)


def test_chance_is_averaged_and_said_as_in_one_go(tmp_path: Path) -> None:
    x = images(40)
    ours = streamed(tmp_path / "a", Noisy(), x, **OPTIONS)
    theirs = equivariance_error(Noisy(), x, **OPTIONS)
    assert (ours.attrs["repeats"], theirs.attrs["repeats"]) == (8, 8)
    assert ours.attrs["stochastic"] > 0
    assert set(ours.variables) == set(theirs.variables)
    assert {name for name in ours.attrs if ours.attrs[name] != theirs.attrs[name]} <= {"largest_output"}
    sem = np.hypot(ours.error_sem, theirs.error_sem)
    assert bool((abs(ours.error_mean - theirs.error_mean) <= 4 * sem).all())
    many = streamed(tmp_path / "b", Noisy(), x, **OPTIONS, repeats=128)
    # noise of the mean of R runs falls as 1 / sqrt(R); an invariant element shows nothing else
    falls = float(ours.error_mean[0, 0] / many.error_mean[0, 0])
    assert 2 < falls < 8


def test_pieces_do_not_draw_the_same_numbers(tmp_path: Path, monkeypatch) -> None:
    same = images(1).expand(12, -1, -1, -1)

    def different(folder: str) -> int:
        return len(np.unique(streamed(tmp_path / folder, Noisy(), same, **OPTIONS).error.values[0, 0]))

    assert different("a") == 12
    monkeypatch.setattr(stream, "seeded", lambda question, cell: question)
    assert different("b") == 4  # the broken twin: one seed for all of them


def test_a_model_without_chance_is_run_once_whatever_repeats_says(tmp_path: Path) -> None:
    model = Noisy(0.0)
    one, many = streamed(tmp_path / "a", model, **OPTIONS), streamed(tmp_path / "b", model, **OPTIONS, repeats=5)
    xr.testing.assert_identical(one, many)
    assert one.attrs["repeats"] == 1
    assert np.allclose(one.error, equivariance_error(model, images(), **OPTIONS).error, atol=0, rtol=SPLIT)


class OwnGenerator(Noisy):
    """Draws from a generator that no seed reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x * self.weight).mean((2, 3)) + self.level * torch.randn(len(x), 1, generator=self.generator)


def test_a_generator_of_its_own_is_refused_because_its_pieces_cannot_come_again(tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(ValueError, match="hand it no generator of its own"):
        streamed(tmp_path / "a", OwnGenerator(), **OPTIONS)
    assert not (tmp_path / "a").exists()
    monkeypatch.setattr(stream._Stream, "_follows_the_seed", lambda self: True)
    first = streamed(tmp_path / "b", OwnGenerator(), **OPTIONS)
    pieces(tmp_path / "b")[1].unlink()
    again = streamed(tmp_path / "b", OwnGenerator(), **OPTIONS)
    assert float(abs(again.error - first.error).max()) > BROKEN * float(first.error.mean())

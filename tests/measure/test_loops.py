"""The compiled loops against numpy, and the comparison that uses them against the one that does not."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from tests.tolerances import BROKEN, EXACT, SEPARATION
from workbench.measure import equivariance_error, loops, turning

KINDS = [(np.float32, EXACT[torch.float32]), (np.float64, EXACT[torch.float64])]


def maps(*shape: int, kind: type = np.float64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(kind)


@pytest.fixture(params=[1, 2])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def summed_apart(mine: np.ndarray, wanted: np.ndarray, orders: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """For elements of which every second one is asked, each under the move of its number."""
    out = np.full((len(mine), mine.shape[1], mine.shape[3]), np.nan, mine.dtype)
    some = np.arange(0, len(mine), 2)
    given = mine, wanted, loops.Path.inside(weight, orders), some, some, out
    loops.shared(mine.shape[1], lambda first, last: loops.apart(*given, first, last))
    return out


@pytest.mark.parametrize(("kind", "exact"), KINDS)
@pytest.mark.parametrize(("batch", "pixels", "channels"), [(1, 9, 1), (3, 25, 5), (5, 16, 32)])
def test_differences_are_those_of_numpy(threads, batch, pixels, channels, kind, exact) -> None:
    mine, wanted = maps(3, batch, pixels, channels, kind=kind), maps(batch, pixels, channels, kind=kind, seed=1)
    orders = np.stack([np.random.default_rng(seed).permutation(pixels) for seed in range(3)])
    weight = (np.arange(pixels) % 3 * 0.5).astype(kind)
    found = summed_apart(mine, wanted, orders, weight)
    assert np.isnan(found[1]).all()  # was not asked
    for e in (0, 2):
        right = (weight[:, None] * (mine[e] - wanted[:, orders[e]]).astype(np.float64) ** 2).sum(1)
        assert np.abs(found[e] / right - 1).max() <= exact
        backwards = (weight[:, None] * (mine[e] - wanted[:, np.argsort(orders[e])]) ** 2).sum(1)
        assert np.abs(found[e] / backwards - 1).max() > SEPARATION * exact  # the order's inverse is another one


@pytest.mark.parametrize(("kind", "exact"), KINDS)
@pytest.mark.parametrize(("batch", "pixels", "channels"), [(1, 9, 1), (3, 25, 5), (5, 16, 32)])
def test_round_trips_are_those_of_numpy(threads, batch, pixels, channels, kind, exact) -> None:
    there, back, still = (maps(pixels, batch * channels, kind=kind, seed=seed) for seed in range(3))
    weight = (1 + np.arange(pixels) % 3 * 0.5).astype(kind)
    turned, sums = np.zeros((batch, pixels, channels), kind), np.full((4, batch * channels), np.nan, kind)
    arrays = there, back, still, weight, turned, sums
    loops.shared(batch, lambda first, last: loops.round_trip(*arrays, first, last))
    wide = [array.astype(np.float64) for array in (there, back, still)]
    for row, of in ((0, wide[0] ** 2), (1, (wide[1] - wide[2]) ** 2), (3, wide[0])):
        right = weight @ of
        size = weight @ np.abs(of)
        assert (np.abs(sums[row] - right) / size).max() <= exact
        assert (np.abs(sums[row] - weight[:-1] @ of[:-1]) / size).max() > exact  # the last pixel counts
    assert np.isnan(sums[2]).all()
    assert np.array_equal(turned, there.reshape(pixels, batch, channels).transpose(1, 0, 2))


def test_what_is_not_finite_stays_so() -> None:
    mine, wanted = maps(1, 2, 9, 3), maps(2, 9, 3, seed=1)
    mine[0, 0, 4, 1], mine[0, 1, 4, 2] = np.nan, np.inf
    found = summed_apart(mine, wanted, np.arange(9)[None], np.ones(9))[0]
    assert np.isnan(found[0, 1])
    assert np.isinf(found[1, 2])
    assert np.isfinite(found).sum() == 4


def _that_stays(path: loops.Path) -> loops.Path:
    return path._replace(sources=path.sources[:1].repeat(len(path.sources), 0))


@pytest.mark.parametrize("mask", ["disc", "none"])
@pytest.mark.parametrize("size", [12, 15])
@pytest.mark.parametrize("group", ["SO2", "O2"])
def test_sweeps_agree_with_those_that_are_not_compiled(monkeypatch, threads, group, size, mask) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 3, 3)).double().eval()
    images, used = torch.rand(5, 2, size, size, dtype=torch.float64), []

    def run():
        return equivariance_error(net, images, group, n_elements=14, layers="all", mask=mask)

    original = loops.apart
    monkeypatch.setattr(loops, "apart", lambda *given: used.append(1) or original(*given))
    plain = run()
    assert not used  # too small to be worth it
    monkeypatch.setattr(turning, "_WORTH", 0)
    compiled = run()
    assert used
    for name in ("error", "output_floor", "relative_error", "absolute_error"):
        assert np.allclose(compiled[name], plain[name], rtol=1e-9, atol=EXACT[torch.float64])
    original_path = loops._path
    monkeypatch.setattr(loops, "_path", lambda *given: _that_stays(original_path(*given)))
    assert float(abs(run().error - plain.error).max()) > BROKEN  # quarter turns that move nothing are seen


def test_threads_are_made_anew_in_a_fork() -> None:
    code = (
        "import os, torch; torch.set_num_threads(2); from workbench.measure import loops\n"
        "def work(): done = []; loops.shared(2, lambda a, b: done.append(int(b))); return sorted(done)\n"
        "assert work() == [1, 2]\n"
        "child = os.fork()\n"
        "if not child: os._exit(0 if work() == [1, 2] else 1)\n"
        "raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0

"""The three numbers of a set of kernels: their ends, what they ignore, and twins that they must tell apart."""

import numpy as np
import pytest

from tests.tolerances import AGAIN, AGAIN_SINGLE, EXACT, RANDOM_KERNELS
from workbench.measure import open_dataset, save
from workbench.measure.filter_quality import (
    filter_quality,
    orthogonality,
    random_entropy,
    sparsity,
    variance_entropy,
)

SMALL = max(EXACT.values())


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def numbers(w: np.ndarray) -> list[float]:
    return [sparsity(w), variance_entropy(w.reshape(-1, *w.shape[2:])), orthogonality(w)]


def test_kernels_that_are_all_alike_have_no_entropy_and_one_other_gives_some():
    same = np.broadcast_to(normal(3, 3), (64, 3, 3)).copy()
    assert variance_entropy(same) == 0
    same[::2] += np.eye(3)
    assert variance_entropy(same) == pytest.approx(0, abs=SMALL)  # still one direction
    same[::3] += normal(3, 3, seed=1)
    assert variance_entropy(same) > 0.05


def test_many_random_kernels_reach_the_largest_entropy_and_the_published_fit():
    kernels = normal(20_000, 3, 3)
    assert abs(variance_entropy(kernels) - np.log10(9)) < RANDOM_KERNELS
    assert variance_entropy(kernels) / random_entropy(len(kernels)) >= 0.95
    for count in (64, 256, 4096):
        assert abs(variance_entropy(kernels[:count]) / random_entropy(count) - 1) < 0.05


def test_the_entropy_is_that_of_known_variances():
    flat = np.zeros((4, 9))
    flat[[0, 1], 0], flat[[2, 3], 1] = (2, -2), (1, -1)  # variances 4 to 1 along two taps
    shares = np.array([0.8, 0.2])
    assert variance_entropy(flat.reshape(-1, 3, 3)) == pytest.approx(-(shares * np.log10(shares)).sum(), rel=AGAIN)


def test_dead_kernels_are_counted_by_the_share_of_the_largest_weight():
    w = normal(4, 5, 3, 3)
    w[0, :3] = 0.009 * np.abs(w).max()
    assert sparsity(w) == pytest.approx(3 / 20, rel=AGAIN)
    w[0, 0, 1, 1] = 0.011 * np.abs(w).max()
    assert sparsity(w) == pytest.approx(2 / 20, rel=AGAIN)
    assert sparsity(np.zeros((2, 2, 3, 3))) == 1


def test_orthonormal_filters_give_one_and_parallel_ones_none():
    rows = np.linalg.qr(normal(18, 18))[0]
    assert orthogonality(rows[:6].reshape(6, 2, 3, 3)) == pytest.approx(1, rel=AGAIN)
    assert orthogonality(np.repeat(rows[:1], 6, 0).reshape(6, 2, 3, 3)) == pytest.approx(0, rel=AGAIN)
    assert np.isnan(orthogonality(rows[:1].reshape(1, 2, 3, 3)))


def test_scale_and_order_of_channels_change_nothing_and_the_order_of_taps_in_one_kernel_does():
    w = normal(6, 5, 3, 3)
    w[1, 1] = 0
    found = numbers(w)
    draw = np.random.default_rng(1)
    for other in (7.5 * w, -w, w[draw.permutation(6)], w[:, draw.permutation(5)]):
        assert numbers(other) == pytest.approx(found, rel=AGAIN)
    twin = w.copy()
    twin[0] = np.rot90(twin[0], 1, (-2, -1))
    assert numbers(twin)[1:] != pytest.approx(found[1:], rel=AGAIN_SINGLE)


def test_the_baseline_is_made_of_random_weights_on_the_same_taps(tmp_path):
    w = normal(12, 8, 5, 5)
    disc = np.hypot(*np.mgrid[-2:3, -2:3]) <= 2.2
    ds = filter_quality({"square": (w, w), "disc": (w * disc, w * disc)})
    assert open_dataset(save(ds, tmp_path / "quality.nc")).identical(ds)
    assert np.allclose(ds["entropy"][:, 0], ds["entropy_random"], rtol=0, atol=RANDOM_KERNELS)
    assert float(ds["entropy"][1, 0]) < np.log10(disc.sum()) < float(ds["entropy"][0, 0])
    assert np.allclose(ds["orthogonality"][:, 0], ds["orthogonality_random"], rtol=0, atol=0.02)
    assert bool(np.isnan(ds["entropy_ratio"]).all())
    assert filter_quality({"square": (w, w)}).identical(filter_quality({"square": (w, w)}))


def test_few_patterns_and_dead_kernels_stand_out_from_the_baseline():
    """The twin of a random layer: made of two patterns, a third of its kernels dead."""
    w = normal(32, 32, 2) @ normal(2, 9, seed=1)
    w[:, ::3] = 0
    ds = filter_quality({"layer": (w.reshape(32, 32, 3, 3),) * 2})
    assert float(ds["entropy"][0, 0]) < 0.5 * float(ds["entropy_random"][0])
    assert float(ds["sparsity"][0, 0]) > 0.3 > float(ds["sparsity_random"][0])
    assert float(ds["entropy_ratio"][0]) < 0.5


def test_bad_input_gets_a_sentence():
    with pytest.raises(ValueError, match=r"weights of shape \(3, 3\) were given; expected \(C_out, C_in, k, k\)"):
        sparsity(np.ones((3, 3)))

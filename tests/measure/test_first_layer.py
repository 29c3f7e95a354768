"""The energy of a first layer among patches: the theory against gradient descent, and what it must not depend on."""

import numpy as np
import pytest
import torch

from tests.tolerances import AGAIN, LINEAR_ENERGY
from workbench.measure import open_dataset, save
from workbench.measure.first_layer import filter_energy, first_layer, fitted_energy, linear_energy, patch_components

VARIANCES = np.geomspace(4, 0.03, 8)


def trained(rate: float, steps: int, filters: int = 1500) -> np.ndarray:
    """Gradient descent from zero on linear regression to targets that are unrelated to the inputs: ``(filters, 8)``."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(20_000, 8)) * np.sqrt(VARIANCES)
    covariance = x.T @ x / len(x)
    aims = draw.normal(size=(filters, 8)) @ np.linalg.cholesky(covariance).T  # c = E[y x] has covariance C / N
    w = np.zeros((filters, 8))
    for _ in range(steps):
        w += rate * (aims - w @ covariance)
    return w


@pytest.mark.parametrize("steps", [5, 50, 2000])
def test_gradient_descent_on_random_targets_has_the_predicted_profile(steps):
    energy = filter_energy(trained(0.05, steps), np.eye(8))
    ratio = energy / linear_energy(VARIANCES, 0.05, steps)
    assert np.abs(ratio / ratio.mean() - 1).max() < LINEAR_ENERGY
    wrong = energy / linear_energy(VARIANCES, 0.05, 20 * steps if steps < 2000 else 5)  # the twin: another time
    assert np.abs(wrong / wrong.mean() - 1).max() > 2 * LINEAR_ENERGY


def test_many_steps_whiten_and_few_follow_the_data():
    assert np.allclose(linear_energy(VARIANCES, 0.01, 10**6) * np.sqrt(VARIANCES), 1, rtol=AGAIN, atol=AGAIN)
    early = linear_energy(VARIANCES, 1e-9, 1) / np.sqrt(VARIANCES)
    assert np.allclose(early, early[0], rtol=AGAIN, atol=AGAIN)


def test_the_fit_finds_the_time_that_a_profile_was_made_with():
    made = 3.0 * linear_energy(VARIANCES, 1e-4, 20_000)
    curve, time, left = fitted_energy(made, VARIANCES)
    assert time == pytest.approx(2.0, rel=0.05)
    assert left < 0.01
    assert np.allclose(curve, made, atol=0, rtol=0.02)


def test_turning_the_bank_changes_nothing_and_dropping_filters_does():
    w = np.random.default_rng(0).normal(size=(9, 8))
    components = np.linalg.qr(np.random.default_rng(1).normal(size=(8, 8)))[0]
    turned = np.linalg.qr(np.random.default_rng(2).normal(size=(9, 9)))[0] @ w
    assert np.allclose(filter_energy(turned, components), filter_energy(w, components), rtol=AGAIN, atol=AGAIN)
    assert not np.allclose(filter_energy(w[:4], components), filter_energy(w, components), atol=0, rtol=0.05)


def test_components_are_those_of_the_patches():
    torch.manual_seed(0)
    images = torch.randn(64, 2, 12, 12)
    images[:, 1] *= 3
    variances, components = patch_components(images, 3)
    assert np.allclose(components @ components.T, np.eye(18), rtol=AGAIN, atol=AGAIN)
    assert variances[:9].mean() == pytest.approx(9, rel=0.05)
    assert variances[9:].mean() == pytest.approx(1, rel=0.05)
    assert np.abs(components[:9, :9]).max() < 0.1  # the strong half lies in the second channel
    taps = np.eye(3)
    assert patch_components(images, 3, taps)[0].shape == (6,)


def test_white_noise_into_random_filters_is_flat_and_smooth_images_are_not(tmp_path):
    torch.manual_seed(0)
    w = np.random.default_rng(0).normal(size=(4000, 1, 3, 3))
    noise = torch.randn(64, 1, 12, 12)
    ds = first_layer(w, noise)
    assert open_dataset(save(ds, tmp_path / "first.nc")).identical(ds)
    assert np.allclose(ds["energy"] / ds["energy"].mean(), 1, rtol=0, atol=0.1)
    smooth = torch.nn.functional.avg_pool2d(noise, 5, 1, 2)
    assert float(first_layer(w, smooth)["variance"][0]) > 20 * float(first_layer(w, smooth)["variance"][-1])
    whitening = np.linalg.inv(np.linalg.cholesky(_covariance(smooth)))
    assert float(first_layer(whitening.reshape(9, 1, 3, 3), smooth)["left"]) < 0.05
    assert float(first_layer(w, smooth)["left"]) > 0.1


def _covariance(images: torch.Tensor) -> np.ndarray:
    variances, components = patch_components(images, 3)
    return components.T @ np.diag(variances) @ components


def test_what_cannot_be_measured_is_refused_with_a_sentence():
    with pytest.raises(ValueError, match="of as many channels"):
        first_layer(np.ones((2, 3, 3, 3)), torch.zeros(1, 1, 8, 8))
    with pytest.raises(ValueError, match="sides of at least 9 pixels"):
        patch_components(torch.zeros(1, 1, 8, 8), 9)

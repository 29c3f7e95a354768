"""The colours are readable on both pages and for every kind of colour vision."""

import itertools

import numpy as np
import pytest

from workbench.views import palette

# Machado, Oliveira & Fernandes 2009, severity 1.0, on linear RGB.
VISION = {
    "usual": np.eye(3),
    "protan": np.array([[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]]),
    "deutan": np.array([[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]]),
    "tritan": np.array([[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]]),
}
GRAPHICS_CONTRAST = 3.0  # WCAG 2.1, 1.4.11
APART = 15.0  # CIELAB distance; 2.3 is just noticeable


def _linear(colour: str) -> np.ndarray:
    value = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _contrast(first: str, second: str) -> float:
    low, high = sorted(float(_linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (first, second))
    return (high + 0.05) / (low + 0.05)


def _lab(linear: np.ndarray) -> np.ndarray:
    matrix = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.119192, 0.9503041]]
    xyz = np.asarray(matrix) @ np.clip(linear, 0, 1) / [0.95047, 1.0, 1.08883]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def _distance(first: str, second: str, vision: str) -> float:
    seen = [_lab(VISION[vision] @ _linear(colour)) for colour in (first, second)]
    return float(np.linalg.norm(seen[0] - seen[1]))


@pytest.mark.parametrize("page", palette.PAGES)
@pytest.mark.parametrize("colour", [*palette.SERIES, palette.NEUTRAL, palette.TEXT])
def test_every_line_colour_reads_on_light_and_dark(colour, page):
    assert _contrast(colour, page) >= GRAPHICS_CONTRAST


@pytest.mark.parametrize("vision", VISION)
def test_series_colours_stay_apart_for_every_colour_vision(vision):
    for first, second in itertools.combinations(palette.SERIES, 2):
        assert _distance(first, second, vision) >= APART, (first, second)


def test_the_contrast_check_catches_a_red_green_pair():
    assert _distance("#b0622a", "#7d7a1a", "deutan") < APART


@pytest.mark.parametrize("vision", VISION)
def test_the_two_signs_of_a_kernel_are_told_apart_and_zero_is_the_page(vision):
    negative, positive = palette.DIVERGING[0][1], palette.DIVERGING[-1][1]
    assert _distance(negative, positive, vision) >= 3 * APART
    assert all(str(colour).endswith(",0)") for at, colour in palette.DIVERGING if 0.4 < at < 0.6)
    assert [at for at, _ in palette.DIVERGING] == [1 - at for at, _ in reversed(palette.DIVERGING)]


def test_the_cyclic_scale_closes_and_keeps_its_lightness():
    colours = [colour for _, colour in palette.CYCLIC]
    assert colours[0] == colours[-1]
    lightness = [_lab(_linear(colour))[0] for colour in colours]
    assert max(lightness) - min(lightness) < 15


@pytest.mark.parametrize("vision", VISION)
def test_the_sequential_scale_grows_lighter_step_by_step(vision):
    lightness = [_lab(VISION[vision] @ _linear(colour))[0] for _, colour in palette.SEQUENTIAL]
    assert np.all(np.diff(lightness) > 8)


def test_more_series_than_colours_differ_by_dash():
    lines = [tuple(palette.series(index).values()) for index in range(12)]
    assert len(set(lines)) == 12

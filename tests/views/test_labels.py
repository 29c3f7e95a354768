"""Names of points lie on no mark and on no other name, at any width; places on a line are moved apart in order."""

import numpy as np
import pytest

from tests.tolerances import AGAIN
from workbench.views.labels import LETTER, LINE, MARK, apart, beside_points

WIDTHS, HEIGHT = (300.0, 420.0, 600.0), 360.0
CROWDED = np.array([[0.2, 0.9], [0.2, 0.9], [0.22, 0.88], [0.2, 0.93], [0.8, 0.1], [0.81, 0.1], [0.99, 0.99]])
WORDS = ["plain", "residual pathway", "canonical pose", "relaxed group", "strict", "partial", "learned augmentation"]


def boxes(points: np.ndarray, offsets: list[tuple[float, float]], width: float) -> np.ndarray:
    """Left, bottom, right, top of each name, written out from where a picture puts it."""
    found = []
    for (x, y), (right, up), word in zip(points * [width, HEIGHT], offsets, WORDS, strict=True):
        wide = LETTER * len(word)
        left = x + right - (0 if right > 1 else wide if right < -1 else wide / 2)
        bottom = y + up - (LINE / 2 if abs(right) > 1 else 0 if up > 0 else LINE)
        found.append([left, bottom, left + wide, bottom + LINE])
    return np.array(found)


def overlaps(rows: np.ndarray) -> int:
    return sum(
        bool((rows[a, :2] < rows[b, 2:]).all() and (rows[b, :2] < rows[a, 2:]).all())
        for a in range(len(rows))
        for b in range(a)
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_no_name_lies_on_another_or_on_a_mark_or_beyond_the_edge(width):
    offsets = beside_points(CROWDED, CROWDED, WORDS, WIDTHS, HEIGHT)
    rows = boxes(CROWDED, offsets, width)
    assert overlaps(rows) == 0
    marks = CROWDED * [width, HEIGHT]
    assert not any(((mark > row[:2] - MARK) & (mark < row[2:] + MARK)).all() for row in rows for mark in marks)
    assert (rows[:, :2] >= 0).all()
    assert (rows[:, 2:] <= [width, HEIGHT]).all()


def test_the_check_catches_names_that_all_stand_to_the_right():
    assert overlaps(boxes(CROWDED, [(10.0, 0.0)] * len(WORDS), WIDTHS[0])) > 0


def test_a_name_alone_stands_right_beside_its_point():
    assert beside_points(np.array([[0.5, 0.5]]), np.empty((0, 2)), ["a"], WIDTHS, HEIGHT) == [(10.0, 0.0)]
    assert beside_points(np.empty((0, 2)), np.empty((0, 2)), [], WIDTHS, HEIGHT) == []


def test_places_are_moved_apart_and_stay_in_order():
    places = np.array([0.9, 0.1, 0.52, 0.5, 0.51])
    moved = apart(places, 0.1)
    assert (np.argsort(moved) == np.argsort(places)).all()
    assert (np.diff(np.sort(moved)) >= 0.1 - 1e-9).all()
    assert moved[[0, 1]] == pytest.approx(places[[0, 1]], rel=AGAIN), "what is alone stays"
    assert moved[[2, 3, 4]].mean() == pytest.approx(places[[2, 3, 4]].mean(), rel=AGAIN)
    assert apart(np.empty(0), 0.1).size == 0

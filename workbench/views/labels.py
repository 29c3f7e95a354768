"""Where names of points go so that none lies on another name or on a mark, at every width that a panel may have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LETTER, LINE = 6.3, 14.0
"""Pixels of a letter and of a line at font size 11."""
MARK = 7.0  # half a mark, in pixels
_RADII = (10.0, 18.0, 28.0, 40.0, 54.0, 70.0, 88.0)
_DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (0.8, 0.7), (0.8, -0.7), (-0.8, 0.7), (-0.8, -0.7))


def beside_points(
    points: np.ndarray, marks: np.ndarray, words: Sequence[str], widths: Sequence[float], height: float
) -> list[tuple[float, float]]:
    """Offset of each name from its point in pixels, to the right and upwards; the nearest free place.

    Args:
        points: ``(N, 2)`` in shares of the panel, x to the right and y upwards.
        marks: ``(M, 2)`` of everything that must stay free.
        words: N names.
        widths: pixels; the same offsets serve all of them.
        height: pixels.

    >>> beside_points(np.array([[0.5, 0.5]]), np.empty((0, 2)), ["a"], (400.0,), 300.0)
    [(10.0, 0.0)]
    """
    scales = [np.array([width, height]) for width in widths]
    taken: list[list[np.ndarray]] = [[] for _ in widths]
    found = []
    for point, word in zip(points, words, strict=True):
        size = np.array([LETTER * len(word), LINE])
        costs = {}
        for radius in _RADII:
            for direction in _DIRECTIONS:
                offset = radius * np.array(direction)
                boxes = [_box(point * scale + offset, size, direction) for scale in scales]
                each = zip(boxes, scales, taken, strict=True)
                costs[tuple(offset)] = sum(_hits(box, scale, marks, other) for box, scale, other in each)
                if not costs[tuple(offset)]:
                    break
            if not min(costs.values()):
                break
        best = min(costs, key=lambda offset: costs[offset])
        place = next(d for d in _DIRECTIONS for r in _RADII if tuple(r * np.array(d)) == best)
        for scale, boxes in zip(scales, taken, strict=True):
            boxes.append(_box(point * scale + np.array(best), size, place))
        found.append((float(best[0]), float(best[1])))
    return found


def apart(places: np.ndarray, least: float) -> np.ndarray:
    """Places on a line moved so that neighbours are at least so far apart and stay in order, near where they were.

    >>> apart(np.array([0.5, 0.5]), 0.2).round(6).tolist()
    [0.4, 0.6]
    """
    order = np.argsort(places, kind="stable")
    moved = places[order].astype(float)
    groups = [[place] for place in moved]
    at = 0
    while at + 1 < len(groups):  # groups that meet become one, centred on the mean of its places
        one, two = groups[at], groups[at + 1]
        if np.mean(two) - np.mean(one) < least * (len(one) + len(two)) / 2 - 1e-12:
            groups[at : at + 2] = [one + two]
            at = max(at - 1, 0)
        else:
            at += 1
    spread = [np.mean(g) + least * (np.arange(len(g)) - (len(g) - 1) / 2) for g in groups]
    result = np.empty_like(moved)
    result[order] = np.concatenate(spread) if spread else moved
    return result


def _box(place: np.ndarray, size: np.ndarray, direction: tuple[float, float]) -> np.ndarray:
    """Left, bottom, right, top of a name that starts, ends or is centred at a place."""
    across = np.sign(direction[0])
    left = place[0] - size[0] * (1 - across) / 2
    bottom = place[1] - (size[1] / 2 if across else (0 if direction[1] > 0 else size[1]))
    return np.array([left, bottom, left + size[0], bottom + size[1]])


def _hits(box: np.ndarray, scale: np.ndarray, marks: np.ndarray, taken: list[np.ndarray]) -> float:
    """How much is wrong with a place: marks covered, names met, and the edge crossed."""
    at = marks * scale
    covered = (at > box[:2] - MARK).all(-1) & (at < box[2:] + MARK).all(-1)
    met = sum(bool((box[:2] < other[2:]).all() and (other[:2] < box[2:]).all()) for other in taken)
    outside = max(0.0, -box[0], box[2] - scale[0], -box[1], box[3] - scale[1])
    return float(covered.sum()) + 2.0 * met + 0.2 * outside

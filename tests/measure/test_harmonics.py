"""A turned harmonic: matrices of known rotations, lengths by normalization, two ways that agree, and sentences."""

import math

import numpy as np
import pytest
import torch
from e3nn import o3

from tests.tolerances import BROKEN, SPACE
from workbench.e3.irreps import default_dtype
from workbench.groups import O3, SO3
from workbench.measure.harmonics import EVERY, FEATURES, HIGHEST, MISTAKES, turned_harmonic

SMALL = SPACE[torch.float64]
GRID = (7, 9)
STILL = (1.0, 0.0, 0.0, 0.0, 1.0)


def about(axis: tuple[float, float, float], angle_deg: float, parity: float = 1.0) -> torch.Tensor:
    turn = SO3().exp(torch.tensor(axis, dtype=torch.float64) * math.radians(angle_deg))
    return torch.cat([turn, turn.new_tensor([parity])])


def test_the_matrix_of_degree_one_is_that_of_the_rotation_itself() -> None:
    element = O3().sample(1, torch.Generator().manual_seed(3), torch.float64)[0]
    ds = turned_harmonic(1, 0, element)
    np.testing.assert_allclose(ds["matrix"], O3().matrix(element), rtol=0, atol=SMALL)


def test_about_the_polar_axis_orders_mix_with_their_opposites_alone() -> None:
    matrix = turned_harmonic(3, 1, about((0, 1, 0), 35))["matrix"].values
    m = np.arange(-3, 4)
    allowed = np.abs(m)[:, None] == np.abs(m)[None]
    assert np.abs(matrix[~allowed]).max() <= SMALL
    np.testing.assert_allclose(np.diag(matrix), np.cos(np.radians(35) * m), rtol=0, atol=SMALL)
    assert np.abs(turned_harmonic(3, 1, about((1, 0, 0), 35))["matrix"].values[~allowed]).max() > 0.1


@pytest.mark.parametrize("degree", range(7))
def test_a_point_reflection_gives_the_sign_of_the_degree(degree: int) -> None:
    ds = turned_harmonic(degree, 0, (1.0, 0.0, 0.0, 0.0, -1.0))
    np.testing.assert_allclose(ds["matrix"], (-1) ** degree * np.eye(2 * degree + 1), rtol=0, atol=SMALL)
    np.testing.assert_allclose(ds["value"][1], (-1) ** degree * ds["value"][0], rtol=0, atol=SMALL)


@pytest.mark.parametrize(
    ("normalization", "expected"),
    [("component", [1, 3, 5, 7, 9, 11, 13]), ("norm", [1] * 7),
     ("integral", [(2 * k + 1) / 4 / math.pi for k in range(7)])],
)  # fmt: skip
def test_squared_lengths_are_those_of_the_normalization(normalization: str, expected: list) -> None:
    np.testing.assert_allclose(
        turned_harmonic(0, 0, STILL, normalization)["squared_length"], expected, atol=0, rtol=SMALL
    )


def test_the_drawn_sphere_closes_and_its_directions_have_y_as_the_polar_axis() -> None:
    ds = turned_harmonic(2, 1, about((1, 1, 0), 50), grid=(7, 12))
    direction = ds["direction"].values
    assert direction.shape == (7, 13, 3)
    np.testing.assert_allclose(direction[0], np.tile([0, 1, 0], (13, 1)), rtol=0, atol=SMALL)
    np.testing.assert_allclose(np.linalg.norm(direction, axis=-1), 1, rtol=0, atol=SMALL)
    np.testing.assert_allclose(ds["value"][:, :, 0], ds["value"][:, :, -1], rtol=0, atol=SMALL)
    xy = math.sqrt(15) * direction[..., 0] * direction[..., 1]  # component normalization, m = -1 of degree 2
    np.testing.assert_allclose(turned_harmonic(2, -1, STILL, grid=(7, 12))["value"][0], xy, rtol=0, atol=SMALL)


def test_the_residual_is_the_difference_to_the_moved_function() -> None:
    element = about((0.3, 0.5, -0.2), 100, -1.0)
    ds = turned_harmonic(3, 2, element, mistake="parity", grid=(10, 15))
    assert float(ds["residual"]) == pytest.approx(
        2 * float(np.abs(ds["value"][1, ::EVERY, ::EVERY]).max() / np.abs(ds["value"][0]).max()), rel=1e-9
    )


def blocks(degrees: range, element: torch.Tensor) -> list[np.ndarray]:
    """The referee: e3nn's own matrices, one degree after the other."""
    with default_dtype(torch.float64):
        matrix = O3().matrix(element)
        return [o3.Irreps([(1, (k, (-1) ** k))]).D_from_matrix(matrix).numpy() for k in degrees]


def placed(parts: list[np.ndarray]) -> np.ndarray:
    """Blocks on the diagonal."""
    whole, at = np.zeros((sum(map(len, parts)),) * 2), 0
    for part in parts:
        whole[at : at + len(part), at : at + len(part)] = part
        at += len(part)
    return whole


@pytest.mark.parametrize("parity", [1.0, -1.0])
@pytest.mark.parametrize("degree", range(HIGHEST + 1))
def test_the_matrix_of_a_feature_is_one_block_for_each_degree(degree: int, parity: float) -> None:
    element = about((0.3, 0.5, -0.2), 100, parity)
    parts = blocks(range(degree + 1), element)
    found = turned_harmonic(degree, 0, element, grid=GRID, feature="all degrees")["matrix"].values
    np.testing.assert_allclose(found, placed(parts), rtol=0, atol=SMALL)
    one = turned_harmonic(degree, 0, element, grid=GRID, feature="one degree")["matrix"].values
    np.testing.assert_allclose(one, parts[-1], rtol=0, atol=SMALL)
    if degree:
        for twin in (placed([part.T for part in parts]), placed(parts[::-1])):
            assert np.abs(found - twin).max() > BROKEN, "the twins: transposed blocks, exchanged blocks"


@pytest.mark.parametrize("normalization", ["component", "integral"])
@pytest.mark.parametrize(("feature", "lowest"), [("one degree", 4), ("all degrees", 0)])
def test_the_turned_surface_is_the_function_at_the_points_it_came_from(
    feature: str, lowest: int, normalization: str
) -> None:
    element = about((0.3, 0.5, -0.2), 100, -1.0)
    ds = turned_harmonic(4, 0, element, normalization, grid=GRID, feature=feature, draw=3)
    a, back = ds["coefficient"].values[0], O3().matrix(element).numpy().T
    parts = blocks(range(lowest, 5), element)
    after = {"D(g)": placed(parts) @ a, "transposed": placed([part.T for part in parts]) @ a}
    if feature == "all degrees":
        after["exchanged"] = placed(parts[::-1]) @ a
    gap = dict.fromkeys(after, 0.0)
    for row, column in np.ndindex(*ds["direction"].shape[:2]):
        here = ds["direction"].values[row, column]
        there = harmonics(lowest, 4, back @ here, normalization)
        expected = sum(one * y for one, y in zip(a, there, strict=True))  # f(g^-1 p), number by number
        assert abs(float(ds["value"][1, row, column]) - expected) <= SMALL
        for name, numbers in after.items():
            gap[name] = max(gap[name], abs(numbers @ harmonics(lowest, 4, here, normalization) - expected))
    assert gap.pop("D(g)") <= SMALL
    assert min(gap.values()) > BROKEN, "the twins"
    assert float(ds["residual"]) <= SMALL


def harmonics(lowest: int, highest: int, point: np.ndarray, normalization: str) -> np.ndarray:
    where = torch.as_tensor(point)
    found = [o3.spherical_harmonics(k, where, True, normalization).numpy() for k in range(lowest, highest + 1)]
    return np.concatenate(found)


@pytest.mark.parametrize("feature", FEATURES)
def test_no_rotation_changes_the_length_of_the_numbers_of_a_degree_and_exchanged_blocks_do(feature: str) -> None:
    element = about((1, 2, -1), 70, -1.0)
    for mistake in ("none", "transposed", "polar axis", "parity"):
        ds = turned_harmonic(3, 1, element, mistake=mistake, grid=GRID, feature=feature)
        before, after = ds["feature_length"].transpose("picture", "degree").values
        np.testing.assert_allclose(after, before, rtol=0, atol=SMALL)
        assert before.sum() == pytest.approx(1, abs=SMALL)
        assert (before > 0).tolist() == [k == 3 or (feature == "all degrees" and k < 3) for k in range(7)]
        slow = [sum(float(one) ** 2 for one in ds["coefficient"][0, k * k : (k + 1) ** 2]) for k in range(4)]
        if feature == "all degrees":
            np.testing.assert_allclose(before[:4], slow, rtol=0, atol=SMALL)
    before, after = turned_harmonic(3, 1, element, mistake="block order", grid=GRID, feature=feature)[
        "feature_length"
    ].values
    assert (np.abs(after - before).max() > BROKEN) == (feature == "all degrees")


@pytest.mark.parametrize("mistake", ["transposed", "polar axis", "parity", "block order"])
def test_each_mistake_leaves_something_of_a_feature_of_several_degrees(mistake: str) -> None:
    ds = turned_harmonic(3, 0, about((1, 2, -1), 70, -1.0), mistake=mistake, feature="all degrees", grid=GRID)
    assert float(ds["residual"]) > BROKEN
    assert ds["matrix"].attrs["long_name"] == f"D(g), {MISTAKES[mistake]}"


def test_numbers_are_drawn_once_and_rows_say_what_they_are() -> None:
    first, again, other = (
        turned_harmonic(2, 0, STILL, grid=GRID, feature="all degrees", draw=draw)["coefficient"].values[0]
        for draw in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert np.abs(first - other).max() > BROKEN
    ds = turned_harmonic(2, 0, STILL, grid=GRID, feature="all degrees")
    assert ds["row"].values.tolist()[:5] == ["0, 0", "1, -1", "1, 0", "1, 1", "2, -2"]
    one = turned_harmonic(2, 0, STILL, grid=GRID, feature="one degree")["coefficient"].values[0]
    np.testing.assert_allclose(one, first[4:] / np.linalg.norm(first[4:]), rtol=0, atol=SMALL)


BAD = [
    ((7, 0, STILL), "l from 0 to 6"), ((2, 3, STILL), "-l to l"), ((2.0, 0, STILL), "whole numbers"),
    ((True, 0, STILL), "whole numbers"), ((1, 0, (2.0, 0, 0, 0, 1)), r"one of O\(3\)"),
    ((1, 0, (1.0, 0, 0, 0, 0.5)), r"one of O\(3\)"), ((1, 0, (math.nan, 0, 0, 0, 1)), r"one of O\(3\)"),
    ((1, 0, STILL, "area"), "component, norm"), ((1, 0, STILL, "norm", "sign"), "expected one of none"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "sentence"), BAD)
def test_what_cannot_be_gets_a_sentence(given: tuple, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        turned_harmonic(*given)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"feature": "two"}, "feature 'two' was given; expected one of one"), ({"draw": 0}, "draw 0 was given"),
        ({"draw": True}, "draw True was given"), ({"draw": 10**30}, "expected a whole number from 1"),
    ],
)  # fmt: skip
def test_another_feature_or_draw_gets_a_sentence(given: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        turned_harmonic(2, 0, STILL, **given)

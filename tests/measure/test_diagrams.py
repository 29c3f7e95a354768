"""Sums of diagrams: the matrix against contractions, the residual against loops, and maps that do not commute."""

import numpy as np
import pytest
import torch

from tests.tolerances import BROKEN, SEPARATION, SPACE
from workbench.e3.diagrams import apply_diagram, diagrams, members
from workbench.measure.diagrams import MEMBERS, commutation, diagram_dataset

SMALL = SPACE[torch.float64]
CASES = [
    ("O", 3, 2, 2),
    ("O", 2, 3, 3),
    ("SO", 3, 2, 3),
    ("SO", 2, 2, 2),
    ("Sp", 4, 3, 1),
    ("S", 4, 2, 2),
    ("S", 3, 0, 2),
]
MIXED = {"coefficient": -0.7, "others": 1.3}


def slow_residual(matrix: np.ndarray, g: np.ndarray, lower: int, upper: int) -> float:
    """The referee: every basis tensor is moved axis by axis, number by number."""
    n, gap, size = len(g), 0.0, 0.0
    below, above = list(np.ndindex(*(n,) * lower)), list(np.ndindex(*(n,) * upper))
    for j, given in enumerate(below):
        for i, result in enumerate(above):
            first = sum(
                matrix[i, k] * np.prod([g[a, b] for a, b in zip(moved, given, strict=True)])
                for k, moved in enumerate(below)
            )
            after = sum(
                np.prod([g[a, b] for a, b in zip(result, there, strict=True)]) * matrix[k, j]
                for k, there in enumerate(above)
            )
            gap, size = gap + (first - after) ** 2, size + after**2
    return float(np.sqrt(gap / size))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("weights", [MIXED, {"coefficient": 2.0, "others": 0.1}, {"coefficient": 0.0, "others": -2.0}])
def test_a_sum_with_any_coefficients_commutes_and_with_one_entry_changed_it_does_not(case, weights):
    residual = diagram_dataset(*case, 2, **weights)["residual"]
    assert float(residual.sel(map="as shown").max()) <= SMALL
    assert float(residual.sel(map="one entry changed").max()) > BROKEN


@pytest.mark.parametrize("case", [("O", 3, 1, 2), ("SO", 2, 2, 2), ("Sp", 2, 2, 1), ("S", 3, 2, 1)])
def test_the_residual_is_that_of_a_slow_loop(case):
    group, n, lower, upper = case
    matrix = np.random.default_rng(0).normal(size=(n**upper, n**lower))
    drawn = members(group, n, 3)
    expected = [slow_residual(matrix, g.numpy(), lower, upper) for g in drawn]
    found = commutation(torch.from_numpy(matrix), drawn, lower, upper)
    np.testing.assert_allclose(found, expected, rtol=SMALL, atol=0)
    twin = commutation(torch.from_numpy(matrix).flip(0), drawn, lower, upper)
    assert np.abs(twin.numpy() - expected).max() > SEPARATION * SMALL, "the twin: rows in reverse order"


@pytest.mark.parametrize("case", CASES)
def test_the_matrix_is_the_sum_of_contractions_times_their_coefficients(case):
    _, n, lower, upper = case
    ds = diagram_dataset(*case, 2, **MIXED)
    basis = torch.eye(n**lower, dtype=torch.float64).view(-1, *(n,) * lower)
    parts = [apply_diagram(basis, each, *case).reshape(n**lower, n**upper).T.numpy() for each in diagrams(*case)]
    expected = sum(float(a) * part for a, part in zip(ds["coefficient"], parts, strict=True))
    np.testing.assert_allclose(ds["matrix"], expected, rtol=0, atol=SMALL)
    assert float(ds["coefficient"][1]) == MIXED["coefficient"]
    assert len(set(ds["coefficient"].values.tolist())) == len(parts), "each has a number of its own"
    exchanged = sum(float(a) * part for a, part in zip(ds["coefficient"][::-1], parts, strict=True))
    assert np.abs(ds["matrix"] - exchanged).max() > BROKEN, "the twin: coefficients of other diagrams"


def test_a_map_of_a_smaller_group_does_not_commute_with_the_larger_one():
    for case, larger in ((("SO", 3, 2, 1), "O"), (("Sp", 4, 2, 0), "O"), (("S", 3, 2, 1), "O"), (("O", 4, 2, 2), "Sp")):
        matrix = torch.from_numpy(diagram_dataset(*case, 1)["matrix"].values.copy())
        assert float(commutation(matrix, members(case[0], case[1], 4), *case[2:]).max()) <= SMALL
        assert float(commutation(matrix, members(larger, case[1], 4), *case[2:]).max()) > BROKEN


def test_broken_gives_the_matrix_with_its_first_entry_changed_and_the_same_residuals():
    whole, broken = (diagram_dataset("O", 3, 2, 2, 1, broken=broken, **MIXED) for broken in (False, True))
    gap = broken["matrix"] - whole["matrix"]
    assert np.argwhere(gap.values != 0).tolist() == [[0, 0]]
    assert float(gap[0, 0]) == pytest.approx(float(np.abs(whole["matrix"]).max()), rel=SMALL)
    assert np.array_equal(whole["residual"], broken["residual"])
    found = commutation(torch.from_numpy(broken["matrix"].values.copy()), members("O", 3, MEMBERS), 2, 2)
    np.testing.assert_allclose(found, whole["residual"][1], rtol=SMALL, atol=0)


def test_the_map_that_is_zero_commutes_and_a_single_number_has_nothing_to_break():
    none = diagram_dataset("O", 3, 1, 2, 1)
    assert none.sizes["diagram"] == 0
    assert not none["matrix"].any()
    assert none["residual"].max("element").values.tolist()[0] == 0
    assert float(none["residual"][1].max()) > BROKEN
    assert float(diagram_dataset("O", 3, 2, 2, 1, coefficient=0.0)["residual"][0].max()) == 0
    assert float(diagram_dataset("O", 3, 0, 0, 1)["residual"].max()) == 0


def test_products_are_those_of_the_diagrams_that_count():
    one, all_three = (diagram_dataset("O", 3, 2, 2, 1, others=others) for others in (0.0, 1.0))
    assert int(one["products"]) == 9
    assert int(all_three["products"]) == 27
    assert one["matrix"].attrs["long_name"] == "Matrix of this diagram"
    assert all_three["matrix"].attrs["long_name"] == "Matrix of the sum"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"which": 0}, "which = 0 was given"), ({"which": 1.5}, "which = 1.5 was given"),
        ({"coefficient": float("nan")}, "coefficient = nan was given; expected a finite number"),
        ({"others": "a"}, "others = 'a' was given"), ({"others": True}, "others = True was given"),
        ({"group": "U"}, "group = 'U' was given"), ({"n": 3, "group": "Sp"}, "expected an even n"),
    ],
)  # fmt: skip
def test_bad_input_gets_a_sentence(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        diagram_dataset(**{"group": "O", "n": 3, "lower": 1, "upper": 1, "which": 1, **given})


def test_a_matrix_of_another_shape_gets_a_sentence():
    with pytest.raises(ValueError, match=r"shape \(3, 3\) was given; expected \(n\^l, n\^k\) = \(3, 9\)"):
        commutation(torch.zeros(3, 3), members("O", 3, 2), 2, 1)

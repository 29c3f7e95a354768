"""The whole matrix of a linear layer: what commutes with shifts, what ignores them, what does neither."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.tolerances import AGAIN, BROKEN, DIAL_SATURATED, EXACT
from workbench.actions import named_mask, transform_image
from workbench.groups import SO2
from workbench.kernels import RelaxedKernels
from workbench.layers import RelaxedConv2d
from workbench.measure import validate
from workbench.measure.relaxed import (
    corner,
    drift,
    filter_atlas,
    operator_matrix,
    operator_symmetry,
    orientation_filters,
    oriented,
    relaxed_errors,
    relaxed_matrix,
)

SIZE = (4, 5)
PLACES = 20
DOUBLE = torch.zeros(1, dtype=torch.float64)


def circular(x: torch.Tensor) -> torch.Tensor:
    weight = torch.arange(9, dtype=x.dtype).view(1, 1, 3, 3)
    return functional.conv2d(functional.pad(x, (1, 1, 1, 1), mode="circular"), weight)


def test_the_matrix_is_the_layer():
    x = torch.randn(3, 1, *SIZE).double()
    matrix = operator_matrix(lambda z: circular(z) + 7, SIZE, DOUBLE)
    assert torch.allclose((matrix @ x.flatten(1).T).T.view_as(x), circular(x), rtol=0, atol=EXACT[torch.float64] * 100)


def test_a_convolution_commutes_a_sum_ignores_and_a_random_matrix_does_neither():
    convolution = operator_symmetry(operator_matrix(circular, SIZE, DOUBLE), SIZE)
    assert convolution["equivariance_error"] <= EXACT[torch.float64] < BROKEN < convolution["invariance_error"]
    total = operator_symmetry(operator_matrix(lambda x: x.sum((2, 3), True).expand_as(x), SIZE, DOUBLE), SIZE)
    assert total == {"equivariance_error": 0.0, "invariance_error": 0.0, "rank": 1.0}
    torch.manual_seed(1)
    free = [operator_symmetry(torch.randn(PLACES, PLACES).double(), SIZE) for _ in range(8)]
    assert {one["rank"] for one in free} == {PLACES}
    for name in ("equivariance_error", "invariance_error"):
        assert abs(np.mean([one[name] for one in free]) - 2**0.5) < DIAL_SATURATED


def test_the_error_is_the_root_mean_square_over_white_noise():
    torch.manual_seed(0)
    matrix = torch.randn(PLACES, PLACES).double()
    x = torch.randn(20_000, 1, *SIZE).double()

    def layer(z: torch.Tensor) -> torch.Tensor:
        return (z.flatten(1) @ matrix.T).view_as(z)

    moved, y = layer(x.roll((1, 2), (2, 3))), layer(x)
    found = operator_symmetry(matrix, SIZE)
    for name, wanted in (("equivariance_error", y.roll((1, 2), (2, 3))), ("invariance_error", y)):
        assert abs(float((moved - wanted).norm() / y.norm()) - found[name]) < 0.01 * found[name]


def test_zero_padding_is_seen_to_break_shifts():
    found = operator_symmetry(operator_matrix(lambda x: functional.conv2d(x, DOUBLE.new_ones(1, 1, 3, 3), padding=1),
                                              SIZE, DOUBLE), SIZE)  # fmt: skip
    assert found["equivariance_error"] > BROKEN


def test_the_three_corners_and_their_middle():
    words = ("equivariance_error", "invariance_error")
    for errors, shares in (((2**0.5, 2**0.5), (1, 0, 0)), ((0.0, 2.0), (0, 1, 0)), ((0.0, 0.0), (0, 0, 1))):
        assert corner(dict(zip(words, errors, strict=True))).tolist() == pytest.approx(shares, rel=AGAIN)
    assert corner(dict.fromkeys(words, 0.5)).sum() == pytest.approx(1, rel=AGAIN)


def test_an_atlas_is_flat_at_zero_and_drifts_beyond_and_is_the_filter_of_its_place():
    torch.manual_seed(0)
    kernels = RelaxedKernels(1, 1, 5, absolute=0.0)
    still = filter_atlas(kernels, (9, 9))
    assert float(abs(still["difference"]).max()) <= EXACT[torch.float32]
    with torch.no_grad():
        kernels.absolute.fill_(0.5)
        every = kernels.everywhere((9, 9)).view(9, 9, 5, 5).numpy()
    ds = validate(filter_atlas(kernels, (9, 9)), {"filter": ("row", "column", "y", "x")})
    assert float(abs(ds["difference"]).max()) > BROKEN
    wanted = every[ds["place_y"].values][:, ds["place_x"].values]
    assert np.allclose(ds["filter"], wanted / abs(wanted).max(), rtol=0, atol=1e-6)
    assert float(abs(ds["filter"]).max()) == 1


# ---- written out tap by tap: the place of what is read, and orientations

TORUS = (5, 5)


def relaxed(absolute: float, along: float = 1.0, k: int = 5) -> RelaxedConv2d:
    torch.manual_seed(0)
    layer = RelaxedConv2d(1, 1, k, absolute=absolute, relative=along, features=64, bias=False).double()
    return layer.requires_grad_(False)


def seen_from(layer: RelaxedConv2d, side: str, turning: float = 0.0, turned: bool = False) -> torch.Tensor:
    cycles = torch.randn(64, 2, generator=torch.Generator().manual_seed(1)).double() if turned else None
    return relaxed_matrix(layer.kernels, TORUS, side, turning, cycles)


@pytest.mark.parametrize("k", [1, 3, 4, 5])
@pytest.mark.parametrize("absolute", [0.0, 0.4])
def test_written_out_for_the_output_it_is_the_layer(absolute, k):
    layer = relaxed(absolute, k=k)
    wanted = operator_matrix(layer, TORUS, DOUBLE)
    assert float((seen_from(layer, "output") - wanted).abs().max()) <= EXACT[torch.float64]
    (found,) = relaxed_errors(wanted, TORUS).values()
    again = operator_symmetry(wanted, TORUS)
    assert found == {name: pytest.approx(again[name], rel=AGAIN) for name in found}


def test_the_place_of_the_input_is_a_layer_of_its_own_and_the_same_at_zero():
    strict = relaxed(0.0)
    assert torch.equal(seen_from(strict, "input"), seen_from(strict, "output"))
    filters = orientation_filters(relaxed(0.4).kernels, TORUS)[0]
    matrix = seen_from(relaxed(0.4), "input")
    for here, there, row, column in ((0, 0, 2, 2), (0, 6, 3, 3), (12, 11, 2, 1)):
        assert float(matrix[here, there]) == float(filters[there, row, column])
    assert float((matrix - seen_from(relaxed(0.4), "output")).norm()) > BROKEN


@pytest.mark.parametrize("side", ["output", "input"])
def test_with_both_dials_at_zero_shifts_turns_and_both_are_exact_and_each_dial_breaks_its_own(side):
    def found(absolute: float, turning: float) -> list[float]:
        errors = relaxed_errors(seen_from(relaxed(absolute), side, turning, True), TORUS)
        return [one["equivariance_error"] for one in errors.values()]

    assert max(found(0.0, 0.0)) <= EXACT[torch.float64]
    shifts, turns, both = found(0.0, 0.1)
    assert shifts <= EXACT[torch.float64] < BROKEN < min(turns, both)
    assert min(found(0.1, 0.0)) > BROKEN


def test_orientations_that_are_not_turned_are_seen():
    """The twin: the same filter in all four orientations."""
    matrix = seen_from(relaxed(0.0), "output", 0.0, True)
    alike = matrix.view(4, 25, 25)[:1].expand(4, -1, -1).reshape(100, 25)
    assert relaxed_errors(alike, TORUS)["shifts"]["equivariance_error"] <= EXACT[torch.float64]
    assert relaxed_errors(alike, TORUS)["quarter turns"]["equivariance_error"] > BROKEN


EIGHT = {"cycles": torch.randn(64, 2, generator=torch.Generator().manual_seed(1)).double(), "orientations": 8}


def test_eighths_of_a_turn_turn_the_filter_and_two_of_them_are_a_quarter():
    kernels = relaxed(0.0, along=0.2).kernels
    filters = orientation_filters(kernels, TORUS, 0.0, **EIGHT)[:, 0]
    assert filters.shape == (8, 5, 5)
    for q in range(8):
        assert (filters[(q + 2) % 8] - filters[q].rot90(1, (-2, -1))).abs().max() <= EXACT[torch.float64]
    middle = named_mask("centre", 5, 5, torch.float64)
    wanted, wrong = (transform_image(filters[0], torch.tensor([way * math.pi / 4]), SO2()) for way in (1, -1))
    error, twin = (
        float(((filters[1] - one) * middle).norm() / (filters[1] * middle).norm()) for one in (wanted, wrong)
    )
    assert error < BROKEN < twin


def test_eight_orientations_keep_shifts_and_quarter_turns_at_zero_and_the_dial_gives_up_turns_alone():
    def found(turning: float) -> list[float]:
        matrix = relaxed_matrix(relaxed(0.0).kernels, TORUS, "output", turning, EIGHT["cycles"], 8)
        assert matrix.shape == (200, 25)
        return [one["equivariance_error"] for one in relaxed_errors(matrix, TORUS).values()]

    assert max(found(0.0)) <= EXACT[torch.float64]
    shifts, turns, both = found(0.1)
    assert shifts <= EXACT[torch.float64] < BROKEN < min(turns, both)


def test_filters_that_are_known_and_errors_of_one_move_are_the_same():
    kernels = relaxed(0.3).kernels
    rows = oriented(kernels, 0.2, **EIGHT)
    given = kernels, TORUS, "input", 0.2, EIGHT["cycles"], 8
    matrix = relaxed_matrix(*given)
    assert torch.equal(relaxed_matrix(*given, rows), matrix)
    alone = relaxed_errors(matrix, TORUS, only="both")
    assert alone == {"both": relaxed_errors(matrix, TORUS)["both"]}
    with pytest.raises(ValueError, match="orientations = 6 was given; expected a multiple of 4; use 4 or 8"):
        orientation_filters(kernels, TORUS, orientations=6)


def test_reading_orientations_leaves_the_kernels_as_found():
    layer = relaxed(0.3)
    before = layer.kernels.phase.clone()
    seen_from(layer, "input", 0.5, True)
    assert torch.equal(layer.kernels.phase, before)


def test_the_drift_is_the_error_on_white_noise_of_a_step_between_neighbours():
    draw = np.random.default_rng(0)
    filters = draw.normal(size=(2, 1, 3, 3))
    x = draw.normal(size=(200_000, 9))
    there, moved = x @ filters[0, 0].ravel(), x @ filters[1, 0].ravel()
    wanted = np.sqrt(((there - moved) ** 2).mean() / ((there**2).mean() + (moved**2).mean()) * 2)
    assert float(drift(filters)) == pytest.approx(wanted, rel=0.02)
    assert float(drift(np.broadcast_to(filters[:1], (4, 1, 3, 3)))) == 0
    assert abs(float(drift(draw.normal(size=(30, 30, 3, 3)))) - 2**0.5) < DIAL_SATURATED
    assert drift(draw.normal(size=(7, 2, 5, 5, 3, 3))).shape == (7, 2)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: operator_matrix(circular, (40, 4), DOUBLE), "40 x 4 pixels were given; expected sides of 1 to 32"),
        (lambda: operator_matrix(lambda x: x[..., 1:], SIZE, DOUBLE), r"expected a layer with one channel"),
        (lambda: operator_symmetry(torch.ones(3, 3), SIZE), r"expected a matrix \(20, 20\)"),
        (lambda: operator_symmetry(torch.ones(20, 20), SIZE, (4, 5)), "a shift that moves something"),
        (lambda: operator_symmetry(torch.zeros(20, 20), SIZE), "a matrix of zeros was given"),
        (lambda: relaxed_matrix(RelaxedKernels(2, 1, 3), (5, 5)), "expected one channel on each side, k at most 5"),
        (lambda: relaxed_matrix(RelaxedKernels(1, 1, 3), (5, 5), "middle"), "place of the 'middle' were given"),
        (lambda: relaxed_matrix(RelaxedKernels(1, 1, 7), (5, 5)), "k at most 5"),
        (lambda: filter_atlas(RelaxedKernels(1, 1, 3), (3, 9)), "count = 5 was given; expected 1 to 3"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()

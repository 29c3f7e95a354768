"""Irreps: sentences for mistakes, choosing among blocks, and layouts that are each other's inverse."""

import pytest
import torch
from e3nn import o3

from tests.tolerances import EXACT, SEPARATION, SPACE
from workbench.e3.irreps import (
    default_dtype,
    degrees_to_mul_ir,
    drop,
    exact_module,
    harmonic_irreps,
    ir_mul_to_mul_ir,
    keep,
    mul_ir_to_degrees,
    mul_ir_to_ir_mul,
    parse_irreps,
)
from workbench.e3.product import EdgeProduct

EVEN = "4x0e+4x1o+4x2e"
MIXED = "3x1o+2x0e+1x2e+2x0o+5x1e"

BAD = [
    ("1x1q", "e for even or o for odd"), ("", "at least one number"), ("0x1o", "at least one number"),
    ("1x13e", "0 to 12"), ("3x1", "multiplicity x degree"), (7, "expected a text"), (None, "expected a text"),
    ("999999999x1o", "at most"), ("1x1o-1x0e", "multiplicity x degree"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "sentence"), BAD, ids=[repr(given) for given, _ in BAD])
def test_irreps_that_cannot_be_get_a_sentence(given, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse_irreps(given)


def test_irreps_keep_the_order_in_which_they_are_written() -> None:
    assert str(parse_irreps(MIXED)) == MIXED
    assert parse_irreps(o3.Irreps("2x1o")) == o3.Irreps("2x1o")
    assert harmonic_irreps(3, 2) == o3.Irreps("2x0e+2x1o+2x2e+2x3o") == (2 * o3.Irreps.spherical_harmonics(3)).regroup()


@pytest.mark.parametrize("which", ["1o", "5x1o", o3.Irreps("1o"), "1o+3e"])
def test_keep_and_drop_take_texts_and_irreps_where_e3nns_filter_finds_nothing(which) -> None:
    assert keep(MIXED, which) == o3.Irreps("3x1o")
    assert drop(MIXED, which) == o3.Irreps("2x0e+1x2e+2x0o+5x1e")


def rotation(dtype: torch.dtype) -> torch.Tensor:
    return o3.rand_matrix(dtype=dtype)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_layouts_go_there_and_back() -> None:
    x = torch.randn(7, parse_irreps(EVEN).dim)
    assert torch.equal(degrees_to_mul_ir(mul_ir_to_degrees(x, EVEN), EVEN), x)
    y = torch.randn(2, 7, parse_irreps(MIXED).dim)
    assert torch.equal(ir_mul_to_mul_ir(mul_ir_to_ir_mul(y, MIXED), MIXED), y)
    assert not torch.equal(mul_ir_to_ir_mul(y, MIXED), y)


def by_degrees(x: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """D(g) of one copy of each degree, from the left of ``(N, (L+1)^2, C)``."""
    return o3.Irreps("0e+1o+2e").D_from_matrix(turn) @ x


def test_the_layout_by_degrees_turns_by_the_matrix_of_one_channel() -> None:
    with default_dtype(torch.float64):
        turn = rotation(torch.float64)
        x = torch.randn(7, parse_irreps(EVEN).dim)
        turned = x @ o3.Irreps(EVEN).D_from_matrix(turn).T
        expected = by_degrees(mul_ir_to_degrees(x, EVEN), turn)
        assert (mul_ir_to_degrees(turned, EVEN) - expected).abs().max() <= SPACE[torch.float64]
        twin = degrees_to_mul_ir(by_degrees(x.unflatten(-1, (-1, 4)), turn), EVEN)  # reshaped, not moved
        assert (twin - turned).abs().max() > SEPARATION * SPACE[torch.float64]


def test_features_read_in_the_other_layout_do_not_turn_along() -> None:
    with default_dtype(torch.float64):
        d = o3.Irreps(MIXED).D_from_matrix(rotation(torch.float64))
        x = torch.randn(7, len(d))
        right = mul_ir_to_ir_mul(ir_mul_to_mul_ir(x, MIXED) @ d.T, MIXED)
        lengths = right[:, :9].unflatten(-1, (3, 3)).norm(dim=1)
        assert (lengths - x[:, :9].unflatten(-1, (3, 3)).norm(dim=1)).abs().max() <= SPACE[torch.float64]
        confused = (x @ d.T)[:, :9].unflatten(-1, (3, 3)).norm(dim=1)
        assert (confused - x[:, :9].unflatten(-1, (3, 3)).norm(dim=1)).abs().max() > 0.1


BAD_LAYOUTS = [
    (lambda: mul_ir_to_degrees(torch.zeros(2, 3), EVEN), r"\(\.\.\., 36\)"),
    (lambda: mul_ir_to_degrees(torch.zeros(2, 7), "4x0e+1x1o"), "one multiplicity"),
    (lambda: mul_ir_to_degrees(torch.zeros(2, 8), "1x2e+1x1o"), "in order"),
    (lambda: degrees_to_mul_ir(torch.zeros(2, 4, 9), EVEN), r"expected \(\.\.\., 9, 4\)"),
    (lambda: mul_ir_to_ir_mul(torch.zeros(()), MIXED), "features of shape"),
]


@pytest.mark.parametrize(("call", "sentence"), BAD_LAYOUTS)
def test_features_of_another_width_get_a_sentence(call, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        call()


def test_the_default_dtype_comes_back_after_an_error() -> None:
    with pytest.raises(KeyError), default_dtype(torch.float64):
        raise KeyError
    assert torch.get_default_dtype() == torch.float32
    assert EXACT[torch.float64] < SPACE[torch.float64]


def test_modules_moved_to_double_precision_are_those_made_in_it_and_no_default_changes() -> None:
    args = "4x0e+4x1o+4x2e", "0e+1o+2e", "4x0e+4x1o+4x2e"
    with default_dtype(torch.float64):
        made = o3.FullyConnectedTensorProduct(*args, internal_weights=False, shared_weights=True)
    moved = o3.FullyConnectedTensorProduct(*args, internal_weights=False, shared_weights=True)
    twin = o3.FullyConnectedTensorProduct(*args, internal_weights=False, shared_weights=True).double()
    given = [torch.randn(n, dtype=torch.float64) for n in (36, 9, made.weight_numel)]
    wanted = made(*given)
    assert (exact_module(moved, torch.float64)(*given) - wanted).norm() < EXACT[torch.float64] * wanted.norm()
    assert (twin(*given) - wanted).norm() > SEPARATION * EXACT[torch.float64] * wanted.norm()


def test_a_product_in_double_precision_never_touches_the_default(monkeypatch) -> None:
    monkeypatch.setattr(torch, "set_default_dtype", lambda dtype: pytest.fail("the default was changed"))
    layer = EdgeProduct("2x0e+2x1o", 1, "2x0e+2x1o", engine="e3nn").double()
    assert layer(torch.ones(1, 8).double(), torch.ones(1, 3).double()).dtype == torch.float64

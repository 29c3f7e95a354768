"""Relaxed convolutions: the corners as operators, exact where the dial is 0, three ways alike, broken twins."""

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.layers.symmetry import QUARTER, TINY, TURN, defect, lifted, relative
from tests.tolerances import BROKEN, DIAL_LINEAR, DIAL_SATURATED, EXACT, STD_RATIO
from workbench.groups import SO2
from workbench.layers import (
    GroupBatchNorm,
    GroupConv,
    GroupProjection,
    GroupReLU,
    LiftingConv,
    RelaxedConv2d,
    RelaxedGroupConv,
    dials,
    set_dials,
)
from workbench.measure.relaxed import operator_matrix, operator_symmetry

DTYPES = (torch.float32, torch.float64)
SIDE = 8
WAYS = pytest.mark.parametrize("rank", [None, 8], ids=["a filter for each place", "rank 8"])


def torus(absolute: float, along: float, dtype: torch.dtype = torch.float64, seed: int = 0, **options) -> RelaxedConv2d:
    """One channel, filters as wide as the torus."""
    torch.manual_seed(seed)
    layer = RelaxedConv2d(1, 1, SIDE, features=320, bias=False, **options).to(dtype)
    layer.kernels.absolute.data.fill_(absolute)
    layer.kernels.relative.data.fill_(along)
    return layer


def errors(layer: RelaxedConv2d) -> dict[str, float]:
    size = (SIDE, SIDE)
    return operator_symmetry(operator_matrix(layer, size, layer.kernels.phase), size)


def mean_error(name: str, absolute: float, along: float = 1.0) -> float:
    return sum(errors(torus(absolute, along, seed=seed))[name] for seed in range(8)) / 8


# ---- the corners, on a torus


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("learned", [(), ("absolute",)], ids=["fixed", "learned"])
def test_it_is_equivariant_exactly_where_the_absolute_dial_is_zero(learned, dtype):
    for along in (0.0, 0.1, 1.0):
        assert errors(torus(0.0, along, dtype, learned=learned))["equivariance_error"] <= EXACT[torch.float32]
        for absolute in (1e-3, 0.02, 0.5, 2.0):
            found = errors(torus(absolute, along, dtype, learned=learned))["equivariance_error"]
            assert found > 100 * EXACT[torch.float32]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_it_is_invariant_and_of_rank_one_exactly_where_the_relative_dial_is_zero(dtype):
    for absolute in (0.0, 0.5, 1.0):
        found = errors(torus(absolute, 0.0, dtype))
        assert found["invariance_error"] <= EXACT[torch.float32]
        assert found["rank"] == 1
        for along in (0.1, 1.0):
            found = errors(torus(absolute, along, dtype))
            assert found["invariance_error"] > 100 * EXACT[torch.float32]
            assert found["rank"] == SIDE**2


def test_the_error_grows_with_the_dial_in_proportion_at_first_and_ends_at_the_root_of_two():
    values = (0.0025, 0.005, 0.01, 0.02, 0.1, 0.5, 2.0)
    found = [mean_error("equivariance_error", value) for value in values]
    assert found == sorted(found)
    assert all(abs(twice / once / 2 - 1) < DIAL_LINEAR for once, twice in pairwise(found[:4]))
    assert abs(found[-1] - 2**0.5) < DIAL_SATURATED
    assert mean_error("invariance_error", 0.0, 0.1) < mean_error("invariance_error", 0.0, 1.0)


def test_the_error_has_a_slope_at_a_small_dial():
    layer = torus(0.02, 1.0)
    x = torch.randn(4, 1, SIDE, SIDE).double()
    moved, y = layer(x.roll((1, 2), (2, 3))), layer(x)
    (slope,) = torch.autograd.grad((moved - y.roll((1, 2), (2, 3))).norm() / y.norm(), layer.kernels.absolute)
    assert float(slope) > 0


def test_the_matrix_is_block_circulant_at_zero_and_not_beyond():
    def circulant(layer: RelaxedConv2d) -> float:
        matrix = operator_matrix(layer, (SIDE, SIDE), layer.kernels.phase).view(SIDE, SIDE, SIDE, SIDE)
        rows = [matrix[i, j].roll((-i, -j), (0, 1)) for i in range(SIDE) for j in range(SIDE)]
        return max(relative(row, rows[0]) for row in rows)

    assert circulant(torus(0.0, 1.0)) <= EXACT[torch.float64]
    assert circulant(torus(0.02, 1.0)) > BROKEN


def test_the_absolute_place_is_that_of_the_output():
    """The twin reads it at the input: then a flat filter weighs places, and shifts are seen."""
    layer = torus(1.0, 0.0)
    matrix = operator_matrix(layer, (SIDE, SIDE), layer.kernels.phase)
    assert operator_symmetry(matrix, (SIDE, SIDE))["invariance_error"] <= EXACT[torch.float32]
    assert operator_symmetry(matrix.T, (SIDE, SIDE))["invariance_error"] > BROKEN


# ---- as a layer


@WAYS
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("padding_mode", ["circular", "zeros"])
@pytest.mark.parametrize(("k", "size"), [(5, (9, 8)), (4, (8, 9)), (1, (3, 3)), (3, (1, 2))])
def test_each_way_is_the_loop_over_places(rank, padding_mode, dtype, k, size):
    layer = RelaxedConv2d(2, 3, k, absolute=0.5, features=8, rank=rank, padding_mode=padding_mode).to(dtype)
    layer.bias.data.normal_()
    x = torch.randn(2, 2, *size, dtype=dtype)
    low, high = (k - 1) // 2, k // 2
    padded = functional.pad(x, (low, high, low, high), mode="circular" if padding_mode == "circular" else "constant")
    filters = layer.kernels.everywhere(size).view(*size, 3, 2, k, k)
    expected = torch.stack(
        [torch.einsum("bcij,ocij->bo", padded[..., i : i + k, j : j + k], filters[i, j])
         for i in range(size[0]) for j in range(size[1])], -1,
    ).unflatten(-1, size) + layer.bias[:, None, None]  # fmt: skip
    assert relative(layer(x), expected) <= EXACT[dtype]


@WAYS
@pytest.mark.parametrize("padding_mode", ["circular", "zeros"])
def test_a_dial_that_stands_at_zero_is_one_ordinary_convolution(rank, padding_mode):
    layer = RelaxedConv2d(2, 3, 5, absolute=0.0, learned=(), rank=rank, padding_mode=padding_mode).double()
    plain = nn.Conv2d(2, 3, 5, padding=2, padding_mode=padding_mode).double()
    plain.weight.data = layer.kernels.same().detach().view(3, 2, 5, 5)
    plain.bias.data = layer.bias.data
    x = torch.randn(2, 2, 8, 8).double()
    assert relative(layer(x), plain(x)) <= EXACT[torch.float64]
    layer.kernels.absolute.requires_grad_(True)  # the other ways reach the same
    assert relative(layer(x), plain(x)) <= EXACT[torch.float64]


@WAYS
@pytest.mark.parametrize("absolute", [0.0, 0.3])
def test_every_derivative_is_that_of_a_difference(rank, absolute):
    layer = RelaxedConv2d(2, 2, 3, absolute=absolute, features=8, rank=rank, learned=("absolute", "relative")).double()
    x = torch.randn(2, 2, 4, 4).double().requires_grad_()
    names = [name for name, _ in layer.named_parameters()]

    def run(x, *given):
        return torch.func.functional_call(layer, dict(zip(names, given, strict=True)), x)

    torch.autograd.gradcheck(run, [x, *layer.parameters()])


@WAYS
def test_training_reaches_every_parameter_and_saving_changes_nothing(rank):
    layer = RelaxedConv2d(1, 2, 3, rank=rank)
    layer(torch.randn(2, 1, 6, 6)).square().mean().backward()
    assert [name for name, p in layer.named_parameters() if p.grad is None] == ["kernels.relative"]
    again = RelaxedConv2d(1, 2, 3, rank=rank)
    again.load_state_dict(layer.state_dict())
    x = torch.randn(1, 1, 6, 6)
    assert torch.equal(again(x), layer(x))


@pytest.mark.parametrize("absolute", [0.0, 0.3, 3.0])
def test_a_new_layer_keeps_the_size_of_white_noise_at_every_dial(absolute):
    x = torch.randn(4, 16, 12, 12)
    for rank in (None, 4):
        ratio = RelaxedConv2d(16, 16, 5, absolute=absolute, rank=rank)(x).std() / x.std()
        assert STD_RATIO[0] < float(ratio.detach()) < STD_RATIO[1]


def test_zero_padding_tells_places_apart_at_any_dial():
    layer = RelaxedConv2d(1, 1, 3, absolute=0.0, padding_mode="zeros", bias=False).double()
    found = operator_symmetry(operator_matrix(layer, (SIDE, SIDE), layer.kernels.phase), (SIDE, SIDE))
    assert found["equivariance_error"] > BROKEN


# ---- networks


def planar(absolute: float, dtype: torch.dtype) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [RelaxedConv2d(1, 6, 5, absolute=absolute), nn.ReLU(), nn.MaxPool2d(2),
              RelaxedConv2d(6, 6, 3, absolute=absolute), nn.ReLU(), RelaxedConv2d(6, 8, 3, absolute=absolute),
              nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)]  # fmt: skip
    return nn.Sequential(*layers).to(dtype)


def shifted(net: nn.Module, shift: tuple[int, int], dtype: torch.dtype) -> float:
    x = torch.randn(2, 1, 16, 16, dtype=dtype)
    with torch.no_grad():
        return relative(net(x.roll(shift, (2, 3))), net(x))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_network_with_one_pooling_ignores_even_shifts_at_zero(dtype):
    strict = planar(0.0, dtype)
    assert max(shifted(strict, shift, dtype) for shift in ((2, 4), (0, 8), (6, 2))) <= EXACT[dtype]
    assert shifted(strict, (1, 0), dtype) > 100 * EXACT[torch.float32]  # the pooling sees odd ones
    assert shifted(planar(0.3, dtype), (2, 4), dtype) > 100 * EXACT[torch.float32]


def test_dials_are_read_and_set_together():
    net = planar(0.1, torch.float32)
    assert list(dials(net)) == ["0", "3", "5"]
    set_dials(net, 0.0)
    assert set(dials(net).values()) == {0.0}
    with pytest.raises(ValueError, match="a dial = -1 was given"):
        set_dials(net, -1)
    with pytest.raises(ValueError, match="without a relaxed layer was given"):
        set_dials(nn.Linear(1, 1), 0.0)


# ---- the rotation dial


def turning(absolute: float, dtype: torch.dtype, learned: bool = True, kind: type = RelaxedGroupConv) -> nn.Sequential:
    torch.manual_seed(0)
    common = {"group": "C(8)", "kernel": TINY, "padding_mode": "circular"}
    own = {"absolute": absolute, "learned": learned} if kind is RelaxedGroupConv else {}
    layers = [LiftingConv(1, 6, 5, **common), GroupBatchNorm(6), GroupReLU(), kind(6, 6, 5, **own, **common),
              GroupBatchNorm(6), GroupReLU(), kind(6, 8, 3, **own, **common), GroupProjection("max"),
              nn.Linear(8, 4, bias=False)]  # fmt: skip
    return nn.Sequential(*layers).to(dtype)


@pytest.mark.parametrize("learned", [False, True], ids=["fixed", "learned"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_c8_quarter_turns_are_exact_at_zero_and_shifts_at_every_dial(dtype, learned):
    x = torch.randn(2, 1, 16, 16, dtype=dtype)
    for absolute in (0.0, 0.1, 0.5):
        net = turning(absolute, dtype, learned).eval()
        with torch.no_grad():
            turns = [relative(net(torch.rot90(x, q, (2, 3))), net(x)) for q in (1, 2)]
            assert relative(net(x.roll((3, 5), (2, 3))), net(x)) <= EXACT[dtype]
        assert (max(turns) <= EXACT[dtype]) == (absolute == 0)
        assert absolute == 0 or min(turns) > 100 * EXACT[torch.float32]


def test_at_zero_it_is_the_group_convolution_with_the_same_weights():
    layer, strict = RelaxedGroupConv(3, 4, 5, absolute=0.0, kernel=TINY), GroupConv(3, 4, 5, kernel=TINY)
    own = dict(layer.kernels.network.state_dict())
    own["sines.0.weight"] = own["sines.0.weight"][:, :-2]
    strict.kernels.network.load_state_dict(own)
    strict.kernels.gain.copy_(layer.kernels.gain)
    signal = lifted(SO2(), 8)
    assert relative(layer.double()(signal).values, strict.double()(signal).values) <= EXACT[torch.float64]


def test_a_kept_kernel_hears_of_a_moved_dial():
    layer, signal = RelaxedGroupConv(3, 3, 5, absolute=0.5, kernel=TINY).eval(), lifted(SO2(), 8, dtype=torch.float32)
    with torch.no_grad():
        first = layer(signal).values
        assert torch.equal(layer(signal).values, first)
        set_dials(layer, 0.1)
        assert not torch.equal(layer(signal).values, first)
        set_dials(layer, 0.0)
        assert defect(layer, signal, TURN[1], SO2()) <= EXACT[torch.float32]
    assert TURN[1] == (QUARTER,)


def test_the_dial_of_rotations_is_trained_with_the_rest():
    layer = RelaxedGroupConv(3, 3, 3, absolute=0.0, kernel=TINY)
    layer(lifted(SO2(), 8, dtype=torch.float32)).values.square().sum().backward()
    assert float(layer.kernels.absolute.grad.abs()) > 0
    assert "relaxed" in str(layer)
    assert "dial=0" in str(layer)


# ---- what is refused


def test_what_cannot_be_is_refused_with_a_sentence():
    layer = RelaxedConv2d(2, 3, 7)
    for given, sentence in (
        (torch.zeros(2, 16, 16), r"expected images \(B, 2, H, W\)"),
        (torch.zeros(1, 3, 16, 16), r"expected images \(B, 2, H, W\)"),
        (torch.zeros(1, 2, 16, 16).double(), "expected torch.float32"),
        (torch.zeros(1, 2, 16, 16).long(), "expected a floating tensor"),
        (torch.zeros(1, 2, 2, 16), "expected at least 3 a side"),
    ):
        with pytest.raises(ValueError, match=sentence):
            layer(given)
    with pytest.raises(ValueError, match="expected 'zeros' or 'circular'"):
        RelaxedConv2d(1, 1, 3, padding_mode="reflect")
    with pytest.raises(ValueError, match="kernel_size = 0"):
        RelaxedConv2d(1, 1, 0)


def test_filters_of_every_place_that_would_not_fit_are_refused_before_they_are_made():
    wide = torch.zeros(1, 1, 1, 1).expand(64, 32, 128, 128)
    with pytest.raises(ValueError, match=r"for each of 128 x 128 places was asked .*; use rank=8, or smaller batches"):
        RelaxedConv2d(32, 32, 7)(wide)
    assert tuple(RelaxedConv2d(32, 32, 3, rank=2)(wide[:1, :, :8, :8]).shape) == (1, 32, 8, 8)

"""The split disc and the product of spectra equal one dense convolution, and so do their gradients."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional

from tests.layers.symmetry import lifted, relative
from tests.tolerances import BROKEN, EXACT
from workbench.groups import SO2, GroupSignal
from workbench.kernels import KernelBank, KernelSpec, disc_mask
from workbench.layers import GroupConv, choice
from workbench.layers.apply import convolve, disc_split, prepare
from workbench.layers.choice import choose, prices
from workbench.layers.spectral import Window, convolve_spectra, kernel_spectra

TIGHT = EXACT[torch.float64]
EVERY_WAY = [(k, w) for w in ("spectral", "columns") for k in range(1, 10)] + [(k, "split") for k in (3, 5, 7, 9)]
WINDOWS = [(0, "zeros"), (1, "zeros"), (2, "zeros"), (3, "zeros"), (2, "circular"), (1, "circular")]


def prepared(bank, way, window, n=2):
    elements = SO2().grid(n, 0.1, torch.float64)
    return prepare(bank, elements, elements, False, None, way, window)


def bank_of(k):
    return KernelBank(2, 3, k, SO2(), KernelSpec(hidden=4), lifting=False).double()


@pytest.mark.parametrize("k", [3, 5, 7, 9, 11])
def test_block_and_tips_hold_every_tap_of_the_disc_once(k):
    block, tips = disc_split(k)
    assert len(set(block + tips)) == len(block + tips)
    assert set(disc_mask(k).nonzero().flatten().tolist()) <= set(block + tips)


@pytest.mark.parametrize("mode", ["zeros", "circular"])
@pytest.mark.parametrize(("k", "way"), EVERY_WAY)
def test_every_way_is_the_dense_convolution(k, way, mode):
    bank, bias = bank_of(k), torch.randn(6).double()
    for size in ((k, k), (12, 9), (9, 13)):
        for padding in {0, 1, k // 2, k // 2 + 1} - ({k // 2 + 1} if k // 2 >= min(size) else set()):
            window = Window(size, k, 1, padding, mode)
            x = torch.randn(2, 4, *size).double()
            found, wanted = (convolve(x, prepared(bank, w, window), bias, window) for w in (way, "dense"))
            assert found.shape == wanted.shape
            assert relative(found, wanted) <= TIGHT


@pytest.mark.parametrize("way", ["split", "columns", "spectral"])
def test_images_smaller_than_the_kernel_are_exact_too(way):
    bank = bank_of(9)
    for side in range(1, 6):
        window = Window((side, side), 9, 1, 4, "zeros")
        x = torch.randn(1, 4, side, side).double()
        found, wanted = (convolve(x, prepared(bank, w, window), None, window) for w in (way, "dense"))
        assert relative(found, wanted) <= TIGHT


def test_weights_without_a_tip_are_seen():
    bank, window = bank_of(5), Window((8, 8), 5, 1, 2, "zeros")
    block, tips = prepared(bank, "split", window)
    x = torch.randn(1, 4, 8, 8).double()
    dense = convolve(x, prepared(bank, "dense", window), None, window)
    assert relative(convolve(x, (block, tips * 0), None, window), dense) > BROKEN
    swapped = tips.unflatten(1, (4, -1)).flip(1).flatten(1, 2)
    assert relative(convolve(x, (block, swapped), None, window), dense) > BROKEN


def test_a_circle_that_is_too_short_is_seen():
    bank, window = bank_of(5), Window((8, 8), 5, 1, 2, "zeros")
    x = torch.randn(1, 4, 8, 8).double()
    dense = convolve(x, prepared(bank, "dense", window), None, window)
    wrapped = window._replace(mode="circular")
    assert relative(convolve(x, prepared(bank, "spectral", wrapped), None, wrapped), dense) > BROKEN


@pytest.mark.parametrize(("padding", "mode"), WINDOWS)
def test_both_derivatives_of_the_split_convolution_are_right(padding, mode):
    block = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    tips = torch.randn(2, 8, 1, 1, dtype=torch.float64, requires_grad=True)
    x = torch.randn(1, 2, 6, 5, dtype=torch.float64, requires_grad=True)
    window = Window((6, 5), 5, 1, padding, mode)

    def run(x, block, tips):
        return convolve(x, (block, tips), None, window)

    if padding:  # an output of one pixel or more
        assert gradcheck(run, (x, block, tips))
        assert gradgradcheck(run, (x, block, tips))


@pytest.mark.parametrize(("padding", "mode"), WINDOWS)
def test_both_derivatives_of_the_columns_are_right(padding, mode):
    weights = torch.randn(2, 2 * 5, 1, 1, dtype=torch.float64, requires_grad=True)
    x = torch.randn(1, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    window = Window((4, 5), 3, 1, padding, mode)

    def run(x, weights):
        return convolve(x, (weights,), None, window)

    assert gradcheck(run, (x, weights))
    assert gradgradcheck(run, (x, weights))


def test_columns_in_another_order_are_seen():
    bank, window, x = bank_of(3), Window((6, 6), 3, 1, 1, "zeros"), torch.randn(1, 4, 6, 6).double()
    (weights,) = prepared(bank, "columns", window)
    dense = convolve(x, prepared(bank, "dense", window), None, window)
    swapped = weights.unflatten(1, (5, -1)).flip(1).flatten(1, 2)
    assert relative(convolve(x, (swapped,), None, window), dense) > BROKEN


@pytest.mark.parametrize(("padding", "mode"), WINDOWS)
def test_derivatives_of_the_product_of_spectra_are_right(padding, mode):
    kernel = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
    x = torch.randn(2, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(3, dtype=torch.float64, requires_grad=True)
    window = Window((4, 5), 3, 1, padding, mode)

    def run(x, kernel, bias):
        return convolve_spectra(x, kernel_spectra(kernel, (1, 3, 4, 5, 7), window), bias, window)

    assert gradcheck(run, (x, kernel, bias))


def test_a_way_is_chosen_only_where_it_is_defined():
    x = torch.zeros(64, 256, 14, 14)
    assert choose(Window((14, 14), 7, 1, 3, "zeros"), x, 256, True) == "spectral"
    assert choose(Window((14, 14), 7, 1, 3, "zeros"), x[:1], 256, True) == "split"
    assert choose(Window((15, 15), 7, 2, 3, "zeros"), x, 256, True) == "dense"
    assert choose(Window((14, 14), 1, 1, 0, "zeros"), x, 256, True) == "dense"
    assert "split" not in prices(Window((14, 14), 6, 1, 0, "zeros"), 64, 256, 256, True)
    assert choose(Window((28, 28), 7, 1, 3, "zeros"), torch.zeros(4, 1, 28, 28), 64, False) == "last"  # a lifting
    window, few = Window((8, 8), 3, 1, 1, "zeros"), torch.zeros(64, 128, 8, 8)
    assert choose(window, few, 128, True) == "columns"
    assert choose(Window((32, 32), 5, 1, 2, "zeros"), torch.zeros(8, 16, 32, 32), 16, False) == "dense"


def test_factored_kernels_are_applied_whole_only_where_that_is_cheaper():
    window, x = Window((28, 28), 7, 1, 3, "zeros"), torch.zeros(16, 160, 28, 28)
    assert choose(window, x, 160, True, steps=(160 * 160, 160 * 49)) == "steps"
    assert choose(window._replace(stride=2), x, 160, True, steps=(160 * 160, 160 * 49)) == "steps"
    window, x = Window((7, 7), 7, 1, 3, "zeros"), torch.zeros(64, 64, 7, 7)
    assert choose(window, x, 64, False, steps=(64, 64 * 64 * 49)) == "spectral"


def test_half_precision_never_goes_through_spectra():
    x, window = torch.zeros(64, 256, 14, 14), Window((14, 14), 7, 1, 3, "zeros")
    assert choose(window, x.bfloat16(), 256, True) != "spectral"
    with torch.autocast("cpu", torch.bfloat16):
        assert choose(window, x, 256, True) != "spectral"


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_layer_gives_the_same_answer_and_gradients_whichever_way_is_chosen(dtype, training, monkeypatch):
    layer = GroupConv(4, 3, 5, n=4, kernel=KernelSpec(hidden=4)).to(dtype).train(training)
    signal = lifted(SO2(), 4, channels=4, size=12, dtype=dtype)
    answers, slopes = [], []
    for way in ("dense", "last", "split", "columns", "spectral"):
        monkeypatch.setattr("workbench.layers.convolution.choose", lambda *_, way=way: way)
        values = layer(signal).values
        answers.append(values)
        slopes.append(torch.autograd.grad(values.square().sum(), list(layer.parameters())))
    for found, slope in zip(answers[1:], slopes[1:], strict=True):
        assert relative(found, answers[0]) <= EXACT[dtype]
        assert max(relative(a, b) for a, b in zip(slope, slopes[0], strict=True)) <= 10 * EXACT[dtype]


@torch.no_grad()
def test_kept_spectra_are_not_used_for_another_size(monkeypatch):
    layer = GroupConv(4, 3, 5, n=4, kernel=KernelSpec(hidden=4)).double().eval()
    for size in (12, 9, 12):
        x = torch.randn(1, 4, 4, size, size).double()
        signal = GroupSignal(x, SO2().grid(4, 0.0, torch.float64), SO2())
        monkeypatch.setattr("workbench.layers.convolution.choose", lambda *_: "spectral")
        found = layer(signal).values
        monkeypatch.setattr("workbench.layers.convolution.choose", lambda *_: "dense")
        assert relative(found, layer(signal).values) <= TIGHT


def test_spectra_that_would_fill_the_memory_are_not_made(monkeypatch):
    x, window = torch.zeros(64, 256, 14, 14), Window((14, 14), 7, 1, 3, "zeros")
    monkeypatch.setattr(choice, "largest_spectra", lambda: 2**20)
    assert choose(window, x, 256, True) == "split"


def test_valid_padding_is_what_a_plain_convolution_calls_it():
    bank, window = bank_of(5), Window((8, 8), 5, 1, 0, "zeros")
    (dense,) = prepared(bank, "dense", window)
    x = torch.randn(1, 4, 8, 8).double()
    for way in ("split", "columns", "spectral"):
        assert relative(convolve(x, prepared(bank, way, window), None, window), functional.conv2d(x, dense)) <= TIGHT

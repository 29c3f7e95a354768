"""The split disc and its hand-written backward pass equal one dense convolution."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional

from tests.layers.symmetry import lifted, relative
from tests.tolerances import BROKEN, EXACT
from workbench.groups import SO2
from workbench.kernels import KernelBank, KernelSpec, disc_mask
from workbench.layers import GroupConv
from workbench.layers.apply import convolve, disc_split, prepare, use_split

TIGHT = EXACT[torch.float64]


def bank_and_features(k, n=2):
    bank = KernelBank(2, 3, k, SO2(), KernelSpec(hidden=4), lifting=False).double()
    elements = SO2().grid(n, 0.1, torch.float64)
    return bank, bank.features(elements, elements)


@pytest.mark.parametrize("k", [3, 5, 7, 9, 11])
def test_block_and_tips_hold_every_tap_of_the_disc_once(k):
    block, tips = disc_split(k)
    together = torch.cat([block, tips])
    assert len(together.unique()) == len(together)
    assert set(disc_mask(k).nonzero().flatten().tolist()) <= set(together.tolist())


@pytest.mark.parametrize("mode", ["zeros", "circular"])
@pytest.mark.parametrize("k", [5, 7, 9])
def test_the_split_convolution_is_the_dense_one(k, mode):
    bank, features = bank_and_features(k)
    dense, split = prepare(bank, features, None, split=False), prepare(bank, features, None, split=True)
    assert len(dense) == 1
    assert len(split) == 2
    bias = torch.randn(6).double()
    for size in ((k, k), (12, 9), (9, 13)):
        for padding in (0, 1, k // 2, k // 2 + 1):
            x = torch.randn(2, 4, *size).double()
            found, wanted = (convolve(x, w, bias, k, 1, padding, mode) for w in (split, dense))
            assert found.shape == wanted.shape
            assert relative(found, wanted) <= TIGHT


def test_small_images_are_split_exactly_too():
    bank, features = bank_and_features(9)
    for side in range(1, 6):
        x = torch.randn(1, 4, side, side).double()
        found, wanted = (
            convolve(x, prepare(bank, features, None, split), None, 9, 1, 4, "zeros") for split in (True, False)
        )
        assert relative(found, wanted) <= TIGHT


def test_weights_without_a_tip_are_seen():
    bank, features = bank_and_features(5)
    block, tips = prepare(bank, features, None, split=True)
    x = torch.randn(1, 4, 8, 8).double()
    dense = convolve(x, prepare(bank, features, None, split=False), None, 5, 1, 2, "zeros")
    assert relative(convolve(x, (block, tips * 0), None, 5, 1, 2, "zeros"), dense) > BROKEN
    swapped = tips.unflatten(1, (4, -1)).flip(1).flatten(1, 2)
    assert relative(convolve(x, (block, swapped), None, 5, 1, 2, "zeros"), dense) > BROKEN


@pytest.mark.parametrize(("padding", "mode"), [(0, "zeros"), (2, "zeros"), (3, "zeros"), (2, "circular")])
def test_both_derivatives_of_the_split_convolution_are_right(padding, mode):
    block = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    tips = torch.randn(2, 8, 1, 1, dtype=torch.float64, requires_grad=True)
    x = torch.randn(1, 2, 6, 5, dtype=torch.float64, requires_grad=True)

    def run(x, block, tips):
        return convolve(x, (block, tips), None, 5, 1, padding, mode)

    assert gradcheck(run, (x, block, tips))
    assert gradgradcheck(run, (x, block, tips))


def test_the_split_is_chosen_only_where_it_is_defined():
    for k in range(1, 12):
        if use_split(64, k, 1, (28, 28)):
            assert k % 2 == 1
            assert k >= 5
    assert not use_split(64, 7, 2, (29, 29))
    assert not use_split(1, 7, 1, (28, 28))  # a lifting layer of one channel


@pytest.mark.parametrize("k", [5, 7])
def test_a_layer_gives_the_same_answer_split_or_dense(k, monkeypatch):
    layer = GroupConv(8, 3, k, n=4, kernel=KernelSpec(hidden=4)).double()
    signal = lifted(SO2(), 4, channels=8, size=12)
    assert use_split(32, k, 1, (12, 12))
    split = layer(signal).values
    monkeypatch.setattr("workbench.layers.convolution.use_split", lambda *_: False)
    assert relative(split, layer(signal).values) <= TIGHT


def test_valid_padding_is_what_a_plain_convolution_calls_it():
    bank, features = bank_and_features(5)
    (dense,) = prepare(bank, features, None, split=False)
    x = torch.randn(1, 4, 8, 8).double()
    found = convolve(x, prepare(bank, features, None, split=True), None, 5, 1, 0, "zeros")
    assert relative(found, functional.conv2d(x, dense)) <= TIGHT

"""Shifts by whole pixels: pages, windows, alignment and consistency, each against a slow referee and a broken twin."""

import itertools

import pytest
import torch
from torch import nn

from tests.tolerances import AGAIN_SINGLE, BROKEN, EXACT
from workbench.measure import open_dataset, save
from workbench.measure.shifts import best_alignment, page, ring, shift_consistency, shifted

SIDE, MARGIN = 6, 1
PICTURES = torch.zeros(9, 1, SIDE, SIDE)
PICTURES[:, :, MARGIN:-MARGIN, MARGIN:-MARGIN] = torch.rand(9, 1, 4, 4, generator=torch.Generator().manual_seed(0)) + 1
LABELS = torch.arange(9) % 3


class Pixels(nn.Module):
    """Names a picture by its pixels as they lie, which every shift changes, or by their mean, which none does."""

    def __init__(self, how: str):
        super().__init__()
        self.how = how

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.how == "corner":
            return torch.stack([x[:, 0, 2, 2], x[:, 0, 3, 3], x[:, 0, 2, 3]], 1)
        mean = x.double().mean((1, 2, 3))
        return torch.stack([mean, 2 - mean, mean.square()], 1)


def test_a_page_holds_each_picture_amid_eight_others_and_one_frame_between_neighbours():
    scene = page(PICTURES, MARGIN)
    down = SIDE - MARGIN
    assert scene.shape[-2:] == (3 * down + MARGIN,) * 2
    assert torch.equal(scene[..., down : down + SIDE, down : down + SIDE], PICTURES)
    around = []
    for row, column in itertools.product(range(3), repeat=2):
        part = scene[0, 0, row * down :, column * down :][:SIDE, :SIDE][MARGIN:-MARGIN, MARGIN:-MARGIN]
        same = [at for at in range(9) if torch.equal(part, PICTURES[at, 0, MARGIN:-MARGIN, MARGIN:-MARGIN])]
        around += same
    assert sorted(around) == list(range(9))
    assert around[4] == 0


def test_convention_a_shift_is_to_the_right_and_upwards():
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 2, 2] = 1
    for kind in ("cyclic", "real"):
        assert shifted(x, 1, 2, kind)[0, 0].nonzero().tolist()[0] == [0, 3]


def test_a_real_shift_over_ground_is_a_cyclic_one_and_over_other_pictures_it_is_not():
    alone = torch.zeros(1, 1, 8, 8)
    alone[..., 3:5, 3:5] = torch.rand(2, 2) + 1
    assert torch.equal(shifted(alone, 1, -1, "real", 2), shifted(alone, 1, -1))
    for by in ((1, 0), (0, -1), (2, 2)):
        assert not torch.equal(shifted(PICTURES, *by, "real", MARGIN), shifted(PICTURES, *by))
    assert torch.equal(shifted(PICTURES, 0, 0, "real", MARGIN), PICTURES)


def test_alignment_finds_the_shift_and_hears_of_a_changed_pixel():
    z = torch.randn(3, 2, 4, 4, dtype=torch.float64)
    y = torch.stack([one.roll(by, (1, 2)) for one, by in zip(z, ((0, 1), (3, 2), (1, 1)), strict=True)])
    assert float(best_alignment(y, z).max()) == 0
    y[1, 0, 0, 0] += 2
    found = best_alignment(y, z)
    assert found[0] == found[2] == 0
    assert float(found[1]) > BROKEN
    slow = min(float((y[1] - z[1].roll(by, (1, 2))).norm()) for by in itertools.product(range(4), repeat=2))
    assert abs(float(found[1]) - slow / float(z[1].norm())) <= EXACT[torch.float64]


def test_windows_are_made_of_rings():
    window = [(0, 0), *(shift for reach in (1, 2, 3) for shift in ring(reach))]
    assert sorted(window) == sorted(itertools.product(range(-3, 4), repeat=2))


@pytest.mark.parametrize("how", ["corner", "mean"])
def test_consistency_is_that_of_a_slow_count(how):
    model = Pixels(how)
    ds = shift_consistency(model, PICTURES, LABELS, reach=2, margin=MARGIN)
    for kind, reach in itertools.product(("cyclic", "real"), (1, 2)):
        shifts = itertools.product(range(-reach, reach + 1), repeat=2)
        said = torch.stack([model(shifted(PICTURES, *by, kind, MARGIN)).argmax(1) for by in shifts])
        same, right = (said == said[0]).all(0), (said == LABELS).all(0)
        assert float(ds["consistency"].sel(kind=kind, reach=reach)) == pytest.approx(
            float(same.float().mean()), rel=AGAIN_SINGLE
        )
        assert float(ds["worst_accuracy"].sel(kind=kind, reach=reach)) == pytest.approx(
            float(right.float().mean()), rel=AGAIN_SINGLE
        )
    cyclic = ds["consistency"].sel(kind="cyclic")
    assert bool((cyclic == 1).all()) if how == "mean" else bool((cyclic < 1).all())


def test_a_network_is_left_as_it_was_and_the_file_says_the_same(tmp_path):
    net = nn.Sequential(nn.Dropout(0.5), Pixels("mean")).train()
    ds = shift_consistency(net, PICTURES, LABELS, reach=1)
    assert net.training
    assert ds.identical(shift_consistency(net, PICTURES, LABELS, reach=1))
    save(ds, tmp_path / "a.nc")
    assert open_dataset(tmp_path / "a.nc").identical(ds)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: page(PICTURES, 3), "margin = 3 was given"),
        (lambda: shifted(PICTURES, 1, 0, "wrapped"), "kind = 'wrapped' was given; expected one of cyclic, real"),
        (lambda: shifted(PICTURES, 6, 0, "real", 1), "expected at most 5 pixels"),
        (lambda: shift_consistency(Pixels("mean"), PICTURES, LABELS[:2]), "9 images and 2 labels"),
        (lambda: shift_consistency(Pixels("mean"), PICTURES, LABELS, reach=0), "reach = 0 was given"),
        (lambda: best_alignment(PICTURES, PICTURES[0]), r"expected pictures \(N, C, H, W\)"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()

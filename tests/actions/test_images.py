"""Images under group elements: against a slow referee, analytic pictures and broken twins."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tolerances import EXACT, RESAMPLED_BLOBS
from workbench.actions import (
    PADDINGS,
    RESAMPLERS,
    disc_mask,
    is_lattice,
    transform_each,
    transform_image,
    transform_images,
)
from workbench.actions.images import source_points
from workbench.actions.lattice import affine
from workbench.groups import O2, SO2, Cyclic, Dihedral, Plane, Translation

DTYPES = [torch.float64, torch.float32]


def elements(*degrees: float, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.tensor([[math.radians(d)] for d in degrees], dtype=dtype)


def blobs(g: torch.Tensor, group, size: int, sigma: float) -> torch.Tensor:
    """Gaussian blobs inside the disc, drawn at the places where g puts them."""
    centres = torch.tensor([[0.15, 0.1], [-0.2, 0.1], [0.05, -0.2]], dtype=torch.float64) * size
    points = source_points(*affine(g.unsqueeze(0), group), size, size)[0]
    return sum(torch.exp(-((points - c) ** 2).sum(-1) / (2 * sigma**2)) for c in centres)


def bilinear_referee(x: torch.Tensor, g: torch.Tensor, group) -> torch.Tensor:
    """One pixel at a time, straight from (L_g f)(p) = f(g^-1 p)."""
    height, width = x.shape
    out = torch.zeros_like(x)
    back = group.inverse(g)
    for i in range(height):
        for j in range(width):
            p = torch.tensor([j - (width - 1) / 2, (height - 1) / 2 - i], dtype=torch.float64)
            q = group.act(back, p)
            column, row = float(q[0]) + (width - 1) / 2, (height - 1) / 2 - float(q[1])
            for r in (math.floor(row), math.floor(row) + 1):
                for c in (math.floor(column), math.floor(column) + 1):
                    if 0 <= r < height and 0 <= c < width:
                        out[i, j] += x[r, c] * (1 - abs(row - r)) * (1 - abs(column - c))
    return out


@pytest.mark.parametrize("shape", [(6, 6), (5, 8)])
@pytest.mark.parametrize("group", [SO2(), O2(), Translation(), Plane(O2())], ids=str)
def test_bilinear_agrees_with_one_pixel_at_a_time(group, shape: tuple[int, int]) -> None:
    x = torch.rand(shape, dtype=torch.float64)
    for g in group.sample(3, dtype=torch.float64):
        error = transform_image(x, g, group, resampler="bilinear") - bilinear_referee(x, g, group)
        assert error.abs().max() <= EXACT[torch.float64]


@pytest.mark.parametrize("resampler", RESAMPLERS)
@pytest.mark.parametrize("mirror", [1.0, -1.0])
def test_every_resampler_moves_analytic_blobs_within_its_bound(resampler: str, mirror: float) -> None:
    group, mask = O2(), disc_mask(40, 40, dtype=torch.float64)
    still = blobs(group.identity(torch.float64), group, 40, sigma=2.0)
    for degrees in (10, 33, 45, 80, 135, 200):
        g = torch.tensor([math.radians(degrees), mirror], dtype=torch.float64)
        moved, drawn = transform_image(still, g, group, resampler=resampler), blobs(g, group, 40, sigma=2.0)
        error = ((moved - drawn) * mask).norm() / (drawn * mask).norm()
        assert error <= RESAMPLED_BLOBS[resampler]


def test_the_blob_bound_catches_a_wrong_rotation_sign() -> None:
    group, g = SO2(), elements(33)[0]
    still = blobs(group.identity(torch.float64), group, 40, sigma=2.0)
    wrong = transform_image(still, -g, group)
    drawn = blobs(g, group, 40, sigma=2.0)
    assert (wrong - drawn).norm() / drawn.norm() > RESAMPLED_BLOBS["nearest"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [4, 5])
@pytest.mark.parametrize("resampler", RESAMPLERS)
def test_lattice_elements_lose_nothing_whatever_the_resampler(dtype, size: int, resampler: str) -> None:
    x = torch.rand(2, 1, size, size, dtype=dtype)
    group = Dihedral(4)
    moved = transform_images(x, group.grid(dtype=dtype), group, resampler=resampler)
    pixels = x.flatten(1).sort().values
    for image in moved:
        assert torch.equal(image.flatten(1).sort().values, pixels)
    back = transform_each(moved, group.inverse(group.grid(dtype=dtype)), group, resampler=resampler)
    assert torch.equal(back, x.expand_as(back))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), size=st.integers(1, 6), padding=st.sampled_from(PADDINGS))
def test_whole_pixel_shifts_are_exact(seed: int, size: int, padding: str) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(1, size, size + 1, generator=generator, dtype=torch.float64)
    g = torch.randint(-size, size + 1, (2,), generator=generator).double()
    exact = transform_image(x, g, Translation(), padding=padding)
    near = transform_image(x, g + 1e-5, Translation(), padding=padding, resampler="bilinear")
    if padding == "circular":
        assert torch.equal(exact, x.roll((-int(g[1]), int(g[0])), (-2, -1)))
    assert (exact - near).abs().max() < 1e-4


def test_circular_shifts_of_a_wave_are_exact_with_fourier() -> None:
    columns = torch.arange(8, dtype=torch.float64).expand(1, 8, 8)
    wave = torch.sin(2 * math.pi * columns / 8)
    moved = transform_image(wave, torch.tensor([0.3, 0.0]), Translation(), resampler="fourier", padding="circular")
    expected = torch.sin(2 * math.pi * (columns - torch.tensor(0.3).double()) / 8)
    assert (moved - expected).abs().max() <= EXACT[torch.float64]


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("resampler", ["bilinear", "bicubic"])
def test_a_constant_image_stays_constant_where_the_padding_allows_it(padding: str, resampler: str) -> None:
    x = torch.full((1, 7, 7), 3.0, dtype=torch.float64)
    moved = transform_image(x, elements(30)[0], SO2(), resampler=resampler, padding=padding)
    inside = slice(2, -2) if padding == "zeros" else slice(None)
    assert (moved - 3)[:, inside, inside].abs().max() <= EXACT[torch.float64]


def test_each_acts_with_one_element_per_stack() -> None:
    x, group = torch.rand(3, 2, 1, 6, 6, dtype=torch.float64), SO2()
    moved = transform_each(x, elements(0, 90, 20), group)
    for e, g in enumerate(elements(0, 90, 20)):
        assert torch.equal(moved[e], transform_image(x[e], g, group))


@pytest.mark.parametrize("resampler", RESAMPLERS)
def test_elements_in_one_call_or_split_give_the_same(resampler: str) -> None:
    x, group = torch.rand(2, 1, 8, 8, dtype=torch.float64), O2()
    whole = transform_images(x, group.grid(10, dtype=torch.float64), group, resampler=resampler)
    parts = [transform_images(x, part, group, resampler=resampler) for part in group.grid(10).double().split(3)]
    reference = transform_images(x, group.grid(10).double(), group, resampler=resampler)
    assert (torch.cat(parts) - reference).abs().max() <= EXACT[torch.float64]
    assert (whole - reference).abs().max() < 1e-5  # the float32 grid differs by its own rounding


@pytest.mark.parametrize("resampler", ["bilinear", "bicubic", "fourier"])
def test_gradients_flow_to_the_image(resampler: str) -> None:
    x = torch.rand(1, 1, 5, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda image: transform_images(image, elements(0, 35, 90), SO2(), resampler=resampler), (x,)
    )


def test_quarter_turns_of_an_oblong_image_are_off_the_lattice() -> None:
    g = elements(0, 90, 180, 270)
    assert is_lattice(g, SO2()).all()
    assert is_lattice(g, SO2(), shape=(4, 6)).tolist() == [True, False, True, False]
    x = torch.rand(1, 4, 6)
    assert torch.equal(transform_image(x, g[2], SO2()), x.flip(-1, -2))
    assert transform_image(x, g[1], SO2()).shape == x.shape


def test_lattice_needs_whole_shifts_and_quarter_turns() -> None:
    group = Plane(O2())
    rows = torch.tensor([[1.0, -2.0, math.pi, -1.0], [0.5, 0, 0, 1], [0, 0, 0.1, 1]], dtype=torch.float64)
    assert is_lattice(rows, group).tolist() == [True, False, False]
    assert is_lattice(Cyclic(8).grid(), Cyclic(8)).tolist() == [True, False] * 4


BAD = [
    (lambda: transform_images(torch.ones(1, 1, 3, 3).long(), elements(3), SO2()), "images.float"),
    (lambda: transform_images(torch.full((1, 1, 3, 3), math.nan), elements(3), SO2()), "NaN"),
    (lambda: transform_images(torch.ones(0, 1, 3, 3), elements(3), SO2()), "empty"),
    (lambda: transform_images(torch.ones(3, 3), elements(3), SO2()), "unsqueeze"),
    (lambda: transform_images(torch.ones(1, 1, 3, 3), torch.ones(2, 2), SO2()), r"expected \(E, 1\)"),
    (lambda: transform_images(torch.ones(1, 1, 3, 3), elements(), SO2()), "expected"),
    (lambda: transform_images(torch.ones(1, 1, 3, 3), elements(math.inf), SO2()), "finite"),
    (lambda: transform_images(torch.ones(1, 1, 3, 3), elements(3), SO2(), resampler="cubic"), "'bicubic'"),
    (lambda: transform_images(torch.ones(1, 1, 3, 3), elements(3), SO2(), padding="reflect"), "'border'"),
    (lambda: transform_images(torch.ones(1, 1, 3, 4), elements(3), SO2(), resampler="fourier"), "square"),
    (lambda: transform_image(torch.ones(1, 3, 3), elements(3), SO2()), "one element"),
    (lambda: transform_each(torch.ones(2, 1, 3, 3), elements(3), SO2()), "as many"),
]


@pytest.mark.parametrize(("call", "sentence"), BAD, ids=[s for _, s in BAD])
def test_bad_input_gets_a_sentence(call, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        call()

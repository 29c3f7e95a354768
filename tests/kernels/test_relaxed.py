"""Kernels of place and tap: the rank of every corner, one amplitude, three ways to one filter, broken twins."""

import pytest
import torch

from tests.layers.symmetry import relative
from tests.tolerances import BROKEN, EXACT
from workbench.kernels import RelaxedKernels
from workbench.kernels.relaxed import pixel_places

DTYPES = (torch.float32, torch.float64)
TORUS = (4, 4)


def torus(absolute: float, relative: float, features: int = 320, **options) -> RelaxedKernels:
    """Kernels as wide as the torus; dials may be 0 although they are then no corner of their own."""
    kernels = RelaxedKernels(1, 1, TORUS[0], features=features, **options).double().requires_grad_(False)
    kernels.absolute.fill_(absolute)
    kernels.relative.fill_(relative)
    return kernels


def rank(kernels: RelaxedKernels) -> int:
    return int(torch.linalg.matrix_rank(kernels.feature_matrix(TORUS)))


# ---- the corners


@pytest.mark.parametrize("features", [256, 320])
@pytest.mark.parametrize(
    ("absolute", "along", "expected"),
    [(0.0, 1.0, 16), (0.0, 0.5, 16), (1.0, 0.0, 16), (0.5, 0.0, 16), (0.0, 0.0, 1), (0.5, 0.5, 256), (1.0, 2.0, 256)],
)
def test_the_rank_of_the_features_tells_the_corners_apart(absolute, along, expected, features):
    assert rank(torus(absolute, along, features)) == expected


def test_the_rank_falls_short_where_there_are_fewer_features_than_pairs():
    assert rank(torus(1.0, 1.0, 255)) == 255


def test_phases_of_zero_make_a_dead_corner():
    """The twin: sines without a phase give nothing at all where both dials are 0."""
    kernels = torus(0.0, 0.0)
    kernels.phase.fill_(torch.pi / 2)
    assert float(kernels.feature_matrix(TORUS).abs().max()) <= EXACT[torch.float64]
    assert float(torus(0.0, 0.0).feature_matrix(TORUS).abs().max()) > BROKEN


@pytest.mark.parametrize("number", [2, 4, 8])
def test_a_rank_bounds_the_rank_of_the_filters_over_places(number):
    found = RelaxedKernels(2, 3, 3, absolute=1.0, features=16, rank=number).double()
    assert int(torch.linalg.matrix_rank(found.everywhere((6, 6)).flatten(1))) == number
    free = RelaxedKernels(2, 3, 3, absolute=1.0, features=16).double()
    assert int(torch.linalg.matrix_rank(free.everywhere((6, 6)).flatten(1))) > 8


# ---- one filter, three ways


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("number", [None, 2, 8])
def test_mixed_filters_are_the_filters_of_every_place(number, dtype):
    kernels = RelaxedKernels(2, 3, 5, absolute=0.7, features=16, rank=number).to(dtype)
    filters, basis = kernels.mixed((6, 5))
    assert relative(torch.einsum("rocp,ru->uocp", filters, basis), kernels.everywhere((6, 5))) <= EXACT[dtype]


def slopes(kernels, filters):
    """Gradients of a weighted sum of filters ``(U, C_out, C_in, P)`` to every parameter."""
    weights = torch.randn(filters.shape, generator=torch.Generator().manual_seed(1), dtype=filters.dtype)
    trained = [p for p in kernels.parameters() if p.requires_grad]
    return torch.autograd.grad((filters * weights).sum(), trained, materialize_grads=True)


def of_mixed(kernels):
    return torch.einsum("rocp,ru->uocp", *kernels.mixed((6, 5)))


def of_one(kernels):
    return kernels.same().expand(30, -1, -1, -1)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("absolute", "number", "short"), [(0.7, 2, of_mixed), (0.7, 8, of_mixed), (0.0, None, of_one)])
def test_the_short_forms_have_the_gradients_of_the_filters_of_every_place(absolute, number, short, dtype):
    kernels = RelaxedKernels(2, 3, 5, absolute=absolute, features=16, rank=number, learned=("absolute", "relative"))
    kernels.gain.data.fill_(1.3)
    kernels = kernels.to(dtype)
    names = [name for name, p in kernels.named_parameters() if p.requires_grad]
    pairs = zip(names, slopes(kernels, short(kernels)), slopes(kernels, kernels.everywhere((6, 5))), strict=True)
    skipped = {"absolute", "cycles_absolute"} if short is of_one else set()  # it cannot say how filters would change
    assert max(relative(a, b) for name, a, b in pairs if name not in skipped) <= 10 * EXACT[dtype]


def test_a_gradient_that_forgets_the_amplitude_is_caught(monkeypatch):
    kernels = RelaxedKernels(2, 3, 5, absolute=0.7, features=16, rank=4).double()
    wanted = slopes(kernels, kernels.everywhere((6, 5)))
    fixed = kernels.scale(kernels.everywhere((6, 5)).square().mean()).detach()
    monkeypatch.setattr(kernels, "scale", lambda _: fixed)
    found = slopes(kernels, kernels.everywhere((6, 5)))
    assert max(relative(a, b) for a, b in zip(found, wanted, strict=True) if b.abs().max() > 0) > BROKEN


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("number", [None, 4])
def test_at_zero_every_place_has_the_one_filter(number, dtype):
    kernels = RelaxedKernels(2, 3, 5, absolute=0.0, features=16, rank=number).to(dtype)
    everywhere = kernels.everywhere((4, 4))
    assert relative(kernels.same().expand_as(everywhere), everywhere) <= EXACT[dtype]
    with torch.no_grad():
        kernels.absolute.fill_(0.3)
        moved = kernels.everywhere((4, 4))
    assert relative(kernels.same().expand_as(moved), moved) > BROKEN


def test_the_filter_is_the_cosine_of_the_formula():
    kernels = RelaxedKernels(1, 1, 3, absolute=0.6, relative=0.8, features=5).double()
    taps, places = kernels.taps.double(), pixel_places((3, 4))
    angle = 0.8 * (taps @ kernels.cycles_relative.T) + 0.6 * (places @ kernels.cycles_absolute.T)[:, None]
    plain = (2 * torch.pi * angle + kernels.phase).cos() @ kernels.readout[0]
    found = kernels.everywhere((3, 4)).view(12, 9)
    assert relative(found / found.norm(), plain / plain.norm()) <= EXACT[torch.float32]  # dials are float32 numbers


# ---- amplitude


@pytest.mark.parametrize("number", [None, 4])
def test_the_dials_do_not_change_the_amplitude(number):
    kernels = RelaxedKernels(3, 4, 5, features=16, rank=number).double()
    sizes = []
    with torch.no_grad():
        for absolute in (0.0, 0.1, 1.0, 5.0):
            for along in (0.0, 0.3, 3.0):
                kernels.absolute.fill_(absolute)
                kernels.relative.fill_(along)
                sizes += [kernels.everywhere((6, 6)).square().mean().sqrt() * (3 * 25) ** 0.5]
    assert float((torch.stack(sizes) - 1).abs().max()) <= EXACT[torch.float64]


def test_without_the_scale_the_dials_change_the_amplitude():
    """The twin, at one draw of few features."""
    kernels = RelaxedKernels(1, 1, 3, features=4).double()
    sizes = []
    with torch.no_grad():
        for value in (0.0, 3.0):
            kernels.absolute.fill_(value)
            kernels.relative.fill_(value)
            sizes.append((kernels.basis((6, 6)).T @ kernels.filters().flatten(1)).square().mean().sqrt())
    assert abs(float(sizes[0] / sizes[1]) - 1) > BROKEN


# ---- derivatives


def test_the_one_filter_has_the_derivative_of_its_formula():
    kernels = RelaxedKernels(2, 2, 3, absolute=0.0, relative=0.7, features=6, learned=("relative",)).double()
    kernels.gain.data.fill_(1.3)
    names = ("cycles_relative", "relative", "phase", "readout", "gain")

    def same(*given):
        return torch.func.functional_call(kernels, dict(zip(names, given, strict=True)), ()).flatten()

    kernels.forward = kernels.same
    torch.autograd.gradcheck(same, [getattr(kernels, name) for name in names])


def test_the_dial_has_a_derivative_at_zero_on_most_draws():
    slopes = []
    for seed in range(4):
        torch.manual_seed(seed)
        kernels = RelaxedKernels(1, 1, 3, absolute=0.0, features=8).double()
        weight = torch.randn(16, 1, 1, 9, dtype=torch.float64)
        (slope,) = torch.autograd.grad((weight * kernels.everywhere((4, 4))).sum(), kernels.absolute)
        slopes.append(abs(float(slope)))
    assert min(slopes) > BROKEN


# ---- what is refused


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"absolute": -0.1}, r"a dial = -0.1 was given; expected a number from 0 to 100; 0.1 is usual"),
        ({"absolute": float("nan")}, "a dial = nan"),
        ({"relative": True}, "a dial = True"),
        ({"relative": 1e9}, "a dial = 1000000000.0"),
        ({"features": 0}, "features = 0 was given; expected an integer from 1 to 4096"),
        ({"rank": 3}, r"rank = 3 was given; expected an even number .*: 2, 4, 8, 16, 32, 64; 4 or 8 is usual"),
        ({"rank": 24}, "rank = 24"),
        ({"rank": True}, "rank = True"),
        ({"learned": ("angle",)}, "expected a tuple of absolute, relative"),
        ({"learned": "absolute"}, "learned = 'absolute'"),
    ],
)
def test_impossible_options_are_refused_with_a_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        RelaxedKernels(1, 1, 3, **options)

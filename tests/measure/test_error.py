"""The equivariance error: a slow referee, known cases, broken twins, splits, intervals."""

import math
import threading

import numpy as np
import pytest
import torch
from torch import nn

from tests.measure.toys import ConvC4, LiftC4, Mean, Nosy, Pointwise, c4_net
from tests.tolerances import AGAIN, BAND_LIMITED, EXACT, INTERVAL_COVERAGE, SEPARATION, SPLIT
from workbench.actions import disc_mask, smooth, transform_image, transform_signal
from workbench.groups import O2, SO2, C, D, GroupSignal, Plane, Translation
from workbench.kernels import KernelSpec
from workbench.layers import GroupConv, GroupReLU, LiftingConv
from workbench.measure import Cancelled, equivariance_error, orbit
from workbench.measure.dataset import validate
from workbench.measure.tables import statistics

DTYPES = [torch.float64, torch.float32]


def images(count: int = 3, size: int = 12, dtype: torch.dtype = torch.float64, channels: int = 1) -> torch.Tensor:
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(0)).to(dtype)


def referee(model, x: torch.Tensor, g: torch.Tensor, group, resampler: str, mask: bool) -> tuple[list, list]:
    """One sample at a time, straight from the definition: error and output floor."""
    errors, floors = [], []
    for image in x:
        with torch.no_grad():
            first = model(transform_image(image, g, group, resampler=resampler, padding="border").unsqueeze(0))
            plain = model(image.unsqueeze(0))
        if isinstance(plain, GroupSignal):
            options = {"resampler": resampler, "padding": "border"}
            moved = transform_signal(plain, g, group, **options)
            back = transform_signal(moved, group.inverse(g), group, **options).values
            a, b, c = first.values, moved.values, plain.values
        elif plain.ndim == 4:
            b = transform_image(plain, g, group, resampler=resampler, padding="border")
            back = transform_image(b, group.inverse(g), group, resampler=resampler, padding="border")
            a, c = first, plain
        else:
            a, b, back, c = first, plain, plain, plain
        weight = disc_mask(a.shape[-2], a.shape[-1]).to(a) if mask and a.ndim > 2 else torch.ones(()).to(a)
        errors.append(float(((a - b) * weight).norm() / ((b * weight).norm() + 1e-12)))
        floors.append(float(((back - c) * weight).norm() / ((c * weight).norm() + 1e-12)))
    return errors, floors


MODELS = {
    "signal": lambda: nn.Sequential(LiftC4(1, 2), Pointwise(), ConvC4(2, 2)),
    "map": lambda: nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2)),
    "vector": c4_net,
}


@pytest.mark.parametrize("mask", ["disc", "none"])
@pytest.mark.parametrize("resampler", ["bilinear", "bicubic", "fourier"])
@pytest.mark.parametrize("kind", MODELS)
def test_agrees_with_one_sample_at_a_time(kind: str, resampler: str, mask: str) -> None:
    model, x, group = MODELS[kind]().double().eval(), images(), SO2()
    elements = torch.tensor([[0.0], [0.4], [math.pi / 2], [4.0]], dtype=torch.float64)
    ds = equivariance_error(model, x, group, elements, resampler=resampler, mask=mask)
    for place, g in enumerate(elements):
        errors, floors = referee(model, x, g, group, resampler, mask == "disc")
        row = ds.sel(layer="output").isel(transform=place)
        assert np.allclose(row.error, errors, rtol=1e-9, atol=EXACT[torch.float64])
        assert np.allclose(row.output_floor, floors, rtol=1e-9, atol=EXACT[torch.float64])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [12, 13])
def test_a_c4_network_dips_to_rounding_at_quarter_turns_and_nowhere_else(dtype, size: int) -> None:
    ds = equivariance_error(c4_net().to(dtype), images(size=size, dtype=dtype), "SO2", layers="all")
    assert ds.lattice.values.tolist() == [k % 9 == 0 for k in range(37)]
    assert float(ds.error.where(ds.lattice).max()) <= EXACT[dtype]
    assert float(ds.error_mean.sel(layer="0").where(~ds.lattice).min()) > SEPARATION * EXACT[torch.float32]
    assert bool((ds.exact == ds.lattice).sel(layer="0").all())


def test_the_identity_map_has_error_zero_while_both_floors_stand() -> None:
    ds = equivariance_error(nn.Identity(), images(), "SO2", n_elements=8)
    assert bool((ds.error == 0).all())
    off = ~ds.lattice.values
    assert bool((ds.input_floor.values[off] > 0).all())
    assert bool((ds.output_floor.sel(layer="output").values[off] > 0).all())
    assert bool((ds.input_floor.values[~off] == 0).all())
    assert np.array_equal(ds.output_floor.sel(layer="output"), ds.input_floor)


def test_the_error_of_a_pointwise_relu_falls_as_the_input_gets_smoother() -> None:
    noise = torch.randn(4, 1, 33, 33, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    elements = torch.tensor([[math.pi / 4]], dtype=torch.float64)
    errors = [
        equivariance_error(nn.ReLU(), smooth(noise, s), "SO2", elements, mask="centre").error_mean.item()
        for s in (0.0, 1.0, 2.0, 3.0)
    ]
    assert errors == sorted(errors, reverse=True)


def strict_c8(omega0: float) -> nn.Sequential:
    torch.manual_seed(0)
    options = {"group": "C(8)", "kernel": KernelSpec(omega0=omega0)}
    layers = LiftingConv(1, 4, 7, **options), GroupReLU(), GroupConv(4, 4, 5, **options)
    return nn.Sequential(*layers).double()


@pytest.mark.parametrize("sigma", [2.0, 3.0])
def test_n2_band_limited_strict_layers_stay_near_the_output_floor_and_aliasing_ones_do_not(sigma: float) -> None:
    noise = torch.randn(4, 1, 33, 33, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    elements = torch.tensor([[math.pi / 4]], dtype=torch.float64)
    ratio = {}
    for omega0 in (3.0, 10.0):
        ds = equivariance_error(strict_c8(omega0), smooth(noise, sigma), "SO2", elements, mask="centre")
        ratio[omega0] = ds.error_mean.item() / ds.output_floor_mean.item()
    assert ratio[3.0] <= BAND_LIMITED < ratio[10.0]


def test_the_absolute_error_of_an_added_constant_pattern_is_known() -> None:
    # f(x) = x + p with one hot pixel p: a quarter turn misses it at two of 16 pixels
    pattern = torch.zeros(1, 1, 4, 4, dtype=torch.float64)
    pattern[..., 0, 1] = 1
    quarter = torch.tensor([[math.pi / 2]], dtype=torch.float64)
    ds = equivariance_error(lambda x: x + pattern, images(size=4), "SO2", quarter, mask="none")
    assert np.allclose(ds.absolute_error, math.sqrt(2 / 16), rtol=0, atol=EXACT[torch.float64])


def test_named_forms_agree_with_their_formulas() -> None:
    model, x = nn.Conv2d(1, 2, 3, padding=1).double(), images()
    g = torch.tensor([[math.pi / 2]], dtype=torch.float64)
    with torch.no_grad():
        a = model(torch.rot90(x, 1, (-2, -1))).flatten(1)
        b = torch.rot90(model(x), 1, (-2, -1)).flatten(1)
    difference, first, second = (t.norm(dim=1).numpy() for t in (a - b, a, b))
    expected = {
        "relative": difference / second,
        "symmetric": 2 * difference / (first + second),
        "absolute": difference / math.sqrt(a.shape[1]),
    }
    for form, values in expected.items():
        ds = equivariance_error(model, x, "SO2", g, form=form, mask="none")
        assert np.allclose(ds.error.squeeze(), values, rtol=AGAIN, atol=AGAIN)
        assert ds.attrs["form"] == form
        assert ds.error.attrs["units"] == ("output units" if form == "absolute" else "1")


@pytest.mark.parametrize("twin", ["wrong_sign", "perturbed"])
def test_broken_twins_are_seen(twin: str) -> None:
    broken = LiftC4(1, 3, **{twin: True if twin == "wrong_sign" else 1e-3}).double()
    sound = LiftC4(1, 3).double()
    assert float(equivariance_error(sound, images(), "C(4)").error.max()) <= EXACT[torch.float64]
    assert float(equivariance_error(broken, images(), "C(4)").error.max()) > SEPARATION * EXACT[torch.float64]


def test_layers_seen_through_hooks_are_the_layers_run_alone() -> None:
    model, x = c4_net().double(), images()
    ds = equivariance_error(model, x, "SO2", layers=["0", "2"], n_elements=9)
    alone = equivariance_error(model[:3], x, "SO2", n_elements=9)
    assert ds.layer.values.tolist() == ["0", "2", "output"]
    for name in ("error", "output_floor", "absolute_error"):
        assert np.allclose(ds[name].sel(layer="2"), alone[name].sel(layer="output"), rtol=1e-9, atol=1e-15)


def test_an_in_place_layer_does_not_falsify_the_layer_before_it() -> None:
    conv = nn.Conv2d(1, 2, 3, padding=1).double()
    x = images()
    chained = nn.Sequential(conv, nn.ReLU(inplace=True))
    ds = equivariance_error(chained, x, "SO2", layers=["0"], n_elements=5)
    alone = equivariance_error(conv, x, "SO2", n_elements=5)
    assert np.array_equal(ds.error.sel(layer="0"), alone.error.sel(layer="output"))


def test_a_layer_that_runs_twice_is_named_twice() -> None:
    relu = nn.ReLU()
    ds = equivariance_error(nn.Sequential(relu, nn.Conv2d(1, 1, 1), relu), images(), "C(4)", layers=["0"])
    assert ds.layer.values.tolist() == ["0", "0 (call 2)", "output"]


@pytest.mark.parametrize("batch_size", [1, 2, 7, 1000])
def test_the_split_into_batches_does_not_matter(batch_size: int) -> None:
    model, x = c4_net().double(), images(5, size=8)
    elements = torch.tensor([[0.4], [0.0], [math.pi / 2]], dtype=torch.float64)
    whole = equivariance_error(model, x, "SO2", elements, layers=["0", "2"])
    split = equivariance_error(model, x, "SO2", elements, layers=["0", "2"], batch_size=batch_size)
    assert whole.attrs == split.attrs
    for name in whole.data_vars:
        assert np.allclose(whole[name], split[name], rtol=SPLIT, atol=EXACT[torch.float64], equal_nan=True)


def test_the_same_call_gives_the_identical_dataset() -> None:
    model, x = c4_net(), images(dtype=torch.float32)
    first = equivariance_error(model, x, "SO2", n_elements=5, layers="all", seed=4)
    torch.rand(3)
    assert first.identical(equivariance_error(model, x, "SO2", n_elements=5, layers="all", seed=4))


def test_a_random_model_is_measured_from_the_seed() -> None:
    def noisy(x: torch.Tensor) -> torch.Tensor:
        return x + torch.randn_like(x)

    runs = [equivariance_error(noisy, images(), "C(4)", seed=s) for s in (1, 1, 2)]
    assert runs[0].identical(runs[1])
    assert not runs[0].error.identical(runs[2].error)


def test_the_dataset_documents_itself() -> None:
    ds = equivariance_error(c4_net(), images(), "O2", n_elements=4, input_kind="noise", mask="centre")
    dims = ("layer", "transform", "sample")
    validate(
        ds,
        {
            **dict.fromkeys(["error", "absolute_error", "output_floor"], dims),
            **dict.fromkeys(["error_mean", "error_sem", "output_floor_mean", "exact"], dims[:2]),
            "input_floor": dims[1:],
            "input_floor_mean": dims[1:2],
            **dict.fromkeys(["angle_deg", "mirror", "lattice"], dims[1:2]),
        },
        provenance=("created_by", "seed", "dtype", "resampler", "padding", "mask", "reduction", "input_kind", "group"),
    )
    assert (ds.attrs["input_kind"], ds.attrs["mask"], ds.attrs["dtype"]) == ("noise", "centre", "float32")
    assert set(ds.mirror.values.tolist()) == {1, -1}


def test_the_interval_covers_the_true_error_in_95_of_100_cases() -> None:
    # f(x) = x p with one hot pixel p: the error at a half turn is known, and proportional to the sample's brightness
    pattern = torch.tensor([[1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    brightness = 0.2 + 0.05 * torch.randn(4000, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = torch.ones(1, 1, 2, 2, dtype=torch.float64) * brightness.view(-1, 1, 1, 1)
    half = torch.tensor([[math.pi]], dtype=torch.float64)
    ds = equivariance_error(lambda x: x * pattern, x, "SO2", half, mask="none", form="absolute", batch_size=len(x))
    _, _, low, high = statistics(ds.error.values.reshape(4000, 12))
    truth = 0.2 * math.sqrt(2 / 4)
    assert abs(np.mean((low <= truth) & (truth <= high)) - 0.95) <= INTERVAL_COVERAGE


def test_the_standard_error_is_that_of_the_samples() -> None:
    ds = equivariance_error(c4_net().double(), images(6), "SO2", n_elements=5)
    expected = ds.error.values.std(-1, ddof=1) / math.sqrt(6)
    assert np.allclose(ds.error_sem, expected, rtol=AGAIN, atol=AGAIN)
    assert bool(np.isnan(equivariance_error(c4_net(), images(1), "C(4)").error_sem).all())


@pytest.mark.parametrize(
    ("group", "count"),
    [(SO2(), 37), (O2(), 74), (C(8), 8), (D(4), 8), (Plane(SO2()), 37), (Translation(), 37)],
    ids=str,
)
def test_default_sweeps_visit_the_group_and_its_lattice(group, count: int) -> None:
    elements = orbit(group)
    assert bool(group.contains(elements, 1e-6).all())
    assert len(elements) == count
    ds = equivariance_error(nn.Identity(), images(), group)
    assert int(ds.lattice.sum()) >= 2
    assert bool((ds.error == 0).all())


def test_shifts_shrink_with_the_pixels_of_a_pooled_map() -> None:
    shift = torch.tensor([[4.0, -2.0]], dtype=torch.float64)
    pool = nn.AvgPool2d(2)
    ds = equivariance_error(pool, images(), Translation(), shift, padding="circular", mask="none")
    assert float(ds.error.max()) <= EXACT[torch.float64]


def test_a_flattened_output_is_compared_as_it_is_when_called_invariant() -> None:
    ds = equivariance_error(nn.Identity(), images(), "C(4)", output="invariant")
    assert float(ds.error.isel(transform=1).min()) > 0.1
    assert bool((ds.output_floor == 0).all())


def test_progress_runs_to_one_and_cancel_stops_without_a_trace() -> None:
    told: list[float] = []
    equivariance_error(c4_net(), images(), "SO2", batch_size=6, progress=told.append)
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0.0, 1.0)
    stop = threading.Event()
    model = Nosy().train()

    def progress(fraction: float) -> None:
        if fraction > 0.3:
            stop.set()

    with pytest.raises(Cancelled, match="cancelled"):
        equivariance_error(model, images(), "SO2", batch_size=6, layers=["conv"], progress=progress, cancel=stop)
    assert model.training
    assert not model.conv._forward_hooks
    with pytest.raises(Cancelled):
        equivariance_error(model, images(), "SO2", cancel=lambda: True)


def test_other_threads_running_the_model_do_not_enter_the_measure() -> None:
    model, x = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.ReLU()).double(), images()
    expected = equivariance_error(model, x, "SO2", layers=["0"], n_elements=9)

    def intrude(fraction: float) -> None:
        thread = threading.Thread(target=lambda: model(images(7)))
        thread.start()
        thread.join()

    assert expected.identical(equivariance_error(model, x, "SO2", layers=["0"], n_elements=9, progress=intrude))


BAD = [
    ({"images": images()[0]}, "unsqueeze"),
    ({"images": images() * math.nan}, "NaN"),
    ({"images": images()[:0]}, "empty"),
    ({"n_elements": 0}, "n_elements"),
    ({"n_elements": 10**7}, "at most 4096"),
    ({"group": "SO4"}, "SO4"),
    ({"elements": torch.zeros(3, 2)}, r"expected \(E, 1\)"),
    ({"layers": ["nowhere"]}, "nowhere"),
    ({"layers": ["1"], "model": torch.relu}, "plain function"),
    ({"resampler": "lanczos"}, "'bicubic'"),
    ({"mask": "ring"}, "'disc'"),
    ({"form": "squared"}, "'relative'"),
    ({"output": "vector"}, "'auto'"),
    ({"padding": "mirror"}, "'border'"),
    ({"batch_size": 0}, "batch_size"),
    ({"eps": -1.0}, "eps"),
    ({"model": 3}, "callable"),
    ({"model": lambda x: {"logits": x}}, "dict"),
    ({"model": lambda x: x.flatten(2)}, r"shape \(B, 1, 144\)"),
    ({"model": lambda x: x[:1]}, "for 3 images"),
]


@pytest.mark.parametrize(("given", "sentence"), BAD, ids=[s for _, s in BAD])
def test_bad_input_gets_a_sentence(given: dict, sentence: str) -> None:
    arguments = {"model": c4_net(), "images": images(), "group": "SO2"} | given
    with pytest.raises(ValueError, match=sentence):
        equivariance_error(**arguments)


def test_a_layer_that_redraws_its_elements_is_refused() -> None:
    class Restless(nn.Module):
        def forward(self, x: torch.Tensor) -> GroupSignal:
            elements = SO2().grid(4, float(torch.rand(())), dtype=x.dtype)
            return GroupSignal(x.unsqueeze(2).expand(-1, -1, 4, -1, -1), elements, SO2())

    with pytest.raises(ValueError, match="drew other group elements"):
        equivariance_error(Restless(), images(), "SO2")


def test_a_plain_function_of_a_module_is_measured_like_the_module() -> None:
    model, x = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), Mean2d()).double(), images()
    by_method = equivariance_error(model.forward, x, "SO2", n_elements=5)
    assert np.array_equal(by_method.error, equivariance_error(model, x, "SO2", n_elements=5).error)


class Mean2d(nn.Module):
    """Mean over the plane."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


def test_a_signal_on_a_partial_arc_is_marked_and_not_guessed() -> None:
    class Arc(nn.Module):
        def forward(self, x: torch.Tensor) -> GroupSignal:
            elements = torch.tensor([[-0.5], [0.0], [0.5]], dtype=x.dtype)
            return GroupSignal(x.unsqueeze(2).expand(-1, -1, 3, -1, -1), elements, SO2(), uniform=False)

    net = nn.Sequential(Arc(), Mean())
    ds = equivariance_error(net, images(), "SO2", n_elements=5, layers="all")
    assert ds.comparable.values.tolist() == [False, True, True]
    assert bool(np.isnan(ds.error.sel(layer="0")).all())
    assert bool(np.isfinite(ds.error.sel(layer="output")).all())
    with pytest.raises(ValueError, match="partial arc"):
        equivariance_error(net, images(), "SO2", n_elements=5, layers=["0"])

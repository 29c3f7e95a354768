"""The Lie derivative: analytic models, small exact angles, controls, broken twins, what is left as found."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from tests.measure.test_state import same, snapshot, used_model
from tests.measure.toys import ConvC4, LiftC4, Mean, Pointwise, c4_net
from tests.tolerances import AGAIN, EXACT, GRID_DERIVATIVE, LIE_AGAINST_ANGLE, LIE_ROUNDING, SEPARATION
from workbench.actions import disc_mask, smooth
from workbench.groups import SO2, GroupSignal
from workbench.layers import GroupConv, LiftingConv
from workbench.measure import Cancelled, equivariance_error, lie_derivative, validate


def images(count: int = 3, size: int = 24, sigma: float = 3.0) -> torch.Tensor:
    noise = torch.randn(count, 1, size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return smooth(noise, sigma)


def hat(size: int = 25) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """An off-centre Gaussian, x and y at the pixels, y upwards."""
    line = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    x, y = line.expand(size, size), -line.unsqueeze(-1).expand(size, size)
    return torch.exp(-((x - 3) ** 2 + (y - 1) ** 2) / 18), x, y


@pytest.mark.parametrize("group", ["SO2", "translation x", "translation y", "scale"])
def test_the_rate_of_a_linear_read_out_is_the_known_integral(group: str) -> None:
    # f(x) = sum x w: its derivative along X is sum (X x) w, and X of the hat is known in closed form
    bump, x, y = hat()
    along_x, along_y = -(x - 3) / 9 * bump, -(y - 1) / 9 * bump
    fields = {"SO2": (-y, x), "translation x": (1, 0), "translation y": (0, 1), "scale": (x, y)}
    vx, vy = fields[group]
    moved = -(vx * along_x + vy * along_y)
    weight = torch.exp(-((x + 1) ** 2 + (y - 4) ** 2) / 18)
    ds = lie_derivative(lambda z: (z * weight).sum((2, 3)), bump.view(1, 1, 25, 25), group)
    expected = abs(float((moved * weight).sum() / (bump * weight).sum()))
    assert ds.lie.item() == pytest.approx(expected, rel=GRID_DERIVATIVE)


def test_an_added_pattern_has_the_rate_of_the_pattern() -> None:
    # f(x) = x + p: J X x - X (x + p) = -X p
    bump, x, y = hat()
    moved = y * (-(x - 3) / 9 * bump) - x * (-(y - 1) / 9 * bump)
    picture = images(2, 25)
    ds = lie_derivative(lambda z: z + bump, picture)
    disc = disc_mask(25, 25).double()
    expected = [float((moved * disc).norm() / ((p + bump) * disc).norm()) for p in picture]
    assert np.allclose(ds.lie.sel(layer="output"), expected, atol=0, rtol=GRID_DERIVATIVE)


MODELS = {
    "map": lambda: nn.Sequential(nn.Conv2d(1, 2, 5, padding=2, bias=False), nn.Tanh()),
    "vector": lambda: nn.Sequential(nn.Flatten(), nn.Linear(1024, 40, bias=False)),
    "signal": lambda: LiftingConv(1, 2, 5, n=8),
    "two group layers": lambda: nn.Sequential(LiftingConv(1, 2, 5, n=8), GroupConv(2, 2, 5, n=8)),
}


@pytest.mark.parametrize("kind", MODELS)
def test_n4_at_a_small_angle_the_exact_error_is_the_rate_times_the_angle(kind: str) -> None:
    model, angle = MODELS[kind]().double(), 0.02
    line = torch.arange(32, dtype=torch.float64) - 15.5
    window = torch.exp(
        -(line[:, None] ** 2 + line**2) / 50
    )  # nothing at the rim, which resamplers fill in their own way
    x = images(3, 32, 3.0) * window
    rate = lie_derivative(model, x, mask="none").lie.sel(layer="output")
    element = torch.tensor([[angle]], dtype=torch.float64)
    exact = equivariance_error(model, x, "SO2", element, mask="none", resampler="fourier")
    error = exact.error.sel(layer="output").isel(transform=0)
    assert np.allclose(error / angle, rate, atol=0, rtol=LIE_AGAINST_ANGLE), (error / angle, rate)


def test_the_group_axis_turns_with_the_right_sign() -> None:
    sound, wrong = LiftC4(1, 3).double(), LiftC4(1, 3, wrong_sign=True).double()

    def along_group(layer: nn.Module) -> float:
        # the group axis only: an image rotated by its own first layer's frame
        class Fourier(nn.Module):
            """cos and sin of the image's dipole on a circle of eight elements."""

            def forward(self, x: torch.Tensor) -> GroupSignal:
                line = torch.arange(x.shape[-1], dtype=x.dtype) - (x.shape[-1] - 1) / 2
                dx, dy = (x * line).mean((2, 3)), -(x * line.unsqueeze(-1)).mean((2, 3))
                angle = SO2().grid(8, dtype=x.dtype).squeeze(-1)
                turn = -1 if layer is wrong else 1
                values = dx[..., None] * angle.cos() + turn * dy[..., None] * angle.sin()
                return GroupSignal(
                    values[..., None, None].expand(-1, -1, -1, 4, 4), SO2().grid(8, dtype=x.dtype), SO2()
                )

        return float(lie_derivative(Fourier(), hat()[0].view(1, 1, 25, 25)).lie_mean.sel(layer="output"))

    assert along_group(sound) <= GRID_DERIVATIVE < 1 < along_group(wrong)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_identity_and_constant_models_have_rate_zero_and_shuffled_pixels_do_not(dtype) -> None:
    x = images().to(dtype)
    order = torch.randperm(24 * 24, generator=torch.Generator().manual_seed(0))
    zero = [nn.Identity(), lambda z: z * 0 + 1, lambda z: torch.ones(len(z), 3, dtype=dtype)]
    for model in zero:
        assert float(lie_derivative(model, x, padding="border").lie_mean.sel(layer="output")) <= LIE_ROUNDING[dtype]
    shuffled = lie_derivative(lambda z: z.flatten(2)[..., order].view(z.shape), x).lie_mean
    assert float(shuffled.sel(layer="output")) > SEPARATION * LIE_ROUNDING[dtype]


def test_a_plain_cnn_and_a_perturbed_twin_stand_above_a_group_network() -> None:
    torch.manual_seed(0)
    x, options = images(8), {"mask": "centre"}
    plain = nn.Sequential(nn.Conv2d(1, 4, 5, padding=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).double()
    rate = {"plain": float(lie_derivative(plain, x, **options).lie_mean.sel(layer="0"))}
    sound, broken = LiftingConv(1, 4, 5, n=8).double(), LiftingConv(1, 4, 5, n=8).double()
    rate["group"] = float(lie_derivative(sound, x, **options).lie_mean.sel(layer="output"))

    def noisy(z: torch.Tensor) -> GroupSignal:
        signal = broken(z)
        weight = torch.randn(4, 8, generator=torch.Generator().manual_seed(2), dtype=z.dtype)
        return signal.with_values(signal.values * (1 + 0.3 * weight)[..., None, None])

    rate["broken"] = float(lie_derivative(noisy, x, **options).lie_mean.sel(layer="output"))
    assert rate["group"] < rate["plain"]
    assert 3 * rate["group"] < rate["broken"]


def test_every_layer_comes_from_two_passes_and_equals_the_layer_run_alone() -> None:
    calls: list[int] = []
    model, x = c4_net().double(), images()
    counted = model.register_forward_hook(lambda m, i, o: calls.append(len(i[0])))
    ds = lie_derivative(model, x, layers="all")
    counted.remove()
    assert calls == [2 * len(x)]
    assert ds.layer.values.tolist() == ["0", "1", "2", "3", "4", "5", "6", "output"]
    for depth in (1, 3, 6):
        alone = lie_derivative(model[:depth], x, layers=())
        assert np.allclose(ds.lie.sel(layer=str(depth - 1)), alone.lie.sel(layer="output"), atol=0, rtol=1e-6)


def test_batches_do_not_matter() -> None:
    model, x = c4_net().double(), images(5)
    whole, split = lie_derivative(model, x), lie_derivative(model, x, batch_size=4)
    assert np.allclose(whole.lie, split.lie, rtol=1e-5, atol=EXACT[torch.float64])
    assert whole.attrs == split.attrs
    assert np.array_equal(lie_derivative(model, x).lie, whole.lie)


class Odd(nn.Module):
    """A layer with a tuple as output, one met twice, one that works in place, one that nobody can compare."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(inplace=True)
        self.both, self.tokens, self.unused = Both(), nn.Flatten(2), nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.conv(x))
        low, (high, _) = self.both(x)
        self.tokens(x)
        return self.relu(low - high)


class Both(nn.Module):
    """A tuple: the map and its double, and a number nobody can compare."""

    def forward(self, x: torch.Tensor) -> tuple:
        return x, [2 * x, 3]


@pytest.mark.parametrize("measure", [lie_derivative, equivariance_error])
def test_tuples_repeats_and_in_place_layers_are_handled_and_the_rest_is_said(measure) -> None:
    model, x = Odd().double(), images()[..., :9, :9]
    name = "lie" if measure is lie_derivative else "error"
    ds = measure(model, x, *([] if name == "lie" else ["C(4)"]), layers="all")
    said = ds.attrs["passed_over"]
    assert "tokens: a tensor of shape" in said
    assert "both[1][1]: a int" in said
    assert "unused: it did not run" in said
    assert "functions called inside a module" in ds.attrs["scope"]
    names = ["conv", "relu", "both[0]", "both[1][0]", "relu (call 2)", "output"]
    assert ds.layer.values.tolist() == names
    assert np.allclose(ds[name].sel(layer="relu"), ds[name].sel(layer="both[0]"), rtol=AGAIN, atol=AGAIN)
    alone = measure(model.conv, x, *([] if name == "lie" else ["C(4)"]), layers=())
    assert np.allclose(ds[name].sel(layer="conv"), alone[name].sel(layer="output"), rtol=AGAIN, atol=AGAIN)


def test_the_dataset_documents_itself_and_the_interval_holds_the_mean() -> None:
    ds = lie_derivative(c4_net(), images(12).float(), input_kind="noise")
    validate(ds, {"lie": ("layer", "sample"), "lie_mean": ("layer",), "lie_low": ("layer",), "lie_high": ("layer",)})
    assert bool(((ds.lie_low <= ds.lie_mean) & (ds.lie_mean <= ds.lie_high)).all())
    assert (ds.attrs["group"], ds.attrs["forward_passes"], ds.attrs["input_kind"]) == ("rotation", 2, "noise")
    assert bool(np.isnan(lie_derivative(c4_net(), images(1).float()).lie_low).all())


def test_an_arc_of_elements_is_marked_and_not_guessed() -> None:
    class Arc(nn.Module):
        def forward(self, x: torch.Tensor) -> GroupSignal:
            elements = torch.tensor([[-0.5], [0.0], [0.5]], dtype=x.dtype)
            return GroupSignal(x.unsqueeze(2).expand(-1, -1, 3, -1, -1), elements, SO2(), uniform=False)

    net = nn.Sequential(Arc(), Mean())
    ds = lie_derivative(net, images())
    assert ds.comparable.values.tolist() == [False, True, True]
    assert "partial arc" in ds.attrs["passed_over"]
    with pytest.raises(ValueError, match="partial arc"):
        lie_derivative(net, images(), layers=["0"])


def test_r24_the_model_is_left_as_found_also_after_an_exception() -> None:
    model, x = used_model(), torch.rand(4, 1, 6, 6)
    before = snapshot(model)
    lie_derivative(model, x)
    assert same(before, snapshot(model))
    model.fails = True
    with pytest.raises(RuntimeError, match="on purpose"):
        lie_derivative(model, x, batch_size=2)
    assert same(before, snapshot(model))
    model.fails = False
    with pytest.raises(Cancelled):
        lie_derivative(model, x, cancel=lambda: True)
    assert same(before, snapshot(model))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"group": "C(4)"}, "finite groups"),
        ({"group": "Translation"}, "one direction"),
        ({"images": torch.ones(1, 1, 8, 8)}, "does not change"),
        ({"images": torch.ones(1, 8, 8)}, "unsqueeze"),
        ({"images": images() * math.nan}, "NaN"),
        ({"mask": "ring"}, "'disc'"),
        ({"padding": "mirror"}, "'border'"),
        ({"batch_size": 0}, "batch_size"),
        ({"model": 3}, "callable"),
        ({"model": lambda x: {"logits": x}}, "dict"),
        ({"layers": ["nowhere"]}, "nowhere"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_bad_input_gets_a_sentence(given: dict, sentence: str) -> None:
    arguments = {"model": nn.Sequential(LiftC4(1, 1), Pointwise(), ConvC4(1, 1)).double(), "images": images()} | given
    with pytest.raises(ValueError, match=sentence):
        lie_derivative(**arguments)

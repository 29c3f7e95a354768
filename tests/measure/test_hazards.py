"""What layers compute, known bad and known good: encodings, norms over the batch, vectors, strides under shifts."""

import pytest
import torch
from torch import nn

from workbench.measure import will_it_be_equivariant


class Table(nn.Module):
    """A learned number for each place, added to the map."""

    def __init__(self, constant: bool = False) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.ones(1, 2, 16, 16) if constant else torch.rand(1, 2, 16, 16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.table


class Tokens(nn.Module):
    """Patches with a position embedding, as in a vision transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.pos_embed = nn.Conv2d(1, 4, 4, 4), nn.Parameter(torch.rand(1, 16, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.patches(x).flatten(2).transpose(1, 2) + self.pos_embed).mean(1)


class Coordinates(nn.Module):
    """Two channels of coordinates beside the map, made on the spot."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        line = torch.linspace(-1, 1, x.shape[-1]).to(x)
        across = line.expand(len(x), 1, x.shape[-2], -1)
        return torch.cat([x, across], 1)


class OverTheBatch(nn.Module):
    """A norm that takes its statistics from the batch, also in evaluation."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.batch_norm(x, None, None, training=True)


class Functional(nn.Module):
    """A network that calls a function between its layers, which no hook sees."""

    def __init__(self, between, width: int = 1) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.between, self.first, self.last = between, nn.Conv2d(1, 4, 3, padding=1), nn.Linear(4, 3 * width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.between(self.first(x)).relu().mean((2, 3)))


class Remembering(nn.Module):
    """A network whose answer depends on the samples before, not on those beside."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.last = nn.Conv2d(1, 2, 3), None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer = self.conv(x).mean((2, 3))
        before, self.last = self.last, answer.mean(0)
        return answer if before is None else answer + before


def of_the_batch(x: torch.Tensor) -> torch.Tensor:
    return nn.functional.batch_norm(x, None, None, training=True)


def of_each(x: torch.Tensor) -> torch.Tensor:
    return nn.functional.instance_norm(x)


def by_chance(x: torch.Tensor) -> torch.Tensor:
    return nn.functional.dropout(x, 0.3, training=True)


class Field(nn.Module):
    """A map whose pairs of channels are vectors of the plane."""

    representation = "vector field"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        right = torch.roll(x, -1, -1) - torch.roll(x, 1, -1)
        up = torch.roll(x, 1, -2) - torch.roll(x, -1, -2)
        return torch.stack([right, up], 2).flatten(1, 2)


class Irreps(nn.Module):
    """A layer that says what it puts out as e3nn does."""

    def __init__(self, irreps_out: str) -> None:
        super().__init__()
        self.irreps_out = irreps_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class Wrapped(nn.Module):
    """Another class around a network."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)


def left_behind() -> nn.Module:
    """A network in evaluation mode, one norm of which is not."""
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.BatchNorm2d(2)).eval()
    net[1].train()
    return net


BAD = {
    "table of places": (nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), Table()), None, "1", "position encoding"),
    "embedding of tokens": (Tokens(), None, "model", "position encoding"),
    "coordinates as channels": (Coordinates(), None, "model", "coordinates"),
    "norm without running statistics": (
        nn.BatchNorm2d(1, track_running_stats=False), None, "model", "batch statistics",
    ),
    "batch statistics in training mode": (OverTheBatch(), None, "model", "batch statistics"),
    "batch statistics in a function": (Functional(of_the_batch), None, "model", "batch statistics"),
    "a mean over the batch": (Functional(lambda x: x - x.mean(0)), None, "model", "batch statistics"),
    "batch statistics, half precision": (Functional(of_the_batch).bfloat16(), None, "model", "batch statistics"),
    "one norm left in training mode": (left_behind(), None, "1", "training mode"),
    "pointwise on a vector field": (nn.Sequential(Field(), nn.ReLU()), None, "1", "vectors"),
    "pointwise on vectors of e3nn": (nn.Sequential(Irreps("4x0e+2x1o"), nn.Tanh()), None, "1", "irreps"),
    "aliasing stride": (nn.Conv2d(1, 1, 3, stride=2, padding=1), "Translation", "model", "aliasing"),
    "aliasing pooling": (nn.Sequential(nn.Conv2d(1, 1, 3), nn.MaxPool2d(2)), "Translation", "1", "aliasing"),
    "corners aligned": (
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), "Translation", "model", "corners",
    ),
    "flatten under shifts": (nn.Sequential(nn.Flatten(), nn.Linear(256, 2)), "Translation", "0", "flatten"),
    "stride on the plane": (nn.MaxPool2d(2), "R2xSO2", "model", "aliasing"),
    "wrapped": (Wrapped(nn.Sequential(Field(), nn.ReLU())), None, "inner.1", "vectors"),
}  # fmt: skip

GOOD = {
    "evaluation mode": (nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).eval(), None),
    "training mode as a whole": (nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).train(), None),
    "constant table": (nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), Table(constant=True)), None),
    "running statistics": (nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU()), None),
    "a function over each image": (Functional(of_each), None),
    "a function over each image, half precision": (Functional(of_each).bfloat16(), None),
    "chance is not the batch": (Functional(by_chance), None),
    "memory is not the batch": (Remembering(), None),
    "norm over each image": (nn.Sequential(nn.GroupNorm(1, 1), nn.InstanceNorm2d(1)), None),
    "function behind scalars of e3nn": (nn.Sequential(Irreps("4x0e"), nn.ReLU()), None),
    "function behind a regular signal": (nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), None),
    "stride one": (nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)), "Translation"),
    "corners aligned, only turned": (nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), None),
    "corners not aligned": (nn.Upsample(scale_factor=2, mode="bilinear"), "Translation"),
    "odd pooling is no matter of shifts": (nn.Conv2d(1, 1, (3, 5)), "Translation"),
    "wrapped": (Wrapped(nn.Conv2d(1, 2, 3, padding=1)), None),
    "a layer of its own without places": (Field(), None),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_n8_known_bad_is_named(name: str) -> None:
    model, group, module, rule = BAD[name]
    ds = will_it_be_equivariant(model, 16, group)
    assert list(zip(ds.module.values.tolist(), ds.rule.values.tolist(), strict=True)) == [(module, rule)]
    assert str(ds.fix.values[0])
    assert "1 finding(s)" in ds.attrs["summary"]


@pytest.mark.parametrize("name", GOOD)
def test_n8_known_good_is_silent(name: str) -> None:
    model, group = GOOD[name]
    assert will_it_be_equivariant(model, 16, group).rule.values.tolist() == []


@pytest.mark.parametrize(("between", "rules"), [(of_the_batch, ["batch statistics"]), (of_each, [])])
def test_dependence_on_the_batch_is_named_of_series_too(between, rules) -> None:
    class Series(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return between(x).relu().mean(2)

    assert will_it_be_equivariant(Series(), (2, 32), "Translation", "series").rule.values.tolist() == rules


def test_a_network_that_takes_one_sample_at_a_time_is_not_blamed() -> None:
    def single(x: torch.Tensor) -> torch.Tensor:
        assert len(x) == 1, "one image at a time"
        return x

    assert will_it_be_equivariant(Functional(single), 16).sizes["finding"] == 0


def test_a_norm_that_goes_back_to_training_is_named_while_it_runs() -> None:
    class Back(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.norm.train()
            return self.norm(x)

    net = Back().eval()
    ds = will_it_be_equivariant(net, 8)
    assert ds.rule.values.tolist() == ["training mode"]
    assert "goes back to train()" in str(ds.reason.values[0])
    assert will_it_be_equivariant(left_behind().eval(), 16).sizes["finding"] == 0

"""The table of features over angles: what its entries are, that a turn of the data moves them, and what is refused."""

import math

import pytest
import torch
from torch import nn

from tests.tolerances import AGAIN, EXACT
from workbench.actions import disc_mask, transform_image
from workbench.groups import SO2
from workbench.measure.data_features import layer_features, orbit_features


def pictures(count: int = 6, size: int = 9) -> torch.Tensor:
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_distances_in_the_table_are_those_of_the_turned_pictures():
    x = pictures()
    table = orbit_features(x, n_angles=24, components=81)
    inside = disc_mask(9, 9).bool()
    for n, m, e in ((0, 1, 0), (2, 3, 5), (4, 5, 23)):
        turn = torch.tensor([2 * math.pi * e / 24], dtype=torch.float64)
        turned = transform_image(x[m], turn, SO2(), padding="border")
        expected = (x[n][:, inside] - turned[:, inside]).norm()
        found = (table.values[n, 0] - table.values[m, e]).norm()
        assert abs(float(found / expected) - 1) <= EXACT[torch.float32]
    assert table.attrs["variance_kept"] == pytest.approx(1, rel=AGAIN)


def test_fewer_components_keep_the_most_of_the_variance_and_say_how_much():
    kept = [orbit_features(pictures(), n_angles=24, components=k).attrs["variance_kept"] for k in (2, 8, 32)]
    assert 0 < kept[0] < kept[1] < kept[2] < 1


def test_more_features_than_turned_pictures_keep_their_distances_in_fewer_components():
    x = pictures(2, 24)
    table = orbit_features(x, n_angles=24, components=60)
    assert table.values.shape[-1] <= 2 * 24
    assert table.attrs["variance_kept"] == pytest.approx(1, rel=AGAIN)
    apart = (x[0] - x[1])[:, disc_mask(24, 24).bool()].norm()
    # The directions come from angles between those of the table.
    assert 0.5 < float((table.values[0, 0] - table.values[1, 0]).norm() / apart) <= 1


def test_turning_the_data_by_steps_of_the_grid_moves_the_rows():
    x = pictures()
    table = orbit_features(x, n_angles=24, components=81)
    steps = torch.tensor([6, 12, 18, 0, 6, 12])
    quarter = torch.stack([torch.rot90(one, int(s) // 6, (-2, -1)) for one, s in zip(x, steps, strict=True)])
    again = orbit_features(quarter, n_angles=24, components=81).values
    moved = table.turned(steps).values
    some = (0, 1, 7, 20)
    for e in some:
        expected = torch.cdist(again[:, e], again[:, e])
        assert float((torch.cdist(moved[:, e], moved[:, e]) - expected).abs().max()) < 1e-4 * float(expected.max())


def test_a_round_trip_is_the_turn_there_and_back_and_differs_by_its_way():
    table = orbit_features(pictures(), n_angles=24, round_trip_deg=(60.0, 180.0))
    assert table.round_trips.shape[:3] == (6, 2, 2)
    exact = table.round_trips[:, 1]  # half of it is a quarter turn: no resampling at all
    assert float((exact[:, 0] - exact[:, 1]).abs().max()) == 0
    assert float((exact[:, 0] - table.values[:, 0]).abs().max()) < 1e-5
    assert float((table.round_trips[:, 0, 0] - table.values[:, 0]).abs().max()) > 1e-2


def test_a_callable_is_asked_for_its_features_and_pixels_are_the_same_as_flattening():
    ours = orbit_features(pictures(), "pixels", n_angles=24, mask="none").values
    theirs = orbit_features(pictures(), lambda x: x.flatten(1), n_angles=24, mask="disc").values
    assert torch.equal(ours, theirs)


def test_r24_a_network_asked_for_a_layer_is_left_as_it_was():
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(147, 2)).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    features = layer_features(net, "2")
    table = orbit_features(pictures().float(), features, n_angles=24)
    assert table.values.shape == (6, 24, 3)
    assert table.attrs["features"] == "Sequential, 2"
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())
    orbit_features(pictures().float(), net, n_angles=24)
    assert net.training


class Blind(nn.Module):
    """Owns a layer that it never calls."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Flatten()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"images": torch.zeros(4, 1, 8, 3)}, "expected sides of 4 pixels or more"),
        ({"images": torch.zeros(4, 1, 8, 8).int()}, "use images.float"),
        ({"images": torch.full((4, 1, 8, 8), math.nan)}, "NaN"),
        ({"images": torch.zeros(6000, 1, 4, 4)}, "at most 5000"),
        ({"features": "penultimate"}, "expected one of 'pixels'"),
        ({"features": lambda x: {"a": x}}, "features gave dict"),
        ({"features": lambda x: x[:1].flatten(1)}, "features gave 2 rows for 24 images|features gave 1 rows"),
        ({"features": lambda x: x.flatten(1) / 0}, "not finite"),
        ({"n_angles": 36}, "multiple of 24"),
        ({"n_angles": 2.5}, "whole number"),
        ({"components": 1}, "whole number from 2"),
        ({"mask": "star"}, "expected one of 'disc'"),
        ({"features": layer_features(Blind(), "unused")}, "did not run"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(given, match):
    images = given.pop("images", torch.ones(4, 1, 8, 8))
    with pytest.raises(ValueError, match=match):
        orbit_features(images, **{"n_angles": 24, **given})


def test_a_layer_that_is_not_there_is_named_beside_those_that_are():
    with pytest.raises(ValueError, match=r"'head' was given; .* it has unused"):
        layer_features(Blind(), "head")
    with pytest.raises(TypeError, match="features = int"):
        orbit_features(pictures(), 3)

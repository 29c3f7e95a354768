"""Finite symmetries of data: their elements, which sets have them, how often the tests err, what is refused."""

import math

import numpy as np
import pytest
import torch

from tests.tolerances import EXACT, FALSE_POSITIVES
from workbench.actions import transform_image
from workbench.datasets import load
from workbench.groups import O2
from workbench.measure.data_features import orbit_features
from workbench.measure.data_subgroups import subgroups
from workbench.measure.data_symmetry import data_symmetry
from workbench.measure.two_sample import energy_test, orbit_test

TURN = {"resampler": "bicubic", "padding": "border"}
FAST = {"n_angles": 24, "permutations": 999, "resamples": 0, "power_repeats": 0}
ALPHA = 0.05


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def asked(name: str, x: torch.Tensor) -> list[torch.Tensor]:
    (one,) = subgroups([name], *x.shape[-2:], TURN)
    sides = one.sides(x)
    assert len(sides) == one.order
    return sides


def verdicts(images: torch.Tensor, names: list[str] | None = None, **more) -> dict[str, bool]:
    ds = data_symmetry(images, subgroups=names, **{**FAST, **more})
    return dict(zip(ds["question"].values.tolist(), ds["element_rejected"].values[0].tolist(), strict=True))


@pytest.mark.parametrize("axis", [0, 45, 90, 135, 180, -45])
def test_a_mirror_is_the_reflection_of_the_plane_at_that_axis(axis):
    """As O(2) names it: the mirror left to right after a turn; at axis A it is the turn by 2 A after top to bottom."""
    x = noise(2, 1, 8, 8)
    element = torch.tensor([math.radians(180 - 2 * axis), -1.0], dtype=torch.float64)
    expected = torch.stack([transform_image(one, element, O2()) for one in x])
    assert torch.equal(asked(f"mirror {axis}", x)[1], expected)
    assert not torch.equal(asked(f"mirror {axis}", x)[1], asked(f"mirror {axis + 90}", x)[1])


def test_a_mirror_between_pixels_is_an_exact_mirror_of_the_picture_turned_to_its_axis():
    x = noise(2, 1, 9, 9)
    upright, mirrored = asked("mirror 30", x)
    assert torch.equal(mirrored, upright.flip(-2))
    turn = torch.tensor([math.radians(-30), 1.0], dtype=torch.float64)
    expected = transform_image(x[0], turn, O2(), padding="border")
    assert torch.allclose(upright[0], expected, rtol=0, atol=EXACT[torch.float32])


@pytest.mark.parametrize(
    ("name", "order"), [("C2", 2), ("C4", 4), ("D2", 4), ("D4", 8), ("shift 2 0", 4), ("shift 2 4", 4)]
)
def test_the_elements_of_a_subgroup_are_closed_and_all_different(name, order):
    x = noise(1, 1, 8, 8)
    sides = asked(name, x)
    assert len(sides) == order
    assert torch.equal(sides[0], x)
    again = [side for one in sides for side in asked(name, one)]
    for side in again:
        assert sum(torch.equal(side, one) for one in sides) == 1


def test_a_shift_goes_to_the_right_and_up():
    x = torch.zeros(1, 1, 4, 6)
    x[..., 3, 0] = 1
    assert float(asked("shift 2 1", x)[1][0, 0, 2, 2]) == 1


def test_oblong_pictures_are_asked_what_keeps_their_frame():
    assert [one.name for one in subgroups(None, 8, 12, TURN)] == ["left-right", "top-bottom", "C2", "D2"]
    assert [one.name for one in subgroups(None, 8, 8, TURN)] == ["left-right", "top-bottom", "C4", "D4"]


def lit_from(side: str, count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    """Noise whose one side is brighter."""
    x = noise(count, 1, height, width, seed=seed)
    across, down = torch.linspace(-1, 1, width), torch.linspace(1, -1, height)[:, None]
    return x + {"right": across, "top": down, "nowhere": 0.0}[side]


@pytest.mark.parametrize(("side", "expected"), [
    ("right", [True, False, True, True]), ("top", [False, True, True, True]), ("nowhere", [False] * 4),
])  # fmt: skip
def test_oblong_pictures_are_the_same_under_what_their_light_allows(side, expected):
    found = verdicts(lit_from(side, 80, 10, 14), ["left-right", "top-bottom", "C2", "D2"])
    assert list(found.values()) == expected


def test_turns_of_oblong_pictures_are_asked_on_the_centred_disc():
    """What lies outside of it, here a bright frame, has no say."""
    ds = data_symmetry(lit_from("top", 80, 10, 14), **FAST)
    assert bool(ds["rejected"][0])
    framed = noise(80, 1, 10, 18)
    framed[..., :, :2], framed[..., :, -2:] = 5.0, -5.0
    assert not bool(data_symmetry(framed, **FAST)["rejected"][0])


def test_a_texture_is_the_same_shifted_around_its_frame_and_a_lit_one_is_not():
    shifted = ["shift 4 0", "shift 0 4"]
    assert verdicts(noise(80, 1, 8, 8), shifted) == {"shift 4 0": False, "shift 0 4": False}
    assert verdicts(lit_from("right", 80, 8, 8), shifted) == {"shift 4 0": True, "shift 0 4": False}


def test_a_set_of_sixes_and_their_mirror_images_is_the_same_flipped_and_neither_class_is():
    data = load("6-mirror")
    images, labels = data.splits["train"]
    ds = data_symmetry(images, labels, classes=data.classes, subgroups=["left-right"], **FAST)
    assert ds["element_rejected"].values[:, 0].tolist() == [False, True, True]
    assert bool(ds["rejected"].all())


def test_a_set_of_sixes_upright_and_upside_down_is_the_same_under_half_turns_only():
    data = load("6-180")
    images, _ = data.splits["train"]
    found = verdicts(images, ["C2", "C4", "left-right"])
    assert found == {"C2": False, "C4": True, "left-right": True}


def test_white_noise_has_a_mirror_at_any_axis_although_turning_to_it_blurs():
    """The negative control: held against pictures that nobody turned, noise would be called asymmetric."""

    def roughness(x: torch.Tensor) -> torch.Tensor:
        return torch.stack([x.diff(dim=d).square().mean((1, 2, 3)) for d in (-1, -2)], 1)

    x = noise(120, 1, 10, 10)
    upright, mirrored = (roughness(side) for side in asked("mirror 30", x))
    generator = torch.Generator().manual_seed(0)
    assert energy_test(roughness(x)[:60], mirrored[60:], 199, generator).p_value <= 0.01
    assert energy_test(upright[:60], mirrored[60:], 199, generator).p_value > 0.01
    assert verdicts(x, ["mirror 30"], features=roughness) == {"mirror 30": False}


def test_the_rate_of_false_rejections_is_alpha():
    hits = []
    for seed in range(600):
        x = noise(16, 3, seed=seed)
        generator = torch.Generator().manual_seed(seed)
        hits.append(orbit_test(torch.stack([x, -x], 1), 99, generator).p_value <= ALPHA)
    assert abs(np.mean(hits) - ALPHA) <= FALSE_POSITIVES


def test_the_rate_is_seen_to_be_wrong_where_the_copies_are_blurred_more_than_the_data():
    hits = []
    for seed in range(100):
        x = noise(30, 3, seed=seed)
        hits.append(orbit_test(torch.stack([x, -0.1 * x], 1), 99, torch.Generator().manual_seed(seed)).p_value <= ALPHA)
    assert abs(np.mean(hits) - ALPHA) > FALSE_POSITIVES


def test_the_statistic_is_the_energy_coefficient_of_data_and_their_copies():
    values = noise(7, 3, 2).double()
    flat, own = values.flatten(0, 1), values[:, 0]

    def mean(x, y):
        return np.mean([float((p - q).norm()) for p in x for q in y])

    expected = (2 * mean(own, flat) - mean(own, own) - mean(flat, flat)) / (2 * mean(own, flat))
    found = orbit_test(values.float(), 19, torch.Generator().manual_seed(0)).distance
    assert found == pytest.approx(expected, rel=1e-5)


def test_as_many_pictures_as_are_said_to_be_needed_show_the_difference_about_every_second_time():
    """A weak light from the right, and as many pictures as a first look says; a tenth of them show it rarely."""

    def weak(count: int, seed: int) -> torch.Tensor:
        return noise(count, 1, 8, 8, seed=seed) + 0.12 * torch.linspace(-1, 1, 8)

    def seen(count: int) -> float:
        hits = []
        for seed in range(1, 25):
            table = orbit_features(weak(count, seed), n_angles=24, asked=["left-right"], components=64)
            test = orbit_test(table.sides[0], 299, torch.Generator().manual_seed(seed))
            hits.append(test.p_value <= ALPHA / 7)
        return float(np.mean(hits))

    ds = data_symmetry(weak(400, 0), subgroups=["left-right"], **FAST)
    needed = float(ds["element_needed"][0, 0])
    assert 20 < needed < 2000
    assert 0.1 <= seen(int(needed)) <= 0.95
    assert seen(max(8, int(needed / 8))) < 0.35


def test_power_grows_with_the_pictures_and_parts_are_counted():
    images = load("digits").splits["train"][0][:120]
    ds = data_symmetry(images, **{**FAST, "permutations": 499, "power_repeats": 8, "resamples": 20})
    assert ds["part_pictures"].values[0].tolist() == [30, 60, 90, 120]
    assert ds["element_power"].dims == ("class", "question", "part")
    mean = ds["element_power"].values[0, :, :3].mean(0)
    assert mean[0] <= mean[2]
    assert np.isfinite(ds["arc_reach_deg"].values).all()


def test_holm_goes_over_turns_and_subgroups_of_all_classes_together():
    x = noise(60, 1, 8, 8)
    ds = data_symmetry(x, torch.arange(60) % 2, **{**FAST, "permutations": None})
    assert ds.attrs["permutations"] >= 3 * (6 + 4) / 0.05 - 1
    assert bool((ds["element_p_holm"] >= ds["element_p"]).all())
    assert not bool(ds["element_rejected"].any())


@pytest.mark.parametrize(
    ("names", "shape", "match"),
    [
        (["C4"], (8, 10), "'C4' was given for pictures of 8 x 10; .* use C2"),
        (["turns"], (8, 8), "subgroups has 'turns'; expected 'left-right'"),
        (["mirror x"], (8, 8), "subgroups has 'mirror x'"),
        (["shift 1.5 0"], (8, 8), "subgroups has 'shift 1.5 0'"),
        (["shift 0 0"], (8, 8), "leads back after 1 steps"),
        (["shift 1 1"], (37, 64), "leads back after 2368 steps, expected 2 to 32"),
        (["C2", "C2"], (8, 8), "a list of different names"),
        ("C2", (8, 8), "a list of different names"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_sentence(names, shape, match):
    with pytest.raises(ValueError, match=match):
        data_symmetry(noise(12, 1, *shape), subgroups=names, **FAST)

"""Derived sets: exact transformations, honest splits, the angles they say."""

import math

import pytest
import torch

from tests.tolerances import EXACT
from workbench.actions import transform_image
from workbench.datasets import ImageSet, derived, load
from workbench.datasets.digits import digit_pixels, raw_digits
from workbench.datasets.image_set import SPLITS, Pixels, PixelSet, split_in_groups
from workbench.groups import SO2

DERIVED = ("6-180", "6-mirror", "digits-rotated", "digits-upright", "digits-interval")


def _shared_originals(image_set: ImageSet | PixelSet) -> int:
    """How many originals are in more than one split."""
    if isinstance(image_set, PixelSet):
        image_set = image_set.standardised()
    owners = [set(image_set.origin[s].tolist()) for s in SPLITS]
    return sum(len(owners[a] & owners[b]) for a, b in ((0, 1), (0, 2), (1, 2)))


@pytest.mark.parametrize("source", ["digits", "glyphs"])
@pytest.mark.parametrize("name", DERIVED)
def test_no_original_is_in_two_splits(name: str, source: str) -> None:
    assert _shared_originals(load(name, source=source)) == 0


def test_the_check_catches_a_split_made_after_doubling() -> None:
    whole = digit_pixels().splits["train"]
    six = whole.take((whole.labels == 6).nonzero().flatten())
    zero = torch.zeros_like(six.labels)
    doubled = Pixels(
        torch.cat([six.images, torch.rot90(six.images, 2, (-2, -1))]),
        torch.cat([zero, zero + 1]),
        six.origin.repeat(2),
        torch.zeros(2 * len(zero)),
    )
    parts = split_in_groups(doubled.labels, (0.56, 0.14, 0.30), 0)
    leaky = PixelSet("leaky", {s: doubled.take(i) for s, i in parts.items()}, ("6", "other"), {"transform": ""})
    assert _shared_originals(leaky) > 0


@pytest.mark.parametrize("name", ["6-180", "6-mirror"])
def test_no_training_picture_is_a_turned_or_mirrored_test_picture(name: str) -> None:
    # Does not trust `origin`: compares pixels, under every exact symmetry the sets use.
    raw = load(name)
    train = {image.numpy().tobytes() for image in raw.splits["train"][0]}
    for image in raw.splits["test"][0]:
        for twin in (image, image.rot90(2, (-2, -1)), image.flip(-1)):
            assert twin.contiguous().numpy().tobytes() not in train


@pytest.mark.parametrize("rotate_deg", [0, 30])
def test_class_1_of_6_180_is_class_0_turned_by_exactly_180_degree(rotate_deg: float) -> None:
    for images, labels in load("6-180", rotate_deg=rotate_deg).splits.values():
        assert torch.equal(images[labels == 1], images[labels == 0].flip(-2, -1))


def test_class_1_of_6_mirror_is_class_0_mirrored_left_to_right() -> None:
    for images, labels in load("6-mirror").splits.values():
        assert torch.equal(images[labels == 1], images[labels == 0].flip(-1))
        assert not torch.equal(images[labels == 1], images[labels == 0].flip(-2)), "up-down is another mirror"


def test_6_180_has_the_counts_of_the_paper_sized_protocol() -> None:
    sizes = {s: len(labels) for s, (_, labels) in load("6-180").splits.items()}
    assert sizes == {"train": 202, "validation": 50, "test": 110}
    assert sizes["train"] + sizes["validation"] == 252


@pytest.mark.parametrize("source", ["digits", "glyphs"])
def test_6_180_holds_sixes_only(source: str) -> None:
    base, six = load(source), load("6-180", source=source)
    label = base.classes.index("6")
    for split in SPLITS:
        origin = six.origin[split][six.splits[split][1] == 0]
        expected = base.origin[split][base.splits[split][1] == label]
        assert torch.equal(origin, expected)


@pytest.mark.parametrize("name", ["digits-rotated", "digits-interval"])
def test_each_image_is_its_original_turned_by_the_angle_stated(name: str) -> None:
    turned, upright = load(name), load("digits-upright")
    for split in SPLITS:
        before = upright.pixels(upright.splits[split][0])
        after = turned.pixels(turned.splits[split][0])
        for k in range(0, len(before), 50):
            element = turned.angle_rad[split][k : k + 1]
            expected = transform_image(before[k], element, SO2(), resampler="bilinear")
            assert (after[k] - expected).abs().max() <= EXACT[torch.float32]
            wrong = transform_image(before[k], -element, SO2(), resampler="bilinear")
            assert (after[k] - wrong).abs().max() > EXACT[torch.float32], "the wrong sign must be noticed"


def test_rotated_angles_fill_the_circle_evenly() -> None:
    angle = torch.cat(list(load("digits-rotated").angle_rad.values()))
    assert angle.abs().max() <= math.pi
    counts = torch.histc(angle, 8, -math.pi, math.pi)
    expected = len(angle) / 8
    # 1,797 angles in 8 bins: five standard deviations of a binomial count.
    assert (counts - expected).abs().max() <= 5 * math.sqrt(expected)


def test_upright_is_the_source_unchanged_and_in_the_same_split() -> None:
    upright, base, rotated = load("digits-upright"), load("digits"), load("digits-rotated")
    for split in SPLITS:
        assert torch.equal(upright.splits[split][0], base.splits[split][0])
        assert torch.equal(upright.origin[split], rotated.origin[split])


def test_copies_multiply_training_images_only_and_leave_the_others_as_they_were() -> None:
    one, three = load("digits-rotated"), load("digits-rotated", copies=3)
    assert len(three.splits["train"][1]) == 3 * len(one.splits["train"][1])
    assert _shared_originals(three) == 0
    for split in ("validation", "test"):
        assert torch.equal(three.angle_rad[split], one.angle_rad[split])


def test_each_class_of_interval_stays_within_its_own_width() -> None:
    widths = {"0": 0, "1": 10, "6": 45}
    image_set = load("digits-interval", half_widths_deg=widths, otherwise_deg=90)
    labels = torch.cat([labels for _, labels in image_set.splits.values()])
    angle_deg = torch.cat(list(image_set.angle_rad.values())).rad2deg().abs()
    for name in image_set.classes:
        width = widths.get(name, 90)
        largest = float(angle_deg[labels == int(name)].max())
        assert 0.9 * width <= largest <= width * (1 + EXACT[torch.float32])


def test_a_class_of_width_0_is_not_touched() -> None:
    base, still = load("digits"), load("digits-interval", half_widths_deg={"0": 0})
    before, after = (s.pixels(s.splits["test"][0][s.splits["test"][1] == 0]) for s in (base, still))
    assert (before - after).abs().max() <= EXACT[torch.float32]


def test_numbers_are_accepted_as_class_names() -> None:
    by_number, by_name = (load("digits-interval", half_widths_deg={key: 5}) for key in (3, "3"))
    assert torch.equal(by_number.angle_rad["train"], by_name.angle_rad["train"])


def test_6_180_angles_stay_within_the_rotation_asked() -> None:
    image_set = load("6-180", rotate_deg=15)
    for split, (_, labels) in image_set.splits.items():
        angle = image_set.angle_rad[split] - labels * math.pi
        assert angle.abs().max() <= math.radians(15) * (1 + EXACT[torch.float32])
        assert angle.abs().max() > math.radians(10)


def test_the_same_call_gives_the_same_images() -> None:
    for name in DERIVED:
        first, again = load(name).splits, load(name).splits
        assert all(torch.equal(first[s][0], again[s][0]) for s in SPLITS)


def test_short_names_load_the_same_sets() -> None:
    assert torch.equal(load("rotated").splits["test"][0], load("digits-rotated").splits["test"][0])


def radius(images: torch.Tensor) -> torch.Tensor:
    """Root mean square distance of the ink from the centre of the frame, in pixels."""
    line = torch.arange(images.shape[-1]) - (images.shape[-1] - 1) / 2
    square = line.square() + line.square()[:, None]
    return ((images[:, 0] * square).sum((-2, -1)) / images[:, 0].sum((-2, -1))).sqrt()


def test_rotated_and_scaled_digits_are_their_originals_in_one_resampling() -> None:
    size, upright = 32, {"smallest": 1, "largest": 1, "rotate_deg": 0}
    posed, still = derived.rotated_scaled(size=size), derived.rotated_scaled(size=size, **upright)
    for split in SPLITS:
        assert torch.equal(posed.splits[split].origin, still.splits[split].origin)
        ratio = radius(posed.splits[split].images) / radius(still.splits[split].images)
        assert 0.48 < float(ratio.min()) < 0.55
        assert 0.93 < float(ratio.max()) < 1.03  # a corner may leave the frame
        share = (ratio.log2() + 1).clamp(0, 1)
        assert abs(float((share < 0.5).float().mean()) - 0.5) < 0.1, "even in the logarithm"
    base, turned = still.splits["test"].images[:20], posed.splits["test"].take(torch.arange(20))
    small = derived._posed(base, torch.zeros(20), radius(turned.images) / radius(base), size)
    for sign in (1, -1):
        pairs = zip(turned.images, turned.angle_rad, strict=True)
        back = torch.stack([transform_image(x, sign * -a[None], SO2(), resampler="bilinear") for x, a in pairs])
        error = float((back - small).norm() / small.norm())
        assert (error < 0.2) == (sign == 1), "the wrong sign must be noticed"


def test_quarter_turns_of_posed_digits_are_exact_and_scaling_keeps_the_ink_per_area() -> None:
    raw, share = raw_digits()[0][:20], torch.full((20,), 0.7)
    still, quarter = (derived._posed(raw, torch.full((20,), a), share, 48) for a in (0.0, math.pi / 2))
    assert (quarter - still.rot90(1, (-2, -1))).abs().max() <= 4 * EXACT[torch.float32]
    half = derived._posed(raw, torch.zeros(20), share / 2, 48)
    assert float(still.sum() / half.sum()) == pytest.approx(4, rel=0.02)


def test_the_partners_of_rotated_and_scaled_digits_share_splits_and_the_bounds_are_said() -> None:
    posed = load("digits-rotated-scaled")
    turned = load("digits-rotated-scaled", smallest=1, largest=1)
    for split in SPLITS:
        assert torch.equal(posed.origin[split], turned.origin[split])
        assert torch.equal(posed.angle_rad[split], turned.angle_rad[split])
        assert posed.splits[split][1].equal(turned.splits[split][1])
    assert posed.attrs["factors_train"] == posed.attrs["factors_test"] == [0.5, 1.0]
    assert turned.attrs["factors_train"] == [1.0, 1.0]
    assert _shared_originals(posed) == 0


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("digits-rotated-scaled", {"smallest": 0.01}, r"smallest must lie in \[0.1, 2\]"),
        ("digits-rotated-scaled", {"largest": "1"}, "largest must be a factor"),
        ("digits-rotated-scaled", {"smallest": 1.5}, "smallest = 1.5 was given with largest = 1; expected at most"),
        ("digits-rotated-scaled", {"rotate_deg": 200}, "rotate_deg must lie in"),
        ("6-180", {"source": "cifar10"}, "source must be one of digits, glyphs, mnist"),
        ("6-180", {"rotate_deg": -1}, r"rotate_deg must lie in \[0, 180\]"),
        ("6-180", {"rotate_deg": float("nan")}, "rotate_deg must lie in"),
        ("6-180", {"rotate_deg": "45"}, "must be a number of degrees"),
        ("6-180", {"source": "glyphs", "characters": "capitals"}, "has no class '6'"),
        ("6-180", {"seed": -3}, "seed must lie in"),
        ("digits-rotated", {"copies": 0}, "copies must be a whole number"),
        ("digits-interval", {"half_widths_deg": {"x": 3}}, "names no class of 'digits'"),
        ("digits-interval", {"half_widths_deg": [1]}, "must map class names"),
        ("digits-interval", {"half_widths_deg": {"1": 999}}, r"half_widths_deg\['1'\] must lie in"),
    ],
)
def test_bad_options_are_explained(name: str, options: dict, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        load(name, **options)

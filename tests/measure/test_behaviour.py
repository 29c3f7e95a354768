"""How outputs move: each kind on a model whose symmetry is known, and on a twin with a wrong convention."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.tolerances import AGAIN, EXACT, SEPARATION
from workbench.actions import smooth, transform_image
from workbench.groups import O2, SO2, C, D, Plane, Scale, Translation
from workbench.measure import Behaviour, equivariance_error, infer_behaviour, inference, parse_behaviour
from workbench.measure.behaviour import choose

TIGHT = EXACT[torch.float64]


def images(height: int = 9, width: int | None = None, channels: int = 1, count: int = 4) -> Tensor:
    shape = (count, channels, height, height if width is None else width)
    return torch.rand(*shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def mass_centre(x: Tensor) -> Tensor:
    """The centre of mass in pixels from the centre, x right, y up: ``(B, 1, 2)``."""
    height, width = x.shape[-2:]
    weight = x.sum(1)
    total = weight.sum((1, 2))
    column = (weight * torch.arange(width).to(x)).sum((1, 2)) / total - (width - 1) / 2
    row = (weight * torch.arange(height).to(x).unsqueeze(-1)).sum((1, 2)) / total - (height - 1) / 2
    return torch.stack([column, -row], -1).unsqueeze(1)


def in_frame(points: Tensor, frame: str, height: int, width: int) -> Tensor:
    column, row = points[..., 0] + (width - 1) / 2, (height - 1) / 2 - points[..., 1]
    x, y = {
        "centre": (points[..., 0], points[..., 1]),
        "indices": (column, row),
        "pixels": (column + 0.5, row + 0.5),
        "unit": ((column + 0.5) / width, (row + 0.5) / height),
        "signed": ((2 * column + 1) / width - 1, (2 * row + 1) / height - 1),
    }[frame]
    return torch.stack([x, y], -1)


FRAMES = ("centre", "pixels", "indices", "unit", "signed")


def key_points(frame: str):
    return lambda x: in_frame(mass_centre(x), frame, *x.shape[-2:])


def box(frame: str, layout: str = "xyxy"):
    """A box around the centre of mass, wider than high or higher than wide as the picture's spread is."""

    def model(x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        centre = mass_centre(x)
        reach = torch.stack([mass_spread(x, -1), mass_spread(x, -2)], -1).unsqueeze(1)
        a, b = (in_frame(centre + sign * reach, frame, height, width) for sign in (-1, 1))
        low, high = torch.minimum(a, b), torch.maximum(a, b)
        parts = {"xyxy": (low, high), "xywh": (low, high - low), "cxcywh": ((low + high) / 2, high - low)}[layout]
        return torch.cat(parts, -1)

    return model


def mass_spread(x: Tensor, dim: int) -> Tensor:
    place = torch.arange(x.shape[dim]).to(x) - (x.shape[dim] - 1) / 2
    place = place if dim == -1 else place.unsqueeze(-1)
    return (x.sum(1) * place.square()).sum((1, 2)).sqrt()


def gradient(x: Tensor) -> Tensor:
    """Central differences, (x, y) with y up: a vector field that turns with the picture."""
    wide = torch.nn.functional.pad(x, (1, 1, 1, 1), mode="replicate")
    right = wide[..., 1:-1, 2:] - wide[..., 1:-1, :-2]
    up = wide[..., :-2, 1:-1] - wide[..., 2:, 1:-1]
    return torch.cat([right, up], 1)


@pytest.mark.parametrize("group", [C(4), D(4), Plane(D(4))], ids=str)
@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("size", [8, 9])
def test_key_points_in_each_frame_move_with_the_picture(group, frame: str, size: int) -> None:
    ds = equivariance_error(key_points(frame), images(size), group, output=f"key points in {frame}")
    assert float(ds.error.max()) <= TIGHT
    assert ds.attrs["output"] == f"key points in {frame}"
    assert bool((ds.output_floor == 0).all())


@pytest.mark.parametrize("wrong", [frame for frame in FRAMES if frame != "pixels"])
def test_key_points_read_in_another_frame_are_caught(wrong: str) -> None:
    ds = equivariance_error(key_points(wrong), images(), "C(4)", output="key points in pixels")
    assert float(ds.error.isel(transform=1).max()) > SEPARATION * TIGHT


def test_half_a_pixel_between_pixels_and_indices_is_half_a_pixel_of_error() -> None:
    ds = equivariance_error(key_points("indices"), images(), C(2), output="key points in pixels", form="absolute")
    half = ds.error.isel(transform=1)
    assert np.allclose(half, 1.0, rtol=AGAIN, atol=AGAIN), "half a pixel off on both sides of a half turn"


def test_a_wrong_sign_of_rotation_in_key_points_is_caught() -> None:
    def mirrored(x: Tensor) -> Tensor:
        return mass_centre(x) * torch.tensor([1.0, -1.0], dtype=x.dtype)

    ds = equivariance_error(mirrored, images(), "C(4)", output="key points in centre")
    assert float(ds.error.isel(transform=1).min()) > 0.1


@pytest.mark.parametrize("layout", ["xyxy", "xywh", "cxcywh"])
@pytest.mark.parametrize("frame", FRAMES)
def test_boxes_move_exactly_at_quarter_turns_and_mirrors(frame: str, layout: str) -> None:
    ds = equivariance_error(box(frame, layout), images(), D(4), output=f"boxes {layout} in {frame}")
    assert float(ds.error.max()) <= TIGHT
    assert bool(ds.exact.all())


def test_boxes_of_another_layout_are_caught() -> None:
    ds = equivariance_error(box("pixels", "cxcywh"), images(), D(4), output="boxes xyxy in pixels")
    assert float(ds.error.max()) > 0.1


def test_boxes_between_quarter_turns_have_a_floor_because_upright_boxes_grow() -> None:
    elements = torch.tensor([[math.pi / 2], [math.pi / 5]], dtype=torch.float64)
    ds = equivariance_error(box("pixels"), images(), "SO2", elements, output="boxes in pixels")
    assert ds.exact.values.tolist() == [[True, False]]
    assert float(ds.output_floor_mean.values[0, 0]) == 0 < float(ds.output_floor_mean.values[0, 1])


@pytest.mark.parametrize("group", [C(4), D(4)], ids=str)
def test_a_gradient_is_a_vector_field_and_not_two_pictures(group) -> None:
    field = equivariance_error(gradient, images(), group, output="vector field", mask="none")
    pictures = equivariance_error(gradient, images(), group, output="image", mask="none")
    assert float(field.error.max()) <= TIGHT < 0.1 < float(pictures.error.max())


def test_a_field_with_y_downwards_is_another_field() -> None:
    def downwards(x: Tensor) -> Tensor:
        return gradient(x) * torch.tensor([1.0, -1.0], dtype=x.dtype).view(1, 2, 1, 1)

    right = equivariance_error(downwards, images(), "C(4)", output="vector field in pixels", mask="none")
    wrong = equivariance_error(downwards, images(), "C(4)", output="vector field", mask="none")
    assert float(right.error.max()) <= TIGHT < 0.1 < float(wrong.error.max())


def test_a_field_off_the_lattice_stays_near_its_floor_on_smooth_pictures() -> None:
    x = smooth(images(33), 3.0)
    elements = torch.tensor([[math.pi / 4]], dtype=torch.float64)
    ds = equivariance_error(gradient, x, "SO2", elements, output="vector field", mask="centre")
    pictures = equivariance_error(gradient, x, "SO2", elements, output="image", mask="centre")
    assert 10 * float(ds.error.max()) < float(pictures.error.min())
    assert float(ds.output_floor_mean.squeeze()) > 0


def test_a_segmentation_may_be_scores_or_labels() -> None:
    def scores(x: Tensor) -> Tensor:
        return torch.cat([x, x.square(), 0.3 - x], 1)

    for model in (scores, lambda x: scores(x).argmax(1)):
        ds = equivariance_error(model, images(), D(4))
        assert ds.attrs["output"] == "image"
        assert float(ds.error.max()) == 0
    shifted = equivariance_error(lambda x: scores(x).argmax(1).roll(1, -1), images(), C(4), mask="none")
    share = float(shifted.error.isel(transform=2).max()) ** 2 / 2  # relative L2 of labels: sqrt(2 x share that differs)
    assert 0 < share <= 1


def test_the_share_of_changed_labels_is_half_the_square_of_the_error() -> None:
    def one_pixel(x: Tensor) -> Tensor:
        labels = torch.zeros(len(x), 4, 4, dtype=torch.long)
        labels[:, 0, 0] = 1
        return labels

    ds = equivariance_error(one_pixel, images(4), C(4), mask="none")
    turned, twice = ds.error.isel(transform=1), math.sqrt(2 * 2 / 16)
    assert np.allclose(turned, twice, rtol=AGAIN, atol=AGAIN), "the corner differs twice: there and here"


def test_hard_class_decisions_count_changed_samples() -> None:
    def decide(x: Tensor) -> Tensor:
        return (x[:, 0, 0, 0] > x[:, 0, -1, -1]).long()

    ds = equivariance_error(decide, images(count=16), C(2))
    assert set(np.unique(ds.error.isel(transform=1)).round(6)) == {round(math.sqrt(2), 6)}


@pytest.mark.parametrize(("height", "width"), [(8, 12), (9, 12), (13, 7)])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_oblong_pictures_of_any_channels_are_measured(height: int, width: int, channels: int) -> None:
    x = images(height, width, channels)
    ds = equivariance_error(torch.nn.Identity(), x, "SO2", n_elements=9)
    assert ds.lattice.values.tolist() == [k % 4 == 0 for k in range(9)]
    assert float(ds.error.max()) == 0
    points = equivariance_error(key_points("unit"), x, D(2), output="key points in unit")
    assert float(points.error.max()) <= TIGHT
    assert float(equivariance_error(box("unit"), x, D(2), output="boxes in unit").error.max()) <= TIGHT


def test_a_shift_leaves_out_what_the_padding_invents() -> None:
    conv = torch.nn.Conv2d(1, 2, 3, padding=1).double()
    shift = torch.tensor([[2.0, 0.0], [0.0, -1.0]], dtype=torch.float64)

    def error(**options) -> float:
        return float(equivariance_error(conv, images(), Translation(), shift, **options).error.max())

    assert error(mask="overlap", margin=1.0) <= TIGHT
    assert error(mask="overlap") > 0.01  # its border sees one pixel of what was invented
    assert error(mask="none") > 0.01
    assert error(mask="none", padding="circular") > 0.01
    with pytest.raises(ValueError, match="nothing is left to compare"):
        equivariance_error(conv, images(), Translation(), torch.tensor([[20.0, 0.0]]), mask="overlap")


INFERRED = [
    (gradient, C(4), "vector field in centre"),
    (lambda x: gradient(x) * torch.tensor([1.0, -1.0], dtype=x.dtype).view(1, 2, 1, 1), C(4), "vector field in pixels"),
    (key_points("pixels"), C(4), "key points in pixels"),
    (lambda x: key_points("indices")(x).flatten(1), C(4), "key points in indices"),
    (key_points("unit"), C(4), "key points in unit"),
    (box("unit", "cxcywh"), D(4), "boxes cxcywh in unit"),
    (lambda x: x.mean((2, 3)).repeat(1, 2), C(4), "invariant"),
    (lambda x: x.repeat(1, 2, 1, 1), C(4), "image"),
    (lambda x: x[:, 0], C(4), "unknown"),
]


@pytest.mark.parametrize(("model", "group", "expected"), INFERRED)
def test_behaviour_is_inferred_by_a_trial(model, group, expected: str) -> None:
    found = infer_behaviour(model, images(), group)
    assert str(found) == expected
    assert found.confidence > 0.9 or expected == "unknown"
    assert found.why


def test_a_plain_network_is_taken_as_usual_with_low_confidence() -> None:
    found = infer_behaviour(torch.nn.Conv2d(1, 2, 3, padding=1).double(), images(), C(4))
    assert found.kind == "image"
    assert found.confidence < 0.5
    assert "nothing fits" in found.why


def four_classes() -> torch.nn.Module:
    torch.manual_seed(0)
    body = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1))
    return torch.nn.Sequential(body, torch.nn.Flatten(), torch.nn.Linear(8, 4)).double()


def at_the_middle(x: Tensor) -> Tensor:
    """Key points in pixels of a network that has learned nothing: near the middle of the frame, whatever it sees."""
    return (x.shape[-1] / 2 + 0.1 * mass_centre(x)).flatten(1)


def finder(x: Tensor) -> Tensor:
    """A box that follows its picture's brightest pixel, of another size where that is turned."""
    place = x[:, 0].flatten(1).argmax(1)
    column, row = (place % x.shape[-1]).to(x) + 0.5, (place // x.shape[-1]).to(x) + 0.5
    high = 3 + 40 * x[:, 0, 0].mean(-1)
    return torch.stack([column - 1, row - high, column + 1, row + high], -1).unsqueeze(1)


def drifting(x: Tensor) -> Tensor:
    """Scores of four classes that drift with shifts just as a box in units of the frame would."""
    place = x[:, 0].flatten(1).argmax(1)
    column, row = (place % x.shape[-1]).to(x), (place // x.shape[-1]).to(x)
    return 5 + torch.stack([column, row, column, row], -1) / x.shape[-1]


def one_bright_pixel() -> Tensor:
    x = images(16)
    x[:, 0, 7, 8] += 2
    return x


@pytest.mark.parametrize("group", [SO2(), O2(), Translation(), Scale()])
@pytest.mark.parametrize("model", [four_classes(), at_the_middle, drifting])
def test_a_law_is_the_model_s_and_not_that_of_the_group_that_is_asked(model, group) -> None:
    assert infer_behaviour(model, one_bright_pixel(), group).kind == "invariant"


def test_small_shifts_alone_would_take_classes_for_boxes(monkeypatch) -> None:
    trial = inference._trial_actions
    monkeypatch.setattr(inference, "_trial_actions", lambda action: trial(action)[1:])
    assert infer_behaviour(drifting, one_bright_pixel(), Translation()).kind == "boxes"


def test_a_detector_that_follows_shifts_only_is_recognised() -> None:
    x = torch.zeros(4, 1, 16, 16, dtype=torch.float64)
    for sample, (row, column) in enumerate(((7, 5), (9, 8), (6, 6), (10, 7))):
        x[sample, 0, row, column] = 1.0
        x[sample, 0, :2, 3 * sample : 3 * sample + 3] = 0.2 * (sample + 1)
    found = infer_behaviour(finder, x, SO2())
    assert found.kind == "boxes"
    assert found.frame == "pixels"


def test_attributes_say_what_was_inferred_and_why() -> None:
    ds = equivariance_error(gradient, images(), C(4), mask="none")
    assert ds.attrs["output"] == "vector field in centre"
    assert ds.attrs["output_confidence"] > 0.9
    assert "vector field" in ds.attrs["output_why"]
    assert float(ds.error.max()) <= TIGHT
    declared = equivariance_error(gradient, images(), C(4), output="image")
    assert (declared.attrs["output_confidence"], declared.attrs["output_why"]) == (1.0, "declared")


@pytest.mark.parametrize(
    "text",
    ["invariant", "image", "series", "points", "vectors", "set", "irreps 2x0e+1x1o", "boxes xywh in unit",
     "key points in signed", "vector field in pixels"],
)  # fmt: skip
def test_behaviours_read_back(text: str) -> None:
    assert str(parse_behaviour(text)) == text
    assert parse_behaviour(parse_behaviour(text)) == parse_behaviour(text)
    assert parse_behaviour("segmentation").kind == "image"


@pytest.mark.parametrize("text", ["vectr", "boxes yxyx", "key points in inches", "irreps", "image in unit", "", None])
def test_behaviours_that_do_not_exist_get_a_sentence(text) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_behaviour(text)


def test_the_choice_needs_a_law_that_fits_twice_as_well() -> None:
    laws = [Behaviour("image"), Behaviour("vector field")]
    assert choose(laws, [0.8, 0.45]).kind == "image"
    assert choose(laws, [0.9, 0.40]).kind == "vector field"
    assert choose(laws, [0.0, 0.0]).confidence == 1.0


def test_the_absolute_error_stands_beside_the_relative_one_and_the_symmetric_where_asked_for() -> None:
    model = torch.nn.Conv2d(1, 3, 3, padding=1).double()
    asked = {form: equivariance_error(model, images(), "SO2", n_elements=5, form=form) for form in
             ("relative", "symmetric", "absolute")}  # fmt: skip
    for form, ds in asked.items():
        assert np.array_equal(ds.error, ds[f"{form}_error"])
        for beside in ("relative", "absolute"):
            assert np.array_equal(ds[f"{beside}_error"], asked["relative"][f"{beside}_error"])
        assert ("symmetric_error" in ds) == (form == "symmetric")


def test_error_over_floor_is_there_where_there_is_a_floor() -> None:
    ds = equivariance_error(torch.nn.ReLU(), images(), "SO2", n_elements=5)
    ratio = (ds.error_mean / ds.output_floor_mean).values
    assert np.array_equal(ds.error_over_floor, np.where(ds.output_floor_mean > 0, ratio, np.nan), equal_nan=True)


def test_transforms_of_the_group_agree_with_the_field_law() -> None:
    # the referee: the picture moved as a picture, then each pair of channels turned by the matrix
    angle = torch.tensor([0.3], dtype=torch.float64)
    x = images(15, channels=2)
    moved = transform_image(x, angle, SO2(), padding="border")
    expected = torch.einsum("ij,bjhw->bihw", SO2().matrix(angle), moved)
    ds = equivariance_error(
        lambda y: x if torch.equal(y, x) else expected, x, SO2(), angle[None], output="vector field", mask="none"
    )
    assert float(ds.error.max()) <= TIGHT


def test_o2_is_inferred_like_its_rotations() -> None:
    assert infer_behaviour(gradient, images(), O2()).kind == "vector field"


def test_shifts_follow_the_pixels_of_the_output_along_each_axis() -> None:
    shift = torch.tensor([[4.0, 0.0], [0.0, -6.0], [4.0, 2.0]], dtype=torch.float64)
    coarse = torch.nn.AvgPool2d((2, 4))
    fine = torch.nn.Upsample(scale_factor=2, mode="nearest")
    for model in (coarse, fine, torch.nn.Sequential(coarse, fine)):
        ds = equivariance_error(model, images(12, 16), Translation(), shift, padding="circular", mask="none")
        assert float(ds.error.max()) <= TIGHT
        assert bool(ds.exact.all())


def test_what_is_said_about_the_output_does_not_depend_on_the_batches() -> None:
    attrs = [equivariance_error(torch.nn.ReLU(), images(), C(4), batch_size=size).attrs for size in (1, 3, 99)]
    assert attrs[0] == attrs[1] == attrs[2]
    assert attrs[0]["output_why"].endswith("of shape (B, 1, 9, 9)")

"""Networks whose symmetry is known get the sentence, the level and the layer that they must."""

import pytest
import torch
from torch import nn

from tests.measure.toys import c4_net
from workbench.audit import AuditResult, audit, load_model
from workbench.datasets import data_folder
from workbench.measure import dataset_groups, open_dataset

RUN = data_folder() / "runs" / "partial_gcnn" / "rotated_strict"


class Symmetric(nn.Module):
    """A filter that every turn and flip leaves as it is; a network of it is exactly invariant."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1, bias=False)
        corner, edge, centre = torch.rand(3, 4, 1)
        weight = torch.stack([corner, edge, corner, edge, centre, edge, corner, edge, corner], -1).view(4, 1, 3, 3)
        self.conv.weight = nn.Parameter(weight)
        self.head = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))

    def forward(self, x):
        return self.head(self.conv(x))


def plain(stride: int = 1) -> nn.Module:
    layers = [nn.Conv2d(1, 4, 3, stride, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)]
    return nn.Sequential(*layers)


@pytest.fixture(scope="module")
def images():
    torch.manual_seed(1)
    return torch.nn.functional.interpolate(torch.rand(8, 1, 5, 5), size=(16, 16), mode="bicubic")


@pytest.fixture(scope="module")
def broken(images):
    torch.manual_seed(2)
    return audit(plain(stride=2), images, data_samples=0, labels=[0, 1, 2, 0, 1, 2, 0, 1])


def levels(result: AuditResult) -> dict[str, str]:
    return {verdict.question: verdict.level for verdict in result.verdicts}


def test_a_symmetric_network_is_told_that_it_is_exact(images):
    result = audit(Symmetric(), images, data_samples=0)
    assert levels(result)["quarter turns"] == levels(result)["flips"] == "exact"
    assert "exactly invariant to flips" in result.answer
    assert result.remedies.sizes["remedy"] == 0


@pytest.mark.parametrize(("shade", "word"), [(0.0, "are the same"), (1e-5, "differ by "), (1.0, "")])
def test_a_network_that_hardly_looks_at_its_input_is_named_before_every_verdict(images, shade, word):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(images[0].numel(), 3)).eval()
    net[1].weight.data *= shade
    net[1].bias.data.fill_(1.0)
    result = audit(net, images, group="C(4)", data_samples=0)
    assert (f"two different images {word}" in result.short) == bool(word)
    assert result.short.startswith("Careful: " if word else "In short: ")


def test_a_plain_network_is_told_where_it_breaks_why_and_what_removes_how_much(broken):
    assert {levels(broken)["quarter turns"], levels(broken)["flips"]} <= {"broken", "close"}
    first = broken.verdicts[0]
    assert first.layer == "0"
    assert "left over on one side" in first.because
    assert "filters are not their own copies after a quarter turn" in first.because
    assert "comes in at 0 (" in first.because, "the attribution names the convolution"
    assert first.low < first.error < first.high
    assert "shifting round the frame with circular padding, where nothing enters" in broken.answer
    assert broken.error > 1e-3


def test_an_input_at_which_nothing_is_left_over_is_tried_and_measured(broken):
    assert broken.remedies.remedy.values.tolist() == ["input of 17 x 17"]
    assert float(broken.remedies.before[0]) > 0


def test_what_the_task_loses_is_measured_where_labels_are_given(broken):
    assert "accuracy_lost" in broken.more["task"]


def test_n12_the_control_breaks_what_the_network_holds(images):
    result = audit(Symmetric(), images, data_samples=0)
    quarter = result.control.sel(layer="output").error_mean.where(result.control.lattice, drop=True)
    assert float(quarter.max()) > 100 * result.verdicts[0].error


def test_r24_the_network_is_as_before_buffers_included(images):
    model = nn.Sequential(nn.BatchNorm2d(1), plain()).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    audit(model, images, data_samples=0)
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_r23_the_same_call_gives_the_same_numbers(images):
    torch.manual_seed(0)
    model = plain()
    one, two = (audit(model, images, "D(4)").to_dataset() for _ in range(2))
    assert one.identical(two)


def test_a_run_of_ours_is_audited_by_its_folder_and_its_symmetry_found():
    result = audit(RUN, "digits", "C(4)", samples=6)
    assert result.verdicts[0].level == "exact"
    assert result.verdicts[0].lattice_error < 1e-5


def test_group_signals_are_understood(images):
    result = audit(c4_net(), images, "C(4)")
    assert result.verdicts[0].level == "exact"
    broken = audit(c4_net(perturbed=0.1), images, "C(4)")
    assert broken.verdicts[0].level in ("broken", "close")
    assert broken.verdicts[0].layer


def test_maps_are_equivariant_and_the_floor_is_theirs(images):
    result = audit(Symmetric().conv, images, data_samples=0)
    assert "exactly equivariant to quarter turns" in result.answer


def test_images_that_are_not_square_are_asked_after_half_turns(images):
    result = audit(Symmetric(), images[..., :12], data_samples=0)
    assert levels(result)["half turns"] == levels(result)["flips"] == "exact"


def test_n1_everything_is_saved_labelled_and_read_back(broken, tmp_path):
    dataset, report = broken.save(tmp_path / "new")
    stored = open_dataset(dataset)
    assert stored.identical(broken.to_dataset())
    assert set(stored.question.values) == {"quarter turns", "flips", "rotations", "shifts"}
    assert all("units" in stored[name].attrs for name in stored.variables)
    assert stored.attrs["answer"] == broken.answer
    groups = {"attribution", "fixes", "Lie derivative", "control", "findings", "remedies", "cost", "decisions"}
    assert groups | set(broken.sweeps) <= set(dataset_groups(dataset))
    for name in dataset_groups(dataset):
        assert open_dataset(dataset, group=name).identical(broken.groups()[name])
    assert "sample" in open_dataset(dataset, group="shifts").error.dims  # errors of each one, not their mean alone
    assert report.stat().st_size > 10**6
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError, match="is a file"):
        broken.save(tmp_path / "file")


class Odd(nn.Module):
    def __init__(self, say) -> None:
        super().__init__()
        self.say = say

    def forward(self, x):
        return self.say(x.mean((1, 2, 3), keepdim=False)[:, None])


@pytest.mark.parametrize(
    ("say", "sentence"),
    [
        (lambda v: {"scores": v, "boxes": v}, "puts out a dict with the keys 'scores', 'boxes'; .* select='scores'"),
        (lambda v: v * float("nan"), "NaN or infinite"),
        (lambda v: (v / 0).nonexistent, "cannot take images of shape"),
    ],
)
def test_a_network_that_cannot_be_audited_gets_one_sentence(images, say, sentence):
    with pytest.raises(ValueError, match=sentence):
        audit(Odd(say), images, data_samples=0)


def test_a_stochastic_network_is_found_out_and_said(images):
    result = audit(Odd(lambda v: v + torch.randn_like(v)), images, "C(4)")
    assert "it is stochastic" in result.short


def test_as_many_runs_are_averaged_as_were_asked_for(images):
    result = audit(Odd(lambda v: v + torch.randn_like(v)), images, "C(4)", data_samples=0, repeats=3)
    assert [ds.attrs["repeats"] for ds in result.sweeps.values()] == [3]
    assert "repeats=3" in result.code
    with pytest.raises(ValueError, match="repeats = 0 was given; expected a positive number of runs"):
        audit(plain(), images, "C(4)", repeats=0)


def test_how_the_answer_to_images_moves_is_decided_once(images, monkeypatch):
    """A decision in each of the four sweeps cost a fifth of an audit."""

    def again(*given):
        raise AssertionError("decided again in a sweep")

    monkeypatch.setattr("workbench.measure.sweep.decide", again)
    result = audit(plain(), images, data_samples=0, samples=4)
    assert {ds.attrs["output"] for ds in result.sweeps.values()} == {"invariant"}
    assert "usual behaviour of an output of shape (B, 3)" in next(iter(result.sweeps.values())).attrs["output_why"]


def test_n15_one_image_has_no_interval_and_many_are_said_to_be_some(images):
    assert "one sample, so no interval" in audit(plain(), images[:1], "C(4)").answer
    result = audit(plain(), images, "C(4)", samples=3)
    assert any("Showing 3 of 8" in note for note in result.notes)
    assert result.to_dataset().attrs["showing"] == "showing 3 of 8 samples"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"group": "nonsense"}, "expected SO2"),
        ({"mean": (0.1, 0.2)}, "mean has 2 numbers"),
        ({"std": (0.0,)}, "expected positive"),
        ({"samples": 0}, "samples = 0"),
        ({"data_samples": -1}, "data_samples = -1"),
    ],
)
def test_r19_bad_options_get_one_sentence(images, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        audit(plain(), images, **options)


def test_the_code_measures_the_same_again():
    result = audit(str(RUN), "digits", "C(4)", samples=4)
    space: dict = {}
    exec(result.code.replace('result.save("report")', ""), space)
    assert space["result"].answer == result.answer


def test_the_parts_serve_the_expert():
    found = load_model(RUN)
    assert audit(found, found.images.splits["test"][0][:4], "C(4)").error < 1e-5


def centre(x: torch.Tensor) -> torch.Tensor:
    """The centre of mass of each image as one key point, in pixels from the upper left corner."""
    side = torch.arange(x.shape[-1]) + 0.5
    weight = x.sum(1) / x.sum((1, 2, 3), keepdim=True)[:, 0]
    return torch.stack([(weight.sum(1) * side).sum(1), (weight.sum(2) * side).sum(1)], -1)[:, None]


def test_key_points_move_with_the_image_and_half_of_the_frame_does_not(images):
    result = audit(centre, images.abs(), data_samples=0)
    assert levels(result)["quarter turns"] == levels(result)["flips"] == "exact"
    assert "exactly equivariant to quarter turns" in result.answer
    assert result.sweeps["flips"].attrs["output"] == "key points in pixels"
    assert result.decisions is None, "two numbers that are no scores"
    half = audit(lambda x: centre(x * (torch.arange(16) < 8)), images.abs(), data_samples=0)
    assert levels(half)["flips"] == "broken"

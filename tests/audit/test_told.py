"""Errors relative and absolute beside each other, floors beside what is resampled, and how each question was asked."""

import re

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.tolerances import AGAIN, EXACT
from workbench.audit import audit, audit_beside, report_html
from workbench.audit.compare_report import comparison_html
from workbench.audit.figures import element_tables
from workbench.audit.result import ASKED
from workbench.audit.words import percent
from workbench.groups import O2
from workbench.measure import equivariance_error, open_dataset

TIGHT = EXACT[torch.float32]


class Boxes(nn.Module):
    """One box of each image; as numbers it hardly changes, as a box it should move."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.end = nn.Conv2d(1, 4, 3, 2, 1), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.conv(x).relu().mean((2, 3))).sigmoid()


def maps() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU())


def scores() -> nn.Module:
    return nn.Sequential(maps(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def both(images):
    return {"maps": audit(maps(), images, data_samples=0), "scores": audit(scores(), images, data_samples=0)}


def tables(page: str) -> list[list[str]]:
    """The headings of every table of a page."""
    found = re.findall(r"<thead><tr>(.*?)</tr></thead>", page, re.S)
    return [re.findall(r'<th scope="col">(.*?)</th>', head) for head in found]


@pytest.mark.parametrize("name", ["maps", "scores"])
def test_every_table_and_sentence_with_a_relative_error_has_the_absolute_one_beside_it(name, both):
    result = both[name]
    for head in tables(report_html(result)):
        if any("relative error" in cell for cell in head):
            assert any(cell.startswith("absolute error [units") for cell in head), head
    for verdict in result.verdicts:
        if verdict.level != "exact":
            assert f"({verdict.absolute:.2g} in its own units), 95 % interval" in verdict.sentence
    assert sum(any("relative error" in cell for cell in head) for head in tables(report_html(result))) >= 4


def test_the_absolute_error_is_the_root_mean_square_of_the_difference(images, both):
    net = maps()
    sweep = both["maps"].sweeps["quarter turns"]
    with torch.no_grad():
        apart = net(images.rot90(1, (-2, -1))) - net(images).rot90(1, (-2, -1))
    by_hand = apart.square().mean((1, 2, 3)).sqrt().mean()
    place = int(np.flatnonzero(np.isclose(sweep.angle_deg, 90, rtol=AGAIN, atol=AGAIN))[0])
    stored = both["maps"].to_dataset().absolute_error_mean.sel(layer="output")
    assert stored.attrs["units"] == "output units"
    assert float(stored[stored.question.values == "quarter turns"][place]) == pytest.approx(float(by_hand), rel=TIGHT)


@pytest.mark.parametrize(("name", "end"), [("maps", "output"), ("scores", "input")])
def test_the_shifts_have_both_floors_and_the_error_over_them(name, end, both):
    result = both[name]
    table = element_tables(result)["Shifts"]
    assert table.heading[-3:] == ("input floor", "output floor", f"error over {end} floor")
    half = next(row for row in table.rows if "0.5 px" in row[0])
    floors = [float(cell) for cell in half[-3:-1]]
    assert floors[0] > 0
    assert (floors[1] > 0) is (name == "maps")
    assert float(half[-1]) == pytest.approx(float(half[1]) / floors[end == "output"], rel=0.02)
    whole = next(row for row in table.rows if "1 px right" in row[0])
    assert whole[-3:] == ("0", "0", "no floor")
    assert any(head[-4:-1] == ["input floor", "output floor", f"error over {end} floor"] for head in
               tables(report_html(result))), "the rotations, whose last column is the control"  # fmt: skip


def test_a_group_of_images_with_mirrors_has_a_table_of_its_elements(images):
    found = element_tables(audit(maps(), images, "D(8)"))
    assert len(found["D(8)"].rows) == 15
    assert "error over output floor" in found["D(8)"].heading


def test_how_each_question_was_asked_is_in_the_file(both, tmp_path):
    result = both["maps"]
    stored = open_dataset(result.save(tmp_path)[0])
    for name in ASKED:
        told = dict(part.split(": ", 1) for part in stored.attrs[name].split("; "))
        assert set(told) == set(result.sweeps), name
        for question, known in result.asked.items():
            text = f"{known[name]:.6g}" if isinstance(known[name], float) else str(known[name]).replace("; ", ", ")
            assert told[question] == text
    assert stored.attrs["output"].startswith("quarter turns: image")
    assert "usual behaviour of an output of shape (B, 3, 16, 16)" in stored.attrs["output_why"]


def test_floors_are_variables_of_the_file(both):
    for name, result in both.items():
        stored, sweep = result.to_dataset(), result.sweeps["rotations"].sel(layer="output")
        ours = stored.sel(layer="output").isel(transform=stored.question.values == "rotations")
        assert np.array_equal(ours.input_floor_mean, sweep.input_floor_mean)
        assert np.array_equal(ours.output_floor_mean, sweep.output_floor_mean)
        assert np.array_equal(ours.error_over_floor, sweep.error_over_floor, equal_nan=True)
        turned = sweep.input_floor_mean.values > 0
        over = sweep.error_mean.values[turned] / sweep.input_floor_mean.values[turned]
        assert np.allclose(ours.error_over_input_floor[turned], over, atol=0, rtol=TIGHT)
        assert np.isnan(ours.error_over_input_floor[~turned]).all(), name


def test_what_helps_and_whose_fault_it_is_is_judged_by_the_answer_that_was_declared(images):
    output = "boxes cxcywh in unit"
    result = audit(Boxes(), images, data_samples=0, output=output)
    plainly = audit(Boxes(), images, data_samples=0, output="invariant")
    moves = torch.tensor([[0.5, 1.0], [1.0, 1.0], [0.0, -1.0], [1.0, -1.0]], dtype=torch.float64)
    moves[:, 0] *= torch.pi
    error = equivariance_error(Boxes(), images[:4], O2(), moves, output=output, mask="none").error_mean.mean()
    assert result.remedies.attrs["output"] == output
    assert float(result.remedies.before[0]) == pytest.approx(float(error), rel=TIGHT)
    assert float(result.remedies.before[0]) > 10 * float(plainly.remedies.before[0])
    first = result.sweeps["flips"].error_mean.sel(layer="output").values[0]
    assert float(result.more["attribution"].whole[1]) == pytest.approx(float(first), rel=0.3), "on fewer images"
    assert float(result.more["fixes"].error_before) > 10 * float(plainly.more["fixes"].error_before)
    assert {ds.attrs["output"] for ds in result.sweeps.values()} == {output}
    assert result.control.attrs["output"] == output
    assert "Lie derivative" not in result.more, "it would take the boxes for numbers that stay"
    assert any("Lie derivative: it is known for maps and vectors" in note for note in result.notes)
    assert "Lie derivative" in plainly.more


def test_boxes_err_in_pixels(images):
    result = audit(Boxes(), images, data_samples=0, output="boxes cxcywh in unit")
    assert result.verdicts[0].unit == "pixels"
    assert re.search(r"differs by \d+ % \([\d.]+ px\)", result.answer)
    assert any("absolute error [px]" in head for head in tables(report_html(result)))


def test_networks_side_by_side_have_absolute_errors_too(images):
    made = audit_beside([maps(), nn.Conv2d(1, 3, 3, padding=1)], images, data_samples=0, names=["one", "two"])
    heads = tables(comparison_html(made))
    assert any("absolute error of one" in head and "its absolute error" in head for head in heads)
    assert any("one, absolute [its own units]" in head for head in heads)
    assert comparison_html(made).count("Its answer should move as an image (usual for its shape; ") == 2
    one = made.differences[0]
    assert f"one errs by {percent(one.first)} ({one.absolute_first:.2g} in its own units)" in made.answer
    stored = made.to_dataset()
    assert {"absolute_error_mean", "input_floor_mean", "output_floor_mean", "error_over_floor"} <= set(stored)
    turns = stored.question.values == one.question
    assert float(stored.absolute_error_mean[1, turns].mean()) == pytest.approx(one.absolute_other, rel=TIGHT)

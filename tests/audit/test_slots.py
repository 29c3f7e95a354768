"""Detectors with a box for each anchor: it is said that slots are compared, and what is left of it when matched."""

import pytest
import torch
from torch import Tensor, nn

from tests.tolerances import EXACT
from workbench.audit import audit, report_html
from workbench.audit.slots import slots_of

SENTENCE = "16 slots (a box for each anchor or query) are compared slot by slot"


class Anchors(nn.Module):
    """A square around each place of a grid, as large as a filter of full symmetry says; sound, but in another order."""

    def __init__(self, form: str = "boxes", sound: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.form, self.size = form, nn.Conv2d(1, 1, 4, 4, bias=False)
        weight = torch.rand(1, 1, 4, 4)
        turned = sum(torch.rot90(weight, k, (-2, -1)) for k in range(4))
        self.size.weight.data = (turned + turned.flip(-1)) / 8 if sound else weight

    def forward(self, x: Tensor):
        sizes = self.size(x).flatten(1)
        at = torch.arange(4, device=x.device) * 4 + 2.0
        y, x = (grid.flatten().expand_as(sizes) for grid in torch.meshgrid(at, at, indexing="ij"))
        boxes = torch.stack([x - sizes, y - sizes, x + sizes, y + sizes], -1)
        both = torch.cat([boxes, sizes[..., None]], -1)
        maps = {"bbox_pred": boxes.mT.unflatten(-1, (4, 4)), "scores": sizes.unflatten(-1, (4, 4))[:, None]}
        return {"boxes": boxes, "parts": {"boxes": boxes, "scores": sizes}, "both": both, "maps": maps}[self.form]


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(0))


def test_a_detector_that_is_sound_as_a_set_of_boxes_is_judged_as_one(images):
    result = audit(Anchors(), images, output="boxes xyxy in pixels", data_samples=0)
    turns, flips = result.verdicts[:2]
    assert (turns.level, flips.level) == ("exact", "exact")
    assert turns.error < 100 * EXACT[torch.float32]
    assert "As a set of boxes, each matched to the nearest one, your model is exactly" in turns.sentence
    assert "Slot by slot its answer differs by" in turns.sentence
    assert not turns.because
    assert not turns.advice
    rotations = next(v for v in result.verdicts if v.question == "rotations")
    assert rotations.lattice_error < 100 * EXACT[torch.float32]  # nor does --fail-above count what changes places
    assert "exact: quarter turns, flips" in result.short


def test_a_group_that_is_named_is_judged_on_the_set_too(images):
    result = audit(Anchors(), images, group="D(4)", output="boxes xyxy in pixels", data_samples=0)
    assert result.verdicts[0].level == "exact"
    assert "exactly equivariant to the group D(4)" in result.verdicts[0].sentence
    shifts = audit(Anchors(), images, group="Translation", output="boxes xyxy in pixels", data_samples=0)
    assert shifts.verdicts[0].level == "broken"


def test_a_detector_that_is_broken_stays_so_when_matched(images):
    result = audit(Anchors(sound=False), images, output="boxes xyxy in pixels", data_samples=0)
    turns = result.verdicts[0]
    assert turns.level == "broken"
    assert 0.01 < turns.low <= turns.error <= turns.high < 0.2
    assert "each matched to the nearest one, your model breaks quarter turns" in turns.sentence
    assert turns.because
    assert result.error > 0.01


def test_slots_without_partners_are_said_with_what_to_do(images):
    class Shrunk(Anchors):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * x[:, 0, :1, :1]  # how far apart the boxes stand hangs on one corner

    result = audit(Shrunk(), images, output="boxes xyxy in pixels", data_samples=0)
    first, second = result.verdicts[:2]
    assert SENTENCE in first.sentence
    assert "not every box has a partner" in first.sentence
    assert "matches its boxes" in first.sentence
    assert "--select" in first.sentence
    assert "Compared slot by slot, as for quarter turns." in second.sentence
    page = report_html(result)
    assert SENTENCE in page
    assert "slot by slot: a box with the one in the same place" in page


def test_scores_of_slots_are_told_by_the_boxes_beside_them(images):
    result = audit(Anchors("parts"), images, select="scores", data_samples=0)
    assert SENTENCE in result.verdicts[0].sentence
    assert "With each box matched" not in result.verdicts[0].sentence


def test_maps_of_boxes_are_said_to_be_compared_as_pictures(images):
    result = audit(Anchors("maps"), images, select="bbox_pred", data_samples=0)
    assert "offsets and sizes in the channels would have to turn as well" in result.verdicts[0].sentence
    scores = audit(Anchors("maps"), images, select="scores", data_samples=0)
    assert scores.verdicts[0].level == "exact"
    assert "offsets" not in scores.answer


def test_boxes_and_scores_in_one_answer_are_refused_with_what_to_take(images):
    with pytest.raises(ValueError, match=r"many slots, as of a detector: measure its boxes \(B, N, 4\) or scores"):
        audit(Anchors("both"), images, data_samples=0)


def test_other_answers_have_no_slots(images):
    plain = nn.Sequential(nn.Flatten(), nn.Linear(256, 4))
    assert "slot" not in audit(plain, images, data_samples=0).answer
    assert slots_of(plain, images, (4,)) == 0
    assert slots_of(plain, images, (3, 8, 8)) == 0

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


def test_slots_are_said_with_what_to_do_and_what_matching_leaves(images):
    result = audit(Anchors(), images, output="boxes xyxy in pixels", data_samples=0)
    first, second = result.verdicts[:2]
    assert SENTENCE in first.sentence
    assert "matches its boxes" in first.sentence
    assert "--select" in first.sentence
    left = first.sentence.partition("nearest one instead, its answer differs by ")[2].partition(" at ")[0]
    assert float(left) < 100 * EXACT[torch.float32], "as a set of boxes it is exact"
    assert "Compared slot by slot, as for quarter turns." in second.sentence
    page = report_html(result)
    assert SENTENCE in page
    assert "slot by slot: a box with the one in the same place" in page


def test_a_detector_that_is_broken_stays_so_when_matched(images):
    sentence = audit(Anchors(sound=False), images, output="boxes xyxy in pixels", data_samples=0).verdicts[0].sentence
    left = sentence.partition("nearest one instead, its answer differs by ")[2].partition(" % at ")[0]
    assert float(left) > 1


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

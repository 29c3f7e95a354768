"""The findings of an audit of series, points and sets, each with the share that its fix removes."""

import pytest
import torch
from torch import Tensor, nn

from workbench.audit import audit, report_html


class Positions(nn.Module):
    """A set with a number for each place in the list."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.pos, self.last = nn.Linear(5, 8), nn.Parameter(torch.randn(1, 6, 8)), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.first(x) + self.pos).mean(1))


class Coordinates(nn.Module):
    """Points, each by its absolute coordinates, in an order that counts."""

    def __init__(self) -> None:
        super().__init__()
        self.each, self.last = nn.Linear(3, 4), nn.Sequential(nn.Flatten(), nn.Linear(24, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.each(x)))


def series() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(2, 8, 5, 2, 2), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(8, 5)
    )  # fmt: skip


CASES = {
    "series": (series, (6, 2, 32), [("0", "ends"), ("0", "aliasing")]),
    "set": (Positions, (6, 6, 5), [("model", "position encoding")]),
    "points": (Coordinates, (6, 6, 3), [("each", "absolute coordinates"), ("last.0", "flatten members")]),
}


@pytest.mark.parametrize("kind", CASES)
def test_every_finding_has_its_module_reason_fix_and_share(kind: str) -> None:
    torch.manual_seed(0)
    build, shape, wanted = CASES[kind]
    result = audit(build(), torch.rand(shape), kind=kind)
    ds = result.findings
    assert list(zip(ds.module.values.tolist(), ds.rule.values.tolist(), strict=True)) == wanted
    assert ds.finding.values.tolist() == list(range(len(wanted)))
    best = float(ds.share.max())
    assert best > 0.5
    page = report_html(result)
    assert f"{best:.0%} (" in page, "the share with its interval"
    assert str(ds.reason.values[0])[:40] in page
    assert "nothing to say about" not in page
    if kind != "series":
        told = "each weights act" if kind == "points" else "in the network itself, pos of shape (1, 6, 8)"
        assert told.replace("each weights", "in each, its weights") in result.answer
        assert "of the error goes" in result.answer


def test_nothing_is_found_where_nothing_is() -> None:
    net = nn.Sequential(nn.Conv1d(2, 4, 5, padding=2, padding_mode="circular"), nn.ReLU())
    result = audit(net, torch.rand(6, 2, 32), kind="series")
    assert result.findings.sizes["finding"] == 0
    assert "nothing in the geometry breaks shifts" in report_html(result).lower()

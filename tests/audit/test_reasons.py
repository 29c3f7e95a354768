"""Why shifts change an answer: networks of which one thing is known to do it, and their twins."""

import re

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.tolerances import AGAIN_SINGLE
from workbench.audit import audit
from workbench.audit.framing import fair
from workbench.audit.questions import CIRCULAR, SHIFTS, Samples, questions
from workbench.audit.reasons import ELSE, Tried, closed, most_helpful, told_of, why_shifted
from workbench.measure import Cancelled, equivariance_error

AROUND = {"padding_mode": "circular"}


class Table(nn.Module):
    """A number for each place, in a network that pads circularly: nothing else breaks shifts."""

    def __init__(self, series: bool = False) -> None:
        super().__init__()
        conv = nn.Conv1d if series else nn.Conv2d
        self.filters = conv(2, 3, 3, padding=1, **AROUND)
        self.pos = nn.Parameter(torch.randn((1, 32, 3) if series else (1, 3, 32, 32)))

    def forward(self, x: Tensor) -> Tensor:
        maps = self.filters(x)
        if x.ndim == 3:
            return torch.relu(maps.transpose(1, 2) + self.pos).mean(1)
        return torch.relu(maps + self.pos).mean((2, 3))


def pooled(*layers: nn.Module, width: int) -> nn.Sequential:
    return nn.Sequential(*layers, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 5))


def strided() -> nn.Sequential:
    return pooled(nn.Conv2d(2, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), width=8)


def blobs(series: bool = False) -> Tensor:
    """Smooth, so that steps of a few pixels cost less than what enters at the frame."""
    draw = torch.Generator().manual_seed(1)
    if series:
        return nn.functional.interpolate(torch.rand(6, 2, 6, generator=draw), 32, mode="linear")
    return nn.functional.interpolate(torch.rand(6, 2, 6, 6, generator=draw), (32, 32), mode="bicubic")


def asked(model: nn.Module, name: str = SHIFTS, series: bool = False):
    inputs = blobs(series)
    kind = Samples("series" if series else "image", tuple(inputs.shape[1:]))
    step = next(step for step in questions("auto", kind) if step.name == name)
    step = fair(step, model, inputs, {})
    frame = {"mask": step.mask, "padding": step.padding, "margin": step.margin, "input": step.input}
    return inputs, step, equivariance_error(model, inputs, step.group, step.elements, **frame)


def why(model: nn.Module, name: str = SHIFTS, series: bool = False) -> tuple[str, str]:
    torch.manual_seed(0)
    return why_shifted(model, *asked(model.eval(), name, series))


def test_a_shift_by_a_multiple_of_the_steps_is_not_blamed_on_them():
    torch.manual_seed(0)
    told, mend = why(strided())
    assert told.startswith("Most of it is what enters and leaves at the frame: shifting round the frame")
    assert "takes away 100% of the error" in told
    assert re.search(r"takes away 100% of the error \(from \S+ % to \S+, 95 % interval 100% to 100%\)", told)
    assert "measured at a shift by 8 px" in told
    assert "Blurring before the steps of 0, 2 does not help measurably (from" in told, "9 %, by its interval nothing"
    assert "leave more room around what counts" in mend
    assert "blur" not in mend


def tried(after: list[float], rule: str) -> Tried:
    return Tried(rule, f"what {rule} does", f"leaving {rule} out", f"mend {rule}", np.array(after))


def test_what_may_help_nothing_by_its_interval_is_not_called_a_help() -> None:
    before = np.array([0.5, 0.4, 0.6, 0.5])
    noisy, sure = tried([0.1, 0.7, 0.1, 0.7], "noise"), tried([0.4, 0.32, 0.48, 0.4], "cause")
    told, mend = told_of(before, [noisy], ([noisy], noisy.after), "a shift")
    assert "leaving noise out does not help measurably (from 50 % to 40 %, 95 % interval of the share -" in told
    assert told.startswith("Nothing that was tried at a shift explains it by itself")
    assert mend == ELSE
    assert [one.rule for one in most_helpful([noisy, sure], before)] == ["cause", "noise"]
    told, mend = told_of(before, [sure, noisy], ([sure], sure.after), "a shift")
    assert told.startswith("Part of it is what cause does: leaving cause out takes away 20% of the error")
    assert "Leaving noise out does not help measurably" in told
    assert "mend cause (measured: 20% of the error goes)" in mend
    told, _ = told_of(before, [noisy, noisy], ([noisy, noisy], noisy.after), "a shift")
    assert "Together, leaving noise out and leaving noise out do not help measurably" in told


def test_steps_are_blamed_where_nothing_else_is_there():
    torch.manual_seed(0)
    net = pooled(nn.Conv2d(2, 8, 3, 4, 1, **AROUND), width=8).eval()
    told, mend = why(net)
    assert told.startswith("Most of it is the steps of 0, which skip pixels: blurring before the steps of 0 takes away")
    assert "blur before these steps" in mend


@pytest.mark.parametrize("series", [False, True])
def test_a_position_table_is_blamed_with_its_share(series):
    torch.manual_seed(0)
    told, mend = why(Table(series), CIRCULAR if series else SHIFTS, series)
    assert told.startswith("Most of it is the position table in the network itself")
    assert "takes away 100% of the error" in told
    assert "leave the position table out" in mend


def test_a_flattening_is_blamed_with_its_share():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1, **AROUND), nn.ReLU(), nn.Flatten(), nn.Linear(3072, 5))
    told, mend = why(net)
    assert told.startswith("Most of it is the flattening at 2, which gives each place a weight of its own")
    assert "take the mean over the places" in mend


def test_two_causes_are_found_together_where_none_is_enough():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(3072, 5))
    told, mend = why(net)
    assert "Together, a mean over the places at 2 and shifting round the frame" in told
    assert "take away 100% of the error" in told
    assert "take the mean over the places before the linear layer; leave more room" in mend


def test_where_nothing_is_measured_it_says_so():
    recurrent = nn.Sequential(nn.Identity(), Recurrent())
    told, mend = why(recurrent, CIRCULAR, True)
    assert told.startswith("No reason was measured: nothing that its layers say of themselves")
    assert "Not measured, as no replacement is known: 1.layer (a recurrent layer starts from the same state" in told
    assert mend == ELSE
    inputs, step, sweep = asked(strided())
    noisy = sweep.assign_attrs(stochastic=0.1)
    assert "differ from run to run" in why_shifted(strided(), inputs, step, noisy)[0]
    assert why_shifted(lambda x: x, inputs, step, sweep)[0].endswith("the layers of the network cannot be seen.")


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.LSTM(2, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.transpose(1, 2))[1][0][-1]


def test_what_follows_shifts_needs_no_reason():
    exact = pooled(nn.Conv2d(2, 3, 3, padding=1, **AROUND), width=3)
    inputs, step, _ = asked(exact)
    whole = step.elements[1:2]
    sweep = equivariance_error(exact, inputs, step.group, whole, mask=step.mask, padding=step.padding)
    assert why_shifted(exact, inputs, step, sweep) == ("", "")
    turns = questions("auto", (32, 32))[0]
    assert why_shifted(exact, inputs, turns, sweep) == ("", "")


def test_a_copy_is_closed_and_the_network_is_not():
    net = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.MaxPool2d(3, 2, 1), nn.AvgPool2d((3, 1), 1, (1, 0)))
    copy = closed(net)
    assert copy(torch.rand(1, 2, 8, 8)).shape == net(torch.rand(1, 2, 8, 8)).shape
    assert net[0].padding_mode == "zeros"
    x = torch.rand(1, 2, 8, 8)
    torch.testing.assert_close(copy(x.roll(2, -1)), copy(x).roll(1, -1), rtol=AGAIN_SINGLE, atol=AGAIN_SINGLE)
    assert closed(nn.ConvTranspose2d(1, 1, 4, 2, 1)) is None
    line = closed(nn.MaxPool1d(3, 1, 1))
    torch.testing.assert_close(line(x[0].roll(1, -1)), line(x[0]).roll(1, -1), rtol=AGAIN_SINGLE, atol=AGAIN_SINGLE)


def test_the_audit_tells_it():
    torch.manual_seed(0)
    result = audit(strided(), blobs(), data_samples=0)
    shifts = {v.question: v for v in result.verdicts}[SHIFTS]
    assert "what enters and leaves at the frame" in shifts.because
    assert "leave more room" in shifts.advice


def test_measuring_reasons_is_stopped_when_asked() -> None:
    torch.manual_seed(0)
    model = strided().eval()
    given = asked(model)
    seen = []

    def stop() -> bool:
        seen.append(1)
        return len(seen) > 3

    with pytest.raises(Cancelled):
        why_shifted(model, *given, 0, stop)
    assert why_shifted(model, *given)[0]

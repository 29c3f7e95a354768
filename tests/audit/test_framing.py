"""Shifts of images are compared where the frame cannot be seen; networks whose error inside of it is known."""

import pytest
import torch
from torch import Tensor, nn

from tests.tolerances import EXACT
from workbench.audit import audit
from workbench.audit.compare import audit_beside
from workbench.audit.framing import fair, is_circular, reach_of
from workbench.audit.questions import CIRCULAR, SHIFTS, Samples, questions
from workbench.measure import equivariance_error

SIDE = 32
TRIAL_PASSES = 3  # the shape of an answer, the answer before the samples were moved, and after


def maps(mode: str = "zeros", padding: int = 1, stride: int = 1) -> nn.Sequential:
    torch.manual_seed(0)
    first = nn.Conv2d(3, 6, 3, stride, padding, padding_mode=mode)
    return nn.Sequential(first, nn.ReLU(), nn.Conv2d(6, 2, 3, 1, padding, padding_mode=mode))


def pooled(mode: str) -> nn.Sequential:
    return nn.Sequential(maps(mode), nn.AdaptiveAvgPool2d(1), nn.Flatten())


class Ramp(nn.Module):
    """Its filter follows a shift; the coordinate that it adds does not."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = maps()

    def forward(self, x: Tensor) -> Tensor:
        return self.filters(x) + torch.linspace(-1, 1, x.shape[-1])


def images(side: int = SIDE) -> Tensor:
    return torch.rand(4, 3, side, side, generator=torch.Generator().manual_seed(0))


def asked(model: nn.Module, x: Tensor | None = None, **asking: str):
    x = images() if x is None else x
    return fair(questions("auto", (x.shape[-2], x.shape[-1]))[-1], model, x, asking)


def errors(model: nn.Module, x: Tensor | None = None) -> Tensor:
    """At whole shifts, asked in the way that was chosen."""
    step, x = asked(model, x), images() if x is None else x
    whole = step.elements[(step.elements % 1 == 0).all(-1)]
    frame = {"mask": step.mask, "padding": step.padding, "margin": step.margin}
    ds = equivariance_error(model, x, step.group, whole, **frame)
    return torch.tensor(ds.error_mean.sel(layer="output").values)


@pytest.mark.parametrize("padding", [0, 1])
def test_a_convolutional_network_is_exact_where_nothing_from_outside_is_seen(padding):
    step = asked(maps(padding=padding))
    assert (step.mask, step.padding) == ("overlap", "border")
    assert step.margin == (2 if padding else 0) + 2, "two windows of three, and the resampler of half a pixel"
    assert float(errors(maps(padding=padding)).max()) <= EXACT[torch.float32]
    assert float(errors(Ramp())[:4].min()) > 0.01, "to the right, the twin that knows where it is"


def test_a_network_with_circular_padding_is_asked_round_the_frame_whatever_it_puts_out():
    for model in (maps("circular"), pooled("circular")):
        step = asked(model)
        assert (step.mask, step.padding) == ("none", "circular")
        assert float(errors(model).max()) <= EXACT[torch.float32]
    mixed = nn.Sequential(maps("circular"), nn.MaxPool2d(3, 1, 1))
    assert asked(mixed).padding == "border"


def test_an_answer_without_places_keeps_its_question():
    step = questions("auto", (SIDE, SIDE))[-1]
    assert fair(step, pooled("zeros"), images(), {}) is step
    assert fair(step, maps(), images(), {"output": "invariant"}) is step
    turns = questions("auto", (SIDE, SIDE))[0]
    assert fair(turns, maps(), images(), {}) is turns


def test_key_points_and_tokens_have_no_frame():
    class Points(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.filters = nn.Conv2d(3, 4, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            heat = self.filters(x).flatten(2).softmax(-1).unflatten(-1, x.shape[-2:])
            line = torch.arange(x.shape[-1], dtype=x.dtype)
            return torch.stack([(heat.sum(2) * line).sum(-1), (heat.sum(3) * line).sum(-1)], -1)

    step = questions("auto", (SIDE, SIDE))[-1]
    assert fair(step, Points(), images(), {}) is step
    assert fair(step, nn.Sequential(nn.Conv2d(3, 4, 4, 4), nn.Flatten(2)), images(), {}) is step


def test_longer_shifts_are_left_out_where_they_leave_no_place():
    wide = nn.Sequential(*(nn.Conv2d(3, 3, 5, padding=2) for _ in range(4)))
    step = asked(wide)
    assert float(step.elements.max()) == 4
    assert "more than 4 px leave none" in step.told
    assert float(errors(wide).max()) <= EXACT[torch.float32]


def test_a_network_that_sees_all_of_the_frame_is_compared_where_both_frames_are_and_says_so():
    for model in (nn.InstanceNorm2d(3), nn.Sequential(*(nn.Conv2d(3, 3, 7, padding=3) for _ in range(5)))):
        step = asked(model)
        assert (step.mask, step.margin) == ("overlap", 0)
        assert "reaches as far as the frame" in step.told
    assert "cannot be told" in asked(lambda x: (x.mean(1) > 0.5).long()).told


def test_strides_and_upsampling_are_counted_in_pixels_of_the_input():
    down = asked(maps(stride=2), images(64))
    assert down.margin - 2 == 4, "0.5 px between the grids, one window of 3, and one of 3 that counts twice"
    both = nn.Sequential(maps(stride=2), nn.Upsample(scale_factor=2, mode="nearest"))
    assert asked(both, images(64)).margin - 2 in (4, 5)


def test_series_are_compared_away_from_their_ends():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv1d(2, 4, 5, padding=2), nn.ReLU(), nn.Conv1d(4, 3, 5, padding=2))
    x = torch.rand(4, 2, 64)
    steps = {step.name: step for step in questions("auto", Samples("series", (2, 64)))}
    step = fair(steps[SHIFTS], net, x, {})
    assert (step.mask, step.margin) == ("overlap", 4 + 2)
    assert "6 samples inside of it, because the network looks 4 samples around each place" in step.told
    whole = step.elements[(step.elements % 1 == 0).all(-1)]
    errors = [
        float(equivariance_error(net, x, step.group, whole, mask="overlap", margin=m, input="series").error_mean.max())
        for m in (step.margin, 0.0)
    ]
    assert errors[0] <= EXACT[torch.float32]
    assert errors[1] > 1e-3, "what the ends cost without a margin"
    assert fair(steps[CIRCULAR], net, x, {}) is steps[CIRCULAR]
    vectors = nn.Sequential(net, nn.AdaptiveAvgPool1d(1), nn.Flatten())
    assert fair(steps[SHIFTS], vectors, x, {}) is steps[SHIFTS]


@pytest.mark.parametrize(
    ("module", "told"),
    [
        (nn.CircularPad2d(1), True),
        (nn.ZeroPad2d(1), False),
        (nn.Conv2d(1, 1, 1), False),
        (nn.Conv2d(1, 1, 3, padding="same", padding_mode="circular"), True),
        (nn.Conv2d(1, 1, 3, padding="same"), False),
        (nn.Conv2d(1, 1, 3, padding="valid"), False),
        (nn.Sequential(nn.CircularPad2d(1), nn.ConvTranspose2d(1, 1, 4, 2, 1)), False),
        (nn.Sequential(nn.CircularPad2d(1), nn.Upsample(scale_factor=2, mode="bilinear")), False),
    ],
)
def test_which_networks_are_circular(module, told):
    assert is_circular(module) is told


def test_how_far_a_place_looks_is_read_off_its_gradient():
    gradient = torch.zeros(8, 15, 15)
    for n in range(8):
        place = 15 // 2 - 4 + n
        gradient[n, place, place - 2 : place + 2] = 1
    assert reach_of(gradient, (15, 15)) == 2
    gradient[0, 0, 0] = 1
    assert reach_of(gradient, (15, 15)) == float("inf")


def test_the_audit_calls_it_exact_and_says_where_it_was_compared():
    result = audit(maps(), images(), data_samples=0)
    shifts = {v.question: v for v in result.verdicts}[SHIFTS]
    assert shifts.level == "exact"
    assert "4 px inside of it, because the network looks 2 px around each place" in shifts.sentence
    assert "measured by gradients" in result.sweeps[SHIFTS].attrs["compared"]
    named = audit(maps(), images(), "Translation")
    assert named.sweeps["Translation"].attrs["mask"] == "overlap"
    assert {v.question: v.level for v in audit(pooled("circular"), images(), data_samples=0).verdicts}[
        SHIFTS
    ] == "exact"
    assert {v.question: v.level for v in audit(Ramp(), images(), data_samples=0).verdicts}[SHIFTS] == "broken"


def test_networks_asked_round_the_frame_and_not_are_not_compared_under_shifts():
    found = audit_beside([maps(), maps("circular")], images(), data_samples=0)
    assert SHIFTS not in found.questions
    assert any("not every network was asked alike: shifts" in note for note in found.notes)
    assert SHIFTS in audit_beside([maps(), maps()], images(), data_samples=0).questions


def test_looking_changes_nothing():
    model = maps()
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    asked(model)
    assert model.training
    assert torch.equal(state, torch.get_rng_state())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_how_an_answer_to_series_moves_is_tried_once_for_all_questions() -> None:
    passes: list[int] = []

    class Square(nn.Module):
        """Of one channel, so that its shape leaves open whether the answer moves along."""

        def forward(self, x: Tensor) -> Tensor:
            passes.append(len(x))
            return x[:, 0] ** 2

    def counted(output: str) -> tuple[int, set[str], str]:
        passes.clear()
        found = audit(Square(), torch.rand(4, 1, 48), kind="series", output=output).sweeps
        return len(passes), {str(sweep.attrs["output"]) for sweep in found.values()}, found["shifts"].attrs["mask"]

    (tried, *told), (declared, *known) = counted("auto"), counted("series")
    assert told == known == [{"series"}, "overlap"]
    assert tried - declared == TRIAL_PASSES

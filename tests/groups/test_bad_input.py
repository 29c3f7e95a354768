"""What cannot be a group, an element, a distribution or a signal gets one sentence."""

import math

import numpy as np
import pytest
import torch

from workbench.groups import (
    O2,
    SO2,
    ArcWithMirror,
    GroupSignal,
    MirrorGate,
    Plane,
    RotationGates,
    Translation,
    UniformArc,
)

NAN = math.nan
ONES = torch.ones(1, 2, 4, 3, 3)
GRID = SO2().grid(4)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        *((lambda p=p: Translation(p), "period = .* expected a positive length") for p in (0, -1, NAN, math.inf, "2")),
        (lambda: Plane(3), "3 was given; expected a group that fixes the origin"),
        (lambda: Plane(Plane(SO2())), "expected a group that fixes the origin"),
        *((lambda i=i: UniformArc(i), "fraction of the circle") for i in (0, 1.5, NAN, "1", True)),
        *((lambda i=i: MirrorGate(i), "expected a finite number") for i in (NAN, math.inf, "1")),
        (lambda: RotationGates(4, NAN), "expected a finite number"),
        (lambda: ArcWithMirror(3), "int and NoneType were given; expected a distribution of rotations"),
        (lambda: MirrorGate().rsample(0), "positive integer"),
        (lambda: SO2().product(torch.zeros(3, 2), torch.zeros(3, 1)), r"\(3, 2\) were given; expected \(..., 1\)"),
        (lambda: O2().product(torch.zeros(3, 2), torch.zeros(3, 1)), r"\(3, 1\) were given; expected \(..., 2\)"),
        (lambda: Translation().product(torch.zeros(1), torch.zeros(1)), "names an element by 2 number"),
        (lambda: Plane(SO2()).product(torch.zeros(2), torch.zeros(2)), "names an element by 3 number"),
        (lambda: SO2().act(GRID[0], torch.tensor([1, 0])), r"torch.int64 were given; .* use points.float\(\)"),
        (lambda: SO2().act(GRID[0], torch.zeros(4, 3)), r"\(4, 3\)"),
        (lambda: GroupSignal([1], GRID, SO2()), "values of type list were given"),
        (lambda: GroupSignal(ONES.long(), GRID, SO2()), "torch.int64 were given; expected a floating tensor"),
        (lambda: GroupSignal(ONES.numpy(), GRID, SO2()), r"ndarray were given; .* use torch.from_numpy\(values\)"),
        (lambda: SO2().act(GRID[0], np.zeros((4, 2))), r"ndarray were given; .* use torch.from_numpy\(points\)"),
        (lambda: GroupSignal(ONES.to(torch.complex64), GRID, SO2()), "complex64 were given"),
        (lambda: GroupSignal(ONES, O2().grid(4), SO2()), r"expected \(G, 1\)"),
        (lambda: GroupSignal(ONES[:, :, :0], GRID[:0], SO2()), "with G >= 1"),
        (lambda: GroupSignal(ONES, GRID, "SO2"), "use parse_group"),
        (lambda: GroupSignal(ONES, GRID, SO2(), torch.ones(3)), r"expected \(4,\), one per element"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence) as refused:
        make()
    assert "\n" not in str(refused.value)


def test_what_can_be_is_accepted():
    assert GroupSignal(ONES, GRID, SO2(), torch.ones(4)).values is ONES
    assert Plane(O2(), period=3).translation.period == Translation(3).period == 3.0
    assert SO2().act(GRID[:, None], torch.zeros(5, 2)).shape == (4, 5, 2)

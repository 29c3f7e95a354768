import math

import pytest
import torch
from torch.autograd import gradcheck

from tests.layers.symmetry import relative
from tests.tolerances import EXACT, SEPARATION
from workbench.groups import O2, SO2, parse_group
from workbench.kernels import tap_offsets
from workbench.kernels.coordinates import Coordinates

TAPS = tap_offsets(3) / 1.5
CASES = [(group, raw) for group in ("SO2", "O2") for raw in (False, True)]


def elements(group: str, n: int, seed: int) -> torch.Tensor:
    made = parse_group(group).sample(n, torch.Generator().manual_seed(seed), dtype=torch.float64)
    return made.requires_grad_(True)


def slowly(group, outputs, inputs, taps, raw: bool) -> torch.Tensor:
    """The definition, h^-1 x and h^-1 h' from the group's own matrices, product and inverse, point by point."""
    rows = []
    for h in outputs:
        for given in inputs if inputs is not None else [None]:
            for tap in taps if taps is not None else [None]:
                row = [] if tap is None else [group.matrix(h).T @ tap]
                if given is not None:
                    relation = group.product(group.inverse(h), given)
                    angle = torch.remainder(relation[:1], 2 * math.pi)
                    row += [angle / math.pi - 1] if raw else [torch.cos(angle), torch.sin(angle)]
                    row.append(relation[1:])
                rows.append(torch.cat(row))
    n_in, n_taps = 1 if inputs is None else len(inputs), 1 if taps is None else len(taps)
    return torch.stack(rows).unflatten(0, (len(outputs), n_in, n_taps))


@pytest.mark.parametrize(("name", "raw"), CASES)
@pytest.mark.parametrize("parts", ["taps", "pairs", "both"])
def test_a_point_is_the_tap_and_the_element_seen_from_the_output_element(name, raw, parts):
    outputs, inputs = elements(name, 3, 0), elements(name, 2, 1) if parts != "taps" else None
    taps = TAPS if parts != "pairs" else None
    points = Coordinates.apply(outputs, inputs, taps, raw)
    referee = slowly(parse_group(name), outputs, inputs, taps, raw)
    assert relative(points, referee) <= EXACT[torch.float64]
    weight = torch.randn(points.shape, generator=torch.Generator().manual_seed(2), dtype=points.dtype)
    given = [t for t in (outputs, inputs) if t is not None]
    ours, theirs = (torch.autograd.grad((p * weight).sum(), given) for p in (points, referee))
    for a, b in zip(ours, theirs, strict=True):
        assert relative(a[:, 0], b[:, 0]) <= EXACT[torch.float64]  # a mirror is no number to move along


@pytest.mark.parametrize(("name", "raw"), CASES)
def test_the_slope_is_that_of_finite_differences(name, raw):
    def of_angles(out, inner):
        mirror = elements(name, 2, 3).detach()[:, 1:]
        return Coordinates.apply(torch.cat([out, mirror], 1), torch.cat([inner, mirror], 1), TAPS, raw)

    angles = [elements(name, 2, seed).detach()[:, :1].requires_grad_(True) for seed in (4, 5)]
    assert gradcheck(of_angles, angles)


@pytest.mark.parametrize("group", [SO2(), O2()])
def test_a_turn_the_wrong_way_is_noticed(group):
    outputs, inputs = elements(str(group), 3, 0), elements(str(group), 2, 1)
    wrong = Coordinates.apply(group.inverse(outputs), inputs, TAPS, False)
    assert relative(wrong, slowly(group, outputs, inputs, TAPS, False)) > SEPARATION * EXACT[torch.float64]

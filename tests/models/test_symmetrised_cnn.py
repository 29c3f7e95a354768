"""A pose read from the picture, or a mean over poses: exactly invariant on the lattice, ties included."""

import pytest
import torch
from torch import Tensor, nn

from tests.layers.symmetry import FLIPS, TURN, defect, relative
from tests.tolerances import BROKEN, BROKEN_LOGITS, EXACT
from workbench.actions import transform_images
from workbench.groups import SO2, parse_group
from workbench.models.symmetrised_cnn import AveragedCNN, CanonicalCNN, best_turns, build

SMALL = {"widths": (4, 4), "classes": 3}
DTYPES = [torch.float64, torch.float32]


def worst(net: nn.Module, x: Tensor) -> float:
    """The largest change of the logits over the three quarter turns."""
    still = net(x)
    return max(relative(net(torch.rot90(x, q, (-2, -1))), still) for q in (1, 2, 3))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("size", [16, 17])
@pytest.mark.parametrize("way", ["canonical", "averaged"])
def test_quarter_turns_change_nothing(way, size, dtype):
    net = build({**SMALL, "way": way}).to(dtype).eval()
    x = torch.rand(5, 1, size, size, dtype=dtype)
    assert worst(net, x) <= EXACT[dtype]
    assert worst(net.network, x) > BROKEN_LOGITS


def tied(dtype: torch.dtype) -> Tensor:
    """Pictures whose pose is not decided: blank, a half turn of itself, a centre of mass on each diagonal."""
    blank, random = torch.zeros(1, 8, 8, dtype=dtype), torch.rand(1, 8, 8, dtype=dtype)
    half = random + torch.rot90(random, 2, (-2, -1))
    diagonal, other = blank.clone(), blank.clone()
    diagonal[0, 1, 5], diagonal[0, 2, 6] = 1.0, 1.0
    other[0, 6, 6], other[0, 6, 1], other[0, 1, 6] = 1.0, 0.5, 0.5
    return torch.stack([blank, half, diagonal, other])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_ties_are_averaged_and_stay_exact(dtype):
    net, x = build({**SMALL, "pools": (), "way": "canonical"}).to(dtype).eval(), tied(dtype)
    counts = best_turns(x).sum(1)
    assert counts[0] == 4
    assert (counts > 1).sum() >= 3
    assert worst(net, x) <= EXACT[dtype]


def test_taking_the_first_of_several_best_turns_would_break_it():
    x = tied(torch.float64)[2:3]
    net = build({**SMALL, "pools": (), "way": "canonical"}).double().eval()

    def first_only(x: Tensor) -> Tensor:
        return net.network(torch.rot90(x, int(best_turns(x).int().argmax()), (-2, -1)))

    assert worst(first_only, x) > BROKEN_LOGITS


def test_the_pose_turns_against_the_picture():
    x = torch.rand(20, 3, 16, 16)
    for q in (1, 2, 3):
        assert torch.equal(best_turns(torch.rot90(x, q, (-2, -1))), best_turns(x).roll(-q, 1))
    assert torch.equal(best_turns(x).sum(1), torch.ones(20).long())


@pytest.mark.parametrize("group", ["C(2)", "C(4)", "D(1)", "D(4)"])
def test_copies_are_the_action_of_the_group_without_resampling(group):
    net, g = build({**SMALL, "way": "averaged", "group": group}), parse_group(group)
    x = torch.randn(2, 1, 9, 9)
    assert torch.equal(net.copies(x), transform_images(x, net.elements.double(), g, resampler="bilinear"))


def test_averaging_covers_mirrors_where_the_group_has_them():
    net, x = build({**SMALL, "way": "averaged", "group": "D(4)"}).double().eval(), torch.randn(2, 1, 16, 16).double()
    g = parse_group("D(4)")
    assert max(defect(net, x, element, g) for element in (TURN[2], *FLIPS.values())) <= EXACT[torch.float64]
    turns_only = AveragedCNN(net.network, parse_group("C(4)"), 4).eval()
    assert defect(turns_only, x, FLIPS["left-right"], g) > BROKEN_LOGITS


def test_resampled_copies_are_those_of_the_action():
    net, x = build({**SMALL, "way": "averaged", "group": "SO2", "n": 8}).double(), torch.rand(2, 1, 12, 12).double()
    wanted = transform_images(x, net.elements.double(), SO2(), resampler="bilinear")
    assert relative(net.copies(x), wanted) <= EXACT[torch.float32]  # the angles are kept in float32
    assert relative(net.copies(x).flip(0), wanted) > BROKEN


def test_averaging_is_left_out_of_training_and_canonical_poses_are_not():
    averaged, canonical = (build({**SMALL, "way": way}).train() for way in ("averaged", "canonical"))
    x, modes = torch.rand(3, 1, 16, 16), []
    for net in (averaged, canonical):
        net.network.body[1] = nn.Identity()
        modes.append(relative(net(x), net.network(x)))
    assert modes[0] == 0.0
    assert modes[1] > BROKEN_LOGITS


def test_it_learns_and_survives_saving_and_loading():
    for way in ("canonical", "averaged"):
        one, other = build({**SMALL, "way": way}).eval(), build({**SMALL, "way": way}).eval()
        one(torch.rand(4, 1, 16, 16)).square().sum().backward()
        assert all(p.grad is not None for p in one.parameters())
        other.load_state_dict(one.state_dict())
        x = torch.randn(1, 1, 16, 16)
        assert torch.equal(one(x), other(x))


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"way": "learned"}, "expected one of canonical, averaged"),
        ({"group": "D(4)"}, "use way='averaged'"),
        ({"group": "C(8)"}, "use way='averaged'"),
        ({"way": "averaged", "group": "Translation"}, "expected SO2, O2"),
        ({"way": "averaged", "group": "C(8)", "n": 4}, "expected 8, all elements"),
        ({"copies": 3}, "copies was given; expected only way"),
    ],
)
def test_wrong_settings_are_refused_with_a_sentence(config, sentence):
    with pytest.raises(ValueError, match=sentence):
        build(config)


def test_images_that_are_not_square_are_refused():
    with pytest.raises(ValueError, match=r"CanonicalCNN: images of shape .* expected \(B, C, H, H\)"):
        CanonicalCNN(nn.Identity())(torch.zeros(1, 1, 8, 6))

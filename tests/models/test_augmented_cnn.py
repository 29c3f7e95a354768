"""The augmentation baseline: copies are the action of the group, their law is learned, and sentences."""

import math

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck

from tests.layers.symmetry import FLIPS, TURN, defect, relative
from tests.tolerances import BROKEN, BROKEN_LOGITS, EXACT
from workbench.actions import transform_images
from workbench.groups import O2, SO2, UniformArc, parse_group
from workbench.models.augmented_cnn import AugmentedCNN, build, moved_copies

SMALL = {"widths": (4, 4), "classes": 3}
TIGHT = EXACT[torch.float64]


@pytest.mark.parametrize("group", [SO2(), O2()], ids=str)
@pytest.mark.parametrize("size", [8, 9])
def test_copies_are_the_action_of_the_group(group, size):
    x = torch.randn(2, 1, size, size).double()
    elements = group.grid(6, 0.3, torch.float64)
    copies = moved_copies(x, group.matrix(elements))
    assert relative(copies, transform_images(x, elements, group, resampler="bilinear")) <= TIGHT
    wrong = moved_copies(x, group.matrix(group.inverse(elements)))
    assert relative(wrong, copies) > BROKEN


def test_copies_have_a_gradient_to_the_angle_at_quarter_turns_too():
    rows = torch.linspace(-1, 1, 9).double()
    x = torch.exp(-3 * ((rows - 0.2) ** 2 + (rows[:, None] + 0.1) ** 2))[None, None]
    angles = torch.tensor([[0.3], [2.0]], dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda a: moved_copies(x, SO2().matrix(a)), (angles,))
    quarter = torch.tensor([[math.pi / 2]], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad((moved_copies(x, SO2().matrix(quarter)) * rows).sum(), quarter)
    assert slope.abs() > 0


def test_the_width_of_the_arc_is_learned():
    net = build({**SMALL, "n": 4})
    net(torch.rand(4, 1, 16, 16)).square().sum().backward()
    assert isinstance(net.distribution, UniformArc)
    assert float(net.distribution.theta.grad.abs()) > 0
    assert all(p.grad is not None for p in net.parameters())


def test_gates_of_a_mirror_are_learned_and_weigh_the_mean():
    net, images = build({**SMALL, "group": "O2", "n": 4}), torch.rand(4, 1, 16, 16)
    for seed in range(20):
        torch.manual_seed(seed)
        if len(net.distribution.rsample(4).elements) == 4:  # a draw that keeps the mirror
            torch.manual_seed(seed)
            break
    net(images).square().sum().backward()
    assert float(net.distribution.gate.logit.grad.abs()) > 0


@pytest.mark.parametrize("group", ["C(4)", "D(4)"])
def test_over_a_whole_lattice_group_the_mean_is_invariant(group):
    net, g = build({**SMALL, "group": group}).double().eval(), parse_group(group)
    x = torch.randn(2, 1, 16, 16).double()
    elements = [TURN[g.element_dim], *(FLIPS.values() if g.element_dim == 2 else [])]
    assert max(defect(net, x, element, g) for element in elements) <= TIGHT
    assert defect(net.network, x, TURN[g.element_dim], g) > BROKEN_LOGITS


def test_evaluation_is_fixed_and_training_draws_anew():
    net, x = build({**SMALL, "n": 4}), torch.randn(2, 1, 16, 16)
    assert not torch.equal(net(x), net(x))
    net.eval()
    assert torch.equal(net(x), net(x))


def test_a_vanishing_arc_is_the_plain_network():
    net = build({**SMALL, "n": 8}).eval().double()
    net.distribution.theta.data.fill_(1e-3)
    x = torch.randn(2, 1, 16, 16).double()
    assert relative(net(x), net.network(x)) <= TIGHT


def test_what_is_not_learned_stays_whole():
    for group in ("SO2", "O2", "C(4)"):
        net = build({**SMALL, "group": group, "n": 4, "learned": False})
        assert not any(p.requires_grad for p in net.distribution.parameters())
        assert all(len(net.distribution.rsample(4).elements) == 4 for _ in range(20))


def test_its_weights_survive_saving_and_loading():
    one, other = build({**SMALL, "group": "O2"}).eval(), build({**SMALL, "group": "O2"}).eval()
    other.load_state_dict(one.state_dict())
    x = torch.randn(1, 1, 16, 16)
    assert torch.equal(one(x), other(x))


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"group": "Translation"}, "expected SO2, O2"),
        ({"group": "SE(3)"}, "expected SO2, O2"),
        ({"n": 0}, "positive integer"),
        ({"group": "O2", "n": 3}, "use 4"),
        ({"group": "C(8)", "n": 4}, "expected 8, one copy for each gate"),
        ({"copies": 3}, "copies was given"),
    ],
)
def test_wrong_settings_are_refused_with_a_sentence(config, sentence):
    with pytest.raises(ValueError, match=sentence):
        build(config)


def test_images_that_are_not_square_are_refused():
    with pytest.raises(ValueError, match=r"expected \(B, C, H, H\)"):
        AugmentedCNN(nn.Identity(), SO2(), 4, True)(torch.zeros(1, 1, 8, 6))

"""Learned augmentation: copies are exponentials of generators, the mean is exact where it can be, widths move."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from tests.layers.symmetry import TURN, defect, relative
from tests.tolerances import AGAIN_SINGLE, BROKEN, BROKEN_LOGITS, EXACT, FINITE_DIFFERENCE
from workbench.actions import transform_images
from workbench.groups import SO2
from workbench.models.learned_augmentation_cnn import GENERATORS, build, even, moved
from workbench.training.objective import own_penalty, parameter_groups

SMALL = {"widths": (4, 4), "classes": 3, "copies": 4}
TIGHT = EXACT[torch.float64]


def network(**options: Any) -> Any:
    torch.manual_seed(1)
    return build({**SMALL, **options}).double()


def test_a_turn_is_the_action_of_the_rotation():
    net = network(start=1.0)
    angles = torch.tensor([0.3, -1.0, 0.9]).double()
    x = torch.randn(2, 1, 9, 9).double()
    motions = net.motions(angles[:, None, None].expand(-1, 2, 1))
    wanted = transform_images(x, angles[:, None], SO2(), resampler="bilinear")
    assert relative(moved(x, motions), wanted) <= TIGHT
    assert relative(moved(x, motions.transpose(-1, -2)), wanted) > BROKEN


@pytest.mark.parametrize("name", GENERATORS)
def test_motions_are_exponentials_of_their_generators(name):
    net = network(generators=(name,), start=0.5)
    one = torch.ones(1).double()
    whole, half, none = (net.motions(one * e) for e in (1.0, 0.5, 0.0))
    assert relative(half @ half, whole) <= TIGHT
    assert relative(none, torch.eye(3).double()) <= TIGHT
    slope = (net.motions(one * 1e-6) - none) / (1e-6 * 0.5)
    assert relative(slope, torch.tensor([*GENERATORS[name], (0.0, 0.0, 0.0)]).double()) <= FINITE_DIFFERENCE


def test_shifts_move_right_and_up_by_a_twentieth_of_the_image():
    x = torch.zeros(1, 1, 20, 20).double()
    x[0, 0, 10, 10] = 1.0
    for name, place in (("shift_x", (10, 11)), ("shift_y", (9, 10))):
        net = network(generators=(name,), start=1.0)
        (copy,) = moved(x, net.motions(torch.ones(1, 1, 1).double()))
        assert float(copy[0, 0][place].detach()) == pytest.approx(1.0, rel=AGAIN_SINGLE)


def test_the_mean_over_the_whole_circle_is_exactly_invariant_to_quarter_turns():
    x = torch.randn(2, 1, 16, 16).double()
    whole, part = network(start=math.pi).eval(), network(start=2.0).eval()
    assert defect(whole, x, TURN[1], SO2()) <= EXACT[torch.float32]  # pi is a float32 parameter
    with torch.no_grad():
        whole.width.fill_(math.pi)
    assert defect(whole, x, TURN[1], SO2()) <= TIGHT
    assert defect(part, x, TURN[1], SO2()) > BROKEN_LOGITS


def test_no_width_is_the_plain_network():
    net, x = network(start=0.0).eval(), torch.randn(2, 1, 16, 16).double()
    assert relative(net(x), net.network(x)) <= TIGHT


def test_draws_in_evaluation_fill_the_box_evenly_and_training_draws_each_image_anew():
    for generators in (1, 2, 6):
        draws = even(256, generators)
        assert float(draws.abs().max()) < 1
        assert float(draws.mean(0).abs().max()) < BROKEN
        assert float((draws.square().mean(0) - 1 / 3).abs().max()) < BROKEN
    net, x = network(), torch.randn(1, 1, 16, 16).double().expand(3, -1, -1, -1)
    first = net(x)
    assert not torch.equal(first, net(x))
    assert not torch.equal(first[0], first[1])
    net.eval()
    assert torch.equal(net(x), net(x))


def test_training_may_draw_fewer_copies_than_evaluation_averages():
    seen: list[int] = []
    net = network(copies=4, training_copies=1)
    net.network.register_forward_pre_hook(lambda module, given: seen.append(len(given[0])))
    x = torch.randn(3, 1, 16, 16).double()
    net(x)
    net.eval()(x)
    assert seen == [3, 12]
    net.load_state_dict(network(copies=2).state_dict())


def test_widths_that_are_not_learned_and_one_copy_are_plain_augmentation():
    net, x = network(copies=1, start=math.pi, learned=False), torch.randn(2, 1, 16, 16).double()
    assert relative(net(x), net.network(x)) > BROKEN_LOGITS, "moved in training"
    (net(x).sum() + net.penalty()).backward()
    assert net.width.grad is None
    net.eval()
    assert relative(net(x), net.network(x)) <= TIGHT, "and not in evaluation"


def test_no_picture_is_answered_with_no_answer():
    assert network(copies=4)(torch.zeros(0, 1, 16, 16).double()).shape == (0, 3)


def test_the_reward_is_minus_the_norm_of_the_widths_up_to_the_largest():
    net = network(generators=("turn", "scale"), reward=0.5)
    with torch.no_grad():
        net.width.copy_(torch.tensor([3.0, -0.4]))
    assert float(own_penalty(net).detach()) == pytest.approx(-0.5 * math.hypot(3.0, 0.4), rel=AGAIN_SINGLE)
    (slope,) = torch.autograd.grad(net.penalty(), net.width)
    assert float(slope[0]) < 0 < float(slope[1]), "both widths are pulled outwards, whatever their sign"
    with torch.no_grad():
        net.width.copy_(torch.tensor([5.0, 3.0]))
    assert float(net.penalty().detach()) == pytest.approx(-0.5 * math.hypot(math.pi, 1.0), rel=AGAIN_SINGLE)
    (slope,) = torch.autograd.grad(net.penalty(), net.width)
    assert not slope.any()


def test_widths_are_in_the_group_of_what_decides_on_symmetry_and_have_a_gradient_from_the_loss():
    net = network(reward=0.0)
    assert [p is net.width for p in parameter_groups(net)["probs"]] == [True]
    net(torch.rand(4, 1, 16, 16).double()).square().sum().backward()
    assert float(net.width.grad.abs().min()) > 0
    assert all(p.grad is not None for p in net.parameters())


def learned(free: bool) -> float:
    """The width of the turn after steps on pictures whose label is their angle, or does not depend on it."""
    torch.manual_seed(0)
    net = network(start=0.5, reward=0.05)
    base = torch.rand(1, 1, 16, 16).double() * torch.linspace(0, 1, 16).double()
    other = torch.rand(1, 1, 16, 16).double()
    turned = torch.rot90(base, 1, (-2, -1))
    images = torch.cat([base, turned, other]) if free else torch.cat([base, base.roll(1, -1), other])
    labels = torch.tensor([0, 1, 2]) if free else torch.tensor([0, 0, 2])
    optimiser = torch.optim.Adam([{"params": net.network.parameters()}, {"params": [net.width], "lr": 0.05}], 1e-2)
    for _ in range(60):
        optimiser.zero_grad()
        (nn.functional.cross_entropy(net(images.repeat(4, 1, 1, 1)), labels.repeat(4)) + own_penalty(net)).backward()
        optimiser.step()
    return net.widths()["turn"]


def test_the_width_grows_further_where_labels_do_not_depend_on_the_angle():
    assert learned(free=False) > 1.2 * learned(free=True)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"generators": ("twist",)}, "generators = .* was given; expected some of shift_x"),
        ({"generators": ("turn", "turn")}, "each once"),
        ({"generators": ()}, "expected some of"),
        ({"copies": 0}, "copies = 0 was given"),
        ({"training_copies": 0}, "training_copies = 0 was given; expected a positive integer"),
        ({"learned": 0}, "learned = 0 was given; expected True or False"),
        ({"reward": -1.0}, "reward = -1.0 was given; expected a finite number"),
        ({"width": 1.0}, "width was given; expected only in_channels"),
    ],
)
def test_wrong_settings_are_refused_with_a_sentence(config, sentence):
    with pytest.raises(ValueError, match=sentence):
        build(config)


def test_images_that_are_not_square_are_refused():
    with pytest.raises(ValueError, match=r"expected \(B, C, H, H\)"):
        build(SMALL)(torch.zeros(1, 1, 8, 6))

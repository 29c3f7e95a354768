"""Networks of several answers, audited at one of them: every part says what it says of that answer alone."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from workbench.audit import audit, load_model
from workbench.audit.decisions import decisions, spread_of
from workbench.audit.selecting import guarded_model, narrowed, place_or_key
from workbench.measure.result import selected


class Both(nn.Module):
    """Scores that mind a turn, and a mean that does not, as a dict or a tuple."""

    def __init__(self, several: bool = True, named: bool = True) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 4, 3, 2, 1), nn.Linear(4, 3)
        self.several, self.named = several, named

    def forward(self, x: Tensor):
        scores = self.head(self.conv(x).relu().mean((2, 3)))
        if not self.several:
            return scores
        mean = x.mean((1, 2, 3))[:, None] * torch.ones(2)
        return {"scores": scores, "mean": mean} if self.named else (scores, mean)


class OfPoints(nn.Module):
    """The same of points: one answer looks at distances, the other at coordinates."""

    def __init__(self) -> None:
        super().__init__()
        self.near, self.there = nn.Linear(1, 2), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"near": self.near(torch.cdist(x, x).unsqueeze(-1)).mean((1, 2)), "there": self.there(x).mean(1)}


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(1))


class Nested(Both):
    """The same answers as parts of parts."""

    def forward(self, x: Tensor):
        return {"head": super().forward(x), "more": (x, [x.mean((1, 2, 3))]), "dot.ted": x}


def made(**options) -> Both:
    torch.manual_seed(0)
    return Both(**options)


@pytest.mark.parametrize(("named", "select"), [(True, "scores"), (False, 0), (False, lambda parts: parts[0])])
def test_every_part_says_what_it_says_of_that_answer_alone(images, named, select) -> None:
    labels = [0, 1, 2, 0, 1, 2]
    whole = audit(made(several=False), images, labels=labels, data_samples=0)
    part = audit(made(named=named), images, labels=labels, data_samples=0, select=select)
    assert part.answer == whole.answer
    assert part.decisions.identical(whole.decisions.assign_attrs(part.decisions.attrs))
    assert set(part.more) == set(whole.more) >= {"attribution", "fixes", "Lie derivative", "task"}
    for name in part.more:
        numbers = {n for n in part.more[name].data_vars if part.more[name][n].dtype.kind == "f"}
        assert all(part.more[name][n].equals(whole.more[name][n]) for n in numbers), name
    assert part.control.error_mean.equals(whole.control.error_mean)
    assert part.remedies.equals(whole.remedies)
    assert any("the part of its answer" in note for note in part.notes)


def test_the_other_answer_gets_its_own_verdict(images) -> None:
    assert audit(made(), images, data_samples=0, select="mean").verdicts[0].level == "exact"
    assert audit(made(), images, data_samples=0, select="scores").verdicts[0].level == "broken"


def test_points_and_pieces_are_audited_at_one_answer_too(tmp_path) -> None:
    points = torch.randn(6, 5, 3)
    near = audit(OfPoints(), points, select="near", folder=tmp_path)
    assert {verdict.level for verdict in near.verdicts} == {"exact"}
    assert "broken" in {verdict.level for verdict in audit(OfPoints(), points, select="there").verdicts}


def test_r24_the_network_is_as_before(images) -> None:
    net = made().train()
    hooks = {name: len(module._forward_hooks) for name, module in net.named_modules()}
    audit(net, images, data_samples=0, select="scores", group="C(4)")
    assert net.training
    assert {name: len(module._forward_hooks) for name, module in net.named_modules()} == hooks
    assert set(net(images)) == {"scores", "mean"}


def test_a_function_is_heard_for_one_answer_and_none_is_the_network_itself(images) -> None:
    found = load_model(lambda x: (x, x.mean((1, 2, 3))))
    assert narrowed(found, 1).model(images).shape == (6,)
    assert narrowed(found, None) is found


@pytest.mark.parametrize(
    ("select", "sentence"),
    [(None, "choose one with select='scores'"), ("logits", "select = 'logits' was given for a dict with the keys")],
)
def test_a_missing_or_wrong_part_is_named(images, select, sentence) -> None:
    with pytest.raises(ValueError, match=sentence):
        audit(made(), images, data_samples=0, select=select)


def test_words_of_the_command_line_are_keys_or_places() -> None:
    assert [place_or_key(text) for text in ("scores", "0", "-1", None)] == ["scores", 0, -1, None]


@pytest.mark.parametrize("select", ["head.mean", "more.1.0"])
def test_a_part_of_a_part_is_reached_by_names_joined_with_dots(images, select) -> None:
    result = audit(Nested(), images, group="C(4)", data_samples=0, select=select)
    assert [verdict.level for verdict in result.verdicts] == ["exact"]


@pytest.mark.parametrize(
    ("select", "sentence"),
    [
        (None, "keys 'head', 'more', 'dot.ted'.*choose one with select='head.scores'"),
        ("head", "select = 'head' was given, which is a dict .* choose one with select='head.scores'"),
        ("more", "which is a tuple of 2 parts.* choose one with select='more.0'"),
        ("head.nose", "select = 'head.nose' was given for a dict .* such as 'head.scores'"),
        ("more.2", "select = 'more.2' was given for a dict"),
    ],
)
def test_the_advice_for_parts_of_parts_can_be_followed(images, select, sentence) -> None:
    with pytest.raises(ValueError, match=sentence):
        audit(Nested(), images, group="C(4)", data_samples=0, select=select)


def test_a_key_with_a_dot_in_it_is_found_before_a_path() -> None:
    parts = {"dot.ted": 1, "dot": {"ted": 2, "led": 3}}
    assert [selected(parts, name) for name in ("dot.ted", "dot.led")] == [1, 3]


class InPlace(nn.Module):
    """A network that standardises its input where it lies; its twin makes a new tensor."""

    def __init__(self, own: bool) -> None:
        super().__init__()
        self.net, self.own = made(several=False), own

    def forward(self, x: Tensor) -> Tensor:
        return self.net((x - 0.4) / 0.2 if self.own else x.sub_(0.4).div_(0.2))


class Force(nn.Module):
    """Minus the gradient of an energy of distances, with its own word for gradients or without it."""

    def __init__(self, own: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net, self.own = nn.Linear(1, 4), own

    def forward(self, x: Tensor) -> Tensor:
        with torch.set_grad_enabled(self.own or torch.is_grad_enabled()):
            x = x.clone().requires_grad_(True)
            energy = self.net((x.unsqueeze(1) - x.unsqueeze(2)).square().sum(-1, keepdim=True)).tanh().sum()
            return -torch.autograd.grad(energy, x)[0]


def alike(found, twin) -> bool:
    """Verdicts and decisions of two audits, up to the names of the networks."""
    same = [(v.question, v.level, v.error) for v in found.verdicts] == [
        (v.question, v.level, v.error) for v in twin.verdicts
    ]
    changed = [None if one.decisions is None else one.decisions.changed.values.tolist() for one in (found, twin)]
    return same and changed[0] == changed[1] and set(found.more) == set(twin.more)


@pytest.mark.parametrize("wrap", [lambda net: net, lambda net: lambda x: net(x)], ids=["module", "function"])
def test_a_network_that_changes_its_input_is_audited_as_its_twin(images, wrap) -> None:
    before, labels = images.clone(), [0, 1, 2, 0, 1, 2]
    with torch.no_grad():
        InPlace(own=False)(twice := images.clone())
    assert not torch.equal(twice, images)  # it does
    found, twin = (audit(wrap(InPlace(own).eval()), images, labels=labels, data_samples=0) for own in (False, True))
    assert torch.equal(images, before)
    assert alike(found, twin)
    assert [note for note in found.notes if "measured on copies" in note]
    assert not [note for note in twin.notes if "measured on copies" in note]


@pytest.mark.parametrize("wrap", [lambda net: net, lambda net: lambda x: net(x)], ids=["module", "function"])
def test_a_network_that_takes_gradients_inside_is_audited(wrap) -> None:
    points = torch.randn(6, 5, 3, generator=torch.Generator().manual_seed(0))
    nets = Force(False).train(), Force(True)
    found, twin = (audit(wrap(net), points, group="SO3") for net in nets)
    assert alike(found, twin)
    assert found.verdicts[0].level == "exact"
    assert [note for note in found.notes if "gradients switched on" in note]
    assert torch.is_grad_enabled()
    assert nets[0].training
    assert not nets[0]._forward_hooks
    assert not nets[0]._forward_pre_hooks


def test_gradients_inside_are_off_again_after_an_exception() -> None:
    def breaks(module: nn.Module, inputs: tuple, output: Tensor) -> None:
        raise KeyError("stopped on the way")

    net = Force(False)
    net.net.register_forward_hook(breaks)
    for model in (net, lambda x: net(x)):
        guard = guarded_model(model, frozenset({"gradients"}))
        with torch.no_grad():
            with pytest.raises(KeyError):
                guard(torch.rand(2, 5, 3))
            assert not torch.is_grad_enabled()


@dataclass
class Parts:
    """What a network may put out instead of a dict."""

    loss: float
    logits: Tensor


class WithFields(Both):
    def forward(self, x: Tensor):
        return Parts(0.0, super().forward(x))


def test_the_fields_of_an_answer_are_offered(images) -> None:
    torch.manual_seed(0)
    net = WithFields(several=False)
    with pytest.raises(
        ValueError, match=r"a Parts with the fields 'loss', 'logits'; .* choose one with select='logits'"
    ):
        audit(net, images, data_samples=0)
    assert audit(net, images, data_samples=0, select="logits", group="C(4)").verdicts[0].level == "broken"


def test_decisions_and_spreads_leave_the_images_alone(images) -> None:
    before = images.clone()
    net, twin = (InPlace(own).eval() for own in (False, True))
    assert spread_of(net, images) == spread_of(twin, images)
    found, expected = decisions(net, images), decisions(twin, images)
    assert found is not None
    assert expected is not None
    assert found.changed.equals(expected.changed)
    assert torch.equal(images, before)

"""What stands beside the verdicts: how the answer was taken to move, chance in it, layers that were not compared."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from workbench import cli
from workbench.audit import audit, report_html
from workbench.audit.upfront import guessed, parted
from workbench.commands.audit import _tell


class Numbers(nn.Module):
    """Numbers that follow no law that their shape can have."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.shape, self.end = shape, nn.Linear(256, int(np.prod(shape)))

    def forward(self, x: Tensor) -> Tensor:
        return self.end((7 * x).sin().flatten(1)).reshape(-1, *self.shape)


class Tokens(nn.Module):
    """A network whose inner layers put out tokens, which are no maps."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patch, self.head = nn.Conv2d(1, 8, 4, 4), nn.Linear(8, 3)
        self.inner = nn.Sequential(nn.Linear(8, 8), nn.Tanh())
        self.patch.weight.data = self.patch.weight.data.mean((2, 3), keepdim=True).expand_as(self.patch.weight).clone()

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patch(x).flatten(2).transpose(1, 2)
        return self.head(self.inner(tokens + torch.linspace(0, 1, 16)[:, None])[:, 0])


class Noisy(nn.Module):
    """Broken by far, behind much chance or little."""

    def __init__(self, chance: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.end, self.chance = nn.Linear(256, 3), chance

    def forward(self, x: Tensor) -> Tensor:
        scores = self.end(x.flatten(1))
        return scores + self.chance * torch.randn_like(scores)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(0))


def answer_of(page: str) -> str:
    """The section of a report that a reader sees first."""
    return page[page.index('id="answer"') : page.index('id="numbers-title"')]


def plain(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_an_answer_that_fits_no_law_is_a_guess_and_that_is_said_before_every_verdict(images):
    result = audit(Numbers(3, 2), images, data_samples=0)
    assert all(map(guessed, result.sweeps.values()))
    assert result.short.startswith("Careful: how its answer should move is a guess, because nothing")
    assert "under that guess: broken" in result.summary
    assert all(v.sentence.startswith("If its answer should move as key points") for v in result.verdicts)
    page = report_html(result)
    assert "is a guess, because nothing" in answer_of(page)
    assert page.index("is a guess, because") < page.index("In short")
    assert "is a guess" in result.to_dataset().attrs["caution"]
    assert str(result).startswith("Careful: how its answer should move is a guess")


def test_a_declared_answer_is_no_guess(images):
    result = audit(Numbers(3, 2), images, data_samples=0, output="key points in unit")
    assert result.taken == "Its answer should move as key points in unit (declared)."
    assert result.short.startswith("In short: broken")
    assert all(v.sentence.startswith("Your model breaks") for v in result.verdicts)


def test_the_law_and_its_confidence_are_one_line_of_the_report_and_the_terminal(images, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.savez("x.npz", images=images.numpy())
    (tmp_path / "net.py").write_text(
        "from torch import nn\ndef build(): return nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(16, 3))\n"
    )
    assert cli.main(["audit", "net.py:build", "--data", "x.npz", "--data-samples", "0"]) == 0
    line = "Its answer should stay as it is (invariant; usual for its shape; confidence 100%)."
    assert line in capsys.readouterr().out.splitlines()
    assert line in answer_of((tmp_path / "audit" / "report.html").read_text())


def test_layers_that_cannot_be_compared_are_named_with_the_reason(images, tmp_path, monkeypatch, capsys):
    result = audit(Tokens(), images, data_samples=0)
    assert list(result.unseen) == ["inner.0", "inner.1"]
    assert result.unseen["inner.0"].startswith("puts out (16, 8) numbers for each sample, which are neither maps")
    assert result.unseen_line.startswith("Not compared, 2 of 4 layers: inner.0 (the first of 2 such): puts out (16, 8)")
    page = plain(report_html(result))
    assert "Layers that could not be compared" in page
    assert "inner.0, inner.1 puts out (16, 8) numbers" in page
    assert result.unseen_line in page
    assert audit(nn.Sequential(nn.Conv2d(1, 2, 3)), images, "C(4)").unseen_line == ""


def test_the_share_of_a_layer_that_cannot_be_compared_is_said_to_be_in_the_next_one(images):
    result = audit(Tokens(), images, data_samples=0)
    shares = result.more["attribution"]
    assert shares.layer.values.tolist() == ["patch", "head", "functions after the last module"]
    assert shares.hidden.values.tolist() == ["", "inner.0, inner.1", ""]
    assert re.search(
        r"head \(100%, 95 % interval \d+% to \d+%, with what inner.0 to inner.1 before it bring in, which could not be "
        r"compared\), measured on 8 of 8 images",
        result.verdicts[0].because,
    )
    page = plain(report_html(result))
    assert "theirs is counted with the next module that was compared" in page
    assert "counted with it, because it could not be compared" in page


@pytest.mark.parametrize(("chance", "level"), [(5.0, "chance"), (0.02, "broken")])
def test_chance_is_named_with_the_runs_and_the_noise_that_is_left(images, chance, level):
    result = audit(Noisy(chance), images, data_samples=0)
    assert "Careful: it is stochastic" in result.caution
    assert "one of the mean of 8 runs, of which chance alone makes about" in result.caution
    assert "it is stochastic" in answer_of(report_html(result))
    assert result.verdicts[0].level == level
    if level == "chance":
        assert "cannot be told" in result.verdicts[0].sentence
        assert "cannot be told: quarter turns" in result.summary
        assert "fixes" not in result.more, "nothing is mended that chance hides"
    else:
        assert "without that about" in result.verdicts[0].sentence
    assert float(result.to_dataset().noise_floor_mean.sel(layer="output").min()) > 0


def test_a_question_that_could_not_be_asked_stands_beside_the_answers(images, capsys):
    whole = audit(nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU()), images, "C(4)")
    why = "Not measured, shifts: no behaviour is known for an output of shape (B, 3)."
    result = replace(whole, notes=(*whole.notes, why, "Not measured, attribution: it took too long."))
    assert result.refused == (why,)
    assert why in str(result)
    assert why in answer_of(report_html(result))
    _tell(result)
    assert why in capsys.readouterr().out.splitlines()


def test_a_network_without_chance_is_not_called_stochastic(images):
    result = audit(nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU()), images, "C(4)")
    assert result.caution == ""
    assert "noise_floor_mean" not in result.to_dataset()


def test_reasons_hold_together_whatever_stands_in_them():
    told = (
        "a.b: a tensor of shape (4, 5, 6) and torch.int64 for 4 images; expected maps; or this: that; c: it did not run"
    )
    found = parted(told, {"a.b", "c"})
    assert list(found) == ["a.b", "c"]
    assert found["a.b"].startswith("puts out (5, 6) numbers for each sample of type int64, which are neither maps")
    assert found["c"] == "it did not run"


def test_a_layer_with_too_few_places_for_some_questions_is_named_with_them():
    net = nn.Sequential(nn.Conv1d(1, 2, 3, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    result = audit(net, torch.rand(6, 1, 64, generator=torch.Generator().manual_seed(0)), kind="series")
    assert list(result.unseen) == ["2"]
    assert result.unseen["2"].startswith(
        "has one place left, and some elements move all of that out of the frame, under"
    )
    assert result.unseen["2"].endswith("under shifts")
    assert result.unseen_line.startswith("Not compared, 1 of 4 layers: 2: has one place left")


class Mixing(nn.Module):
    """A network whose answer to a sample is held against the mean answer to all samples of the batch."""

    def __init__(self, mixes: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.end, self.mixes = nn.Linear(256, 3), mixes

    def forward(self, x: Tensor) -> Tensor:
        scores = self.end(x.flatten(1))
        return scores - scores.mean(0) if self.mixes else scores


@pytest.mark.parametrize("wrap", [lambda net: net, lambda net: lambda x: net(x)], ids=["module", "function"])
@pytest.mark.parametrize("mixes", [True, False])
def test_that_an_answer_depends_on_the_other_samples_stands_first_everywhere(images, mixes, wrap, capsys):
    result = audit(wrap(Mixing(mixes)), images, "C(4)")
    told = "Careful: a sample's answer depends on the others of its batch"
    _tell(result)
    for text in (capsys.readouterr().out, str(result), report_html(result).replace("&#39;", "'")):
        assert (told in text) == mixes
    assert ("use running statistics in evaluation" in result.short) == mixes


def test_a_norm_that_uses_the_batch_is_named_on_the_terminal(images, capsys):
    norm = nn.BatchNorm2d(4, track_running_stats=False)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), norm, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    _tell(audit(net, images, "C(4)"))
    assert "depends on the others of its batch, in 1. Every number" in capsys.readouterr().out
    net[1] = nn.BatchNorm2d(4).train()
    _tell(audit(net, images, "C(4)"))
    assert "In 1, a norm left in train() in a network in eval()" in capsys.readouterr().out
    _tell(audit(net.train(), images, "C(4)"))
    assert "In train() its batch norm uses statistics of the batch" in capsys.readouterr().out

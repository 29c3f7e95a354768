"""`workbench audit`: the answer on the terminal, the report on disk, the exit code for CI."""

import numpy as np
import pytest
from PIL import Image

from workbench import cli
from workbench.commands.audit import Progress
from workbench.datasets import data_folder

RUN = str(data_folder() / "runs" / "partial_gcnn" / "rotated_strict")
NET = """
from torch import nn
def build(): return nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "photos").mkdir()
    for at in range(4):
        values = np.random.randint(0, 255, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(values).save(tmp_path / "photos" / f"{at}.png")
    return tmp_path


def test_a_network_and_a_folder_give_sentences_and_a_report(here, capsys):
    assert cli.main(["audit", "net.py:build", "--data", "photos", "--data-samples", "0"]) == 0
    told = capsys.readouterr()
    assert "Your model breaks quarter turns" in told.out
    assert "RUNS" in cli.AUDIT
    assert "runs the Python code" in told.err, "it says that the user's code is run"
    assert (here / "audit" / "report.html").is_file()
    assert (here / "audit" / "audit.nc").is_file()


OTHERS = """
import torch
from torch import nn
class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.near, self.there = nn.Linear(1, 2), nn.Linear(3, 2)
    def forward(self, x):
        return {"near": self.near(torch.cdist(x, x).unsqueeze(-1)).mean((1, 2)), "there": self.there(x).mean(1)}
"""


@pytest.mark.parametrize(("part", "code", "told"), [("near", 0, "exactly invariant"), ("there", 1, "breaks rotations")])
def test_points_and_one_answer_of_several_are_audited_and_the_kind_is_said(here, part, code, told, capsys):
    (here / "two.py").write_text(OTHERS)
    np.savez(here / "d.npz", inputs=np.random.rand(6, 5, 3).astype(np.float32))
    given = ["audit", "two.py:Two", "--data", "d.npz", "--kind", "points", "--select", part, "--fail-above", "1e-4"]
    assert cli.main(given) == code
    out = capsys.readouterr().out
    assert told in out
    assert "Read as point sets" in out
    assert (here / "audit" / "report.html").is_file()
    assert cli.main(["audit", "two.py:Two", "--data", "d.npz"]) == 2
    assert "choose one with --select near" in capsys.readouterr().err


@pytest.mark.parametrize(("bound", "code"), [("1e-4", 0), ("0", 1)])
def test_fail_above_sets_the_exit_code(here, bound, code, capsys):
    given = ["audit", RUN, "--data", "digits", "--group", "C(4)", "--samples", "4", "--fail-above", bound]
    assert cli.main(given) == code
    assert "above" in capsys.readouterr().out


def test_two_networks_lie_beside_each_other_in_one_report(here, capsys):
    (here / "mean.py").write_text(NET.replace("nn.Conv2d(3, 4, 3, 2, 1)", "nn.AvgPool2d(2), nn.Conv2d(3, 4, 1)"))
    given = ["audit", "mean.py:build", "--beside", "net.py:build", "--data", "photos", "--data-samples", "0"]
    assert cli.main([*given, "--fail-above", "1e-4", "--group", "C(4)"]) == 0, "the first network is judged"
    told = capsys.readouterr().out
    assert "net.py:build errs more" in told
    assert "mean.py:build. In short: exact" in told
    assert (here / "audit" / "report.html").is_file()
    assert (here / "audit" / "network-2" / "report.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nowhere", "--data", "photos"), "expected package.module:name"),
        (("net.py:absent", "--data", "photos"), "has no 'absent'"),
        (("net.py:build", "--data", "nowhere"), "expected a folder of pictures"),
        (("net.py:build", "--data", "digits", "--group", "X"), "expected SO2"),
        (("net.py:build", "--data", "bad.npy"), "no numpy array"),
        (("net.py:build", "--data", "photos", "--labels", "absent.txt"), "there is no file absent.txt"),
    ],
)
def test_a_mistake_gets_one_sentence_and_exit_code_two(here, arguments, sentence, capsys):
    (here / "bad.npy").write_bytes(b"junk")
    assert cli.main(["audit", *arguments]) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert "Traceback" not in told


@pytest.mark.parametrize("option", [("--fail-above", "-1"), ("--mean", "a,b"), ("--samples", "0")])
def test_bad_options_are_refused(here, option):
    with pytest.raises(SystemExit):
        cli.main(["audit", "net.py:build", "--data", "photos", *option])


def test_progress_is_a_bar_on_a_terminal_and_lines_elsewhere():
    for terminal in (True, False):
        written: list[str] = []
        bar = Progress(written.append, terminal)
        bar.last -= 10
        bar(0.5)
        bar(1.0)
        assert "50%" in written[0]
        assert ("\r" in written[0]) is terminal
        assert "100%" in written[-1]

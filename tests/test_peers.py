"""The plug-ins that measure other people's layers: found where they lie, named where they do not."""

import json
import sys
from pathlib import Path

import pytest
import torch

from tests.benchmarks import group_conv_speed, peers, summary
from tests.test_published_code import written

PACKAGES = tuple(peer.package for peer in peers.PEERS.values())
SOURCE = Path(peers.__file__).read_text(encoding="utf-8")
LAYERS = """
from torch import nn
FieldType = lambda space, fields: sum(fields)
class GeometricTensor:
    def __init__(self, tensor, fields):
        self.tensor = tensor
class R2Conv(nn.Conv2d):
    def forward(self, given):
        return GeometricTensor(super().forward(given.tensor){}, None)
"""
SPACES = "from types import SimpleNamespace\nrot2dOnR2 = lambda n: SimpleNamespace(regular_repr=n)\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where a stand-in for a package may be written; nothing that is imported from there stays."""
    monkeypatch.setattr(sys, "dont_write_bytecode", sys.dont_write_bytecode)
    monkeypatch.setattr(group_conv_speed, "ROUND", 0.0)  # one call a round
    monkeypatch.setattr(peers, "keep_freed_memory", lambda: True)  # it would hold for every later test
    monkeypatch.setattr(peers.torch, "set_num_threads", lambda threads: None)
    monkeypatch.setattr(peers, "RESULT", tmp_path / "peers.json")
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] in PACKAGES}
    known = set(sys.modules)
    yield tmp_path / "copy"
    for name in set(sys.modules) - known:
        if name.split(".")[0] in (*PACKAGES, "lie_learn"):
            del sys.modules[name]
    sys.modules.update(before)


def stand_in(folder: Path, answer: str = "") -> None:
    """A package of escnn's name, whose layer is a plain convolution."""
    package = folder / "escnn"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("__version__ = '0'\n")
    (package / "gspaces.py").write_text(SPACES)
    (package / "nn.py").write_text(LAYERS.format(answer))


def run(monkeypatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["peers.py", *arguments])
    peers.main()


def test_who_is_not_there_is_named_with_the_repository_to_clone(folder, monkeypatch, capsys):
    for package in PACKAGES:
        monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    with pytest.raises(SystemExit) as left:
        run(monkeypatch)
    assert left.value.code == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == len(PACKAGES)
    for sentence, peer in zip(said, peers.PEERS.values(), strict=True):
        assert peer.package in sentence
        assert peer.repository in sentence
        assert "no folder was given" in sentence
        assert "--folder" in sentence
    assert not peers.RESULT.exists()


def test_who_is_there_is_measured_and_stored_and_who_is_not_is_left_out(folder, monkeypatch, capsys):
    stand_in(folder)
    monkeypatch.setitem(sys.modules, "ck_g_cnn", None)
    monkeypatch.setattr(peers, "SIZES", [(2, 6, 3, 4)])
    monkeypatch.setattr(peers, "BATCHES", (1,))
    peers.RESULT.write_text(json.dumps({"1": {"another": {}}}))
    before = list(sys.path)
    run(monkeypatch, "--folder", str(folder), "--rounds", "2")
    assert sys.path == before
    assert f"ck_g_cnn was not found in {folder}" in capsys.readouterr().err
    stored = json.loads(peers.RESULT.read_text())["1"]
    assert list(stored) == ["another", "escnn"]
    step, evaluation = stored["escnn"]["rows"]
    assert (step["call"], evaluation["call"]) == peers.CALLS
    assert step["weights"]["peer"] == step["weights"]["plain"] == 8 * 8 * 9 + 8
    for ratio in step["ratios"].values():
        assert len(ratio["rounds"]) == 2
    assert stored["escnn"]["environment"]["version"] == "0"


def test_a_layer_that_answers_with_another_shape_is_refused(folder):
    stand_in(folder, "[..., 1:]")
    peer = peers.PEERS["escnn"]
    peers.load(peer, [folder])
    with pytest.raises(
        ValueError, match=r"peer answered \(1, 8, 6, 5\); expected finite numbers of shape \(1, 8, 6, 6\)"
    ):
        peers.measured(peer, "eval", 2, 6, 3, 4, 1, 2)


def test_ours_beside_the_released_separable_layer_has_as_many_weights():
    c, k, n = 4, 5, 8
    ours, forward = peers.separable(c, k, n)
    mixing, filters = ((1 + 1) * 64 + 65 * 64 + 65 * c * c, (2 + 1) * 64 + 65 * 64 + 65 * c)
    assert sum(p.numel() for p in ours.parameters()) == mixing + filters
    x = torch.randn(1, c * n, 6, 6)
    peers.checked("ours", forward(x), x)


def test_a_lost_comparison_is_bold_and_their_loss_against_the_plain_one_is_not():
    def ratio(middle: float) -> dict[str, object]:
        return {"ratio": middle, "quartiles": [middle, middle]}

    row = {"call": "step", "channels": 2, "pixels": 6, "k": 3, "n": 4, "batch": 1, "weights": {"ours": 5, "peer": 7}}
    lost = row | {"ratios": {"ours / peer": ratio(1.2), "peer / plain": ratio(1.5), "ours / plain": ratio(0.9)}}
    won = row | {"ratios": {"ours / peer": ratio(0.8), "peer / plain": ratio(0.7), "ours / plain": ratio(1.1)}}
    lines = summary.peers({"2": {"escnn": {"rows": [lost, won]}}}).splitlines()[2:]
    assert lines[0].endswith("| 5 | 7 | **1.20** (1.20 to 1.20) | 1.50 (1.50 to 1.50) | 0.90 (0.90 to 0.90) |")
    assert lines[1].endswith("| 5 | 7 | 0.80 (0.80 to 0.80) | 0.70 (0.70 to 0.70) | **1.10** (1.10 to 1.10) |")
    assert lines[0].startswith("| escnn | 2 | step |")


def test_it_writes_through_the_one_place_that_stores_results():
    assert written(SOURCE) == []
    assert peers.RESULTS == group_conv_speed.RESULTS

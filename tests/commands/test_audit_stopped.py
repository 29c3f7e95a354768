"""Ctrl-C during `workbench audit`: exit code 130, one line on what is kept, and a command that goes on from there."""

import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from workbench import cli
from workbench.audit import audit
from workbench.commands.audit import interruptible
from workbench.measure import Cancelled

SLOW = """
import time
import torch
from torch import nn
class Slow(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(1, 2, 3)
    def forward(self, x):
        time.sleep({pause})
        return self.conv(x).relu().mean((2, 3))
"""
START = [sys.executable, "-c", "import sys; from workbench.cli import main; sys.exit(main())"]


def command(folder: Path, *more: str, pause: float) -> subprocess.Popen:
    (folder / "net.py").write_text(SLOW.format(pause=pause))
    torch.manual_seed(1)
    np.save(folder / "x.npy", torch.rand(6, 1, 12, 12).numpy())
    given = ["audit", "net.py:Slow", "--data", "x.npy", "--data-samples", "0", *more]
    return subprocess.Popen([*START, *given], cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def wait_for(found, process: subprocess.Popen) -> None:
    for _ in range(1200):
        if found() or process.poll() is not None:
            return
        time.sleep(0.05)


def stop(process: subprocess.Popen) -> tuple[int, str]:
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    return process.returncode, told


def test_a_stopped_audit_keeps_its_pieces_and_the_line_that_it_prints_goes_on(tmp_path) -> None:
    pieces = tmp_path / "audit" / "pieces"
    process = command(tmp_path, "--resume", pause=0.04)
    wait_for(lambda: list(pieces.glob("**/part-*.nc")), process)
    code, told = stop(process)
    assert code == 130, told
    kept = {path: path.stat().st_mtime_ns for path in pieces.glob("**/part-*.nc")}
    lines = [line for line in told.splitlines() if line.startswith("workbench: ")]
    assert len(lines) == 1
    assert f"{len(kept)} finished piece" in lines[0]
    assert "Traceback" not in told
    assert not (tmp_path / "audit" / "report.html").exists()
    again = shlex.split(lines[0].rpartition("go on with: ")[2])
    assert again[0] == "workbench"
    assert again.count("--resume") == 1
    done = subprocess.run([*START, *again[1:]], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "audit" / "report.html").is_file()
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_without_resume_it_says_that_nothing_is_kept(tmp_path) -> None:
    process = command(tmp_path, pause=0.15)
    assert process.stderr is not None
    process.stderr.readline()  # the note that code is run: the handler stands
    process.stderr.readline()  # the first line of progress
    code, told = stop(process)
    assert code == 130, told
    assert "stopped, and nothing is kept" in told
    assert "--data-samples 0 --resume" in told


def test_the_second_ctrl_c_interrupts_at_once_and_the_old_handler_comes_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interruptible() as event:
        signal.raise_signal(signal.SIGINT)
        assert event.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_off_the_main_thread_there_is_no_handler() -> None:
    seen: list[bool] = []

    def elsewhere() -> None:
        with interruptible() as event:
            seen.append(event.is_set())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [False]


def test_an_interrupt_while_the_network_is_read_ends_alike(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rude.py").write_text("def build():\n    raise KeyboardInterrupt\n")
    assert cli.main(["audit", "rude.py:build", "--data", "digits", "--resume"]) == 130
    assert "0 finished pieces kept in audit/pieces; go on with: workbench audit" in capsys.readouterr().err


@pytest.mark.parametrize("calls", [1, 6, 12])
def test_the_call_is_cancelled_anywhere_and_says_what_is_kept(calls: int, tmp_path) -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3, 2, 1), nn.Flatten(), nn.Linear(72, 2)).train()
    images, seen = torch.rand(4, 1, 12, 12), [0]

    def enough() -> bool:
        seen[0] += 1
        return seen[0] >= calls

    with pytest.raises(Cancelled, match="nothing of it is kept; give folder"):
        audit(net, images, data_samples=0, cancel=enough)
    seen[0] = 0
    with pytest.raises(Cancelled, match=f"kept in {tmp_path}"):
        audit(net, images, data_samples=0, cancel=enough, folder=tmp_path)
    assert net.training
    assert not any(module._forward_hooks for module in net.modules())
    assert audit(net, images, data_samples=0, folder=tmp_path).verdicts


def test_every_part_of_an_audit_asks_whether_to_stop() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))
    images, seen = torch.rand(4, 1, 12, 12), [0]
    audit(net, images, labels=[0, 1, 0, 1], data_samples=8, cancel=lambda: bool(seen.__setitem__(0, seen[0] + 1)))
    for call in range(1, seen[0] + 1, max(1, seen[0] // 12)):
        left = [call]

        def stop_here(left=left) -> bool:
            left[0] -= 1
            return left[0] == 0

        with pytest.raises(Cancelled):
            audit(net, images, labels=[0, 1, 0, 1], data_samples=8, cancel=stop_here)

"""`workbench kernel`: installed under a prefix, named after its device, removable."""

import json

import pytest

from workbench import cli
from workbench.commands import kernel


def spec(prefix, name="equivariance-workbench"):
    return json.loads((prefix / "share" / "jupyter" / "kernels" / name / "kernel.json").read_text())


def test_the_kernel_names_its_device_and_this_interpreter(tmp_path, capsys):
    assert cli.main(["kernel", "--device", "cpu", "--prefix", str(tmp_path)]) == 0
    told = spec(tmp_path, "equivariance-workbench-cpu")
    assert told["display_name"] == "Equivariance Workbench (CPU)"
    assert told["env"]["CUDA_VISIBLE_DEVICES"] == ""
    assert "Equivariance Workbench (CPU)" in capsys.readouterr().out


def test_on_a_machine_with_a_gpu_the_name_tells_it(monkeypatch, tmp_path):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda index: "Some GPU")
    assert cli.main(["kernel", "--prefix", str(tmp_path)]) == 0
    assert spec(tmp_path)["display_name"] == "Equivariance Workbench (GPU: Some GPU)"
    assert "CUDA_VISIBLE_DEVICES" not in spec(tmp_path)["env"]


def test_asking_for_a_gpu_that_is_not_there_says_so(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match="sees no GPU here"):
        kernel.describe_device("gpu")


def test_a_kernel_can_be_removed_again_and_twice_is_no_error(tmp_path, capsys):
    cli.main(["kernel", "--device", "cpu", "--prefix", str(tmp_path)])
    assert cli.main(["kernel", "--device", "cpu", "--prefix", str(tmp_path), "--remove"]) == 0
    assert "Removed" in capsys.readouterr().out
    assert cli.main(["kernel", "--device", "cpu", "--prefix", str(tmp_path), "--remove"]) == 0
    assert "nothing to remove" in capsys.readouterr().out

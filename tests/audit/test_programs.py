"""Programs that torch saved: opened where nothing in them could run code while it is read."""

import io
import json
import warnings
import zipfile

import pytest
import torch
from torch import nn

from workbench.audit import audit, load_model
from workbench.audit.programs import load_program, why_unsafe


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


def net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    path = tmp_path_factory.mktemp("program") / "net.pt2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(net(), (torch.rand(2, 1, 8, 8),)), path)
    return path


@pytest.fixture(scope="module")
def scripted(tmp_path_factory):
    path = tmp_path_factory.mktemp("program") / "net.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(net(), torch.rand(2, 1, 8, 8)), path)
    return path


def rewritten(path, target, change):
    """A copy of an archive with some members changed or added: `change(name, content)` gives the new content."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return target


def test_an_exported_program_of_a_fixed_batch_takes_any_number_of_images(exported):
    program, kind, shape = load_program(exported)
    assert (kind, shape, program.batch) == ("exported program", (2, 1, 8, 8), 2)
    assert program(torch.rand(5, 1, 8, 8)).shape == (5, 2)


def test_both_kinds_are_audited_end_to_end_only_and_say_so(exported, scripted):
    for path in (exported, scripted):
        found = load_model(path)
        assert found.end_to_end
        result = audit(found, torch.rand(4, 1, 8, 8), "C(4)")
        assert result.sweeps["C(4)"].layer.values.tolist() == ["output"]
        assert any("end to end only" in note for note in result.notes)
        assert result.findings is None


def test_r1_a_pickled_weight_in_an_exported_program_is_refused_before_torch_reads_it(exported, tmp_path):
    proof = tmp_path / "proof"
    buffer = io.BytesIO()
    torch.save(Payload(proof), buffer)

    def change(name, content):
        if "weights_config" in name:
            stored = json.loads(content)
            for entry in stored["config"].values():
                entry["use_pickle"] = True
            return json.dumps(stored)
        return buffer.getvalue() if "/weights/" in name else content

    bad = rewritten(exported, tmp_path / "bad.pt2", change)
    with pytest.raises(ValueError, match="pickled tensors, so reading it could run code"):
        load_model(bad)
    assert not proof.exists()


def test_r1_pickled_sample_inputs_are_refused(exported, tmp_path):
    proof = tmp_path / "proof"
    buffer = io.BytesIO()
    torch.save(Payload(proof), buffer)
    bad = rewritten(exported, tmp_path / "b.pt2", lambda n, c: buffer.getvalue() if "/sample_inputs/" in n else c)
    with pytest.raises(ValueError, match="sample inputs are pickled"):
        load_model(bad)
    assert not proof.exists()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("net/data/constants/c.json", {"config": {"x": {"path_name": "opaque_obj_0"}}}, "pickled objects"),
        ("net/models/more.json", {"sizes": [{"expr_str": "eval(chr(49))"}]}, "no formula of sizes"),
        ("net/models/more.json", {"sizes": [{"expr_str": "s0.__class__"}]}, "no formula of sizes"),
        ("net/data/aotinductor/model/a.so", {}, "machine code"),
        ("net/data/weights/model.pt", {}, "older format"),
    ],
)
def test_r1_whatever_else_torch_would_unpickle_or_evaluate_is_found(name, content, reason):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, json.dumps(content))
    assert reason in str(why_unsafe(buffer.getvalue()))


def test_r1_a_bare_pickle_is_no_program(tmp_path):
    path = tmp_path / "net.pt"
    path.write_bytes(b"\x80\x04\x95pickle")
    with pytest.raises(ValueError, match="no torch archive"):
        load_model(path)


def test_weights_alone_are_no_program_and_the_way_is_shown(tmp_path):
    path = tmp_path / "w.pt"
    torch.save(net().state_dict(), path)
    with pytest.raises(ValueError, match="holds weights, not a program.*--weights"):
        load_model(path)


def test_r1_a_pickled_network_is_called_what_it_is_and_not_read(tmp_path):
    path = tmp_path / "whole.pt"
    torch.save({"net": Payload(tmp_path / "ran")}, path)
    with pytest.raises(ValueError, match=r"holds a pickled object \(.*open\), whose reading could run code"):
        load_model(path)
    assert not (tmp_path / "ran").exists()
    torch.save(net(), path)
    with pytest.raises(ValueError, match=r"pickled object \(torch\.nn\..*state_dict\(\)"):
        load_model(path)


@pytest.mark.parametrize("cut", [0.2, 0.7])
def test_a_program_cut_short_gets_a_sentence(exported, tmp_path, cut):
    content = exported.read_bytes()
    path = tmp_path / "cut.pt2"
    path.write_bytes(content[: int(cut * len(content))])
    with pytest.raises(ValueError, match="cut short or damaged"):
        load_model(path)


def test_r15_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "bomb.pt2"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/models/model.json", bytes(2_000_000))
    assert path.stat().st_size < 10_000
    monkeypatch.setattr("workbench.audit.programs.LARGEST_BYTES", 1_000_000)
    with pytest.raises(ValueError, match="unpacks to 2000000 bytes"):
        load_model(path)

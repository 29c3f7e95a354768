"""`workbench doctor`: everything it looks at, the exit code, and the command beside each thing missing."""

import importlib.metadata
from argparse import Namespace

import pytest

from workbench.commands import doctor


def by_subject(subject):
    return [finding for finding in doctor.examine() if finding.subject == subject]


def test_the_report_covers_every_subject():
    subjects = {finding.subject for finding in doctor.examine()}
    assert subjects >= {"python", "packages", "device", "memory", "disk", "notebooks", "fonts", "data", "browser"}


def test_whatever_is_missing_comes_with_a_command():
    assert all(finding.remedy for finding in doctor.examine() if finding.state != "ok")


@pytest.mark.parametrize("there", [True, False])
def test_the_exit_code_is_one_exactly_when_something_needed_is_missing(there, monkeypatch, capsys):
    state = "ok" if there else "missing"
    monkeypatch.setattr(doctor, "examine", lambda: iter([doctor.Finding("x", state, "found", "mend it")]))
    assert doctor.run(Namespace()) == int(not there)
    assert "-> mend it" in capsys.readouterr().out


def test_a_package_that_is_absent_or_too_old_is_named_with_the_install_command(monkeypatch):
    real = importlib.metadata.version

    def version(name):
        if name == "panel":
            raise importlib.metadata.PackageNotFoundError(name)
        return "3.8.1" if name == "bokeh" else real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert [finding.state for finding in by_subject("panel")] == ["missing"]
    assert "3.8.1, but >=3.8.2 is needed" in by_subject("bokeh")[0].found
    assert "pip install" in by_subject("bokeh")[0].remedy


def test_a_gpu_that_torch_cannot_use_is_a_hint_with_the_command(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(doctor.shutil, "which", lambda name, **where: f"/usr/bin/{name}")
    (device,) = by_subject("device")
    assert device.state == "hint"
    assert "pip install --force-reinstall" in device.remedy


def test_a_missing_browser_is_named_with_the_command(monkeypatch):
    monkeypatch.setattr(doctor, "find_browser", lambda: None)
    (browser,) = by_subject("browser")
    assert browser.state == "missing"  # playwright is installed here, so the browser tests are meant to run
    assert "apt-get install -y chromium" in browser.remedy


def test_the_memory_hint_goes_away_once_the_environment_says_so(monkeypatch):
    for name, value in doctor.KEEP_MEMORY.items():
        monkeypatch.setenv(name, value)
    assert by_subject("memory")[0].state == "ok"


def test_a_full_disk_is_a_hint(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: Namespace(free=1e8))
    assert by_subject("disk")[0].state == "hint"

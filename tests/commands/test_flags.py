"""Sentences of the command line name the flags that can be typed, never arguments of Python."""

import re
import socket

import pytest

from workbench import cli
from workbench.commands.flags import ALONE, FLAGS, VALUES, as_flags, with_flag


@pytest.mark.parametrize("word", FLAGS)
def test_every_flag_that_is_named_exists(word, capsys):
    with pytest.raises(SystemExit):
        cli.main([word, "--help"])
    told = capsys.readouterr().out
    flags = set(FLAGS[word].values())
    assert flags <= set(re.findall(r"--[a-z-]+", told))
    for flag in flags & ALONE:
        assert not re.search(rf"{flag} [A-Z]", told)
    for flag in flags & set(VALUES):
        assert f"{flag} {VALUES[flag]}" in told


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("choose one with select='boxes'.", "choose one with --select boxes."),
        ("declare one with output=..., or wrap the model.", "declare one with --moves HOW, or wrap the model."),
        ("say output='boxes xyxy in unit'.", "say --moves 'boxes xyxy in unit'."),
        ("use select=0.", "use --select 0."),
        ("select = 'a b' was given for a dict", "--select 'a b' was given for a dict"),
        ("samples = 0 was given; expected 1 to 9", "--samples 0 was given; expected 1 to 9"),
        ("margin = 0 was given", "margin = 0 was given"),
        ("output 'zzz' was given; expected", "--moves zzz was given; expected"),
        ("group 'C(4)' of the samples", "group 'C(4)' of the samples"),
        ("with --weights (weights='a.pt' in Python).", "with --weights (weights='a.pt' in Python)."),
        ("pad circularly (padding_mode='circular')", "pad circularly (padding_mode='circular')"),
        ("Translation(dim=1) reads series", "Translation(dim=1) reads series"),
    ],
)
def test_arguments_become_flags_and_nothing_else_changes(sentence, told):
    assert as_flags(sentence, "audit") == told
    assert as_flags(sentence, "doctor") == sentence


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--address", "0.0.0.0"], ["--password-file FILE", "--unsafe-no-authentication"]),
        (["--allow-origin", "*"], ["--unsafe-any-origin"]),
        (["--address", "192.0.2.1", "--unsafe-no-authentication"], ["--address 127.0.0.1"]),
    ],
)
def test_serve_is_refused_in_its_own_flags(given, told, capsys, monkeypatch):
    monkeypatch.delenv("WORKBENCH_PASSWORD", raising=False)
    assert cli.main(["serve", "--no-browser", *given]) == 2
    refused = capsys.readouterr().err
    assert all(flag in refused for flag in told)
    assert not re.search(r"\w=", refused)


def test_a_weak_password_and_a_foreign_list_of_origins_are_refused_in_flags(tmp_path, capsys, monkeypatch):
    (tmp_path / "password").write_text("short\n")
    assert cli.main(["serve", "--password-file", str(tmp_path / "password")]) == 2
    assert "(--password-file FILE)" in capsys.readouterr().err
    monkeypatch.setenv("BOKEH_ALLOW_WS_ORIGIN", "*")
    assert cli.main(["serve", "--no-browser"]) == 2
    assert "--allow-origin HOST:PORT" in capsys.readouterr().err


def test_what_follows_two_dashes_stays_behind_the_mended_port(capsys, monkeypatch):
    monkeypatch.setattr("os.execve", lambda *given: pytest.fail("JupyterLab was started"))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert cli.main(["lab", f"--port={other.getsockname()[1]}", "--", "--ServerApp.x=a b"]) == 2
    assert re.search(r": workbench lab --port \d+ -- '--ServerApp\.x=a b'\n$", capsys.readouterr().err)


@pytest.mark.parametrize("word", ["serve", "lab"])
def test_a_taken_port_is_told_with_the_command_that_mends_it(word, capsys, monkeypatch):
    monkeypatch.setattr("os.execve", lambda *given: pytest.fail("JupyterLab was started"))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert cli.main([word, "--port", str(port), "--no-browser"]) == 2
    refused = capsys.readouterr().err
    mended = re.fullmatch(
        rf"workbench: port {port} is taken by another program; start on a free one: "
        rf"workbench {word} --no-browser --port (\d+)\n",
        refused,
    )
    assert mended
    assert int(mended[1]) != port


def test_a_flag_is_set_in_the_command_however_it_was_typed():
    assert with_flag(["serve", "--port=80"], "--port", "81") == "workbench serve --port 81"
    assert with_flag(["serve"], "--port", "81") == "workbench serve --port 81"

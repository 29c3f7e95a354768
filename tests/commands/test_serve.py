"""`workbench serve`: the options reach the server, the password never stands on the command line."""

import pytest

from workbench import cli
from workbench.commands import serve


@pytest.fixture
def served(monkeypatch):
    calls = []
    monkeypatch.setattr(
        "workbench.dashboards.serve", lambda *given, **named: calls.append((given, named)), raising=False
    )
    monkeypatch.delenv(serve.PASSWORD_VARIABLE, raising=False)
    return calls


def test_r11_by_default_only_this_machine_is_let_in(served):
    assert cli.main(["serve", "--no-browser"]) == 0
    given, named = served[0]
    assert given == (5006, "127.0.0.1", [], None)
    assert named == {"show": False, "unsafe_any_origin": False, "unsafe_no_authentication": False}


def test_the_password_comes_from_a_file_or_the_environment(served, tmp_path, monkeypatch):
    file = tmp_path / "password"
    file.write_text("open sesame\n")
    cli.main(["serve", "--address", "0.0.0.0", "--password-file", str(file)])
    assert served[0][0][1:] == ("0.0.0.0", [], "open sesame")
    monkeypatch.setenv(serve.PASSWORD_VARIABLE, "from the environment")
    cli.main(["serve"])
    assert served[1][0][3] == "from the environment"


def test_an_empty_password_file_is_refused(tmp_path, capsys):
    (tmp_path / "password").write_text("\n")
    assert cli.main(["serve", "--password-file", str(tmp_path / "password")]) == 2
    assert "holds no password" in capsys.readouterr().err


def test_r11_an_open_address_without_a_password_does_not_start(capsys, monkeypatch):
    monkeypatch.delenv(serve.PASSWORD_VARIABLE, raising=False)
    assert cli.main(["serve", "--address", "0.0.0.0", "--no-browser"]) == 2
    assert "password" in capsys.readouterr().err


def test_r11_any_origin_needs_its_unsafe_flag(capsys):
    assert cli.main(["serve", "--allow-origin", "*", "--no-browser"]) == 2
    assert "unsafe" in capsys.readouterr().err

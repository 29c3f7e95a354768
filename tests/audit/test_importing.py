"""Objects by import path: found, or one sentence on what was wrong."""

import sys

import pytest

from workbench.audit.importing import RUNS_CODE, import_object, is_import_path


def test_a_name_in_a_package_a_nested_name_and_a_file_are_found(tmp_path):
    assert import_object("torch.nn:Identity").__name__ == "Identity"
    assert import_object("torch:nn.Identity").__name__ == "Identity"
    (tmp_path / "neighbour_of_audit.py").write_text("number = 7")
    (tmp_path / "net_of_audit.py").write_text("import neighbour_of_audit\nvalue = neighbour_of_audit.number")
    assert import_object(f"{tmp_path}/net_of_audit.py:value") == 7
    assert str(tmp_path) not in sys.path


def test_modules_of_the_current_folder_are_found(tmp_path, monkeypatch):
    (tmp_path / "here_of_audit.py").write_text("x = 1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert import_object("here_of_audit:x") == 1


@pytest.mark.parametrize(
    ("name", "kind", "sentence"),
    [
        ("plain", ValueError, "expected package.module:name"),
        ("torch.nn:Missing", ValueError, "torch.nn has no 'Missing'"),
        ("torch.nowhere:x", ModuleNotFoundError, "there is no module 'torch.nowhere'"),
        ("nowhere_at_all:x", ModuleNotFoundError, "start in the folder that holds it"),
        ("a b:x", ValueError, "no module name"),
        ("missing.py:x", FileNotFoundError, r"there is no file missing\.py"),
        ("torch:__import__('os')", ValueError, "expected package.module:name"),
    ],
)
def test_a_wrong_name_gets_one_sentence(name, kind, sentence):
    with pytest.raises(kind, match=sentence):
        import_object(name)


@pytest.mark.parametrize(("code", "sentence"), [("1 / 0", "ZeroDivisionError"), ("import absent_x", "absent_x")])
def test_code_that_fails_while_it_is_imported_is_named(tmp_path, code, sentence):
    (tmp_path / "failing_of_audit.py").write_text(code)
    with pytest.raises((ValueError, ModuleNotFoundError), match=sentence):
        import_object(f"{tmp_path}/failing_of_audit.py:x")


def test_files_and_drives_are_no_import_paths_and_the_warning_says_that_code_runs():
    assert not is_import_path("C:/photos")
    assert not is_import_path("folder/images.npy")
    assert "runs the Python code" in RUNS_CODE

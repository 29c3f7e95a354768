"""Notebooks and settings: where they lie, and what is never overwritten."""

from workbench.commands import places


def test_an_installed_wheel_copies_its_notebooks_once_and_never_overwrites_yours(tmp_path, monkeypatch):
    packaged = tmp_path / "site" / "_notebooks"
    packaged.mkdir(parents=True)
    (packaged / "00_start_here.ipynb").write_text("packaged")
    (packaged / "01_other.ipynb").write_text("packaged")
    (packaged / "network.py").write_text("packaged")
    monkeypatch.setattr(places, "PACKAGE", packaged.parent)
    monkeypatch.setattr(places, "CHECKOUT", tmp_path / "site-packages")
    mine = tmp_path / places.COPY
    mine.mkdir()
    (mine / "00_start_here.ipynb").write_text("edited by me")
    assert places.notebook_folder(tmp_path) == mine
    assert (mine / "00_start_here.ipynb").read_text() == "edited by me"
    assert (mine / "01_other.ipynb").read_text() == (mine / "network.py").read_text() == "packaged"


def test_settings_fall_back_to_a_temporary_folder_where_none_can_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("WORKBENCH_SETTINGS", str(tmp_path / "file"))
    assert places.settings_folder("lab").is_dir()

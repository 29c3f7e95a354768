"""`workbench list`: what is found shows up by itself, and the README's table follows."""

import pytest

from workbench import cli, training
from workbench.commands import listing
from workbench.datasets import names
from workbench.explorers import explorers
from workbench.models.method import Method, methods


@pytest.fixture(autouse=True, scope="module")
def _each_claim_is_read_once():
    kept, load = {}, training.load_claims

    def once(method):
        if method.name not in kept:
            kept[method.name] = load(method)
        return kept[method.name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "load_claims", once)
        yield


def test_everything_there_is_gets_listed(capsys):
    assert cli.main(["list"]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in [*names(), *methods(), *explorers()])


def test_every_name_that_can_be_trained_is_listed_also_the_papers_own_runs(capsys):
    assert cli.main(["list", "methods"]) == 0
    told = capsys.readouterr().out.replace(",", " ").split()
    for name, method in methods().items():
        missing = [e.name for e in (*method.experiments, *method.published) if f"{name}/{e.name}" not in told]
        assert missing == []
    assert any(method.published for method in methods().values())


def test_each_method_says_what_of_it_was_reproduced(capsys):
    assert cli.main(["list", "methods"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert told.count("reproduced here: ") == len(methods())
    assert told.count(" claims, 5 seeds") == len(methods())
    missed = [line for line in listing.readme_table().splitlines() if "; not: " in line]
    assert missed
    assert all(line.split("; not: ")[1].removesuffix(" |") in told for line in missed)


def test_one_kind_lists_only_that_kind(capsys):
    assert cli.main(["list", "data"]) == 0
    told = capsys.readouterr().out
    assert "data:" in told
    assert "methods:" not in told


def test_a_published_set_that_is_absent_names_the_fetch_command(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    (line,) = [line for line in listing.data_lines() if line.startswith("mnist")]
    assert "python -m workbench.datasets fetch mnist" in line


def test_a_new_method_appears_in_the_readme_table(monkeypatch, tmp_path):
    paper = Method("new", "A Title", "Someone", 2030, "3001.00001", "What it is.", "07_new.ipynb")
    monkeypatch.setattr("workbench.models.method.methods", lambda: {"new": paper})
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{listing.BEGIN}\nold\n{listing.END}\nafter\n")
    assert listing.update_readme(readme) is True
    text = readme.read_text()
    assert "| `new` | A Title (Someone, 2030, [3001.00001]" in text
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert listing.update_readme(readme) is False


def test_a_readme_without_the_markers_is_left_alone(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("nothing here")
    with pytest.raises(ValueError, match="has no place for the table"):
        listing.update_readme(readme)
    assert readme.read_text() == "nothing here"

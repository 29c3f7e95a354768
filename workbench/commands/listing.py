"""`workbench list`: methods, explorers and data sets as they are found, and the README's table of methods."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.models.method import Experiment, Method

BEGIN = "<!-- methods: written by `workbench list --readme README.md` -->"
END = "<!-- end of methods -->"
WIDTH = 100  # characters


def run(options: argparse.Namespace) -> int:
    """Print the lists, or bring the README's table up to date."""
    if options.readme:
        changed = update_readme(Path(options.readme))
        print(f"{options.readme}: {'table rewritten' if changed else 'already up to date'}")
        return 0
    sections = {"methods": method_lines, "explorers": explorer_lines, "data": data_lines}
    chosen = [options.kind] if options.kind else list(sections)
    for kind in chosen:
        print(f"{kind}:")
        for line in sections[kind]():
            print(textwrap.indent(line, "  "))
        print()
    return 0


def method_lines() -> Iterator[str]:
    """One paragraph per method: its paper, what was reproduced, its experiments and the paper's own runs."""
    from workbench.models.method import methods

    for name, method in sorted(methods().items()):
        yield f"{name}  {method.title} ({method.cited})"
        yield _wrapped(method.summary)
        yield _wrapped(f"reproduced here: {_reproduced(method)}")
        if method.experiments:
            yield _wrapped("train: " + _names(method, method.experiments))
        if method.published:
            yield _wrapped("train the paper's own runs, at their full scale: " + _names(method, method.published))


def _names(method: Method, experiments: Sequence[Experiment]) -> str:
    return ", ".join(f"{method.name}/{experiment.name}" for experiment in experiments)


def explorer_lines() -> Iterator[str]:
    """One line per explorer: its question."""
    from workbench.explorers import explorers

    for slug, explorer in explorers().items():
        yield f"{slug}  {explorer.title}: {explorer.question}"


def data_lines() -> Iterator[str]:
    """One line per data set, and the command that fetches it where it is not here."""
    from workbench.datasets import describe
    from workbench.datasets.published_molecules import describe_molecules

    for name, about in {**describe(), **describe_molecules()}.items():
        place = "" if is_here(name) else f"; fetch it with: {about.fetch_command}"
        yield f"{name}  {about.summary} ({about.licence}){place}"


def is_here(name: str) -> bool:
    """Whether a data set can be loaded without fetching anything.

    >>> is_here("digits")
    True
    """
    from workbench.datasets.paths import downloads_folder
    from workbench.datasets.published_molecules import MOLECULE_SETS
    from workbench.datasets.published_set import PUBLISHED

    files = {n: one.files for n, one in PUBLISHED.items()} | {n: one.files for n, one in MOLECULE_SETS.items()}
    return all((downloads_folder() / name / remote.name).is_file() for remote in files.get(name, ()))


def readme_table() -> str:
    """The methods as a table for the README."""
    from workbench.models.method import methods

    rows = ["| method | paper | notebook | what it is about | reproduced here |", "| --- | --- | --- | --- | --- |"]
    for name, method in sorted(methods().items()):
        link = f", [{method.arxiv}](https://arxiv.org/abs/{method.arxiv})" if method.arxiv else ""
        paper = f"{method.title} ({method.authors}, {method.year}{link})"
        notebook = f"[{Path(method.notebook).name}]({_notebook_path(method.notebook)})"
        rows.append(f"| `{name}` | {paper} | {notebook} | {' '.join(method.summary.split())} | {_reproduced(method)} |")
    return "\n".join(rows)


def _reproduced(method: Method) -> str:
    """How many claims hold on our data, and by name those that do not; from the stored results."""
    from workbench.training import load_claims, verdicts

    try:
        found = verdicts(load_claims(method), method)
    except FileNotFoundError:
        return "no stored results"
    missed = [verdict.claim for verdict in found if not verdict.reproduced]
    seeds = len(found[0].values) if found else 0
    held = f"{len(found) - len(missed)} of {len(found)} claims, {seeds} seeds"
    return held + (f"; not: {', '.join(missed)}" if missed else "")


def update_readme(path: Path) -> bool:
    """Put the table between the two markers of a file; True where that changed it.

    Raises ValueError where the file does not have both markers.
    """
    text = path.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise ValueError(f"{path} has no place for the table: it needs the two lines {BEGIN!r} and {END!r}")
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    new = f"{before}{BEGIN}\n{readme_table()}\n{END}{after}"
    if new != text:
        path.write_text(new, encoding="utf-8")
    return new != text


def _notebook_path(name: str) -> str:
    return name if name.startswith("notebooks/") else f"notebooks/{name}"


def _wrapped(text: str) -> str:
    margin = "    "
    return textwrap.fill(
        " ".join(text.split()), WIDTH, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False
    )

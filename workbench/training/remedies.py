"""How a run is gone on with, said in Python or as a command: sentences hold the call, and the command line turns it."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

TEXT = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""  # what repr makes of a path
CALL = re.compile(rf"workbench\.training\.fit\(None, (?P<path>{TEXT}), resume=(?P<which>True|\"previous\")\)")


def resume_call(path: str | Path, *, previous: bool = False) -> str:
    """The Python call that goes on with the run in a folder.

    >>> resume_call("runs/first")
    "workbench.training.fit(None, 'runs/first', resume=True)"
    """
    which = '"previous"' if previous else "True"
    return f"workbench.training.fit(None, {str(path)!r}, resume={which})"


def as_commands(sentence: str) -> str:
    """The same sentence for the command line.

    >>> as_commands(f"go on with {resume_call('my runs/first', previous=True)}")
    "go on with `workbench train --out 'my runs/first' --resume previous`"
    """
    return CALL.sub(_command, sentence)


def _command(call: re.Match[str]) -> str:
    previous = " previous" if call["which"] != "True" else ""
    return f"`workbench train --out {shlex.quote(ast.literal_eval(call['path']))} --resume{previous}`"

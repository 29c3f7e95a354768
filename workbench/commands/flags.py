"""Refusals of the Python functions, said in the flags that were typed: the one place that translates."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

FLAGS = {
    "serve": {
        "port": "--port",
        "address": "--address",
        "auth": "--password-file",
        "allow_origins": "--allow-origin",
        "unsafe_any_origin": "--unsafe-any-origin",
        "unsafe_no_authentication": "--unsafe-no-authentication",
    },
    "audit": {
        "output": "--moves",
        **{name: f"--{name}" for name in ("kind", "select", "weights", "labels", "group", "samples", "size", "mean")},
        **{name: f"--{name}" for name in ("std", "seed", "scheduler")},
        "data_samples": "--data-samples",
        "folder": "--resume",
    },
}
"""For each word of the command line: the argument of the Python function behind it, and its flag."""
ALONE = {"--unsafe-any-origin", "--unsafe-no-authentication", "--resume"}  # take no value
VALUES = {"--password-file": "FILE", "--moves": "HOW"}  # what a flag takes where the argument takes something else
_ARGUMENT = re.compile(
    r"""\b([a-z_]+)(?:=| = (?=.{1,80}? was given)| (?='[^']*' was given))"""
    r"""('[^']*'|"[^"]*"|\[[^]]*\]|\.\.\.|-?[\w.]*\w)(?! in Python)"""
)


def as_flags(sentence: str, word: str) -> str:
    """The sentence with `--flag VALUE` where it names an argument of the function behind a word.

    >>> as_flags("choose one with select='the boxes', or set a password (auth='...').", "audit")
    "choose one with --select 'the boxes', or set a password (auth='...')."
    >>> as_flags("set a password (auth='...'), or pass unsafe_no_authentication=True.", "serve")
    'set a password (--password-file FILE), or pass --unsafe-no-authentication.'
    """

    def translate(found: re.Match[str]) -> str:
        flag = FLAGS.get(word, {}).get(found[1])
        return found[0] if flag is None else flag if flag in ALONE else f"{flag} {_value(flag, found[2])}"

    return _ARGUMENT.sub(translate, sentence)


@contextmanager
def on_a_free_port(given: Sequence[str], rest: Sequence[str] = ()) -> Iterator[None]:
    """A block that listens somewhere: where the port is taken, the error says which and the command that mends it.

    Args:
        given: the command line as it was typed, without the program's name.
        rest: what followed ``--``.
    """
    from workbench.dashboards.ports import PortTaken

    try:
        yield
    except PortTaken as taken:
        mended = with_flag(given, "--port", str(taken.free)) + (f" -- {shlex.join(rest)}" if rest else "")
        raise OSError(f"port {taken.port} is taken by another program; start on a free one: {mended}") from taken


def with_flag(given: Sequence[str], flag: str, value: str) -> str:
    """The command that was typed, with one flag set to another value.

    >>> with_flag(["serve", "--port", "80", "--no-browser"], "--port", "8080")
    'workbench serve --no-browser --port 8080'
    """
    kept, rest = [], iter(given)
    for item in rest:
        if item == flag:
            next(rest, None)
        elif not item.startswith(f"{flag}="):
            kept.append(item)
    return shlex.join(["workbench", *kept, flag, value])


def _value(flag: str, text: str) -> str:
    bare = ast.literal_eval(text) if text[0] in "'\"[" else text
    if "..." in text:
        return VALUES.get(flag, flag.removeprefix("--").upper())
    return " ".join(map(shlex.quote, bare)) if isinstance(bare, list) else shlex.quote(bare)

"""`workbench serve`: the explorers as web pages."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from workbench.commands.flags import on_a_free_port

PASSWORD_VARIABLE = "WORKBENCH_PASSWORD"  # noqa: S105 - the name of a variable, not a password


def run(options: argparse.Namespace) -> int:
    """Serve until stopped."""
    secret = password(options.password_file)
    from workbench.dashboards import serve

    with on_a_free_port(options.given):
        serve(
            options.port,
            options.address,
            options.allow_origin,
            secret,
            show=not options.no_browser,
            unsafe_any_origin=options.unsafe_any_origin,
            unsafe_no_authentication=options.unsafe_no_authentication,
        )
    return 0


def password(file: str | None) -> str | None:
    """The visitors' password: the first line of a file, else WORKBENCH_PASSWORD, else None.

    It is no option of the command line, which every user of the machine can read.
    """
    if file is None:
        return os.environ.get(PASSWORD_VARIABLE) or None
    lines = Path(file).expanduser().read_text(encoding="utf-8").splitlines()
    if not lines or not lines[0].strip():
        raise ValueError(f"{file} holds no password in its first line; write one there")
    return lines[0].strip()

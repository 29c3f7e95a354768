"""How much a notebook computes: fast for two CPU cores, full for a GPU, by the same cells."""

from __future__ import annotations

import os

MODES = ("fast", "full")
VARIABLE = "WORKBENCH_MODE"


def notebook_mode() -> str:
    """ "fast" unless the environment variable WORKBENCH_MODE says "full"; set it before the notebook's kernel starts.

    Raises ValueError for any other value.

    >>> notebook_mode() in MODES
    True
    """
    chosen = os.environ.get(VARIABLE, MODES[0])
    if chosen not in MODES:
        raise ValueError(f"{VARIABLE} is {chosen!r}; expected {' or '.join(map(repr, MODES))}, or leave it unset")
    return chosen

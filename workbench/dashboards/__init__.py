"""The served face: a Panel application made of the explorers, with safe defaults."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.dashboards.application import application
    from workbench.dashboards.face import ExplorerFace
    from workbench.dashboards.server import make_server, serve

__all__ = ["ExplorerFace", "application", "make_server", "serve"]

_HOMES = {"ExplorerFace": "face", "application": "application", "make_server": "server", "serve": "server"}


def __getattr__(name: str) -> Any:
    """Load a part where it is first used: Panel costs seconds, and most of the package never needs it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)

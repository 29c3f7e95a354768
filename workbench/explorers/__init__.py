"""Explorers: one question each, a typed set of controls, a computation, a view; both faces come from this."""

import importlib
import pkgutil

from workbench.explorers._controls import Control
from workbench.explorers._explorer import Explorer
from workbench.measure import Cancelled

__all__ = ["Cancelled", "Control", "Explorer", "explorers"]


def explorers() -> dict[str, type[Explorer]]:
    """Every explorer by its slug: each public module of this room names its class as `EXPLORER`.

    >>> all(slug == explorer.slug for slug, explorer in explorers().items())
    True
    """
    names = [found.name for found in pkgutil.iter_modules(__path__) if not found.name.startswith("_")]
    modules = [importlib.import_module(f"{__name__}.{name}") for name in sorted(names)]
    return {module.EXPLORER.slug: module.EXPLORER for module in modules if hasattr(module, "EXPLORER")}

"""The pages as HTML: templates and assets with an address that changes when their content does."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape

from workbench import __version__

ASSETS = Path(__file__).parent / "assets"


@lru_cache(maxsize=1)
def plotly_script() -> Path:
    """The plotly.js that plotly's Python package carries."""
    import plotly

    return Path(plotly.__file__).parent / "package_data" / "plotly.min.js"


@lru_cache(maxsize=64)
def asset(name: str) -> str:
    """The address of an asset, ending in a mark of its content, so that browsers may keep it for good."""
    path = plotly_script() if name == "plotly.min.js" else ASSETS / name
    mark = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    return f"assets/{name}?v={mark}"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(ASSETS),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        asset=asset, version=__version__, pages=(), here="", description="", title="Equivariance Workbench"
    )
    return environment


def template(name: str) -> Template:
    """A page's template; every value put into it is escaped."""
    return _environment().get_template(name)


def render(name: str, **values: Any) -> str:
    """A page as HTML."""
    return template(name).render(**values)

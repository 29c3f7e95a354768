"""The state of an explorer as Python that reproduces it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from workbench.explorers._explorer import Explorer

_LARGEST_WRITTEN_OUT = 65_536  # bytes of an attached image that are written into the code


def as_code(explorer: Explorer) -> str:
    """Python that builds the explorer at its present state and asks it for its Dataset and figure.

    A small attached image is written out; a model stays a name that the reader's own notebook defines.
    """
    cls = type(explorer)
    values = "".join(f"    {control.name}={getattr(explorer, control.name)!r},\n" for control in explorer.controls())
    lines = [
        f"from {cls.__module__} import {cls.__qualname__}",
        "",
        f"explorer = {cls.__qualname__}(\n{values})",
        *(line for name, value in explorer.attached.items() for line in _attachment(name, value)),
        "dataset = explorer.dataset()  # labelled arrays (xarray)",
        "figure = explorer.figure()  # the same picture (plotly)",
    ]
    if any(isinstance(value, np.ndarray) for value in explorer.attached.values()):
        lines.insert(0, "import base64\n\nimport numpy as np\n")
    return "\n".join(lines) + "\n"


def _attachment(name: str, value: Any) -> list[str]:
    if isinstance(value, np.ndarray):
        if value.nbytes > _LARGEST_WRITTEN_OUT:
            return [f"explorer.set_{name}({name})  # {name}: your own array of shape {value.shape}"]
        text = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        array = f'np.frombuffer(base64.b64decode("{text}"), "{value.dtype}").reshape({value.shape})'
        return [f"{name} = {array}", f"explorer.set_{name}({name})"]
    return [f"explorer.set_{name}({name})  # {name}: your own {type(value).__name__}"]

"""Ways to the right amount of symmetry, compared: a method of the list; `_families` holds what it compares."""

from workbench.models._families import METHOD

__all__ = ["METHOD"]

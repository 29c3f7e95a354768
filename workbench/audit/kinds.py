"""What the samples are (images, series, points, sets), told from what was asked, from names, the network or the shape.

Every answer comes with its reason, which stands among the notes of a report: nothing is taken for something silently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from torch import nn

from workbench.groups import Group, Symmetric, parse_group

KINDS = ("image", "series", "points", "set")
NOUNS = {"image": "images", "series": "signals", "points": "point sets", "set": "sets"}
PLACES = {"image": "pixels", "series": "samples", "points": "points", "set": "members"}
AXES = {
    "image": "channels, rows, columns",
    "series": "channels, samples",
    "points": "points, coordinates and features",
    "set": "members, features",
}
ARRAYS = {
    "image": ("images", "image"),
    "points": ("points", "positions", "pos", "coordinates", "coords", "xyz"),
    "series": ("series", "signals", "signal", "waveforms", "waveform", "time_series"),
    "set": ("sets", "set", "members", "tokens", "bags"),
}
"""Names of arrays in a file that say what they hold."""
DIMS = {
    "series": ("time", "t", "lag", "second", "seconds"),
    "points": ("point", "points", "atom", "atoms", "particle", "particles", "node", "nodes", "vertex", "vertices"),
    "set": ("member", "members", "element", "elements", "item", "items", "token", "tokens"),
    "image": ("y", "row", "rows", "height", "lat", "latitude"),
}
"""Names of dims in a NetCDF file that say so: the dim along which the places lie."""
_LONG = 8  # times as long as wide: a series, not a picture


class Clue(NamedTuple):
    """A kind, and why it is thought to be that."""

    kind: str
    why: str


def check_kind(kind: str) -> None:
    """Refuse what is no kind."""
    if kind not in ("auto", *KINDS):
        raise ValueError(f"kind = {kind!r} was given; expected 'auto' or one of {', '.join(map(repr, KINDS))}.")


def clue_of_group(group: Group | str) -> Clue | None:
    """What a group acts on, where it acts on one kind only.

    >>> clue_of_group("SO3").kind, clue_of_group("C(4)")
    ('points', None)
    """
    if isinstance(group, str) and group == "auto":
        return None
    found = parse_group(group)
    if isinstance(found, Symmetric):
        return Clue("set", f"{found.name} permutes members")
    kind = {1: "series", 3: "points"}.get(found.dim)
    return None if kind is None else Clue(kind, f"{found.name} acts on a {'line' if kind == 'series' else 'space'}")


def clue_of_network(model: Callable, shape: tuple[int, ...]) -> Clue | None:
    """What the first layer that asks for a shape asks for; None where none does, or where the samples do not fit it."""
    if not isinstance(model, nn.Module) or len(shape) != 3:
        return None
    if spatial := _of_space(model):
        return spatial
    for module in model.modules():
        name = type(module).__name__
        if isinstance(module, nn.Conv2d):
            return Clue("image", f"the network begins with {name}")
        if isinstance(module, nn.Conv1d):
            fits = module.in_channels == shape[1]
            return Clue("series", f"the network begins with {name} of {shape[1]} channels") if fits else None
        width = _width(module)
        if width is not None:
            if width != shape[2]:
                return None
            kind = "points" if width in (2, 3) else "set"
            return Clue(kind, f"the network begins with {name} on {width} numbers")
    return None


def _of_space(model: nn.Module) -> Clue | None:
    """What can only be about points in space: forces of atoms, or features of e3nn."""
    for module in model.modules():
        if callable(getattr(module, "energy_and_forces", None)):
            return Clue("points", f"{type(module).__name__} gives energies and forces of atoms")
        if type(module).__module__.partition(".")[0] == "e3nn":
            return Clue("points", f"the network holds e3nn's {type(module).__name__}")
    return None


def _width(module: nn.Module) -> int | None:
    """How many numbers of each member a layer takes."""
    if isinstance(module, nn.Linear):
        return module.in_features
    if isinstance(module, nn.MultiheadAttention):
        return module.embed_dim
    return module.input_size if isinstance(module, nn.RNNBase) else None


def clue_of_shape(shape: tuple[int, ...]) -> Clue | None:
    """What a batch of this shape usually is.

    >>> [clue_of_shape(shape).kind for shape in ((4, 3, 8, 8), (4, 9, 3), (4, 2, 50), (4, 28, 28))]
    ['image', 'points', 'series', 'image']
    """
    if len(shape) == 4:
        return Clue("image", "it has four axes")
    if len(shape) != 3:
        return None
    wide, long = shape[1:]
    if long in (2, 3):
        return Clue("points", f"its last axis has {long} numbers")
    if wide <= 3 or long >= _LONG * wide:
        return Clue("series", f"{wide} x {long} is long and narrow")
    return Clue("image", f"{wide} x {long} numbers look like a grey picture")


def decide_kind(name: str, shape: tuple[int, ...], clues: Iterable[Clue | None]) -> Clue:
    """The first clue, else what the shape says.

    Raises:
        ValueError: nothing speaks for any kind.
    """
    found = next((clue for clue in (*clues, clue_of_shape(shape)) if clue is not None), None)
    if found is None:
        raise ValueError(
            f"{name} has shape {tuple(shape)}, which says nothing of what it is; expected images (N, C, H, W), series "
            "(N, C, L), points (N, points, d) or sets (N, members, F); say which with kind='series', 'points' or 'set'."
        )
    return found

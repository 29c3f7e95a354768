"""The state of an explorer as the query of an address, and the strict reading of one."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from workbench.explorers._controls import Value, write

_LONGEST = 2000  # characters; browsers and proxies cut longer addresses


def write_query(state: Mapping[str, Value]) -> str:
    """The query of an address that names every control.

    >>> write_query({"angle_deg": 30.0, "resampler": "bicubic"})
    '?angle_deg=30.0&resampler=bicubic'
    """
    return "?" + urlencode({name: write(value) for name, value in state.items()})


def read_query(query: str) -> dict[str, str]:
    """The texts of a query by name, each name once.

    Raises:
        ValueError: no text, too long, malformed, or a name that comes twice.

    >>> read_query("?angle_deg=30.0&resampler=bicubic")
    {'angle_deg': '30.0', 'resampler': 'bicubic'}
    """
    if not isinstance(query, str):
        raise ValueError(f"a {type(query).__name__} was given, but a permalink is text; copy it again.")
    if len(query) > _LONGEST:
        raise ValueError(
            f"a permalink of {len(query)} characters was given, but at most {_LONGEST} were expected; copy it again."
        )
    text = query.removeprefix("?")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict") if text else []
    except ValueError:
        raise ValueError(
            f"the permalink {query[:60]!r} was given, but '?name=value&name=value' was expected; copy it again."
        ) from None
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name[:60]!r} was given {names.count(name)} times, but once was expected; leave one.")
    return dict(pairs)

"""Whether a server can listen at an address, asked before anything is started."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from contextlib import suppress

_LOOKED_AT = 50  # ports behind a taken one that are tried for the advice


class PortTaken(OSError):
    """Another program listens there already.

    Attributes:
        port: the port that was asked for.
        free: the next one that is free; 0, which means any free one, where none was found.
    """

    def __init__(self, address: str, port: int) -> None:
        self.port = port
        behind = range(port + 1, min(port + _LOOKED_AT, 65535) + 1)
        self.free = next((other for other in behind if _trouble(address, other) is None), 0)
        super().__init__(
            f"port {port} of {address or 'this machine'} is taken by another program; use port={self.free}, "
            "or stop that program."
        )


def claim(address: str, port: int) -> int:
    """The port to listen at: the one given where it is free, any free one for 0.

    Raises:
        PortTaken: another program listens there.
        OSError: the address is none of this machine's, or the port needs more rights; the sentence names the way out.

    >>> claim("127.0.0.1", 0) > 0
    True
    """
    if port == 0:
        port = _any(address)
    trouble = _trouble(address, port)
    if trouble is None:
        return port
    if trouble.errno == errno.EADDRINUSE:
        raise PortTaken(address, port) from trouble
    raise _told(address, port, trouble) from trouble


def _told(address: str, port: int, trouble: OSError) -> OSError:
    if trouble.errno in (errno.EACCES, errno.EPERM):
        return OSError(f"port {port} may be opened by the administrator alone; use one above 1023, such as port=5006.")
    if trouble.errno == errno.EADDRNOTAVAIL or isinstance(trouble, socket.gaierror):
        return OSError(
            f"the address {address!r} is none of this machine's; use address='127.0.0.1' for this machine alone, or "
            "'0.0.0.0' for everybody who can reach it."
        )
    return OSError(f"port {port} of {address!r} cannot be listened at: {os.strerror(trouble.errno or 0)}.")


def _places(address: str, port: int) -> list[tuple]:
    """What an address or a name of this machine stands for; a number is looked up nowhere."""
    try:
        number = ipaddress.ip_address(address)
    except ValueError:
        found = socket.getaddrinfo(address or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return list(dict.fromkeys((family, place) for family, _, _, _, place in found))
    return [(socket.AF_INET if number.version == 4 else socket.AF_INET6, (address, port))]


def _trouble(address: str, port: int) -> OSError | None:
    """What keeps a server from listening there, as the system says it; None where nothing does."""
    try:
        places = _places(address, port)
    except OSError as error:
        return error
    found: list[OSError | None] = []
    for family, place in places:
        try:
            _bind(family, place)
        except OSError as error:
            found.append(error)
        else:
            found.append(None)
    taken = [error for error in found if error is not None and error.errno == errno.EADDRINUSE]
    # A name such as localhost may stand for an address that this machine does not have: another one serves.
    return taken[0] if taken else None if None in found else found[0]


def _any(address: str) -> int:
    with suppress(OSError):
        family, place = _places(address, 0)[0]
        return _bind(family, place)
    return 0


def _bind(family: int, place: tuple) -> int:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if os.name == "posix":  # as the server does it: a port whose last visitor has just left is free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind(place)
        return probe.getsockname()[1]

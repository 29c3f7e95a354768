"""Refuse every connection that would leave this machine; loopback and unix sockets stay open.

Python imports a module of this name at start-up, so putting this folder on PYTHONPATH guards child processes
too: notebook kernels, servers and Dask workers. An audit hook sees connections below the socket module, hence
asyncio's and Tornado's as well, and nothing can take it off again.
"""

import ipaddress
import sys
from typing import Any

LOCAL_NAMES = ("", "localhost", "ip6-localhost")
attempts: list[str] = []  # what this process tried to reach, for the test that must then fail


class NetworkBlocked(OSError):
    """Raised where a test tried to reach another machine."""


def is_local(host: Any) -> bool:
    """Whether an address given to a socket call stays on this machine.

    >>> is_local("127.0.0.1"), is_local("::1"), is_local("192.0.2.1"), is_local("example.org")
    (True, True, False, False)
    """
    if host is None or isinstance(host, int):
        return True
    name = host.decode(errors="replace") if isinstance(host, bytes | bytearray) else str(host)
    if name in LOCAL_NAMES or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.split("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _guard(event: str, given: tuple[Any, ...]) -> None:
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = given[0]
    elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = given[1]
        if not isinstance(address, tuple):  # a unix socket's path, or None for a connected sendmsg
            return
        host = address[0]
    else:
        return
    if is_local(host):
        return
    attempts.append(f"{event} {host}")
    raise NetworkBlocked(
        f"{event} to {host!r} was refused: tests run offline and may only reach this machine; "
        "use stored data or a server on 127.0.0.1"
    )


def _install() -> None:
    """Guard this process once; imported under a second name, this module shares what the first one remembers."""
    global attempts, NetworkBlocked
    if guard := getattr(sys, "_workbench_offline", None):
        attempts, NetworkBlocked = guard.attempts, guard.NetworkBlocked
        return
    sys._workbench_offline = sys.modules[__name__]  # type: ignore[attr-defined]
    sys.addaudithook(_guard)


_install()

"""Start the server: which address, which origins, which password, which limits; refuses what is not safe."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from workbench.dashboards.application import application, routes, warm
from workbench.dashboards.login import PasswordGate
from workbench.dashboards.ports import claim
from workbench.dashboards.protection import (
    ProtectiveHeaders,
    Refusal,
    Unwanted,
    allowed_hosts,
    check_binding,
    is_loopback,
)
from workbench.dashboards.uploads import LARGEST_MESSAGE
from workbench.explorers import Explorer, explorers

if TYPE_CHECKING:
    from panel.io.server import Server


logger = logging.getLogger(__name__)

SESSION_LIFETIME = 15.0  # seconds a page without a browser is kept
LARGEST_FORM = 64 * 1024  # bytes of a posted form; images come over the websocket
_TOKEN_LIFETIME = 300  # seconds between sending a page and its browser's connection


def serve(
    port: int = 5006,
    address: str = "127.0.0.1",
    allow_origins: Iterable[str] = (),
    auth: str | None = None,
    show: bool = True,
    *,
    unsafe_any_origin: bool = False,
    unsafe_no_authentication: bool = False,
    served: Mapping[str, type[Explorer]] | None = None,
) -> None:
    """Serve the explorers as web pages until stopped.

    Args:
        port: the port; 0 for any free one.
        address: where to listen; 127.0.0.1 lets in this machine only.
        allow_origins: HOST or HOST:PORT of other pages and proxies that may talk to this server.
        auth: a password every visitor is asked for; needed for any address that others can reach. It travels as it
            is, so beyond your own network put a proxy with TLS in front.
        show: whether to open the front page in a browser.
        unsafe_any_origin: accept the origin '*', so that any web page may drive this server.
        unsafe_no_authentication: listen to other machines without asking for a password.
        served: explorers by slug, for instance some of your own; all of the workbench's unless given.

    Raises:
        ValueError: an address others can reach without a password, an origin pattern without its flag, or a weak
            password; the sentence names the way out.
        OSError: the port is taken (:class:`workbench.dashboards.ports.PortTaken`), or the address is another machine's.
    """
    server = make_server(
        port,
        address,
        allow_origins,
        auth,
        unsafe_any_origin=unsafe_any_origin,
        unsafe_no_authentication=unsafe_no_authentication,
        served=served,
    )
    logger.warning("Serving on %s (stop with Ctrl-C)", url(server))
    server.io_loop.add_callback(warm, served)
    if show:
        server.io_loop.add_callback(server.show, "/")
    server.run_until_shutdown()


def make_server(
    port: int = 5006,
    address: str = "127.0.0.1",
    allow_origins: Iterable[str] = (),
    auth: str | None = None,
    *,
    unsafe_any_origin: bool = False,
    unsafe_no_authentication: bool = False,
    served: Mapping[str, type[Explorer]] | None = None,
    session_lifetime: float = SESSION_LIFETIME,
) -> Server:
    """The server, listening but not yet answering: `start()` it on a running loop, or `run_until_shutdown()`."""
    from panel.io.server import get_server
    from tornado.routing import Rule

    gate = PasswordGate(auth) if auth is not None else None
    check_binding(address, gate is not None, unsafe_no_authentication=unsafe_no_authentication)
    port = claim(address, port)
    hosts = allowed_hosts(address, port, allow_origins, unsafe_any_origin=unsafe_any_origin)
    login: dict[str, Any] = {"auth_provider": gate} if gate else {}
    lifetime = int(session_lifetime * 1000)
    secret = secrets.token_bytes(32)
    server = get_server(
        application(served),
        title={f"/{slug}": cls.title for slug, cls in (explorers() if served is None else served).items()},
        port=port,
        address=address,
        websocket_origin=hosts,
        extra_patterns=routes(served),
        location=False,
        use_index=False,
        websocket_max_message_size=LARGEST_MESSAGE,
        http_server_kwargs={"max_buffer_size": LARGEST_MESSAGE, "max_body_size": LARGEST_FORM},
        unused_session_lifetime_milliseconds=lifetime,
        check_unused_sessions_milliseconds=max(250, lifetime),
        session_token_expiration=_TOKEN_LIFETIME,
        sign_sessions=True,
        secret_key=secret,
        include_headers=[],
        include_cookies=[],
        compress_response=not is_loopback(address),
        **login,
    )
    site = server._tornado
    site.settings["cookie_secret"] = secret.hex()
    site.add_transform(ProtectiveHeaders)
    if hosts != ["*"]:
        site.add_handlers(".*", [Rule(Unwanted(hosts), Refusal)])
    return server


def url(server: Server) -> str:
    """Where the front page is."""
    host = server.address or "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{server.port}/"

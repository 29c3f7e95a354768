"""What the server refuses and what it tells browsers to refuse: origins, hosts, planted sessions, headers."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import os
import re
from collections.abc import Iterable, Sequence

from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.routing import Matcher
from tornado.web import HTTPError, OutputTransform, RequestHandler

_INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\bsrc=)([^>]*)>(.*?)</script>", re.DOTALL | re.IGNORECASE)
_DATA_SCRIPT = re.compile(rb"type=[\"']application/json[\"']", re.IGNORECASE)
_NONCE = re.compile(rb'<script nonce="([A-Za-z0-9_-]{16,})"')
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_HOST_AND_PORT = re.compile(rf"({_HOST.pattern})(:\d{{1,5}})?")

# The page's own scripts, and the modules that Panel turns into blobs; styles are set by plotly on its elements.
POLICY = (
    "default-src 'none'; script-src 'self' blob:{marks}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' blob:{sockets}; worker-src blob:; "
    "form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class ProtectiveHeaders(OutputTransform):
    """Puts the protective headers on every response, also on errors and static files.

    Inline scripts are allowed by their hash alone, so that markup which slips into a page later runs nothing.
    """

    def __init__(self, request: HTTPServerRequest) -> None:
        self._host = request.host or ""

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        page = chunk if "html" in headers.get("Content-Type", "") else b""
        headers["Content-Security-Policy"] = policy(page, self._host)
        for name, value in HEADERS.items():
            headers[name] = value
        headers["Server"] = "workbench"
        return status_code, headers, chunk


def policy(html: bytes, host: str = "") -> str:
    """The content-security policy of a page: our own files, and the inline scripts it was written with.

    A page whose module loader adds scripts of its own carries a nonce, new with every visit. The websocket of the
    host is named because not every browser counts it as 'self'.
    """
    scripts = [body for kind, body in _INLINE_SCRIPT.findall(html) if not _DATA_SCRIPT.search(kind)]
    digests = [base64.b64encode(hashlib.sha256(body).digest()).decode() for body in scripts]
    marks = [f" 'sha256-{digest}'" for digest in digests]
    marks += [f" 'nonce-{found.group(1).decode()}'" for found in _NONCE.finditer(html)][:1]
    sockets = f" ws://{host} wss://{host}" if _HOST_AND_PORT.fullmatch(host) else ""
    return POLICY.format(marks="".join(marks), sockets=sockets)


def is_loopback(address: str) -> bool:
    """Whether only this machine can connect to the address.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def allowed_hosts(address: str, port: int, origins: Iterable[str], *, unsafe_any_origin: bool = False) -> list[str]:
    """The list of host:port whose pages may open a connection: this server's own, and those asked for.

    Raises:
        ValueError: '*' or another pattern without the unsafe flag, or something that is no host.

    >>> allowed_hosts("127.0.0.1", 5006, ["lab.example.org"])
    ['127.0.0.1:5006', 'localhost:5006', 'lab.example.org:80', 'lab.example.org:443']
    """
    asked = [origin.strip().lower() for origin in origins]
    from_environment = os.environ.get("BOKEH_ALLOW_WS_ORIGIN", "")
    if from_environment:
        raise ValueError(
            f"BOKEH_ALLOW_WS_ORIGIN={from_environment!r} is set and would replace the list of allowed origins; "
            "unset it and name the hosts with allow_origins=['HOST:PORT']."
        )
    if any("*" in origin for origin in asked):
        if not unsafe_any_origin:
            pattern = next(origin for origin in asked if "*" in origin)
            raise ValueError(
                f"the origin {pattern!r} would let pages of unknown sites drive this server; name each HOST:PORT, or "
                "pass unsafe_any_origin=True if that is really what you want."
            )
        return ["*"]
    own = [f"{_bracketed(address)}:{port}"]
    own += [f"localhost:{port}"] if is_loopback(address) else []
    return list(dict.fromkeys(own + [entry for origin in asked for entry in _with_port(origin)]))


def check_binding(address: str, authenticated: bool, *, unsafe_no_authentication: bool = False) -> None:
    """Refuse to listen where other machines can connect unless visitors are asked for a password.

    Raises:
        ValueError: names the three ways out.
    """
    if is_loopback(address) or authenticated or unsafe_no_authentication:
        return
    raise ValueError(
        f"the address {address!r} is open to other machines, and no password is set; listen on 127.0.0.1, or set a "
        "password (auth='...'), or pass unsafe_no_authentication=True behind a proxy that asks for one."
    )


class Unwanted(Matcher):
    """Matches requests that no visitor of ours sends: a foreign Host, or a session chosen by someone else."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self._hosts = frozenset(hosts)

    def match(self, request: HTTPServerRequest) -> dict | None:
        reason = self._reason(request)
        return None if reason is None else {"target_kwargs": {"reason": reason}}

    def _reason(self, request: HTTPServerRequest) -> str | None:
        if "bokeh-session-id" in request.query_arguments or "Bokeh-Session-Id" in request.headers:
            return "A session cannot be chosen by its address: open the page without bokeh-session-id."
        host = (request.host or "").lower()
        known = "*" in self._hosts or host in self._hosts or f"{host}:80" in self._hosts or f"{host}:443" in self._hosts
        return None if known else "This server does not answer under that name; start it with --allow-origin HOST:PORT."


class Refusal(RequestHandler):
    """Answers what `Unwanted` matched."""

    def initialize(self, reason: str) -> None:
        self._sentence = reason

    def prepare(self) -> None:
        raise HTTPError(403)

    def write_error(self, status_code: int, **kwargs: object) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(self._sentence + "\n")


def _with_port(origin: str) -> list[str]:
    host, separator, port = origin.rpartition(":") if not origin.endswith("]") else (origin, "", "")
    if not separator:
        host = origin
    if not _HOST.fullmatch(host) or (separator and not (port.isdigit() and 0 < int(port) < 65536)):
        raise ValueError(
            f"the origin {origin[:80]!r} is not HOST or HOST:PORT; write for example 'lab.example.org:8080'."
        )
    return [origin] if separator else [f"{origin}:80", f"{origin}:443"]


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address

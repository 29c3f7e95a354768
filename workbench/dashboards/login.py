"""One password for everyone: a form, a signed cookie, and a growing pause after each wrong try."""

from __future__ import annotations

import asyncio
import hmac
from urllib.parse import quote

from bokeh.server.auth_provider import AuthProvider
from tornado.web import RequestHandler

from workbench.dashboards.pages import render

COOKIE = "workbench_visitor"
_DAYS = 7
_LONGEST_PAUSE = 8.0  # seconds


class PasswordGate(AuthProvider):
    """Lets in who knows the password; everyone else sees the form.

    The comparison takes the same time for every wrong password, and each wrong try makes the next answer slower.
    """

    def __init__(self, password: str) -> None:
        if not isinstance(password, str) or len(password) < 8:
            raise ValueError("the password is shorter than 8 characters; choose a longer one (auth='...').")
        self._password = password.encode()
        self.wrong_tries = 0
        super().__init__()

    def accepts(self, password: str) -> bool:
        """Whether this is the password."""
        right = hmac.compare_digest(password.encode(), self._password)
        self.wrong_tries = 0 if right else self.wrong_tries + 1
        return right

    def pause(self) -> float:
        """Seconds to wait before a wrong try is answered."""
        return min(0.25 * 2 ** min(self.wrong_tries, 10), _LONGEST_PAUSE)

    @property
    def get_user(self):
        return lambda handler: handler.get_signed_cookie(COOKIE, max_age_days=_DAYS)

    @property
    def login_url(self) -> str:
        return "/login"

    @property
    def get_login_url(self) -> None:
        return None

    @property
    def get_user_async(self) -> None:
        return None

    @property
    def login_handler(self) -> type[RequestHandler]:
        gate = self

        class Login(LoginForm):
            def initialize(self) -> None:
                self.gate = gate

        return Login

    @property
    def logout_url(self) -> None:
        return None

    @property
    def logout_handler(self) -> None:
        return None


class LoginForm(RequestHandler):
    """The form, and where it is sent to."""

    gate: PasswordGate

    def get(self) -> None:
        self.finish(render("login.html", title="Password", wrong=False))

    async def post(self) -> None:
        if self.gate.accepts(self.get_body_argument("password", "")):
            secure = self.request.protocol == "https"
            self.set_signed_cookie(COOKIE, "visitor", _DAYS, httponly=True, samesite="Lax", secure=secure)
            self.redirect(local_path(self.get_query_argument("next", "/")))
            return
        await asyncio.sleep(self.gate.pause())
        self.set_status(403)
        self.finish(render("login.html", title="Password", wrong=True))


def local_path(target: str) -> str:
    """The target if it is a page of this server, else the front page: a login never leads elsewhere.

    >>> local_path("/kernels?n=4"), local_path("//evil.example/"), local_path("https://evil.example/")
    ('/kernels?n=4', '/', '/')
    """
    leads_here = target.startswith("/") and not target.startswith(("//", "/\\")) and "\\" not in target
    return quote(target, safe="/?&=%.,:+-_~") if leads_here else "/"

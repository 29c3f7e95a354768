"""Ports: a taken one is named before anything is started, with one that is free."""

import os
import socket

import pytest

from workbench.dashboards.ports import PortTaken, claim
from workbench.dashboards.server import make_server


@pytest.fixture
def taken():
    """The port of a server that somebody else runs on this machine."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_a_taken_port_is_named_and_the_advice_is_free(taken):
    with pytest.raises(PortTaken, match=rf"port {taken} of 127\.0\.0\.1 is taken.*use port=\d+") as refused:
        claim("127.0.0.1", taken)
    assert claim("127.0.0.1", refused.value.free) == refused.value.free != taken


@pytest.mark.parametrize("address", ["localhost", "0.0.0.0", ""])
def test_a_taken_port_is_seen_by_every_name_of_this_machine(address, taken):
    with pytest.raises(PortTaken, match=str(taken)):
        claim(address, taken)


def test_the_server_asks_before_it_starts_anything(taken, monkeypatch):
    monkeypatch.setattr("panel.io.server.get_server", lambda *given, **named: pytest.fail("it was started"))
    with pytest.raises(PortTaken, match=str(taken)):
        make_server(taken)


def test_a_free_port_is_left_free():
    port = claim("127.0.0.1", 0)
    assert claim("127.0.0.1", port) == port
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))


def test_an_address_of_another_machine_is_refused_in_words(monkeypatch):
    with pytest.raises(OSError, match=r"'192\.0\.2\.1' is none of this machine's; use address='127\.0\.0\.1'"):
        claim("192.0.2.1", 0)

    def unknown(*given, **named):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(OSError, match=r"'explore\.example\.org' is none of this machine's"):
        claim("explore.example.org", 5006)


def test_a_port_that_needs_more_rights_is_refused_in_words(monkeypatch):
    def forbidden(self, place):
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(socket.socket, "bind", forbidden)
    with pytest.raises(OSError, match=r"port 80 may be opened by the administrator alone; use .* port=5006"):
        claim("127.0.0.1", 80)

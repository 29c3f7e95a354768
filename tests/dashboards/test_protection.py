"""Addresses, origins, hosts and headers: what is let in, and what is refused with the way out."""

import base64
import hashlib

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from workbench.dashboards.protection import Unwanted, allowed_hosts, check_binding, is_loopback, policy


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_r11_this_machine_alone_needs_no_password(address):
    assert is_loopback(address)
    check_binding(address, authenticated=False)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.5", "example.org", "", "127.0.0.1.evil.example"])
def test_r11_an_address_others_reach_is_refused_without_a_password(address):
    assert not is_loopback(address)
    with pytest.raises(ValueError, match=r"listen on 127\.0\.0\.1, or set a password"):
        check_binding(address, authenticated=False)
    check_binding(address, authenticated=True)
    check_binding(address, authenticated=False, unsafe_no_authentication=True)


@pytest.mark.parametrize("pattern", ["*", "*:5006", "*.example.org", "192.168.*.*"])
def test_r11_a_pattern_of_origins_needs_its_unsafe_flag(pattern):
    with pytest.raises(ValueError, match="unsafe_any_origin=True"):
        allowed_hosts("127.0.0.1", 5006, [pattern])
    assert allowed_hosts("127.0.0.1", 5006, [pattern], unsafe_any_origin=True) == ["*"]


def test_r10_the_list_of_origins_is_our_own_and_what_was_named():
    own = ["127.0.0.1:5006", "localhost:5006"]
    assert allowed_hosts("127.0.0.1", 5006, []) == own
    assert allowed_hosts("127.0.0.1", 5006, ["Lab.Example.org:8080"]) == [*own, "lab.example.org:8080"]
    assert allowed_hosts("10.0.0.2", 80, []) == ["10.0.0.2:80"]
    assert allowed_hosts("::1", 5006, []) == ["[::1]:5006", "localhost:5006"]


@pytest.mark.parametrize("origin", ["http://lab.example.org", "lab/path", "lab:port", "lab:99999", "", "a b"])
def test_an_origin_that_is_no_host_is_refused(origin):
    with pytest.raises(ValueError, match="HOST:PORT"):
        allowed_hosts("127.0.0.1", 5006, [origin])


def test_r10_an_environment_variable_cannot_open_the_list(monkeypatch):
    monkeypatch.setenv("BOKEH_ALLOW_WS_ORIGIN", "*")
    with pytest.raises(ValueError, match="unset it"):
        allowed_hosts("127.0.0.1", 5006, [])


def request(host: str, uri: str = "/", **headers: str) -> HTTPServerRequest:
    class Connection:
        context = None

    line = RequestStartLine("GET", uri, "HTTP/1.1")
    return HTTPServerRequest(start_line=line, headers=HTTPHeaders({"Host": host, **headers}), connection=Connection())


@pytest.mark.parametrize("host", ["127.0.0.1:5006", "localhost:5006", "LOCALHOST:5006", "lab.example.org"])
def test_a_known_host_is_answered(host):
    hosts = allowed_hosts("127.0.0.1", 5006, ["lab.example.org"])
    assert Unwanted(hosts).match(request(host)) is None


@pytest.mark.parametrize("host", ["evil.example:5006", "localhost:5006.evil.example", "localhost", ""])
def test_a_page_that_renamed_this_machine_is_not_answered(host):
    refused = Unwanted(allowed_hosts("127.0.0.1", 5006, [])).match(request(host))
    assert "does not answer under that name" in refused["target_kwargs"]["reason"]


def test_r12_a_session_planted_by_someone_else_is_refused():
    unwanted = Unwanted(["localhost:5006"])
    assert unwanted.match(request("localhost:5006", "/group?bokeh-session-id=known"))
    assert unwanted.match(request("localhost:5006", "/group", **{"Bokeh-Session-Id": "known"}))


def test_r18_inline_scripts_run_by_their_hash_alone():
    page = b'<script>ours()</script><script src="a.js"></script><script type="application/json">{}</script>'
    digest = base64.b64encode(hashlib.sha256(b"ours()").digest()).decode()
    scripts = next(part for part in policy(page).split("; ") if part.startswith("script-src"))
    assert scripts == f"script-src 'self' blob: 'sha256-{digest}'"
    assert "unsafe" not in scripts


@pytest.mark.parametrize("host", ["localhost:5006", "[::1]:5006", "lab.example.org"])
def test_r18_the_page_may_open_the_websocket_of_its_own_host(host):
    assert f"connect-src 'self' blob: ws://{host} wss://{host};" in policy(b"", host)


@pytest.mark.parametrize("host", ["x; script-src *", "a b", "", "*"])
def test_r18_a_host_cannot_write_into_the_policy(host):
    assert "connect-src 'self' blob:;" in policy(b"", host)


def test_r18_a_nonce_is_taken_from_the_page_once():
    page = b'<script nonce="abcdefghijklmnopqrst" src="a.js"></script><p><script nonce="another-one-of-16-up" src=x>'
    assert policy(page).count("'nonce-") == 1
    assert "'nonce-abcdefghijklmnopqrst'" in policy(page)

"""What is served: links that are followed or refused with the reason, pages per explorer, the health report."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dashboards.samples import Dots
from tests.dashboards.serving import running
from workbench import __version__
from workbench.dashboards.application import application, open_at, routes
from workbench.explorers import explorers


def arguments(**values: str) -> dict[str, list[bytes]]:
    return {name: [value.encode()] for name, value in values.items()}


def test_every_explorer_of_the_workbench_has_a_page():
    assert set(application()) == {f"/{slug}" for slug in explorers()}
    assert set(application({"dots": Dots})) == {"/dots"}
    assert all(pattern.startswith("/") for pattern, _, _ in routes({}))


def test_n14_a_link_opens_the_explorer_at_its_state():
    explorer, notice = open_at(Dots, arguments(height="2.5", kind="dots", mirrored="true"))
    assert notice == ""
    assert explorer.state() == {"height": 2.5, "points": 5, "kind": "dots", "mirrored": True}


@pytest.mark.parametrize(
    ("values", "fix"),
    [
        (arguments(height="99"), "use 20"),
        (arguments(heigth="2"), "did you mean 'height'"),
        (arguments(points="many"), "whole number from 2 to 50"),
        ({"height": [b"1", b"2"]}, "leave one"),
        ({"height": [b"\xff"]}, "copy it again"),
        (arguments(height="1" * 3000), "copy it again"),
    ],
)
def test_n14_a_link_that_cannot_be_followed_says_why_and_opens_at_the_start(values, fix):
    explorer, notice = open_at(Dots, values)
    assert notice.startswith("This link cannot be followed: ")
    assert fix in notice
    assert explorer.state() == Dots().state()


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(max_size=8) | st.sampled_from(["height", "points", "kind"]), st.text(max_size=12)))
def test_n14_no_link_breaks_the_page_or_leaves_the_limits(values):
    explorer, notice = open_at(Dots, {name: [value.encode("utf-8", "replace")] for name, value in values.items()})
    assert -2 <= explorer.height <= 20
    assert 2 <= explorer.points <= 50
    assert notice or Dots.from_permalink(explorer.permalink()).state() == explorer.state()


def test_the_health_report_counts_sessions():
    with running(Dots) as server:
        assert server.health() == {"status": "ok", "version": __version__, "sessions": 0}
        server.token("/dots")
        assert server.health()["sessions"] == 1


def test_the_page_holds_its_words_before_any_script_runs():
    with running(Dots) as server:
        status, headers, page = server.get("/dots?height=2.5")
    assert status == 200
    assert headers["cache-control"] == "no-store"
    assert f"<title>{Dots.title} · Equivariance Workbench</title>" in page
    assert Dots.question in page
    assert 'aria-current="page"' in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page


def test_pictures_and_assets_are_served_and_names_cannot_escape_their_folder():
    with running(Dots) as server:
        status, headers, picture = server.get("/pictures/dots.svg?theme=dark")
        assert (status, headers["content-type"]) == (200, "image/svg+xml; charset=utf-8")
        assert picture.startswith("<svg")
        assert server.get("/pictures/method-nothing.svg")[0] == 404
        assert server.get("/pictures/nothing.svg")[0] == 404
        assert server.get("/assets/theme.css?v=1")[0] == 200
        assert server.get("/assets/plotly.min.js?v=1")[0] == 200
        for name in ("../server.py", "..%2fserver.py", "/etc/passwd", "%2e%2e/server.py", "....//server.py", "a%00b"):
            status, _, text = server.get(f"/assets/{name}")
            assert status in (400, 403, 404), name
            assert "import" not in text

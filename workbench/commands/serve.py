"""`workbench serve`: the explorers as web pages."""

from __future__ import annotations

import argparse


def run(options: argparse.Namespace) -> int:
    """Serve until stopped."""
    from workbench.dashboards import serve

    serve(
        port=options.port,
        address=options.address,
        origins=tuple(options.allow_origin),
        show=not options.no_browser,
    )
    return 0

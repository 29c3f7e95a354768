"""`workbench reproduce`: train a method's seeds, check its claims, print what the paper says and what we measured."""

from __future__ import annotations

import argparse

from workbench.commands.memory import keep_freed_memory


def run(options: argparse.Namespace) -> int:
    """Train or read, then print the verdicts."""
    from workbench.models.method import find_method

    method = find_method(options.method)
    from workbench import training

    if options.stored:
        results = training.stored_claims(method, options.out)
    else:
        keep_freed_memory()
        results = training.reproduce(method, seeds=range(options.seeds), out=options.out, fast=options.fast)
    print(training.verdict_table(method, results))
    return 0

"""Sentences of the training room with the command to type in place of the Python call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

STOPPED = 130  # exit code after Ctrl-C


@contextmanager
def told_as_commands() -> Iterator[None]:
    """A block whose errors name `workbench train --resume` where they would name `workbench.training.fit`.

    Failed trainings of a reproduction become a ValueError, too: the command line tells those in one sentence.
    """
    from workbench.training.jobs import FailedTrainings
    from workbench.training.remedies import as_commands

    try:
        yield
    except (ValueError, OSError, FailedTrainings, KeyboardInterrupt) as error:
        told = as_commands(str(error))
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(told) from error
        if told == str(error) and not isinstance(error, FailedTrainings):
            raise
        raise ValueError(told) from error

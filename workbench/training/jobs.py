"""Many trainings at once: worker processes on this machine, somebody's Dask cluster, or here, one after another."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.training.trainer import DONE, Event, fit

POLL_S = 0.2  # how often finished jobs and cancel are looked at
GRACE_S = 20.0  # after a cancel: time for the workers to write their checkpoints
END_S = 60.0  # for a worker process to take itself down: with torch loaded, on busy cores, it takes seconds


class FailedTrainings(RuntimeError):
    """Some trainings of several failed; the sentence names each with its cause."""


@dataclass(frozen=True)
class Job:
    """One training: what to call it, its configuration, its run folder."""

    name: str
    config: dict[str, Any]
    path: Path


def run_jobs(
    jobs: list[Job],
    *,
    progress: bool | Callable[[float], None] = True,
    workers: int | None = None,
    scheduler: str | None = None,
    cancel: threading.Event | None = None,
) -> None:
    """Train every job whose run folder is not finished; see `workbench.training.reproduce` for the arguments.

    Raises:
        Cancelled: `cancel` was set; every run folder can be resumed.
        FailedTrainings: some jobs failed; the others are finished.
    """
    stop = cancel or threading.Event()
    waiting = [job for job in jobs if not _finished(job)]
    tell = _teller(progress, len(jobs), len(jobs) - len(waiting))
    failures: list[str] = []
    try:
        if waiting and workers == 0 and scheduler is None:
            _run_here(waiting, tell, failures, stop)
        elif waiting:
            _run_elsewhere(waiting, tell, failures, stop, workers, scheduler)
    finally:
        tell(None)
    if stop.is_set():
        _say_cancelled(jobs)
    if failures:
        raise FailedTrainings(
            f"{len(failures)} of {len(jobs)} trainings failed, and the others are kept: {'; '.join(failures)}; "
            "mend the cause and call again, only these will be trained"
        )


def train_one(job: Job, cancel: Event | None = None) -> str:
    """Train one job, going on where an earlier attempt stopped; returns its status."""
    return fit(job.config, job.path, progress=False, resume=True, cancel=cancel).status


def _finished(job: Job) -> bool:
    from workbench.training.run import CONFIG, Run

    return (job.path / CONFIG).exists() and Run(job.path).status in DONE


def _run_here(jobs: list[Job], tell: Callable[[str | None], None], failures: list[str], stop: threading.Event) -> None:
    for job in jobs:
        if stop.is_set():
            return
        try:
            train_one(job, stop)
        except Exception as error:  # one failing seed must not cost the others
            failures.append(f"{job.name} ({error})")
        tell(job.name)


def _run_elsewhere(
    jobs: list[Job],
    tell: Callable[[str | None], None],
    failures: list[str],
    stop: threading.Event,
    workers: int | None,
    scheduler: str | None,
) -> None:
    flag = StopFile(jobs[0].path.parent / f".stop-{secrets.token_hex(6)}")
    with _client(workers, scheduler, len(jobs)) as client:
        names = {client.submit(_in_worker, job, flag, pure=False): job.name for job in jobs}
        waiting = set(names)
        patience = GRACE_S
        while waiting and patience > 0:
            done = {future for future in waiting if future.done()}
            for future in done:
                if future.status != "finished":
                    failures.append(f"{names[future]} ({future.exception()})")
                tell(names[future])
            waiting -= done
            if stop.is_set():
                flag.set()
                patience -= POLL_S
            time.sleep(0 if done else POLL_S)
    flag.clear()


def _in_worker(job: Job, flag: StopFile) -> str:
    import torch

    torch.set_num_threads(1)
    return "cancelled" if flag.is_set() else train_one(job, flag)


class StopFile:
    """An event that other processes see: it is set while the file exists."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def is_set(self) -> bool:
        """Whether to stop."""
        return self.path.exists()

    def set(self) -> None:
        """Ask everyone to stop."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch()

    def clear(self) -> None:
        """Take the file away."""
        self.path.unlink(missing_ok=True)


@contextmanager
def _client(workers: int | None, scheduler: str | None, jobs: int) -> Iterator[Any]:
    """A client of the given scheduler, or of worker processes that live as long as the block."""
    from distributed import Client, LocalCluster, Nanny

    class Patient(Nanny):
        """A keeper of one worker process that lets it end by itself; Dask's own kills it after four seconds."""

        async def close(self, timeout: float = END_S, reason: str = "nanny-close") -> Any:  # type: ignore[override]
            return await super().close(timeout=timeout, reason=reason)

    with ExitStack() as stack:
        if scheduler is None:
            scheduler = stack.enter_context(
                LocalCluster(
                    n_workers=min(workers or _default_workers(), jobs),
                    threads_per_worker=1,
                    processes=True,
                    worker_class=Patient,
                    host="127.0.0.1",
                    dashboard_address="127.0.0.1:0",  # any free port: a fixed one may be taken
                    scheduler_kwargs={"dashboard": False},
                    memory_limit=0,
                )
            )
        yield stack.enter_context(Client(scheduler, set_as_default=False))


def _default_workers() -> int:
    import torch

    if torch.cuda.is_available():
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _teller(progress: bool | Callable[[float], None], total: int, done: int) -> Callable[[str | None], None]:
    """A function to call with each finished job's name, and with None at the end."""
    if callable(progress):
        finished = [done]

        def tell(name: str | None) -> None:
            finished[0] += name is not None
            progress(finished[0] / max(1, total))

        return tell
    if not progress:
        return lambda name: None
    from tqdm.auto import tqdm

    bar = tqdm(total=total, initial=done, unit="run")

    def show(name: str | None) -> None:
        if name is None:
            bar.close()
        else:
            bar.set_postfix_str(name, refresh=False)
            bar.update()

    return show


def _say_cancelled(jobs: list[Job]) -> None:
    from workbench.measure import Cancelled

    finished = sum(_finished(job) for job in jobs)
    raise Cancelled(f"stopped with {finished} of {len(jobs)} trainings finished; call again to go on from there")

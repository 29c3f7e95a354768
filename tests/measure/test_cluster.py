"""Long sweeps on a Dask cluster: the same bits, workers that die, what travels, what is refused."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import xarray as xr
from torch import nn

from tests.measure.test_stream_chance import Noisy
from tests.measure.toys import c4_net
from workbench.measure import Cancelled, cluster, equivariance_error, equivariance_error_streamed
from workbench.measure.cells import Cell, versions
from workbench.measure.travel import packed, unpacked

pytestmark = pytest.mark.slow

OPTIONS = {"group": "SO2", "n_elements": 6, "layers": "all", "batch_size": 4}


class Slow(nn.Module):
    """Takes its time, so that there is a middle in which to kill."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        time.sleep(0.03)
        return x


def slow_net() -> nn.Module:
    return nn.Sequential(Slow(), *c4_net())


def fails_on_the_last_sample(x: torch.Tensor) -> torch.Tensor:
    if bool((x > 5).any()):
        raise ArithmeticError("broken on purpose")
    return x.mean((2, 3))


def images(count: int = 30) -> torch.Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=2, processes=True, host="127.0.0.1", dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False}, memory_limit=0,
    ) as local:  # fmt: skip
        yield local.scheduler_address


def workers(scheduler: str) -> list[int]:
    from distributed import Client

    with Client(scheduler, set_as_default=False) as client:
        return list(client.run(os.getpid).values())


def streamed(folder: Path, model, scheduler: str | None, x=None, **options) -> xr.Dataset:
    x = images() if x is None else x
    return equivariance_error_streamed(model, x, folder=folder, scheduler=scheduler, **{**OPTIONS, **options}).load()


def test_two_workers_of_whom_one_is_killed_find_the_same_bits(scheduler: str, tmp_path: Path) -> None:
    model = slow_net()
    wanted = equivariance_error(model, images(), **OPTIONS)
    killed: list[int] = []

    def kill_one(done: float) -> None:
        if 0 < done < 1 and not killed:
            killed.append(workers(scheduler)[0])
            os.kill(killed[0], signal.SIGKILL)

    found = streamed(tmp_path / "there", model, scheduler, build=slow_net, progress=kill_one)
    xr.testing.assert_identical(found, wanted)
    assert killed
    assert killed[0] not in workers(scheduler)
    xr.testing.assert_identical(streamed(tmp_path / "here", model, None), wanted)
    there, here = ({path.name for path in (tmp_path / at).iterdir()} for at in ("there", "here"))
    assert there == here


class Lost:
    """A future whose result was lost with its worker before it could be fetched, and that comes a second time."""

    def __init__(self, *statuses: str) -> None:
        self.statuses = list(statuses)

    @property
    def status(self) -> str:
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]

    def done(self) -> bool:
        return True

    def result(self) -> xr.Dataset:
        return xr.Dataset(attrs={"found": 1, "versions": versions()})


@pytest.mark.parametrize("statuses", [("lost", "finished"), ("finished", "lost", "lost"), ("pending", "finished")])
def test_a_result_that_is_lost_with_its_worker_is_waited_for(statuses: tuple[str, ...]) -> None:
    under_way: dict = {Lost(*statuses): (Cell(0, 4, 0, 9), "data")}
    kept: list[xr.Dataset] = []
    for _ in range(2):
        cluster._collect(under_way, lambda cell, piece, data: kept.append(piece), None)
    assert [piece.attrs["found"] for piece in kept] == [1]


def test_a_result_that_was_called_off_is_said() -> None:
    with pytest.raises(RuntimeError, match="gave up .cancelled."):
        cluster._collect({Lost("cancelled"): (Cell(0, 4, 0, 9), "data")}, lambda *piece: None, None)


def noisy_net() -> nn.Module:
    return nn.Sequential(Slow(), Noisy())


def test_chance_is_drawn_by_two_workers_of_whom_one_is_killed_as_it_is_here(scheduler: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, killed = noisy_net(), []

    def kill_one(done: float) -> None:
        if 0 < done < 1 and not killed:
            killed.append(workers(scheduler)[0])
            os.kill(killed[0], signal.SIGKILL)

    options = {"layers": (), "repeats": 2}
    found = streamed(tmp_path / "there", model, scheduler, build=noisy_net, progress=kill_one, **options)
    assert killed
    xr.testing.assert_identical(found, streamed(tmp_path / "here", model, None, **options))
    assert found.attrs["stochastic"] > 0


def test_a_cancelled_run_on_a_cluster_goes_on_without_it(scheduler: str, tmp_path: Path) -> None:
    stop, model = threading.Event(), slow_net()
    with pytest.raises(Cancelled, match="call it again with the same folder"):
        streamed(tmp_path, model, scheduler, build="tests.measure.test_cluster:slow_net", cancel=stop,
                 progress=lambda done: stop.set() if done > 0 else None)  # fmt: skip
    assert 0 < len(list(tmp_path.glob("part-*.nc"))) < 8
    xr.testing.assert_identical(streamed(tmp_path, model, None), equivariance_error(model, images(), **OPTIONS))


def test_what_the_model_raises_comes_from_the_worker_as_it_is_and_pieces_are_kept(scheduler, tmp_path) -> None:
    x = images()
    x[-1] = 9
    with pytest.raises(ArithmeticError, match="broken on purpose"):
        streamed(tmp_path, fails_on_the_last_sample, scheduler, x, layers=())
    assert len(list(tmp_path.glob("part-*.nc"))) > 0


def test_workers_of_other_versions_are_refused(scheduler: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(cluster, "versions", lambda: "workbench 0, torch 1")
    with pytest.raises(ValueError, match="expected the same versions"):
        streamed(tmp_path, fails_on_the_last_sample, scheduler, layers=())


def test_no_scheduler_is_said_in_one_sentence(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(cluster, "PATIENCE_S", 0.5)
    with pytest.raises(ConnectionError, match="no Dask scheduler answers at tcp://127.0.0.1:1"):
        streamed(tmp_path, fails_on_the_last_sample, "tcp://127.0.0.1:1", layers=())


def test_a_model_travels_as_weights_and_a_name_and_arrives_with_its_dtype() -> None:
    model = c4_net().double()
    luggage = packed(model, c4_net)
    assert luggage.where == "tests.measure.toys:c4_net"
    assert {name: type(value) for name, value in vars(luggage).items()} == {"where": str, "state": bytes, "device": str}
    arrived = unpacked(luggage)
    for name, value in model.state_dict().items():
        assert torch.equal(arrived.state_dict()[name], value)
        assert arrived.state_dict()[name].dtype == torch.float64
    assert unpacked(packed(fails_on_the_last_sample, None)) is fails_on_the_last_sample


given_net = c4_net()


def test_a_module_named_by_its_path_is_copied_and_left_as_it_is() -> None:
    before = dict(given_net.named_parameters())
    arrived = unpacked(packed(given_net, "tests.measure.test_cluster:given_net"))
    assert arrived is not given_net
    assert all(parameter is before[name] for name, parameter in given_net.named_parameters())
    with pytest.raises(ModuleNotFoundError, match="there is no module 'nowhere' here"):
        packed(given_net, "nowhere:net")


def perturbed_net() -> nn.Module:
    return nn.Sequential(*c4_net(), nn.Tanh())


def wider_net() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 2))


REFUSED = {
    "no build": (None, "was given for a scheduler without build"),
    "a lambda": (lambda: c4_net(), "expected a function that a worker can import"),
    "another form": ("c4_net", "expected 'package.module:function'"),
    "a name that is not there": ("tests.measure.toys:c5_net", "expected a name that tests.measure.toys has"),
    "other weights": (wider_net, "that the weights do not fit"),
    "no module": ("builtins:dict", "expected a torch module"),
    "the same weights, another network": (perturbed_net, "answers otherwise"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_travel_is_refused_before_anything_is_sent(case: str, tmp_path: Path) -> None:
    build, words = REFUSED[case]
    with pytest.raises(ValueError, match=words):
        streamed(tmp_path / "f", c4_net(), "tcp://127.0.0.1:1", build=build)
    assert not (tmp_path / "f").exists()

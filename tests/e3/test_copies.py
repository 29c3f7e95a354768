"""Copies of e3nn's products trace nothing, share nothing, and leave other threads alone."""

import copy
import threading
from unittest import mock

import torch
from torch import fx, nn

from tests.tolerances import EXACT
from workbench.e3.copies import copied
from workbench.measure.motions import InField, motion_errors
from workbench.models.molecular_potential import build

WATER = torch.tensor([[0.0, 0.0, 0.12], [0.0, 0.8, -0.48], [0.0, -0.76, -0.48]])
NUMBERS = torch.tensor([8, 1, 1])


def potential() -> nn.Module:
    torch.manual_seed(0)
    return build({"lmax": 2, "layers": 3, "channels": 4}).eval()


def test_a_copy_says_the_same_and_shares_no_number() -> None:
    model = InField(potential())
    twin = copied(model)
    assert torch.equal(twin.energy_and_forces(WATER, NUMBERS)[1], model.energy_and_forces(WATER, NUMBERS)[1])
    own = {x.data_ptr() for x in (*model.parameters(), *model.buffers()) if x.numel()}
    assert own.isdisjoint(x.data_ptr() for x in (*twin.parameters(), *twin.buffers()) if x.numel())
    before = model.energy_and_forces(WATER, NUMBERS)[1]
    exact = twin.double().energy_and_forces(WATER.double(), NUMBERS)[1]
    assert float((exact - before).abs().max()) < 10 * EXACT[torch.float32]
    assert torch.equal(model.energy_and_forces(WATER, NUMBERS)[1], before)


def test_nothing_is_traced_where_potentials_are_built_copied_and_measured() -> None:
    """While anything is traced, calls of modules in all threads go through the tracer."""
    with mock.patch.object(fx.Tracer, "trace", side_effect=AssertionError("traced")):
        model = potential()
        model.load_state_dict(copied(model).state_dict())
        motion_errors(model, NUMBERS, WATER.double(), n=1)


def test_deepcopy_is_the_twin_that_traces() -> None:
    with mock.patch.object(fx.Tracer, "trace", autospec=True, side_effect=fx.Tracer.trace) as trace:
        copy.deepcopy(potential())
    assert trace.called


def test_another_thread_may_compute_meanwhile() -> None:
    model, failed, stop = potential(), [], threading.Event()

    def compute() -> None:
        net = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
        while not stop.is_set():
            try:
                net(WATER)
            except Exception as error:
                failed.append(error)

    thread = threading.Thread(target=compute)
    thread.start()
    for _ in range(5):
        copied(model)
    stop.set()
    thread.join()
    assert not failed

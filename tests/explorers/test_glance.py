"""The one pass while a control moves: the numbers of the whole sweep and of both ways, at a part of the places."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.tolerances import AGAIN, EXACT, SEPARATION, SINGLE_AGAINST_DOUBLE
from workbench.explorers._both_ways import both_ways, sweep
from workbench.explorers._glance import glance
from workbench.explorers._moves import MOVES
from workbench.explorers._networks import network, shuffled
from workbench.explorers.audit import AuditExplorer
from workbench.explorers.equivariance import IN_A_GLANCE, EquivarianceExplorer
from workbench.measure.probe import OUTPUT

IMAGE = torch.rand(1, 1, 12, 12, generator=torch.Generator().manual_seed(0))
WHERE = {"maps": "0", "answer": OUTPUT}


def plain() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(432, 4)).eval()


def seen(model: nn.Module, where: str, group: str, form: str = "relative", image: torch.Tensor = IMAGE):
    move = MOVES[group]
    places = move.coarse
    shown = move.orbit((places[1] + 3.0,))[0]
    found, ways = glance(
        model, image, where, move.group, move.orbit(places), shown, along=move.along, places=places, name="it",
        resampler="bicubic", form=form, words=move.words,
    )  # fmt: skip
    whole = sweep({"it": (model, where, image)}, move.orbit(places), move.group, resampler="bicubic", form=form)
    return found, ways, whole, both_ways(model, image, where, shown, move.group, "bicubic", move.words)


@pytest.mark.parametrize("group", ["turns", "flips", "shifts"])
@pytest.mark.parametrize("where", WHERE.values(), ids=WHERE)
@pytest.mark.parametrize("form", ["relative", "symmetric", "absolute"])
def test_it_gives_the_errors_floors_and_maps_of_the_whole_measure(group, where, form):
    found, ways, whole, both = seen(plain(), where, group, form)
    for name in ("error_mean", "input_floor_mean", "output_floor_mean", "lattice"):
        assert found[name].dims == whole[name].dims
        assert np.allclose(found[name], whole[name], rtol=SINGLE_AGAINST_DOUBLE, atol=EXACT[torch.float32]), name
    along = MOVES[group].along
    assert np.allclose(found[along], whole[along], rtol=AGAIN, atol=AGAIN)
    assert found["error_mean"].attrs == whole["error_mean"].attrs
    assert found["input_floor_mean"].attrs["units"] == whole["input_floor_mean"].attrs["units"]
    assert set(ways) == set(both)
    for name in ("input_map", "difference", "scores"):
        if name in ways:
            assert np.allclose(ways[name][1], both[name][1], rtol=0, atol=EXACT[torch.float32]), name


def test_n3_a_group_network_is_exact_at_lattice_angles_also_at_a_glance_and_its_disorder_is_not():
    group, picture = network(None, 8), torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    for model, exact in ((group, True), (shuffled(group), False)):
        found, _, _, _ = seen(model, "body.0", "turns", image=picture)
        errors = found["error_mean"].values[0][found["lattice"].values][1:-1]
        assert bool(errors.max() <= EXACT[torch.float32]) is exact
        assert exact or errors.min() > SEPARATION * EXACT[torch.float32]


@pytest.mark.parametrize(
    ("explorer", "move"),
    [
        (lambda: EquivarianceExplorer(network="untrained"), {"sigma_px": 2.3}),
        (lambda: EquivarianceExplorer(network="untrained"), {"layer": 4}),
        (lambda: EquivarianceExplorer(network="untrained"), {"n": 3}),
        (lambda: AuditExplorer(network="resnet18"), {"sigma_px": 2.3}),
    ],
)
def test_a_moving_slider_asks_the_network_once_for_a_few_pictures(explorer, move):
    """What a move costs is one pass; the time itself is measured by tests/benchmarks/slider_latency_served.py."""
    explorer().at(coarse=True).dataset()  # reads the run and asks once which layers there are
    here = explorer().at(coarse=True, **move)
    sizes = []

    def note(module: nn.Module, inputs: tuple) -> None:
        if "." not in module.__class__.__name__ and isinstance(inputs[0], torch.Tensor) and inputs[0].ndim == 4:
            sizes.append((id(module), len(inputs[0])))

    handle = nn.modules.module.register_module_forward_pre_hook(note)
    try:
        here.dataset()
    finally:
        handle.remove()
    first = [size for one, size in sizes if one == sizes[0][0]]
    assert len(first) == 1
    assert first[0] <= IN_A_GLANCE


def test_at_rest_the_kernels_of_every_number_of_orientations_are_made_once():
    from workbench.explorers._networks import made_ready

    made_ready.cache_clear()
    here = EquivarianceExplorer(network="untrained", layer=1)
    here.at(coarse=True).dataset()
    assert made_ready.cache_info().currsize == 0
    here.dataset()
    low, high = here.param.n.bounds
    assert made_ready.cache_info().currsize == high - low + 1


def test_a_network_with_another_number_of_orientations_shares_weights_and_nothing_else():
    one, other = network(None, 4), network(None, 7)
    assert all(a is b for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert {id(m) for m in one.modules()}.isdisjoint(id(m) for m in other.modules())
    handle = next(one.children()).register_forward_hook(lambda *_: None)
    assert not next(other.children())._forward_hooks
    handle.remove()
    assert {layer.n for layer in one.modules() if hasattr(layer, "n")} == {4}

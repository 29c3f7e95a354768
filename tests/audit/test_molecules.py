"""Audits of a potential of molecules and of a network built only from e3nn's own classes, and of their broken twins."""

import functools

import pytest
import torch
from e3nn import nn as e3nn_nn
from e3nn import o3
from e3nn.math import soft_one_hot_linspace
from torch import Tensor, nn

from tests.tolerances import SPACE
from workbench.audit import audit
from workbench.e3.irreps import default_dtype
from workbench.groups import E3, O3, SO3, Symmetric, Translation
from workbench.measure import check_equivariance, equivariance_error, infer_behaviour
from workbench.models.molecular_potential import OUTPUTS, OfPoints, build
from workbench.models.orientation_potential import build as orientation
from workbench.models.symmetrised_potential import build as symmetrised

FORMAMIDE = torch.tensor([
    [-0.17, 0.42, 0.0, 6], [-1.19, -0.24, 0.1, 8], [1.08, -0.16, -0.1, 7], [-0.16, 1.52, 0.0, 1], [1.14, -1.16, 0.2, 1],
    [1.93, 0.37, -0.2, 1],
], dtype=torch.float64)  # fmt: skip


def molecules(count: int = 6) -> Tensor:
    """Formamide, its atoms a little displaced: x, y, z in angstrom and the atomic number of each."""
    rattle = torch.randn(count, 6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return FORMAMIDE + 0.05 * rattle * torch.tensor([1.0, 1.0, 1.0, 0.0], dtype=torch.float64)


@functools.cache
def potential(output: str, dtype: torch.dtype = torch.float64) -> OfPoints:
    torch.manual_seed(0)
    with default_dtype(dtype):
        return OfPoints(build({"lmax": 2, "channels": 4, "hidden": 8, "dipole": True}).eval(), output)


class OnlyE3nn(nn.Module):
    """Two rounds of messages over all pairs: harmonics, a tensor product weighted by distance, a gate, a linear map."""

    def __init__(self, irreps_out: str, flipped: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        edge = o3.Irreps.spherical_harmonics(2)
        self.harmonics = o3.SphericalHarmonics(edge, True, "component")
        self.gate = e3nn_nn.Gate("6x0e", [torch.tanh], "4x0e", [torch.sigmoid], "4x1o")
        self.first = o3.FullyConnectedTensorProduct("1x0e", edge, self.gate.irreps_in, shared_weights=False)
        self.second = o3.FullyConnectedTensorProduct(self.gate.irreps_out, edge, "6x0e+4x1o", shared_weights=False)
        self.near = e3nn_nn.FullyConnectedNet([6, 8, self.first.weight_numel], torch.tanh)
        self.far = e3nn_nn.FullyConnectedNet([6, 8, self.second.weight_numel], torch.tanh)
        self.out = o3.Linear("6x0e+4x1o", irreps_out)
        self.flipped = flipped

    def forward(self, points: Tensor) -> Tensor:
        between = points.unsqueeze(1) - points.unsqueeze(2)  # (B, i, j, 3), from i to j
        y = self.harmonics(between)
        if self.flipped:
            y = torch.cat([y[..., :1], y[..., [2, 1, 3]], y[..., 4:]], -1)
        radial = soft_one_hot_linspace(between.norm(dim=-1), 0.0, 6.0, 6, "gaussian", cutoff=False)
        ones = torch.ones_like(y[..., :1])
        features = self.gate(self.first(ones, y, self.near(radial)).sum(2))
        sent = features.unsqueeze(1).expand(-1, points.shape[1], -1, -1)
        return self.out(self.second(sent, y, self.far(radial)).sum(2))


@functools.cache
def only_e3nn(irreps_out: str, flipped: bool = False, dtype: torch.dtype = torch.float64) -> OnlyE3nn:
    with default_dtype(dtype):
        return OnlyE3nn(irreps_out, flipped).eval()


MOTIONS = [SO3(), O3(), E3(), Translation(dim=3)]


@pytest.mark.parametrize("group", [*MOTIONS, Symmetric(6)], ids=str)
@pytest.mark.parametrize("output", OUTPUTS)
def test_the_measure_takes_a_potential_as_it_is(output: str, group) -> None:
    behaviour = OUTPUTS[output]
    if group == Symmetric(6):
        behaviour = "set" if output == "forces" else "invariant"
    ds = equivariance_error(potential(output), molecules(2), group, output=behaviour, n_elements=5)
    assert float(ds.error.max()) <= SPACE[torch.float64]
    assert (ds.attrs["input"], ds.attrs["output"]) == ("set" if group == Symmetric(6) else "points", behaviour)


def test_in_single_precision_too_and_the_behaviour_is_inferred() -> None:
    for output, behaviour in OUTPUTS.items():
        model = potential(output, torch.float32)
        check_equivariance(model, molecules(2).float(), E3(), output=behaviour, tolerance=SPACE[torch.float32])
        assert infer_behaviour(model, molecules(2).float(), E3()).kind == behaviour


@pytest.mark.parametrize("group", [*MOTIONS, Symmetric(6)], ids=str)
def test_the_measure_takes_a_network_of_e3nns_classes_alone(group) -> None:
    model, points = only_e3nn("2x0e+1x1o"), molecules(2)[..., :3]
    behaviour = "irreps 2x0e+1x1o" if group in (SO3(), O3(), E3()) else "set"
    ds = equivariance_error(model, points, group, output=behaviour, input="points" if group.dim == 3 else "set",
                            n_elements=5)  # fmt: skip
    assert float(ds.error.max()) <= SPACE[torch.float64]


def test_its_layers_are_measured_by_the_irreps_that_they_state() -> None:
    ds = equivariance_error(only_e3nn("1x1o"), molecules(2)[..., :3], O3(), output="vectors", layers=["out"],
                            n_elements=5)  # fmt: skip
    assert float(ds.error.max()) <= SPACE[torch.float64]


class Shifted(nn.Module):
    """Forces and a little of where each atom stands."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = potential("forces")

    def forward(self, points: Tensor) -> Tensor:
        return self.inner(points) + 1e-3 * points[..., :3]


TWINS = [
    (lambda x: potential("forces")(x).abs(), O3(), "vectors"),
    (lambda x: potential("forces")(x)[..., [1, 2, 0]], SO3(), "vectors"),
    (Shifted(), Translation(dim=3), "vectors"),
    (lambda x: potential("energy")(torch.cat([x[..., :3], FORMAMIDE[:, 3:].expand(len(x), -1, -1)], -1)), Symmetric(6),
     "invariant"),
    (lambda x: only_e3nn("1x1o", flipped=True)(x[..., :3]), SO3(), "vectors"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "group", "output"), TWINS)
def test_what_lost_a_symmetry_is_caught(model, group, output: str) -> None:
    ds = equivariance_error(model, molecules(2), group, output=output, n_elements=5)
    assert float(ds.error.max()) > 1e3 * SPACE[torch.float64]


def test_a_pseudovector_shows_in_reflections_alone() -> None:
    def torque(x: Tensor) -> Tensor:
        pulled = potential("dipole")(x)
        return torch.linalg.cross(x[..., :3] - x[..., :3].mean(1, keepdim=True), pulled.expand(-1, 6, -1))

    ds = equivariance_error(torque, molecules(2), O3(), output="vectors", n_elements=6)
    assert float(ds.error.where(ds.mirror > 0).max()) <= SPACE[torch.float64] < 0.1 < float(ds.error.max())


QUESTIONS = ("rotations of the points", "reflections", "translations", "permutations")


def test_an_audit_of_a_potential_says_that_it_is_exact() -> None:
    result = audit(potential("energy", torch.float32), molecules().float(), kind="points", n_elements=5, layers=())
    assert {verdict.question: verdict.level for verdict in result.verdicts} == dict.fromkeys(QUESTIONS, "exact")
    assert any("first 3 of the 4 numbers of a point are its coordinates" in note for note in result.notes)
    assert result.cost is None or int(result.cost["multiply_adds"].sum()) > 0


def test_an_audit_of_a_network_of_e3nns_classes_alone_says_that_it_is_exact_and_of_its_twin_that_it_is_not() -> None:
    points = molecules()[..., :3].float()
    for flipped in (False, True):
        result = audit(only_e3nn("1x1o", flipped, torch.float32), points, kind="points", n_elements=5, layers=())
        found = {verdict.question: verdict.level for verdict in result.verdicts}
        assert [found[name] for name in QUESTIONS[2:]] == ["exact", "exact"]
        assert [found[name] for name in QUESTIONS[:2]] == ["broken" if flipped else "exact"] * 2


@pytest.mark.parametrize("output", OUTPUTS)
def test_nothing_needs_to_be_said_of_a_potential(output: str) -> None:
    model = potential(output, torch.float32)
    result = audit(model, molecules().float(), n_elements=5, layers=())
    assert {verdict.question: verdict.level for verdict in result.verdicts} == dict.fromkeys(QUESTIONS, "exact")
    assert any("gives energies and forces of atoms" in note for note in result.notes)


def test_nothing_needs_to_be_said_of_features_whose_irreps_e3nn_states() -> None:
    for flipped in (False, True):
        model = only_e3nn("2x0e+1x1o", flipped, torch.float32)
        result = audit(model, molecules()[..., :3].float(), n_elements=5, layers=())
        found = {verdict.question: verdict.level for verdict in result.verdicts}
        assert [found[name] for name in QUESTIONS[2:]] == ["exact", "exact"]
        assert [found[name] for name in QUESTIONS[:2]] == ["broken" if flipped else "exact"] * 2


def test_a_potential_of_distances_is_exact_and_one_of_bare_coordinates_is_not() -> None:
    torch.manual_seed(0)
    model = OfPoints(orientation({"grid": "distances", "channels": 4, "elements": (1, 6, 7, 8)}).eval())
    result = audit(model, molecules().float(), n_elements=5, layers=())
    assert {verdict.level for verdict in result.verdicts} == {"exact"}
    bare = OfPoints(symmetrised({"hidden": 8, "atoms": tuple(map(int, FORMAMIDE[:, 3]))}).eval())
    twin = equivariance_error(bare, molecules().float(), SO3(), n_elements=5)
    assert float(twin.error.max()) > 1e3 * SPACE[torch.float32]


def test_a_network_of_several_inputs_is_told_how_it_is_wrapped_and_the_wrap_works() -> None:
    class Several(nn.Module):
        def forward(self, positions: Tensor, numbers: Tensor, batch: Tensor) -> Tensor:
            squares = (positions.square().sum(-1) * numbers).sqrt()
            return squares.new_zeros(int(batch.max()) + 1).index_add(0, batch, squares)

    with pytest.raises(ValueError, match=r"missing 2 required.*OfPoints"):
        audit(Several(), molecules()[..., :3].float(), n_elements=5, layers=())
    result = audit(OfPoints(Several()), molecules().float(), kind="points", n_elements=5, layers=())
    found = {verdict.question: verdict.level for verdict in result.verdicts}
    assert found == dict.fromkeys(QUESTIONS, "exact") | {"translations": "broken"}

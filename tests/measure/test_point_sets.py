"""Point sets, molecules and sets: models whose symmetry is known, e3nn's layers, and twins with a wrong convention."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.tolerances import AGAIN, EXACT, SEPARATION
from workbench.groups import E3, O2, O3, SO2, SO3, Plane, Scale, Symmetric, Translation
from workbench.measure import check_equivariance, equivariance_error, infer_behaviour

TIGHT = 10 * EXACT[torch.float64]


def points(dim: int = 3, count: int = 6, features: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, count, dim + features, generator=generator, dtype=torch.float64)


def gaps(x: Tensor) -> Tensor:
    return x.unsqueeze(1) - x.unsqueeze(2)  # (B, i, j, d): from i to j


def energy(x: Tensor) -> Tensor:
    """A molecule's energy: a function of distances."""
    return torch.exp(-gaps(x).square().sum(-1)).sum((1, 2)).unsqueeze(1)


def forces(x: Tensor) -> Tensor:
    """Their negative gradient: one vector at each point."""
    between = gaps(x)
    return (2 * torch.exp(-between.square().sum(-1, keepdim=True)) * between).sum(2)


def step(x: Tensor) -> Tensor:
    """New positions."""
    return x + 0.3 * forces(x)


def torque(x: Tensor) -> Tensor:
    """A pseudovector: the sum of cross products with the forces of another law."""
    centred = x - x.mean(1, keepdim=True)
    weight = torch.linalg.vector_norm(centred, dim=-1, keepdim=True)
    return torch.linalg.cross(centred, forces(x) * weight + centred.roll(1, 1) * weight).sum(1)


def density(x: Tensor) -> Tensor:
    """One number for each point."""
    return torch.exp(-gaps(x).square().sum(-1)).sum(2, keepdim=True)


SYMMETRIC = [(energy, "invariant"), (forces, "vectors"), (step, "points"), (density, "set")]


@pytest.mark.parametrize("group", [SO3(), O3(), E3(), Translation(dim=3)], ids=str)
@pytest.mark.parametrize(("model", "output"), SYMMETRIC, ids=[name for _, name in SYMMETRIC])
def test_functions_of_distances_are_equivariant_under_motions_of_space(model, output: str, group) -> None:
    ds = equivariance_error(model, points(), group, output=output, n_elements=9)
    assert float(ds.error.max()) <= TIGHT
    assert bool(ds.exact.all() & ds.lattice.all())
    assert float(ds.output_floor.max()) == float(ds.input_floor.max()) == 0
    assert (ds.attrs["input"], ds.attrs["output"]) == ("points", output)
    assert ds.attrs["resampler"] == ds.attrs["mask"] == "none"


@pytest.mark.parametrize("group", [SO2(), O2(), Plane(O2())], ids=str)
@pytest.mark.parametrize(("model", "output"), SYMMETRIC, ids=[name for _, name in SYMMETRIC])
def test_and_under_those_of_the_plane(model, output: str, group) -> None:
    ds = equivariance_error(model, points(2), group, output=output, n_elements=9)
    assert float(ds.error.max()) <= TIGHT


WRONG = [
    (lambda x: forces(x)[..., [1, 0, 2]], "vectors", O3()),  # two axes swapped
    (lambda x: forces(x) * torch.tensor([1.0, -1.0, 1.0], dtype=x.dtype), "vectors", SO3()),  # one axis points down
    (step, "vectors", E3()),  # positions read as directions: the shift is missing
    (forces, "points", E3()),
    (lambda x: step(x - x.mean(1, keepdim=True)), "points", E3()),  # the centre was taken away and not put back
    (torque, "vectors", O3()),  # a pseudovector does not turn around in a point reflection
    (lambda x: x.flatten(1) @ torch.ones(18, 2, dtype=x.dtype), "invariant", SO3()),
    (lambda x: energy(x) + x[:, 0, :1], "invariant", E3()),
]


@pytest.mark.parametrize(("model", "output", "group"), WRONG)
def test_wrong_signs_centres_and_axes_are_caught(model, output: str, group) -> None:
    ds = equivariance_error(model, points(), group, output=output, n_elements=9)
    assert float(ds.error_mean.max()) > 0.05


def test_a_pseudovector_is_declared_by_its_irreps() -> None:
    assert float(equivariance_error(torque, points(), O3(), output="irreps 1x1e", n_elements=9).error.max()) <= TIGHT
    assert float(equivariance_error(torque, points(), SO3(), output="vectors", n_elements=9).error.max()) <= TIGHT


def test_a_small_break_of_symmetry_is_seen() -> None:
    broken = equivariance_error(lambda x: forces(x) + 1e-6 * x.abs(), points(), O3(), output="vectors", n_elements=9)
    assert SEPARATION * TIGHT < float(broken.error.max()) < 1e-3


def test_far_from_the_origin_an_error_is_no_smaller() -> None:
    def model(x: Tensor) -> Tensor:
        return step(x) + 0.1 * (x - x.mean(1, keepdim=True)).abs()

    turn = SO3().sample(1, torch.Generator().manual_seed(0), torch.float64)
    near = torch.cat([turn, torch.tensor([[1.0, 0.0, 0.0, 0.0]], dtype=torch.float64)], -1)
    far = torch.cat([turn, torch.tensor([[1.0, 500.0, -300.0, 0.0]], dtype=torch.float64)], -1)
    for form in ("relative", "symmetric", "absolute"):
        errors = [
            equivariance_error(model, points(), E3(), g, form=form, output="points").error_mean.item()
            for g in (near, far)
        ]
        assert errors[0] == pytest.approx(errors[1], rel=1e-6)


def test_features_of_points_ride_along() -> None:
    def charged(x: Tensor) -> Tensor:
        between = gaps(x[..., :3])
        charge = x[..., 3]
        weight = charge.unsqueeze(1) * charge.unsqueeze(2) * torch.exp(-between.square().sum(-1))
        return (weight.unsqueeze(-1) * between).sum(2)

    ds = equivariance_error(charged, points(features=1), O3(), output="vectors", n_elements=9)
    assert float(ds.error.max()) <= TIGHT


INFERRED = [
    (energy, E3(), "invariant"), (forces, E3(), "vectors"), (step, E3(), "points"), (density, E3(), "set"),
    (lambda x: forces(x).sum(1) + x.mean(1) * 0 + x[:, 0] - x[:, 1], E3(), "vectors"),
    (lambda x: x.mean(1), E3(), "points"), (lambda x: x.std(1) * 0 + energy(x), O3(), "invariant"),
    (forces, Symmetric(6), "set"), (energy, Symmetric(6), "invariant"),
    (lambda x: step(x).norm(dim=-1), Symmetric(6), "set"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "group", "kind"), INFERRED)
def test_behaviour_of_point_models_is_inferred(model, group, kind: str) -> None:
    found = infer_behaviour(model, points(), group)
    assert (found.kind, found.confidence > 0.9) == (kind, True)
    assert float(equivariance_error(model, points(), group, n_elements=5).error.max()) <= TIGHT


def test_scalings_of_space_move_points() -> None:
    ds = equivariance_error(lambda x: x.mean(1, keepdim=True), points(), Scale(3), output="points", n_elements=5)
    assert float(ds.error.max()) <= TIGHT
    assert ds.scale.values.tolist() == pytest.approx([0.5, 2**-0.5, 1, 2**0.5, 2], rel=AGAIN)
    assert float(equivariance_error(energy, points(), Scale(3), n_elements=5).error.max()) > 0.1


# ---- e3nn


class Harmonics(nn.Module):
    """Sum over points of spherical harmonics times a function of the radius: what e3nn's networks are made of."""

    irreps = "2x0e+1x1o+1x2e"

    def forward(self, x: Tensor) -> Tensor:
        from e3nn import o3

        centred = x - x.mean(1, keepdim=True)
        radius = torch.linalg.vector_norm(centred, dim=-1, keepdim=True)
        parts = [torch.exp(-radius), radius]
        parts += [o3.spherical_harmonics(k, centred, normalize=True) * torch.exp(-radius) for k in (1, 2)]
        return torch.cat(parts, -1).sum(1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("group", [SO3(), O3(), E3()], ids=str)
def test_spherical_harmonics_move_by_e3nns_matrices(group) -> None:
    ds = equivariance_error(Harmonics(), points(), group, output=f"irreps {Harmonics.irreps}", n_elements=9)
    assert float(ds.error.max()) <= TIGHT
    assert ds.attrs["output"] == f"irreps {Harmonics.irreps}"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("order", [[1, 2, 0], [2, 0, 1], [0, 2, 1]])
def test_another_order_of_the_three_components_is_caught(order: list[int]) -> None:
    class Twin(Harmonics):
        def forward(self, x: Tensor) -> Tensor:
            y = super().forward(x)
            return torch.cat([y[:, :2], y[:, 2:5][:, order], y[:, 5:]], -1)

    ds = equivariance_error(Twin(), points(), SO3(), output=f"irreps {Harmonics.irreps}", n_elements=9)
    assert float(ds.error.max()) > 0.01


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("parity", ["2x0e+1x1e+1x2e", "2x0o+1x1o+1x2e"])
def test_a_wrong_parity_is_caught(parity: str) -> None:
    ds = equivariance_error(Harmonics(), points(), O3(), output=f"irreps {parity}", n_elements=9)
    assert float(ds.error.where(ds.mirror < 0).max()) > 0.05


@pytest.mark.filterwarnings("ignore")
def test_an_e3nn_network_is_audited_layer_by_layer() -> None:
    from e3nn import o3

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.harmonics, self.mix = Harmonics(), o3.Linear(Harmonics.irreps, "3x0e+2x1o").double()

        def forward(self, x: Tensor) -> Tensor:
            return self.mix(self.harmonics(x))

    ds = equivariance_error(Net(), points(), O3(), output="irreps 3x0e+2x1o", layers=["mix"], n_elements=9)
    assert float(ds.error.sel(layer="output").max()) <= TIGHT
    assert float(ds.error.sel(layer="mix").max()) <= TIGHT  # the layer states its irreps
    shifts = Translation(3)  # which know no irreps
    ds = equivariance_error(Net(), points(), shifts, output="set", input="points", layers=["mix"], n_elements=5)
    assert np.allclose(ds.error.sel(layer="mix"), ds.error.sel(layer="output"), rtol=AGAIN, atol=AGAIN)


@pytest.mark.filterwarnings("ignore")
def test_a_layer_with_exchanged_axes_is_not_excused_by_what_it_states() -> None:
    class Exchanged(Harmonics):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.flip(-1))

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.harmonics = Exchanged()
            self.harmonics.irreps_out = Harmonics.irreps

        def forward(self, x: Tensor) -> Tensor:
            return self.harmonics(x).square().sum(-1, keepdim=True)

    ds = equivariance_error(Net(), points(), O3(), output="invariant", layers=["harmonics"], n_elements=9)
    assert float(ds.error.sel(layer="harmonics").max()) > 0.01


# ---- sets


class DeepSet(nn.Module):
    """Permutation equivariant: a function of each member and of the mean; with ``pool`` invariant."""

    def __init__(self, pool: bool) -> None:
        super().__init__()
        self.each, self.all, self.pool = nn.Linear(3, 5), nn.Linear(3, 5), pool

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.each(x) + self.all(x.mean(1, keepdim=True)))
        return y.sum(1) if self.pool else y


@pytest.mark.parametrize("pool", [True, False])
def test_deep_sets_are_symmetric_under_permutations_in_every_layer(pool: bool) -> None:
    model = DeepSet(pool).double()
    ds = equivariance_error(model, points(), Symmetric(6), layers=["each"])
    assert float(ds.error.max()) <= TIGHT
    assert ds.attrs["output"] == ("invariant" if pool else "set")
    assert ds.moved.values[0] == 0
    assert set(ds.moved.values.tolist()) == {0, 2, 6}


def test_what_depends_on_the_order_is_caught() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(18, 4)).double()
    assert float(equivariance_error(flat, points(), Symmetric(6)).error_mean.max()) > 0.05
    positions = torch.linspace(0, 1, 6, dtype=torch.float64).view(1, 6, 1)
    ds = equivariance_error(lambda x: DeepSet(False).double()(x + positions), points(), Symmetric(6), output="set")
    assert float(ds.error_mean.max()) > 0.01


def test_the_inverse_permutation_is_caught() -> None:
    # the place of each member in the order of size moves with the members; the member at each place does not
    def rank(x: Tensor) -> Tensor:
        return x[..., 0].argsort(1).argsort(1).double()

    def wrong(x: Tensor) -> Tensor:
        return x[..., 0].argsort(1).double()

    assert float(equivariance_error(rank, points(), Symmetric(6), output="set").error.max()) == 0
    ds = equivariance_error(wrong, points(), Symmetric(6), output="set")
    assert float(ds.error_mean.max()) > 0.1


def test_sets_of_whole_numbers_are_permuted_too() -> None:
    tokens = torch.randint(0, 9, (4, 6), generator=torch.Generator().manual_seed(0))
    ds = equivariance_error(lambda t: nn.functional.one_hot(t, 9).double().sum(1), tokens, Symmetric(6))
    assert float(ds.error.max()) == 0


def test_layers_of_a_point_network_are_watched() -> None:
    ds = equivariance_error(DeepSet(True).double(), points(), SO3(), layers="all", n_elements=5)
    assert ds.layer.values.tolist() == ["each", "all", "output"]
    assert float(ds.error.sel(layer="each").max()) > 0.05


BAD = [
    ({"images": points()[0]}, r"expected \(B, N, 3\)"),
    ({"images": points()[..., :2]}, r"expected \(B, N, 3\)"),
    ({"images": points().long()}, "points.float"),
    ({"images": points() / 0}, "NaN"),
    ({"elements": torch.zeros(2, 3)}, r"expected \(E, 4\)"),
    ({"group": "SO2", "input": "image"}, "unsqueeze"),
    ({"group": "Symmetric(5)"}, "Symmetric"),
    ({"group": "Symmetric(6)", "elements": torch.zeros(1, 6)}, "no permutations"),
    ({"output": "irreps 1x1q"}, "'8x0e"),
    ({"output": "irreps 7x1o", "model": energy}, "dimension of these irreps"),
    ({"output": "irreps 99999x1o"}, "1 to 4096"),
    ({"output": "vectors", "model": lambda x: x[..., :2]}, "3 k"),
    ({"input": "molecule"}, "'points'"),
    ({"group": "Scale(1)", "input": "points", "output": "irreps 1x1o"}, "SO3, O3 or E3"),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("given", "sentence"), BAD, ids=[s for _, s in BAD])
def test_bad_point_sets_get_a_sentence(given: dict, sentence: str) -> None:
    arguments = {"model": forces, "images": points(), "group": "SO3", "n_elements": 3} | given
    with pytest.raises(ValueError, match=sentence):
        equivariance_error(**arguments)


def test_an_image_group_refuses_points_of_space() -> None:
    with pytest.raises(ValueError, match="moves points of 3 coordinates"):
        equivariance_error(nn.Identity(), torch.rand(1, 1, 4, 4), "SO3", input="image", n_elements=2)


def test_coordinates_name_the_motion() -> None:
    ds = equivariance_error(forces, points(), E3(), n_elements=4)
    assert {"shift_x", "shift_y", "shift_z", "mirror", "angle_deg"} <= set(ds.coords)
    assert ds.shift_x.attrs["units"] == "units of the points"
    assert float(ds.angle_deg[0]) == 0
    turn = SO3().exp(torch.tensor([[0.0, math.radians(40), 0.0]], dtype=torch.float64))
    assert np.allclose(equivariance_error(forces, points(), SO3(), turn).angle_deg, 40, rtol=AGAIN, atol=AGAIN)


@pytest.mark.parametrize("group", [E3(), Symmetric(6)], ids=str)
def test_the_public_checker_takes_point_sets(group) -> None:
    output = "vectors" if group.dim == 3 else "set"
    check_equivariance(forces, points(), group, tolerance=1e-9, output=output)
    with pytest.raises(AssertionError, match="rotation by|permutation that moves"):
        check_equivariance(lambda x: forces(x) + x[:, :1].abs() * torch.arange(6).view(1, 6, 1), points(), group,
                           tolerance=1e-9, output=output)  # fmt: skip


@pytest.mark.filterwarnings("ignore")
def test_layers_move_alike_in_every_piece_of_a_stream(tmp_path, monkeypatch) -> None:
    from e3nn import o3

    from workbench.measure import equivariance_error_streamed, sweep

    tried = []
    given = sweep.layer_laws
    monkeypatch.setattr(sweep, "layer_laws", lambda *asked: tried.append(1) or given(*asked))
    net = nn.Sequential(Harmonics(), o3.Linear(Harmonics.irreps, "3x0e+2x1o").double())
    options = {"output": "irreps 3x0e+2x1o", "layers": ["1"], "n_elements": 9, "batch_size": 2, "chunk": 4}
    streamed = equivariance_error_streamed(net, points().repeat(4, 1, 1), O3(), folder=tmp_path / "parts", **options)
    assert len(tried) == 1
    assert float(streamed.error.sel(layer="1").max()) <= TIGHT

"""The convolution against a slow sum over Clebsch-Gordan coefficients, its symmetries, and twins with one mistake."""

import math

import pytest
import torch
from e3nn import o3
from e3nn.util.test import assert_equivariant, assert_normalized
from torch import Tensor, nn

from tests.tolerances import BROKEN, SPACE, STD_RATIO
from workbench.e3.convolution import HarmonicConvolution, depthwise_product, gate
from workbench.e3.graphs import Edges, neighbours
from workbench.e3.harmonics import spherical_harmonics
from workbench.e3.irreps import default_dtype, harmonic_irreps, ir_mul_to_mul_ir, parse_irreps
from workbench.e3.product import EdgeProduct
from workbench.e3.radial import RadialBasis

FEATURES, OUT = "4x0e+2x1o+3x2e+2x0o+1x1e", "3x0e+2x1o+2x2e+1x3o+2x1e+2x0o"
COUNT, CUTOFF = 6, 3.0


class Layer(nn.Module):
    """A convolution together with everything that it is given: features and positions to features."""

    def __init__(self, given: str = FEATURES, out: str = OUT, lmax: int = 2) -> None:
        super().__init__()
        self.lmax, self.irreps_in, self.irreps_out = lmax, parse_irreps(given), parse_irreps(out)
        self.convolution = HarmonicConvolution(given, out, lmax, COUNT, average_neighbours=4.0)
        self.radial = RadialBasis(CUTOFF, COUNT)

    def edges(self, positions: Tensor) -> Edges:
        return neighbours(positions, CUTOFF)

    def harmonics(self, vector: Tensor) -> Tensor:
        return spherical_harmonics(self.lmax, vector)

    def forward(self, features: Tensor, positions: Tensor) -> Tensor:
        edges = self.edges(positions)
        return self.convolution(features, edges, self.harmonics(edges.vector), self.radial(edges.vector.norm(dim=-1)))


class HalfFlipped(Layer):
    """The sign of r_ij depends on the place of the edge in the list: right under motions, wrong in another order."""

    def harmonics(self, vector: Tensor) -> Tensor:
        return super().harmonics(torch.where(torch.arange(len(vector)).unsqueeze(-1) % 2 > 0, vector, -vector))


class PolarAxis(Layer):
    """Harmonics in the order of textbooks, z as the polar axis."""

    def harmonics(self, vector: Tensor) -> Tensor:
        return super().harmonics(vector[:, [1, 2, 0]])


class OtherLayout(Layer):
    """Features read as ir_mul."""

    def forward(self, features: Tensor, positions: Tensor) -> Tensor:
        return super().forward(ir_mul_to_mul_ir(features, self.irreps_in), positions)


class NoParity(Layer):
    """Harmonics of the absolute value of one component: right under no reflection."""

    def harmonics(self, vector: Tensor) -> Tensor:
        even = super().harmonics(vector)
        return torch.cat([even[:, :1], even[:, 1:4].abs(), even[:, 4:]], -1)


class WrongParity(Layer):
    """Vectors of the edges added to the pseudovectors of the result: right under rotations, wrong under inversion."""

    def forward(self, features: Tensor, positions: Tensor) -> Tensor:
        y = super().forward(features, positions)
        edges = self.edges(positions)
        pull = torch.zeros_like(positions).index_add(0, edges.receiver, edges.vector)
        start = self.irreps_out[:4].dim
        return torch.cat([y[:, :start], y[:, start : start + 3] + pull, y[:, start + 3 :]], -1)


def inputs(dtype: torch.dtype = torch.float64, count: int = 7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(count, parse_irreps(FEATURES).dim, generator=generator, dtype=torch.float64)
    positions = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    return features.to(dtype), positions.to(dtype)


def made(kind: type[Layer] = Layer, dtype: torch.dtype = torch.float64, **options) -> Layer:
    torch.manual_seed(0)
    with default_dtype(dtype):
        return kind(**options)


def error(layer: Layer, turn: Tensor, dtype: torch.dtype = torch.float64, transposed: bool = False) -> float:
    """Relative error under one element of O(3) and a shift."""
    with default_dtype(torch.float64):
        before, after = layer.irreps_in.D_from_matrix(turn), layer.irreps_out.D_from_matrix(turn)
    after = after.T if transposed else after
    features, positions = inputs()
    still = layer(features.to(dtype), positions.to(dtype)).double() @ after.T
    moved = layer((features @ before.T).to(dtype), (positions @ turn.T + 2).to(dtype)).double()
    return float(((moved - still).norm() / still.norm()).detach())


def turns() -> list[Tensor]:
    torch.manual_seed(1)
    with default_dtype(torch.float64):
        turn = o3.rand_matrix()
    return [turn, -turn, -torch.eye(3, dtype=torch.float64)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_layer_is_equivariant_under_motions_and_reflections(dtype: torch.dtype) -> None:
    layer = made(dtype=dtype)
    assert max(error(layer, turn, dtype) for turn in turns()) <= SPACE[dtype]


@pytest.mark.parametrize(("twin", "which"), [(PolarAxis, 0), (OtherLayout, 0), (NoParity, 0), (WrongParity, 2)])
def test_twins_with_one_mistake_are_caught(twin: type[Layer], which: int) -> None:
    assert error(made(twin), turns()[which]) > BROKEN


def test_a_transposed_wigner_matrix_is_caught() -> None:
    assert error(made(), turns()[0], transposed=True) > BROKEN


def test_wrong_parity_is_seen_by_no_rotation() -> None:
    assert error(made(WrongParity), turns()[0]) <= SPACE[torch.float64]


def test_e3nns_own_checker_agrees() -> None:
    """It tells errors in the features' own units, not as a share of them."""

    def checked(layer: Layer) -> None:
        irreps = {"irreps_in": [layer.irreps_in, "cartesian_points"], "irreps_out": layer.irreps_out}
        assert_equivariant(layer, args_in=[*inputs()], tolerance=SPACE[torch.float64], **irreps)

    with default_dtype(torch.float64):
        checked(made())
        with pytest.raises(AssertionError, match="too large"):
            checked(made(PolarAxis))


def slow(layer: Layer, features: Tensor, positions: Tensor) -> Tensor:
    """The same sum, coefficient by coefficient, edge by edge; the products of all paths in e3nn's order."""
    convolution, product = layer.convolution, layer.convolution.product
    sent = convolution.mix_in(features)
    summed = torch.zeros(len(features), product.irreps_out.dim, dtype=features.dtype)
    starts = [part.start for part in product.irreps_in1.slices()]
    places = [part.start for part in product.irreps_out.slices()]
    for i in range(len(positions)):
        for j in range(len(positions)):
            r = positions[j] - positions[i]
            if i == j or r.norm() >= CUTOFF:
                continue
            weights = iter(convolution.weights(layer.radial(r.norm()).unsqueeze(0))[0])
            for path in product.instructions:
                mul, one = product.irreps_in1[path.i_in1]
                other, out = product.irreps_in2[path.i_in2].ir, product.irreps_out[path.i_out].ir
                y = o3.spherical_harmonics(other.l, r, normalize=True, normalization="component")
                c = o3.wigner_3j(one.l, other.l, out.l, dtype=features.dtype) * math.sqrt(out.dim)
                for u in range(mul):
                    x = sent[j, starts[path.i_in1] + u * one.dim :][: one.dim]
                    place = places[path.i_out] + u * out.dim
                    summed[i, place : place + out.dim] += next(weights) * torch.einsum("abc,a,b->c", c, x, y)
    return convolution.mix_out(summed / 2)


def test_it_is_the_slow_sum_over_coefficients() -> None:
    layer = made()
    features, positions = inputs(count=4)
    with torch.no_grad():
        expected = slow(layer, features, positions)
        given = layer(features, positions)
        assert (given - expected).abs().max() <= SPACE[torch.float64] * expected.abs().max()
        flipped = slow(layer, features, -positions)
        assert (given - flipped).abs().max() > BROKEN * expected.abs().max()


def of_order(layer: Layer) -> float:
    """How much the answer changes, relatively, when the atoms come in another order."""
    features, positions = inputs()
    order = torch.randperm(7, generator=torch.Generator().manual_seed(0))
    still = layer(features, positions).detach()
    return float((layer(features[order], positions[order]).detach() - still[order]).norm() / still.norm())


def test_the_order_of_the_atoms_changes_nothing() -> None:
    assert of_order(made()) <= SPACE[torch.float64]
    assert of_order(made(HalfFlipped)) > BROKEN


def test_an_atom_far_away_changes_nothing() -> None:
    layer = made()
    features, positions = inputs()
    still = layer(features, positions)
    with_far = layer(torch.cat([features, features[:1]]), torch.cat([positions, 100 + positions[:1]]))
    assert torch.allclose(with_far[:7], still, rtol=0, atol=SPACE[torch.float64])
    assert float(with_far[7].detach().abs().max()) == 0


def test_parity_of_the_harmonics_forbids_what_a_pseudoscalar_would_need() -> None:
    with pytest.raises(ValueError, match="leads to 0o"):
        depthwise_product(harmonic_irreps(2, 4), harmonic_irreps(0), parse_irreps("0e+0o"))
    layer = made(given="2x0e+2x0o", out="2x1o", lmax=2)
    features, positions = inputs()
    features = features[:, :4].clone().requires_grad_()
    layer(features, positions).square().sum().backward()
    assert float(features.grad[:, 2:].abs().max()) == 0
    assert float(features.grad[:, :2].abs().min()) > 0


def test_results_start_with_a_variance_of_the_order_of_one() -> None:
    torch.manual_seed(0)
    many = torch.randn(300, 3) * 2
    edges = neighbours(many, CUTOFF)
    degree = len(edges.sender) / 300
    basis = RadialBasis(CUTOFF, COUNT)(edges.vector.norm(dim=-1))
    ratios = []
    for _ in range(5):
        layer = HarmonicConvolution("16x0e+16x1o", "16x0e+16x1o", 1, COUNT, average_neighbours=degree)
        ratios.append(layer(torch.randn(300, 64), edges, spherical_harmonics(1, edges.vector), basis).std().detach())
    # the envelope takes a part of every neighbour away
    assert 0.5 * STD_RATIO[0] < float(torch.stack(ratios).mean()) < STD_RATIO[1]


@pytest.mark.parametrize("irreps", ["4x0e", "2x0e+3x0o+2x1o+1x2e", "2x1o"])
def test_the_gate_gives_out_what_it_was_asked_for(irreps: str) -> None:
    step = gate(irreps)
    assert step.irreps_out.simplify() == parse_irreps(irreps).simplify()
    assert_equivariant(step, tolerance=SPACE[torch.float32])
    x = torch.zeros(1, step.irreps_in.dim, requires_grad=True)
    step(x).sum().backward()
    assert torch.isfinite(x.grad).all()


BAD = [
    ({"engine": "cuda"}, "expected one of"), ({"average_neighbours": 0}, "positive"), ({"lmax": 13}, "0 to 12"),
    ({"irreps_in": "3x1q"}, "e for even"), ({"irreps_out": "1x5o"}, "leads to 5o"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "sentence"), BAD, ids=[sentence for _, sentence in BAD])
def test_what_cannot_be_gets_a_sentence(given: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        HarmonicConvolution(**{"irreps_in": "2x0e", "irreps_out": "2x0e", "lmax": 1, "count": 4} | given)


def test_e3nns_own_checker_finds_features_of_unit_size_at_the_start() -> None:
    """On edges of random directions; every weight of each drawing is normal. The twin: weights twice as large."""

    class OnEdges(nn.Module):
        def __init__(self, scale: float) -> None:
            super().__init__()
            self.product, self.scale = EdgeProduct("8x0e+8x1o+8x2e", 2, "8x0e+8x1o+8x2e", "e3nn"), scale

        def forward(self, features: Tensor, vectors: Tensor) -> Tensor:
            return self.scale * self.product(features, vectors)

    def checked(scale: float) -> None:
        torch.manual_seed(0)
        layer = OnEdges(scale)
        irreps = {"irreps_in": [layer.product.irreps_in, "cartesian_points"], "irreps_out": layer.product.irreps_out}
        assert_normalized(layer, n_input=200, n_weight=50, atol=0.3, **irreps)

    checked(1.0)
    with pytest.raises(AssertionError, match="Max componentwise error"):
        checked(2.0)

"""The edge product with weights of each edge: both engines, e3nn itself, symmetry, and what would break it."""

import json
from pathlib import Path
from unittest import mock

import pytest
import torch
from e3nn import nn as e3nn_nn
from e3nn import o3

from tests.tolerances import BROKEN, EXACT, SPACE
from workbench.actions.irreps import irreps_matrices
from workbench.e3 import mixing
from workbench.e3.irreps import default_dtype, harmonic_irreps
from workbench.e3.product import REDUCED_FROM_EDGE, EdgeProduct
from workbench.e3.radial import RadialBasis
from workbench.e3.so2 import path_matrix
from workbench.groups import O3

NATURAL = [
    ("4x0e+4x1o+4x2e", None, "4x0e+4x1o+4x2e"),
    ("2x0e+2x1o+2x1e+2x2e", 2, "2x1o+2x2e+2x1e"),
    ("3x1o", 3, "3x2e+3x0e"),
]
EVEN = [("3x0e+3x1e+3x2e", None, "3x2e+3x1e"), ("2x1e+2x3e", 3, "2x2e+2x0e+2x2e")]
CASES = [(*case, True) for case in NATURAL] + [(*case, False) for case in EVEN]


def layer(irreps_in, lmax_edge, irreps_out, reflections=True, engine="so2", dtype=torch.float64, **more):
    with default_dtype(dtype):
        return EdgeProduct(irreps_in, lmax_edge, irreps_out, engine, reflections=reflections, weights="edge", **more)


def inputs(product, count=9, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    sizes = product.irreps_in.dim, 3, product.weight_numel
    f, v, w = (torch.randn(count, size, generator=generator, dtype=torch.float64) for size in sizes)
    v[:3] = torch.tensor([[0.0, 1, 0], [0, -1, 0], [2, 0, 0]])
    return tuple(x.to(dtype).requires_grad_() for x in (f, v, w))


def apart(a, b):
    return float((a - b).detach().abs().max() / b.detach().abs().max().clamp(min=1e-30))


def answers(product, dtype=torch.float64):
    """The output, its gradients of features, vectors and weights, and these once more."""
    to = inputs(product, dtype=dtype)
    out = product(*to)
    ramp = torch.linspace(-1, 1, out.numel(), dtype=dtype)
    plain = torch.autograd.grad((out.sin().flatten() * ramp).sum(), to)
    first = torch.autograd.grad((product(*to).sin().flatten() * ramp).sum(), to, create_graph=True)
    second = torch.autograd.grad(sum(each.cos().sum() for each in first), to)
    return [out, *plain, *first], second


@pytest.mark.parametrize("case", CASES, ids=str)
def test_both_engines_are_one_function_with_gradients_of_two_orders(case):
    (once, twice), (right, right_twice) = answers(layer(*case)), answers(layer(*case, engine="e3nn"))
    assert all(apart(a, b) < EXACT[torch.float64] for a, b in zip(once, right, strict=True))
    assert all(apart(a, b) < SPACE[torch.float64] for a, b in zip(twice, right_twice, strict=True))


@pytest.mark.parametrize("case", CASES[1:2] + CASES[-1:], ids=str)
def test_single_precision_rounds_as_it_should(case):
    (once, _), (right, _) = answers(layer(*case, dtype=torch.float32), torch.float32), answers(layer(*case))
    assert all(apart(a.double(), b) < SPACE[torch.float32] for a, b in zip(once, right, strict=True))


@pytest.mark.parametrize("engine", ["e3nn", "so2"])
def test_weights_are_those_of_e3nns_uvu_with_paths_summed(engine):
    product = layer("2x0e+2x1o", 1, "2x0e+2x1o", engine=engine)
    paths = [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)]
    with default_dtype(torch.float64):
        theirs = o3.TensorProduct(
            "2x0e+2x1o", "0e+1o", "2x0e+2x1o", [(*path, "uvu", True) for path in paths], shared_weights=False
        )
    f, v, w = inputs(product)
    assert theirs.weight_numel == product.weight_numel
    right = theirs(f, o3.spherical_harmonics([0, 1], v, True, normalization="component"), w)
    assert apart(product(f, v, w), right) < EXACT[torch.float64]


def by_hand(product, f, v, w):
    """Clebsch-Gordan sums of each path, one channel after another."""
    out, channels = torch.zeros(len(f), product.irreps_out.dim, dtype=f.dtype), product.irreps_in[0].mul
    for path in product.paths:
        left, right = product.irreps_in[path.source], product.irreps_out[path.target]
        symbols = o3.wigner_3j(left.ir.l, path.degree, right.ir.l, dtype=f.dtype)
        harmonic = o3.spherical_harmonics(path.degree, v, True, normalization="component")
        x = f[:, product.irreps_in.slices()[path.source]].unflatten(1, (channels, -1))
        there = product.irreps_out.slices()[path.target]
        for c in range(channels):
            part = path.factor * w[:, path.start + c, None] * torch.einsum("ijk,ei,ej->ek", symbols, x[:, c], harmonic)
            out[:, there.start + c * right.ir.dim : there.start + (c + 1) * right.ir.dim] += part
    return out


@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_channel_meets_its_own_weights_alone(case):
    product = layer(*case)
    f, v, w = inputs(product)
    assert apart(product(f, v, w), by_hand(product, f, v, w)) < EXACT[torch.float64]
    if len(product.paths) > 1:
        assert apart(product(f, v, w.flip(1)), by_hand(product, f, v, w)) > BROKEN


def test_numbers_of_one_path_in_the_place_of_another_are_caught():
    case = ("2x0e+2x1e+2x2e", None, "2x0e+2x1e+2x2e", False)
    right = layer(*case, engine="e3nn")
    given = inputs(right)
    kept = path_matrix

    def other_sign(l_in, l_out):
        matrix = kept(l_in, l_out).clone()
        matrix[min(l_in, l_out) + 1 :] *= -1
        return matrix

    with mock.patch("workbench.e3.product.path_matrix", other_sign):
        assert apart(layer(*case)(*given), right(*given)) > BROKEN
    with mock.patch.object(mixing.EdgeMixer, "__call__", _exchanged):
        assert apart(layer(*case)(*given), right(*given)) > BROKEN
    assert apart(layer(*case)(*given), right(*given)) < EXACT[torch.float64]


def _exchanged(self, weight):
    """Blocks in and out exchanged."""
    pieces = (self.table @ weight.unflatten(1, (-1, self.channels))).split(self.sizes, 1)
    return [piece.unflatten(1, shape).transpose(1, 2) for piece, shape in zip(pieces, self.shapes, strict=True)]


@pytest.mark.parametrize("dtype", list(SPACE), ids=str)
@pytest.mark.parametrize("parity", [1.0, -1.0])
@pytest.mark.parametrize("case", CASES[:2] + CASES[-2:], ids=str)
def test_it_commutes_with_rotations_and_as_declared_with_inversion(case, parity, dtype):
    product = layer(*case, dtype=dtype)
    f, v, w = (x.detach() for x in inputs(product, dtype=dtype))
    element = O3().sample(1, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    element[:, 4] = parity
    there, back = (irreps_matrices(str(i), element, O3())[0] for i in (product.irreps_in, product.irreps_out))
    moved = (f.double() @ there.mT).to(dtype), (v.double() @ O3().matrix(element)[0].mT).to(dtype)
    error = apart(product(*moved, w).double(), product(f, v, w).double() @ back.mT)
    if case[3] or parity > 0:
        assert error < SPACE[dtype]
    else:
        assert error > BROKEN, "odd paths do not follow inversion"


@pytest.mark.parametrize("mmax", [0, 1])
def test_rows_of_larger_m_can_be_left_out(mmax):
    case = ("2x0e+2x1e+2x2e", None, "2x0e+2x1e+2x2e", False)
    product = layer(*case, mmax=mmax)
    f, v, w = inputs(product)
    assert torch.autograd.gradcheck(lambda *to: product(*to), (f[3:5], v[3:5], w[3:5]))
    assert apart(product(f, v, w), layer(*case)(f, v, w)) > BROKEN


def test_the_numbers_of_the_frame_are_those_of_each_edges_own_weights():
    product = layer("2x0e+2x1o", 2, "2x0e+2x1o")
    _, _, w = inputs(product)
    whole, first = product.to_reduced(w), product.to_reduced(w[0])
    assert {pair: tuple(each.shape[1:]) for pair, each in whole.items()}[1, 1] == (3, 2, 1)
    assert all(torch.equal(whole[pair][0], first[pair]) for pair in whole)


def test_a_radial_network_makes_the_weights_and_learns_through_both_engines():
    irreps = harmonic_irreps(2, 4)
    products = [layer(irreps, 2, irreps, engine=engine) for engine in ("e3nn", "so2")]
    f, v, _ = inputs(products[0])
    with default_dtype(torch.float64):
        basis = RadialBasis(3.0, 8)
        network = e3nn_nn.FullyConnectedNet([8, 16, products[0].weight_numel], torch.nn.functional.silu)
    found = []
    for product in products:
        energy = product(f, v, network(basis(v.norm(dim=1)))).square().sum()
        found.append(torch.autograd.grad(energy, (v, *network.parameters())))
    assert all(apart(a, b) < SPACE[torch.float64] for a, b in zip(*found, strict=True))


def test_output_has_unit_variance_at_the_start_and_no_edges_are_none():
    irreps = harmonic_irreps(2, 8)
    product = layer(irreps, 2, irreps, dtype=torch.float32)
    generator = torch.Generator().manual_seed(0)
    f, v, w = (torch.randn(3000, n, generator=generator) for n in (irreps.dim, 3, product.weight_numel))
    assert all(0.5 < float(product(f, v, w)[:, s].var()) < 2 for s in irreps.slices())
    assert product(f[:0], v[:0], w[:0]).shape == (0, irreps.dim)
    assert list(product.parameters()) == []


def test_what_does_not_fit_is_refused_in_a_sentence():
    product = layer("2x0e+2x1o", 1, "2x0e+2x1o", dtype=torch.float32)
    f, v, w = torch.zeros(2, 8), torch.ones(2, 3), torch.zeros(2, product.weight_numel)
    with pytest.raises(ValueError, match="no weights were given"):
        product(f, v)
    for wrong in (w[:1], w[:, 1:], w[0], w.double()):
        with pytest.raises(ValueError, match="weights of .*given.*expected"):
            product(f, v, wrong)
    with pytest.raises(ValueError, match="no weights were given"):
        product.from_reduced({})
    with pytest.raises(ValueError, match="weights of .*given.*expected"):
        EdgeProduct("2x0e+2x1o", 1, "2x0e+2x1o")(f, v, w)
    with pytest.raises(ValueError, match="one multiplicity"):
        layer("2x0e+3x1o", 1, "2x0e")
    with pytest.raises(ValueError, match="expected one of shared, edge"):
        EdgeProduct("1x0e", 1, "1x0e", weights="mine")


def test_the_engine_is_picked_by_the_stored_times():
    file = Path(__file__).parents[1] / "benchmarks" / "results" / "edge_product_1.json"
    rows = json.loads(file.read_text("utf-8"))["edge_rows"]
    assert {(row["lmax"], row["channels"]) for row in rows} == {(d, c) for d in range(1, 7) for c in (16, 32, 64)}
    for row in rows:
        both = row["edge"]["ratio"] * row.get("edge_forces", row["edge"])["ratio"]
        assert both > 1 or row["lmax"] < REDUCED_FROM_EDGE
    irreps = harmonic_irreps(4, 32)
    assert EdgeProduct(irreps, 4, irreps, weights="edge").engine == "so2"
    assert EdgeProduct("32x0e", 0, "32x0e", weights="edge").engine == "e3nn"

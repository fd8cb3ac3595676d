"""Every basis in the package: derivatives, refinement, other ranges, networks with it, and back from disk.

A new file in kanpde/bases inherits the tests with the argument ``name``.
"""

from math import inf, pi

import numpy as np
import pytest
import torch
from conftest import BASES, load_problem

import kanpde.bases
from kanpde import KAN, InputError, Output, Phase, Sampling, load, save, solve
from kanpde.bases.bspline import uniform_knots
from kanpde.calculus.jet import LAPLACIAN, JetSpace
from kanpde.plots.network import network_figure
from kanpde.residuals.engines import autograd, jets

LOWER, UPPER = torch.tensor([-1.0, -0.5], dtype=torch.float64), torch.tensor([1.0, 2.0], dtype=torch.float64)
SQUARE = [(-1.0, 1.0), (0.0, 2.0)]
SPACE = JetSpace.spanned([(0, 0, 1), (0, 0, 1, 1), LAPLACIAN], (0, 1))


@pytest.fixture(params=sorted(BASES))
def name(request):
    return request.param


def make(name, grid=4, degree=5):
    return BASES[name].over(LOWER, UPPER, grid, degree)


def across(n, beyond=0.0):
    """Points over the ranges, and ``beyond`` them by so much of their widths on each side."""
    share = torch.linspace(-beyond, 1 + beyond, n, dtype=torch.float64)[:, None]
    return LOWER + share * (UPPER - LOWER)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def derivatives(basis, x, order):
    """All functions with their derivatives, each (points, d_in, size), from the table."""
    table, first = basis.table(x, order)
    index = first[..., None] + torch.arange(basis.local)
    return [torch.zeros(*x.shape, basis.size, dtype=x.dtype).scatter(2, index, t) for t in table]


def relative(got, wanted):
    return float((got - wanted).detach().abs().max() / wanted.detach().abs().max())


def fitted(basis):
    """Coefficients (d_in, size) of a smooth function on the range."""
    x = across(300)
    pairs = zip(basis.dense(x).unbind(1), torch.sin(2 * x + 0.3).unbind(1), strict=True)
    return torch.stack([torch.linalg.lstsq(b, y[:, None], driver="gelsd").solution[:, 0] for b, y in pairs])


def carried(matrices, coefficients):
    return torch.einsum("ing,ig->in", torch.as_tensor(matrices), coefficients)


def values(basis, coefficients, x):
    return torch.einsum("pig,ig->pi", basis.dense(x), coefficients)


# functions -----------------------------------------------------------------------------------------------------------
def test_derivatives_equal_autograd(name):
    """Of the plain functions, to order 5, inside the range and outside."""
    basis = make(name)
    x = across(41, beyond=0.2).requires_grad_()
    coefficients = random(2, basis.size)
    tables = derivatives(basis, x.detach(), 5)
    assert torch.equal(tables[0], basis.dense(x))
    wanted = values(basis, coefficients, x)
    for order in range(1, 6):
        wanted = torch.autograd.grad(wanted.sum(), x, create_graph=True)[0]
        assert relative(torch.einsum("pig,ig->pi", tables[order], coefficients), wanted) < 1e-9, order


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_smoothness_is_what_is_said(name, degree):
    """Derivatives below it are continuous, the one that is it jumps where it is finite; all over and outside."""
    basis = make(name, degree=degree)
    order = 5 if basis.smoothness == inf else int(basis.smoothness)
    cells = torch.arange(-5, 10, dtype=torch.float64)[:, None] / basis.cells
    joints = LOWER + cells * (UPPER - LOWER)
    left, right = (derivatives(basis, joints + shift, order) for shift in (-1e-9, 1e-9))
    jumps = [relative(a, b) if bool(b.any()) else 0.0 for a, b in zip(left, right, strict=True)]
    assert max(jumps[:order]) < 1e-6
    assert jumps[order] < 1e-6 if basis.smoothness == inf else jumps[order] > 0.1


def test_sizes_follow_the_grid(name):
    for grid, degree in ((1, 1), (4, 5), (7, 2)):
        basis = make(name, grid, degree)
        assert basis.cells == grid and basis.size == grid + degree and basis.local <= basis.size
        assert basis.dense(across(9)).shape == (9, 2, basis.size)
        assert torch.allclose(basis.breakpoints[:, [0, -1]], torch.stack([LOWER, UPPER], 1), atol=1e-14)


def test_functions_are_independent(name):
    assert torch.linalg.matrix_rank(make(name).dense(across(200))[:, 1], rtol=1e-8) == 9


def test_not_a_number_stays_one(name):
    x = torch.tensor([[float("nan"), 0.0]], dtype=torch.float64)
    for order in make(name).table(x, 2)[0]:
        assert bool(order[0, 1].isfinite().all())
    assert bool(make(name).dense(x)[0, 0].isnan().any())


def test_single_precision_stays_single(name):
    basis = BASES[name].over(LOWER.float(), UPPER.float(), 4, 5)
    assert all(t.dtype == torch.float32 for t in basis.table(across(5).float(), 3)[0])
    assert relative(basis.dense(across(40).float()).double(), make(name).dense(across(40))) < 1e-5
    _, matrices = basis.refined(8)
    assert np.abs(matrices - make(name).refined(8)[1]).max() < 0.02


# the families against their definitions ------------------------------------------------------------------------------
@pytest.mark.parametrize(("name", "reference"), [("chebyshev", "Chebyshev"), ("legendre", "Legendre")])
def test_polynomials_equal_numpys(name, reference):
    basis, x = make(name, 8), across(57, beyond=0.1)
    tables = derivatives(basis, x, 5)
    for i in range(2):
        for n in range(basis.size):
            one = getattr(np.polynomial, reference).basis(n, domain=[float(LOWER[i]), float(UPPER[i])])
            for order in range(6):
                wanted = one.deriv(order)(x[:, i].numpy()) if order else one(x[:, i].numpy())
                got = tables[order][:, i, n].numpy()
                assert np.abs(got - wanted).max() <= 1e-11 * max(1.0, np.abs(wanted).max()), (n, order)


def test_waves_have_the_longer_period():
    basis, x = make("fourier", 6), across(30)
    values, later = basis.dense(x), basis.dense(x + 1.5 * (UPPER - LOWER))
    assert torch.allclose(values[:, :, [0, *range(2, 11)]], later[:, :, [0, *range(2, 11)]], atol=1e-12)
    assert torch.allclose(later[:, :, 1] - values[:, :, 1], torch.full((30, 2), 3.0, dtype=torch.float64))
    at = torch.tensor([[0.0, 0.75]], dtype=torch.float64)  # the middles of the ranges
    assert torch.allclose(basis.dense(at)[0, 0], torch.tensor([1.0, *[0, 0, 1, 0, 1, 0, 1, 0, 1, 0]]).double())


def test_bumps_at_degree_five_are_fastkans():
    """exp(-((x - c)/h)²), h the distance of the centres."""
    width, x = 0.5, across(30)[:, 0]
    centres = -1.0 + width * (torch.arange(9) - 2)
    wanted = torch.exp(-(((x[:, None] - centres) / width) ** 2))
    assert torch.allclose(make("gaussian").dense(across(30))[:, 0], wanted, atol=1e-14)


def test_hats_have_no_mean_and_are_normalised():
    x = torch.linspace(-40, 40, 20001, dtype=torch.float64)[:, None]
    basis = BASES["wavelet"].over(LOWER[:1], UPPER[:1], 8, 5)
    hats = basis.dense(x)[:, 0, 2:]
    spacing = 2 * 1.25 / torch.tensor([1, 2, 2, 4, 4, 4, 4, 8, 8, 8, 8])
    norms = hats.square().sum(0) * 80 / 20000 / (0.75 * spacing)
    assert torch.allclose(norms, torch.ones(11, dtype=torch.float64), atol=1e-6)
    assert float((hats.sum(0) * 80 / 20000).abs().max()) < 1e-6
    tops = x[hats.argmax(0), 0]
    assert torch.allclose(tops[3:7].sort().values, 1.25 * torch.tensor([-0.75, -0.25, 0.25, 0.75]).double(), atol=0.01)
    assert torch.allclose(tops[7:].sort().values.diff(), torch.full((3,), 0.625, dtype=torch.float64), atol=0.01), (
        "the half of a level is evenly spread"
    )


def test_degree_two_is_relu_kans():
    """(relu(e - x) relu(x - s))² 16 / (e - s)⁴ on the supports of B-splines."""
    basis, x = make("relupower", 6, 2), across(50, beyond=0.6)
    knots = uniform_knots(LOWER, UPPER, 6, 2)
    s, e = knots[:, :-3], knots[:, 3:]
    wanted = (torch.relu(e - x[..., None]) * torch.relu(x[..., None] - s)) ** 2 * 16 / (e - s) ** 4
    assert torch.allclose(basis.dense(x), wanted, atol=1e-14)


def test_a_bump_of_high_degree_is_nearly_a_spline():
    """Both have the same middle and variance, and the spline tends to the density of the normal distribution."""
    x = across(50)
    spline, bump = (make(name, 8, 11).dense(x)[:, 0] for name in ("bspline", "gaussian"))
    assert float((spline - bump / (pi * 2) ** 0.5).abs().max()) < 0.02 * float(spline.max())


# refinement and other ranges -----------------------------------------------------------------------------------------
def test_refinement_keeps_the_function(name):
    """Everywhere where the finer family contains the coarser one, else nearly, and for smooth functions, inside."""
    old = make(name)
    new, matrices = old.refined(8)
    assert type(new) is type(old) and new.cells == 8
    if old.embedding(new) is None:
        coefficients, x, bound = fitted(old), across(200), 2e-3
    else:
        coefficients, x, bound = random(2, old.size), across(200, beyond=0.3), 1e-12
    assert relative(values(new, carried(matrices, coefficients), x), values(old, coefficients, x)) <= bound


def test_other_ranges_keep_the_function_where_they_are(name):
    old = make(name)
    shrunk = torch.stack([LOWER + 0.2, UPPER - 0.3], dim=1)
    new = old.on(torch.stack([torch.linspace(*row, 9, dtype=torch.float64) for row in shrunk.tolist()]))
    assert torch.allclose(new.breakpoints[:, [0, -1]], shrunk) and new.cells == 8
    x = shrunk[:, 0] + torch.linspace(0, 1, 100, dtype=torch.float64)[:, None] * (shrunk[:, 1] - shrunk[:, 0])
    coefficients = fitted(old)
    exact = name in ("chebyshev", "legendre")  # a polynomial is one on every range
    after = values(new, carried(old.transfer(new), coefficients), x)
    assert relative(after, values(old, coefficients, x)) <= (1e-12 if exact else 2e-3)


def test_coarsening_is_refused(name):
    with pytest.raises(InputError, match="can only be refined"):
        make(name, 8).refined(4)


def test_the_knots_bring_the_grid(name):
    fine, coarse = make(name, 7), BASES[name].over(UPPER, UPPER + 1, 3, 5)
    coarse.load_state_dict(fine.state_dict())
    assert coarse.size == fine.size and torch.equal(coarse.dense(across(20)), fine.dense(across(20)))


# networks ------------------------------------------------------------------------------------------------------------
def test_networks_and_their_gradients_equal_autograd(name, generator):
    network = KAN([2], name, degree=6, grid=3)(SQUARE, 1, generator=generator)
    x = torch.rand(20, 2, generator=generator, dtype=torch.float64) * 2.4 - 0.7  # also outside the ranges
    mix = torch.randn(len(SPACE.keys), 20, generator=generator, dtype=torch.float64)
    results = []
    for engine in (jets, autograd):
        rows = [r[:, 0] for r in engine(network, x, SPACE)]
        loss = sum((m * r**2).sum() / float(r.detach().square().sum()) for m, r in zip(mix, rows, strict=True))
        results.append([*rows, *torch.autograd.grad(loss, [layer.weight for layer in network.layers])])
    for got, wanted in zip(*results, strict=True):
        assert relative(got, wanted) < 1e-9


def test_both_products_of_a_layer_are_the_same(name, generator):
    """Features times weight, and the rows that count."""
    layer = KAN([2], name, grid=12)(SQUARE, 1, generator=generator).layers[0]
    data = torch.randn(len(SPACE.keys), 15, 2, generator=generator, dtype=torch.float64)
    assert relative(layer.jet(data, SPACE), layer.features(data, SPACE) @ layer.weight) < 1e-12
    assert relative(layer.jet(data, SPACE)[0], layer(data[0])) < 1e-12


def test_a_layer_starts_with_the_spread_asked_for(name):
    """What values spread evenly over the range give: standard deviation ``gain`` over many outputs."""
    network = KAN([400], name, gain=0.7)(SQUARE, 1, generator=torch.Generator().manual_seed(0))
    x = torch.rand(300, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 2 + torch.tensor([-1, 0])
    assert float(network.layers[0](network.inputs(x)).detach().square().mean().sqrt()) == pytest.approx(0.7, rel=0.1)


def test_deep_networks_start_tame(name):
    x = 2 * torch.rand(300, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + torch.tensor([-1, 0])
    for seed in range(5):
        network = KAN([8, 8, 8], name)(SQUARE, 1, generator=torch.Generator().manual_seed(seed))
        assert 1e-4 < float(network(x).detach().abs().max()) < 3.0


def test_a_run_comes_back_from_disk_and_is_drawn(name, tmp_path):
    solution = solve(
        load_problem("poisson")(dim=1),
        KAN([2], name, degree=3, grid=2),
        device="cpu",
        phases=[Phase(steps=1, grid=3, move_knots=True)],
        sampling=Sampling("gauss", 30, 10),
    )
    save(solution, tmp_path, Output(cells=4))
    copy, at = load(tmp_path), np.linspace(-1.2, 1.2, 30)
    np.testing.assert_array_equal(copy(at), solution(at))
    np.testing.assert_array_equal(copy.diff("x", "x")(at), solution.diff("x", "x")(at))
    network_figure(solution).draw_without_rendering()


# choosing ------------------------------------------------------------------------------------------------------------
def test_unknown_bases_are_refused():
    with pytest.raises(InputError, match=r'Unknown basis "chebychev"\. Did you mean "chebyshev"'):
        KAN(basis="chebychev")


def test_only_functions_with_too_few_derivatives_are_refused(monkeypatch):
    problem, few = load_problem("poisson")(dim=1), Sampling("gauss", 30, 10)
    for name in ("bspline", "relupower"):
        with pytest.raises(InputError, match=r"order 2, but .* only up to order 1\. Write degree=4 in `model`"):
            solve(problem, KAN([], name, degree=1), device="cpu")
    solve(problem, KAN([], "chebyshev", degree=1), [Phase(steps=1)], device="cpu", sampling=few)
    monkeypatch.setattr(BASES["chebyshev"], "smoothness", 1)  # at every degree
    with pytest.raises(InputError, match=r"only up to order 1\.$"):
        solve(problem, KAN([], "chebyshev", degree=1), device="cpu")


def test_a_new_file_is_a_new_basis(tmp_path, monkeypatch):
    (tmp_path / "monomials.py").write_text(
        "from kanpde.bases import Basis\n"
        "from kanpde.bases.recurrence import orthogonal_polynomials, powers\n\n\n"
        "class Monomials(Basis):\n"
        "    nested = True\n\n"
        "    def table(self, x, order):\n"
        "        return self.global_table(x, order, lambda t, k: orthogonal_polynomials(t, k, self.size, powers))\n"
    )
    monkeypatch.setattr(kanpde.bases, "__path__", [*kanpde.bases.__path__, str(tmp_path)])
    basis = KAN([], "monomials", grid=1, degree=2)([(-1.0, 1.0)]).layers[0].basis
    x = torch.tensor([[0.5], [2.0]], dtype=torch.float64)
    assert basis.dense(x)[:, 0].tolist() == [[1.0, 0.5, 0.25], [1.0, 2.0, 4.0]]

"""The fits of the KAN paper: the table of formulas, the points of the fits, and the file of results."""

import sys

import numpy as np
import pytest
from conftest import ROOT

from kanpde import KAN, LM, Phase

pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.fixture
def bench(monkeypatch):
    """Imports a file of benchmarks/, whose files import each other as scripts do."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    imported = set(sys.modules)
    yield lambda name: __import__(name)
    for name in set(sys.modules) - imported:
        if name.startswith(("feynman", "paper", "kan_paper")):
            del sys.modules[name]


def test_the_formulas_are_finite_functions_of_their_variables(bench):
    table = bench("feynman_table")
    assert len(table.FEYNMAN) == 27
    for name, row in table.FEYNMAN.items():
        assert {symbol.name for symbol in row.target.free_symbols} == set(row.ranges), name
        lower, upper = np.array(list(row.ranges.values())).T
        x = lower + (upper - lower) * np.random.default_rng(0).uniform(size=(2000, len(lower)))
        y = table.numeric(row)(*x.T)
        assert np.isfinite(y).all() and y.std() > 0, name
        wanted = row.target.evalf(30, subs=dict(zip(sorted(row.target.free_symbols, key=by(row)), x[0], strict=True)))
        assert y[0] == pytest.approx(float(wanted), rel=1e-12), name


def by(row):
    return lambda symbol: list(row.ranges).index(symbol.name)


def test_the_figures_of_the_paper_have_its_geometric_means(bench):
    figures = np.array([row.paper for row in bench("feynman_table").FEYNMAN.values()])
    means = np.exp(np.log(figures).mean(axis=0))
    np.testing.assert_allclose(means, [1.46e-3, 4.93e-4, 7.65e-4, 5.78e-4], rtol=3e-3)
    _, pruned, unpruned, mlp = figures.T
    assert ((pruned < mlp).sum(), (unpruned < mlp).sum()) == (15, 13)


def test_a_fit_that_is_in_the_file_is_not_repeated(bench, tmp_path):
    results = bench("paper_fits").Results(tmp_path / "results.csv")
    calls = []

    def f(x):
        calls.append(len(x))
        return np.sin(x)

    options = {"model": KAN([], degree=3), "phases": [Phase(LM(), steps=6)]}
    assert results.fit("sine", "kan", 3, f, ((0.0, 1.0),), **options) is not None
    (row,) = results.rows("sine", "kan")
    assert row["seed"] == "3" and 0 < float(row["error"]) < 1e-3 and row["parameters"] == "8"
    first = len(calls)
    assert results.fit("sine", "kan", 3, f, ((0.0, 1.0),), **options) is None and len(calls) == first
    assert results.rows("sine", "mlp") == []
    assert first <= 12, "the function is evaluated once for each set of points"

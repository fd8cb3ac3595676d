"""Shared helpers; shapes in annotations are checked while the tests run."""

import gc
import importlib.util
import os
import pkgutil
from contextlib import contextmanager, nullcontext
from functools import cache
from itertools import product
from pathlib import Path

from jaxtyping import config, install_import_hook

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):  # read when numpy and torch are imported;
    os.environ.setdefault(name, "1")  # there is a process a core already

SHAPED = ["kanpde.bases", "kanpde.models", "kanpde.domains", "kanpde.residuals"]  # where shapes are annotated

with install_import_hook(SHAPED, "typecheck.check"):
    import kanpde.bases
    import kanpde.models
    import kanpde.models.kan
    import kanpde.models.mlp
    import kanpde.optimizers
    import kanpde.residuals.objective
    import kanpde.training.solve
    from kanpde.factories import families

    BASES = families(kanpde.bases, kanpde.bases.Basis)  # imports all of them

import pytest
import torch

torch.set_num_threads(1)
gc.freeze()  # what is imported stays: the collector need not go through it again and again
ROOT = Path(__file__).parents[1]


@cache
def load_problem(name):
    """The function of a problem's file, without the package knowing about it; loaded once, with its references."""
    spec = importlib.util.spec_from_file_location(f"problem_{name}", ROOT / "problems" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


PROBLEMS = sorted(p.stem for p in (ROOT / "problems").glob("*.py") if p.stem != "__init__")
VARIANTS = {
    "poisson": [
        {},
        {"dim": 1},
        {"dim": 3},
        {"solution": "paper"},
        {"solution": "cosines", "dim": 5},
        {"solution": "mixed"},
        {"dim": 5},
    ],
    "heat": [{}, {"dim": 2}, {"dim": 3, "diffusivity": 0.02}],
    "helmholtz": [{}, {"a1": 2.0, "a2": 3.0, "k": 5.0}],
    "burgers": [{}, {"nu": 0.05}, {"nu": 1e-3}],
    "kdv": [{}, {"case": "two"}, {"case": "cosine"}],
    "wave": [{}, {"c": 2.5}],
    "advection": [{}, {"c": 80.0}],
    "peak": [{}, {"sharpness": 50.0}],
    "annulus": [{}, {"centre": (-0.3, 0.2), "radius": 0.5}],
    "drum": [
        {"mode": 1, "start": 5.783185962946785},
        {"mode": 3, "start": 14.681970642123892},
        {"mode": 4, "start": 26.374616427163392},
    ],
    "inverse_heat": [{"noise": 0.0, "first": 0.1}, {"noise": 0.0, "first": 0.3, "diffusivity": 0.3, "rows": 20}],
    "cooling": [{}, {"diffusivity": 0.05, "end": 2.0}],
    "plate_with_hole": [{}, {"width": 2.0, "radius": 0.5, "young": 3.0, "ratio": 0.45, "tension": 2.0}],
}


def problem_cases():
    """(name, arguments) of every problem in the folder; one that is new is tested with its defaults."""
    return [(name, arguments) for name in PROBLEMS for arguments in VARIANTS.get(name, [{}])]


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(7)


def all_keys(dim, order):
    """Every multi-index up to an order."""
    keys = {tuple(sorted(k)) for n in range(order + 1) for k in product(range(dim), repeat=n)}
    return sorted(keys, key=lambda k: (len(k), k))


def optimizer_factories():
    """Every optimizer in the package, found by looking into it."""
    found = {}
    for info in pkgutil.iter_modules(kanpde.optimizers.__path__):
        module = importlib.import_module(f"kanpde.optimizers.{info.name}")
        for name, value in vars(module).items():
            if isinstance(value, type) and value.__module__ == module.__name__ and "__call__" in vars(value):
                found[name] = value
    return found


def brief(name):
    """The optimizer of a name, with few iterations a step where a step has several."""
    kind = optimizer_factories()[name]
    return kind(iterations=4) if "iterations" in kind.__dataclass_fields__ else kind()


def optimizer_cases():
    """The names of all optimizers; those whose package is not installed are skipped."""
    return [pytest.param(name, marks=skip_without(factory)) for name, factory in optimizer_factories().items()]


def skip_without(factory):
    """A mark for what cannot run without an optional package."""
    package = getattr(factory, "needs_package", None)
    missing = package is not None and importlib.util.find_spec(package) is None
    return pytest.mark.skipif(missing, reason=f"needs {package}")


@contextmanager
def no_checks():
    before = config.jaxtyping_disable
    config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        config.update("jaxtyping_disable", before)


@pytest.fixture
def unchecked():
    """Without checks of shapes, which take most of the time of a short training; other tests have them."""
    with no_checks():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef, request):
    """Set up the shared fixtures of a file that is `unchecked` without checks too: they come before that fixture."""
    marks = request.node.iter_markers("usefixtures") if fixturedef.scope == "module" else ()
    with no_checks() if any("unchecked" in mark.args for mark in marks) else nullcontext():
        return (yield)


@pytest.fixture
def checked(unchecked):
    """With checks of shapes, in a file that is without."""
    config.update("jaxtyping_disable", False)

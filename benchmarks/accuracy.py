"""Accuracy of the default settings on all problems: relative L2 errors, printed for every seed.

    python benchmarks/accuracy.py [--seeds 10] [--problems poisson heat] [--model kan] [--time 60] [--schedule refine]

Basis, degree, grids, phases, starts, weights and sampling rule are the defaults; only the width of the network depends
on the problem (WIDTHS). ``--model`` selects another network, whose number of parameters is as close as possible to that
of the KAN on its finest grid. With ``--time`` a run continues its last phase until that time, as long as its optimizer
finds a lower loss. Errors are measured on an equidistant grid (101 x 101 points in two coordinates), separate from the
training points; the exact solution is used for nothing else. One thread, float64; seconds are wall time of `solve`.
"""

import argparse
import importlib.util
import sys
from ast import literal_eval
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kanpde import KAN, LM, MLP, Phase, Problem, solve
from kanpde.optimizers.variableprojection import VariableProjection
from kanpde.training.phases import DEFAULT_STARTS, default_phases

WIDTHS = {
    "poisson": 6,
    "poisson solution=paper": 6,
    "helmholtz": 10,
    "heat": 6,
    "poisson solution=mixed": 8,
}
FINEST = 4  # ratio of the finest grid to the initial one
BASES = ("chebyshev", "legendre", "fourier", "gaussian", "wavelet", "relupower")


def load_problem(text: str) -> Problem:
    """Load a problem: "heat dim=2" is the problem of problems/heat.py with that argument."""
    name, *rest = text.split()
    path = Path(__file__).parents[1] / "problems" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"problem_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    arguments = {
        key: value if not value[0].isdigit() else literal_eval(value) for key, value in (r.split("=") for r in rest)
    }
    return getattr(module, name)(**arguments)


def kan_of(problem: Problem, width: int) -> KAN:
    """Return the default KAN with the width for the problem."""
    return KAN([width])


def mlp_of(problem: Problem, width: int, depth: int = 2, **options: Any) -> MLP:
    """Return the MLP whose number of parameters is nearest to that of the KAN on its finest grid."""

    def size(factory: KAN | MLP) -> int:
        return sum(p.numel() for p in factory(problem.domain.ranges).parameters())

    kan = KAN([width])
    wanted = size(replace(kan, grid=FINEST * kan.grid))
    return min((MLP([w] * depth, **options) for w in range(2, 80)), key=lambda mlp: abs(size(mlp) - wanted))


MODELS: dict[str, Callable[[Problem, int], KAN | MLP]] = {
    "kan": kan_of,
    **{basis: lambda problem, width, basis=basis: KAN([width], basis) for basis in BASES},
    "mlp": mlp_of,
    "mlp-wide": lambda problem, width: mlp_of(problem, width, 1),
    "mlp-sine": lambda problem, width: mlp_of(problem, width, activation="sine"),
    "mlp-sine3": lambda problem, width: mlp_of(problem, width, activation="sine", scale=3.0),
}
SCHEDULES: dict[str, Callable[[], list[Phase]]] = {
    "refine": default_phases,
    "plain": lambda: [replace(p, optimizer=LM(acceleration=0.0)) for p in default_phases()],
    "varpro": lambda: [replace(p, optimizer=VariableProjection()) for p in default_phases()],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--problems", nargs="+", choices=WIDTHS, default=list(WIDTHS))
    parser.add_argument("--model", choices=MODELS, default="kan")
    parser.add_argument("--time", type=float, default=None)
    parser.add_argument("--schedule", choices=SCHEDULES, default="refine")
    parser.add_argument("--constraints", choices=("soft", "hard"), default="soft")
    options = parser.parse_args()
    print(f"torch {torch.__version__}, one thread, {options.model}, {options.schedule}, {options.constraints}")
    headings = ["problem", "network", "parameters", "median", "worst", "median s", "slowest", "seeds"]
    print(f"| {' | '.join(headings)} |\n|{'---|' * len(headings)}")
    for text in options.problems:
        problem = load_problem(text)
        model = MODELS[options.model](problem, WIDTHS[text])
        errors, seconds, parameters = [], [], 0
        for seed in range(options.seeds):
            phases = SCHEDULES[options.schedule]()
            if options.time:
                phases += [replace(phases[-1], refine=1, steps=100_000, window=0)]
            solution = solve(
                problem,
                model,
                phases,
                starts=DEFAULT_STARTS,
                seed=seed,
                threads=1,
                time_limit=options.time,
                constraints=options.constraints,
            )
            errors.append(solution.errors["u"]["l2"])
            seconds.append(solution.settings["seconds"])
            print(f"{text}, seed {seed}: {errors[-1]:.2e} in {seconds[-1]:.0f} s", file=sys.stderr, flush=True)
            parameters = sum(p.numel() for p in solution.model.parameters())
        every = ", ".join(f"{e:.1e}" for e in errors)
        print(
            f"| {text} | {list(model.hidden)} | {parameters} | {np.median(errors):.1e} | {max(errors):.1e} | "
            f"{np.median(seconds):.0f} | {max(seconds):.0f} | {every} |",
            flush=True,
        )


if __name__ == "__main__":
    main()

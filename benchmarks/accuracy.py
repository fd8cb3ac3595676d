"""What the defaults reach: relative L2 errors over seeds, every seed printed.

    python benchmarks/accuracy.py [--seeds 5] [--problems poisson heat "heat dim=2" helmholtz] [--model kan]

The error is measured on an equidistant grid of 101 x 101 points (34³ in three coordinates) apart from the training
points; nothing of the exact solution is used in training. One thread, float64; seconds are wall time of `solve`.
"""

import argparse
import importlib.util
from pathlib import Path

import numpy as np
import torch

from kanpde import KAN, MLP, Problem, solve

MODELS = {"kan": KAN(), "mlp": MLP()}


def load_problem(text: str) -> Problem:
    """ "heat dim=2" -> the problem of problems/heat.py with that argument."""
    name, *rest = text.split()
    path = Path(__file__).parents[1] / "problems" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"problem_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    arguments = {key: value if not value[0].isdigit() else int(value) for key, value in (r.split("=") for r in rest)}
    return getattr(module, name)(**arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--problems", nargs="+", default=["poisson", "heat", "heat dim=2", "helmholtz"])
    parser.add_argument("--model", choices=MODELS, default="kan")
    options = parser.parse_args()
    print(f"torch {torch.__version__}, one thread, {MODELS[options.model]}")
    print("| problem | parameters | median | worst | slowest | seeds |\n|---|---|---|---|---|---|")
    for text in options.problems:
        errors, seconds, parameters = [], [], 0
        for seed in range(options.seeds):
            solution = solve(load_problem(text), MODELS[options.model], seed=seed, threads=1)
            errors.append(solution.errors["u"]["l2"])
            seconds.append(solution.settings["seconds"])
            parameters = sum(p.numel() for p in solution.model.parameters())
        every = ", ".join(f"{e:.1e}" for e in errors)
        worst, slowest = max(errors), max(seconds)
        print(
            f"| {text} | {parameters} | {np.median(errors):.1e} | {worst:.1e} | {slowest:.0f} s | {every} |", flush=True
        )


if __name__ == "__main__":
    main()

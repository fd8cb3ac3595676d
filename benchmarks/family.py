"""Errors of a family of problems: the heat equation for diffusivities from 0.05 to 1, one network for all of them.

    python benchmarks/family.py [--seeds 0 1 2] [--values 20] [--tolerance 1e-7] [--plain] [--time-limit 300]

Prints for every seed the largest and the median of the relative L2 errors of the members (`Solution.at`) at equidistant
and at logarithmically spaced diffusivities, the error and its estimate over the whole family, the parameters, and the
seconds of wall and of processor. With --plain the network has the coordinates as its only inputs, without ν t.
"""

import argparse
from statistics import median
from time import process_time

import numpy as np

from kanpde import Solution, solve
from problems.heat_family import heat_family


def errors_of(solution: Solution, count: int) -> dict[str, list[tuple[float, float]]]:
    """Return by spacing the relative L2 errors of members, each with its diffusivity."""
    low, high = solution.problem.domain.ranges[-1]
    spacings = {"equidistant": np.linspace(low, high, count), "logarithmic": np.geomspace(low, high, count)}
    return {
        name: [(solution.at(nu=float(nu)).errors["u"]["l2"], float(nu)) for nu in values.clip(low, high)]
        for name, values in spacings.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--values", type=int, default=20)
    parser.add_argument("--tolerance", type=float, default=1e-7)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--time-limit", type=float, default=300.0)
    asked = parser.parse_args()
    problem = heat_family(scaled_time=not asked.plain)
    for seed in asked.seeds:
        began = process_time()
        solution = solve(problem, tolerance=asked.tolerance, seed=seed, time_limit=asked.time_limit)
        used, facts = process_time() - began, solution.settings
        for spacing, found in errors_of(solution, asked.values).items():
            worst, nu = max(found)
            middle = median(error for error, _ in found)
            print(f"seed {seed}: {len(found)} {spacing} values: worst {worst:.2e} (nu = {nu:.3g}), median {middle:.2e}")
        print(
            f"seed {seed}: L2 error {solution.errors['u']['l2']:.2e}, estimated {facts.get('estimate', np.nan):.2e}; "
            f"{solution.levels[-1]['parameters']} parameters; {facts['seconds']:.0f} s, {used:.0f} s of the processor; "
            f"{solution.reason}",
            flush=True,
        )


if __name__ == "__main__":
    main()

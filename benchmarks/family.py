"""Errors of a family of problems: the heat equation for diffusivities from 0.05 to 1, one network for all of them.

    python benchmarks/family.py [--seeds 3] [--values 20]

Prints for every seed the largest and the median of the relative L2 errors of the members (`Solution.at`) at equidistant
and at logarithmically spaced diffusivities, the parameters, and the seconds of wall and of processor.
"""

import argparse
from statistics import median
from time import process_time

import numpy as np

from kanpde import LM, Phase, Solution, solve
from kanpde.models.spikan import SPIKAN
from problems.heat_family import heat_family

MODEL = SPIKAN(products=6, degree=9, grid=3)
PHASES = (Phase(LM(), steps=60), Phase(LM(), steps=250, refine=1, window=60, least=0.5))


def errors_of(solution: Solution, count: int) -> dict[str, list[tuple[float, float]]]:
    """Return by spacing the relative L2 errors of members, each with its diffusivity."""
    low, high = solution.problem.domain.ranges[-1]
    spacings = {"equidistant": np.linspace(low, high, count), "logarithmic": np.geomspace(low, high, count)}
    spacings["logarithmic"][-1] = high  # rounding
    return {
        name: [(solution.at(nu=float(nu)).errors["u"]["l2"], float(nu)) for nu in values]
        for name, values in spacings.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--values", type=int, default=20)
    asked = parser.parse_args()
    for seed in range(asked.seeds):
        began = process_time()
        solution = solve(heat_family(), MODEL, PHASES, constraints="hard", starts=3, seed=seed)
        used = process_time() - began
        for spacing, found in errors_of(solution, asked.values).items():
            worst, nu = max(found)
            print(
                f"seed {seed}: {asked.values} {spacing} values: worst {worst:.2e} (nu = {nu:.3g}), median "
                f"{median(error for error, _ in found):.2e}",
                flush=True,
            )
        facts = solution.settings
        levels = ", ".join(f"grid {level['grid']}: loss {level['loss']:.1e}" for level in solution.levels)
        print(
            f"seed {seed}: {solution.levels[-1]['parameters']} parameters; {levels}; estimate {facts.get('estimate')}; "
            f"{facts['seconds']:.0f} s, {used:.0f} s of the processor",
            flush=True,
        )


if __name__ == "__main__":
    main()

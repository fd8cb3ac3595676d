"""What a start from the network of a stored run saves: the same problems with and without one.

    python benchmarks/starting.py

With the default schedule: Poisson's equation at k = 1.1 and 1.2 from the run at k = 1, and Burgers' equation at
ν = 0.03 from 0.1, then at 0.01 from 0.03. With a tolerance: the peak of sharpness 1200 from 1000 (1e-4), and
Helmholtz's equation at k = 1.5 from 1 (1e-8). The columns "to ..." are the seconds to these relative L2 errors.
"""

from functools import cache

from accuracy import load_problem

from kanpde import Solution, solve

POISSON, BURGERS = (1e-4, 1e-6, 1e-8), (1e-1, 1e-2, 1e-3)
ROWS = [  # problem, the problem from whose solution it starts, tolerance, errors
    ("poisson k=1.1", "poisson k=1.0", None, POISSON),
    ("poisson k=1.2", "poisson k=1.0", None, POISSON),
    ("burgers nu=0.03", "burgers nu=0.1", None, BURGERS),
    ("burgers nu=0.01", "burgers nu=0.03 from burgers nu=0.1", None, BURGERS),
    ("peak sharpness=1200.0", "peak sharpness=1000.0", 1e-4, (1e-2, 1e-4)),
    ("helmholtz k=1.5", "helmholtz k=1.0", 1e-8, (1e-4, 1e-8)),
]


@cache
def solved(case: str, tolerance: float | None) -> Solution:
    """Return the solution of "PROBLEM" or of "PROBLEM from CASE"."""
    problem, _, before = case.partition(" from ")
    return solve(load_problem(problem), tolerance=tolerance, start=solved(before, tolerance) if before else None)


def row(case: str, errors: tuple[float, ...], tolerance: float | None) -> str:
    """Return the figures of a run as a row of a table."""
    found = solved(case, tolerance)
    seconds = ((wanted, [row["seconds"] for row in found.history if row["error"] <= wanted]) for wanted in errors)
    reached = ", ".join(
        f"to {wanted:.0e} {times[0]:.1f}" if times else f"to {wanted:.0e} -" for wanted, times in seconds
    )
    steps, total = len(found.history), found.settings["seconds"]
    return f"| {case} | {steps} | {total:.0f} | {found.errors['u']['l2']:.1e} | {reached} |"


def main() -> None:
    for problem, before, tolerance, errors in ROWS:
        for case in (problem, f"{problem} from {before}"):
            print(row(case, errors, tolerance), flush=True)


if __name__ == "__main__":
    main()

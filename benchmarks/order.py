"""Error against grid: observed orders of the spline degrees 3, 5, 7, by regression with 95 % intervals.

    python benchmarks/order.py [--grids 4 6 8 ...] [--picture benchmarks/order.png]

Poisson's equation in two dimensions with u = cos πx + cos πy and the KAN without hidden layers, φ_1(x) + φ_2(y): its
residuals are linear in the weights, so that the optimizer reaches the minimum and only the approximation error remains.
Theory, for splines of degree p on cells of width h: h^(p+1) for the best approximation, h^(p-1) for the residual of a
second-order equation, which least squares minimizes. Relative L2 errors on points separate from the training points;
the exact solution is not used in training.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from accuracy import load_problem
from scipy import stats

from kanpde import KAN, LM, Phase, solve

DEGREES = (3, 5, 7)
FLOOR = 1e-11  # errors below it are rounding errors and are left out of the regression


def errors_of(degree: int, grids: Sequence[int]) -> list[float]:
    """Return the errors of independent solves on all grids."""
    problem = load_problem("poisson solution=cosines")
    phases = [Phase(LM(), steps=30)]
    return [solve(problem, KAN([], degree=degree, grid=g), phases).errors["u"]["l2"] for g in grids]


def order(grids: Sequence[int], errors: Sequence[float]) -> tuple[float, float]:
    """Return the slope of log error against -log grid, and the half width of its 95 % interval."""
    above = [(g, e) for g, e in zip(grids, errors, strict=True) if e > FLOOR]
    fit = np.asarray(stats.linregress(*np.log(above).T))  # slope, intercept, correlation, p value, standard error
    return -float(fit[0]), float(stats.t.ppf(0.975, len(above) - 2) * fit[4])


def draw(grids: Sequence[int], found: dict[int, list[float]], path: Path) -> None:
    """Plot the errors, with lines of order p - 1 and p + 1 through the centre of each set."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4.5), layout="constrained")
    for (degree, errors), colour, marker in zip(found.items(), ("C0", "C1", "C2"), "osD", strict=True):
        slope, half = order(grids, errors)
        axes.loglog(grids, errors, marker, color=colour, label=f"degree {degree}: order {slope:.1f} ± {half:.1f}")
        middle = np.exp(np.mean(np.log(errors))), np.exp(np.mean(np.log(grids)))
        for theory, style in ((degree - 1, ":"), (degree + 1, "--")):
            axes.loglog(grids, middle[0] * (np.array(grids) / middle[1]) ** -float(theory), style, color=colour, lw=1)
    axes.set_xticks(grids, [str(g) for g in grids])
    axes.minorticks_off()
    axes.set_xlabel("cells per input")
    axes.set_ylabel("relative $L^2$ error")
    axes.set_title("KAN [2, 1] on Poisson; dotted: order p - 1, dashed: p + 1", fontsize=10)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grids", type=int, nargs="+", default=[4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40])
    parser.add_argument("--picture", type=Path, default=None)
    options = parser.parse_args()
    found = {degree: errors_of(degree, options.grids) for degree in DEGREES}
    print(f"| degree | order (95 %) | {' | '.join(f'grid {g}' for g in options.grids)} |")
    print(f"|{'---|' * (len(options.grids) + 2)}")
    for degree, errors in found.items():
        slope, half = order(options.grids, errors)
        print(f"| {degree} | {slope:.2f} ± {half:.2f} | {' | '.join(f'{e:.1e}' for e in errors)} |")
    if options.picture is not None:
        draw(options.grids, found, options.picture)


if __name__ == "__main__":
    main()

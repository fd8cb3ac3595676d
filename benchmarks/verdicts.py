"""Rate at which a study of two arms names a winner: false ones for equal arms, true ones if one is three times better.

    python benchmarks/verdicts.py

The log10 errors of the seeds in RESULTS.md, centred at their median, are drawn with replacement ("again") or from a
normal distribution with the same standard deviation. "Most" is the rate of the two-sample t test, the most powerful
unbiased 5 % test if errors are log-normal with equal spread, which no fair rule can exceed there.
"""

from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.stats import nct
from scipy.stats import t as student

from kanpde.study.statistics import bootstrap_p, exchange_p

MEASURED = {
    "Poisson, KAN, 10 seeds": (
        4.2e-10,
        1.7e-10,
        2.7e-10,
        1.6e-10,
        4.2e-09,
        4.9e-10,
        4.6e-10,
        2.2e-10,
        1.4e-10,
        8.8e-10,
    ),
    "Poisson, KAN, 8 seeds again": (2.46e-10, 2.16e-10, 2.26e-10, 2.07e-10, 6.17e-09, 5.90e-10, 6.63e-10, 1.82e-10),
    "Poisson, MLP, 3 seeds": (7.8e-7, 2.5e-7, 3.1e-7),
    "heat, KAN, 5 seeds": (3.9e-12, 5.0e-12, 9.6e-12, 1.0e-12, 2.0e-11),
    "Helmholtz, KAN, 10 seeds": (
        2.6e-08,
        9.3e-07,
        9.4e-09,
        5.3e-07,
        1.4e-07,
        2.4e-07,
        1.3e-07,
        4.8e-08,
        2.1e-07,
        2.7e-07,
    ),
}
THREE = float(np.log10(3))


def named(log_a: NDArray, log_b: NDArray, resamples: int = 2000) -> NDArray:
    """Return whether each of many studies, shape (studies, seeds), names a winner by `kanpde.study.statistics`."""
    is_named = exchange_p(log_a, log_b) <= 0.05
    left = np.flatnonzero(is_named)
    for part in np.array_split(left, -(-len(left) // 500) or 1):
        is_named[part] = bootstrap_p(log_a[part], log_b[part], resamples) <= 0.05
    return is_named


def rates(
    errors, normal: bool, seeds: int = 10, studies: int = 1000, seed: int = 0, resamples=2000
) -> tuple[float, float]:
    """Return the rates of studies with a false winner (equal arms) and with the true one (an arm three times better).

    Args:
        errors: measured errors, which determine the spread.
        normal: draw from a normal distribution with their standard deviation instead of resampling them.
        seeds: number of seeds of a study.
        studies: number of simulated studies.
        seed: of the simulation.
        resamples: of the bootstrap.
    """
    generator = np.random.default_rng(seed)
    logs = np.log10(errors)
    centred = logs - np.median(logs)

    def draw() -> NDArray:
        if normal:
            return generator.normal(0.0, centred.std(ddof=1), (studies, seeds))
        return generator.choice(centred, (studies, seeds))

    false = named(draw(), draw(), resamples).mean()
    better, worse = draw(), draw() + THREE
    is_true = named(better, worse, resamples) & (np.median(worse[:, None] - better[:, :, None], axis=(1, 2)) > 0)
    return float(false), float(is_true.mean())


def most(spread: float, seeds: int) -> float:
    """Return the rate of the two-sample t test for log-normal errors, with one arm three times better."""
    freedom = 2 * seeds - 2
    critical = student.ppf(0.975, freedom)
    return float(1 - nct.cdf(critical, freedom, THREE / (spread * sqrt(2 / seeds))))


def main() -> None:
    print("10 seeds, 10 x 1000 studies each\n")
    print("| spread as measured in | log10 std | drawn | false winners | (of each 1000) | true winner | most |")
    print("|---|---|---|---|---|---|---|")
    for name, errors in MEASURED.items():
        spread = float(np.std(np.log10(errors), ddof=1))
        for normal in (False, True):
            batches = [rates(errors, normal, seed=k) for k in range(10)]
            false, true = np.mean(batches, axis=0)
            each = f"{min(batches)[0]:.1%} to {max(batches)[0]:.1%}"
            best = f"{most(spread, 10):.1%}" if normal else ""
            how = "normal" if normal else "again"
            print(f"| {name} | {spread:.2f} | {how} | {false:.1%} | {each} | {true:.1%} | {best} |", flush=True)
    print("\nTrue winner named, normal errors, by log10 std and seeds\n\n| log10 std | 10 | 12 | 14 | 16 | 18 | 20 |")
    print("|---|---|---|---|---|---|---|")
    for spread in (0.26, 0.3, 0.32, 0.36, 0.44, 0.52, 0.6):
        errors = 10 ** (np.array([-1.0, 1.0]) * spread / sqrt(2))  # two numbers with this standard deviation
        cells = [f"{rates(errors, True, seeds)[1]:.0%}" for seeds in (10, 12, 14, 16, 18, 20)]
        print(f"| {spread} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

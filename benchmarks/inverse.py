"""Coefficients and fields from measured values: are the intervals calibrated, and how accurate are the results?

    python benchmarks/inverse.py interval|pair|exact|field|rows [--repetitions 100] [--to FILE]

``interval`` estimates the diffusivity of `problems/inverse_heat.py` from 200 values with 1 % noise, again and again, and
counts the 95 % intervals that hold the true value; ten more repetitions are told a wrong noise level. ``pair`` does so
for diffusivity and growth rate of u_t = k u_xx + q u, and compares the covariance with that of the estimates. ``exact``
has no noise. ``field`` is `problems/inverse_field.py`. ``rows`` has a million rows with errors of 10 %. Each result is one
line, which is appended to the file.
"""

import warnings
from dataclasses import replace
from math import pi
from pathlib import Path

import numpy as np
from torch import exp, sin

from kanpde import KAN, LM, Box, Coefficient, Condition, Phase, Problem, Sampling, data, diff, dirichlet, initial, solve
from kanpde.configure.problem_file import ProblemFile
from kanpde.errors import ResultWarning

PROBLEMS = Path(__file__).parents[1] / "problems"
SMALL = {"sampling": Sampling(interior=400, boundary=60), "device": "cpu"}
TRUE = {"k": 0.1, "q": 0.5}


def problem(name, **arguments):
    return ProblemFile(name, PROBLEMS / f"{name}.py").make(arguments)


def with_errors(given, errors):
    """The same rows with another standard error."""
    points = given.conditions["data"].region.sample("auto", 10**9)
    table = np.concatenate([points.x.numpy(), points.data[:, :1].numpy()], axis=1)
    return replace(given, conditions={**given.conditions, "data": data(given.domain, table, "u", errors=errors)})


def pair(seed, noise=0.01, rows=200):
    """u_t = k u_xx + q u with u = sin πx + sin 2πx / 2 initially and 0 at the ends; k and q are unknown."""
    domain = Box(x=(0.0, 1.0), t=(0.0, 1.0))

    def at(x, t, exp, sin):
        rates = [TRUE["q"] - (m * pi) ** 2 * TRUE["k"] for m in (1, 2)]
        return exp(rates[0] * t) * sin(pi * x) + 0.5 * exp(rates[1] * t) * sin(2 * pi * x)

    generator = np.random.default_rng(seed)
    x, t = generator.uniform(0.0, 1.0, (2, rows))
    table = {"x": x, "t": t, "u": at(x, t, np.exp, np.sin) + noise * generator.normal(size=rows)}
    conditions = {
        "pde": Condition(domain.interior, lambda u, p: diff(u, "t") - p["k"] * diff(u, "x", "x") - p["q"] * u),
        "initial": initial(domain.at(t=0.0), lambda x, t: at(x, t, exp, sin)),
        "ends": dirichlet(domain.boundary, 0.0),
        "data": data(domain, table, "u", errors=noise),
    }
    return Problem(domain, conditions, parameters={"k": Coefficient(0.3, lower=0.0), "q": 0.0})


def quick(given, start=None, steps=60):
    """A solution by a small network; from the network of an earlier repetition in fewer steps."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResultWarning)
        if start is None:
            return solve(given, KAN([4], degree=7, grid=3), [Phase(LM(), steps=steps)], starts=1, **SMALL)
        return solve(given, phases=[Phase(LM(), steps=steps)], start=start, **SMALL)


def is_noticed(solution):
    return any("standard errors" in str(warning) for warning in solution.warnings)


def interval(repetitions):
    first = quick(problem("inverse_heat", seed=1000))
    held, noticed, estimates, errors = 0, 0, [], []
    for seed in range(repetitions):
        found = quick(problem("inverse_heat", seed=seed), first, 20)
        lower, upper = found.intervals["k"]
        held += lower <= TRUE["k"] <= upper
        noticed += is_noticed(found)
        estimates.append(found.coefficients["k"])
        errors.append(found.standard_errors["k"])
    wrong = 0
    for seed in range(10):
        given = with_errors(problem("inverse_heat", seed=seed), 0.006 if seed % 2 else 0.016)
        wrong += is_noticed(quick(given, first, 20))
    return (
        f"{held} of {repetitions} intervals hold the true value; standard deviation of the estimates "
        f"{np.std(estimates, ddof=1):.3g}, root mean square of the standard errors {np.sqrt(np.mean(np.square(errors))):.3g}; "
        f"right noise level doubted {noticed} times, wrong one {wrong} times in 10"
    )


def pairs(repetitions):
    first = quick(pair(1000))
    found = [quick(pair(seed), first, 20) for seed in range(repetitions)]
    sample = np.cov([[each.coefficients[name] for each in found] for name in TRUE])
    told = np.mean([covariance_of(each) for each in found], axis=0)
    ratios = (told / sample).ravel()[[0, 1, 3]]
    held = [sum(s.intervals[n][0] <= TRUE[n] <= s.intervals[n][1] for s in found) for n in TRUE]
    return (
        f"covariance told over that of {repetitions} estimates: variance of k {ratios[0]:.3f}, covariance {ratios[1]:.3f}, "
        f"variance of q {ratios[2]:.3f}; correlation {found[0].correlations['k']['q']:.3f}; intervals that hold the true "
        f"value: k {held[0]}, q {held[1]}"
    )


def covariance_of(solution):
    k, q = (solution.standard_errors[name] for name in TRUE)
    r = solution.correlations["k"]["q"]
    return np.array([[k * k, r * k * q], [r * k * q, q * q]])


def exact(repetitions):
    lines = []
    for seed in range(repetitions):
        phases = [Phase(LM(), steps=100), Phase(LM(), steps=150, refine=2), Phase(LM(), steps=150, refine=2)]
        given = problem("inverse_heat", noise=0.0, seed=seed)
        found = solve(given, KAN([6], degree=9, grid=3), phases, starts=1, seed=seed, device="cpu")
        lines.append(f"{abs(found.coefficients['k'] / TRUE['k'] - 1):.1e} (told {found.standard_errors['k'] / TRUE['k']:.1e})")
    return "relative error of k without noise: " + ", ".join(lines)

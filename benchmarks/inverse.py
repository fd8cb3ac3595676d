"""Coefficients and fields from measured values: are the intervals calibrated, and how accurate are the results?

    python benchmarks/inverse.py WHAT [--seeds 100] [--seconds 60] [--to FILE]

WHAT is one of

    interval  the diffusivity of problems/inverse_heat.py from 200 values with 1 % noise
    wrong     the same with a wrong noise level given, 0.6 or 1.6 times the true one
    pair      diffusivity and growth rate of u_t = k u_xx + q u from 200 values with 1 % noise
    exact     the diffusivity from 200 values without noise
    field     problems/inverse_field.py
    rows      the diffusivity from a CSV file with a million rows and 10 % noise

Every seed is a line of the file (JSON), and seeds that it has are left out. No new seed begins after the seconds. At
the end the results of all seeds in the file are summed up.
"""

import argparse
import json
import resource
import tempfile
import time
import warnings
from dataclasses import replace
from math import pi
from pathlib import Path

import numpy as np
from torch import exp, sin

from kanpde import (
    KAN,
    LM,
    Box,
    Coefficient,
    Condition,
    Phase,
    Problem,
    Sampling,
    Separate,
    data,
    diff,
    dirichlet,
    initial,
    solve,
)
from kanpde.configure.problem_file import ProblemFile
from kanpde.errors import ResultWarning

PROBLEMS = Path(__file__).parents[1] / "problems"
SMALL = {"sampling": Sampling(interior=400, boundary=60), "device": "cpu"}
TRUE = {"k": 0.1, "q": 0.5}
STEPS = 20  # from the network of another repetition


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


def quick(given, start=None):
    """A solution by a small network, or from the network of another repetition in fewer steps."""
    if start is None:
        return solve(given, KAN([4], degree=7, grid=3), [Phase(LM(), steps=60)], starts=1, **SMALL)
    return solve(given, phases=[Phase(LM(), steps=STEPS)], start=start, **SMALL)


def facts(solution):
    """What is kept of a run with coefficients."""
    return {
        "coefficients": solution.coefficients,
        "errors": solution.standard_errors,
        "intervals": solution.intervals,
        "correlations": solution.correlations,
        "chi_square": solution.settings.get("chi_square_data"),
        "doubted": any("standard errors" in str(warning) for warning in solution.warnings),
    }


def interval(seed, first):
    return facts(quick(problem("inverse_heat", seed=seed), first))


def wrong(seed, first):
    return facts(quick(with_errors(problem("inverse_heat", seed=seed), 0.006 if seed % 2 else 0.016), first))


def of_pair(seed, first):
    return facts(quick(pair(seed), first))


def exact(seed, first):
    phases = [Phase(LM(), steps=100), Phase(LM(), steps=100, refine=2)]
    given = problem("inverse_heat", noise=0.0, seed=seed)
    return facts(solve(given, KAN([6], degree=9, grid=3), phases, starts=1, seed=seed, device="cpu"))


def field(seed, first):
    model = Separate({"u": KAN([5], degree=7, grid=2), "a": KAN([5], degree=7, grid=2)})
    phases = [Phase(LM(), steps=30), Phase(LM(), steps=40, refine=2)]
    sampling = Sampling(interior=900, boundary=100)
    found = solve(problem("inverse_field"), model, phases, starts=1, seed=seed, sampling=sampling, device="cpu")
    return {name: errors["l2"] for name, errors in found.errors.items()}


def rows(seed, first, count=1_000_000):
    generator = np.random.default_rng(seed)
    x, t = generator.uniform(0.0, 1.0, (2, count))
    u = np.exp(-(pi**2) * TRUE["k"] * t) * np.sin(pi * x) + 0.1 * generator.normal(size=count)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "measured.csv"
        np.savetxt(path, np.stack([x, t, u], axis=1), fmt="%.9g", delimiter=",", header="x,t,u", comments="")
        began = time.monotonic()
        given = problem("inverse_heat", data=str(path), errors=0.1)
        read = time.monotonic() - began
        found = quick(given)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {**facts(found), "read": read, "memory_gib": memory, "rows_of_a_phase": found.settings["points"]["data"]}


RUNS = {"interval": interval, "wrong": wrong, "pair": of_pair, "exact": exact, "field": field, "rows": rows}


def summary(what, lines):
    """The results of all seeds in words."""
    if what not in ("interval", "wrong", "pair", "exact"):
        return "\n".join(json.dumps(line) for line in lines)
    told = []
    for name in lines[0]["coefficients"]:
        estimates = np.array([line["coefficients"][name] for line in lines])
        errors = np.array([line["errors"][name] for line in lines])
        held = sum(line["intervals"][name][0] <= TRUE[name] <= line["intervals"][name][1] for line in lines)
        largest = np.abs(estimates / TRUE[name] - 1).max()
        spread = estimates.std(ddof=1) if len(lines) > 1 else float("nan")
        told.append(
            f"{name}: {held} of {len(lines)} intervals hold the true value; standard deviation of the estimates "
            f"{spread:.4g}, root mean square of the standard errors {np.sqrt(np.mean(errors**2)):.4g}, "
            f"mean error {estimates.mean() - TRUE[name]:.2g}, largest relative error {largest:.2g}"
        )
    if what == "pair":
        products = [line["errors"]["k"] * line["errors"]["q"] * line["correlations"]["k"]["q"] for line in lines]
        sample = np.cov([[line["coefficients"][name] for line in lines] for name in TRUE])[0, 1]
        told.append(f"covariance of the estimates {sample:.4g}, mean of those told {np.mean(products):.4g}")
    seconds = [line["seconds"] for line in lines]
    told.append(f"median of {np.median(seconds):.1f} s, at most {max(seconds):.1f} s")
    told.append(f"the noise level is doubted {sum(line['doubted'] for line in lines)} times")
    return "\n".join(told)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=RUNS)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--to", type=Path, default=Path("inverse.jsonl"))
    asked = parser.parse_args()
    warnings.simplefilter("ignore", ResultWarning)
    lines = [json.loads(line) for line in asked.to.read_text().splitlines()] if asked.to.is_file() else []
    lines = [line for line in lines if line["what"] == asked.what]
    began, first = time.monotonic(), None
    for seed in sorted(set(range(asked.seeds)) - {line["seed"] for line in lines}):
        if first is None and asked.what in ("interval", "wrong", "pair"):
            first = quick(pair(1000) if asked.what == "pair" else problem("inverse_heat", seed=1000))
        if time.monotonic() - began > asked.seconds:
            break
        own = time.monotonic()
        line = {"what": asked.what, "seed": seed, **RUNS[asked.what](seed, first), "seconds": time.monotonic() - own}
        lines.append(line)
        with asked.to.open("a") as file:
            file.write(json.dumps(line) + "\n")
    print(summary(asked.what, lines))


if __name__ == "__main__":
    main()

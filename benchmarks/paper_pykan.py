"""pykan and this package on the same samples of some functions of `kan_paper.py`.

pykan runs in a process of its own environment (see `peers.py`).
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from feynman_table import FEYNMAN, numeric
from paper_fits import Results, tests
from paper_functions import SCALING, SPECIAL
from peers import HERE, ONE_THREAD, PEERS, python_of

from kanpde import KAN, fit

SAMPLES = 1000  # the number of pykan's own data sets
HELLO, FORMULA = "exp(sin pi x + y^2), KAN [2, 1, 1]", "I.16.6"
WIDTHS = {
    HELLO: [2, 1, 1],
    "ellipj sn(u, m)": [2, 5, 1],
    "jv(v, x)": [2, 5, 1],
    "Y(2, 2)": [2, 5, 1],
    FORMULA: [2, 5, 1],
}


def function_of(name: str) -> tuple[Any, Any]:
    """Return a function and its ranges."""
    if name in FEYNMAN:
        return numeric(FEYNMAN[name]), list(FEYNMAN[name].ranges.values())
    row = SPECIAL.get(name) or SCALING[name]
    return row.function, row.ranges


def samples_of(name: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates (samples, inputs) and values, the same for both libraries."""
    f, ranges = function_of(name)
    lower, upper = np.array(ranges).T
    x = lower + (upper - lower) * np.random.default_rng(seed).uniform(size=(SAMPLES, len(ranges)))
    return x, np.asarray(f(*x.T))


def run(python: str, name: str, seed: int, limit: float) -> dict[str, Any]:
    """Fit a function with pykan, and return the report of the driver."""
    x, y = samples_of(name, seed)
    test_x, test_y = tests(*function_of(name))
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | ONE_THREAD
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "samples.npz"
        np.savez(data, x=x, y=y[:, None], test_x=test_x.T, test_y=test_y[:, None])
        command = [python, str(HERE / "pykan_fit.py"), f"--data={data}", f"--width={WIDTHS[name]}"]
        command += [f"--seed={seed}", f"--limit={limit}"]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"pykan broke on {name}: {done.stderr[-800:]}")
    return json.loads(done.stdout.splitlines()[-1])


def own(name: str, seed: int) -> tuple[float, float, int]:
    """Fit the same samples with `kanpde.fit`, and return the error, the seconds of the processor and the parameters."""
    began = process_time()
    solution = fit(*samples_of(name, seed), KAN(WIDTHS[name][1:-1]), seed=seed)
    seconds = process_time() - began
    x, wanted = tests(*function_of(name))
    found = solution(*x, extrapolate=True)  # to the edges of the box, which no sample reaches
    size = sum(p.numel() for p in solution.model.parameters())
    return float(np.sqrt(np.mean((found - wanted) ** 2)) / wanted.std()), seconds, size


def compare(cache: Path, seeds: Sequence[int], limit: float, only: Sequence[str] = ()) -> None:
    """Fit the same samples of every function with both, and print their errors; pykan's by grid."""
    cache.mkdir(parents=True, exist_ok=True)
    python, results = python_of("pykan", PEERS["pykan"], cache), Results()
    heads = ["function", "widths", "seed", "pykan: errors by grid", "seconds", "kanpde", "seconds"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for seed in seeds:
        for name in only or WIDTHS:
            if any(int(row["seed"]) == seed for row in results.rows(name, "pykan")):
                continue
            error, seconds, size = own(name, seed)
            results.add(name, "fit", seed, error, "", round(seconds, 1), size)
            found = run(python, name, seed, limit)
            errors = found["errors"]
            told = ", ".join(f"{grid}: {each:.1e}" for grid, each in errors.items())
            figures = f"{told} | {found['seconds']:.0f} | {error:.1e} | {seconds:.0f}"
            print(f"| {name} | {WIDTHS[name]} | {seed} | {figures} |", flush=True)
            results.add(name, "pykan", seed, min(errors.values()), "", round(found["seconds"], 1), found["parameters"])

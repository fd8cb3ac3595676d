"""pykan on some functions of `kan_paper.py`, each in a process of its own environment (see `peers.py`)."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from feynman_table import FEYNMAN, numeric
from paper_fits import Results, tests
from paper_functions import SCALING, SPECIAL
from peers import HERE, ONE_THREAD, PEERS, python_of

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


def run(python: str, name: str, seed: int) -> dict[str, Any]:
    """Fit a function with pykan, and return the report of the driver."""
    f, ranges = function_of(name)
    lower, upper = np.array(ranges).T
    x = lower + (upper - lower) * np.random.default_rng(seed).uniform(size=(SAMPLES, len(ranges)))
    test_x, test_y = tests(f, ranges)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | ONE_THREAD
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "samples.npz"
        np.savez(data, x=x, y=np.asarray(f(*x.T))[:, None], test_x=test_x.T, test_y=test_y[:, None])
        command = [python, str(HERE / "pykan_fit.py"), f"--data={data}", f"--width={WIDTHS[name]}"]
        done = subprocess.run(
            [*command, f"--seed={seed}"], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    if done.returncode:
        sys.exit(f"pykan broke on {name}: {done.stderr[-800:]}")
    return json.loads(done.stdout.splitlines()[-1])


def compare(cache: Path, seed: int = 1) -> None:
    """Fit every function with pykan, and print its errors by grid."""
    cache.mkdir(parents=True, exist_ok=True)
    python, results = python_of("pykan", PEERS["pykan"], cache), Results()
    for name in WIDTHS:
        if results.rows(name, "pykan"):
            continue
        found = run(python, name, seed)
        errors = found["errors"]
        told = ", ".join(f"{grid}: {error:.1e}" for grid, error in errors.items())
        print(f"| {name} | {WIDTHS[name]} | {told} | {found['seconds']:.0f} |", flush=True)
        least = min(errors.values())
        results.add(name, "pykan", seed, least, "", round(found["seconds"], 1), found["parameters"])

"""Time to a relative L2 error of 1e-4 on Poisson's equation: kanpde, pykan, jaxKAN, DeepXDE, classical solvers.

    python benchmarks/peers.py [--seeds 5] [--limit 600] [--only kanpde pykan] [--cache DIR] [--scan]

Δu = f on [-1, 1]², u = sin πx sin πy, Dirichlet; the error is measured on an equidistant grid of 101 x 101 points.
Every run is a separate process with one thread; peers are installed from PyPI into virtual environments in the cache
folder.

- process: wall time of the whole process up to the target, with imports and compilation.
- solve: time from the first training step, within the process.

Measuring the error is included in neither (for kanpde in both). kanpde runs with its defaults. Each peer follows its
own tutorial (its driver, `peer_*.py`, gives the differences and their reasons) with the best boundary weight of a scan
over WEIGHTS with one seed; `--scan` repeats the scan. Classical solvers solve on successively finer grids up to the
target, and all of these solves count.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

HERE = Path(__file__).resolve().parent
TORCH = "torch==2.13.0"  # installed first and separately: the version whose wheel is the CPU build
WEIGHTS = (1.0, 30.0, 100.0, 900.0)
ONE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
    "CUDA_VISIBLE_DEVICES": "",
    "MPLBACKEND": "agg",
}


@dataclass(frozen=True)
class Peer:
    """Installation and options of a solver.

    Args:
        driver: a file in this folder.
        installs: arguments of pip, one call each; without any the solver runs in this environment.
        weight: boundary weight, the best of WEIGHTS in the scan; None if the solver has none.
        method: passed to the driver.
    """

    driver: str
    installs: tuple[str, ...] = ()
    weight: float | None = None
    method: str = ""


# the weights are those of the scan in RESULTS.md
PYKAN_NEEDS = "numpy matplotlib scikit-learn pandas pyyaml tqdm"  # dependencies that its package does not declare
PEERS = {
    "kanpde": Peer("peer_kanpde.py"),
    "pykan": Peer("peer_pykan.py", (TORCH, f"pykan==0.2.8 {PYKAN_NEEDS}"), weight=900.0),
    "jaxKAN": Peer("peer_jaxkan.py", ("jaxkan==0.3.7 jax==0.10.2",), weight=30.0),
    "DeepXDE": Peer("peer_deepxde.py", (TORCH, "deepxde==1.15.0"), weight=100.0),
    "scikit-fem P2": Peer("peer_classical.py", method="fem"),
    "Chebyshev collocation": Peer("peer_classical.py", method="chebyshev"),
}


@dataclass(frozen=True)
class Run:
    """One process: seconds to the target or None, its duration, and the report of the driver."""

    process: float
    result: dict

    @property
    def reached(self) -> bool:
        return self.result["seconds"] is not None

    @property
    def solve(self) -> float:
        return self.result["seconds"] if self.reached else self.result["total"]


def python_of(name: str, peer: Peer, cache: Path) -> str:
    """Return the interpreter of the peer's environment, which is created if it is missing or has other packages."""
    if not peer.installs:
        return sys.executable
    folder = cache / name
    python, stamp, wanted = folder / "bin" / "python", folder / "installed.txt", "\n".join(peer.installs)
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        print(f"making {folder}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        for install in peer.installs:
            subprocess.run([str(python), "-m", "pip", "install", "-q", *install.split()], check=True)
        stamp.write_text(wanted, encoding="utf-8")
    return str(python)


def run(name: str, python: str, seed: int, limit: float, target: float, weight: float | None) -> Run | None:
    """Run one process of a peer; if it fails, print the end of its messages and return None."""
    peer = PEERS[name]
    command = [python, str(HERE / peer.driver), f"--seed={seed}", f"--limit={limit}", f"--target={target}"]
    command += [f"--weight={weight}"] if weight is not None else []
    command += [f"--method={peer.method}"] if peer.method else []
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | ONE_THREAD
    if not peer.installs:
        environment["PYTHONPATH"] = str(HERE.parent)
    with tempfile.TemporaryDirectory() as folder:  # some libraries write into the current one
        began = perf_counter()
        try:
            done = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, text=True, timeout=3 * limit + 300
            )
            lines, message = done.stdout.splitlines(), done.stderr
        except subprocess.TimeoutExpired:
            lines, message = [], "it did not end by itself"
        seconds = perf_counter() - began
    if not lines or not lines[-1].startswith("{"):
        print(f"{name}, seed {seed}, broke: {message[-800:]}", file=sys.stderr, flush=True)
        return None
    result = json.loads(lines[-1])
    found = Run(seconds - result["checking"], result)
    print(f"{name}, seed {seed}, weight {weight}: process {found.process:.1f} s, {result}", file=sys.stderr, flush=True)
    return found


# the table -----------------------------------------------------------------------------------------------------------
def median(runs: Sequence[Run], seconds: Sequence[float]) -> tuple[float, bool]:
    """Return the median, with runs that missed the target as slowest, and whether it belongs to a successful run."""
    order = sorted(zip(seconds, runs, strict=True), key=lambda pair: (not pair[1].reached, pair[0]))
    middle, its_run = order[len(order) // 2]
    return middle, its_run.reached


def digits(value: float) -> str:
    return f"{value:.1f}" if value >= 0.1 else f"{value:.1g}"


def cell(runs: Sequence[Run], seconds: Sequence[float]) -> str:
    """Return the median and all values; "> T" for runs that ended after T seconds without reaching the target."""
    middle, reached = median(runs, seconds)
    each = ", ".join(("" if r.reached else "> ") + digits(s) for r, s in zip(runs, seconds, strict=True))
    return f"**{'' if reached else '> '}{digits(middle)}** ({each})"


def ratio(runs: Sequence[Run], seconds: Sequence[float], own: tuple[float, bool] | None) -> str:
    """Return the ratio of the median to kanpde's."""
    if own is None or not own[1]:
        return ""
    middle, reached = median(runs, seconds)
    return f"{'' if reached else '> '}{middle / own[0]:.2g}"


def row(name: str, runs: Sequence[Run], own: Sequence[Run]) -> str:
    """Return a line of the table; ``own`` are kanpde's runs."""
    process, solve = [r.process for r in runs], [r.solve for r in runs]
    own_process = median(own, [r.process for r in own]) if own else None
    own_solve = median(own, [r.solve for r in own]) if own else None
    best = ", ".join("none" if r.result["best"] is None else f"{r.result['best']:.1e}" for r in runs)
    versions = ", ".join(f"{k} {v}" for k, v in runs[0].result["versions"].items())
    weight = PEERS[name].weight
    cells = [
        name,
        versions,
        str(runs[0].result["parameters"]),
        "" if weight is None else f"{weight:g}",
        cell(runs, process),
        ratio(runs, process, own_process),
        cell(runs, solve),
        ratio(runs, solve, own_solve),
        best,
    ]
    return f"| {' | '.join(cells)} |"


def compare(names: Sequence[str], cache: Path, seeds: int, limit: float, target: float) -> None:
    """Carry out all runs, seed by seed, so that other load affects all solvers alike; then print the table."""
    pythons = {name: python_of(name, PEERS[name], cache) for name in names}
    runs: dict[str, list[Run]] = {name: [] for name in names}
    for seed in range(seeds):
        for name in names:
            found = run(name, pythons[name], seed, limit, target, PEERS[name].weight)
            runs[name] += [found] if found is not None else []
    print(f"Seconds to a relative L2 error of {target:g}: median and (seeds 0 to {seeds - 1}), one thread.")
    print(f"> T: ended after T s without reaching it; the limit is {limit:g} s of training.\n")
    headings = ["solver", "versions", "parameters", "boundary weight", "process s", "/ kanpde", "solve s", "/ kanpde"]
    print(f"| {' | '.join(headings)} | best error |\n|{'---|' * (len(headings) + 1)}")
    for name in names:
        own = runs.get("kanpde", [])
        if len(runs[name]) < seeds:
            print(f"{name} broke in {seeds - len(runs[name])} of {seeds} runs", file=sys.stderr)
        print(row(name, runs[name], own) if runs[name] else f"| {name} | broke in every run | | | | | | | |")


def scan(names: Sequence[str], cache: Path, limit: float, target: float) -> None:
    """Try every boundary weight once, for the peers that have one."""
    print(f"Best error within {limit:g} s of training, seed 0; seconds where it is {target:g}\n")
    print(f"| solver | {' | '.join(f'weight {w:g}' for w in WEIGHTS)} |\n|{'---|' * (len(WEIGHTS) + 1)}")
    for name in names:
        if PEERS[name].weight is None:
            continue
        python, cells = python_of(name, PEERS[name], cache), []
        for weight in WEIGHTS:
            found = run(name, python, 0, limit, target, weight)
            best = np.nan if found is None or found.result["best"] is None else found.result["best"]
            cells.append(f"{best:.1e}" + (f" ({found.solve:.0f} s)" if found is not None and found.reached else ""))
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=600.0, help="time limit of training in seconds")
    parser.add_argument("--target", type=float, default=1e-4)
    parser.add_argument("--only", nargs="+", choices=PEERS, default=list(PEERS), metavar="NAME")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "kanpde-peers")
    parser.add_argument("--scan", action="store_true", help="try the boundary weights instead of comparing")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    if options.scan:
        scan(options.only, options.cache, options.limit, options.target)
    else:
        compare(options.only, options.cache, options.seeds, options.limit, options.target)


if __name__ == "__main__":
    main()

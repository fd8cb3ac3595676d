"""Pruned networks on the Poisson problem of the KAN paper, beside the network that was not pruned.

    python benchmarks/pruning.py [--seeds 0 1 2]

For every seed: [2, 10, 1] by the default schedule; `kanpde.prune` of it; the same widths by ``schedule=sparse``, and
four sums and three products by it. All begin once (``schedule.starts=1``). The last column is the error divided by
that of the network that was not pruned. One thread; seconds are those of the processor.
"""

import argparse
import warnings
from collections.abc import Callable
from time import process_time

from kanpde import Solution, prune, solve
from kanpde.command.composing import config_from
from kanpde.configure.job import make_job
from kanpde.models.network import Network, trained_size
from kanpde.thinning.removal import edges_of, sizes_of


def solved(schedule: str, hidden: str, seed: int) -> Solution:
    """Return the solution of ``python -m kanpde problem=poisson problem.solution=paper`` with these options."""
    options = [f"schedule={schedule}", f"model.hidden={hidden}"]
    job = make_job(config_from(["problem=poisson", "problem.solution=paper", *options]))
    return solve(job.problem, job.model, job.schedule.phases, starts=1, seed=seed, threads=1)


CASES: dict[str, Callable[[int, Solution], Solution]] = {
    "prune": lambda seed, whole: prune(whole),
    "schedule=sparse model.hidden=[10]": lambda seed, whole: solved("sparse", "[10]", seed),
    "schedule=sparse model.hidden=[[4,3]]": lambda seed, whole: solved("sparse", "[[4,3]]", seed),
}


def row(seed: int, how: str, found: Solution, seconds: float, whole: Solution) -> str:
    """Return the figures of a network as a row of the table."""
    network, error = found.model, found.errors["u"]["l2"]
    assert isinstance(network, Network)
    sizes = f"{sizes_of(network)} | {edges_of(network)} | {trained_size(network)}"
    return f"| {seed} | {how} | {sizes} | {error:.1e} | {seconds:.0f} | {error / whole.errors['u']['l2']:.2g} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    warnings.simplefilter("ignore")
    heads = ["seed", "how", "network", "edges", "parameters", "error", "seconds", "error / not pruned"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for seed in parser.parse_args().seeds:
        began = process_time()
        whole = solved("refine", "[10]", seed)
        print(row(seed, "not pruned", whole, process_time() - began, whole), flush=True)
        for how, make in CASES.items():
            began = process_time()
            found = make(seed, whole)
            print(row(seed, how, found, process_time() - began, whole), flush=True)


if __name__ == "__main__":
    main()

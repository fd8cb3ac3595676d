"""Driver of `peers.py`: the solvers of classical.py on successively finer grids up to the target; all solves count."""

from importlib import import_module
from time import perf_counter

IMPORTED = perf_counter()

from classical import collocation, finite_elements  # noqa: E402
from peer_clock import Clock, options  # noqa: E402

LADDERS = {  # sizes in order; the package whose version is reported, and its imported module
    "chebyshev": ([lambda n=n: collocation(n) for n in (4, 6, 8, 10, 12, 16, 20)], "scipy", "scipy.interpolate"),
    "fem": ([lambda m=m: finite_elements(2, m) for m in (8, 16, 32, 64, 128)], "scikit-fem", "skfem.models.poisson"),
}


def main() -> None:
    chosen = options(__doc__)
    ladder, package, module = LADDERS[chosen.method]
    import_module(module)  # otherwise the import would count as solving time
    clock, unknowns = Clock(IMPORTED, chosen.limit, chosen.target), 0
    clock.start()
    for solve in ladder:
        evaluate, unknowns = solve()
        if clock.is_over(evaluate, always=True):
            break
    clock.report(unknowns, package)


if __name__ == "__main__":
    main()

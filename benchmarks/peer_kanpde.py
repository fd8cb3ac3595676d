"""Driver of `peers.py`: kanpde as `python -m kanpde problem=poisson` runs it, stopped at the target.

`kanpde.solve` itself measures the error, and that time counts as training. As for every peer, the target is reached
when the network in training reaches it, here during the first of the starts.
"""

from time import perf_counter

IMPORTED = perf_counter()

from accuracy import load_problem  # noqa: E402
from peer_clock import Clock, options  # noqa: E402

import kanpde  # noqa: E402
from kanpde.training.phases import Progress  # noqa: E402


class Reached(Exception):
    """Raised when the error reaches the target."""


def main() -> None:
    chosen = options(__doc__)
    clock = Clock(IMPORTED, chosen.limit, chosen.target)
    parameters = [0]

    def observe(progress: Progress) -> None:
        parameters[0] = progress.parameters
        clock.note(progress.error, clock.seconds)
        if clock.reached is not None:
            raise Reached

    problem = load_problem("poisson")
    clock.start()
    try:
        solution = kanpde.solve(problem, seed=chosen.seed, time_limit=chosen.limit, observe=observe)
        clock.note(solution.errors["u"]["l2"], clock.seconds)
    except Reached:
        pass
    clock.report(parameters[0], "torch")


if __name__ == "__main__":
    main()

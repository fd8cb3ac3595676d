"""The next window of time of ordinary differential equations: its length, until its local error is permitted."""

from dataclasses import dataclass, replace
from math import ceil, inf, log10

from kanpde.models.trajectory import Trajectory
from kanpde.problem import Problem
from kanpde.training.breaks import first_jump
from kanpde.training.ordinary import Ordinary
from kanpde.training.ordinary_window import OrdinaryWindow, TrainedWindow
from kanpde.training.settings import Settings
from kanpde.training.state import March
from kanpde.training.stepping import (
    LONGER,
    MARGIN,
    MORE,
    NOT_CONVERGED,
    SHORTEST,
    Stuck,
    allowed_error,
    end_after,
    factor,
    observer,
    relative,
)
from kanpde.training.surroundings import Surroundings, limit

FEWEST, PER_DIGIT = 6, 1.2  # polynomials, and how many more for every digit of the pass
MOST = {3: 12, 4: 9}  # polynomials by order: rounding errors of a derivative grow like its power 2 of their number
MOST_JUMPS = 3  # successive attempts at a window that end where the equations seem to jump
SHORT_WINDOWS = 3  # so many of them together may be shorter than the shortest: a jump may be near either side of an end
SLIDING = (
    "the equations jump there, and the solution leaves the jump on neither side (a sliding mode). Write a steep smooth "
    "function instead, such as torch.tanh(u / 0.01) for torch.sign(u)"
)
ROUNDING = 1e-15  # of the largest unknown: the error that no length avoids, in an equation of first order


@dataclass(frozen=True)
class OrdinaryStepper:
    """Takes one window after the other: what stays the same during a run."""

    settings: Settings
    ordinary: Ordinary
    around: Surroundings

    @property
    def lasting(self) -> Problem:
        """The problem without its initial conditions."""
        return replace(self.settings.problem, conditions=self.ordinary.conditions)

    def after_window(self, history: list[dict[str, float]], march: March) -> March:
        """Return what is known after the next window; unchanged after a request to stop or at the time limit.

        Raises:
            Stuck: the window would be too short.
        """
        settings, ordinary = self.settings, self.ordinary
        begin, rows, unchanged, length, longer = march.done.end, len(history), march, march.length, LONGER
        modes = ceil(FEWEST - PER_DIGIT * log10(march.aim))
        if ordinary.order >= min(MOST):
            modes = min(modes, MOST[min(ordinary.order, max(MOST))])
        done, finer = march.done, march.finer
        assert isinstance(done, Trajectory) and isinstance(finer, Trajectory)
        shortest = SHORTEST * ordinary.duration
        jump, jumps, is_left = None, 0, False  # the time up to which the next attempt goes; attempts with a jump
        while True:
            end = end_after(ordinary.times[1], begin, length) if jump is None else jump
            in_a_row = end - done.times[-SHORT_WINDOWS] if done.count >= SHORT_WINDOWS else inf
            if (jump is None and end - begin < shortest) or in_a_row < shortest:
                cause = SLIDING if jumps or is_left or in_a_row < shortest else "does the solution end there?"
                raise Stuck(f"at t = {begin:.6g} the windows of time become too short; {cause}")
            window = OrdinaryWindow(settings, ordinary, (begin, end), done.state, finer.state)
            found = window.trained(modes, observer(settings, ordinary, self.around, history, march))
            march = replace(march, trained=march.trained + 1)
            if limit(settings, self.around) is not None:
                del history[rows:]  # the window will be begun again
                return unchanged
            before, jump = jump, None if found is None or jumps == MOST_JUMPS else self.jump_in(found, (begin, end))
            if jump is not None:
                jumps += 1
                continue
            # a residual that remains, though the windows before had none, is that of a jump which the solution follows
            is_left = found is not None and not found.is_explained and done.count > 0 and march.unexplained == 0
            if found is None or not found.is_seen or is_left:
                length, longer = NOT_CONVERGED * (end - begin), 1.0
                continue
            allowed = allowed_error(ordinary, settings.floor, march, found.values, end)
            rounding = ROUNDING * modes ** (2 * ordinary.order - 2)
            allowed = allowed + rounding * (found.values / (end - begin)).sqrt().amax()
            excess = float((found.local / allowed).max())
            if excess <= 1:
                after = self.accepted(march, found, end, excess, modes, longer)
                return after if before is None else replace(after, length=max(after.length, march.length))
            length, longer = (end - begin) * factor(excess, modes, 0.2, 0.8), 1.0

    def jump_in(self, found: TrainedWindow, window: tuple[float, float]) -> float | None:
        """Return the first time inside a window at which the equations jump, as far as its solution shows it."""
        return first_jump(self.lasting, Trajectory(window, found.weight[None]), window)

    def accepted(
        self, march: March, found: TrainedWindow, end: float, excess: float, modes: int, longer: float
    ) -> March:
        """Return what is known after a window whose local error is small enough, and the length of the next one."""
        length = end - march.done.end
        done, finer = march.done, march.finer
        assert isinstance(done, Trajectory) and isinstance(finer, Trajectory)
        errors, values = march.errors + found.errors, march.values + found.values
        error = relative(errors, values, self.settings.floor, self.ordinary.measure(end))
        is_damped = march.number == 0 and excess > MARGIN and error < MARGIN * march.aim
        return replace(
            march,
            done=done.followed_by(found.weight, end, found.state),
            finer=finer.followed_by(found.finer_weight, end, found.finer_state),
            length=min(length * factor(excess, modes, 0.5, longer), march.longest),
            squares={name: march.squares.get(name, 0.0) + length * each for name, each in found.squares.items()},
            share=march.share * (MORE if is_damped else 1.0),
            errors=errors,
            values=values,
            looseness=max(march.looseness, found.looseness),
            unexplained=march.unexplained + (0.0 if found.is_explained else float(found.values.sum())),
            points=march.points + found.points,
        )

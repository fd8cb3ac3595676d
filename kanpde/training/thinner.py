"""Pruning at the end of a phase (`kanpde.thinning`), with the points and the optimizer of the phase."""

from dataclasses import replace

from kanpde.models.network import Network
from kanpde.thinning.pruning import STEPS, pruned, record
from kanpde.thinning.retraining import Retraining
from kanpde.training.fresh import fresh_points
from kanpde.training.settings import Settings
from kanpde.training.state import Leg, State
from kanpde.training.surroundings import Surroundings, limit


def thinned(settings: Settings, state: State, leg: Leg, around: Surroundings) -> State:
    """Return the state with a smaller network, if the phase prunes; at a limit of the run, with what was found by then.

    No checkpoint is written meanwhile, so that a run that is stopped here prunes again from the end of the phase.
    """
    phase, network = state.plan[state.phase], state.network
    if phase.prune is None or not isinstance(network, Network):
        return state
    retraining = Retraining(
        problem=settings.problem,
        points=leg.points,
        fresh=fresh_points(settings, state, state.phase, settings.seed),
        weights=leg.weights,
        optimizer=phase.optimizer,
        steps=STEPS,
        is_over=lambda: limit(settings, around) is not None,
    )
    begin = retraining.judged(network, state.coefficients)
    found = pruned(retraining, begin, phase.prune, around.log, is_trained=not phase.penalty)
    used = {**state.used, "pruned": [*state.used.get("pruned", []), *record(found)]}
    return replace(state, network=found.best.network, coefficients=found.best.coefficients, used=used)

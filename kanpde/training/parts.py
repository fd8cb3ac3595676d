"""Checks of runs with several networks, for parts of the domain or for unknowns, before training starts."""

from collections.abc import Callable

from torch import nn

from kanpde.domains.parts import Parts
from kanpde.errors import InputError
from kanpde.models.separate import SeparateNetworks
from kanpde.optimizers.variableprojection import VariableProjection
from kanpde.training.settings import Settings


def check_parts(settings: Settings, network: nn.Module, log: Callable[[str], None]) -> None:
    """Raise an error for what several networks do not have, and log a warning where two parts are not coupled."""
    problem, domain = settings.problem, settings.problem.domain
    if isinstance(network, SeparateNetworks):
        _check_several(settings, f"the model has a network for each of {', '.join(problem.unknowns)}")
    if not isinstance(domain, Parts):
        return
    _check_several(settings, f"this domain has a network for each of {', '.join(domain.by_name)}")
    equations = [c.region for c in problem.conditions.values() if c.region.is_interior]
    for k, name in enumerate(domain.by_name):
        if not any(not region.sides or k in region.sides for region in equations):
            raise InputError(
                f'The part "{name}" has no equation, so that nothing determines its function inside. Give it one: '
                f'{{"pde {name}": Condition({name}.interior, residual)}}.'
            )
    met = {frozenset(c.region.sides) for c in problem.conditions.values() if len(c.region.sides) == 2}
    for label, region in domain.parts.items():
        if len(region.sides) == 2 and frozenset(region.sides) not in met:
            one, other = label.split("|")
            log(
                f"warning: no condition couples {one} and {other}; add jump and flux_jump on "
                f'domain.interface("{one}", "{other}")'
            )


def _check_several(settings: Settings, why: str) -> None:
    """Refuse what needs one network; ``why`` says which several there are."""
    if settings.tolerance is not None:
        raise InputError(
            f"A tolerance adds points and cells to one network, and {why}. A schedule trains all of them.",
            write={"tolerance": None},
        )
    for number, phase in enumerate(settings.phases):
        if isinstance(phase.optimizer, VariableProjection):
            raise InputError(
                f"VariableProjection solves for the last layer of one network, and {why}. LM trains all of them.",
                of=f"phases.{number}",
            )

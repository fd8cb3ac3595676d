"""Checks of inverse problems before training: enough data, and coefficients whose effects differ."""

import numpy as np
from numpy.typing import NDArray

from kanpde.calculus.coefficients import as_coefficients
from kanpde.errors import InputError
from kanpde.models.network import Network
from kanpde.residuals.objective import Objective
from kanpde.training.settings import Settings
from kanpde.training.uncertainty import loose_in_words

EQUAL = 1e-10  # relative size of a combination of columns that counts as zero


def check_coefficients(settings: Settings, objective: Objective) -> None:
    """Require at least as many measured values as coefficients, and that these have different effects on the residuals.

    The untrained network is random, so that effects which are equal there, as those of a and b in the product a b, are
    equal for every solution.

    Raises:
        InputError: there are too few values, a combination of coefficients has no effect, or beside measured values one
            coefficient has none.
    """
    problem = settings.problem
    names = tuple(problem.parameters)
    rows = {name: c.region.rows for name, c in problem.trained.items() if c.region.rows is not None}
    values = sum(count * _residuals(objective, name) for name, count in rows.items())
    if rows and values < len(names):
        raise InputError(
            f"{values} measured values do not determine {len(names)} coefficients ({', '.join(names)}). Give more "
            "data, or fix coefficients: take them out of `parameters`."
        )
    if not names or objective.engine != "jets" or not isinstance(objective.model, Network):
        return
    columns = objective.linearize()[1][:, -len(names) :].double().cpu().numpy()
    sizes = np.linalg.norm(columns, axis=0)
    if (sizes == 0).any():
        if not rows:
            return  # nothing is estimated from data, and a coefficient may be left unused
        raise InputError(
            f'No residual depends on the coefficient "{names[int((sizes == 0).argmax())]}". Use it in a condition, as '
            '`p["name"]`, or take it out of `parameters`.'
        )
    loose = _loose(columns / sizes)
    if loose is not None:
        slopes = _slopes(settings, objective)
        raise InputError(
            f"The conditions do not determine {loose_in_words(names, loose / sizes * slopes)}. Replace the "
            "coefficients by fewer ones that have effects of their own."
        )


def _residuals(objective: Objective, name: str) -> int:
    """Return the number of residuals of a condition at each of its points."""
    return sum(site.rows for site in objective.sites if site.name == name) // len(objective.points[name].x)


def _loose(columns: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return a combination of the columns, which have length 1, that vanishes; None if there is none."""
    _, s, v = np.linalg.svd(columns, full_matrices=False)
    return v[-1] if s[-1] < EQUAL * s[0] else None


def _slopes(settings: Settings, objective: Objective) -> NDArray[np.float64]:
    """Return the derivatives of the coefficients by the numbers trained in their place."""
    assert objective.coefficients is not None
    trained = objective.coefficients.detach().cpu().double().tolist()
    own = as_coefficients(settings.problem.parameters).values()
    return np.array([c.slope(z) for c, z in zip(own, trained, strict=True)])

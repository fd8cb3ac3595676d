r"""Standard errors of trained coefficients: of inverse problems, and of singular functions.

With J the Jacobian of the residual vector r, the weights of the network being the other parameters, and E the part of
the coefficients' columns of J that these do not explain (the residuals of least squares on all other columns),

$$\mathrm{Cov}\, c = \frac{|r|^2}{m - p}\, (E^T E)^{-1},$$

with m entries of r and p parameters, as in nonlinear regression (G. Seber, C. Wild, Nonlinear Regression, 1989,
section 2.1). The standard error is the root of the variance plus the square of the Gauss-Newton step
$(E^T E)^{-1} E^T r$, the change of the coefficient that training has left undone, which is small at a minimum. There,
if a coefficient changes by one standard error and all else adapts, |r|² grows by the factor 1 + 1 / (m - p). For
measured values with independent errors this is the usual standard error. The residuals of an equation without measured
values are deterministic and not independent: then it says how sharply the conditions determine the coefficient at the
present size of the residuals, and no probability belongs to it.

Points and residuals are fresh ones, which were not trained on, because training makes residuals small at its points.
"""

from collections.abc import Sequence

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from kanpde.calculus.coefficients import as_coefficients
from kanpde.models.network import Network, singular_coefficients, trained_size
from kanpde.residuals.objective import Objective
from kanpde.training.fresh import fresh_points
from kanpde.training.settings import Settings
from kanpde.training.state import State

MOST_PARAMETERS = 2000  # the cost grows with their square, times the number of points
CUT = 1e-13  # relative size of singular values that count as zero


def standard_errors(settings: Settings, state: State) -> dict[str, float]:
    """Return the standard errors of all trained coefficients by name; {} if there are none, or without a Jacobian."""
    names = [*singular_coefficients(state.network), *state.named_coefficients(settings.problem)]
    is_large = trained_size(state.network) > MOST_PARAMETERS
    if not names or not state.phase or settings.derivatives != "jets" or is_large:
        return {}
    if not isinstance(state.network, Network) or not state.network.layers:
        return {}
    points = fresh_points(settings, state, state.phase - 1, settings.seed + state.phase)
    weights = state.used["weights"]
    objective = Objective(settings.problem, state.network, points, weights, state.coefficients)
    r, jacobian = objective.linearize()
    found = errors_of_last(jacobian.double().cpu().numpy(), r.double().cpu().numpy(), len(names))
    if found is None:
        return {}
    trained = [] if state.coefficients is None else state.coefficients.tolist()
    own = as_coefficients(settings.problem.parameters).values()
    slopes = [abs(c.slope(z)) for c, z in zip(own, trained, strict=True)]  # those of singular functions are 1
    factors = [1.0] * (len(names) - len(slopes)) + slopes
    return {name: error * factor for name, error, factor in zip(names, found, factors, strict=True)}


def errors_of_last(jacobian: NDArray, r: NDArray, count: int) -> Sequence[float] | None:
    """Return the standard errors of the last ``count`` parameters; None if they are not determined."""
    sizes = np.linalg.norm(jacobian, axis=0)
    scaled = jacobian / np.where(sizes > 0, sizes, 1.0)
    others, own = scaled[:, :-count], scaled[:, -count:]
    try:
        explained = scipy.linalg.lstsq(others, own, cond=CUT, lapack_driver="gelsy")
    except (ValueError, np.linalg.LinAlgError):
        return None
    assert explained is not None
    left = own - others @ explained[0]
    freedom = len(r) - jacobian.shape[1]
    if freedom < 1 or np.linalg.matrix_rank(left) < count:
        return None
    inverse = np.linalg.inv(left.T @ left)
    step = inverse @ (left.T @ r)
    rest = r - left @ step
    variance = (rest @ rest) / freedom * np.diag(inverse)
    return (np.sqrt(variance + step**2) / sizes[-count:]).tolist()

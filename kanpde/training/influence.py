r"""The influence of the inputs of a fit, by shuffling one column of the rows for validation at a time.

If a column has no influence on the targets and does not depend on the other columns, rows in which it is shuffled have
the same distribution as before, whatever the network does with it. With the squared residuals a_n after and b_n before,
the differences $d_n = (a_n - b_n) / (a_n + b_n)$ are then distributed symmetrically, and their mean is 0 up to its
standard error $s / \sqrt{n}$; an influence makes it positive. A column is idle if the mean is below `SURE` standard
errors. (L. Breiman, Random forests, 2001, section 10, without a test.)
"""

from dataclasses import replace
from math import sqrt

import torch
from torch import Tensor

from kanpde.domains import Points
from kanpde.residuals.evaluation import components_of, from_components, residuals_of
from kanpde.training.fresh import fresh_points
from kanpde.training.settings import Settings
from kanpde.training.state import State

SURE = 3.0  # standard errors of the mean difference, above which an influence is certain
LEAST_ROWS, MOST_ROWS = 50, 5000


def idle_columns(settings: Settings, state: State) -> list[str]:
    """Return the inputs of a fit without influence on the rows for validation; [] if the rows are too few to tell."""
    if not settings.problem.is_fit or not state.levels or not state.phase:
        return []
    (name, points), *_ = fresh_points(settings, state, state.phase - 1, settings.seed).items()
    if len(points.x) < LEAST_ROWS:
        return []
    data = None if points.data is None else points.data[:MOST_ROWS]
    few = Points(points.x[:MOST_ROWS], points.weight[:MOST_ROWS], data=data)
    generator = torch.Generator().manual_seed(settings.seed)
    unknowns = from_components(settings.problem, components_of(state.network, settings.derivatives))

    def squares(x: Tensor) -> Tensor:
        rows = replace(few, x=x)
        residuals = residuals_of(settings.problem, name, unknowns, rows, state.named_coefficients(settings.problem))
        return torch.stack(residuals).square().sum(dim=0)

    before, idle = squares(few.x), []
    for k, column in enumerate(settings.problem.domain.names):
        x = few.x.clone()
        x[:, k] = x[torch.randperm(len(x), generator=generator, device="cpu").to(x.device), k]
        after = squares(x)
        difference = ((after - before) / (after + before)).nan_to_num()  # 0 where both are 0
        if float(difference.mean()) <= SURE * float(difference.std()) / sqrt(len(x)):
            idle.append(column)
    return idle

r"""Automatic weights of the conditions, computed from the operators without tuning.

A second-order residual is far more sensitive to an error of the solution than a boundary value. The automatic weights
make all conditions equally sensitive to an error of moderate wavelength: a plane wave
w(x) = sin(κ·ξ + phase) in one unknown, ξ being the coordinates mapped to [-1, 1] and every entry of κ equal to
`WAVE_NUMBER`. With R_c' the derivative of the residual at the present solution, the condition's gain is
g_c² = mean |R_c' w|² over its points, summed over the unknowns, and w_c = max_b g_b² / g_c². On a domain of several
parts ξ are the coordinates in the ranges of the part, w is in one part only, with an amplitude that depends on the part
(`kanpde.residuals.part_scales`), and g_c² is also summed over the parts. For Poisson on [-1, 1]²
that is (2 κ²)² on the boundary and 1 inside. (With an ansatz the wave is added to the input of the ansatz.)

An integral f concerns long waves only, and a heavy single row would make training slow, so its weight makes it as
sensitive as the most sensitive other condition is to a wave with every entry of κ equal to `LONG`. Its gain is the
bound |R|² mean |f' w|² of |∫ f' w|², R being the region; the integral of the wave itself may nearly vanish.

Measured values with known standard errors weigh less beside an equation (`weights_of_data`): they have errors, and the
equation has none. Their conditions c with n_c rows get the weights n_c v, with which every residual in standard errors
counts the same, and v is such that the wave costs `EXACTNESS` times as much in another condition as in all data.
"""

from collections.abc import Mapping, Sequence
from math import isfinite, pi

import torch
from torch import Tensor, nn

from kanpde.calculus.context import Context
from kanpde.calculus.jet import LAPLACIAN, JetSpace, Key
from kanpde.domains.parts import ranges_of
from kanpde.models.network import Network, on_side
from kanpde.problem import Problem
from kanpde.residuals.engines import Rows, autograd
from kanpde.residuals.part_scales import amplitudes
from kanpde.residuals.site import IntegralSite, Site, site_residuals

WAVE_NUMBER, LONG = 4.0, 1.0
EXACTNESS = 1e4  # the equation then holds 100 times as exactly as the data, and data do not bend it


def automatic_weights(
    model: nn.Module,
    sites: Sequence[Site | IntegralSite],
    coefficients: Tensor | None = None,
    derivatives: str = "jets",
) -> dict[str, float]:
    """Return the weight of every trained condition; it is 1 for the condition with the largest gain.

    Args:
        model: the present solution.
        sites: the conditions at their training points, ``sites_of(problem, points)``.
        coefficients: of an inverse problem, (parameters,).
        derivatives: the engine, "jets" or "autograd".
    """
    named = [] if coefficients is None else list(coefficients.unbind(0))
    at_points = [site for site in sites if isinstance(site, Site)]
    integrals = [site for site in sites if isinstance(site, IntegralSite)]
    weights = _equal_weights(model, at_points, named, derivatives)
    if integrals:
        largest = max(_long_gains(model, at_points, named, derivatives).values(), default=1.0)
        pieces = [piece for site in integrals for piece in site.pieces]
        gains = _long_gains(model, pieces, named, derivatives)
        weights |= {name: largest / gain if gain > 0 and largest > 0 else 1.0 for name, gain in gains.items()}
    return {site.name: weights[site.name] for site in sites}


def _long_gains(
    model: nn.Module, sites: Sequence[Site], coefficients: Sequence[Tensor], derivatives: str
) -> dict[str, float]:
    """Return the squared gain of every condition for long waves, summed over the parts of the domain."""
    found = dict.fromkeys([site.name for site in sites], 0.0)
    for site in sites:
        present = _present(model, site, derivatives)
        measure = 1.0 if site.condition.integral is None else site.condition.integral.measure
        for side in site.sides:
            found[site.name] += measure**2 * squared_gain(site, present, coefficients, side, LONG)
    return found


def _equal_weights(
    model: nn.Module, sites: Sequence[Site], coefficients: Sequence[Tensor], derivatives: str
) -> dict[str, float]:
    """Return the weights of conditions at points; 1 for a residual that is not finite, which ends the run."""
    waves: dict[str, dict[int | None, float]] = {site.name: {} for site in sites}
    constants: dict[str, dict[int | None, float]] = {site.name: {} for site in sites}
    interfaces = set()
    for site in sites:
        present = _present(model, site, derivatives)
        sides = dict.fromkeys(context.side for context in site.contexts)
        interfaces |= {site.name} if len(sides) > 1 else set()
        for side in sides:
            for found, number in ((waves, WAVE_NUMBER), *([] if side is None else [(constants, 0.0)])):
                gain = squared_gain(site, present, coefficients, side, number)
                found[site.name][side] = found[site.name].get(side, 0.0) + gain
    sizes: Mapping[int | None, float] = {None: 1.0}
    if any(constants.values()):
        sizes = amplitudes(waves, constants, interfaces)
    gains = {name: sum(sizes[side] ** 2 * gain for side, gain in each.items()) for name, each in waves.items()}
    largest = max((gain for gain in gains.values() if isfinite(gain)), default=1.0)
    return {name: largest / gain if gain > 0 and isfinite(gain) else 1.0 for name, gain in gains.items()}


def _present(model: nn.Module, site: Site, derivatives: str) -> list[Rows]:
    """Return the components of the present solution at the points of a site and at their images."""
    return [[r.detach() for r in _rows(model, context, site.space, derivatives)] for context in site.contexts]


def weights_of_data(problem: Problem, automatic: Mapping[str, float], exactness: float = EXACTNESS) -> dict[str, float]:
    """Return the weights of measured values with known standard errors beside an equation; {} of a fit."""
    rows = {name: c.region.rows for name, c in problem.trained.items() if c.region.rows and c.noise}
    if problem.is_fit or not rows:
        return {}
    v = 1.0 / (exactness * sum(count / automatic[name] for name, count in rows.items()))
    return {name: v * count for name, count in rows.items()}


def _rows(model: nn.Module, context: Context, space: JetSpace, derivatives: str) -> Rows:
    """Return the network's components, by the same operations as in training."""
    model, x = on_side(model, context.side), context.x
    if derivatives == "jets":
        assert isinstance(model, Network)
        return model.jet(x, space, model.head(x, space)).unbind(0)
    return autograd(model, x, space)


def squared_gain(
    site: Site,
    present: Sequence[Rows],
    coefficients: Sequence[Tensor] = (),
    side: int | None = None,
    number: float = WAVE_NUMBER,
) -> float:
    """Return Σ over unknowns of the mean of |R' w|² over the condition's points and two phases a quarter wave apart.

    Args:
        site: the condition at its points.
        present: components of the present solution at the points and at each of their images.
        coefficients: of an inverse problem.
        side: the part of the domain in which the wave is; None without parts.
        number: the wave number; 0 for constants.
    """
    weight, like, total = site.points.weight, present[0][0], 0.0
    for unknown in range(like.shape[1]):
        only = torch.zeros_like(like[0])
        only[unknown] = 1.0
        for phase in (0.0, 0.5 * pi):
            # the wave's amplitude, one per point: residuals are pointwise, so that one backward pass gives R' w
            size = torch.zeros(len(like), 1, dtype=like.dtype, device=like.device, requires_grad=True)
            moved = [
                [
                    row + size * _wave(site, context, key, phase, number)[:, None] * only
                    for row, key in zip(rows, site.space.keys, strict=True)
                ]
                if context.side == side
                else rows
                for rows, context in zip(present, site.contexts, strict=True)
            ]
            for residual in site_residuals(site, moved, coefficients):
                if residual.requires_grad:
                    answer = torch.autograd.grad(residual.sum(), size, retain_graph=True, allow_unused=True)[0]
                    total += 0.0 if answer is None else float(weight @ answer[:, 0].square()) / 2
    return total


def _wave(site: Site, context: Context, key: Key, phase: float, number: float) -> Tensor:
    """Return the component ``key`` of the wave at the points: each derivative gives a factor and a shift by π/2."""
    x = context.x
    ranges = torch.tensor(ranges_of(site.problem.domain, context.side), dtype=x.dtype, device=x.device)
    rates = 2 * number / (ranges[:, 1] - ranges[:, 0])
    angle = ((x - ranges[:, 0]) * rates).sum(dim=1) + phase
    factor = rates[list(context.space)].square().sum() if key == LAPLACIAN else rates[list(key)].prod()
    return factor * torch.sin(angle + len(key) * 0.5 * pi)

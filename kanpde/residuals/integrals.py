r"""Conditions on integrals: one residual, the integral over a region minus a value.

The quadrature weights $q_n$ of points sum to 1, so with the measure |R| of the region the residual is
$|R| \sum_n q_n f(x_n) - v$. Its row of the Jacobian is the gradient of that sum, which is computed piece by piece.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import isfinite
from numbers import Real
from typing import Any

import torch

from kanpde.calculus.systems import pick
from kanpde.conditions.condition import Condition, Integral
from kanpde.domains import Points, Region
from kanpde.errors import Code, InputError

ALONG, LEAST_POINTS = (30, 200), 900  # limits along each free coordinate; for an integral, however few are asked for
FRESH = 1.5  # times as many points, and so different ones, where random points are asked for


def integral(region: Region, integrand: str | Callable[..., Any], value: float = 0.0) -> Condition:
    r"""∫ integrand dR = value, one residual for the whole region.

    ``integral(domain.interior, "p")`` makes the mean pressure 0, ``integral(domain.interior, lambda u: u * u, 1.0)``
    normalizes u, and ``integral(domain.boundary, lambda u: gradient(u).dot(u.normal), 2.0)`` prescribes a flux.

    The integral is over all coordinates of the region: with time, ``domain.interior`` means space and time. For the
    integral over space at one time take ``domain.at(t=0.5)``, with one condition for each time. Points are Gauss points
    (in more than three coordinates Sobol points) whichever rule the sampling names, because integrals of random points
    are inaccurate; their number is that of an equation on the region.

    Args:
        region: any region of the domain, such as ``domain.interior``, a part of the boundary, or a slice.
        integrand: the name of an unknown, or a function that is called like a residual, with one field per unknown (and
            last the problem's parameters, if it has any), and returns one field or tensor.
        value: of the integral, in units of the integrand times those of the region's measure.

    Raises:
        InputError: the value is not a finite number, the region consists of measured points, or its measure is not
            known.
    """
    if not isinstance(value, Real) or not isfinite(value):
        raise InputError(f"The value of an integral must be a finite number, got {value!r}.", write={"value": 1.0})
    if not isinstance(region, Region):
        raise InputError(
            f"An integral is over a region of the domain, got a {type(region).__name__}.",
            write={"region": Code("domain.interior")},
        )
    if region.is_measured:
        raise InputError(
            f'An integral needs a region of the domain, and "{region.label}" consists of measured points. Take '
            "`domain.interior` or a part of the boundary."
        )
    given = integrand
    residual = given if callable(given) else lambda *fields: pick(fields, given)

    free = max(len(region.names) - len(piece) for piece in region.fixed)
    least, most = min(region.pieces * ALONG[0] ** free, LEAST_POINTS), region.pieces * ALONG[1] ** free

    def draw(rule: str, n: int, generator: torch.Generator, device: torch.device, dtype: torch.dtype) -> Points:
        wanted = round((FRESH if rule == "uniform" else 1.0) * max(n, least))
        return region.draw("auto", min(wanted, most), generator, device, dtype)

    share = 1.0 if region.is_interior else region.share  # as many points as an equation there has
    points = replace(region, is_interior=False, share=share, draw=draw)
    return Condition(points, residual, integral=Integral(region.measure, float(value)))

"""Whether the parts of a domain fit together: neither overlaps nor gaps, checked at points of their boundaries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from kanpde.domains.region import Points
from kanpde.errors import InputError

SAMPLES = 600  # by a rule without eigenvalues, unlike that of Gauss
STEP, GAP = 1e-6, 1e-3  # in units of the size: to tell the two sides of a boundary; widths of gaps that are found
LEAST = 0.02  # share of a boundary along which there is a gap; in an acute notch two parts are near each other too


def size_of(part: Any) -> float:
    """Return the longest side of the bounding box in space."""
    return max(part.ranges[i][1] - part.ranges[i][0] for i in part.space)


def boundary_of(part: Any, n: int = SAMPLES) -> Points:
    """Return points on the boundary of a part by which it is examined."""
    return part.boundary.sample("chebyshev", n)


def is_outward(part: Any, points: Points) -> Tensor:
    """Return at which points the normal leaves the part."""
    assert points.normal is not None
    step = STEP * size_of(part) * points.normal
    return part.contains(points.x - step) & ~part.contains(points.x + step)


def check_touching(parts: Mapping[str, Any]) -> None:
    """Require that parts overlap nowhere, and that each of them meets another one.

    Raises:
        InputError: two parts overlap, a gap lies between two, or a part meets no other.
    """
    for name, part in parts.items():
        edge, others = boundary_of(part), {k: v for k, v in parts.items() if k != name}
        assert edge.normal is not None
        inside = part.interior.sample("chebyshev", SAMPLES).x
        meets = False
        for other, of_other in others.items():
            inward = edge.x - STEP * size_of(part) * edge.normal
            for x in (inside, inward):
                if bool((common := of_other.contains(x)).any()):
                    raise InputError(
                        f"The parts {name} and {other} overlap, as at {place(part, x[common][0])}. Take one from the "
                        f"other, such as {other}={other} - {name}."
                    )
            on = of_other.contains(edge.x)
            meets |= bool(on.any())
            near = ~on & of_other.contains(edge.x + GAP * size_of(part) * edge.normal)
            if float(edge.weight @ near.to(edge.weight)) > LEAST:
                raise InputError(
                    f"There is a gap between the parts {name} and {other}: the boundary of {name} at "
                    f"{place(part, edge.x[near][0])} is near {other}, but not on it. Let both have the same boundary "
                    "there, made by the same shape."
                )
        if not meets:
            raise InputError(
                f"The part {name} meets none of {', '.join(others)}: no point of its boundary lies in another part. "
                "Parts that do not touch are separate problems; if they should touch, there is a gap between them."
            )


def place(domain: Any, x: Tensor) -> str:
    """Return a point in words."""
    return ", ".join(f"{name} = {value:.4g}" for name, value in zip(domain.names, x.tolist(), strict=True))


def extent(part: Any) -> float:
    r"""Return the length or area of a part's boundary in space.

    By the divergence theorem $\int (x - c) \cdot n = d\,|\Omega|$, with the mean over the boundary from its points.
    """
    points, space = boundary_of(part), list(part.space)
    assert points.normal is not None
    x, normal = points.x[:, space], points.normal[:, space]
    mean = float(points.weight @ ((x - x.mean(dim=0)) * normal).sum(dim=1))
    return len(space) * part.measure / duration(part) / mean


def duration(part: Any) -> float:
    """Return the length of the range of t; 1 without time."""
    return 1.0 if part.time is None else part.ranges[part.time][1] - part.ranges[part.time][0]

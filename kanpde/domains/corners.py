"""Re-entrant corners, at which solutions have singular derivatives."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CornerPoint:
    """A corner of the boundary in the plane: its position, its interior angle in radians, and the names of the two
    parts of the boundary that meet there.
    """

    at: tuple[float, float]
    angle: float
    parts: tuple[str, str]

"""Corners of shapes in the plane."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CornerPoint:
    """A corner of a boundary: its place, its interior angle in radians, and the names of the parts that meet there."""

    at: tuple[float, float]
    angle: float
    parts: tuple[str, str]

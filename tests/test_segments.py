"""Sides of closed polygons that cross or touch, against exact fractions."""

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest

from kanpde.domains.segments import meeting


def exactly_cross(a, b, c, d):
    """Whether two segments cross, in exact arithmetic."""

    def side(p, q, r):
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


@pytest.mark.parametrize("count", [3, 4, 5, 40, 300])
def test_crossings_are_those_of_exact_arithmetic(count):
    corners = np.random.default_rng(count).integers(-1000, 1000, (count, 2)).astype(float)
    exact = [tuple(map(Fraction, corner)) for corner in corners[: min(count, 40)]]
    wanted = [
        (i, j)
        for i, j in combinations(range(min(count, 40) - 1), 2)
        if j - i > 1 and exactly_cross(exact[i], exact[i + 1], exact[j], exact[j + 1])
    ]
    found = [(i, j) for i, j in meeting(corners).tolist() if j < min(count, 40) - 1]
    assert found == wanted


def test_sides_that_touch_count_with_a_tolerance():
    corners = np.array([(0.0, 0.0), (4.0, 0.0), (4.0, 2.0), (2.0, 1e-10), (0.0, 2.0)])
    assert meeting(corners).tolist() == [] and meeting(corners, 1e-9).tolist() == [[0, 2], [0, 3]]

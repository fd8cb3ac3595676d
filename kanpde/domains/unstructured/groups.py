"""Named parts of a mesh: sets of facets and sets of cells."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kanpde.domains.unstructured.topology import Topology
from kanpde.errors import InputError


def checked_groups(
    topology: Topology, facets: Mapping[str, ArrayLike], subdomains: Mapping[str, ArrayLike]
) -> tuple[dict[str, NDArray], dict[str, NDArray], dict[str, NDArray]]:
    """Return the sets of facets (their corners), of cells (their numbers), and the sides of the former.

    A set called "boundary" or "interior" must be that, and is left out.

    Raises:
        InputError: a name is empty or is used twice, a facet or cell does not exist, or a set is empty.
    """
    twice = sorted(facets.keys() & subdomains.keys())
    if twice:
        raise InputError(f'"{twice[0]}" is a name of facets and of cells. Rename one of them.')
    corners = {name: np.array(rows, dtype=int) for name, rows in facets.items()}
    numbers = {name: np.unique(np.array(rows, dtype=int)) for name, rows in subdomains.items()}
    count = sum(map(len, topology.nodes))
    for name, rows in (*corners.items(), *numbers.items()):
        if not name or not len(rows):
            raise InputError(f'Every group has a name and facets or cells; "{name}" has {len(rows)}.')
    for name, rows in corners.items():
        if rows.ndim != 2 or rows.max() >= len(topology.points):
            raise InputError(f'"{name}" has rows of the nodes of facets, from 0 to {len(topology.points) - 1}.')
    for name, rows in numbers.items():
        if rows[0] < 0 or rows[-1] >= count:
            raise InputError(f'Cells are numbered from 0 to {count - 1}, and "{name}" has {rows[0]} to {rows[-1]}.')
    sides = {name: topology.sides_of(name, rows) for name, rows in corners.items()}
    if "interior" in corners or "boundary" in numbers:
        raise InputError('"interior" names all cells, and "boundary" all facets at the boundary. Rename the group.')
    if len(numbers.pop("interior", np.arange(count))) < count:
        raise InputError('The group "interior" has some of the cells only. Rename it: that name means all cells.')
    whole = np.flatnonzero(topology.is_outer)
    if not np.array_equal(np.sort(sides.pop("boundary", whole)), whole):
        raise InputError(
            'The group "boundary" is not the whole boundary, which that name means. Rename it, such as to "wall".'
        )
    corners.pop("boundary", None)
    return corners, numbers, sides

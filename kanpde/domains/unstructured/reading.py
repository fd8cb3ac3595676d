"""Meshes and their named groups from files, through meshio."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import meshio
import numpy as np
from numpy.typing import NDArray

from kanpde.domains.unstructured.kinds import KINDS
from kanpde.domains.unstructured.topology import place
from kanpde.errors import InputError, suggest

_GROUPS = ("point", "curve", "surface", "volume")  # gmsh's words, for groups without a name
_FLAT = 1e-12  # the extent of a constant coordinate, relative to the largest


@dataclass
class Content:
    """What a file holds of a domain.

    ``points`` (nodes, dim), ``cells`` by kind (cells, nodes), ``facets`` by name of the group the corners
    (facets, corners), ``subdomains`` by name the numbers of cells, which count through all kinds, ``names`` of the
    coordinates, and ``notes`` on what was left out.
    """

    points: NDArray
    cells: dict[str, NDArray]
    facets: dict[str, NDArray]
    subdomains: dict[str, NDArray]
    names: tuple[str, ...]
    notes: list[str] = field(default_factory=list)


def read_file(path: Path) -> meshio.Mesh:
    """Return what meshio reads; .msh is gmsh's format.

    Raises:
        InputError: there is no such file, or it is not a mesh that meshio can read.
    """
    if not path.is_file():
        near = [p.name for p in path.parent.glob(f"*{path.suffix}")] if path.parent.is_dir() else []
        hint = suggest(path.name, near) if near else "Give the path of a mesh, such as part.msh."
        raise InputError(f'There is no file "{path}" (in {Path.cwd()}). {hint}')
    said = io.StringIO()  # meshio prints, and on errors ends the program
    try:
        with redirect_stdout(said), redirect_stderr(said):
            mesh = meshio.read(path, file_format="gmsh" if path.suffix == ".msh" else None)
    except (Exception, SystemExit) as error:
        reason = " ".join(f"{said.getvalue()} {'' if isinstance(error, SystemExit) else error}".split())
        raise InputError(
            f'"{path}" cannot be read as a mesh ({type(error).__name__}: {reason or "no mesh in it"}). Give a file '
            "that meshio reads, such as gmsh's .msh in version 2.2 or 4.1."
        ) from None
    _check_names(path)
    return mesh


def _check_names(path: Path) -> None:
    """Refuse a .msh file in which groups of different dimensions have one name; meshio keeps one of them."""
    if path.suffix != ".msh":
        return
    dims: dict[str, str] = {}
    with path.open("rb") as file:
        inside = False
        for line in file:
            if line.startswith(b"$"):
                inside = line.strip() == b"$PhysicalNames"
                if line.strip() == b"$EndPhysicalNames":
                    return
            elif inside and line.count(b'"') == 2:
                dim, name = line.split()[0].decode(), line.split(b'"')[1].decode(errors="replace")
                if dims.setdefault(name, dim) != dim:
                    raise InputError(f'"{path}" has two groups "{name}" of different dimensions. Rename one of them.')


def content_of(mesh: meshio.Mesh) -> Content:
    """Return points, cells of the highest dimension and groups of a mesh.

    Nodes in no cell are left out: gmsh writes some, such as centres of circles. A coordinate that is the same at all
    nodes is left out.

    Raises:
        InputError: no cells, cells of a kind that is not known here, or a line or surface curved in space.
    """
    dims = [_dimension(block.type) for block in mesh.cells]
    dim = max(dims, default=0)
    if dim == 0:
        raise InputError("The mesh has no cells. If it is gmsh's, put the surface or volume into a physical group too.")
    labels = _labels(mesh, dims)
    cells, numbers = _cells(mesh, dims, dim)
    subdomains, facets, notes = {}, {}, []
    for (name, of), blocks in labels.items():
        if of == dim:
            subdomains[name] = np.unique(np.concatenate([numbers[k][index] for k, index in blocks]))
        elif of == dim - 1:
            facets[name] = _padded(
                [mesh.cells[k].data[index, : KINDS[mesh.cells[k].type].corners] for k, index in blocks]
            )
        else:
            notes.append(f'group "{name}" of dimension {of}')
    points, renumbered = _used(mesh.points, cells, facets, notes)
    names, points = _coordinates(points, dim)
    return Content(
        points,
        {name: renumbered[rows] for name, rows in cells.items()},
        {name: np.where(rows >= 0, renumbered[rows], -1) for name, rows in facets.items()},
        subdomains,
        names,
        notes,
    )


def _dimension(kind: str) -> int:
    if kind not in KINDS:
        raise InputError(
            f'The mesh has cells of the kind "{kind}", which is not known here. Mesh with {", ".join(KINDS)}.'
        )
    return KINDS[kind].dim


def _labels(mesh: meshio.Mesh, dims: list[int]) -> dict[tuple[str, int], list[tuple[int, NDArray]]]:
    """Return for every group's name and dimension the blocks and, in each, the numbers of its elements."""
    found: dict[tuple[str, int], list[tuple[int, NDArray]]] = {}
    for name, sets in mesh.cell_sets.items():
        for k, index in enumerate(sets if not name.startswith("gmsh:") else []):
            if index is not None and np.size(index):
                found.setdefault((name, dims[k]), []).append((k, np.asarray(index, dtype=int)))
    known = set(found)
    named = {(int(tag), int(dim)): name for name, (tag, dim) in mesh.field_data.items()}
    for k, tags in enumerate(map(np.asarray, mesh.cell_data.get("gmsh:physical", []))):
        for tag in np.unique(tags[tags > 0]):
            key = (named.get((int(tag), dims[k]), f"{_GROUPS[dims[k]]} {tag}"), dims[k])
            if key not in known:
                found.setdefault(key, []).append((k, np.flatnonzero(tags == tag)))
    return found


def _cells(mesh: meshio.Mesh, dims: list[int], dim: int) -> tuple[dict[str, NDArray], dict[int, NDArray]]:
    """Return the cells by kind, and for every block their numbers, which count through all kinds.

    MSH 2.2 writes a cell once for every group it is in. Copies with different groups are therefore one cell; copies
    without are kept, and found later.
    """
    blocks: dict[str, list[int]] = {}
    for k, block in enumerate(mesh.cells):
        if dims[k] == dim and len(block.data):
            blocks.setdefault(block.type, []).append(k)
    physical, cells, numbers, start = mesh.cell_data.get("gmsh:physical"), {}, {}, 0
    for kind, members in blocks.items():
        rows = np.concatenate([mesh.cells[k].data for k in members]).astype(int)
        place = np.arange(len(rows))
        if physical is not None:
            first = _first_copies(rows, np.concatenate([physical[k] for k in members]))
            kept = np.unique(first)
            place, rows = np.searchsorted(kept, first), rows[kept]
        cells[kind] = rows
        ends = np.cumsum([len(mesh.cells[k].data) for k in members])[:-1]
        numbers |= {k: start + part for k, part in zip(members, np.split(place, ends), strict=True)}
        start += len(rows)
    return cells, numbers


def _first_copies(rows: NDArray, tags: NDArray) -> NDArray:
    """Return for every cell (cells, nodes) the first one with its nodes; a copy with an equal tag is another cell."""
    label = np.unique(np.sort(rows, axis=1), axis=0, return_inverse=True)[1].reshape(-1)
    order = np.lexsort((tags, label))
    is_new = np.diff(label[order], prepend=-1) != 0
    is_new[1:] |= np.diff(tags[order]) != 0
    starts = np.flatnonzero(is_new)
    copy = np.empty(len(rows), dtype=int)
    copy[order] = np.arange(len(rows)) - starts[np.cumsum(is_new) - 1]
    _, first, which = np.unique(np.stack([label, copy]), axis=1, return_index=True, return_inverse=True)
    return first[which.reshape(-1)]


def _padded(rows: list[NDArray]) -> NDArray:
    """Return arrays with different numbers of columns as one, filled with -1."""
    width = max(part.shape[1] for part in rows)
    return np.concatenate([np.pad(p, ((0, 0), (0, width - p.shape[1])), constant_values=-1) for p in rows]).astype(int)


def _used(
    points: NDArray, cells: Mapping[str, NDArray], facets: Mapping[str, NDArray], notes: list[str]
) -> tuple[NDArray, NDArray]:
    """Return the points of cells, and for every node of the file its new number."""
    used = np.unique(np.concatenate([rows.ravel() for rows in cells.values()]))
    if used[0] < 0:
        raise InputError("A cell of the mesh has a node that the file does not have. Write the file again.")
    renumbered = np.full(len(points), -1)
    renumbered[used] = np.arange(len(used))
    for name, rows in facets.items():
        lost = rows[(renumbered[rows] < 0) & (rows >= 0)]
        if len(lost):
            raise InputError(
                f'The group "{name}" has {len(np.unique(lost))} nodes that are in no cell, the first at '
                f"{place(points[lost[0]])}. Facets and cells must have their nodes in common: mesh them together."
            )
    if len(used) < len(points):
        alone = int(np.setdiff1d(np.arange(len(points)), used)[0])
        notes.append(f"{len(points) - len(used)} nodes in no cell, the first at {place(points[alone])}")
    return np.asarray(points, dtype=float)[used], renumbered


def _coordinates(points: NDArray, dim: int) -> tuple[tuple[str, ...], NDArray]:
    """Return the coordinates that vary, and their columns."""
    finite = points[np.isfinite(points).all(axis=1)]  # the others are found later
    extent = np.ptp(finite, axis=0) if len(finite) else np.zeros(points.shape[1])
    varying = [i for i in range(points.shape[1]) if extent[i] > _FLAT * extent.max()]
    names = "".join("xyz"[i] for i in varying)
    if len(varying) > dim:
        raise InputError(
            f"The cells have dimension {dim}, but the coordinates {', '.join(names)} vary: a "
            f"{_GROUPS[dim]} in space is not a domain here. If it is the boundary of one, put the "
            f"{_GROUPS[dim + 1]} into a physical group of gmsh too, so that its cells are written."
        )
    kept = sorted({*varying, *range(dim)})[:dim] if len(varying) < dim else varying
    return tuple("xyz"[i] for i in kept), points[:, kept]

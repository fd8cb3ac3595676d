"""Fields on a mesh as VTKHDF in an HDF5 file, and the XDMF text through which ParaView before 5.12 reads the same file.

VTKHDF: https://docs.vtk.org/en/latest/design_documents/VTKFileFormats.html, UnstructuredGrid, with steps over time.
"""

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import SubElement

import h5py
import meshio
import numpy as np
from numpy.typing import NDArray

from kanpde.errors import InputError

# by meshio's name of a cell: VTK's number and XDMF's name
_CELLS = {
    "line": (3, "Polyline"),
    "triangle": (5, "Triangle"),
    "tetra": (10, "Tetrahedron"),
    "quad": (9, "Quadrilateral"),
    "hexahedron": (12, "Hexahedron"),
}
_XDMF_TYPES = {"f": "Float", "i": "Int", "u": "UInt"}


def write_array(group: h5py.Group, name: str, data: NDArray, chunk: int | None = None, **attributes) -> h5py.Dataset:
    """Write a dataset with checksums, which reveal damage on reading; ``chunk`` is the chunk length in rows."""
    chunks = None if chunk is None else (chunk, *data.shape[1:])
    stored = group.create_dataset(name, data=data, chunks=chunks, fletcher32=data.ndim > 0)
    stored.attrs.update(attributes)
    return stored


def check_mesh(mesh: meshio.Mesh) -> None:
    """Refuse a mesh that `write_mesh` cannot write.

    Raises:
        InputError: it has several kinds of cells, an unsupported kind, or points of a shape other than (points, 3).
    """
    came = [block.type for block in mesh.cells]
    if len(came) != 1 or came[0] not in _CELLS:
        raise InputError(
            f"A stored mesh has cells of one kind, of {', '.join(_CELLS)}; the domain's mesh has "
            f"{', '.join(came) or 'none'}. Return one block of such cells from domain.mesh."
        )
    if mesh.points.ndim != 2 or mesh.points.shape[1] != 3:
        raise InputError(
            f"A stored mesh has points of shape (points, 3); the domain's mesh has {mesh.points.shape}. Fill the other "
            "columns with 0 in domain.mesh."
        )


def write_mesh(file: h5py.File, mesh: meshio.Mesh, fields: Mapping[str, NDArray], times: NDArray | None) -> None:
    """Write the group VTKHDF, and for XDMF one group of views for every step.

    Args:
        mesh: with one kind of cells; its ``cell_data`` is written too, (cells,) for all times.
        fields: by name, (steps, points) or (steps, points, 3); one step if ``times`` is None.
        times: (steps,), or None for a problem without time.
    """
    (cells,) = mesh.cells
    count, corners = cells.data.shape
    root = file.create_group("VTKHDF")
    root.attrs["Version"] = [2, 0]
    root.attrs["Type"] = np.bytes_("UnstructuredGrid")  # readers do not accept a string of variable length
    root.attrs["description"] = "mesh and fields for ParaView and VTK"
    for name, value in (("Points", len(mesh.points)), ("Cells", count), ("ConnectivityIds", count * corners)):
        write_array(root, f"NumberOf{name}", np.array([value], dtype=np.int64))
    write_array(root, "Points", np.asarray(mesh.points, dtype=np.float64))
    write_array(root, "Connectivity", cells.data.astype(np.int64).ravel())
    write_array(root, "Offsets", np.arange(count + 1, dtype=np.int64) * corners)
    write_array(root, "Types", np.full(count, _CELLS[cells.type][0], dtype=np.uint8))
    data = root.create_group("PointData")
    for name, values in fields.items():
        write_array(data, name, values.reshape(-1, *values.shape[2:]), chunk=len(mesh.points))
    for name, values in _of_cells(mesh).items():
        write_array(root, f"CellData/{name}", values)
    if times is not None:
        _write_steps(root, times, len(mesh.points), list(fields), list(mesh.cell_data))
    for step in range(1 if times is None else len(times)):
        for name in fields:
            view(file, name, f"xdmf/{step:05d}/{name}", range(step, step + 1), len(mesh.points))
    file["xdmf"].attrs["description"] = "virtual views of every field at every step, for solution.xdmf"


def _of_cells(mesh: meshio.Mesh) -> dict[str, NDArray]:
    """Return the cell data of the only block of cells."""
    return {name: np.asarray(values) for name, (values,) in mesh.cell_data.items()}


def _write_steps(root: h5py.Group, times: NDArray, points: int, fields: list[str], of_cells: list[str]) -> None:
    """Write the offset of every step in the flat arrays; all steps share one mesh."""
    steps = root.create_group("Steps")
    steps.attrs["NSteps"] = len(times)
    zeros = np.zeros(len(times), dtype=np.int64)
    write_array(steps, "Values", np.asarray(times, dtype=np.float64))
    write_array(steps, "NumberOfParts", zeros + 1)
    for name in ("PartOffsets", "PointOffsets"):
        write_array(steps, name, zeros)
    for name in ("CellOffsets", "ConnectivityIdOffsets"):
        write_array(steps, name, zeros[:, None])
    for name in fields:
        write_array(steps, f"PointDataOffsets/{name}", np.arange(len(times), dtype=np.int64) * points)
    for name in of_cells:
        write_array(steps, f"CellDataOffsets/{name}", zeros)


def view(file: h5py.File, name: str, target: str, steps: range, points: int) -> h5py.Dataset:
    """Create a virtual dataset of a field: (steps, points, ...), or (points, ...) for one step."""
    flat: Any = file[f"VTKHDF/PointData/{name}"]
    shape = (points, *flat.shape[1:])
    layout = h5py.VirtualLayout(shape if len(steps) == 1 else (len(steps), *shape), flat.dtype)
    source = h5py.VirtualSource(".", f"/VTKHDF/PointData/{name}", flat.shape, flat.dtype)
    for row, step in enumerate(steps):
        layout[... if len(steps) == 1 else row] = source[step * points : (step + 1) * points]
    return file.create_virtual_dataset(target, layout)


def xdmf(data_file: str, mesh: meshio.Mesh, fields: Mapping[str, NDArray], times: NDArray | None) -> bytes:
    """Return the XDMF text that refers to the arrays that `write_mesh` wrote into the file ``data_file`` beside it."""
    (cells,) = mesh.cells
    root = ElementTree.Element("Xdmf", Version="3.0")
    series = SubElement(
        SubElement(root, "Domain"), "Grid", Name="solution", GridType="Collection", CollectionType="Temporal"
    )
    for step, time in enumerate([0.0] if times is None else times):
        grid = SubElement(series, "Grid", Name=f"step {step}", GridType="Uniform")
        SubElement(grid, "Time", Value=repr(float(time)))
        topology = SubElement(
            grid, "Topology", TopologyType=_CELLS[cells.type][1], NumberOfElements=str(len(cells.data))
        )
        if cells.type == "line":
            topology.set("NodesPerElement", "2")
        _item(topology, data_file, "VTKHDF/Connectivity", (cells.data.size,), np.dtype(np.int64))
        geometry = SubElement(grid, "Geometry", GeometryType="XYZ")
        _item(geometry, data_file, "VTKHDF/Points", mesh.points.shape, np.dtype(np.float64))
        for name, values in fields.items():
            kind = "Vector" if values.ndim == 3 else "Scalar"
            attribute = SubElement(grid, "Attribute", Name=name, AttributeType=kind, Center="Node")
            _item(attribute, data_file, f"xdmf/{step:05d}/{name}", values.shape[1:], values.dtype)
        for name, values in _of_cells(mesh).items():
            attribute = SubElement(grid, "Attribute", Name=name, AttributeType="Scalar", Center="Cell")
            _item(attribute, data_file, f"VTKHDF/CellData/{name}", values.shape, values.dtype)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def _item(parent: ElementTree.Element, data_file: str, path: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
    item = SubElement(
        parent,
        "DataItem",
        Dimensions=" ".join(map(str, shape)),
        NumberType=_XDMF_TYPES[dtype.kind],
        Precision=str(dtype.itemsize),
        Format="HDF",
    )
    item.text = f"{data_file}:/{path}"

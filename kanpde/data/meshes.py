"""Tables in mesh files: the coordinates of the nodes, and the values there."""

from pathlib import Path

import meshio
import numpy as np
from numpy.typing import NDArray

from kanpde.errors import InputError

MESHES = {".vtu", ".vtk", ".msh", ".xdmf"}
AXES = ("x", "y", "z")


def from_mesh(path: Path) -> dict[str, NDArray]:
    """Return columns: x, y, z of the nodes, the numbers there by name, and of vectors v the components v_x, v_y, v_z.

    Raises:
        InputError: meshio cannot read the file, or it has no values at nodes.
    """
    try:
        mesh = meshio.read(path)
    except (Exception, SystemExit) as error:  # meshio raises many kinds, and leaves the program for some files
        raise InputError(f"{path.name} cannot be read as a mesh: {error}.") from None
    if not mesh.point_data:
        raise InputError(f"{path.name} has no values at its nodes.")
    columns: dict[str, NDArray] = dict(zip(AXES, mesh.points.T, strict=False))
    for name, values in mesh.point_data.items():
        array = np.asarray(values)
        if array.ndim == 1:
            columns[name] = array
        else:
            columns |= {f"{name}_{axis}": array[:, k] for k, axis in enumerate(AXES[: array.shape[1]])}
    return columns

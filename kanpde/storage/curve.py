"""Fields over time alone as a table of text, which spreadsheets and ParaView's charts read."""

from collections.abc import Mapping
from io import StringIO

import meshio
import numpy as np
from numpy.typing import NDArray


def curve(name: str, mesh: meshio.Mesh, fields: Mapping[str, NDArray]) -> bytes:
    """Return the table: a header, then one row for each point of the mesh, the coordinate first.

    Numbers have 17 digits, so that reading gives the same ones. Vectors are left out; their components are unknowns.

    Args:
        name: of the coordinate.
        mesh: of lines along the first axis.
        fields: by name, (1, points) or for vectors (1, points, 3).
    """
    columns = {name: mesh.points[:, 0]} | {key: values[0] for key, values in fields.items() if values.ndim == 2}
    text = StringIO()
    np.savetxt(text, np.stack(list(columns.values()), axis=1), "%.17g", ",", header=",".join(columns), comments="")
    return text.getvalue().encode()

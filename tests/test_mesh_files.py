"""Meshes from files: names of groups in both versions of gmsh's format; faulty meshes with the place of the fault."""

import meshio
import numpy as np
import pytest
import torch
from msh_text import NAMES, NODES, msh_22, msh_41
from small_meshes import bent, grid

from kanpde import InputError, Mesh

pytestmark = pytest.mark.usefixtures("unchecked")
VERSIONS = pytest.mark.parametrize("text", [msh_22, msh_41], ids=["2.2", "4.1"])


def written(folder, text, name="part.msh"):
    path = folder / name
    path.write_text(text)
    return path


# groups --------------------------------------------------------------------------------------------------------------
@VERSIONS
def test_groups_keep_their_names(text, tmp_path, capsys):
    mesh = Mesh.read(written(tmp_path, text(), f"{text.__name__}.msh"))
    assert sorted(mesh.parts) == sorted(
        ["interior", "boundary", "in let", "outlet", "curve 3", "middle", "steel", "air", "both"]
    )
    assert mesh.names == ("x", "y") and mesh.ranges == ((0.0, 2.0), (0.0, 1.0)) and mesh.measure == pytest.approx(2)
    assert [len(rows) for rows in mesh.cells.values()] == [4] and len(mesh.points) == 6
    where = {name: region.sample("gauss", 40) for name, region in mesh.parts.items()}
    assert bool((where["in let"].x[:, 1] == 0).all()) and bool((where["outlet"].normal[:, 0] == 1).all())
    assert bool((where["middle"].x[:, 0] == 1).all()) and where["middle"].normal is None
    assert float(where["steel"].x[:, 0].max()) < 1 < float(where["air"].x[:, 0].min())
    assert mesh.part("both").share == pytest.approx(1) and mesh.part("steel").share == pytest.approx(0.5)
    (said,) = mesh.notes
    assert "\n" not in said and "x=(0, 2), y=(0, 1)" in said and "steel" in said
    assert "1 nodes in no cell, the first at (7, 7, 0)" in said and 'group "pin" of dimension 0' in said
    printed = capsys.readouterr()
    assert printed.out == printed.err == "", "a run says it in its log"


def test_both_versions_give_the_same_domain(tmp_path):
    one, two = (Mesh.read(written(tmp_path, text(), f"{text.__name__}.msh")) for text in (msh_22, msh_41))
    assert one.ranges == two.ranges and sorted(one.parts) == sorted(two.parts)
    for name in one.parts:
        a, b = (mesh.part(name).sample("gauss", 40) for mesh in (one, two))
        assert torch.allclose(*(torch.stack(sorted(p.x, key=tuple)) for p in (a, b))), name


@VERSIONS
def test_groups_without_names_get_the_words_of_gmsh(text, tmp_path):
    parts = set(Mesh.read(written(tmp_path, text(names={}))).parts)
    assert {"curve 1", "curve 2", "curve 3", "curve 4", "surface 5", "surface 6"} < parts


@VERSIONS
def test_the_plane_may_be_any(text, tmp_path):
    mesh = Mesh.read(written(tmp_path, text(nodes={k: (4.0, y, x) for k, (x, y, _) in NODES.items()})))
    assert mesh.names == ("y", "z") and mesh.ranges == ((0.0, 1.0), (0.0, 2.0))
    assert bool((mesh.part("in let").sample("gauss", 4).normal == torch.tensor([-1.0, 0.0])).all())


@pytest.mark.parametrize("suffix", [".vtk", ".vtu", ".xdmf", ".inp"])
@pytest.mark.parametrize("kind", ["triangle6", "tetra", "hexahedron20"])
def test_other_formats_of_meshio(kind, suffix, tmp_path):
    mesh = grid(kind, 1, bent)
    points = np.zeros((len(mesh.points), 3))
    points[:, : len(mesh.names)] = mesh.points
    meshio.Mesh(points, list(mesh.cells.items())).write(tmp_path / f"part{suffix}")
    again = Mesh.read(tmp_path / f"part{suffix}")
    assert again.measure == pytest.approx(mesh.measure) and list(again.parts) == ["interior", "boundary"]


# edges and faces by corners, in the order of gmsh's reference manual ("Node ordering")
TETRA = [(0, 1), (1, 2), (2, 0), (3, 0), (2, 3), (1, 3)]
HEXAHEDRON = [(0, 1), (0, 3), (0, 4), (1, 2), (1, 5), (2, 3), (2, 6), (3, 7), (4, 5), (4, 7), (5, 6), (6, 7)]
FACES = [(0, 1, 2, 3), (0, 1, 5, 4), (0, 3, 7, 4), (1, 2, 6, 5), (2, 3, 7, 6), (4, 5, 6, 7)]
LOW = [(0, 0, 0), (2, 0, 0), (2, 3, 0), (0, 3, 0)]
CUBOID = [*LOW, *((x, y, 4) for x, y, _ in LOW)]


@pytest.mark.parametrize(
    ("number", "kind", "corners", "middles", "measure"),
    [
        (9, "triangle6", LOW[:3], [(0, 1), (1, 2), (2, 0)], 3),
        (16, "quad8", LOW, [(0, 1), (1, 2), (2, 3), (3, 0)], 6),
        (10, "quad9", LOW, [(0, 1), (1, 2), (2, 3), (3, 0), (0, 1, 2, 3)], 6),
        (11, "tetra10", [*LOW[:3], (0, 0, 4)], TETRA, 4),
        (17, "hexahedron20", CUBOID, HEXAHEDRON, 24),
        (12, "hexahedron27", CUBOID, [*HEXAHEDRON, *FACES, tuple(range(8))], 24),
    ],
)
def test_the_order_of_nodes_is_that_of_gmsh(number, kind, corners, middles, measure, tmp_path):
    """A straight cell has the Jacobian of an affine map everywhere, only if every node is in its place."""
    nodes = [*map(np.array, corners), *(np.mean([corners[i] for i in each], axis=0) for each in middles)]
    lines = ["$MeshFormat", "2.2 0 8", "$EndMeshFormat", "$Nodes", str(len(nodes))]
    lines += [f"{i} {x} {y} {z}" for i, (x, y, z) in enumerate(nodes, 1)]
    lines += ["$EndNodes", "$Elements", "1", f"1 {number} 2 1 1 {' '.join(map(str, range(1, len(nodes) + 1)))}"]
    mesh = Mesh.read(written(tmp_path, "\n".join([*lines, "$EndElements", ""])))
    assert list(mesh.cells) == [kind] and mesh.measure == pytest.approx(measure)
    (patch,) = mesh.interior.draw.__self__.patches
    jacobians = patch.jacobians(patch.kind.nodes)
    np.testing.assert_allclose(jacobians, np.broadcast_to(jacobians[:, :1], jacobians.shape), atol=1e-12)


# faults --------------------------------------------------------------------------------------------------------------
def test_files_that_are_not_meshes(tmp_path):
    for name, text, message in [
        ("part.msh", "no mesh\n", r'"[^"]*part.msh" cannot be read as a mesh'),
        ("cut.msh", msh_41()[:-60], "cannot be read as a mesh"),
        ("cut2.msh", msh_22()[:200], "cannot be read as a mesh"),
        ("part.doc", "", "cannot be read as a mesh"),
        ("part.vtk", "", "cannot be read as a mesh"),
    ]:
        with pytest.raises(InputError, match=message) as caught:
            Mesh.read(written(tmp_path, text, name))
        assert "\n" not in str(caught.value), name
    with pytest.raises(InputError, match=r'no file .*prat.msh.*Did you mean "part.msh"'):
        Mesh.read(tmp_path / "prat.msh")
    with pytest.raises(InputError, match="no file"):
        Mesh.read(tmp_path)


def replaced(old, new):
    text = msh_22()
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (replaced("\n7 1 1 0\n", "\n7 1 nan 0\n"), r"finite; those of 1 nodes are not, the first node 4.*\(1, nan\)"),
        (replaced("\n7 1 1 0\n", "\n7 1 1 0.5\n"), "surface in space.*physical group"),
        (replaced(" 2 2 5 8\n", " 2 2 5 9\n"), r'"outlet" has 1 nodes that are in no cell, the first at \(7, 7, 0\)'),
        (replaced(" 2 2 5 8\n", " 2 2 5 6\n"), r'1 facets of the group "outlet" are not .* at \(1, 0.5\)'),
        (replaced('"outlet"', '"interior"'), "names all cells"),
        (replaced('"outlet"', '"boundary"'), "not the whole boundary"),
        (replaced('"air"', '"interior"'), "some of the cells only"),
        (replaced('"air"', '"outlet"'), 'two groups "outlet" of different dimensions'),
        (replaced("\n7 1 1 0\n", "\n7 3 0.2 0\n"), r"of 4 cells are inverted.*triangle [0-3] .*centre at \("),
        (replaced("\n6 0 1 0\n", "\n6 3 3 0\n"), r"1 cells have no .* area .* triangle 1 .*\(1.33333, 1.33333\)"),
        (replaced(" 4 8 7\n", " 3 4 7\n"), r"duplicates of others, the first triangle 3 .*the nodes of triangle 0"),
        (replaced(" 4 8 7\n", " 4 99 7\n"), "cannot be read|a node that the file does not have"),
    ],
)
def test_faults_are_refused_with_their_place(text, message, tmp_path):
    path = written(tmp_path, text)
    with pytest.raises(InputError, match=message) as caught:
        Mesh.read(path)
    assert "\n" not in str(caught.value) and "part.msh" in str(caught.value)


SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1]]
FOLDED = [[0, 0], [1, 0], [0, 1], [0.5, 0.45], [0.3, 0.3], [0, 0.5]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((SQUARE, {}), "needs cells"),
        ((SQUARE, {"triangl": [[0, 1, 2]]}), 'no cells of the kind "triangl".*"triangle"'),
        ((SQUARE, {"wedge": [[0] * 6]}), 'no cells of the kind "wedge"'),
        ((SQUARE, {"triangle": [[0, 1, 2, 3]]}), "have 3 nodes each"),
        ((SQUARE, {"triangle": [[0, 1, 4]]}), "numbered from 0 to 3, and a triangle has 4"),
        ((SQUARE, {"triangle": [[0, 1, -1]]}), "numbered from 0 to 3, and a triangle has -1"),
        ((SQUARE, {"triangle": [[0, 1, 2]]}), r"1 nodes are in no cell, the first at \(0, 1\)"),
        ((SQUARE, {"quad": [[0, 1, 2, 3]], "line": [[0, 1]]}), "one dimension; got .* dimension 1, 2"),
        ((np.zeros((4, 3)), {"quad": [[0, 1, 2, 3]]}), "one dimension"),
        ((SQUARE, {"quad": [[0, 1, 3, 2]]}), "cells are folded"),
        ((FOLDED, {"triangle6": [[0, 1, 2, 3, 4, 5]]}), "1 cells are folded.*triangle6 0"),
        ((SQUARE, {"triangle": [[0, 1, 2], [0, 3, 2]]}), "1 of 2 cells are inverted"),
        ((SQUARE, {"triangle": [[0, 1, 2], [0, 1, 3], [1, 2, 3], [0, 2, 3]]}, {"a": [[0, 9]]}), "from 0 to 3"),
        (([*SQUARE, [0, 2]], {"triangle": [[0, 1, 2], [0, 1, 3], [0, 1, 4]]}), r"more than two .*\(0.5, 0\)"),
        ((SQUARE, {"quad": [[0, 1, 2, 3]]}, {"a": np.zeros((0, 2))}), "has 0"),
        ((SQUARE, {"quad": [[0, 1, 2, 3]]}, None, {"a": [1]}), '"a" has 1 to 1'),
        ((SQUARE, {"quad": [[0, 1, 2, 3]]}, {"a": [[0, 1]]}, {"a": [0]}), "is a name of facets and of cells"),
        ((SQUARE, {"quad": [[0, 1, 2, 3]]}, None, None, ("x", "t")), "spatial coordinates"),
    ],
)
def test_faulty_arrays_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        Mesh(*arguments)


def test_a_mesh_that_runs_the_other_way_round_is_as_good():
    mesh = Mesh(SQUARE, {"triangle": [[0, 2, 1], [0, 3, 2]]}, {"base": [[0, 1]]})
    assert mesh.measure == pytest.approx(1) and mesh.part("base").sample("gauss", 3).normal.tolist() == [[0, -1]] * 3
    corners = mesh.mesh(4).points[mesh.mesh(4).cells[0].data]
    assert (np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] > 0).all()


def test_slices_and_narrower_ranges_are_refused():
    mesh = Mesh(SQUARE, {"quad": [[0, 1, 2, 3]]})
    with pytest.raises(InputError, match=r"no slice at x=0.5"):
        mesh.at(x=0.5)
    with pytest.raises(InputError, match="cannot be narrowed, got x"):
        mesh.restricted(x=(0.0, 0.5))


def test_names_are_complete():
    assert set(NAMES.values()) == {"in let", "outlet", "middle", "steel", "air", "both", "pin"}

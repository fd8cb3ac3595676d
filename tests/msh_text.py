"""Texts of gmsh's files in versions 2.2 and 4.1, of the rectangle (0, 2) × (0, 1)."""

#   6 --- 7 --- 8      two squares of two triangles each; surface 1 is the left one
#   |   / |   / |
#   3 --- 4 --- 5      node 9 is in no cell
NODES = {3: (0, 0, 0), 4: (1, 0, 0), 5: (2, 0, 0), 6: (0, 1, 0), 7: (1, 1, 0), 8: (2, 1, 0), 9: (7, 7, 0)}
TRIANGLES = {1: [(3, 4, 7), (3, 7, 6)], 2: [(4, 5, 8), (4, 8, 7)]}
CURVES = {1: [(3, 4), (4, 5)], 2: [(5, 8)], 3: [(8, 7), (7, 6), (6, 3)], 4: [(4, 7)]}
POINTS = {1: [(3,)]}
TYPE = {0: 15, 1: 1, 2: 2}
# (dimension, number): entities
GROUPS = {(1, 1): [1], (1, 2): [2], (1, 3): [3], (1, 4): [4], (2, 5): [1], (2, 6): [2], (2, 7): [1, 2], (0, 8): [1]}
NAMES = {
    (1, 1): "in let",
    (1, 2): "outlet",
    (1, 4): "middle",
    (2, 5): "steel",
    (2, 6): "air",
    (2, 7): "both",
    (0, 8): "pin",
}
ENTITIES = {0: POINTS, 1: CURVES, 2: TRIANGLES}


def physical_names(names):
    lines = [f'{dim} {tag} "{name}"' for (dim, tag), name in names.items()]
    return ["$PhysicalNames", str(len(lines)), *lines, "$EndPhysicalNames"] if names else []


def groups_of(dim, entity):
    return [tag for (d, tag), members in GROUPS.items() if d == dim and entity in members]


def msh_22(names=NAMES, nodes=NODES):
    """An element is written once for every group it is in."""
    rows = []
    for dim, entities in ENTITIES.items():
        for entity, cells in entities.items():
            for tag in groups_of(dim, entity):
                rows += [f"{TYPE[dim]} 2 {tag} {entity} {' '.join(map(str, cell))}" for cell in cells]
    lines = ["$MeshFormat", "2.2 0 8", "$EndMeshFormat", *physical_names(names), "$Nodes", str(len(nodes))]
    lines += [f"{k} {x} {y} {z}" for k, (x, y, z) in nodes.items()]
    lines += [
        "$EndNodes",
        "$Elements",
        str(len(rows)),
        *(f"{k} {row}" for k, row in enumerate(rows, 1)),
        "$EndElements",
    ]
    return "\n".join(lines) + "\n"


def msh_41(names=NAMES, nodes=NODES):
    """An element is written once, in the block of its entity, which has the groups."""
    lines = ["$MeshFormat", "4.1 0 8", "$EndMeshFormat", *physical_names(names)]
    lines += ["$Entities", f"{len(POINTS)} {len(CURVES)} {len(TRIANGLES)} 0"]
    for dim, entities in ENTITIES.items():
        for entity in entities:
            tags = groups_of(dim, entity)
            box = "0 0 0" if dim == 0 else "0 0 0 2 1 0"
            bounds = "" if dim == 0 else " 0"
            lines.append(f"{entity} {box} {len(tags)} {' '.join(map(str, tags))}{bounds}")
    lines += [
        "$EndEntities",
        "$Nodes",
        f"1 {len(nodes)} {min(nodes)} {max(nodes)}",
        f"2 1 0 {len(nodes)}",
        *map(str, nodes),
    ]
    lines += [f"{x} {y} {z}" for x, y, z in nodes.values()]
    blocks = [(dim, entity, cells) for dim, entities in ENTITIES.items() for entity, cells in entities.items()]
    count = sum(len(cells) for *_, cells in blocks)
    lines += ["$EndNodes", "$Elements", f"{len(blocks)} {count} 1 {count}"]
    number = 0
    for dim, entity, cells in blocks:
        lines.append(f"{dim} {entity} {TYPE[dim]} {len(cells)}")
        for cell in cells:
            number += 1
            lines.append(f"{number} {' '.join(map(str, cell))}")
    return "\n".join([*lines, "$EndElements"]) + "\n"

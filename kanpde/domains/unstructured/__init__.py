"""The parts of `kanpde.domains.mesh.Mesh`: kinds of cells, quadrature on them, groups, checks, search and corners."""

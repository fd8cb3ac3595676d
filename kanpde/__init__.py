"""kanpde: partial differential equations solved by Kolmogorov-Arnold networks and multilayer perceptrons."""

from typing import TYPE_CHECKING, Any

from kanpde.calculus.coefficients import Coefficient
from kanpde.calculus.field import Field
from kanpde.calculus.operators import diff, divergence, gradient, laplacian
from kanpde.calculus.pointwise import pointwise
from kanpde.calculus.tensor_operators import curl, inner, material_derivative, strain, trace
from kanpde.calculus.vector import Tensor2, Vector, identity
from kanpde.classical.etdrk4 import etdrk4
from kanpde.classical.taylor import taylor
from kanpde.conditions.condition import Condition
from kanpde.conditions.interfaces import flux_jump, jump
from kanpde.conditions.standard import dirichlet, initial, neumann, periodic, robin
from kanpde.configure.resuming import resume
from kanpde.data.condition import data
from kanpde.data.fitting import fit, fit_problem
from kanpde.domains import Points, Region
from kanpde.domains.ball import Ball
from kanpde.domains.box import Box
from kanpde.domains.corners import Corner
from kanpde.domains.cuboid import Cuboid
from kanpde.domains.curve import Curve
from kanpde.domains.cylinder import Cylinder
from kanpde.domains.disk import Disk
from kanpde.domains.ellipse import Ellipse
from kanpde.domains.mesh import Mesh
from kanpde.domains.parts import Parts
from kanpde.domains.polygon import Polygon
from kanpde.domains.rectangle import Rectangle
from kanpde.errors import InputError
from kanpde.models.conversion import kan_of, relu_mlp_of, without_silu
from kanpde.models.kan import KAN
from kanpde.models.mlp import MLP
from kanpde.models.separate import Separate
from kanpde.optimizers.adam import Adam
from kanpde.optimizers.lbfgs import LBFGS
from kanpde.optimizers.lm import LM
from kanpde.optimizers.soap import SOAP
from kanpde.optimizers.ssbroyden import SSBroyden
from kanpde.optimizers.variableprojection import VariableProjection
from kanpde.plots.page import page
from kanpde.problem import Ansatz, Problem
from kanpde.residuals.integrals import integral
from kanpde.residuals.members import problem_at
from kanpde.solution import Solution
from kanpde.storage.store import Output, load, save
from kanpde.thinning.pruning import prune
from kanpde.training.eigenvalues import Eigenvalues, eigen
from kanpde.training.phases import Phase
from kanpde.training.sampling import Sampling
from kanpde.training.solve import solve
from kanpde.version import __version__

if TYPE_CHECKING:
    from kanpde.formulas import formula, read_formula

__all__ = [
    "KAN",
    "LBFGS",
    "LM",
    "MLP",
    "SOAP",
    "Adam",
    "Ansatz",
    "Ball",
    "Box",
    "Coefficient",
    "Condition",
    "Corner",
    "Cuboid",
    "Curve",
    "Cylinder",
    "Disk",
    "Eigenvalues",
    "Ellipse",
    "Field",
    "InputError",
    "Mesh",
    "Output",
    "Parts",
    "Phase",
    "Points",
    "Polygon",
    "Problem",
    "Rectangle",
    "Region",
    "SSBroyden",
    "Sampling",
    "Separate",
    "Solution",
    "Tensor2",
    "VariableProjection",
    "Vector",
    "__version__",
    "curl",
    "data",
    "diff",
    "dirichlet",
    "divergence",
    "eigen",
    "etdrk4",
    "fit",
    "fit_problem",
    "flux_jump",
    "formula",
    "gradient",
    "identity",
    "initial",
    "inner",
    "integral",
    "jump",
    "kan_of",
    "laplacian",
    "load",
    "material_derivative",
    "neumann",
    "page",
    "periodic",
    "pointwise",
    "problem_at",
    "prune",
    "read_formula",
    "relu_mlp_of",
    "resume",
    "robin",
    "save",
    "solve",
    "strain",
    "taylor",
    "trace",
    "without_silu",
]


def __getattr__(name: str) -> Any:
    """Import what needs sympy when it is used: that takes a second."""
    if name in ("formula", "read_formula"):
        import kanpde.formulas

        return getattr(kanpde.formulas, name)
    raise AttributeError(f"module 'kanpde' has no attribute '{name}'")

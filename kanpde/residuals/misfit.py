r"""How well a condition is fulfilled at points, relative to the largest term of its residual.

The terms of a residual r are

- the summands of its expression: of ``diff(u, "t") - k * laplacian(u) - f`` these are u_t, -k Δu and -f;
- $(\partial r / \partial D_k u) D_k u$ for every value or derivative $D_k u$ that it reads, the Laplacian being read as
  its second derivatives: those of ``laplacian(u)`` are u_xx and u_yy. This also covers products, plain tensors and
  functions that cannot be divided into summands.

The size of a term is its root mean square (RMS) over the points. Where a condition holds on a part of the domain only,
such as u = 0 on the boundary, all its terms may vanish there; the size of a term of the second kind is then
$\mathrm{RMS}(\partial r / \partial D_k u)$ on the part times $\mathrm{RMS}(D_k u)$ over the whole domain. A condition
with several residuals has one size, that of the largest term of any of them, because they are trained with one weight.
The terms of a condition on an integral are its value, and the terms of the second kind of the integrand, of which the
measure times the RMS bounds the integral.

Two limits: an equation with a single term, such as u_x = 0, has nothing to be compared with, and its relative residual
is 1; and terms that cancel each other, such as those of u + 1000 x - 1000 x, make the residual look small.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, sqrt

import torch
from torch import Tensor

from kanpde.calculus.field import Field
from kanpde.calculus.jet import LAPLACIAN, Key
from kanpde.calculus.unknowns import unknown
from kanpde.domains import Points
from kanpde.problem import Problem
from kanpde.residuals.evaluation import Components, asked_of, from_components, residuals_of
from kanpde.residuals.site import Site, pieces, recorded, residual_values, results_of, site_of

MOST_FOR_TERMS = 1024  # points at which terms of the second kind are computed
Leaves = dict[tuple[int, Key], Tensor]  # by field and derivative


@dataclass(frozen=True)
class Misfit:
    """The residuals of a condition at points.

    Attributes:
        square: Σ over the residuals of their mean squares.
        size: RMS of the largest term.
    """

    square: float
    size: float

    @property
    def relative(self) -> float:
        """RMS of the residuals over that of the largest term; inf if it is not finite."""
        found = sqrt(self.square) / self.size if self.size > 0 else 0.0 if self.square == 0 else inf
        return found if isfinite(found) else inf


def misfit_of(
    problem: Problem, name: str, components: Components, points: Points, coefficients: Mapping[str, float]
) -> Misfit:
    """Return how well a condition is fulfilled at points of its region, without gradients.

    Args:
        problem, name: the problem and the name of its condition.
        components: of the solution, before the ansatz.
        points: their weights are used for all means.
        coefficients: of an inverse problem, by name.
    """
    condition, unknowns = problem.conditions[name], from_components(problem, components)
    if condition.integral is not None:
        return _misfit_of_integral(problem, name, components, points, coefficients)
    square, squares = 0.0, {}
    for piece in pieces(points):
        site = site_of(problem, name, piece)
        with torch.no_grad():
            fields = [field for context in site.contexts for field in unknowns(context, site.space)]
            for k, result in enumerate(results_of(condition, fields, coefficients)):
                values = [result.value, *summands(result)] if isinstance(result, Field) else [result]
                means = [float(piece.weight @ value.to(piece.weight).square()) for value in values]
                square += means[0]
                for j, mean in enumerate(means[1:]):
                    squares[k, j] = squares.get((k, j), 0.0) + mean
    summed = max((sqrt(each) for each in squares.values() if isfinite(each)), default=0.0)
    return Misfit(square, max(summed, _largest_by_derivative(problem, name, components, points, coefficients)))


def _misfit_of_integral(
    problem: Problem, name: str, components: Components, points: Points, coefficients: Mapping[str, float]
) -> Misfit:
    """Return how well a condition on an integral is fulfilled."""
    integral, unknowns = problem.conditions[name].integral, from_components(problem, components)
    assert integral is not None
    (gap,) = residuals_of(problem, name, unknowns, points, coefficients)
    largest = _largest_by_derivative(problem, name, components, points, coefficients)
    return Misfit(float(gap.square().sum()), max(abs(integral.value), integral.measure * largest))


def summands(field: Field, factor: float = 1.0) -> Iterator[Tensor]:
    """Yield the values of the summands of an expression, with their factors: a and -2 b of ``a - 2 * b``."""
    if not field.parts:
        yield factor * field.value
    for share, part in field.parts:
        if share:
            yield from summands(part, factor * share)


def _largest_by_derivative(
    problem: Problem, name: str, components: Components, points: Points, coefficients: Mapping[str, float]
) -> float:
    """Return the largest RMS of a term of the second kind, at some of the points."""
    step = -(-len(points.x) // MOST_FOR_TERMS)
    weight = points.weight[::step] / points.weight[::step].sum()
    normal, data = (None if part is None else part[::step] for part in (points.normal, points.data))
    few = Points(points.x[::step], weight, normal, data)
    condition = problem.conditions[name]
    site = site_of(problem, name, few)
    leaves, slopes = _slopes(site, components, coefficients)
    if condition.region.is_interior:
        products = [[slope * leaves[at] for at, slope in each.items()] for each in slopes]
        terms = [sqrt(float(weight @ term.square())) for each in products for term in each]
    else:
        sizes = _sizes_inside(problem, list(leaves), components, few)
        terms = [sqrt(float(weight @ slope.square())) * sizes[at] for each in slopes for at, slope in each.items()]
    return max((term for term in terms if isfinite(term)), default=0.0)


def _slopes(site: Site, components: Components, coefficients: Mapping[str, float]) -> tuple[Leaves, list[Leaves]]:
    """Return the D_k u that a condition reads, and of each of its residuals the derivatives with respect to them."""
    problem, leaves = site.problem, {}

    def read_by(fields: Sequence[Field]) -> list[Field]:
        leaves.clear()
        return [unknown(f.context, f.name or "", _reader(leaves, i, f)) for i, f in enumerate(fields)]

    def values(fields: Sequence[Field]) -> list[Tensor]:
        return residual_values(site.name, site.condition, read_by(fields), coefficients)

    space, _ = recorded(problem, site.contexts, values)
    unknowns = from_components(problem, components)
    with torch.enable_grad():
        residuals = values([field for context in site.contexts for field in unknowns(context, space)])
        found = [
            torch.autograd.grad(r.sum(), list(leaves.values()), retain_graph=True, allow_unused=True)
            if leaves and r.requires_grad
            else ()
            for r in residuals
        ]
    slopes = [{at: g for at, g in zip(leaves, each, strict=False) if g is not None} for each in found]
    return {at: leaf.detach() for at, leaf in leaves.items()}, slopes


def _reader(leaves: Leaves, index: int, field: Field):
    """Return a function that reads components of a field as independent variables."""

    def read(key: Key) -> Tensor:
        if key == LAPLACIAN:
            first, *rest = (read((i, i)) for i in field.context.space)
            return sum(rest, first)
        if (index, key) not in leaves:
            leaves[index, key] = component_values(field, key).detach().clone().requires_grad_()
        return leaves[index, key]

    return read


def component_values(field: Field, key: Key) -> Tensor:
    """Return a derivative of a field at its points as a tensor (points,), also where it is constant."""
    x = field.context.x
    return torch.as_tensor(field.component(key), dtype=x.dtype, device=x.device).expand(len(x))


def _sizes_inside(
    problem: Problem, wanted: Sequence[tuple[int, Key]], components: Components, like: Points
) -> dict[tuple[int, Key], float]:
    """Return the RMS over the whole domain of derivatives of the unknowns; images count as the unknowns themselves."""
    generator = torch.Generator(like.x.device).manual_seed(0)
    inside = problem.domain.interior.sample("uniform", MOST_FOR_TERMS, generator, like.x.device, like.x.dtype)

    def ask(*unknowns: Field) -> list[Tensor]:
        return [component_values(unknowns[i % len(unknowns)], key) for i, key in wanted]

    found = asked_of(problem, components, inside.x, ask)
    return {at: sqrt(float(inside.weight @ values.square())) for at, values in zip(wanted, found, strict=True)}

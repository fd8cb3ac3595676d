"""Every problem's exact solution through its own residuals; planted mistakes are caught."""

from dataclasses import replace

import pytest
import torch
from conftest import PROBLEMS, VARIANTS, load_problem, problem_cases

from kanpde import Condition, Vector, divergence, gradient, laplacian
from kanpde.calculus.context import Context
from kanpde.calculus.field import coordinate
from kanpde.calculus.unknowns import unknown
from kanpde.residuals.evaluation import formula_fields, residuals_of
from kanpde.residuals.site import results_of

CASES = [(name, arguments) for name, arguments in problem_cases() if load_problem(name)(**arguments).exact is not None]
# bounds for the residuals of exact solutions that are known as numbers only; their errors: tests/test_references.py
NUMERICAL = {"allen_cahn": 1e-7, "kuramoto_sivashinsky": 1e-6}
# derivatives (unknown, key) that are zero in the exact solution, with the turned solution that shows their signs
ZERO = {"kovasznay": {(2, (1,))}}  # test_navier_stokes_holds_for_a_turned_flow


def relative_residual(problem, name, solution):
    """max |residual| over the largest term: of the solution, and of its derivatives that the residual is made of."""
    points = problem.conditions[name].region.sample("sobol", 64)
    inside = problem.domain.interior.sample("sobol", 64).x
    scale = problem.exact(*inside.unbind(1))
    largest = [float(torch.stack(scale if isinstance(scale, tuple) else (scale,)).abs().max())]

    def noting(context, space):
        def read(field, key):
            component = field.component(key)
            largest.append(float(component.abs().max()))
            return component

        return [
            unknown(context, f.name, lambda key, f=f: read(f, key)) for f in formula_fields(problem, solution, context)
        ]

    residuals = residuals_of(problem, name, noting, points)
    return max(float(r.abs().max()) for r in residuals) / max(largest)


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_exact_solution_satisfies_every_condition(name, arguments):
    problem = load_problem(name)(**arguments)
    for label in problem.conditions:
        assert relative_residual(problem, label, problem.exact) <= NUMERICAL.get(name, 1e-10), label


@pytest.mark.parametrize(("name", "arguments"), CASES)
@pytest.mark.parametrize("factor", [-1.0, 1.01])
def test_planted_mistakes_are_caught(name, arguments, factor):
    """A sign error or a factor in the solution is seen by some condition."""
    problem = load_problem(name)(**arguments)
    many = len(problem.unknowns) > 1

    def wrong(*x):
        return tuple(factor * u for u in problem.exact(*x)) if many else factor * problem.exact(*x)

    assert max(relative_residual(problem, label, wrong) for label in problem.conditions) > 1e-3


def is_known(name):
    return load_problem(name)().exact is not None


@pytest.mark.parametrize("name", [name for name in PROBLEMS if is_known(name)])
def test_planted_mistake_in_an_operator_is_caught(name):
    """Every derivative that an interior residual reads matters: flipping its sign breaks the exact solution."""
    problem = load_problem(name)(**VARIANTS.get(name, [{}])[0])
    for condition in problem.conditions.values():
        if not condition.region.is_interior or condition.maps:
            continue
        points = condition.region.sample("sobol", 64)
        context = Context(problem.domain.names, problem.domain.space, points.x)
        asked = set()

        def run(flipped=None, condition=condition, context=context, asked=asked):
            exact = problem.exact(*[coordinate(context, i) for i in range(context.x.shape[1])])
            fields = []
            for index, value in enumerate(exact if isinstance(exact, tuple) else (exact,)):

                def read(key, index=index, value=value, flipped=flipped, asked=asked):
                    asked.add((index, key))
                    return value.component(key) * (-1.0 if (index, key) == flipped else 1.0)

                fields.append(unknown(context, problem.unknowns[index], read))
            return max(float(r.value.abs().max()) for r in results_of(condition, fields, problem.parameters))

        assert run() < NUMERICAL.get(name, 1e-10)
        assert asked
        for one in sorted(asked - ZERO.get(name, set())):
            assert run(flipped=one) > 1e-3, one


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_navier_stokes_holds_for_a_turned_flow(sign):
    """Kovasznay's pressure does not depend on y; turned by an angle it does, and the equations do not notice."""
    problem = load_problem("kovasznay")()
    cosine, sine = 0.6, 0.8

    def turned(x, y):
        u, v, p = problem.exact(cosine * x + sine * y, cosine * y - sine * x)
        return cosine * u - sine * v, sine * u + cosine * v, sign * p

    residual = relative_residual(problem, "flow", turned)
    assert residual <= 1e-10 if sign > 0 else residual > 1e-3


def test_a_wrong_source_is_caught():
    """The check itself: Δu + f = 0 in place of Δu = f does not pass (right(-u) is -(Δu + f))."""
    problem = load_problem("poisson")()
    right = problem.conditions["pde"].residual
    wrong = Condition(problem.domain.interior, lambda u: right(-u))
    broken = replace(problem, conditions={"pde": wrong})
    assert relative_residual(broken, "pde", broken.exact) > 1e-3


def test_stress_concentration_of_the_exact_plate_is_three():
    """The figure that the benchmark reports, from the derivatives of the exact displacements."""
    plate = load_problem("plate_with_hole")
    problem = plate(young=2.0, ratio=0.2, tension=0.5)

    class Exact:
        def __init__(self):
            self.problem = problem

        def diff(self, name):
            def derivative(x, y):
                at = [x.clone().requires_grad_(), y.clone().requires_grad_()]
                values = problem.exact(*at)
                return tuple(torch.autograd.grad(u.sum(), at["xy".index(name)], retain_graph=True)[0] for u in values)

            return derivative

    concentration = plate.__globals__["concentration"]
    assert concentration(Exact(), tension=0.5, young=2.0, ratio=0.2) == pytest.approx(3.0, abs=1e-6)


def test_the_cavity_has_the_equations_of_navier_and_stokes():
    """Its equations hold for Kovasznay's flow, turned so that no derivative vanishes; it adds the flow of a corner."""
    exact, cosine, sine = load_problem("kovasznay")().exact, 0.6, 0.8
    cavity = load_problem("cavity")
    problem = replace(cavity(reynolds=40.0), exact=lambda x, y: turned(x, y, 1.0))

    def turned(x, y, sign):
        u, v, p = exact(cosine * x + sine * y, cosine * y - sine * x)
        return cosine * u - sine * v, sine * u + cosine * v, sign * p

    assert relative_residual(problem, "flow", problem.exact) <= 1e-10
    assert relative_residual(problem, "flow", lambda x, y: turned(x, y, -1.0)) > 1e-3
    x = problem.domain.interior.sample("sobol", 64).x
    for points in (x, x * torch.tensor([1.0, 0.0]), x * torch.tensor([0.0, 1.0])):
        context = Context(("x", "y"), (0, 1), points)
        u, v, p = cavity.__globals__["corner"](coordinate(context, 0), coordinate(context, 1), 40.0)
        flow = Vector((u, v))
        if points is x:
            stokes = [divergence(flow), *(gradient(p) - laplacian(flow) / 40.0)]
            assert max(float(each.value.abs().max()) for each in stokes) < 1e-12
        elif points[0, 1] == 0:
            assert torch.allclose(u.value, torch.ones(64).double()) and float(v.value.abs().max()) < 1e-15
        else:
            assert max(float(each.value.abs().max()) for each in flow) < 1e-14

"""Ordinary differential equations: what the messages on a box of time alone advise works from beginning to end."""

import re

import pytest
import torch

import kanpde
from kanpde import KAN, LM, Box, Condition, InputError, Phase, Problem, diff, initial, solve

pytestmark = pytest.mark.usefixtures("unchecked")


def conditions_in(message, value, domain):
    """The conditions whose code stands in a message."""
    codes = [code for code in re.findall("`(.+?)`", message) if "domain." in code]
    return [eval(code, {**vars(kanpde), "domain": domain, "value": value}) for code in codes]


def test_the_message_on_time_alone_names_a_way_that_works():
    """u'' = -4 u with u(0) = 1, u'(0) = 1: u = cos 2x + sin(2x) / 2."""
    with pytest.raises(InputError, match="spatial coordinate") as caught:
        Box(t=(0.0, 1.0))
    domain = Box(**caught.value.write)
    start, rate = conditions_in(str(caught.value), 1.0, domain)
    equation = Condition(domain.interior, lambda u: diff(u, "x", "x") + 4 * u)
    conditions = {"equation": equation, "start": start, "rate": rate}
    problem = Problem(domain, conditions, exact=lambda x: torch.cos(2 * x) + torch.sin(2 * x) / 2)
    assert solve(problem, KAN([2]), [Phase(LM(), steps=15)]).errors["u"]["l2"] < 1e-3


def test_initial_names_the_conditions_of_an_ordinary_equation():
    """u' = u with u(0) = 1, so u = exp(x); a rate there is another condition."""
    domain, made = Box(x=(0.0, 2.0)), []
    for order in (0, 1):
        with pytest.raises(InputError, match='coordinate "t"') as caught:
            initial(domain.at(x=0.0), order=order)
        made += conditions_in(str(caught.value), 1.0, domain)
    equation = Condition(domain.interior, lambda u: diff(u, "x") - u)
    problem = Problem(domain, {"equation": equation, "start": made[0], "rate": made[1]})
    solution = solve(problem, KAN([2]), [Phase(LM(), steps=15)])
    assert solution(2.0) == pytest.approx(7.389, rel=1e-2)

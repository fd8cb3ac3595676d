"""Formulas read off accurate networks, and their proofs."""

from kanpde.formulas.families import Function
from kanpde.formulas.reading import formula
from kanpde.formulas.record import Formula, Status, read_formula

__all__ = ["Formula", "Function", "Status", "formula", "read_formula"]

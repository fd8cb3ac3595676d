"""Many runs: tables, comparisons and plots over them."""

from kanpde.study.table import summarise

__all__ = ["summarise"]

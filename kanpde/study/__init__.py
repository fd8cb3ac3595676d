"""Many runs: tables, comparisons and plots over them."""

from kanpde.study.report import write_report
from kanpde.study.table import summarise

__all__ = ["summarise", "write_report"]

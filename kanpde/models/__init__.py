"""Networks as stacks of ``features(x) @ weight``, one architecture a file."""

from collections.abc import Callable
from dataclasses import is_dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any


def factories() -> dict[str, Callable[..., Any]]:
    """The factories of this package by name: the dataclasses in its modules."""
    modules = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)]
    return {name: item for module in modules for name, item in vars(module).items()
            if isinstance(item, type) and is_dataclass(item) and item.__module__ == module.__name__}  # fmt: skip

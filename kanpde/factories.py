"""Finding what a package offers, so that a new file in it is known without a list."""

import inspect
from dataclasses import is_dataclass
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType


def factories(package: ModuleType) -> dict[str, type]:
    """The factories in a package's modules (dataclasses that can be called), by their names in lower case."""
    found: dict[str, type] = {}
    for info in iter_modules(package.__path__, f"{package.__name__}."):
        for item in vars(import_module(info.name)).values():
            is_own = inspect.isclass(item) and is_dataclass(item) and item.__module__ == info.name
            if is_own and any("__call__" in vars(base) for base in item.__mro__):
                found[item.__name__.lower()] = item
    return found

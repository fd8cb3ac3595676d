"""Finding what a package offers, so that a new file in it is known without a list."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, TypeVar

from kanpde.errors import InputError

T = TypeVar("T")


def factories(package: ModuleType) -> dict[str, type]:
    """The factories in a package's modules (dataclasses that can be called), by their names in lower case."""
    found = (item for item in _classes(package) if is_dataclass(item))
    return {item.__name__.lower(): item for item in found if any("__call__" in vars(base) for base in item.__mro__)}


def families(package: ModuleType, parent: type[T]) -> dict[str, type[T]]:
    """The subclasses of ``parent`` in a package's modules, by their names in lower case."""
    return {item.__name__.lower(): item for item in _classes(package) if issubclass(item, parent)}


def offering(package: ModuleType, method: str) -> dict[str, type]:
    """The classes in a package's modules that have a method of that name, by their own names."""
    return {item.__name__: item for item in _classes(package) if callable(getattr(item, method, None))}


def _classes(package: ModuleType) -> Iterator[type]:
    """The classes that a package's modules define."""
    for info in iter_modules(package.__path__, f"{package.__name__}."):
        for item in vars(import_module(info.name)).values():
            if inspect.isclass(item) and item.__module__ == info.name:
                yield item


def described(item: Any) -> dict[str, Any]:
    """A dataclass by its name and arguments; anything else by its name only."""
    if not is_dataclass(item) or isinstance(item, type):
        return {"name": type(item).__name__}
    arguments = {field.name: getattr(item, field.name) for field in fields(item)}
    return {"name": type(item).__name__, **{k: _plain(v) for k, v in arguments.items()}}


def _plain(value: Any) -> Any:
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def made_from(description: Mapping[str, Any], package: ModuleType, argument: str) -> Any:
    """What `described` had, if the package has it.

    Args:
        description: a name and arguments.
        package: where the name is sought.
        argument: by which the caller can give it.

    Raises:
        InputError: it is not in the package.
    """
    arguments = {key: value for key, value in description.items() if key != "name"}
    known = factories(package)
    if description["name"].lower() not in known:
        raise InputError(
            f"{description['name']} is not of this package, and a file holds only its name. Give it as well: "
            f"{argument}=..."
        )
    return known[description["name"].lower()](**arguments)

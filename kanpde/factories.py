"""Search for classes in a package, so that a new file needs no registration."""

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
    """Return the factories in a package's modules (callable dataclasses), by their names in lower case."""
    found = (item for item in _classes(package) if is_dataclass(item))
    return {item.__name__.lower(): item for item in found if any("__call__" in vars(base) for base in item.__mro__)}


def families(package: ModuleType, parent: type[T]) -> dict[str, type[T]]:
    """Return the subclasses of ``parent`` in a package's modules, by their names in lower case."""
    return {item.__name__.lower(): item for item in _classes(package) if issubclass(item, parent)}


def offering(package: ModuleType, method: str) -> dict[str, type]:
    """Return the classes in a package's modules that have the method, by their names."""
    return {item.__name__: item for item in _classes(package) if callable(getattr(item, method, None))}


def _classes(package: ModuleType) -> Iterator[type]:
    """Yield the classes that a package's modules define."""
    for info in iter_modules(package.__path__, f"{package.__name__}."):
        for item in vars(import_module(info.name)).values():
            if inspect.isclass(item) and item.__module__ == info.name:
                yield item


def described(item: Any) -> dict[str, Any]:
    """Describe a dataclass by its name and arguments, and any other object by its name only."""
    if not is_dataclass(item) or isinstance(item, type):
        return {"name": type(item).__name__}
    arguments = {field.name: getattr(item, field.name) for field in fields(item)}
    return {"name": type(item).__name__, **{k: _plain(v) for k, v in arguments.items()}}


def _plain(value: Any) -> Any:
    """The value with lists and numbers of Python's own; anything else by the name of its type."""
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    value = value.item() if hasattr(value, "item") and getattr(value, "ndim", None) == 0 else value
    is_plain = value is None or isinstance(value, (bool, int, float, str))
    return value if is_plain else type(value).__name__


def made_from(description: Mapping[str, Any], package: ModuleType, argument: str) -> Any:
    """Return an object from the description that `described` gave, if its class is in the package.

    Args:
        description: a name and arguments.
        package: the package to search for the name.
        argument: name of the argument by which the caller can pass the object, for the message.

    Raises:
        InputError: the class is not in the package.
    """
    arguments = {key: value for key, value in description.items() if key != "name"}
    known = factories(package)
    if description["name"].lower() not in known:
        raise InputError(
            f"{description['name']} is not of this package, and a file holds only its name. Give it as well: "
            f"{argument}=..."
        )
    return known[description["name"].lower()](**arguments)

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


def place_of(item: type) -> str:
    """Return where a class is defined, such as "kanpde.models.kan.KAN"."""
    return f"{item.__module__}.{item.__qualname__}"


def kind_of(item: type) -> str:
    """Return the name by which `families` has a class; for a class from outside the package, its place."""
    return item.__name__.lower() if _is_own(place_of(item)) else place_of(item)


def _is_own(place: str) -> bool:
    return place.partition(".")[0] == __name__.partition(".")[0]


def described(item: Any) -> dict[str, Any]:
    """Describe a dataclass by its name, place and arguments, and any other object by its name and place only."""
    about = {"name": type(item).__name__, "class": place_of(type(item))}  # no argument can have the name "class"
    if not is_dataclass(item) or isinstance(item, type):
        return about
    arguments = {field.name: getattr(item, field.name) for field in fields(item)}
    return {**about, **{k: _plain(v) for k, v in arguments.items()}}


def _plain(value: Any) -> Any:
    """The value with lists and numbers of Python's own, factories described; anything else by the name of its type."""
    is_factory = is_dataclass(value) and callable(value)
    if is_factory:
        return described(value)
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    plain: Any = value
    if getattr(plain, "ndim", None) == 0:
        plain = plain.item()
    is_plain = plain is None or isinstance(plain, (bool, int, float, str))
    return plain if is_plain else type(plain).__name__


def agree(one: Any, other: Any) -> bool:
    """Return whether two descriptions are of equal objects.

    Places are compared only if one of them is in this package, because a user's own file may have been renamed. Older
    descriptions have no place.
    """
    if not (isinstance(one, Mapping) and isinstance(other, Mapping)):
        return one == other
    owners = {_is_own(each["class"]) for each in (one, other) if "class" in each}
    keys = (one.keys() | other.keys()) - {"class"}
    return len(owners) < 2 and all(key in one and key in other and agree(one[key], other[key]) for key in keys)


def class_from(description: Mapping[str, Any], package: ModuleType) -> type | None:
    """Return the class that was described, if it is in the package; a user's class may have the name of one there."""
    found = factories(package).get(description["name"].lower())
    return found if found and description.get("class", place_of(found)) == place_of(found) else None


def arguments_of(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments in a description."""
    return {key: value for key, value in description.items() if key not in ("name", "class")}


def made_from(description: Mapping[str, Any], package: ModuleType, argument: str) -> Any:
    """Return an object from the description that `described` gave, if its class is in the package.

    Args:
        description: a name, a place and arguments.
        package: the package to search for the class.
        argument: name of the argument by which the caller can pass the object, for the message.

    Raises:
        InputError: the class is not in the package.
    """
    found = class_from(description, package)
    if found is None:
        place = description.get("class", description["name"])
        raise InputError(f"A file holds only the name of {place}. Give the object as well: {argument}=...")
    return found(**{key: _restored(value, package, argument) for key, value in arguments_of(description).items()})


def _restored(value: Any, package: ModuleType, argument: str) -> Any:
    """Return an argument from its description, in which there may be descriptions of other factories."""
    if not isinstance(value, Mapping):
        return value
    if "class" in value:
        return made_from(value, package, argument)
    return {key: _restored(each, package, argument) for key, each in value.items()}

"""Objects from plain options, as read from YAML; every option is checked against the signature of its factory."""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from types import ModuleType, NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import kanpde.models
import kanpde.optimizers
from kanpde.configure.typed import text
from kanpde.errors import Code, InputError, suggest
from kanpde.factories import factories
from kanpde.models.network import NetworkFactory
from kanpde.optimizers import OptimizerFactory
from kanpde.training.phases import Phase

_SCALARS = {  # a description, and an example as typed
    bool: ("true or false", "true"),
    int: ("a whole number", "1"),
    float: ("a number", "1.0"),
    str: ("text", "name"),
    NoneType: ("null", "null"),
}
_NAMED = {  # types of arguments that ``name`` selects in a package
    OptimizerFactory: ("optimizer", kanpde.optimizers),
    NetworkFactory: ("network", kanpde.models),
}


@dataclass(frozen=True)
class Schedule:
    """The group ``schedule``.

    Args:
        phases: phases of the training, in order.
        starts: number of networks trained in the first phase.
    """

    phases: Sequence[Phase]
    starts: int = 1

    def __post_init__(self):
        if not self.phases:
            raise InputError("A schedule needs at least one phase.", instead={"phases": Code("[Phase(LM())]")})


def make_model(options: Mapping[str, Any]) -> Any:
    """Return the network factory that the group ``model`` describes."""
    return named("model", kanpde.models, options, "model")


# options and signatures ----------------------------------------------------------------------------------------------
def build(factory: Callable[..., Any], options: Mapping[str, Any], where: str) -> Any:
    """Return ``factory(**options)`` after checking and converting the options.

    Args:
        factory: a function or a class with annotated arguments.
        options: its arguments as plain values.
        where: position of the options in the config, such as "model".

    Raises:
        InputError: an option is unknown, missing or of the wrong type, or the factory refuses its value.
    """
    arguments = check(factory, options, where)
    try:
        return factory(**arguments)
    except InputError as error:
        raise error.inside(where) from error


def check(
    factory: Callable[..., Any], options: Mapping[str, Any], where: str = "", given: Collection[str] = ()
) -> dict[str, Any]:
    """Convert the options to the annotated types of the factory; ``given`` arguments are passed by other means."""
    if not isinstance(options, Mapping):
        raise InputError(f"{where} must be a group of options, got {text(options)}. Write {where}.name=value.")
    parameters = {k: p for k, p in inspect.signature(factory).parameters.items() if k not in given}
    hints = get_type_hints(factory.__init__ if inspect.isclass(factory) else factory)
    is_open = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    converted = {}
    for key, value in options.items():
        name = f"{where}.{key}" if where else str(key)
        if key not in parameters and not is_open:
            near = suggest(str(key), parameters).replace('mean "', f'mean "{where}.' if where else 'mean "')
            raise InputError(f'Unknown option "{name}". {near}')
        try:
            converted[key] = _convert(value, hints.get(key, Any), name)
        except _Mismatch:
            wanted, example = _words(hints[key])
            default = parameters[key].default
            if isinstance(default, (str, int, float, Sequence, Mapping)):
                example = text(default)
            if isinstance(value, float) and value.is_integer():  # as 1e3 for a whole number
                example = str(int(value))
            raise InputError(f"{name} must be {wanted}, got {text(value)}. Write {name}={example}.") from None
    for key, p in parameters.items():
        if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and key not in converted:
            name = f"{where}.{key}" if where else key
            raise InputError(f"{name} is missing. Write {name}={_words(hints.get(key, str))[1]}.")
    return converted


class _Mismatch(Exception):
    """Raised for a value that is not of the annotated type."""


def _convert(value: Any, hint: Any, where: str) -> Any:
    """Convert the value to the annotated type; raise `_Mismatch` if that is impossible."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _convert_to_any_of(value, arguments, where)
    if hint in _NAMED:
        return named(*_NAMED[hint], value, where)
    if inspect.isclass(hint) and is_dataclass(hint):
        return build(hint, value, where)
    if not _fits(value, hint):
        raise _Mismatch
    if hint is float:
        return float(value)
    if _is_kind(origin, Mapping):
        return {k: _convert(v, arguments[1], f"{where}.{k}") for k, v in value.items()}
    if _is_kind(origin, Sequence):
        return tuple(_convert(v, arguments[0], f"{where}.{i}") for i, v in enumerate(value))
    return value


def _convert_to_any_of(value: Any, hints: Sequence[Any], where: str) -> Any:
    """Convert the value to the first of the annotated types that it matches."""
    for hint in sorted(hints, key=lambda h: inspect.isclass(h) and is_dataclass(h)):
        try:
            return _convert(value, hint, where)
        except _Mismatch:
            continue
    raise _Mismatch


def _fits(value: Any, hint: Any) -> bool:
    """Return whether the value has the annotated type; items of lists and mappings are not checked."""
    origin = get_origin(hint)
    if origin is Literal:
        return value in get_args(hint)
    if _is_kind(origin, Mapping):
        return isinstance(value, Mapping)
    if _is_kind(origin, Sequence):
        return isinstance(value, Sequence) and not isinstance(value, str)
    if hint is float or hint is int:
        return isinstance(value, (int, float) if hint is float else int) and not isinstance(value, bool)
    return hint is Any or not inspect.isclass(hint) or isinstance(value, hint)


def _is_kind(origin: Any, kind: type) -> bool:
    return inspect.isclass(origin) and issubclass(origin, kind)


def _words(hint: Any) -> tuple[str, str]:
    """Return a description of an annotation, and an example as typed."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in _SCALARS:
        return _SCALARS[hint]
    if origin in (Union, UnionType):
        words = [_words(h) for h in arguments if h in _SCALARS or get_origin(h)]
        return " or ".join(w for w, _ in words), words[0][1]
    if origin is Literal:
        return "one of " + ", ".join(map(text, arguments)), text(arguments[0])
    if _is_kind(origin, Mapping):
        words, example = _words(arguments[1])
        return f"{words} for each name", f"{{name:{example}}}"
    if _is_kind(origin, Sequence):
        words, example = _words(arguments[0])
        return f"a list, each {words}", f"[{example}]"
    return "a group of options", "{}"


# objects found by name -----------------------------------------------------------------------------------------------
def named(kind: str, package: ModuleType, options: Mapping[str, Any], where: str) -> Any:
    """Return the object that ``options["name"]`` selects in the package, made with the other options."""
    choices = factories(package)
    name, others = split_name(options, where, min(choices))
    if name not in choices:
        raise InputError(f'Unknown {kind} "{name}". {suggest(name, choices)}')
    return build(choices[name], others, where)


def split_name(options: Mapping[str, Any], where: str, example: str) -> tuple[str, dict[str, Any]]:
    """Return the option ``name`` and the remaining options."""
    if not isinstance(options, Mapping) or not isinstance(options.get("name"), str):
        raise InputError(
            f"{where} has no name, which says what it is. Write {where}.name={example}, or the line "
            f"`name: {example}` in its yaml file."
        )
    return options["name"], {key: value for key, value in options.items() if key != "name"}

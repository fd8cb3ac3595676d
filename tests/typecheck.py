"""The checker of annotations and shapes in tests; an int passes for a float, as everywhere in Python."""

from beartype import BeartypeConf, beartype

_checked = beartype(conf=BeartypeConf(is_pep484_tower=True))


def check(item):
    """Return the item with its checks, but nested functions as they are, whose checks would be built at every call.

    None of them has a shape in its annotations (tests/test_structure.py).
    """
    return item if "<locals>" in getattr(item, "__qualname__", "") else _checked(item)

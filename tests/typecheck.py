"""The checker of annotations and shapes in tests; an int passes for a float, as everywhere in Python."""

from beartype import BeartypeConf, beartype

_checked = beartype(conf=BeartypeConf(is_pep484_tower=True))


def check(item):
    """Functions inside of functions are left alone: every call around them would make their checks anew.

    None of them has a shape in its annotations (tests/test_structure.py).
    """
    return item if "<locals>" in getattr(item, "__qualname__", "") else _checked(item)

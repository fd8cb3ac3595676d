"""The structure of the package: imports go downwards and in no circle, names are public, files and functions are short.

Every test names all offenders at once.
"""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "kanpde"
# from top to bottom: a file may import from files of its own line and below only
LEVELS = [
    ["__main__"],
    ["command"],
    ["study"],
    ["runs"],
    ["terminal", "configure", "data"],
    ["plots", "exports"],
    ["formulas"],
    ["training"],
    ["thinning"],
    ["classical"],
    ["storage"],
    ["solution", "device"],
    ["optimizers"],
    ["residuals"],
    ["models"],
    ["hard_constraints"],
    ["problem"],
    ["conditions"],
    ["calculus", "domains", "bases"],
    ["errors", "ends", "version", "paths", "factories"],
]
LEVEL = {name: i for i, names in enumerate(LEVELS) for name in names}
MOST_FLAT_FILES, MOST_LINES, MOST_LINES_OF_A_FUNCTION, MOST_LONG_FUNCTIONS, MOST_SKIPS = 12, 300, 60, 2, 10


def module_of(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def running(node):
    """The nodes below, without those that only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            yield from (each for statement in child.orelse for each in (statement, *running(statement)))
        else:
            yield child
            yield from running(child)


def imports(path):
    """(module, imported name or "") of every import, those in functions too."""
    for node in running(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (("." * node.level + (node.module or ""), alias.name) for alias in node.names)


def modules(path):
    """The modules that a file imports; of ``from kanpde.runs import status`` the module kanpde.runs.status."""
    for module, name in imports(path):
        yield f"{module}.{name}" if name and (module == "kanpde" or f"{module}.{name}" in FILES) else module


def room(module):
    """The folder or flat file of the package that a module belongs to."""
    return module.split(".")[1] if "." in module else module


def is_own(module):
    return module.split(".")[0] == "kanpde"


def show(offenders):
    return "\n" + "\n".join(offenders)


# imports -------------------------------------------------------------------------------------------------------------
def test_imports_are_absolute_and_every_room_has_its_level():
    relative = [f"{module}: {m}" for module, path in FILES.items() for m, _ in imports(path) if m.startswith(".")]
    assert not relative, show(relative)
    without = [module for module in FILES if module != "kanpde" and room(module) not in LEVEL]
    assert not without, f"LEVELS does not have{show(without)}"


def test_imports_go_downwards():
    upwards = [
        f"{module} imports {other}"
        for module, path in FILES.items()
        if module != "kanpde"
        for other in modules(path)
        if is_own(other) and LEVEL.get(room(other), -1) < LEVEL[room(module)]
    ]
    assert not upwards, show(upwards)


def test_no_modules_import_each_other_in_a_circle():
    """Imports in functions count; those that only a type checker reads do not."""
    graph = {module: {m for m in modules(path) if m in FILES and m != module} for module, path in FILES.items()}
    del graph["kanpde"]  # it imports its parts, and none of them imports it (test_imports_go_downwards)
    outside = True
    while outside:  # modules that import none of the others, or that none of the others imports
        needed = set().union(*graph.values())
        outside = [module for module, others in graph.items() if not others & set(graph) or module not in needed]
        for module in outside:
            del graph[module]
    circle = [f"{module} imports {', '.join(sorted(others & set(graph)))}" for module, others in graph.items()]
    assert not circle, show(circle)


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


def local_names(path):
    """By local name, the modules of the package that a file imports as wholes."""
    found = {}
    for node in running(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return {name: module for name, module in found.items() if module in FILES}


def test_private_names_stay_in_their_modules():
    offenders = []
    for module, path in FILES.items():
        for other, name in imports(path):
            if is_own(other) and any(map(is_private, (*other.split("."), name))):
                offenders.append(f"{module} imports {name} of {other}")
        names = local_names(path)
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Attribute) and is_private(node.attr) and ast.unparse(node.value) in names:
                offenders.append(f"{module}, line {node.lineno}: {ast.unparse(node)}")
    assert not offenders, show(offenders)


def test_only_the_command_line_imports_hydra():
    offenders = [
        f"{module} imports {other}"
        for module, path in FILES.items()
        if room(module) != "command"
        for other in modules(path)
        if other.split(".")[0] in ("hydra", "omegaconf")
    ]
    assert not offenders, show(offenders)


def test_only_one_file_uses_the_internals_of_hydra():
    offenders = [
        f"{module} imports {other}"
        for module, path in FILES.items()
        if module != "kanpde.command.hydra_internals"
        for other in modules(path)
        if re.match(r"(hydra|omegaconf)\..*_internal|(hydra|omegaconf)\._", other)
    ]
    assert not offenders, show(offenders)


def test_the_package_never_imports_problems():
    offenders = [
        f"{module} imports {other}"
        for module, path in FILES.items()
        for other in modules(path)
        if other.split(".")[0] == "problems" or other.startswith("kanpde.problems")
    ]
    assert not offenders, show(offenders)


def test_problems_use_public_names_only():
    import kanpde

    offenders = [
        f"{path.name} imports {name} of {module}"
        for path in sorted((ROOT / "problems").glob("*.py"))
        for module, name in imports(path)
        if module.split(".")[0] not in ("functools", "math", "torch", "numpy", "scipy")
        and not (module == "kanpde" and name in ("", *kanpde.__all__))
    ]
    assert not offenders, show(offenders)


# sizes ---------------------------------------------------------------------------------------------------------------
def test_functions_inside_of_functions_have_no_shapes_to_check():
    """tests/typecheck.py leaves them out."""
    kinds = ast.FunctionDef, ast.AsyncFunctionDef
    found = []
    for name, path in FILES.items():
        inner = {n for f in ast.walk(tree(path)) if isinstance(f, kinds) for n in ast.walk(f) if n is not f}
        for function in (each for each in inner if isinstance(each, kinds)):
            hints = [a.annotation for a in ast.walk(function.args) if isinstance(a, ast.arg)] + [function.returns]
            if any(re.search(r"\b(Float|Int|Bool)\[", ast.unparse(hint)) for hint in hints if hint):
                found.append(f"{name}.{function.name}")
    assert not found


def test_few_files_lie_flat():
    flat = [path.name for path in PACKAGE.glob("*.py")]
    assert len(flat) <= MOST_FLAT_FILES, show(flat)


def test_files_are_short():
    lines = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in FILES.items()}
    long = [f"{module}: {n} lines" for module, n in lines.items() if n > MOST_LINES]
    assert not long, show(long)


def test_functions_are_short():
    long = [
        f"{module}.{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for module, path in FILES.items()
        for node in ast.walk(tree(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.end_lineno - node.lineno + 1 > MOST_LINES_OF_A_FUNCTION
    ]
    assert len(long) <= MOST_LONG_FUNCTIONS, show(long)


def test_the_formatter_formats():
    skipped = [
        f"{path.relative_to(ROOT)}, line {number}"
        for folder in ("kanpde", "problems", "tests", "benchmarks")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"#\s*fmt:\s*(skip|off)", line)
    ]
    assert len(skipped) <= MOST_SKIPS, show(skipped)

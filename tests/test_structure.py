"""The walls: imports go one way, only the command line knows Hydra, bases, models and optimizers stand alone."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "kanpde"
# from top to bottom: a file may import from files below it only
LEVELS = [
    ["__main__"],
    ["command"],
    ["study"],
    ["runs"],
    ["terminal", "configure"],
    ["plots"],
    ["training"],
    ["classical"],
    ["storage"],
    ["solution", "device"],
    ["optimizers"],
    ["residuals"],
    ["models"],
    ["hard_constraints"],
    ["problem"],
    ["calculus", "domains", "bases"],
    ["errors", "ends", "version", "paths", "factories"],
]
LEVEL = {name: i for i, names in enumerate(LEVELS) for name in names}
FILES = sorted(PACKAGE.rglob("*.py"))


def room(module):
    return module.split(".")[1] if "." in module else module


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative imports hide where a name comes from"
            names = [f"kanpde.{alias.name}" for alias in node.names]
            yield from names if node.module == "kanpde" else [node.module]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_downwards(path):
    if path == PACKAGE / "__init__.py":
        return
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert own in LEVEL, f"{own} has no place in the list of rooms"
    for module in imports(path):
        if module == "kanpde" or module.startswith("kanpde."):
            assert room(module) in LEVEL, f"{own} imports {module}: name the room it comes from"
            assert LEVEL[room(module)] >= LEVEL[own], f"{own} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_the_command_line_knows_hydra(path):
    if path.parent != PACKAGE / "command":
        assert not any(re.match(r"(hydra|omegaconf)\b", module) for module in imports(path))


def test_the_package_never_imports_problems():
    for path in FILES:
        assert not any(m.split(".")[0] == "problems" or m.startswith("kanpde.problems") for m in imports(path))


def test_problems_use_public_names_only():
    for path in sorted((PACKAGE.parent / "problems").glob("*.py")):
        for module in imports(path):
            assert module.split(".")[0] in ("math", "torch", "numpy", "scipy", "kanpde"), f"{path.name}: {module}"
            assert not module.startswith("kanpde.models"), path.name

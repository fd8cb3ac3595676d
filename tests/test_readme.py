"""The examples of the README and of the three guides, run as they stand there."""

import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from scipy.special import jn_zeros

import kanpde
from kanpde import KAN, LM, Phase, Sampling
from kanpde.command import main
from kanpde.residuals.evaluation import formula_fields, residuals_of

pytestmark = pytest.mark.usefixtures("unchecked")
GUIDES = ("README.md", "problems/EQUATIONS.md", "conf/OPTIONS.md", "kanpde/NETWORKS.md")
README, EQUATIONS, OPTIONS, NETWORKS = TEXTS = [(ROOT / name).read_text(encoding="utf-8") for name in GUIDES]
FEW = ["schedule.phases=[{steps:12}]", "schedule.starts=1", "plots=false", "output.cells=8", "threads=1"]


def block(start, language, text=README):
    """The code block of a language that follows the text ``start``."""
    after = text[text.index(start) :]
    return re.search(rf"```{language}\n(.*?)```", after, re.DOTALL).group(1)


@pytest.mark.long
def test_your_own_equation(tmp_path):
    """The example's file and yaml in a folder of the user's: solved by the command that the README gives."""
    source = block("`reaction.py`", "python")
    assert source.count("\n") <= 27
    (tmp_path / "reaction.py").write_text(source)
    (tmp_path / "conf" / "problem").mkdir(parents=True)
    (tmp_path / "conf" / "problem" / "reaction.yaml").write_text(block("`conf/problem/reaction.yaml`", "yaml"))
    command = re.search(r"`python (-m kanpde problem=reaction[^`]*)`", README).group(1).split()
    done = subprocess.run(
        [sys.executable, *command, *FEW, "hydra.run.dir=result"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert "Relative error of u" in done.stdout
    solution = kanpde.load(tmp_path / "result")
    assert float(solution(0.3, 0.7)) == pytest.approx(np.exp(0.3) * np.sin(0.7), abs=1e-3)


def test_from_python(monkeypatch, capsys):
    """The Python example, with a short schedule in place of the default one."""
    monkeypatch.syspath_prepend(str(ROOT))
    short = kanpde.solve

    def solve(problem, model, **rest):
        assert isinstance(model, KAN)
        return short(problem, model, [Phase(LM(), steps=3)], sampling=Sampling("gauss", 100, 40), **rest)

    monkeypatch.setattr(kanpde, "solve", solve)
    names: dict = {}
    exec(compile(block("From Python:", "python"), "README.md", "exec"), names)
    assert names["u"].shape == names["u_xy"].shape == (50, 50)
    assert "steps done" in capsys.readouterr().out


def test_measured_values(monkeypatch, capsys):
    """The example of an inverse problem, with a short schedule."""
    short = kanpde.solve

    def solve(problem, model, **rest):
        return short(problem, model, [Phase(LM(), steps=25)], sampling=Sampling(interior=300, boundary=40), **rest)

    monkeypatch.setattr(kanpde, "solve", solve)
    names: dict = {}
    exec(compile(block("**Measured values.**", "python", EQUATIONS), "EQUATIONS.md", "exec"), names)
    lower, upper = names["solution"].intervals["k"]
    assert 0.097 < lower < 0.1 < upper < 0.103


def test_shapes(monkeypatch, capsys):
    """The example of a shape, with a short schedule: Δu = -1, u = 0 outside, no flux at the hole."""
    short = kanpde.solve

    def solve(problem):
        return short(problem, KAN([3], grid=3), [Phase(LM(), steps=15)], sampling=Sampling("gauss", 300, 100))

    monkeypatch.setattr(kanpde, "solve", solve)
    names: dict = {}
    exec(compile(block("## Shapes", "python", EQUATIONS), "EQUATIONS.md", "exec"), names)
    rim = names["ring"].part("outer").sample("gauss", 20).x.numpy().T
    hole = names["ring"].part("hole").sample("gauss", 20).x.numpy().T
    assert abs(names["solution"](*rim)).max() < 0.02 < names["solution"](*hole).min() < 0.4
    assert float(capsys.readouterr().out.split()[0]) == pytest.approx(0.91 * np.pi)


@pytest.mark.parametrize("title", ["## Time", "## Systems", "## Vector unknowns"])
def test_exact_solutions_of_examples(title):
    """The examples' exact solutions satisfy their conditions."""
    names: dict = {}
    exec(compile(block(title, "python", EQUATIONS), "EQUATIONS.md", "exec"), names)
    (make,) = (each for each in names.values() if getattr(each, "__annotations__", {}).get("return") is kanpde.Problem)
    problem = make()
    for label, condition in problem.conditions.items():
        points = condition.region.sample("sobol", 32)
        residuals = residuals_of(problem, label, lambda c, space: formula_fields(problem, problem.exact, c), points)
        assert max(float(r.abs().max()) for r in residuals) < 1e-13, label


@pytest.mark.long
def test_eigenvalues(capsys):
    names: dict = {}
    exec(compile(block("## Eigenvalues", "python", EQUATIONS), "EQUATIONS.md", "exec"), names)
    zeros = np.array([*jn_zeros(0, 1), *jn_zeros(1, 1), *jn_zeros(1, 1)])
    np.testing.assert_allclose(names["found"].values, zeros**2, rtol=1e-9)


def test_a_family(monkeypatch, capsys):
    """The example of a family, with a short schedule in place of the tolerance."""
    short = kanpde.solve

    def solve(problem, tolerance):
        assert tolerance == 1e-6
        return short(problem, KAN([3], degree=5, grid=2), [Phase(LM(), steps=20)], sampling=Sampling("gauss", 343, 100))

    monkeypatch.setattr(kanpde, "solve", solve)
    exec(compile(block("## Families", "python", EQUATIONS), "EQUATIONS.md", "exec"), {})
    assert float(capsys.readouterr().out.split()[-1]) == pytest.approx(np.exp(-(np.pi**2) * 0.06), abs=0.1)


COMMANDS = [each for text in TEXTS for each in re.findall(r"^python -m kanpde (?![-+])(.*)$", text, re.MULTILINE)]


@pytest.mark.long
@pytest.mark.parametrize("command", COMMANDS)
def test_commands_run(command, tmp_path, monkeypatch, capsys):
    """Every single-run command line, with a small budget."""
    monkeypatch.chdir(tmp_path)
    small = ["schedule.phases=[{steps:1}]", "sampling.interior=64", "output.cells=4", "plots=false", "time_limit=2"]
    assert main([*command.split(), *small]) == 0
    assert "Relative error of u" in capsys.readouterr().out


def anchors(path):
    """The names of a page's titles, as links have them."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"[^a-z -]", "", title.lower()).replace(" ", "-") for title in titles]


@pytest.mark.parametrize("name", GUIDES)
def test_links_lead_somewhere(name):
    page = ROOT / name
    for link in re.findall(r"\]\(([^) ]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert "://" in link or target.exists(), link
        assert not anchor or anchor in anchors(target), link

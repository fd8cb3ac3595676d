"""The page of the packaged problems: every problem has its source, a picture and a row of figures."""

import importlib.util
import re

import pytest
from conftest import PROBLEMS, ROOT

MOST_BYTES = 300_000  # of a picture


@pytest.fixture(scope="module")
def gallery():
    spec = importlib.util.spec_from_file_location("gallery", ROOT / "benchmarks" / "gallery.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_problem_names_its_source(gallery, name):
    title, source = gallery.described(name)
    assert title.endswith(".")
    assert source.endswith(".")


def test_the_page_has_every_problem_with_a_picture_and_figures(gallery):
    rows = {gallery.name_in(line): line for line in gallery.PAGE.read_text(encoding="utf-8").splitlines()}
    assert sorted(name for name in rows if name) == PROBLEMS
    for name in PROBLEMS:
        assert f"problem={name}" in rows[name]
        assert re.search(r"\| \d+ \| \d+ \|$", rows[name]), name  # parameters and seconds
        assert 0 < (gallery.PICTURES / f"{name}.png").stat().st_size < MOST_BYTES, name


def test_a_page_keeps_the_rows_of_runs_that_are_not_there(gallery, tmp_path, monkeypatch):
    before = gallery.PAGE.read_text(encoding="utf-8").splitlines()
    page = tmp_path / "README.md"
    page.write_text("\n".join(before), encoding="utf-8")
    monkeypatch.setattr(gallery, "PAGE", page)
    monkeypatch.setattr(gallery, "RUNS", tmp_path)
    gallery.write_page()
    after = page.read_text(encoding="utf-8").splitlines()
    assert [line for line in after if gallery.name_in(line)] == [line for line in before if gallery.name_in(line)]

"""A film shows the network, the solution and the loss at steps of the run, and ends with the result."""

import os
from itertools import pairwise
from signal import SIGINT, SIGTERM

import numpy as np
import pytest
import torch
from conftest import load_problem
from PIL import Image

import kanpde.plots.film
from kanpde import KAN, LM, MLP, InputError, Output, Phase, Sampling, solve
from kanpde.command import main
from kanpde.plots.film import Film
from kanpde.training.phases import Progress

pytestmark = pytest.mark.usefixtures("unchecked")


def filmed(film, problem=None, model=None, steps=(3, 2)):
    phases = [Phase(LM(), steps=n, grid=2 * (k + 1)) for k, n in enumerate(steps)]
    model, points = model or KAN([2], degree=4, grid=2), Sampling("gauss", 60, 20)
    return solve(problem or load_problem("poisson")(), model, phases, sampling=points, device="cpu", observe=film)


def frames_of(path):
    with Image.open(path) as image:
        found = []
        for k in range(image.n_frames):
            image.seek(k)
            found.append(np.asarray(image.convert("RGB")).astype(float))
        return found


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(kanpde.plots.film, "DPI", 30)


@pytest.mark.long
def test_networks_are_kept_as_they_were_at_their_steps(tmp_path):
    film, seen = Film(), []

    def observe(progress):
        film(progress)
        seen.append([p.detach().clone() for p in progress.model.parameters()])

    solution = filmed(observe, steps=(2, 1))
    assert [frame.step for frame in film.frames] == [1, 2, 3]
    for frame, parameters in zip(film.frames, seen, strict=True):
        for found, wanted in zip(frame.model.parameters(), parameters, strict=True):
            assert torch.equal(found, wanted)
    assert [frame.model.grid for frame in film.frames] == [2, 2, 4]
    pictures = frames_of(film.save(solution, tmp_path / "new" / "film.gif"))
    assert len(pictures) == 3
    assert all(np.abs(a - b).max() > 50 for a, b in pairwise(pictures))


def test_frames_of_models_without_edges_in_one_coordinate(tmp_path):
    film = Film()
    solution = filmed(film, load_problem("poisson")(dim=1), MLP([2]), steps=(2,))
    assert len(frames_of(film.save(solution, tmp_path / "film.gif"))) == 2


def progress_at(step, model):
    return Progress(0, 1, step, 1000, 1.0, 1.0, None, 2, 0.0, total=step, model=model)


def test_long_runs_keep_frames_at_equal_distances_and_draw_few():
    film, model = Film(most=5), torch.nn.Linear(1, 1)
    for step in range(1, 101):
        film(progress_at(step, model))
    steps = [frame.step for frame in film.frames]
    assert len(steps) <= 10 and len(set(np.diff(steps))) == 1 and steps[0] == 1 and steps[-1] > 80


def test_steps_that_are_taken_again_replace_the_earlier_ones():
    film, model = Film(), torch.nn.Linear(1, 1)
    for step in (1, 2, 3, 4, 2, 3):
        film(progress_at(step, model))
    assert [frame.step for frame in film.frames] == [1, 2, 3]


def test_large_networks_are_kept_few_times(monkeypatch):
    monkeypatch.setattr(kanpde.plots.film, "MEMORY", 24)  # three times the bytes of the model
    film, model = Film(), torch.nn.Linear(1, 1)
    for step in range(1, 20):
        film(progress_at(step, model))
        assert len(film.frames) <= 3


def test_the_number_of_drawn_frames_is_limited(monkeypatch, tmp_path):
    monkeypatch.setattr(kanpde.plots.film, "deepcopy", lambda model: model)  # the same picture is enough
    film = Film(most=3)
    solution = filmed(film, load_problem("poisson")(dim=1), steps=(5,))
    assert len(frames_of(film.save(solution, tmp_path / "film.gif"))) == 3


COMMAND = ["problem=poisson", "problem.dim=1", "schedule.phases=[{steps:3}]", "schedule.starts=1", "model.hidden=[2]"]
COMMAND += ["sampling.interior=64", "output.cells=4", "plots=false", "output.film=true"]


@pytest.mark.long
@pytest.mark.parametrize(("signal", "code"), [(None, 0), (SIGINT, 130), (SIGTERM, 143)])
def test_runs_of_the_command_write_the_film_or_say_why_not(signal, code, tmp_path, monkeypatch, capsys):
    keep = Film.__call__

    def observe(film, progress):
        keep(film, progress)
        if signal and progress.total == 2:
            os.kill(os.getpid(), signal)

    monkeypatch.setattr(Film, "__call__", observe)
    assert main([*COMMAND, f"hydra.run.dir={tmp_path / 'run'}"]) == code
    path, said = tmp_path / "run" / "film.gif", capsys.readouterr().out
    assert path.exists() == (signal is not SIGTERM)
    assert ("The film will begin where the run is resumed" in said) == (signal is SIGTERM)
    if path.exists():
        assert len(frames_of(path)) == (2 if signal else 3)


def test_bad_input():
    with pytest.raises(InputError, match=r"most must be a whole number.*most=40"):
        Film(1)
    with pytest.raises(InputError, match="No step was observed"):
        Film().save(None, "film.gif")
    with pytest.raises(InputError, match=r"film must be true or false.*film=True"):
        Output(film="yes")

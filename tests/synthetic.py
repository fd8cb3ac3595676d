"""Studies on disk whose runs were not solved: real result files with invented numbers, written in milliseconds."""

from math import isfinite

import h5py
import numpy as np
import torch
import yaml
from conftest import load_problem

from kanpde.ends import End, Ending
from kanpde.models.kan import KAN
from kanpde.models.mlp import MLP
from kanpde.paths import CONFIG, FAILED, RESULT
from kanpde.solution import Solution
from kanpde.storage.record import write_record

MODELS = {"kan": KAN([2], degree=3, grid=4), "mlp": MLP([8, 8])}
_networks = {}


def write_run(
    folder,
    error,
    seed=0,
    kind="kan",
    sizes=(100, 200, 400),
    order=4.0,
    steps=30,
    config=None,
    end=End.STEPS_DONE,
    **settings,
):
    """A run that ended with a relative L2 error, after levels whose errors fell like size^-order; inf: a failed run.

    Errors are in ``levels`` and ``history`` as a training leaves them: two starts, then a phase a size.
    """
    folder.mkdir(parents=True)
    if config is not None:
        (folder / CONFIG).write_text(yaml.safe_dump(config))
    if not isfinite(error):
        (folder / FAILED).write_text("Traceback (most recent call last):\nValueError: <broken> on purpose\n")
        return
    reached = [error * (sizes[-1] / size) ** order for size in sizes]
    levels = [
        {
            "phase": k,
            "optimizer": "LM",
            "method": "",
            "grid": 4 * 2**k if kind == "kan" else None,
            "parameters": size,
            "points": 1000,
            "steps": steps // len(sizes),
            "loss": e**2,
            "seconds": 0.01 * size,
            "reason": "steps done",
            "end": "STEPS_DONE",
            "l2": e,
            "h1": 5 * e,
            "max": 2 * e,
        }
        for k, (size, e) in enumerate(zip(sizes, reached, strict=True))
    ]
    history = [
        {
            "step": s + 1,
            "start": 1 if s < 3 else 0,
            "phase": min(len(sizes) * s // steps, len(sizes) - 1),
            "grid": 4.0,
            "parameters": sizes[0],
            "loss": max(error**2, 10.0 ** (-s / 2)),
            "error": max(error, 10.0 ** (-s / 4)),
            "seconds": 0.1 * (s + 1),
        }
        for s in range(steps)
    ]
    problem, model = _network(kind)
    arguments = {k: v for k, v in vars(MODELS[kind]).items() if isinstance(v, (int, float, str, list, tuple))}
    used = {
        "seed": seed,
        "device": "cpu",
        "dtype": "float64",
        "threads": 1,
        "derivatives": "jets",
        "rule": "gauss",
        "seconds": 0.1 * steps,
        "model": {"name": type(MODELS[kind]).__name__, **arguments},
    }
    errors = {"u": {"l2": error, "h1": 5 * error, "max": 2 * error}}
    solution = Solution(problem, model, history, levels, Ending(end), errors, {}, {**used, **settings})
    with h5py.File(folder / RESULT, "w", libver=("v110", "v110")) as file:
        write_record(file.create_group("kanpde"), solution, "problem: {name: poisson}\n")


def _network(kind):
    if kind not in _networks:
        problem = load_problem("poisson")()
        domain = problem.domain
        model = MODELS[kind](domain.ranges, 1, periodic=(), generator=torch.Generator(), dtype=torch.float64)
        _networks[kind] = problem, model
    return _networks[kind]


def write_study(folder, errors, classical=(), ledger=(), **plan):
    """A study whose arms have these final errors by seed: ``{"kan": [1e-9, inf, None]}``, None for a run not begun."""
    seeds = list(range(max(len(values) for values in errors.values())))
    arms = {arm: {"overrides": [f"model={arm}"], "hidden": [2], "parameters": 400} for arm in errors}
    arms = {arm: {**about, **plan.pop(arm, {})} for arm, about in arms.items()}
    folder.mkdir(parents=True, exist_ok=True)
    text = {
        "name": "kan_vs_mlp",
        "title": "KAN against MLP",
        "problem": "poisson",
        "command": "python -m kanpde +study=kan_vs_mlp problem=poisson",
        "match": "parameters",
        "seeds": seeds,
        "arms": arms,
        "budget": "small",
        "machine": {"processor": "of a test"},
        "versions": {"kanpde": "0"},
        "commit": None,
        **plan,
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(text, sort_keys=False))
    for arm, values in errors.items():
        for seed, error in enumerate(values):
            if error is not None:
                kind = "kan" if arm.startswith("kan") else "mlp"
                sizes = (100, 200, 400) if kind == "kan" else (400,)
                write_run(folder / "runs" / arm / str(seed), error, seed, kind, sizes)
    for name, rows in (("classical.csv", classical), ("ledger.csv", ledger)):
        if rows:
            lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
            (folder / name).write_text("\n".join(lines) + "\n")
    return folder


def spread(middle, n=10, seed=0, std=0.3):
    """Errors of n seeds around one."""
    return list(middle * 10 ** np.random.default_rng(seed).normal(0, std, n))

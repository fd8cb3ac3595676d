"""Save and load runs: one HDF5 file with the fields for ParaView and everything needed to evaluate the solution."""

import io
from collections.abc import Mapping
from math import nan
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import h5py
import meshio
import torch
from numpy.typing import NDArray
from torch import nn

import kanpde.models
from kanpde.device import choose_dtype
from kanpde.domains.families import label_of, members_of, middle_of
from kanpde.domains.kinds import domain_from, kinds
from kanpde.ends import End
from kanpde.errors import InputError
from kanpde.factories import arguments_of, class_from
from kanpde.hard_constraints import hardened
from kanpde.hard_constraints.kinds import ansatz_from
from kanpde.models.architecture import is_of_package, network_from
from kanpde.models.parts import bound
from kanpde.paths import MEMBERS, RESULT
from kanpde.problem import Problem
from kanpde.residuals.accuracy import largest
from kanpde.residuals.corners import features_of
from kanpde.solution import Solution
from kanpde.storage.coefficient_rows import coefficients_from
from kanpde.storage.curve import curve
from kanpde.storage.domain_record import coordinates, described, outline
from kanpde.storage.folders import existing, replace_files
from kanpde.storage.output import Output, sample, sample_boundary
from kanpde.storage.record import read_file, write_record
from kanpde.storage.vtkhdf import view, write_mesh, xdmf

XDMF, BOUNDARY, BOUNDARY_XDMF = "solution.xdmf", "boundary.vtkhdf", "boundary.xdmf"
CURVE = "solution.csv"


# writing -------------------------------------------------------------------------------------------------------------
def prepare_folder(folder: str | Path, problem: Problem, output: Output = Output()) -> Path:
    """Create the folder, and check before training that the result can be saved.

    Raises:
        InputError: the folder cannot be written, the output does not fit the problem, or its domain cannot be stored.
    """
    output.check(problem)
    described(problem.domain)
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unwritable(folder, error) from None
    return folder


def save(solution: Solution, folder: str | Path, output: Output = Output(), config: str = "") -> Path:
    """Write the solution, and its values on the parts of the boundary, into the folder atomically.

    The files are ``solution.vtkhdf`` and ``boundary.vtkhdf`` with ``solution.xdmf`` and ``boundary.xdmf``. Over time
    alone there is no boundary, and ``solution.csv`` is a table of the same values. Of a family they have the member in
    the middle of the ranges, and others have files such as ``solution_nu=0.1.vtkhdf``.

    Args:
        solution: the solution to save.
        folder: created if it does not exist.
        output: resolution of the stored fields.
        config: the configuration of the run, as YAML.

    Raises:
        InputError: the folder cannot be written, or the output does not fit the problem.
    """
    if not isinstance(solution, Solution):
        raise InputError(f"save takes a solution and then a folder, got a {type(solution).__name__} first.")
    folder = prepare_folder(folder, solution.problem, output)
    middle = middle_of(solution.problem.domain)
    shown = solution.at(**middle) if middle else solution
    mesh, times, fields = sample(shown, output)
    boundary = sample_boundary(shown, output, times)
    memory = io.BytesIO()  # HDF5 can crash when a disk is full
    with h5py.File(memory, "w", libver=("v110", "v110")) as file:  # from 1.10 on, attributes have checksums too
        write_mesh(file, mesh, fields, times)
        write_record(file.create_group("kanpde"), solution, config)
        steps, points = next(iter(fields.values())).shape
        _write_views(file, shown.problem, output, middle, list(fields), steps, points)
    files = {folder / RESULT: memory.getbuffer(), folder / XDMF: xdmf(RESULT, mesh, fields, times)}
    if not shown.problem.domain.space:
        files |= {folder / CURVE: curve(shown.problem.domain.names[0], mesh, fields)}
    if boundary is not None:
        files |= {folder / BOUNDARY: _boundary_file(*boundary, times)}
        files |= {folder / BOUNDARY_XDMF: xdmf(BOUNDARY, *boundary, times)}
    files |= _member_files(solution, folder, output)
    try:
        replace_files(files)
        for old in set(folder.glob(MEMBERS)) - set(files):
            old.unlink()
    except OSError as error:
        raise _unwritable(folder, error) from None
    return folder / RESULT


def _member_files(solution: Solution, folder: Path, output: Output) -> dict[Path, memoryview | bytes]:
    """Return two files with the fields for every shown member of a family, such as solution_nu=0.1.vtkhdf."""
    files: dict[Path, memoryview | bytes] = {}
    for values in members_of(solution.problem.domain, output.members):
        mesh, times, fields = sample(solution.at(**values), output)
        memory, name = io.BytesIO(), f"solution_{label_of(values).replace(', ', '_')}"
        with h5py.File(memory, "w", libver=("v110", "v110")) as file:
            write_mesh(file, mesh, fields, times)
            file.attrs["held_fixed"] = label_of(values)
        files[folder / f"{name}.vtkhdf"] = memory.getbuffer()
        files[folder / f"{name}.xdmf"] = xdmf(f"{name}.vtkhdf", mesh, fields, times)
    return files


def _boundary_file(mesh: meshio.Mesh, fields: dict[str, NDArray], times: NDArray | None) -> memoryview:
    """Return the file boundary.vtkhdf; its attribute "parts" has the names by number, with "" where there is none."""
    numbers = {int(number): name for name, (number, *_) in mesh.field_data.items()}
    memory = io.BytesIO()
    with h5py.File(memory, "w", libver=("v110", "v110")) as file:
        write_mesh(file, mesh, fields, times)
        file["VTKHDF/CellData/part"].attrs["parts"] = [numbers.get(k, "") for k in range(max(numbers) + 1)]
    return memory.getbuffer()


def _write_views(
    file: h5py.File,
    problem: Problem,
    output: Output,
    member: Mapping[str, float],
    fields: list[str],
    steps: int,
    points: int,
) -> None:
    """Write virtual views of the fields in the group VTKHDF, with one row for every step.

    Args:
        file: with the fields.
        problem: of the coordinates that the fields have.
        output: of the run.
        member: values of a family's parameters, at which the fields are.
        fields: their names.
        steps, points: number of rows and columns.
    """
    group = file.create_group("kanpde/fields")
    free, fixed = output.axes(problem)
    names = problem.domain.names
    group.attrs["description"] = "fields at /kanpde/points, one row for each of /kanpde/times if there are any; virtual"
    group.attrs["units"] = "as in the problem"
    group.attrs["axes"] = [names[i] for i in free]
    held = [*([label_of(member)] if member else []), *(f"{names[i]}={value:g}" for i, value in fixed.items())]
    group.attrs["held_fixed"] = ", ".join(held)
    file["kanpde/points"] = file["VTKHDF/Points"]
    if "VTKHDF/Steps" in file:
        file["kanpde/times"] = file["VTKHDF/Steps/Values"]
    for name in fields:
        view(file, name, f"kanpde/fields/{name}", range(steps), points)


def _unwritable(folder: Path, error: OSError) -> InputError:
    return InputError(
        f'The folder "{folder}" cannot be written: {error.strerror or error}. Choose another one.',
        write={"folder": "outputs/mine"},
    )


# reading -------------------------------------------------------------------------------------------------------------
def load(folder: str | Path, problem: Problem | None = None, model: nn.Module | None = None) -> Solution:
    """Load the solution that was saved in the folder, on the CPU; its values and derivatives are those of the run.

    Args:
        folder: of one run.
        problem: the problem that was solved; without it the solution has no conditions and no exact solution.
        model: a module of the same architecture, if `solve` was given a ready module; it receives the stored weights.

    Raises:
        InputError: the file is missing or damaged, or needs a problem or model that was not given or does not match.
    """
    if problem is not None and not isinstance(problem, Problem):
        raise InputError(f"load takes a folder and then a Problem, got a {type(problem).__name__}: `poisson()`?")
    record = read_file(existing(folder) / RESULT)
    problem = _problem(record, problem)
    return Solution(
        problem=problem,
        model=_network(record, problem, model),
        history=record["history"],
        levels=record["levels"],
        ending=record["ending"],
        errors={row.pop("unknown"): row for row in record["errors"]},
        settings=record["settings"],
        derivatives=record["settings"].get("derivatives", "jets"),
        warnings=record["warnings"],
        **coefficients_from(record["coefficients"]),
    )


def _problem(record: dict[str, Any], problem: Problem | None) -> Problem:
    """Return the given problem, if it matches the file; without one, a problem with the stored domain and unknowns."""
    kind, is_described = record["domain_kind"], record["domain_description"] is not None
    stored = record["domain_description"] if is_described else outline(kind, record["domain"])
    if problem is None:
        needs_ansatz = record["has_ansatz"] and record["built_in"] is None
        if needs_ansatz or kind not in kinds():
            what = "an ansatz with functions of its own" if needs_ansatz else f"a domain of the kind {kind}"
            raise InputError(
                f"The problem has {what}, which a file cannot hold. Give the problem as well: "
                "load(folder, problem=poisson())."
            )
        added = ((record["architecture"] or {}).get("singular") or {}).get("names", [])
        start = {row["name"]: row["value"] for row in record["coefficients"] if row["name"] not in added}
        ansatz = None if record["built_in"] is None else ansatz_from(record["built_in"])
        return Problem(domain_from(stored), {}, record["unknowns"], parameters=start, ansatz=ansatz)
    if record["settings"].get("constraints") == "hard":
        problem = hardened(problem)
    given = described(problem.domain)
    if not is_described:
        given = outline(given["kind"], coordinates(problem.domain))
    if given != stored or problem.unknowns != record["unknowns"]:
        raise InputError(
            f"The file holds {', '.join(record['unknowns'])} on {stored}; the problem given has "
            f"{', '.join(problem.unknowns)} on {given}. Give the problem that was solved."
        )
    if (problem.ansatz is not None) != record["has_ansatz"]:
        raise InputError(
            f"The problem that was solved has {'an' if record['has_ansatz'] else 'no'} ansatz, and the one given has "
            f"{'none' if record['has_ansatz'] else 'one'}. Give the problem that was solved."
        )
    return problem


def _network(record: dict[str, Any], problem: Problem, model: nn.Module | None) -> nn.Module:
    """Return the given module, or a network built from the stored architecture, with the stored weights and grids."""
    dtype = choose_dtype(record["settings"]["dtype"])
    if model is None and is_of_package(record["architecture"]):
        model = network_from(record["architecture"], "cpu", dtype, features_of(problem))
    elif model is None:  # a file of format 1, or a module of the user's own
        stored = record["settings"]["model"]
        factory = class_from(stored, kanpde.models) if record["architecture"] is None else None
        if factory is None:
            raise InputError(
                f"The network is a {stored['name']} that is not of this package; the file holds only its weights. Give "
                "a module of the same class and sizes as well: load(folder, model=module)."
            )
        domain = problem.domain
        model = factory(**arguments_of(stored))(
            domain.ranges, len(problem.unknowns), periodic=domain.periodic, generator=torch.Generator(), dtype=dtype
        )
    if not isinstance(model, nn.Module):
        raise InputError(f"model must be a torch.nn.Module, got {type(model).__name__}. Leave it out for a KAN or MLP.")
    try:
        model = bound(model, problem.domain).to(dtype)
        model.load_state_dict({key: torch.as_tensor(value) for key, value in record["state"].items()})
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"The stored weights do not fit the {type(model).__name__}: {error}. Give a module of "
            "the same class and sizes as the one that was trained."
        ) from None
    return model


def read_record(folder: str | Path) -> dict[str, Any]:
    """Return the facts of a run that a table of runs shows, without building its network."""
    import yaml

    record = read_file(Path(folder) / RESULT, network=False)
    settings = record["settings"]
    kept = [level for level in record["levels"] if not End[level["end"]].is_taken_back]
    last = (kept or [{}])[-1]
    errors = largest({row["unknown"]: {k: row[k] for k in ("l2", "h1", "max")} for row in record["errors"]})
    loaded = yaml.safe_load(record["config"])
    config = loaded if isinstance(loaded, dict) else {}
    problem = config.get("problem")
    return {
        "problem": problem.get("name", "") if isinstance(problem, dict) else "",
        "model": settings["model"]["name"],
        "seed": settings["seed"],
        "parameters": last.get("parameters", 0),
        "grid": last.get("grid"),
        "loss": last.get("loss", nan),
        **{kind: errors.get(kind, nan) for kind in ("l2", "h1", "max")},
        "error": errors.get("l2", nan),
        "tolerance": config.get("tolerance"),
        "estimate": settings.get("estimate", nan),
        "seconds": settings["seconds"],
        "steps": len(record["history"]),
        "reason": str(record["ending"]),
        "end": record["ending"].end,
        "levels": record["levels"],
        "config": record["config"],
        "settings": settings,
    }

"""Solutions as ONNX models, for runtimes in other languages."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from math import inf
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

import torch
from torch import fx

from kanpde.errors import InputError
from kanpde.exports.torch_program import dynamic, example, exported
from kanpde.solution import Solution
from kanpde.storage.folders import writable

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
ATEN = torch.ops.aten
WITH_SCALARS = (ATEN.mul.Tensor, ATEN.add.Tensor, ATEN.sub.Tensor, ATEN.div.Tensor)
ROUNDING = 1e4  # multiples of the precision by which the runtime may differ, relative to the largest value


def to_onnx(solution: Solution, path: str | Path) -> Path:
    """Write the solution as an ONNX model: ``points`` (points, dim) -> ``values`` (points, unknowns).

    Points and values have the precision of the network, and there may be any number of points. The model includes
    built-in values and ansatz; outside the domain its values are those of ``solution(..., extrapolate=True)``. ONNX
    runtimes compute no derivatives. After writing, onnxruntime evaluates the model, and its values are compared.

    Raises:
        InputError: a package of the extra ``onnx`` is missing, the file's name does not end with .onnx, the solution
            consists of windows of time, onnxruntime cannot evaluate it as accurately as the network, or the file cannot
            be written.
    """
    path = Path(path)
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise InputError(f"ONNX needs {', '.join(missing)}, which is not installed. Run `pip install 'kanpde[onnx]'`.")
    if path.suffix != ".onnx":
        raise InputError(f'The file must have a name that ends with .onnx, got "{path}".', write={"path": "model.onnx"})
    program, points = exported(solution).run_decompositions(), example(solution)
    module, log = _plain(program.module(), points.dtype), logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)  # it tells of packages that are not needed
    try:
        with catch_warnings():
            simplefilter("ignore")
            model: Any = torch.onnx.export(
                module,
                (points,),
                dynamo=True,
                dynamic_shapes=(dynamic(),),
                input_names=["points"],
                output_names=["values"],
                verbose=False,
            )
    finally:
        log.setLevel(level)
    part = writable(path).with_suffix(".part.onnx")
    model.save(str(part))
    try:
        _check(part, points, program.module()(points))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _plain(module: torch.nn.Module, dtype: torch.dtype) -> fx.GraphModule:
    """Return the graph with what ONNX lacks replaced.

    Numbers become tensors, because the converter rounds them to single precision, and searches in sorted rows become
    sums of comparisons.
    """
    assert isinstance(module, fx.GraphModule)
    for node in list(module.graph.nodes):
        with module.graph.inserting_before(node):
            if node.target is ATEN.searchsorted.Tensor:
                ends, values = node.args[:2]
                node.replace_all_uses_with(_count(module.graph, ends, values, bool(node.kwargs.get("right"))))
                module.graph.erase_node(node)
            elif node.target in WITH_SCALARS and any(isinstance(a, float) for a in node.args):
                node.args = tuple(_constant(module, a, dtype) if isinstance(a, float) else a for a in node.args)
    module.recompile()
    return module


def _count(graph: fx.Graph, ends: Any, values: Any, is_right: bool) -> fx.Node:
    """Return the nodes for the numbers of ends (rows, ends) below values (rows, points), or equal to them."""
    wide = graph.call_function(ATEN.unsqueeze.default, (values, 2))
    flat = graph.call_function(ATEN.unsqueeze.default, (ends, 1))
    is_below = graph.call_function(ATEN.ge.Tensor if is_right else ATEN.gt.Tensor, (wide, flat))
    return graph.call_function(ATEN.sum.dim_IntList, (is_below, [2]))


def _constant(module: fx.GraphModule, number: float, dtype: torch.dtype) -> fx.Node:
    name = f"number{sum(1 for _ in module.buffers())}"
    module.register_buffer(name, torch.tensor(number, dtype=dtype))
    return module.graph.get_attr(name)


def _check(path: Path, points: torch.Tensor, wanted: torch.Tensor) -> None:
    """Compare the values of onnxruntime with the network's.

    Raises:
        InputError: it cannot evaluate the model, or the values differ by more than rounding errors.
    """
    import onnxruntime  # pyright: ignore[reportMissingImports]

    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        found = torch.as_tensor(session.run(None, {"points": points.numpy()})[0])
    except Exception as error:  # its classes are not public
        raise InputError(
            f"onnxruntime cannot evaluate the model: {' '.join(str(error).split())}.",
            advice="It has no double precision of some operations. Use `to_torch` or `to_numpy`, or train with "
            "dtype float32.",
        ) from None
    gap = float((found - wanted).abs().max()) if found.shape == wanted.shape else inf
    if not gap <= ROUNDING * torch.finfo(wanted.dtype).eps * float(wanted.abs().max()):
        raise InputError(
            f"The values of onnxruntime differ from the network's by up to {gap:.1e}.",
            advice="Use `to_torch` or `to_numpy`.",
        )

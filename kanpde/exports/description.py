"""A solution as plain values and NumPy arrays, from which `kanpde.exports.evaluator` evaluates it."""

from __future__ import annotations

from collections.abc import Sequence
from math import factorial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kanpde.bases import Basis
from kanpde.bases.bspline import BSpline
from kanpde.bases.fourier import MARGIN
from kanpde.bases.wavelet import NORM, REACH, WIDTH, dyadic
from kanpde.errors import InputError
from kanpde.hard_constraints.built_in import describe
from kanpde.models.held import Held
from kanpde.models.kan import KANLayer
from kanpde.models.layer import Layer
from kanpde.models.mlp import FourierLayer, MLPLayer
from kanpde.models.network import Network
from kanpde.models.separable import ProductLayer
from kanpde.models.several import require_one_network
from kanpde.models.trajectory import Trajectory
from kanpde.models.windows import Windows
from kanpde.solution import Solution

FAMILIES = ("bspline", "chebyshev", "legendre", "fourier", "wavelet", "gaussian", "relupower")
LAYERS = ("kanlayer", "factorlayer", "mlplayer", "fourierlayer", "productlayer")


def described(solution: Solution) -> tuple[dict[str, Any], dict[str, NDArray]]:
    """Return the description and the arrays of a solution.

    Raises:
        InputError: a part of it is not of this package, so that only its own program can evaluate it.
    """
    problem, arrays = solution.problem, Arrays()
    built_in = describe(problem.ansatz)
    if problem.ansatz is not None and built_in is None:
        raise InputError(
            "The solution has an ansatz, or built-in values, with functions of its own, which cannot be exported.",
            advice="Use `to_torch`, which records the operations of any function, or write the values into conditions.",
        )
    description = {
        "names": list(problem.domain.names),
        "unknowns": list(problem.unknowns),
        "network": _network(solution.model, arrays, "network"),
        "built_in": built_in and [part and _with_arrays(part, arrays, k) for k, part in enumerate(built_in)],
    }
    return description, arrays.found


class Arrays:
    """Collects arrays by name."""

    def __init__(self):
        self.found: dict[str, NDArray] = {}

    def put(self, name: str, values: Tensor | NDArray | Sequence[float]) -> str:
        """Add values in double precision, and return their name."""
        tensor = torch.as_tensor(values, dtype=torch.float64)
        self.found[name] = tensor.detach().cpu().contiguous().numpy()
        return name


def _network(model: nn.Module, arrays: Arrays, name: str) -> dict[str, Any]:
    if isinstance(model, Windows):
        begins, networks = (
            [_network(each, arrays, f"{name}.{part}{k}") for k, each in enumerate(getattr(model, part))]
            for part in ("begins", "networks")
        )
        facts = {"axis": model.axis, "order": model.order, "times": list(model.times), "outputs": model.outputs}
        return {"kind": "windows", **facts, "begins": begins, "networks": networks}
    if isinstance(model, Trajectory):
        return {"kind": "trajectory", "times": list(model.times), "weight": arrays.put(f"{name}.weight", model.weight)}
    if isinstance(model, Held):
        held = [[i, value] for i, value in model.held.items()]
        return {"kind": "held", "held": held, "network": _network(model.network, arrays, f"{name}.network")}
    require_one_network(model, "An exported function")
    if type(model) is not Network:
        raise InputError(
            f"The model is a {type(model).__name__}, which is not a network of this package, and cannot be exported.",
            advice="Export the module with PyTorch's own tools, such as torch.export.",
        )
    parts = model.architecture()
    if "singular" in parts or "functions" in parts["inputs"]:
        raise InputError(
            "The network has singular functions or other functions of the coordinates, which are not exported.",
            advice="Use `to_torch`, which records the operations of any function.",
        )
    layers = [
        _layer(layer, about, arrays, f"{name}.{k}")
        for k, (layer, about) in enumerate(zip(model.layers, parts["layers"], strict=True))
    ]
    return {"kind": "network", "inputs": parts["inputs"], "nodes": parts["nodes"], "layers": layers}


def _layer(layer: Layer, about: dict[str, Any], arrays: Arrays, name: str) -> dict[str, Any]:
    kind = about["kind"]
    if kind not in LAYERS:
        raise InputError(f"The network has a layer of the kind {kind}, which is not exported. Exported are {LAYERS}.")
    if isinstance(layer, KANLayer):
        coefficients = arrays.put(f"{name}.coefficients", layer.coefficients)
        return {"kind": kind, "basis": _basis(layer.basis, arrays, f"{name}.basis"), "coefficients": coefficients}
    found: dict[str, Any] = {"kind": kind, "weight": arrays.put(f"{name}.weight", layer.weight)}
    if isinstance(layer, MLPLayer):
        found["activation"] = layer.activation
    elif isinstance(layer, FourierLayer):
        found["frequencies"] = arrays.put(f"{name}.frequencies", layer.frequencies)
    elif isinstance(layer, ProductLayer):
        found["bases"] = [_basis(basis, arrays, f"{name}.basis{i}") for i, basis in enumerate(layer.bases)]
        found["wrapped"] = list(layer.wrapped)
    return found


def _basis(basis: Basis, arrays: Arrays, name: str) -> dict[str, Any]:
    kind = basis.architecture()["kind"]
    if kind not in FAMILIES:
        raise InputError(f"The network has functions of the family {kind}, which is not exported: {FAMILIES}.")
    found = {"kind": kind, "degree": basis.degree, "size": basis.size}
    found["ends"] = arrays.put(f"{name}.ends", basis.breakpoints)
    if isinstance(basis, BSpline):
        found["pieces"] = arrays.put(f"{name}.pieces", _pieces(basis))
    elif kind == "fourier":
        index = np.arange(2, basis.size)
        found["frequencies"] = arrays.put(f"{name}.frequencies", np.pi / MARGIN * (index // 2))
        found["phases"] = arrays.put(f"{name}.phases", 0.5 * np.pi * (index % 2))
    elif kind == "wavelet":
        hats = np.array(dyadic(basis.size - 2)).reshape(-1, 2)
        found["centres"] = arrays.put(f"{name}.centres", REACH * (2 * hats[:, 0] - 1))
        found["deviations"] = arrays.put(f"{name}.deviations", WIDTH * REACH * 2 * hats[:, 1])
        found["norm"] = NORM
    return found


def _pieces(basis: BSpline) -> Tensor:
    """Return the polynomials of the splines on every cell, (d_in, cells, functions, powers of x - midpoint)."""
    ends = basis.breakpoints
    matrices, _, _ = basis.taylor(0.5 * (ends[:, :-1] + ends[:, 1:]).T)
    if matrices.ndim == 3:  # equal cells
        matrices = matrices[..., None]
    scale = torch.tensor([factorial(k) for k in range(basis.degree + 1)], dtype=torch.float64, device=ends.device)
    return matrices.permute(0, 3, 1, 2).double() / scale


def _with_arrays(part: dict[str, Any], arrays: Arrays, k: int) -> dict[str, Any]:
    """Return the description of built-in values with their coefficients among the arrays."""
    if part["kind"] != "BoxValues":
        raise InputError(f"The built-in values are of the kind {part['kind']}, which is not exported: BoxValues.")
    faces = []
    for n, face in enumerate(part["faces"]):
        value = face["value"]
        if isinstance(value, dict):
            value = {**value, "coefficients": arrays.put(f"built_in.{k}.{n}", value["coefficients"])}
        faces.append({**face, "value": value})
    return {"ranges": part["ranges"], "faces": faces}

"""The functions of this package's networks in NumPy alone; an exported file is this text followed by its weights.

Values agree with those of the network to rounding. Outside the domain they are those of its continuation.
"""

import math

import numpy as np


def evaluator(description, arrays):
    """Return the function: ``function(x, y)`` takes one array for each coordinate, which are broadcast.

    Args:
        description: plain values, from `kanpde.exports.description.described`.
        arrays: by name, NumPy arrays.
    """
    names, unknowns = description["names"], description["unknowns"]

    def function(*coords):
        if len(coords) != len(names):
            raise TypeError(f"expected {len(names)} coordinates ({', '.join(names)}), got {len(coords)}")
        columns = np.broadcast_arrays(*[np.asarray(c, dtype=float) for c in coords])
        shape, x = columns[0].shape, np.stack([c.ravel() for c in columns], axis=1)
        values = network(description["network"], arrays, x)
        if description["built_in"] is not None:
            parts = enumerate(description["built_in"])
            values = np.stack([with_values(part, arrays, x, values[:, i]) for i, part in parts], axis=1)
        found = tuple(values[:, i].reshape(shape) for i in range(len(unknowns)))
        return found[0] if len(found) == 1 else found

    function.__doc__ = f"Return {', '.join(unknowns)} at ({', '.join(names)}), arrays that are broadcast."
    return function


# networks ------------------------------------------------------------------------------------------------------------
def network(parts, arrays, x):
    """Return the outputs (points, outputs) of a network at points (points, dim)."""
    if parts["kind"] == "windows":
        return windows(parts, arrays, x)
    if parts["kind"] == "trajectory":
        return trajectory(parts, arrays, x)
    if parts["kind"] == "held":
        values = dict(parts["held"])
        rest = iter(x.T)
        count = x.shape[1] + len(values)
        whole = [np.full(len(x), values[i]) if i in values else next(rest) for i in range(count)]
        return network(parts["network"], arrays, np.stack(whole, axis=1))
    y = inputs(parts["inputs"], x)
    for k, layer in enumerate(parts["layers"]):
        if k:
            y = nodes(parts["nodes"][k - 1], y)
        y = LAYERS[layer["kind"]](layer, arrays, y)
    return y


def trajectory(parts, arrays, x):
    """Return the sums of Legendre polynomials of time in the window of every point; NaN after the last."""
    times, weight, time = np.array(parts["times"]), arrays[parts["weight"]], x[:, 0]
    where = np.minimum(np.searchsorted(times[1:], time, side="left"), len(times) - 2)
    share = 2 * (time - times[where]) / (times[where + 1] - times[where]) - 1
    table = np.polynomial.legendre.legvander(share, weight.shape[1] - 1)
    found = np.einsum("pk,pko->po", table, weight[where])
    found[time > times[-1] + 1e-12 * (times[-1] - times[0])] = np.nan
    return found


def windows(parts, arrays, x):
    """Return p + s^m N, for m = 2 also + (t - t_k) q, in the window of time of every point; NaN after the last."""
    axis, order, times = parts["axis"], parts["order"], np.array(parts["times"])
    time = x[:, 1 - axis]
    where = np.searchsorted(times[1:], time, side="left")
    where[(time > times[-1]) & (time <= times[-1] + 1e-12 * (times[-1] - times[0]))] = len(times) - 2
    found = np.full((len(x), parts["outputs"]), np.nan)
    for k in range(len(times) - 1):
        here = where == k
        if not here.any():
            continue
        t, at_begin = time[here, None], x[here].copy()
        at_begin[:, 1 - axis] = parts["begins"][k]["inputs"]["ranges"][1 - axis][0]
        states = np.split(network(parts["begins"][k], arrays, at_begin), order, axis=1)
        share = ((t - times[k]) / (times[k + 1] - times[k])) ** order
        found[here] = states[0] + share * network(parts["networks"][k], arrays, x[here])
        if order == 2:
            found[here] += (t - times[k]) * states[1]
    return found


def inputs(parts, x):
    """Return coordinates mapped to [-1, 1], periodic ones to their sine and cosine."""
    columns = []
    for i, (lower, upper) in enumerate(parts["ranges"]):
        share = (x[:, i] - lower) / (upper - lower)
        if i in parts["periodic"]:
            columns += [np.sin(2 * math.pi * share), np.cos(2 * math.pi * share)]
        else:
            columns.append(2 * share - 1)
    return np.stack(columns, axis=1)


def nodes(parts, y):
    """Return the inputs of the next layer: outputs, and products of ``arity`` outputs each."""
    sums, products = parts["sums"], parts["products"]
    if not products:
        return y
    return np.concatenate([y[:, :sums], y[:, sums:].reshape(len(y), products, -1).prod(axis=2)], axis=1)


def kan_layer(layer, arrays, x):
    """Return the sums of the edge functions of every output."""
    return np.einsum("pif,ifo->po", features(layer, arrays, x), arrays[layer["coefficients"]])


def factor_layer(layer, arrays, x):
    """Return the edge functions, output r d_in + i of input i."""
    return np.einsum("pif,ifr->pri", features(layer, arrays, x), arrays[layer["coefficients"]]).reshape(len(x), -1)


def mlp_layer(layer, arrays, x):
    weight = arrays[layer["weight"]]
    return ACTIVATIONS[layer["activation"]](x) @ weight[:-1] + weight[-1]


def fourier_layer(layer, arrays, x):
    angle, weight = x @ arrays[layer["frequencies"]], arrays[layer["weight"]]
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1) @ weight[:-1] + weight[-1]


def product_layer(layer, arrays, x):
    """Return sums of products of a function of each of two inputs."""
    parts = []
    for i, basis in enumerate(layer["bases"]):
        column = x[:, [i]]
        if i in layer["wrapped"]:
            lower, upper = arrays[basis["ends"]][0, [0, -1]]
            column = column - (upper - lower) * np.floor((column - lower) / (upper - lower))
        found = functions(basis, arrays, column)[:, 0]
        if i in layer["wrapped"]:
            cells, first = arrays[basis["ends"]].shape[1] - 1, 0
            folded = np.zeros((len(x), cells))
            while first < found.shape[1]:
                part = found[:, first : first + cells]
                folded[:, : part.shape[1]] += part
                first += cells
            found = folded
        parts.append(found)
    return (parts[0][:, :, None] * parts[1][:, None]).reshape(len(x), -1) @ arrays[layer["weight"]]


def silu(x):
    return x * (0.5 + 0.5 * np.tanh(0.5 * x))


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2)))


ACTIVATIONS = {
    None: lambda x: x,
    "tanh": np.tanh,
    "sine": np.sin,
    "silu": silu,
    "gelu": gelu,
    "relu": lambda x: np.maximum(x, 0.0),
}
LAYERS = {
    "kanlayer": kan_layer,
    "factorlayer": factor_layer,
    "mlplayer": mlp_layer,
    "fourierlayer": fourier_layer,
    "productlayer": product_layer,
}


# functions of one input ----------------------------------------------------------------------------------------------
def features(layer, arrays, x):
    """Return the functions of every input and its silu, (points, d_in, size + 1)."""
    return np.concatenate([functions(layer["basis"], arrays, x), silu(x)[:, :, None]], axis=2)


def functions(basis, arrays, x):
    """Return the functions of one family at x (points, d_in): (points, d_in, size)."""
    ends, size = arrays[basis["ends"]], basis["size"]
    cells = ends.shape[1] - 1
    lower, width = ends[:, 0], ends[:, -1] - ends[:, 0]
    if basis["kind"] == "bspline":
        return splines(arrays[basis["pieces"]], ends, x, size)
    t = 2 * (x - lower) / width - 1
    if basis["kind"] == "chebyshev":
        return polynomials(t, size, lambda n: (2.0 if n else 1.0, 1.0))
    if basis["kind"] == "legendre":
        return polynomials(t, size, lambda n: ((2 * n + 1) / (n + 1), n / (n + 1)))
    lines = np.stack([np.ones_like(t), t], axis=2)
    if basis["kind"] == "fourier":
        angle = t[:, :, None] * arrays[basis["frequencies"]] + arrays[basis["phases"]]
        return np.concatenate([lines, np.sin(angle)], axis=2)
    if basis["kind"] == "wavelet":
        z = (t[:, :, None] - arrays[basis["centres"]]) / arrays[basis["deviations"]]
        return np.concatenate([lines, basis["norm"] * (1 - z * z) * np.exp(-0.5 * z * z)], axis=2)
    place = cells * (x - lower) / width
    degree = basis["degree"]
    if basis["kind"] == "gaussian":
        z = (place[:, :, None] - (np.arange(size) - (degree - 1) / 2)) / math.sqrt((degree + 1) / 12)
        return np.exp(-0.5 * z * z)
    u = (place[:, :, None] + degree - np.arange(size)) / (0.5 * (degree + 1)) - 1  # relupower
    return (np.maximum(1 + u, 0) * np.maximum(1 - u, 0)) ** degree


def splines(pieces, ends, x, size):
    """Return B-splines from their polynomials on every cell, (d_in, cells, functions, powers of x - midpoint)."""
    found = np.zeros((*x.shape, size))
    local, points = pieces.shape[2], np.arange(len(x))
    for i in range(x.shape[1]):
        cell = np.clip(np.searchsorted(ends[i], x[:, i], side="right") - 1, 0, ends.shape[1] - 2)
        shift = x[:, i] - 0.5 * (ends[i, cell] + ends[i, cell + 1])
        of_cell = pieces[i if len(pieces) > 1 else 0]
        of_cell = of_cell[cell if len(of_cell) > 1 else np.zeros_like(cell)]
        value = of_cell[:, :, -1]
        for k in range(local - 2, -1, -1):
            value = value * shift[:, None] + of_cell[:, :, k]
        found[points[:, None], i, cell[:, None] + np.arange(local)] = value
    return found


def polynomials(t, size, coefficients):
    """Return polynomials with p_(n+1) = a t p_n - c p_(n-1), p_0 = 1, in a new last dimension."""
    before, now, found = np.zeros_like(t), np.ones_like(t), [np.ones_like(t)]
    for n in range(size - 1):
        a, c = coefficients(n)
        before, now = now, a * t * now - c * before
        found.append(now)
    return np.stack(found, axis=-1)


# built-in values -----------------------------------------------------------------------------------------------------
def with_values(part, arrays, x, n):
    """Return G + D n, which has given values on faces of a box; n itself without any."""
    if part is None:
        return n
    faces, ranges = {(face["axis"], face["side"]): face["value"] for face in part["faces"]}, part["ranges"]
    axes = sorted({axis for axis, _ in faces})

    def distance(axis, side):
        lower, upper = ranges[axis]
        return (x[:, axis] - lower if side == 0 else upper - x[:, axis]) / (upper - lower)

    def lift(k, at):
        if k == 0:
            return 0.0
        axis, total = axes[k - 1], lift(k - 1, at)
        ends = [side for side in (0, 1) if (axis, side) in faces]
        for side in ends:
            there = at.copy()
            there[:, axis] = ranges[axis][side]
            gap = given(faces[axis, side], arrays, there) - lift(k - 1, there)
            share = (at[:, axis] - ranges[axis][0]) / (ranges[axis][1] - ranges[axis][0])
            total = total + ((share if side else 1 - share) * gap if len(ends) == 2 else gap)
        return total

    return math.prod(2 * distance(*face) for face in faces) * n + lift(len(axes), x)


def given(value, arrays, x):
    """Return a value on a face: a number, or the interpolant of a function."""
    if not isinstance(value, dict):
        return value
    coefficients, total = arrays[value["coefficients"]], None
    for axis, count in zip(value["axes"], coefficients.shape, strict=True):
        share = (x[:, axis["position"]] - axis["lower"]) / (axis["upper"] - axis["lower"])
        if axis["is_periodic"]:
            angle = 2 * math.pi * share[:, None] * np.arange(1, count // 2 + 1)
            waves = np.stack([np.cos(angle), np.sin(angle)], axis=2).reshape(len(x), -1)
            table = np.concatenate([np.ones((len(x), 1)), waves], axis=1)
        else:
            table = polynomials(2 * share - 1, count, lambda n: (2.0 if n else 1.0, 1.0))
        if total is None:
            total = table @ coefficients.reshape(count, -1)
        else:
            total = np.einsum("na,nab->nb", table, total.reshape(len(x), count, -1))
    return float(coefficients) if total is None else total[:, 0]

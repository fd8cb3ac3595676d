# pyright: reportMissingImports=false
"""Driver of `paper_pykan.py`: pykan as in its example on function fitting (Example 1), in float64.

KAN of degree 3, its own L-BFGS, 200 steps on each of the grids 3, 10, 20, 50, 100 by refine(); the grids adapt to the
samples as by default. No grid is begun after the time limit. The table of samples is an .npz file with ``x``, ``y``
for training and ``test_x``, ``test_y``.
"""

import argparse
import json
from importlib.metadata import version
from time import process_time

import numpy as np
import torch
from kan import KAN

GRIDS, STEPS = (3, 10, 20, 50, 100), 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--width", type=json.loads, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=60.0)
    given = parser.parse_args()
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    stored = np.load(given.data)
    x, y, test_x, test_y = (torch.from_numpy(stored[name]) for name in ("x", "y", "test_x", "test_y"))
    samples = {"train_input": x, "train_label": y, "test_input": test_x[:1000], "test_label": test_y[:1000]}
    model, errors, began = (
        KAN(width=given.width, grid=GRIDS[0], k=3, seed=given.seed),
        {},
        process_time(),
    )
    for grid in GRIDS:
        if process_time() - began > given.limit:
            break
        if grid != GRIDS[0]:
            model = model.refine(grid)
        model.fit(samples, opt="LBFGS", steps=STEPS)
        with torch.no_grad():
            errors[grid] = float((model(test_x) - test_y).square().mean().sqrt() / test_y.std())
    size = sum(p.numel() for p in model.parameters() if p.requires_grad)
    seconds = process_time() - began
    print(json.dumps({"errors": errors, "seconds": seconds, "parameters": size, "version": version("pykan")}))


if __name__ == "__main__":
    main()

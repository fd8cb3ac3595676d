"""Adaptive quadrature cells."""

import pytest
import torch

from kanpde.domains.cells import equal_cells, largest

RANGES = torch.tensor([[-1.0, 1.0], [0.0, 3.0]], dtype=torch.float64)


def halve_somewhere(cells, times=6):
    for k in range(times):
        chosen = torch.arange(len(cells.lower)) % 3 == k % 3
        cells = cells.halved(chosen, torch.full((len(cells.lower),), k % cells.lower.shape[1]))
    return cells


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_weights_sum_to_one_and_integrate_polynomials_exactly(dim):
    ranges = torch.tensor([[-1.0, 2.0]] * dim, dtype=torch.float64)
    points = halve_somewhere(equal_cells(ranges, 300, 3)).points()
    assert float(points.weight.sum()) == pytest.approx(1, rel=1e-13)
    mean = float((points.weight * points.x.pow(5).prod(dim=1)).sum())
    assert mean == pytest.approx(((2**6 - 1) / 6 / 3) ** dim, rel=1e-12)


def test_halving_keeps_the_other_cells_and_fills_the_box():
    cells = equal_cells(RANGES, 400, 5)
    assert len(cells.lower) == 16
    chosen = torch.zeros(16, dtype=torch.bool)
    chosen[5] = True
    axis = torch.ones(16, dtype=torch.long)
    new = cells.halved(chosen, axis)
    assert len(new.lower) == 17
    assert torch.equal(new.lower[:15], cells.lower[~chosen])
    halves = torch.stack([new.lower[15:], new.upper[15:]])
    assert torch.equal(halves[0, 0], cells.lower[5]) and torch.equal(halves[1, 1], cells.upper[5])
    assert halves[1, 0, 1] == halves[0, 1, 1] == 0.5 * (cells.lower[5, 1] + cells.upper[5, 1])
    assert float((new.upper - new.lower).prod(dim=1).sum()) == pytest.approx(6, rel=1e-14)


def test_sums_and_variations_belong_to_their_cells():
    cells = equal_cells(RANGES, 400, 5)
    points = cells.points()
    steep = torch.where(points.x[:, 0] > 0, points.x[:, 0], 0.0)
    found = cells.variations(steep)
    assert torch.all(found[:, 1] < 1e-20)
    assert torch.equal(found[:, 0] > 1e-4, cells.lower[:, 0] >= 0)
    assert torch.allclose(cells.sums(points.weight), torch.full((16,), 1 / 16, dtype=torch.float64))


def test_the_largest_shares_are_chosen():
    shares = torch.tensor([0.1, 5.0, 0.2, 3.0, 1.7])
    assert largest(shares, 0.8).tolist() == [False, True, False, True, False]
    assert largest(shares, 1.0).all()
    assert int(largest(torch.zeros(4), 0.5).sum()) == 1

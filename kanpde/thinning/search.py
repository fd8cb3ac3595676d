"""The search for a smaller network that is as accurate: remove the weakest parts, train, keep or undo the removal."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from kanpde.domains import Points
from kanpde.errors import InputError
from kanpde.models.network import Network, trained_size
from kanpde.thinning.names import Names
from kanpde.thinning.removal import Edge, Node, Part, edges_of, kan_layers, kept_without, reduced, sizes_of
from kanpde.thinning.retraining import Retraining, Trained
from kanpde.thinning.scores import scores


@dataclass(frozen=True)
class Removal:
    """A removal that was kept.

    Attributes:
        parts: what was removed, in words.
        sizes, edges, parameters: of the network that is left.
        before, fresh: loss on fresh points before the removal and after training.
        steps: of training.
    """

    parts: Sequence[str]
    sizes: str
    edges: int
    parameters: int
    before: float
    fresh: float
    steps: int


@dataclass(frozen=True)
class Found:
    """A network, the names of its parts, and the removals that led to it."""

    best: Trained
    names: Names
    removals: Sequence[Removal] = ()


def searched(
    begin: Trained, names: Names, retraining: Retraining, points: Points, most: float, log: Callable[[str], None]
) -> Found:
    """Remove nodes, then edges, as long as the loss on fresh points can be kept at most ``most``.

    The parts with the smallest scores are removed first, at first half of all at once. If that fails, half as many are
    tried, and at last single ones; a single part whose removal fails is left alone.

    Args:
        begin: the network to begin with.
        names: of its parts.
        retraining: trains and judges what is left after a removal.
        points: over which scores and means are taken.
        most: largest loss on fresh points that is accepted.
        log: called with each line of the log.
    """
    found = Found(begin, names)
    for kind in (Node, Edge):
        found = without_the_weakest(found, kind, retraining, points, most, log)
    return found


def without_the_weakest(
    found: Found, kind: type[Part], retraining: Retraining, points: Points, most: float, log: Callable[[str], None]
) -> Found:
    """Remove parts of one kind as long as that is possible."""
    refused: set[str] = set()
    count = len(weakest(found, kind, points, refused)) // 2
    while not retraining.is_over():
        parts = weakest(found, kind, points, refused)
        if not parts:
            break
        count = max(1, min(count, len(parts)))
        chosen = together(found.best.network, parts[:count])
        new = after_removal(found, chosen, retraining, points, most)
        words = ", ".join(found.names.of(part) for part in chosen)
        if new is None:
            log(f"kept: {words}")
            refused |= {found.names.of(chosen[0])} if len(chosen) == 1 else set()
            count = len(chosen) // 2
            continue
        found, last = new, new.removals[-1]
        log(
            f"removed: {words}; {last.sizes}, {last.edges} edges, loss on fresh points {last.fresh:.2e} after "
            f"{last.steps} steps"
        )
        count = (len(parts) - len(chosen)) // 2
    return found


@torch.no_grad()
def weakest(found: Found, kind: type[Part], points: Points, refused: set[str]) -> list[Part]:
    """Return the parts of one kind that can be removed, by ascending scores."""
    network = found.best.network
    of, parts = scores(network, points), []
    for k, layer in enumerate(kan_layers(network)):
        if kind is Edge:
            places = layer.existing.nonzero().tolist()
            parts += [(float(of.edges[k][i, o]), Edge(k, i, o)) for i, o in places]
        elif k:
            parts += [(float(score), Node(k - 1, i)) for i, score in enumerate(of.nodes[k].tolist())]
    free = [part for _, part in sorted(parts) if found.names.of(part) not in refused]
    return [part for part in free if is_possible(network, [part])]


def is_possible(network: Network, parts: Sequence[Part]) -> bool:
    """Return whether the parts can be removed together."""
    try:
        kept_without(network, parts)
    except InputError:
        return False
    return True


def together(network: Network, parts: Sequence[Part]) -> Sequence[Part]:
    """Return as many of the first parts as can be removed together."""
    while len(parts) > 1 and not is_possible(network, parts):
        parts = parts[:-1]
    return parts


def after_removal(
    found: Found, parts: Sequence[Part], retraining: Retraining, points: Points, most: float
) -> Found | None:
    """Return the network without the parts, trained; None if its loss on fresh points is too large."""
    network, kept = found.best.network, kept_without(found.best.network, parts)
    new = retraining.trained(reduced(network, kept, points), found.best.coefficients, most)
    if not new.fresh <= most:
        return None
    words = [found.names.of(part) for part in parts]
    facts = sizes_of(new.network), edges_of(new.network), trained_size(new.network)
    removal = Removal(words, *facts, found.best.fresh, new.fresh, new.steps)
    return replace(found, best=new, names=found.names.kept(network, kept), removals=(*found.removals, removal))

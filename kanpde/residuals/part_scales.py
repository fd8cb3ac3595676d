r"""How accurate the functions of every part of a domain must be, for the automatic weights of its conditions.

Where no value is given on a part, its function has a free constant, which only the flux to the neighbours determines.
A residual ρ in the equation or the flux of a part with coefficient k₁ means errors of about ρ / k₁ in waves, but of
ρ / k₂ in that constant, where k₂ is the coefficient of the neighbour: a thousand times as much for 1000 inside 1. There
waves of the amplitude k₂ / k₁ are as harmful as waves of amplitude 1 are in the neighbour.

With $g_c^2(\kappa)$ the gain of a condition for waves of wave number κ in a part
(`kanpde.residuals.automatic_weights`), the amplitude of a part is the largest of

- $g_c(0) / g_c(\kappa)$ of the conditions c on it alone, which is 1 where a value is given;
- $g_c(\kappa)$ in a neighbour over that in the part, times the amplitude of the neighbour, for those conditions c on
  interfaces that constants do not change, such as those on the flux;

and at most 1. It is 1 for all parts if no value is given anywhere.
"""

from collections.abc import Collection, Mapping
from math import sqrt

Gains = Mapping[str, Mapping[int | None, float]]  # squared, by condition and part

UNSEEN = 1e-12  # of the squared gain of a wave: a condition does not see a constant


def amplitudes(waves: Gains, constants: Gains, interfaces: Collection[str]) -> dict[int | None, float]:
    """Return the amplitude of the waves in every part that the weights make equally visible.

    Args:
        waves: squared gains of the conditions for waves in one part.
        constants: the same for constants.
        interfaces: the conditions that take the functions of two parts.
    """
    found = {side: 0.0 for of_condition in waves.values() for side in of_condition}
    links: list[tuple[int | None, int | None, float]] = []
    for name, of_condition in waves.items():
        known = {side: gain for side, gain in of_condition.items() if gain > 0}
        shares = {side: constants[name][side] / gain for side, gain in known.items()}
        if name not in interfaces:
            found |= {side: max(found[side], min(1.0, sqrt(share))) for side, share in shares.items()}
        elif max(shares.values(), default=0.0) < UNSEEN:
            links += [(a, b, sqrt(known[b] / known[a])) for a in known for b in known if a != b]
    for _ in found:  # from neighbour to neighbour
        for side, neighbour, ratio in links:
            found[side] = max(found[side], min(1.0, ratio * found[neighbour]))
    return {side: amplitude or 1.0 for side, amplitude in found.items()}

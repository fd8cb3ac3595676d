"""Result files of format 1, written by kanpde 0.1.0, in which the end of a run is stored as text only."""

from typing import Any

from kanpde.ends import End, Ending

# the beginnings of those texts
_WORDS = {
    "converged": End.CONVERGED,
    "steps done": End.STEPS_DONE,
    "stagnated": End.STAGNATED,
    "overfitted": End.OVERFITTED,
    "diverged": End.DIVERGED,
    "time limit": End.TIME_LIMIT,
    "non-finite": End.NON_FINITE,
    "interrupted": End.INTERRUPTED,
}


def ending_from(words: str) -> Ending:
    """Return the end that the text begins with, and the rest of the text as its details."""
    for beginning, end in _WORDS.items():
        if words.startswith(beginning):
            return Ending(end, words.removeprefix(end.message).lstrip(": "))
    return Ending(End.NOT_TRAINED)


def with_ends(levels: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the table of levels with the column "end" of later formats."""
    return [{**level, "end": ending_from(str(level.get("reason") or "")).end.name} for level in levels]

"""Files of format 1, which kanpde 0.1.0 wrote: how a run ended stood there in words only."""

from typing import Any

from kanpde.ends import End, Ending

# how those words began
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
    """The end that the words name, with the rest of them."""
    for beginning, end in _WORDS.items():
        if words.startswith(beginning):
            return Ending(end, words.removeprefix(end.message).lstrip(": "))
    return Ending(End.NOT_TRAINED)


def with_ends(levels: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The table of levels with the column that later formats have."""
    return [{**level, "end": ending_from(str(level.get("reason") or "")).end.name} for level in levels]

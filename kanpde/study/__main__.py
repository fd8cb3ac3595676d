"""``python -m kanpde.study outputs/...`` reads stored runs again."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from kanpde.configure.typed import on_command_line
from kanpde.errors import InputError
from kanpde.study import summarise
from kanpde.study.outcomes import STUDY
from kanpde.study.report import write_report


def main(arguments: Sequence[str] | None = None) -> int:
    """The command ``python -m kanpde.study``; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m kanpde.study", description="A table and a plot over stored runs.")
    parser.add_argument(
        "folder", help="of a study (its report is written again), of a sweep, or any folder with runs below it"
    )
    try:
        folder = Path(parser.parse_args(arguments).folder)
        if (folder / STUDY).is_file():
            print(f"Report: {write_report(folder)}")
        else:
            summarise(folder)
    except InputError as error:
        print(on_command_line(error), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

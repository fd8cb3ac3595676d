"""Runs that are killed or signalled at random instants, and resumed: are the final weights the same bits?

    python benchmarks/resume.py [--kills 200] [--in-save 50] [--signals 50]

Every run trains a small KAN on Poisson's equation for 2 to 5 s with Adam, L-BFGS, SSBroyden or Levenberg-Marquardt and
writes a checkpoint every 0.2 s. Kills are SIGKILL, after a random time or inside a checkpoint's writing (at a system
call of it, chosen at random). Signals are SIGTERM and SIGUSR1 to a run of the command line; the time until the process
is gone is measured. Then the run is resumed and its weights are compared with those of an uninterrupted run. The last
table gives the cost of checkpoints in the default run of ``problem=poisson`` (one every 5 minutes and at phase ends).
"""

import argparse
import hashlib
import io
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
from accuracy import load_problem

import kanpde
from kanpde import KAN, LBFGS, LM, Adam, InputError, Phase, SSBroyden, solve
from kanpde.command import main as command
from kanpde.storage.checkpoint import Checkpoints

SCHEDULES = {
    "Adam": [Phase(Adam(), steps=140)],
    "LBFGS": [Phase(LBFGS(5), steps=40)],
    "SSBroyden": [Phase(SSBroyden(5), steps=40)],
    "LM": [Phase(LM(), steps=30), Phase(LM(), steps=20, refine=2, move_knots=True)],
}
EVERY = 0.2 / 60  # minutes between checkpoints
CALLS = ("fsync", "replace", "open")  # of the operating system, in the writing of a checkpoint
RUN = ["problem=poisson", "schedule.starts=1", "schedule.phases=[{steps:25}]", "plots=false", "output.cells=4"]


def bits(network: torch.nn.Module) -> str:
    """A digest of all tensors of a network."""
    digest = hashlib.sha256()
    for tensor in network.state_dict().values():
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def train(name: str, folder: Path | None) -> kanpde.Solution:
    """One run of 2 to 5 s."""
    return solve(load_problem("poisson"), KAN([4]), SCHEDULES[name], folder=folder, checkpoint=EVERY)


def dying(name: str, folder: Path, call: str, count: int) -> None:
    """The same run, which is killed at the given use of a system call."""
    original, used = getattr(os, call), []

    def die(*arguments: Any, **options: Any) -> Any:
        used.append(1)
        if len(used) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **options)

    setattr(os, call, die)
    train(name, folder)


def in_process(target: Any, *arguments: Any) -> Any:
    """A forked process, which costs no import."""
    process = multiprocessing.get_context("fork").Process(target=target, args=arguments)
    process.start()
    return process


def kills(count: int, in_save: int, chance: random.Random) -> Counter[str]:
    """Kills runs and resumes them."""
    found: Counter[str] = Counter()
    whole, seconds = {}, {}
    for name in SCHEDULES:
        solution = train(name, None)
        whole[name], seconds[name] = bits(solution.model), solution.settings["seconds"]
    print("seconds of an uninterrupted run:", {name: round(s, 1) for name, s in seconds.items()}, flush=True)
    for number in range(count):
        name = list(SCHEDULES)[number % len(SCHEDULES)]
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            if number < in_save:
                process = in_process(dying, name, folder, chance.choice(CALLS), chance.randint(1, 8))
            else:
                process = in_process(train, name, folder)
                time.sleep(chance.uniform(0.0, 1.3 * seconds[name]))
                process.kill()
            process.join()
            kind = "in a save" if number < in_save else "at random"
            ended = "killed" if process.exitcode == -signal.SIGKILL else "had ended"
            found[f"{kind}: {ended}, {outcome(folder, whole[name])}"] += 1
        if number % 20 == 19:
            print(number + 1, dict(found), flush=True)
    return found


def outcome(folder: Path, wanted: str) -> str:
    """What a resumption gives."""
    try:
        solution = kanpde.resume(folder, load_problem("poisson"))
    except InputError as error:
        return "nothing saved yet" if "no checkpoint" in str(error) else f"UNREADABLE: {error}"
    return "same bits" if bits(solution.model) == wanted else "OTHER BITS"


def quietly(arguments: list[str]) -> int:
    """A run of the command line without its output."""
    with redirect_stdout(io.StringIO()):
        return command(arguments)


def signalled(folder: Path) -> None:
    """A run of the command line in a process of its own."""
    sys.exit(quietly([*RUN, f"hydra.run.dir={folder}"]))


def signals(count: int, chance: random.Random) -> tuple[Counter[str], float]:
    """Sends signals to runs and resumes them; also returns the longest time until a process was gone."""
    found: Counter[str] = Counter()
    longest = 0.0
    with tempfile.TemporaryDirectory() as place:
        began = time.perf_counter()
        quietly([*RUN, f"hydra.run.dir={place}/whole"])
        seconds = time.perf_counter() - began
        wanted = bits(kanpde.load(f"{place}/whole").model)
        for number in range(count):
            folder, which = Path(place, str(number)), (signal.SIGTERM, signal.SIGUSR1)[number % 2]
            process = in_process(signalled, folder)
            time.sleep(chance.uniform(0.0, seconds))
            began = time.perf_counter()
            os.kill(process.pid, which)
            process.join()
            if process.exitcode == 128 + which:
                longest = max(longest, time.perf_counter() - began)
            name = {128 + which: "state saved", -which: "before the run began", 0: "had ended"}
            ended = name.get(process.exitcode, f"exit code {process.exitcode}")
            if ended == "state saved":
                ended += ", resumed" if quietly([f"resume={folder}"]) == 0 else ", NOT RESUMED"
                ended += ", same bits" if bits(kanpde.load(folder).model) == wanted else ", OTHER BITS"
            found[f"{which.name}: {ended}"] += 1
    return found, longest


def cost() -> None:
    """Prints the share of checkpoints in a default run."""
    spent: list[float] = []
    write = Checkpoints.write

    def timed(self: Checkpoints, data: Any) -> Path:
        began = time.perf_counter()
        try:
            return write(self, data)
        finally:
            spent.append(time.perf_counter() - began)

    Checkpoints.write = timed
    with tempfile.TemporaryDirectory() as place:
        seconds = solve(load_problem("poisson"), folder=place).settings["seconds"]
    print(f"{len(spent)} checkpoints, {sum(spent):.3f} s of {seconds:.1f} s: {sum(spent) / seconds:.2%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--in-save", type=int, default=50)
    parser.add_argument("--signals", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    chance = random.Random(options.seed)
    for row, n in sorted(kills(options.kills, options.in_save, chance).items()):
        print(f"{n:4d}  {row}")
    found, longest = signals(options.signals, chance)
    for row, n in sorted(found.items()):
        print(f"{n:4d}  {row}")
    print(f"longest time from a signal to the end of the process: {longest:.2f} s")
    cost()


if __name__ == "__main__":
    main()

"""Broken recipes, overrides, folders, logs and endpoints: is each refused before anything starts?

    python benchmarks/robustness.py [--slice 60] [--only WORDS] [--show]

Every case is wrong by construction. It goes through the same function as the command line, in a
process of its own kind that is watched: one that has not ended after 10 seconds is a hang. Counted
are: refused early (exit code 2, and no file has changed), refused late (files have changed),
traceback, hang, accepted though wrong, and unclear (refused, but without naming what is wrong).
`while running` are those that nobody can know before they are asked for: an endpoint that answers
with nonsense, say; those have to end in one message, too.

The exit code is 1 unless all but the first are 0. `--slice N` takes N cases spread over all,
`--only` those with these words in their name, `--hand` those written by hand (in
`_robustness_lists.py`, a line each); `--show` prints every message.
"""

import argparse
import contextlib
import hashlib
import io
import json
import os
import random
import select
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _robustness_cases import Case, all_cases, sound_cases
from _robustness_lists import LISTS

SECONDS = 10
SEED = 12
BAD = ("refused late", "traceback", "hang", "accepted though wrong", "unclear")
ALL = ("refused early", "while running", *BAD)


@dataclass(frozen=True)
class Verdict:
    """How a case ended, and what was said."""

    case: str
    outcome: str
    said: str
    seconds: float


def tree(folder: Path) -> dict[str, str]:
    """Every file under a folder and its content."""
    return {str(path.relative_to(folder)): _content(path) for path in folder.rglob("*")}


def _content(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        return "link" if path.is_symlink() else "no file"
    return hashlib.sha256(path.read_bytes()).hexdigest()


def do(case: Case, folder: Path) -> tuple[str, str]:
    """(outcome, what was said) of one case, in an empty folder."""
    words = case.prepare(folder)
    before = tree(folder)
    code, said = _main(words)
    changed = set(tree(folder).items() ^ before.items())
    if code == 2:
        if case.while_running:
            return "while running", said
        if changed:
            return "refused late", f"{said}\nchanged: {sorted(changed)[:3]}"
        # a terminal's lines may break anywhere
        clear = "".join(case.says.split()) in "".join(said.split())
        return ("refused early" if clear else "unclear"), said
    return ("accepted though wrong" if code == 0 else "traceback"), said


def _main(words: list[str]) -> tuple[int, str]:
    from tesuji.cli.main import main

    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            code = main(words)
        except BaseException:
            said.write(traceback.format_exc())
            code = 1
    return code, said.getvalue()


def work() -> None:
    """The watched process: a number of a case a line in, its verdict a line out."""
    cases, out = [*all_cases(), *sound_cases()], sys.stdout
    home = Path.cwd()
    import tesuji.pipeline.run  # noqa: F401 (it takes seconds, once)

    print("ready", file=out, flush=True)
    for line in sys.stdin:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            outcome, said = do(cases[int(line)], Path(folder))
            os.chdir(home)
        print(json.dumps([outcome, said[-4000:]]), file=out, flush=True)


class Worker:
    """The watched process, started again whenever it was killed."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> subprocess.Popen[str]:
        """The process under way, ready for a case."""
        if self.process is None:
            command = [sys.executable, __file__, "--work"]
            pipe: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            environment = {**os.environ, **ENVIRONMENT}
            self.process = subprocess.Popen(
                command, **pipe, stderr=subprocess.DEVNULL, text=True, env=environment
            )
            assert self._line(120) == "ready"
        return self.process

    def ask(self, number: int) -> tuple[str, str]:
        """(outcome, words) of this case; a process that is silent for too long is killed."""
        process = self.start()
        assert process.stdin is not None
        process.stdin.write(f"{number}\n")
        process.stdin.flush()
        line = self._line(SECONDS)
        if line:
            outcome, said = json.loads(line)
            return outcome, said
        died = process.poll() is not None
        self.stop()
        return ("traceback", "the process died") if died else ("hang", "")

    def _line(self, seconds: float) -> str:
        assert self.process is not None and self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        return self.process.stdout.readline().strip() if ready else ""

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "WANDB_MODE": "offline",
    "COLUMNS": "200",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONWARNINGS": "ignore",
}


def chosen(args: argparse.Namespace, cases: list[Case]) -> list[int]:
    """The numbers of the cases that are wanted."""
    numbers = [n for n, case in enumerate(cases) if args.only in case.name]
    if args.hand:
        numbers = numbers[-len(LISTS) :]
    if args.slice is None or args.slice >= len(numbers):
        return numbers
    return sorted(random.Random(SEED).sample(numbers, args.slice))


def main() -> int:
    """Try the cases and print what came of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--slice", type=int)
    parser.add_argument("--only", default="")
    parser.add_argument("--hand", action="store_true")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--work", action="store_true")
    args = parser.parse_args()
    if args.work:
        work()
        return 0
    cases, worker, verdicts = all_cases(), Worker(), []
    started = time.monotonic()
    for number, sound in enumerate(sound_cases(), start=len(cases)):
        outcome, said = worker.ask(number)
        if outcome != "accepted though wrong":  # here: taken, as it should be
            print(f"{sound.name}: {outcome}: the cases made from it would show nothing\n{said}")
            return 1
    for number in chosen(args, cases):
        began = time.monotonic()
        outcome, said = worker.ask(number)
        verdict = Verdict(cases[number].name, outcome, said, time.monotonic() - began)
        verdicts.append(verdict)
        if args.show or outcome in BAD:
            print(f"-- {outcome}: {verdict.case} ({verdict.seconds:.1f} s)\n{said}", flush=True)
    worker.stop()
    counts = Counter(verdict.outcome for verdict in verdicts)
    print(f"{len(verdicts)} cases in {time.monotonic() - started:.0f} s")
    print("\n".join(f"{counts[outcome]:6,} {outcome}" for outcome in ALL))
    return int(any(counts[outcome] for outcome in BAD))


if __name__ == "__main__":
    sys.exit(main())

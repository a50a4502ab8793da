"""`make fuzz`: coverage-guided fuzzing of all that reads bytes, one target after the other, on one core.

    python -m tests.fuzz [--inputs 1000000] [TARGET …]

Begins with the corpus that is kept here and with what earlier runs have found new ways with (`build/fuzz`). Where
something raises, its trace is printed, the input is kept, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from finalizer.compiled import SWITCH
from tests.fuzz.targets import TARGETS, Named

CORPUS = Path(__file__).with_name("corpus")
GROWN = Path("build/fuzz")
MOST_BYTES = 4096
SLOWEST_SECONDS = 10
MOST_MIB = 1024
"""Beyond these one input, or one run, is a finding."""
_DONE = re.compile(r"stat::number_of_executed_units: +(\d+)")
_NOISE = ("INFO: ", "WARNING: Failed to find", "#", "\t")


class Ran(NamedTuple):
    """What came of a target; `found`: what libFuzzer said of the input that it stopped at."""

    name: str
    inputs: int
    seconds: float
    found: str


def fuzz(target: Named, inputs: int) -> Ran:
    """Run one target in a process of its own, until so many inputs or the first finding."""
    grown = GROWN / target.name
    grown.mkdir(parents=True, exist_ok=True)
    options = {
        "runs": inputs,
        "max_len": MOST_BYTES,
        "timeout": SLOWEST_SECONDS,
        "rss_limit_mb": MOST_MIB,
        "artifact_prefix": f"{GROWN}/{target.name}-",
        "print_final_stats": 1,
    }
    said = [f"-{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "tests.fuzz.instrumented", target.name, *said, str(grown)]
    begun = time.monotonic()
    done = subprocess.run(
        [*command, str(CORPUS / target.name)],
        env={**os.environ, SWITCH: "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    counted = _DONE.search(done.stdout)
    found = "" if done.returncode == 0 else "\n".join([*_told(done.stdout), f"exit code {done.returncode}"])
    return Ran(target.name, int(counted[1]) if counted else 0, time.monotonic() - begun, found)


def _told(said: str) -> list[str]:
    """What libFuzzer and Python say of a finding, without how they got there."""
    return [line for line in said.splitlines() if line and not line.startswith(_NOISE)][-40:]


def main() -> int:
    """Fuzz, print the table, and say what was found."""
    parser = argparse.ArgumentParser(prog="make fuzz", description="Coverage-guided fuzzing of all that reads bytes.")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="of all targets together (1,000,000)")
    parser.add_argument("targets", nargs="*", help="these alone: " + ", ".join(one.name for one in TARGETS))
    given = parser.parse_args()
    chosen = [one for one in TARGETS if one.name in given.targets or not given.targets]
    if unknown := set(given.targets) - {one.name for one in TARGETS}:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    if find_spec("atheris") is None:
        print("Fuzzing needs atheris (Linux or macOS): pip install -e '.[fuzz]'", file=sys.stderr)
        return 1
    whole = sum(one.share for one in chosen)
    print(f"{'target':<12} {'inputs':>11} {'inputs/s':>9}  found")
    ran = []
    for one in chosen:
        ran.append(fuzz(one, max(1, given.inputs * one.share // whole)))
        print(_row(ran[-1]), flush=True)
    findings = [done for done in ran if done.found]
    inputs, seconds = sum(done.inputs for done in ran), sum(done.seconds for done in ran)
    print(_row(Ran("all", inputs, seconds, ""), found=len(findings)))
    for done in findings:
        print(f"\n{done.name}:\n{done.found}")
    return 1 if findings else 0


def _row(ran: Ran, *, found: int | None = None) -> str:
    found = (1 if ran.found else 0) if found is None else found
    return f"{ran.name:<12} {ran.inputs:>11,} {ran.inputs / ran.seconds:>9,.0f}  {found or 'nothing'}"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted")

"""Running the `finalizer` command as a person does: as a process, with its own environment, looked at from outside."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.waiting import LIMIT_SECONDS

PROJECT = Path(__file__).parent.parent.parent


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run ended."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """What it said on standard error, which is never a trace."""
        assert "Traceback" not in self.err, self.err
        return self.err.strip()


def environment(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without settings for the command, and with those that are given."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FINALIZER_")}
    return {**inherited, "PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1", **(given or {})}


def run(*arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None, folder: Path | None = None) -> Ran:
    """Run the command to its end; ``folder`` is where it is run, so that a finalizer.yaml lies there or not."""
    done = subprocess.run(
        [sys.executable, "-m", "finalizer", *arguments],
        input=stdin,
        capture_output=True,
        env=environment(env),
        cwd=folder or "/",
        timeout=LIMIT_SECONDS,
        check=False,
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def start(
    *arguments: str, stdin: int = subprocess.PIPE, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start the command, with pipes for its streams; ``stdin`` may be another descriptor."""
    return subprocess.Popen(
        [sys.executable, "-m", "finalizer", *arguments],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(env),
        cwd="/",
    )

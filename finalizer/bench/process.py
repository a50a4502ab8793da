"""The processes that are measured, looked at from outside: processor time and memory, sampled while they run."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

TICKS: Final = os.sysconf("SC_CLK_TCK")
GRACE_SECONDS: Final = 30
LAST_WORDS: Final = 2000


class Sample(NamedTuple):
    """What all processes had used by a moment (wall clock, ms), and the memory (MiB) that they held then."""

    at: float
    cpu: float
    held: float


class Ended(Exception):
    """A process ended that should run; the message is its last words."""


class Processes:
    """Some processes that run at the same time, and end with this object."""

    def __init__(self, commands: Sequence[Sequence[str]], environment: Mapping[str, str] | None = None) -> None:
        # Settings for workers in this process's environment are not theirs.
        mine = {name: value for name, value in os.environ.items() if not name.startswith("FINALIZER_")}
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the processes
        self._running = [
            subprocess.Popen(command, env={**mine, **(environment or {})}, stdout=self._log, stderr=self._log)
            for command in commands
        ]
        self.began = time.time() * 1000
        self.samples: list[Sample] = []
        self.peak_mib = 0.0
        self.last_words = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in self._running:
            if one.poll() is None:
                one.send_signal(signal.SIGTERM)
        for one in self._running:
            try:
                one.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()
        self.last_words = self.said()
        self._log.close()

    @property
    def pids(self) -> list[int]:
        """Their process ids."""
        return [one.pid for one in self._running]

    def kill(self) -> None:
        """End them as a power cut would."""
        for one in self._running:
            one.kill()
            one.wait()

    def look(self) -> None:
        """Take a sample. Raises `Ended`."""
        if any(one.poll() is not None for one in self._running):
            raise Ended(self.said())
        pids = self.pids
        held = sum(_mib(pid, "VmRSS") for pid in pids)
        self.samples.append(Sample(time.time() * 1000, sum(_cpu(pid) for pid in pids), held))
        self.peak_mib = max(self.peak_mib, *(_mib(pid, "VmHWM") for pid in pids))

    def said(self) -> str:
        """The last that they have said."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-LAST_WORDS:]

    def cpu(self, since: float, until: float) -> float:
        """Processor seconds between two moments (ms)."""
        return self.used(until) - self.used(since)

    def used(self, at: float) -> float:
        """Processor seconds from their start to a moment (ms)."""
        place = bisect_right(self.samples, at, key=lambda sample: sample.at)
        if not 0 < place < len(self.samples):
            return self.samples[min(place, len(self.samples) - 1)].cpu
        before, after = self.samples[place - 1], self.samples[place]
        return before.cpu + (after.cpu - before.cpu) * (at - before.at) / (after.at - before.at)

    def held(self, at: float) -> float:
        """MiB of memory that they held at a moment (ms)."""
        place = bisect_right(self.samples, at, key=lambda sample: sample.at)
        return self.samples[max(place - 1, 0)].held


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _mib(pid: int, what: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) / 1024
    return 0.0

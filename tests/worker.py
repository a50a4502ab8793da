"""The worker as a child process, as a user runs it: real flags, real signals, real exit codes."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from finalizer.embedded.readiness import free_port
from tests.waiting import until

READY_LIMIT_SECONDS = 40.0

QUICK_TERMS = """
terms:
  heartbeat: {interval: 1s, misses: 2, min: 1s, allowance: 500ms}
  start_grace: 2s
  orphan_grace: 2s
  silence: 4s
  max_duration: 10m
safety: {settle: 1s}
"""
"""Deadlines within a test's patience: a beating span is due 2.5 s after its last beat."""


class Worker:
    """One worker; `config` is the text of its finalizer.yaml, a flag without a value has "". `module` stands
    for the command, with what goes before its own arguments. Its log goes to a file, to
    be shown by a failing test."""

    def __init__(
        self,
        bootstrap: str,
        app_id: str,
        *,
        config: str = QUICK_TERMS,
        flags: Mapping[str, str] | None = None,
        module: Sequence[str] = ("finalizer",),
    ):
        self._folder = tempfile.TemporaryDirectory(prefix="span-finalizer-worker-")
        folder = Path(self._folder.name)
        (folder / "finalizer.yaml").write_text(config)
        self._log = folder / "log"
        self.port = free_port()
        options = {
            "--broker": bootstrap,
            "--app-id": app_id,
            "--config": str(folder / "finalizer.yaml"),
            "--web-port": str(self.port),
            "--session-timeout": "2",
            **(flags or {}),
        }
        command = [sys.executable, "-m", *module, "worker"]
        self._command = command + [part for option in options.items() for part in option if part]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._running.pid

    @property
    def log(self) -> str:
        """Everything it has said."""
        return self._log.read_text() if self._log.exists() else ""

    @property
    def exit_code(self) -> int | None:
        return self._running.poll()

    def start(self, *, ready: bool = True) -> Self:
        """Start it (again), and wait until it says that it is ready."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        if ready:
            self.wait_until_ready()
        return self

    def wait_until_ready(self) -> None:
        until(self._is_ready, limit_seconds=READY_LIMIT_SECONDS)

    def signal(self, number: signal.Signals) -> None:
        self._running.send_signal(number)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.signal(signal.SIGKILL)
        self._running.wait()

    def terminate(self, *, limit_seconds: float = 30.0) -> int:
        """Ask it to stop; returns its exit code."""
        self.signal(signal.SIGTERM)
        return self._running.wait(limit_seconds)

    def kill_in(self, seconds: float) -> None:
        """Kill it at a moment of the test's choosing, whatever it is doing then."""
        time.sleep(seconds)
        self.kill()

    def wait(self, *, limit_seconds: float = 30.0) -> int:
        """Its exit code, once it has ended by itself."""
        return self._running.wait(limit_seconds)

    def readiness(self) -> dict[str, Any]:
        """The body of /readyz, whatever its status."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as answer:
                body: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            body = json.load(error)
        return body

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric over all series that have these labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        series = f"span_finalizer_{name}"
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in lines
            if line.startswith((series + "{", series + " ")) and all(part in line for part in wanted)
        )

    async def reaches(self, value: float, name: str, **labels: str) -> None:
        """Wait until a metric has reached a value."""
        give_up = time.monotonic() + READY_LIMIT_SECONDS
        while self.metric(name, **labels) < value:
            assert time.monotonic() < give_up, f"{name} is {self.metric(name, **labels)}, not {value}\n{self.log}"
            await asyncio.sleep(0.05)

    async def says(self, words: str, *, times: int = 1) -> None:
        """Wait until its log holds these words (so many times)."""
        give_up = time.monotonic() + READY_LIMIT_SECONDS
        while self.log.count(words) < times:
            assert time.monotonic() < give_up, f"never said {words!r}\n{self.log}"
            await asyncio.sleep(0.05)

    def _is_ready(self) -> bool:
        assert self._running.poll() is None, f"the worker ended with {self._running.poll()}:\n{self.log}"
        try:
            return bool(self.readiness()["ready"])
        except OSError:
            return False

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "not started"
        return self._process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

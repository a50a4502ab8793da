"""The worker as a child process, as a user runs it: real flags, real signals, real exit codes."""

from __future__ import annotations

import asyncio
import http.client
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

from tests.ports import free_port
from tests.waiting import LIMIT_SECONDS

PAUSE_SECONDS = 0.05
LAST_LINES = 60

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
    for the command, with what goes before its own arguments. Its log goes to a file; a test that waited for it in vain
    shows the end of it."""

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
    def last_words(self) -> str:
        """The end of what it has said."""
        return "\n".join(self.log.splitlines()[-LAST_LINES:])

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
        give_up = time.monotonic() + LIMIT_SECONDS
        while not (told := self.readiness())["ready"]:
            assert time.monotonic() < give_up, f"not ready: {told['reason']}\n{self.last_words}"
            time.sleep(PAUSE_SECONDS)

    def signal(self, number: signal.Signals) -> None:
        self._running.send_signal(number)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.signal(signal.SIGKILL)
        self._running.wait()

    def terminate(self) -> int:
        """Ask it to stop; returns its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill_in(self, seconds: float) -> None:
        """Kill it at a moment of the test's choosing, whatever it is doing then."""
        time.sleep(seconds)
        self.kill()

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        try:
            return self._running.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not end within {LIMIT_SECONDS:g} seconds\n{self.last_words}") from None

    def readiness(self) -> dict[str, Any]:
        """The body of /readyz, whatever its status."""
        body: dict[str, Any] = json.loads(self._answer("/readyz"))
        return body

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric over all series that have these labels."""
        lines = self._answer("/metrics").decode().splitlines()
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        series = f"span_finalizer_{name}"
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in lines
            if line.startswith((series + "{", series + " ")) and all(part in line for part in wanted)
        )

    async def reaches(self, value: float, name: str, **labels: str) -> None:
        """Wait until a metric has reached a value."""
        give_up = time.monotonic() + LIMIT_SECONDS
        while (now := await asyncio.to_thread(self.metric, name, **labels)) < value:
            assert time.monotonic() < give_up, f"{name} is {now}, not {value}\n{self.last_words}"
            await asyncio.sleep(PAUSE_SECONDS)

    async def says(self, words: str, *, times: int = 1) -> None:
        """Wait until its log holds these words (so many times)."""
        give_up = time.monotonic() + LIMIT_SECONDS
        while self.log.count(words) < times:
            assert time.monotonic() < give_up, f"never said {words!r}\n{self.last_words}"
            await asyncio.sleep(PAUSE_SECONDS)

    def _answer(self, path: str) -> bytes:
        """What it answers, whatever the status. One that starts does not listen yet, and a busy machine is slow."""
        give_up = time.monotonic() + LIMIT_SECONDS
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                    whole: bytes = answer.read()
                    return whole
            except urllib.error.HTTPError as error:
                return error.read()
            except (OSError, http.client.HTTPException) as error:
                problem = error
            assert self.exit_code is None, f"the worker ended with {self.exit_code}\n{self.last_words}"
            assert time.monotonic() < give_up, f"{path} is not answered: {problem}\n{self.last_words}"
            time.sleep(PAUSE_SECONDS)

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

"""The worker as a child process of `dev` and `demo`."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from finalizer.embedded.child import Child, ChildFailed
from finalizer.shell.stop import Exit, Stop

GRACE_SECONDS = 15.0
READY_SECONDS = 30.0
LOOK_SECONDS = 0.1
LAST_WORDS_BYTES = 8192
LAST_WORDS_LINES = 15
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to ask a worker that listens everywhere


class WorkerChild(Child):
    """A running `finalizer worker` that ends with this process, however that ends.

    ``options`` are its flags. Settings for workers in this process's environment do not reach it: broker, ports and
    policy are those of whoever starts it. Raises ``Stop`` where it cannot be started.
    """

    def __init__(self, options: Sequence[str]) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FINALIZER_")}
        command = [sys.executable, "-m", "finalizer", "worker", *options]
        try:
            super().__init__(command, environment, grace=GRACE_SECONDS)
        except ChildFailed as problem:
            raise Stop(Exit.FAULT, f"The worker could not be started: {problem}") from problem
        # A descriptor of our own: it outlives stop(), and pread() leaves alone the offset that the child writes at.
        self._words = os.dup(self._log.fileno())
        self._told = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        os.close(self._words)

    @property
    def exit_code(self) -> int | None:
        """Exit code of the worker; None while it runs."""
        return self._supervisor.poll()

    def new_lines(self) -> str:
        """Return the complete lines that it has logged since the last call."""
        said = os.pread(self._words, 1 << 20, self._told)
        said = said[: said.rfind(b"\n") + 1]
        self._told += len(said)
        return said.decode(errors="replace")

    def last_words(self) -> str:
        """Return the last lines that it has logged, each with a blank line before the first."""
        size = os.fstat(self._words).st_size
        said = os.pread(self._words, LAST_WORDS_BYTES, max(0, size - LAST_WORDS_BYTES)).decode(errors="replace")
        lines = said.strip().splitlines()[-LAST_WORDS_LINES:]
        return "\n".join(["Its last words:", *lines]) if lines else "It left no word."

    def check(self) -> None:
        """Raise ``Stop``, with the worker's own exit code and last words, if it has ended."""
        code = self.exit_code
        if code is not None:
            raise Stop(exit_of(code), f"The worker ended by itself with exit code {code}. {self.last_words()}")

    async def wait_until_ready(self, web_port: int, *, web_bind: str = "127.0.0.1") -> None:
        """Return when `/readyz` at this address says so. Raises ``Stop`` if it ends, or is not ready in time."""
        give_up = time.monotonic() + READY_SECONDS
        url = URL.build(scheme="http", host=LOOPBACK.get(web_bind, web_bind), port=web_port, path="/readyz")
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            while time.monotonic() < give_up:
                self.check()
                try:
                    async with session.get(url) as answer:
                        if answer.status == 200:
                            return
                except (aiohttp.ClientError, TimeoutError):
                    pass  # it does not listen yet
                await asyncio.sleep(LOOK_SECONDS)
        raise Stop(Exit.FAULT, f"The worker was not ready within {READY_SECONDS:g} seconds. {self.last_words()}")


def exit_of(code: int) -> Exit:
    """Return the exit code of a command whose worker ended with ``code``, though it should not have ended at all."""
    return Exit(code) if code in tuple(Exit) and code != Exit.DONE else Exit.FAULT


def flags(options: Mapping[str, object]) -> list[str]:
    """Write options as flags, each one word with its value; None and False are left out."""
    written = []
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            written.append(flag)
        elif value is not None and value is not False:
            written.append(f"{flag}={value}")
    return written

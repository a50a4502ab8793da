"""A child process that ends when its owner does, however the owner ends. What `supervisor.py` is to the child, this is
to the owner: the handle.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

SUPERVISOR = Path(__file__).with_name("supervisor.py")
STOP_LIMIT_SECONDS = 5.0
TAIL_BYTES = 4096
TERMINAL_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Child:
    """One running program under a supervisor. It is started by the constructor.

    ``command`` is the program and its arguments, ``env`` its whole environment, ``grace`` the seconds between SIGTERM
    and SIGKILL. Standard output and error go to a temporary file, of which :meth:`tail` shows the end. It runs in a
    session of its own, so that Ctrl-C ends the owner, and only the owner ends the program.

    Raises ``ChildFailed`` where the program cannot be started.
    """

    def __init__(self, command: Sequence[str], env: Mapping[str, str], *, grace: float) -> None:
        self._grace = grace
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child; stop() closes it
        self._supervisor = subprocess.Popen(
            [sys.executable, "-I", "-S", str(SUPERVISOR), str(grace), *command],
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )
        assert self._supervisor.stdout is not None
        with self._supervisor.stdout as answer:
            first_line = answer.readline()
        if not first_line:
            last_words = self.tail()
            self.stop()
            raise ChildFailed(last_words or f"{command[0]} could not be started.")
        self.pid = int(first_line)

    @property
    def alive(self) -> bool:
        """Whether the program still runs."""
        return self._supervisor.poll() is None

    def tail(self) -> str:
        """Return the last lines that the program wrote, without terminal colours; empty if it said nothing."""
        # Read at a place of our own: the child writes at the offset that it shares with our file.
        log = self._log.fileno()
        told = os.pread(log, TAIL_BYTES, max(0, os.fstat(log).st_size - TAIL_BYTES))
        return TERMINAL_COLOURS.sub("", told.decode(errors="replace")).strip()

    def kill(self) -> None:
        """End the program as a power cut would, and return when it is gone."""
        self._signal(signal.SIGKILL)
        self._supervisor.wait(timeout=STOP_LIMIT_SECONDS)

    def pause(self) -> None:
        """Freeze the program (SIGSTOP): its sockets stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen program go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the program in good order, by force after the grace; a second call does nothing."""
        assert self._supervisor.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._supervisor.stdin.close()
        self._supervisor.wait(timeout=self._grace + STOP_LIMIT_SECONDS)
        self._log.close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


class ChildFailed(Exception):
    """The program could not be started. The message is what it, or the system, said about it."""

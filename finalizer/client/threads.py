"""The client's two threads: one keeps (heartbeats, guards, disk), one sends. They begin when there is something to do.

Both are daemons, so that no app waits for them at its end. A thread that dies of a bug of ours says so, as Python does,
and is started again after a while; what it had in hand waits where it was.
"""

from __future__ import annotations

import threading
import time
from enum import Enum
from typing import Final, Protocol

from finalizer.client.clock import SECOND, Clock
from finalizer.client.keeper import Keeper
from finalizer.client.sender import Sender, Step

LINGER_SECONDS: Final = 0.1
"""How long a thread that was woken waits for more: ten times a second at most the app is interrupted."""
LONGEST_SLEEP: Final = 60.0
RESTART_SECONDS: Final = 60.0


class Safe(Enum):
    """When all that was told until now is safe enough for whoever waits."""

    ARRIVED = "it has arrived"
    ON_DISK = "it lies on the disk; without a spool: it has arrived"
    NOTHING_MORE_TO_DO = "it has arrived, or lies on the disk and the network refuses"


class Runner(Protocol):
    """Whoever lets a keeper and a sender take their steps."""

    def wake(self) -> None:
        """Something is due sooner than the keeper knows."""

    def new(self) -> None:
        """There is an event to store or to send."""

    def ensure(self) -> None:
        """Begin, if it has not begun."""

    def flush(self, seconds: float, *, until: Safe = Safe.ARRIVED) -> bool:
        """Wait until all that was told until now is safe; False if the time is over first."""

    def stop(self, seconds: float) -> None:
        """Take no more steps, wait for the last one no longer than this, and let go of the sink after it."""


class Threads:
    """Runs a keeper and a sender. `spooled`: what comes goes to the disk first."""

    def __init__(self, keeper: Keeper, sender: Sender, clock: Clock, *, spooled: bool) -> None:
        self._keeper = keeper
        self._sender = sender
        self._clock = clock
        self._keep = threading.Event()
        self._send = threading.Event()
        self._spooled = spooled
        self._new = self._keep if spooled else self._send
        self._changed = threading.Condition()
        self._asked = self._kept = self._on_disk = self._emptied = self._refused = 0
        """How many flushes were asked for, and up to which of them all was looked at, stored, sent, refused."""
        self._stopping = False
        self._threads: list[threading.Thread] = []
        self._started_at = -RESTART_SECONDS
        self._starting = threading.Lock()

    def wake(self) -> None:
        self.ensure()
        self._keep.set()

    def new(self) -> None:
        self.ensure()
        self._new.set()

    def ensure(self) -> None:
        if self._stopping or (self._threads and all(thread.is_alive() for thread in self._threads)):
            return
        if not self._starting.acquire(blocking=False):
            return
        try:
            now = time.monotonic()
            if now - self._started_at < RESTART_SECONDS:
                return
            self._started_at = now
            running = {thread.name for thread in self._threads if thread.is_alive()}
            works = {"finalizer-keeper": self._keeping, "finalizer-sender": self._sending}
            fresh = [
                threading.Thread(target=works[name], name=name, daemon=True) for name in works if name not in running
            ]
            self._threads = [thread for thread in self._threads if thread.is_alive()] + fresh
            for thread in fresh:
                thread.start()
        except RuntimeError:  # the interpreter is on its way out
            self._stopping = True
        finally:
            self._starting.release()

    def flush(self, seconds: float, *, until: Safe = Safe.ARRIVED) -> bool:
        if self._stopping or not self._threads:
            return not self._stopping  # nothing was told yet, or nothing is sent any more
        self.ensure()
        with self._changed:
            self._asked += 1
            mine = self._asked
        self._sender.hurry()
        self._keep.set()
        self._send.set()
        with self._changed:
            return self._changed.wait_for(lambda: self._is_safe(mine, until), max(0.0, seconds))

    def stop(self, seconds: float) -> None:
        self._stopping = True
        self._keep.set()
        self._send.set()
        until = time.monotonic() + max(0.0, seconds)
        threads = list(self._threads)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, until - time.monotonic()))
        if not any(thread.is_alive() for thread in threads):
            self._sender.close()

    def _is_safe(self, asked: int, until: Safe) -> bool:
        if self._emptied >= asked:
            return True
        if until is Safe.ARRIVED or not self._on_disk >= asked:
            return False
        return until is Safe.ON_DISK or self._refused >= asked

    def _keeping(self) -> None:
        while not self._stopping:
            asked = self._asked
            self._keep.clear()
            next_due = self._keeper.step()
            if asked > self._kept and not self._keeper.has_more:
                with self._changed:
                    self._kept = asked
                    self._on_disk = asked if self._keeper.all_on_disk else self._on_disk
                    self._changed.notify_all()
            if self._spooled or asked > self._emptied:
                self._send.set()
            if self._asked == asked and self._sleep(self._keep, next_due):
                self._linger()

    def _sending(self) -> None:
        while not self._stopping:
            kept = self._kept
            self._send.clear()
            step = self._sender.step()
            if step is Step.SENT:
                continue
            if step is Step.EMPTY and kept > self._emptied:
                with self._changed:
                    self._emptied = kept
                    self._changed.notify_all()
            elif step is Step.WAITING and kept > self._refused:
                with self._changed:
                    self._refused = kept
                    self._changed.notify_all()
            if self._kept == kept and self._sleep(self._send, self._sender.not_before or None) and not self._spooled:
                self._linger()  # else the keeper wakes it, which has lingered
        self._sender.close()

    def _sleep(self, event: threading.Event, until: int | None) -> bool:
        """Wait for the event, or for a moment; True if it was the event."""
        seconds = LONGEST_SLEEP
        if until is not None:
            seconds = min(seconds, max(0.0, (until - self._clock.monotonic()) / SECOND))
        return event.wait(seconds)

    def _linger(self) -> None:
        if self._asked == self._emptied and not self._stopping:
            time.sleep(LINGER_SECONDS)

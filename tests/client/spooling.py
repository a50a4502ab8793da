"""A client with a spool, stepped by hand: a disk that refuses, a network that is gone, a run that ends."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from finalizer.client import Client
from finalizer.client.clock import Clock
from finalizer.client.context import attach
from finalizer.client.keeper import Keeper
from finalizer.client.sender import Sender
from finalizer.client.sinks.memory import MemorySink
from finalizer.client.spool import Spool
from finalizer.client.testing.capture import Steps


class SteppedClient(Client):
    """A client whose two threads are the test's own: `step` takes a step of each."""

    def __init__(self, spool: Spool | Path, clock: Clock, sink: MemorySink | None = None, **settings: Any) -> None:
        self.sink = MemorySink() if sink is None else sink
        super().__init__(self.sink, "test", spool=spool, clock=clock, **settings)

    def _on_threads(self, keeper: Keeper, sender: Sender) -> Quiet:
        return Quiet(keeper, sender)

    @property
    def spool(self) -> Spool:
        assert self._spool is not None
        return self._spool

    def step(self) -> None:
        """Heartbeats, disk, network."""
        self.flush(0)

    def crash(self) -> None:
        """The process is gone: what it held is free, and nothing was said."""
        spool = self.spool
        if spool._connection is not None:
            spool._connection.close()
        if spool._run_lock is not None:
            spool._run_lock.forget()
        self._closed = True
        self._exits.unhook()
        attach(None)

    def told(self) -> list[tuple[str, str]]:
        """What arrived: kind and name (or reason) of each event."""
        return [(event["type"], event.get("reason") or event.get("name", "")) for event in self.sink.events]


class Quiet(Steps):
    """Takes no step that nobody asked for."""

    def new(self) -> None:
        pass


def rows(path: Path, query: str = "SELECT value FROM events ORDER BY id") -> list[Any]:
    """What lies in the spool, looked at from outside; the first column."""
    connection = sqlite3.connect(path)
    try:
        return [json.loads(row[0]) if isinstance(row[0], bytes) else row[0] for row in connection.execute(query)]
    finally:
        connection.close()

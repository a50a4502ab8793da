"""The spool against crashes between any two steps, as Hypothesis arranges them.

A crash is what SIGKILL leaves: the file as it is, nothing closed, the run's lock free. Real processes that are really
killed stand in test_kills.py.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from finalizer.client.buffer import Buffer
from finalizer.client.deadlines import Deadlines
from finalizer.client.emitter import Emitter
from finalizer.client.events import Record
from finalizer.client.keeper import Keeper
from finalizer.client.left import Taken
from finalizer.client.recover import recover
from finalizer.client.sender import Sender, Step
from finalizer.client.settings import Settings
from finalizer.client.sinks import Undelivered
from finalizer.client.source import Source
from finalizer.client.span import Span
from finalizer.client.spool import Spool
from finalizer.client.testing import FakeClock


class PowerCut(Exception):
    """The process is killed here."""


class Broker:
    """A sink that takes part of a batch, all or nothing, and during which the process may be killed."""

    whole_heartbeats = False

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.takes = -1
        """How many of the next batch; below zero: all."""
        self.then_cut = False

    def send(self, records: Sequence[Record]) -> Sequence[int]:
        taken = list(records) if self.takes < 0 else list(records[: self.takes])
        self.heard += [record.value for record in taken]
        if self.then_cut:
            raise PowerCut
        if len(taken) < len(records):
            raise Undelivered("cut off", range(len(taken)))
        return ()

    def forget(self) -> None:
        pass

    def close(self) -> None:
        pass


class Program:
    """One run of a program with a client, without threads: the machine says when each step is taken."""

    def __init__(self, path: Path, clock: FakeClock, broker: Broker) -> None:
        settings = Settings({"service.name": "test"}, 10**10, None, spooled=True)
        buffer = Buffer(1000)
        self.spool = Spool(path)
        self.spool.begin(os.urandom(4).hex(), clock)
        self.emitter = Emitter(settings, clock, buffer, lambda: None)
        self.source = Source(buffer, self.spool, settings)
        self.sender = Sender(self.source, broker, buffer, clock)
        deadlines = Deadlines()
        self.found: list[Taken] = []
        self.keeper = Keeper(
            self.emitter, self.source, self.spool, clock, deadlines=deadlines, recovery=self._recovered
        )
        self.open: list[Span] = []

    def _recovered(self) -> bool:
        return recover(self.spool, lambda _: False, self.found.append)


class Crashes(RuleBasedStateMachine):
    """What is on the disk arrives, whatever happens in between; every span that was on the disk has an end."""

    def __init__(self) -> None:
        super().__init__()
        # In memory where that is possible: a process that is killed loses nothing that a file has, and syncing is slow.
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.folder = tempfile.TemporaryDirectory(prefix="span-finalizer-spool-", dir=memory)
        self.path = Path(self.folder.name) / "spool.db"
        self.clock = FakeClock()
        self.broker = Broker()
        self.seen: set[bytes] = set()
        self.begin()

    def begin(self) -> None:
        """The program starts (again)."""
        self.program = Program(self.path, self.clock, self.broker)

    def teardown(self) -> None:
        """What arrives once nothing goes wrong any more: all, and an end for each span that was known."""
        stored = self.on_disk()
        self.crash()
        self.broker.takes, self.broker.then_cut = -1, False
        self.clock.advance(60)
        self.program.keeper.step()
        self.program.sender.hurry()
        while self.program.sender.step() is Step.SENT:
            pass
        heard = [json.loads(value) for value in self.broker.heard]
        assert stored <= set(self.broker.heard)
        starts = {event["span_id"] for event in heard if event["type"] == "start"}
        assert starts == {event["span_id"] for event in heard if event["type"] == "end"}
        assert self.on_disk() == set()
        self.in_order(heard)
        self.program.spool.close()
        self.folder.cleanup()

    def in_order(self, heard: list[dict[str, object]]) -> None:
        """What is heard of a span for the first time comes in the order in which it was told."""
        last: dict[object, int] = {}
        for event in heard:
            seq = int(str(event["seq"]))
            assert seq <= last.get(event["span_id"], 0) + 1
            last[event["span_id"]] = max(seq, last.get(event["span_id"], 0))

    def on_disk(self) -> set[bytes]:
        """The events that lie in the file, of whichever run."""
        found = self.program.spool.work(lambda one: one.execute("SELECT value FROM events").fetchall())
        assert found is not None
        return {value for (value,) in found}

    @rule()
    def tell_start(self) -> None:
        self.program.open.append(self.program.emitter.start("job", {}))

    @precondition(lambda self: self.program.open)
    @rule(data=st.data())
    def tell_end(self, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(self.program.open) - 1))
        self.program.open.pop(place).end("ok")

    @rule(seconds=st.sampled_from([1, 9, 100]))
    def time_goes_by(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule()
    def keep(self) -> None:
        self.program.keeper.step()

    @rule(takes=st.integers(-1, 3))
    def send(self, takes: int) -> None:
        self.broker.takes = takes
        self.program.sender.hurry()
        self.program.sender.step()

    @rule(takes=st.integers(-1, 3))
    def crash_while_sending(self, takes: int) -> None:
        self.broker.takes, self.broker.then_cut = takes, True
        self.program.sender.hurry()
        with suppress(PowerCut):
            self.program.sender.step()
        self.broker.then_cut = False
        self.crash()

    @rule(statements=st.integers(1, 12))
    def crash_between_two_statements(self, statements: int) -> None:
        """The process is killed in the middle of a transaction of the keeper."""
        connection = self.program.spool._connected()
        assert connection is not None
        left = iter(range(statements))

        def count(_: str) -> None:
            if next(left, None) is None:
                connection.interrupt()

        connection.set_trace_callback(count)
        self.program.keeper.step()
        self.crash()

    @rule()
    def crash(self) -> None:
        spool = self.program.spool
        if spool._connection is not None:
            spool._connection.close()
        if spool._run_lock is not None:
            spool._run_lock.forget()
        self.begin()

    @invariant()
    def what_left_the_disk_was_heard(self) -> None:
        """An event that is neither on the disk nor in memory was acknowledged."""
        stored = self.on_disk()
        for value in self.seen - stored:
            assert value in self.broker.heard
        self.seen |= stored


TestCrashes = Crashes.TestCase
TestCrashes.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)

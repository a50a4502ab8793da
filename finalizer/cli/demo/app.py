"""One app of the demo's crowd, as a process of its own: `python -m finalizer.cli.demo.app`.

It has the client, as any app. It is told what to do on standard input, and tells on standard output what it truly did.
It ends when its input does: with the demo, however that ends. How it ends otherwise is not its own decision.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from finalizer.cli.demo.lines import (
    Arrived,
    Begun,
    Close,
    Closed,
    Command,
    Entry,
    Holding,
    Orders,
    Part,
    Paused,
    Ready,
    Recovered,
)
from finalizer.client import Client, Span, Spool
from finalizer.client.events import Record
from finalizer.client.sinks import Sink, Undelivered, sink_of

ARRIVE_SECONDS = 20.0
speaking = threading.Lock()


def say(entry: Entry) -> None:
    """Write one line; it is out when this returns, whatever becomes of this process next."""
    line = memoryview(msgspec.json.encode(entry) + b"\n")
    with speaking:  # a pipe takes a long line in pieces
        while line:
            line = line[os.write(sys.stdout.fileno(), line) :]


class ToldSink:
    """A sink that tells what has arrived through it, and holds when it is told to."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._way = threading.Lock()
        self.whole_heartbeats = sink.whole_heartbeats

    def send(self, records: Sequence[Record]) -> Sequence[int]:
        with self._way:
            try:
                refused = self._sink.send(records)
            except Undelivered as failure:
                self._tell(records, failure.arrived)
                raise
            self._tell(records, [place for place in range(len(records)) if place not in refused])
            return refused

    def forget(self) -> None:
        self._sink.forget()

    def close(self) -> None:
        self._sink.close()

    def hold(self) -> None:
        """Return when nothing is under way; nothing is sent after that."""
        self._way.acquire()

    def go_on(self) -> None:
        """Send again."""
        self._way.release()

    def _tell(self, records: Sequence[Record], arrived: Sequence[int]) -> None:
        say(Arrived([(records[place].kind, records[place].key, records[place].at) for place in arrived]))


class App:
    """Carries out its orders."""

    def __init__(self, orders: Orders, commands: queue.SimpleQueue[Command]) -> None:
        self._orders = orders
        self._commands = commands
        self._sink = ToldSink(sink_of(f"kafka://{orders.broker}/{orders.topic}"))
        self._client = Client(self._sink, "demo", resource=orders.resource, spool=spool_of(orders))
        self._open: dict[int, Span] = {}

    def comes_back(self) -> None:
        """The next run of an app that was killed: the client closes what it had left, by itself."""
        if self._client.flush(ARRIVE_SECONDS):
            say(Recovered())
        self._obey(until=None)

    def plays(self) -> None:
        """Begin and close spans, each at its time, and do what is told in between, for ever."""
        began = time.monotonic()
        for at, act in self._agenda():
            self._obey(until=began + at)
            act()
        self._obey(until=None)

    def _agenda(self) -> list[tuple[float, Callable[[], None]]]:
        acts: list[tuple[float, Callable[[], None]]] = []
        for part in self._orders.parts:
            acts.append((part.birth, partial(self._begin, part)))
            if part.close is not Close.LEAVE:
                acts.append((part.birth + part.life, partial(self._close, part.number, part.close)))
        if self._orders.pause_at is not None:
            acts.append((self._orders.pause_at, self._pause))
        return sorted(acts, key=lambda one: one[0])

    def _begin(self, part: Part) -> None:
        span = self._client.start_span(
            part.name,
            span_type=part.span_type,
            kind="client",
            attributes=dict(part.attributes),
            heartbeat=part.heartbeat,
            parent=None,
        )
        self._open[part.number] = span
        say(Begun(part.number, span.key, span.start_at))

    def _close(self, number: int, close: Close) -> None:
        span = self._open.pop(number)
        since = time.time_ns()
        if close is Close.PARTIAL:
            span.partial({"demo.so_far": "enough"})
        else:
            span.end("ok")
        say(Closed(number, since, time.time_ns()))

    def _pause(self) -> None:
        since = time.time_ns()
        self._client.on_pause()
        say(Paused(since, time.time_ns()))

    def _obey(self, *, until: float | None) -> None:
        while until is None or time.monotonic() < until:
            try:
                command = self._commands.get(timeout=None if until is None else max(0.0, until - time.monotonic()))
            except queue.Empty:
                return
            if command is Command.HOLD:
                self._sink.hold()
                say(Holding())
            elif command is Command.END:
                self._sink.go_on()
                for number in list(self._open):
                    self._close(number, Close.END)


def spool_of(orders: Orders) -> Spool | None:
    """The spool that the orders name, if they name one."""
    if not orders.spool:
        return None
    return Spool(orders.spool, ttl=orders.ttl) if orders.ttl else Spool(orders.spool)


def listen(commands: queue.SimpleQueue[Command]) -> None:
    """Pass on what is told; the process ends when nobody is left who could tell."""
    for line in sys.stdin.buffer:
        commands.put(Command(line.decode().strip()))
    os._exit(0)


def main() -> None:
    """Read the orders, wait for the crowd to set out, and play. Never returns."""
    orders = msgspec.json.decode(sys.stdin.buffer.readline(), type=Orders)
    commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
    app = App(orders, commands)
    threading.Thread(target=listen, args=[commands], daemon=True).start()
    if not orders.parts:
        app.comes_back()
    else:
        say(Ready())
        commands.get()
        app.plays()


if __name__ == "__main__":
    main()

"""The client as an app holds it: made once, asked for spans, told about pauses and the end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, MutableMapping
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Self, TypeVar, Unpack

from finalizer.client.attributes import Limits
from finalizer.client.buffer import Buffer
from finalizer.client.clock import SECOND, Clock, SystemClock, nanoseconds
from finalizer.client.context import context_of, current
from finalizer.client.deadlines import Deadlines
from finalizer.client.emitter import Emitter
from finalizer.client.exits import Exits
from finalizer.client.forks import remember
from finalizer.client.guards import Guard, Retry, around, time_is_over
from finalizer.client.keeper import Keeper
from finalizer.client.left import Taken
from finalizer.client.operations import Attempt, Operations
from finalizer.client.saying import say
from finalizer.client.sender import Sender
from finalizer.client.settings import HEARTBEAT, KEEP, Duration, OnPause, OperationOptions, SpanOptions, settings_of
from finalizer.client.sinks import Sink, sink_of
from finalizer.client.source import Source
from finalizer.client.span import Span
from finalizer.client.threads import Runner, Safe, Threads

if TYPE_CHECKING:
    from finalizer.client.spool import Spool

P = ParamSpec("P")
R = TypeVar("R")
PAUSE_SECONDS: Final = 0.5
"""How long a pause of the app may wait for what was told to be safe."""
CHILD_SECONDS: Final = 0.5
"""How long a child that has a spool tries to send at its end, while its parent waits for it."""
LEAVE_SECONDS: Final = 0.1
"""What the threads, and then the disk, get to come to an end, if the time to flush is over."""


class Opening:
    """A span that begins with its block, or with each call of the function that it decorates."""

    __slots__ = ("_client", "_name", "_options", "_span")

    def __init__(self, client: Client, name: str, options: SpanOptions) -> None:
        self._client = client
        self._name = name
        self._options = options

    def __enter__(self) -> Span:
        self._span = self._client.start_span(self._name, **self._options)
        return self._span.__enter__()

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        self._span.__exit__(kind, error, trace)

    async def __aenter__(self) -> Span:
        return self.__enter__()

    async def __aexit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        self._span.__exit__(kind, error, trace)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        name = self._name or function.__qualname__
        return around(function, lambda: Opening(self._client, name, self._options))


class Client:
    """Tells spans to a finalizer. One for a process; safe for threads, tasks and forks.

    `sink` says where to: `kafka://host:9092` (`/topic`, else spans.events), `http://collector:4318`, `file:///path`,
    or a sink. `service` becomes service.name; `resource` is more of that kind. `spool` is a file that keeps what was
    not sent yet, and what is open, through a crash. `heartbeat` is how often a span beats (None: not at all).
    `instance_id` names this process: then one heartbeat stands for all its spans.

    Raises `ValueError`, one sentence, for settings that cannot be. Nothing else here raises, and nothing waits but
    `flush`, `close` and the hooks of the app's life, which say for how long.
    """

    def __init__(
        self,
        sink: str | Sink,
        service: str,
        *,
        spool: Spool | str | os.PathLike[str] | None = None,
        resource: Mapping[str, Any] | None = None,
        heartbeat: Duration | None = HEARTBEAT,
        initial_delay: Duration | None = None,
        start: str = "eager",
        on_pause: OnPause = "background",
        keep: Duration = KEEP,
        limits: Limits = Limits(),  # noqa: B008 - a tuple
        buffer: int = 10_000,
        flush_before_exit: Duration = timedelta(seconds=2),
        instance_id: str = "",
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings_of(
            service,
            resource=resource,
            heartbeat=heartbeat,
            initial_delay=initial_delay,
            start=start,
            on_pause=on_pause,
            keep=keep,
            limits=limits,
        )
        self._instance_id = instance_id
        if buffer < 1:
            raise ValueError("buffer is a number of events, 1 or more")
        if instance_id and not self._settings.heartbeat:
            raise ValueError("an instance_id without a heartbeat: its one heartbeat would stand for nothing")
        if not isinstance(sink, str) and not hasattr(sink, "whole_heartbeats"):
            raise ValueError(f"sink is a URL (kafka://host:9092) or a sink, not a {type(sink).__name__}")
        self._sink = sink_of(sink) if isinstance(sink, str) else sink
        if instance_id and self._sink.whole_heartbeats:
            say(
                "instance", "a collector takes heartbeats of spans only: each beats for itself, for all the instance_id"
            )
        self._spool = None if spool is None else _spool_of(spool)
        self._most = buffer
        self._clock: Clock = SystemClock() if clock is None else clock
        self._exit_seconds = nanoseconds(flush_before_exit, name="flush_before_exit") / SECOND
        self._closed = False
        self._run: Callable[[Keeper, Sender], Runner] = self._on_threads
        self.recovered: dict[str, int] = {}
        """How many spans of earlier runs were closed, by reason."""
        self._build()
        self._exits = Exits(self)
        remember(self)
        if self._spool is not None:
            self._runner.ensure()  # what the last run left does not wait for the first span

    # --- spans -------------------------------------------------------------------------------------------------------

    def span(self, name: str = "", **options: Unpack[SpanOptions]) -> Opening:
        """A span around a block (`with`, `async with`) or a function (as a decorator, which may leave out the name)."""
        return Opening(self, name, options)

    def start_span(self, name: str, **options: Unpack[SpanOptions]) -> Span:
        """A span that begins now and ends with its `end()`. It is not made the current one."""
        return self._emitter.start(name, options)

    def with_timeout(self, seconds: Duration, name: str = "", **options: Unpack[SpanOptions]) -> Guard:
        """A span with a time limit, as a block or a decorator: see `Guard`."""
        return Guard(self, seconds, name, options)

    def resume(self, op_id: str, name: str, **options: Unpack[OperationOptions]) -> Attempt:
        """One attempt of an operation, as a block. All attempts with the same `op_id` are one span: in this process,
        after a restart, on another machine. An attempt that fails leaves it open for the next one."""
        return Attempt(self.operations, op_id, name, options)

    def retry(
        self,
        name: str = "",
        *,
        op_id: str | Callable[..., str] | None = None,
        attempts: int = 3,
        on: type[BaseException] | tuple[type[BaseException], ...] = Exception,
        pause: Duration = 1.0,
        longest_pause: Duration = 30.0,
        **options: Unpack[OperationOptions],
    ) -> Retry:
        """A decorator: the function is tried again after an error, and all its attempts are one span: see `Retry`."""
        return Retry(
            self,
            name,
            op_id=op_id,
            attempts=attempts,
            on=on,
            pause=pause,
            longest_pause=longest_pause,
            options=options,
        )

    def inject(self, headers: MutableMapping[str, str]) -> None:
        """Write the current span into the headers of a request, so that the other side's spans are its children."""
        over = context_of(current())
        if over is not None:
            headers["traceparent"] = over.traceparent
            if over.trace_state:
                headers["tracestate"] = over.trace_state

    # --- the app's life ----------------------------------------------------------------------------------------------

    def on_pause(self) -> None:
        """The app goes to the background, and may be killed there: spans say so, and what was told is saved."""
        self._emitter.pause(self._emitter.open_spans())
        self._runner.flush(PAUSE_SECONDS, until=Safe.ON_DISK)

    def on_resume(self) -> None:
        """The app is back, and with it perhaps the network."""
        self._emitter.proceed(self._emitter.open_spans())
        self._sender.hurry()
        self._runner.wake()

    def on_terminate(self) -> None:
        """The process is about to end: open spans say so, and what was told is sent, as long as `flush_before_exit`."""
        self.close()

    def end_with_sigterm(self) -> None:
        """Do the same when SIGTERM comes, then what was done before. To be called on the main thread."""
        self._exits.hook_sigterm()

    def flush(self, seconds: float = 5.0) -> bool:
        """Wait until all that was told until now has arrived; False if the time is over first."""
        return self._runner.flush(seconds)

    def close(self, seconds: float | None = None) -> None:
        """Send what was told, for at most so long (`flush_before_exit`), and let go of everything (0.2 s more at most).
        With a spool it does not wait for a network that refuses: the next run sends what lies there. Spans that are
        still open are left to the next run, or to the finalizer."""
        if self._closed:
            return
        self._closed = True
        until = time.monotonic() + (self._exit_seconds if seconds is None else seconds)
        self._emitter.terminate(self._emitter.open_spans())
        self._runner.flush(until - time.monotonic(), until=Safe.NOTHING_MORE_TO_DO)
        self._runner.stop(max(LEAVE_SECONDS, until - time.monotonic()))
        if self._spool is not None:
            self._spool.close(max(LEAVE_SECONDS, until - time.monotonic()))
        self._exits.unhook()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # --- what became of it -------------------------------------------------------------------------------------------

    @property
    def counts(self) -> dict[str, int]:
        """What became of the events so far, and what waits."""
        counts, spool = self._sender.counts, self._spool
        found = {
            "open_spans": self._emitter.open_count,
            "buffered": len(self._buffer),
            "acknowledged": counts.acknowledged,
            "refused": counts.refused,
            "failures": counts.failures,
            "attributes_left_out": self._emitter.attributes_left_out,
            **{f"dropped_{kind}": count for kind, count in self._buffer.dropped.items()},
        }
        if spool is not None:
            found |= {
                "spooled": spool.waiting,
                "spool_refusals": spool.refusals,
                "spool_corrupt_files": spool.corrupt_files,
                "spool_expired": spool.expired,
            }
        return found

    # --- for the other parts of the client ---------------------------------------------------------------------------

    @property
    def emitter(self) -> Emitter:
        """Whoever tells of spans, now: another one after a fork."""
        return self._emitter

    @property
    def runner(self) -> Runner:
        """Whoever takes the steps, now."""
        return self._runner

    def end_after(self, span: Span, duration: int) -> None:
        """End this span as timed out when its time is over, unless it is `in_time`."""
        if duration:
            self._deadlines.add(span, duration, self._clock.monotonic(), lambda: time_is_over(span))
            self._runner.wake()

    def in_time(self, span: Span) -> None:
        """The work of a span is done."""
        self._deadlines.discard(span)

    def leave(self) -> None:
        """This is a child that ends, and its parent waits for it: what lies on the disk need not have arrived."""
        self.close(None if self._spool is None else min(self._exit_seconds, CHILD_SECONDS))

    def pause_for_fork(self) -> Callable[[], None]:
        """Come to rest; returns what lets it go on."""
        return (lambda: None) if self._spool is None else self._spool.pause_for_fork(seconds=1.0)

    def forked(self) -> None:
        """This is a child: what is under way belongs to the parent, and everything of ours begins anew."""
        self._emitter.retire()
        if self._closed:
            return
        self._sink.forget()
        if self._spool is not None:
            self._spool.forget()
        if self._instance_id:
            self._instance_id = f"{self._instance_id}.{os.getpid()}"
        self._build()

    def redirect(self, sink: Sink, clock: Clock, run: Callable[[Keeper, Sender], Runner]) -> Callable[[], None]:
        """Send what begins from now on to another sink, by another clock, without the spool; returns the way back.
        For `finalizer.client.testing`."""
        before = (self._sink, self._spool, self._clock, self._run)
        self._runner.flush(1.0)
        self._runner.stop(1.0)
        if self._spool is not None:
            self._spool.close(1.0)
        self._sink, self._spool, self._clock, self._run = sink, None, clock, run
        self._build()

        def restore() -> None:
            self._runner.stop(1.0)
            self._sink, self._spool, self._clock, self._run = before
            self._build()

        return restore

    def _on_threads(self, keeper: Keeper, sender: Sender) -> Runner:
        return Threads(keeper, sender, self._clock, spooled=self._spool is not None)

    def _build(self) -> None:
        run = os.urandom(8).hex()
        spool, clock = self._spool, self._clock
        settings = self._settings = self._settings._replace(
            whole_heartbeats=self._sink.whole_heartbeats,
            instance_id="" if self._sink.whole_heartbeats else self._instance_id,
            spooled=spool is not None,
            boot_id=run,
        )
        self._buffer = Buffer(self._most)
        self._deadlines = Deadlines()
        self._emitter = Emitter(settings, clock, self._buffer, self._wake)
        self.operations = Operations(self._emitter, self._deadlines)
        source = Source(self._buffer, spool, settings)
        if spool is not None:
            spool.begin(run, clock)
            spool.on_drop = self._buffer.lost
        self._sender = Sender(source, self._sink, self._buffer, clock)
        self._keeper = Keeper(self._emitter, source, spool, clock, deadlines=self._deadlines, recovery=self._recover)
        self._runner = self._run(self._keeper, self._sender)
        self._buffer.on_first = self._runner.new

    def _wake(self) -> None:
        self._runner.wake()

    def _recover(self) -> bool:
        spool = self._spool
        if spool is None:
            return True
        from finalizer.client.recover import recover  # noqa: PLC0415 - only who spools pays for SQLite

        mine = {span.key for span in self._emitter.open_spans()}
        return recover(spool, mine.__contains__, self._found)

    def _found(self, taken: Taken) -> None:
        for reason, count in taken.closed.items():
            self.recovered[reason] = self.recovered.get(reason, 0) + count
        for left in taken.operations:
            self.operations.adopt(left)


def _spool_of(given: Spool | str | os.PathLike[str]) -> Spool:
    from finalizer.client.spool import Spool  # noqa: PLC0415 - only who spools pays for SQLite

    return given if isinstance(given, Spool) else Spool(given)

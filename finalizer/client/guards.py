"""Guards: an operation with a time limit, and one that is tried again. Blocks and decorators, sync and async."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Awaitable, Callable
from types import CoroutineType, TracebackType
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast

from finalizer.client.clock import SECOND, nanoseconds
from finalizer.client.context import attach, detach
from finalizer.client.settings import Duration, OperationOptions, SpanOptions
from finalizer.client.span import Span

if TYPE_CHECKING:
    import asyncio

    from finalizer.client.client import Client

P = ParamSpec("P")
R = TypeVar("R")
TIMEOUT: Final = "timeout"
GRACE: Final = 5 * SECOND
"""The finalizer is told of a limit so much later than it holds here: the end that tells of it must come first, or each
span that took too long would be closed twice, by the finalizer and then by us."""
_CO_COROUTINE: Final = 0x80


def is_async(function: Callable[..., object]) -> bool:
    """True for a function that was written with `async def`, without what `inspect` would import."""
    code = getattr(getattr(function, "__wrapped__", function), "__code__", None)
    return code is not None and bool(code.co_flags & _CO_COROUTINE)


class Guard:
    """A span that ends after so many seconds, with an error and the reason `timeout`, whatever the work does then.

    Async work is cancelled at that moment, and `TimeoutError` is raised. A thread cannot be cancelled: there the span
    ends in time, `span.timed_out` says so, and the work goes on.
    """

    def __init__(self, client: Client, seconds: Duration, name: str, options: SpanOptions) -> None:
        self._client = client
        self._seconds = seconds
        self._name = name
        self._options = options.copy()
        self._options["timeout"] = _declared(seconds)
        self._span: Span | None = None
        self._timeout: asyncio.Timeout | None = None

    def __enter__(self) -> Span:
        span = self._client.start_span(self._name, **self._options)
        self._client.end_after(span, _limit(span))
        self._span = span
        return span.__enter__()

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._span is not None:
            self._client.in_time(self._span)
            self._span.__exit__(kind, error, trace)

    async def __aenter__(self) -> Span:
        import asyncio  # noqa: PLC0415 - whoever awaits has it already

        span = self._client.start_span(self._name, **self._options)
        self._span = span
        self._timeout = asyncio.timeout(_limit(span) / SECOND or None)
        await self._timeout.__aenter__()
        return span.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        span, timeout = self._span, self._timeout
        assert span is not None and timeout is not None
        try:
            await timeout.__aexit__(kind, error, trace)
        except TimeoutError:
            time_is_over(span)
            raise
        finally:
            span.__exit__(kind, error, trace)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        def fresh() -> Guard:
            return Guard(self._client, self._seconds, self._name or function.__qualname__, self._options)

        return around(function, fresh)


def _declared(limit: Duration) -> Duration:
    """What the finalizer is told; what is no limit is for the span to refuse."""
    try:
        return (nanoseconds(limit, name="timeout") + GRACE) / SECOND
    except ValueError:
        return limit


def _limit(span: Span) -> int:
    """For how long the span may be open, in nanoseconds; 0: no limit."""
    return max(0, span.identity.timeout - GRACE)


def time_is_over(span: Span) -> None:
    """End a span whose time is over, if it is still open."""
    if span.is_open:
        span.timed_out = True
        span.end("error", TIMEOUT, reason=TIMEOUT)


def around(function: Callable[P, R], block: Callable[[], Any]) -> Callable[P, R]:
    """The function inside a block of its own for each call; `block` makes one that is both sync and async."""
    if is_async(function):
        awaited = cast("Callable[P, Awaitable[Any]]", function)

        @functools.wraps(function)
        async def run_async(*args: P.args, **kwargs: P.kwargs) -> Any:
            async with block():
                return await awaited(*args, **kwargs)

        return cast("Callable[P, R]", run_async)

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with block():
            return function(*args, **kwargs)

    return run


class Retry:
    """An operation that is tried up to so many times, as one span. A decorator.

    `op_id` names the operation, or makes its name of the arguments; without one each call is an operation of its own.
    `on` are the errors after which it is tried again; `pause` is the time before the second attempt, in seconds, and
    doubles up to `longest_pause`.
    """

    def __init__(
        self,
        client: Client,
        name: str,
        *,
        op_id: str | Callable[..., str] | None,
        attempts: int,
        on: type[BaseException] | tuple[type[BaseException], ...],
        pause: Duration,
        longest_pause: Duration,
        options: OperationOptions,
    ) -> None:
        self._client = client
        self._name = name
        self._op_id = op_id
        self._attempts = max(1, attempts)
        self._on = on
        self._pause = nanoseconds(pause, name="pause") / SECOND
        self._longest = nanoseconds(longest_pause, name="longest_pause") / SECOND
        self._options = options

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        name = self._name or function.__qualname__
        if is_async(function):
            return cast("Callable[P, R]", self._awaiting(name, cast("Callable[P, Awaitable[Any]]", function)))

        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            op_id = self._named(args, kwargs)
            for attempt in range(1, self._attempts + 1):
                tried = Try(self, op_id, name, is_last=attempt == self._attempts)
                with tried:
                    return function(*args, **kwargs)
                time.sleep(self.pause(attempt))
            raise AssertionError("the last attempt returns or raises")

        return run

    def _awaiting(self, name: str, function: Callable[P, Awaitable[Any]]) -> Callable[P, CoroutineType[Any, Any, Any]]:
        @functools.wraps(function)
        async def run(*args: P.args, **kwargs: P.kwargs) -> Any:
            import asyncio  # noqa: PLC0415 - whoever awaits has it already

            op_id = self._named(args, kwargs)
            for attempt in range(1, self._attempts + 1):
                tried = Try(self, op_id, name, is_last=attempt == self._attempts)
                with tried:
                    return await function(*args, **kwargs)
                await asyncio.sleep(self.pause(attempt))
            raise AssertionError("the last attempt returns or raises")

        return cast("Callable[P, CoroutineType[Any, Any, Any]]", run)

    def pause(self, attempt: int) -> float:
        """Seconds after this attempt, a little different each time."""
        return min(self._longest, self._pause * 2.0 ** (attempt - 1)) * (1 + os.urandom(1)[0] / 1024)

    def begin(self, op_id: str, name: str) -> Span:
        """One more attempt."""
        return self._client.operations.begin(op_id, name, self._options)

    def failed(self, span: Span, error: BaseException, *, is_last: bool) -> bool:
        """An attempt has failed; True if another one follows."""
        operations = self._client.operations
        if is_last or not isinstance(error, self._on):
            span.finish(error)
            operations.ended(span)
            return False
        operations.failed(span, error)
        return True

    def done(self, span: Span) -> None:
        """An attempt has gone well."""
        span.end()
        self._client.operations.ended(span)

    def _named(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        if self._op_id is None:
            return os.urandom(16).hex()
        return self._op_id if isinstance(self._op_id, str) else self._op_id(*args, **kwargs)


class Try:
    """One attempt of a `Retry`. Swallows the error after which it is tried again."""

    def __init__(self, retry: Retry, op_id: str, name: str, *, is_last: bool) -> None:
        self._retry = retry
        self._is_last = is_last
        self._span = retry.begin(op_id, name)

    def __enter__(self) -> Span:
        self._mark = attach(self._span)
        return self._span

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> bool:
        detach(self._mark)
        if error is None:
            self._retry.done(self._span)
            return False
        return self._retry.failed(self._span, error, is_last=self._is_last)

"""A TCP proxy between a worker and its broker that reads request kinds, so that a test can act at a chosen moment.

Requests and answers are passed on whole, byte for byte. `Proxy.strike` waits for a message of one kind; when it comes
it is held, the test's act is carried out (the worker killed, say), and then it is passed on, or lost with its
connection.
The broker has a listener that advertises the proxy's port, so nothing has to be rewritten.

https://kafka.apache.org/protocol.html#protocol_messages: a request begins with its size, api key, version and
correlation id, an answer with its size and the correlation id.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from types import TracebackType
from typing import NamedTuple, Self

from tests.waiting import LIMIT_SECONDS


class Kind(IntEnum):
    """The api keys that these tests know."""

    PRODUCE = 0
    FETCH = 1
    LIST_OFFSETS = 2
    METADATA = 3
    OFFSET_FETCH = 9
    JOIN_GROUP = 11
    HEARTBEAT = 12
    SYNC_GROUP = 14
    INIT_PRODUCER_ID = 22
    ADD_PARTITIONS_TO_TXN = 24
    END_TXN = 26


class Moment(NamedTuple):
    """One kind of message on the wire."""

    kind: Kind
    answer: bool = False
    """The broker's answer; else the worker's request."""
    about: str = ""
    """What the request names: a topic, a group, a transactional id."""
    without: str = ""
    """What it does not name."""

    def is_seen_in(self, kind: int, request: bytes, *, answer: bool) -> bool:
        """Whether this is such a message; of an answer one looks at its request."""
        if kind != self.kind or answer is not self.answer or self.about.encode() not in request:
            return False
        return not self.without or self.without.encode() not in request


@dataclass(slots=True)
class _Strike:
    """What waits for its moment."""

    moment: Moment
    act: Callable[[], Awaitable[object] | object]
    deliver: bool
    skip: int
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Proxy:
    """Passes on what comes to the ports of ``doors`` to the ports behind them, on loopback, in one test's event loop.

    >>> async with Proxy({19092: 9092}) as proxy:
    ...     await proxy.strike(Moment(Kind.END_TXN), worker.kill)
    """

    def __init__(self, doors: Mapping[int, int]) -> None:
        self.bootstrap = ",".join(f"127.0.0.1:{port}" for port in doors)
        self.transaction_timeout_ms: int | None = None
        """If set, transactions time out after this, whatever their producers ask for."""
        self._doors = doors
        self._servers: list[asyncio.Server] = []
        self._waiting: list[_Strike] = []
        self._passing: set[asyncio.Task[None]] = set()

    async def strike(
        self,
        moment: Moment,
        act: Callable[[], Awaitable[object] | object],
        *,
        skip: int = 0,
        deliver: bool = False,
    ) -> None:
        """Carry out ``act`` while the next message of this kind (after ``skip`` others) is held, and what follows it on
        its connection; then pass it on, or (not ``deliver``) lose it. An act that is not awaited holds everything.
        """
        strike = _Strike(moment, act, deliver, skip)
        self._waiting.append(strike)
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                await strike.done
        except TimeoutError:
            raise AssertionError(f"{moment} never came, or its act did not end") from None

    def _connected(self, target: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._pass_on(target, reader, writer))
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)

    async def _pass_on(self, target: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            writer.close()
            return
        asked: dict[int, tuple[int, bytes]] = {}
        ways = [
            asyncio.ensure_future(self._requests(reader, far_writer, asked)),
            asyncio.ensure_future(self._answers(far_reader, writer, asked)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for end in (writer, far_writer):
                end.close()
            await asyncio.wait(ways)

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: dict[int, tuple[int, bytes]]
    ) -> None:
        while (message := await _message(reader)) is not None:
            kind, _version, correlation = struct.unpack_from(">hhi", message, 4)
            asked[correlation] = (kind, message)
            if not await self._passes(kind, message, answer=False):
                return
            if kind == Kind.INIT_PRODUCER_ID and self.transaction_timeout_ms is not None:
                message = message[:-4] + self.transaction_timeout_ms.to_bytes(4, "big")
            writer.write(message)
            await writer.drain()

    async def _answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: dict[int, tuple[int, bytes]]
    ) -> None:
        while (message := await _message(reader)) is not None:
            (correlation,) = struct.unpack_from(">i", message, 4)
            kind, request = asked.pop(correlation)
            if not await self._passes(kind, request, answer=True):
                return
            writer.write(message)
            await writer.drain()

    async def _passes(self, kind: int, request: bytes, *, answer: bool) -> bool:
        """Act if somebody waits for this; False if the message is to be lost."""
        for strike in self._waiting:
            if strike.moment.is_seen_in(kind, request, answer=answer):
                if strike.skip:
                    strike.skip -= 1
                    continue
                self._waiting.remove(strike)
                acting = strike.act()
                if isinstance(acting, Awaitable):
                    await acting
                if not strike.done.done():
                    strike.done.set_result(None)
                return strike.deliver
        return True

    async def open(self) -> None:
        """Let clients in."""
        for port, target in self._doors.items():
            self._servers.append(await asyncio.start_server(partial(self._connected, target), "127.0.0.1", port))

    def shut(self) -> list[asyncio.Task[None]]:
        """Break all connections, and let nobody in: a broker that died. Returns what ends now."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        passing = list(self._passing)
        for task in passing:
            task.cancel()
        return passing

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        passing = self.shut()
        if passing:
            await asyncio.wait(passing)


async def _message(reader: asyncio.StreamReader) -> bytes | None:
    """One whole message with its size; None at the end of the connection."""
    try:
        head = await reader.readexactly(4)
        return head + await reader.readexactly(int.from_bytes(head, "big"))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None

"""Lines of a file or a pipe, as they come, with bounded memory."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator
from typing import NamedTuple

CHUNK_BYTES = 1 << 16
MAX_LINE_BYTES = 16 * 1024 * 1024
"""More than any broker takes as one record."""
CHUNKS_AHEAD = 8


class Line(NamedTuple):
    """One line without its line feed; ``value`` None if it was longer than `MAX_LINE_BYTES`."""

    number: int
    value: bytes | None


class LineSplitter:
    """Chunks of bytes -> lines. What follows the last line feed is a line too, unless it is empty."""

    def __init__(self) -> None:
        self._begun = b""
        self._too_long = False
        self._number = 0

    def feed(self, chunk: bytes) -> list[Line]:
        """Return the lines that ``chunk`` completes; an empty chunk is the end of the input."""
        if not chunk:
            return [self._line(self._begun)] if self._begun or self._too_long else []
        *complete, begun = chunk.split(b"\n")
        if not complete:
            self._keep(self._begun + begun)
            return []
        lines = [self._line(self._begun + complete[0]), *map(self._line, complete[1:])]
        self._keep(begun)
        return lines

    def _keep(self, begun: bytes) -> None:
        self._too_long |= len(begun) > MAX_LINE_BYTES
        self._begun = b"" if self._too_long else begun

    def _line(self, value: bytes) -> Line:
        self._number += 1
        too_long, self._too_long, self._begun = self._too_long, False, b""
        return Line(self._number, None if too_long or len(value) > MAX_LINE_BYTES else value)


async def read_lines(descriptor: int) -> AsyncGenerator[list[Line], None]:
    """Yield lines of an open file, pipe or terminal as they come. Raises ``OSError`` where it cannot be read.

    A thread reads, since a read of a pipe may wait for ever; it never holds more than a few chunks, and is left behind
    where the caller leaves.
    """
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[bytes | OSError] = asyncio.Queue()
    room = threading.Semaphore(CHUNKS_AHEAD)
    left = threading.Event()

    def read() -> None:
        chunk: bytes | OSError = b" "
        while chunk and not isinstance(chunk, OSError):
            room.acquire()
            if left.is_set():
                return
            try:
                chunk = os.read(descriptor, CHUNK_BYTES)
            except OSError as error:
                chunk = error
            try:
                loop.call_soon_threadsafe(chunks.put_nowait, chunk)
            except RuntimeError:  # the loop has ended while we waited for a line
                return

    threading.Thread(target=read, name="read-lines", daemon=True).start()
    splitter = LineSplitter()
    try:
        while True:
            chunk = await chunks.get()
            if isinstance(chunk, OSError):
                raise chunk
            yield splitter.feed(chunk)
            if not chunk:
                return
            room.release()
    finally:
        left.set()
        room.release()

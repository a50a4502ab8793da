"""Lines of a pipe: whatever pieces they come in, they are the same lines."""

import asyncio
import os
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from finalizer.cli import lines
from finalizer.cli.lines import CHUNK_BYTES, Line, LineSplitter, read_lines


@given(st.lists(st.binary(min_size=1, max_size=20).map(lambda piece: piece.replace(b"\x01", b"\n")), max_size=20))
def test_pieces_do_not_matter(pieces: list[bytes]) -> None:
    """The lines are those of the whole text; a last one needs no line feed, and an empty one after it is none."""
    splitter = LineSplitter()
    found = [line for piece in [*pieces, b""] for line in splitter.feed(piece)]
    expected = b"".join(pieces).split(b"\n")
    if not expected[-1]:
        expected.pop()
    assert found == [Line(number, value) for number, value in enumerate(expected, start=1)]


def test_a_line_without_end_takes_no_memory() -> None:
    """A file without line feeds is one line that is too long; it is counted, not kept, and the next one is read."""
    splitter = LineSplitter()
    piece = b"x" * (1 << 20)
    tracemalloc.start()
    found = [line for _ in range(64) for line in splitter.feed(piece)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not found
    assert peak < 3 * lines.MAX_LINE_BYTES
    assert splitter.feed(b"\nnext\n") == [Line(1, None), Line(2, b"next")]


async def test_a_line_is_read_when_it_is_there() -> None:
    """A slow pipe delays no line until the next one comes, and a reader that leaves is not kept."""
    reader, writer = os.pipe()
    try:
        async with asyncio.timeout(10):
            os.write(writer, b"one\ntw")
            source = read_lines(reader)
            assert await anext(source) == [Line(1, b"one")]
            os.write(writer, b"o\n")
            assert await anext(source) == [Line(2, b"two")]
            await source.aclose()
    finally:
        os.close(writer)
        os.close(reader)


async def test_reading_waits_for_whoever_sends() -> None:
    """A producer that is slower than the pipe holds the reading back: no more than some chunks are in memory."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    source = read_lines(reader)
    try:
        os.write(writer, b"x\n")
        await anext(source)
        taken = 0
        refused_since: float | None = None
        async with asyncio.timeout(10):
            while refused_since is None or asyncio.get_running_loop().time() - refused_since < 0.3:
                try:
                    taken += os.write(writer, b"y\n" * 2048)
                    refused_since = None
                except BlockingIOError:
                    refused_since = refused_since or asyncio.get_running_loop().time()
                await asyncio.sleep(0.001)
        assert taken < 40 * CHUNK_BYTES
    finally:
        await source.aclose()
        os.close(writer)
        os.close(reader)

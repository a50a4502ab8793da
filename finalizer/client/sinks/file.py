"""A file as a sink: one event a line, as `finalizer send` reads it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from finalizer.client.events import Record
from finalizer.client.sinks.sink import Undelivered


class FileSink:
    """Appends JSON lines. Several processes may append to one file. A line that could not be written whole is cut off
    by a line break and written again."""

    whole_heartbeats = False

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._torn = False

    def send(self, records: Sequence[Record]) -> Sequence[int]:
        data = b"".join(record.value + b"\n" for record in records)
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            raise Undelivered(f"{self.path}: {error}") from error
        try:
            self._write(descriptor, data)
        finally:
            os.close(descriptor)
        return ()

    def forget(self) -> None:
        self._torn = False

    def close(self) -> None:
        pass

    def _write(self, descriptor: int, data: bytes) -> None:
        """All of it, or `Undelivered`: what stands there already is sent again, and counts once."""
        view = memoryview(b"\n" + data if self._torn else data)
        try:
            while view:
                written = os.write(descriptor, view)
                view = view[written:]
                self._torn = bool(view)
        except OSError as error:
            raise Undelivered(f"{self.path}: {error}") from error

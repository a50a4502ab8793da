"""A collector as a sink: OTLP/HTTP logs, with what Python brings along."""

from __future__ import annotations

import gzip
import http.client
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from finalizer.client.events import Record
from finalizer.client.sinks.partial_log import logs_of
from finalizer.client.sinks.sink import Undelivered

PATH: Final = "/v1/logs"
ANSWER_SECONDS: Final = 10.0
FOR_GOOD: Final = frozenset((400, 413, 422))
"""What no later try and no change of a setting can cure; everything else waits for one of the two."""
_leaked: Final[list[object]] = []
"""Connections of the process that forked this one: closing one here would say good-bye there."""


class CollectorSink:
    """Posts to `http://host:4318` (path `/v1/logs`, unless the URL has one of its own). `headers` go with each post."""

    whole_heartbeats = True

    def __init__(self, url: str, *, headers: Mapping[str, str] | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no address of a collector: http://host:4318")
        self._is_tls = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port or (443 if self._is_tls else 4318)
        self._path = parts.path if parts.path.strip("/") else PATH
        self._headers = {"content-type": "application/json", "content-encoding": "gzip", **(headers or {})}
        self._connection: http.client.HTTPConnection | None = None

    def send(self, records: Sequence[Record]) -> Sequence[int]:
        logs = logs_of(records)
        if not logs:
            return ()
        try:
            status = self._post(gzip.compress(logs, compresslevel=1))
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Undelivered(f"{self._host}:{self._port}: {str(error) or type(error).__name__}") from error
        if 200 <= status < 300:
            return ()
        if status not in FOR_GOOD:
            raise Undelivered(f"{self._host}:{self._port} answers {status}")
        return (0,) if len(records) == 1 else self._one_by_one(records)

    def forget(self) -> None:
        _leaked.append(self._connection)
        self._connection = None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _one_by_one(self, records: Sequence[Record]) -> Sequence[int]:
        """The batch is refused as it is: find those that are to blame."""
        refused: list[int] = []
        for place, record in enumerate(records):
            try:
                refused += [place] if self.send([record]) else []
            except Undelivered as failure:
                arrived = [one for one in range(place) if one not in refused]
                raise Undelivered(str(failure), arrived) from failure
        return refused

    def _post(self, body: bytes) -> int:
        if self._connection is None:
            kind = http.client.HTTPSConnection if self._is_tls else http.client.HTTPConnection
            self._connection = kind(self._host, self._port, timeout=ANSWER_SECONDS)
        self._connection.request("POST", self._path, body, self._headers)
        answer = self._connection.getresponse()
        answer.read()
        return answer.status

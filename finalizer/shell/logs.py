"""Logs: one line an event, for a person (text) or a machine (json), on stderr. Stdout is for data.

    log = logs.get("restore")
    log.info("done", "The partition is restored.", partition=3, records=120_000, seconds=0.4)

    2026-05-01T02:59:59.123Z INFO restore.done partition=3 records=120000 seconds=0.4 — The partition is restored.

Lines of libraries have the same form, with the library's name as the event. Theirs are shown from WARNING on, without
what `HARMLESS` lists, and one that repeats is shown once in ten seconds.
"""

from __future__ import annotations

import json
import logging
import math
import re
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Final, Literal, NamedTuple

from aiohttp.http_exceptions import HttpProcessingError

_OURS: Final = "finalizer"
_REPEAT_SECONDS: Final = 10.0
_MOST_KNOWN: Final = 1_000
_DIGITS: Final = re.compile(r"\d+")


class Harmless(NamedTuple):
    """A library's line that belongs to normal life: the logger it comes from, how it begins, and why it is dropped."""

    logger: str
    begins: str
    why: str
    raised: type[BaseException] = BaseException
    """Only where it carries such an exception, or none."""


_COORDINATOR = "aiokafka.consumer.group_coordinator"
HARMLESS: Final = (
    Harmless(
        "aiokafka.producer.sender",
        "Unexpected error during InitProducerIdRequest: %s",
        "How the start learns that a broker has no transactions; what follows from it is told.",
    ),
    Harmless(
        "faust.transport",
        "Topic creation disabled!",
        "Topics are created and checked before the app starts, so Faust is told to create none.",
    ),
    Harmless(
        _COORDINATOR,
        "Heartbeat failed for group",
        "How aiokafka learns of a rebalance, or of a coordinator that has moved; it joins again by itself.",
    ),
    Harmless(
        _COORDINATOR,
        "OffsetCommit failed for group %s due to group",
        "The group's offsets only say where to begin; the watermark is the truth, and it is written elsewhere.",
    ),
    Harmless(
        "aiokafka.cluster",
        "Topic %s is not available during auto-create",
        "A topic created a moment ago has no leader yet; the next metadata answer has it.",
    ),
    Harmless(
        "faust.tables.recovery", "Recovery rebalancing again", "A second rebalance came before the first was over."
    ),
    Harmless(
        "faust.tables.recovery", "rebalance again generation", "A second rebalance came before the first was over."
    ),
    Harmless("faust.app", "Missing sensor state for rebalance", "Faust's own sensors; ours are the metrics."),
    Harmless(
        "aiohttp.server",
        "Error handling request",
        "A port scanner, or a client that speaks no HTTP: it got its 400.",
        HttpProcessingError,
    ),
)
"""Matched against the line before its arguments are filled in. What is not listed is shown."""


class Log:
    """The events of one part of the worker. An event is a short name, a sentence for a person, and fields."""

    __slots__ = ("_logger", "_part")

    def __init__(self, part: str) -> None:
        self._part = part
        self._logger = logging.getLogger(f"{_OURS}.{part}")

    def debug(self, event: str, sentence: str, /, **fields: object) -> None:
        """What only somebody who works on the worker wants to see."""
        self._write(logging.DEBUG, event, sentence, None, fields)

    def info(self, event: str, sentence: str, /, **fields: object) -> None:
        """Normal life: what an operator may want to know."""
        self._write(logging.INFO, event, sentence, None, fields)

    def warning(self, event: str, sentence: str, /, *, exc: BaseException | None = None, **fields: object) -> None:
        """It goes on, but somebody should look."""
        self._write(logging.WARNING, event, sentence, exc, fields)

    def error(self, event: str, sentence: str, /, *, exc: BaseException | None = None, **fields: object) -> None:
        """Something that was to happen did not. The trace of `exc` goes with it."""
        self._write(logging.ERROR, event, sentence, exc, fields)

    def _write(
        self, level: int, event: str, sentence: str, exc: BaseException | None, fields: dict[str, object]
    ) -> None:
        if self._logger.isEnabledFor(level):
            named = {"event": f"{self._part}.{event}", "fields": fields}
            # The sentence is an argument, so that a % in it is a %.
            self._logger.log(level, "%s", sentence, exc_info=exc, extra=named)


def get(part: str) -> Log:
    """The log of one part of the worker; its events are `part.event`."""
    return Log(part)


def setup(form: Literal["text", "json"], level: str = "INFO") -> None:
    """Send everything that is logged in this process, Python's warnings and the end of threads to stderr in this form.

    `level` (DEBUG, INFO, WARNING, ERROR) is for our own events; libraries are shown from WARNING on.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text())
    handler.addFilter(_Harmless())
    handler.addFilter(_Repeats())
    root, ours = logging.getLogger(), logging.getLogger(_OURS)
    root.handlers[:] = [handler]
    ours.setLevel(level.upper())
    root.setLevel(max(logging.WARNING, ours.level))
    logging.captureWarnings(True)
    threading.excepthook = _thread_ended


def _thread_ended(how: threading.ExceptHookArgs) -> None:
    """A thread ended by an exception: one line, where Python would print a bare trace."""
    if how.exc_value is not None:
        name = "unknown" if how.thread is None else how.thread.name
        logging.getLogger("threading").error("Thread %s ended: %r", name, how.exc_value, exc_info=how.exc_value)


class _Harmless(logging.Filter):
    """Drops what `HARMLESS` lists."""

    def filter(self, record: logging.LogRecord) -> bool:
        name, said = f"{record.name}.", str(record.msg)
        if said.startswith("[^"):  # how a Faust service begins its lines: its depth and its name
            said = said.partition("]: ")[2]
        raised = record.exc_info[1] if record.exc_info else None
        return not any(
            name.startswith(f"{line.logger}.")
            and said.startswith(line.begins)
            and (raised is None or isinstance(raised, line.raised))
            for line in HARMLESS
        )


class _Repeats(logging.Filter):
    """Lets a library's line through once in ten seconds, with the number of those that were held back since.

    Lines are the same if they differ in numbers only. A broker that is gone makes some 40 of them a second.
    """

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[tuple[str, str], list[float]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith(f"{_OURS}."):
            return True
        line = (record.name, _DIGITS.sub("0", _said(record)))
        known = self._known.get(line)
        if known is not None and 0 <= record.created - known[0] < _REPEAT_SECONDS:
            known[1] += 1
            return False
        if known is not None and known[1]:
            record.fields = {"repeated": int(known[1])}
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[line] = [record.created, 0]
        return True


class _Json(logging.Formatter):
    """One object a line: ts, level, event, message, fields, and exc where there is one. ASCII, so it fits any pipe."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "ts": _timestamp(record),
            "level": record.levelname,
            "event": getattr(record, "event", record.name),
            "message": _said(record),
            "fields": _plain(getattr(record, "fields", {})),
        }
        if record.exc_info:
            line["exc"] = self.formatException(record.exc_info)
        return json.dumps(line)


class _Text(logging.Formatter):
    """One line; the trace of an exception follows it."""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={_word(value)}" for name, value in getattr(record, "fields", {}).items())
        event = getattr(record, "event", record.name)
        line = f"{_timestamp(record)} {record.levelname} {event}{fields} — {_one_line(_said(record))}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _timestamp(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _said(record: logging.LogRecord) -> str:
    """The line with its arguments filled in. A library's that do not fit must not raise where it logs."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return f"{record.msg} {record.args}"


def _plain(value: object) -> object:
    """The value of a field as JSON has it; a field never makes a line fail."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    return str(value)


def _word(value: object) -> str:
    """A field's value as one word: in quotes where it has spaces or signs that would end it."""
    if isinstance(value, float):
        return f"{value:.6g}"
    plain = _plain(value)
    if isinstance(plain, str) and plain.isprintable() and plain and not any(sign in plain for sign in ' "='):
        return plain
    return json.dumps(plain, separators=(",", ":"))


def _one_line(text: str) -> str:
    return text if text.isprintable() else "".join(one if one.isprintable() else " " for one in text)

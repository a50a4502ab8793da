"""Recordings from files: records as a Kafka client hands them out, and the spans that they are about.

The first line of a recording says how it was made, each further one is a record. Its value stands there as `json`, the
JSON that it is, where writing that without blanks makes the same bytes again; else as `bytes`, a string in which each
character is one byte.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

FOLDER = Path(__file__).parent


class Record(NamedTuple):
    """One Kafka record; `timestamp` in milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class Status(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As the program set it: `unset`, `ok` or `error`."""

    code: str
    message: str


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A span event."""

    time_unix_nano: int
    name: str


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A link, ids in lower hex. (No client here tells its trace state.)"""

    trace_id: str
    span_id: str
    attributes: dict[str, Any]


class Scope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The instrumentation scope."""

    name: str
    version: str
    schema_url: str


class Span(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a program knew about one of its spans.

    In attributes bytes are `{"bytes": hex}`, and doubles that JSON has no number for are `{"double": "inf"}`.
    """

    trace_id: str
    span_id: str
    parent_span_id: str
    """Empty for a root."""
    trace_state: str | None
    """None: the client does not tell it."""
    name: str
    kind: str
    start_unix_nano: int
    end_unix_nano: int | None
    """None: it was open when the program crashed."""
    heartbeats: int
    """How often it was told that it is open."""
    last_heard_unix_nano: int | None
    """Event time of the latest of these."""
    ends: list[str]
    """Topics on which its end was told; it may have ended without anybody being told."""
    status: Status
    events: list[Event]
    links: list[Link]
    attributes: dict[str, Any]
    """Of an open span: those that were told."""
    resource: dict[str, Any]
    scope: Scope

    @property
    def known(self) -> bool:
        """Whether anything was heard of it."""
        return bool(self.ends or self.heartbeats)


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The spans of a program, in the order of their starts."""

    spans: list[Span]


class Recording(NamedTuple):
    """The traffic of one program on one way."""

    program: str
    way: str
    about: dict[str, Any]
    """How it was made: `program`, `way` in words, `note` if there is one."""
    records: tuple[Record, ...]
    spans: tuple[Span, ...]


def programs() -> list[str]:
    """The programs whose traffic was recorded."""
    return sorted(path.parent.name for path in FOLDER.glob("*/expected.json"))


def ways(program: str) -> list[str]:
    """The ways on which this program's traffic was recorded."""
    return sorted(path.stem for path in (FOLDER / program).glob("*.jsonl"))


def recording(program: str, way: str) -> Recording:
    """One recording."""
    folder = FOLDER / program
    about, *lines = (folder / f"{way}.jsonl").read_text().splitlines()
    expected = msgspec.json.decode((folder / "expected.json").read_bytes(), type=Expected)
    records = tuple(read(line) for line in lines)
    return Recording(program, way, json.loads(about), records, tuple(expected.spans))


def recordings() -> list[Recording]:
    """All of them."""
    return [recording(program, way) for program in programs() for way in ways(program)]


def read(line: str) -> Record:
    """A line of a recording."""
    told = json.loads(line)
    value = compact(told["json"]) if "json" in told else told["bytes"].encode("latin-1")
    key = told["key"].encode() if told["key"] is not None else None
    headers = tuple((name, content.encode("latin-1")) for name, content in told.get("headers", []))
    return Record(told["topic"], told["partition"], told["offset"], told["timestamp"], key, value, headers)


def written(record: Record) -> str:
    """A record as a line of a recording, from which `read` makes the same bytes again."""
    told = record._asdict()
    value: bytes = told.pop("value")
    told["key"] = record.key.decode() if record.key is not None else None
    told["headers"] = [(name, content.decode("latin-1")) for name, content in record.headers]
    if not record.headers:
        del told["headers"]
    line = json.dumps({**told, **_value(value)}, separators=(",", ":"))
    assert read(line) == record
    return line


def compact(content: Any) -> bytes:
    """JSON without blanks, as most programs write it."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _value(value: bytes) -> dict[str, Any]:
    try:
        content = json.loads(value)
    except ValueError:
        content = None
    if content is not None and compact(content) == value:
        return {"json": content}
    return {"bytes": value.decode("latin-1")}

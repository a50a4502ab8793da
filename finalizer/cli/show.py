"""Records of the output topics as lines for a person. What came from clients is made printable."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import click

from finalizer.cli.reading import decoded, header, read_final, text_or_base64
from finalizer.core.causes import FACTS

COORDINATES = "__connect.errors."
LONGEST_VALUE = 80


def as_json(record: Any) -> str:
    """One record as one JSON object: where it stands, key, headers, and the value decoded."""
    return json.dumps(
        {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": record.timestamp,
            "key": None if record.key is None else text_or_base64(record.key),
            "headers": {name: text_or_base64(value) for name, value in record.headers},
            "value": decoded(record),
        }
    )


def final_line(record: Any) -> str:
    """One final: when, cause, words, name, how long, which span, and why."""
    at = record.timestamp * 1_000_000
    try:
        final = read_final(record)
    except ValueError as problem:
        return f"{stamp(at)}  {problem}: {preview(record.value)}"
    why = f"revision {final.revision}  " if final.revision > 1 else ""
    if final.deadline_at:
        why += f"last seen {clock(final.last_seen, on=at)}, due {clock(final.deadline_at, on=at)}"
    words = f"{final.status}/{final.reason}" if final.reason else final.status
    duration = f"{(final.end_at - final.start_at) / 1e9:.3f}s"
    return line(at, coloured(final.cause), f"{words:<22}", final.name, duration, final.span, why)


def letter_line(record: Any) -> str:
    """One dead letter: when, cause and kind, words, what it was, which span, and where its trace was lost."""
    letter = decoded(record)
    at = record.timestamp * 1_000_000
    try:
        why = f"last seen {clock(int(letter['last_seen_unix_nano']), on=at)}"
        if letter["deadline_unix_nano"]:
            why += f", due {clock(int(letter['deadline_unix_nano']), on=at)}"
        words = f"{letter['status']}/{letter['reason']}"
        span = f"{letter['trace_id']}/{letter['span_id']}"
        what = " ".join(str(letter[name]) for name in ("service", "version", "span_name") if letter[name])
        return line(at, coloured(str(letter["cause"])), f"{letter['kind']:<13}", f"{words:<22}", what, span, why)
    except (KeyError, TypeError, ValueError):
        return f"{stamp(at)}  not a dead letter: {preview(record.value)}"


def rejected_line(record: Any) -> str:
    """One rejected record: when, why, where it came from, how it begins."""
    source = "/".join(header(record, f"{COORDINATES}{part}") for part in ("topic", "partition", "offset"))
    reason = click.style(f"{clean(header(record, 'dlq.reason')):<16}", fg="red")
    begins = f"from {source}: {preview(record.value)}"
    return line(record.timestamp * 1_000_000, reason, header(record, "dlq.detail"), begins)


def line(at: int, ours: str, *theirs: str) -> str:
    """The moment, what is ours to colour, and what came from clients, made printable."""
    return "  ".join([stamp(at), ours, *map(clean, theirs)]).rstrip()


def stamp(nanoseconds: int) -> str:
    """A moment with its date, in UTC, as the logs write it; as a number where no calendar has it."""
    try:
        moment = datetime.fromtimestamp(nanoseconds / 1e9, UTC)
    except (OverflowError, ValueError, OSError):
        return str(nanoseconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock(nanoseconds: int, *, on: int) -> str:
    """The time of day of a moment in UTC, with the date where it is not that of ``on``."""
    whole = stamp(nanoseconds)
    return whole if whole[:10] != stamp(on)[:10] else whole[11:-1]


def coloured(cause: str) -> str:
    """The cause, padded, in the colour of what it means: green told, yellow incomplete but told, red inferred."""
    facts = next((facts for one, facts in FACTS.items() if one.value == cause), None)
    colour = "red" if facts is None or not facts.reported else "yellow" if facts.incomplete else "green"
    return click.style(f"{clean(cause):<21}", fg=colour)


def preview(value: bytes | None) -> str:
    """How a value begins, printable."""
    if value is None:
        return "null"
    text = clean(value[: LONGEST_VALUE * 4].decode(errors="replace"))
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def clean(text: str) -> str:
    """The text without what would move the cursor or hide what stands there."""
    return (
        text
        if text.isprintable()
        else "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
    )

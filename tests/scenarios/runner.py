"""Reads a story, tells it to a `World`, and compares what was written with what was expected.

A story is one YAML file: the promise that it defends, and what happens, in virtual time.

    story:     one sentence, the promise
    config:    finalizer.yaml as a mapping; what is not given has its default
    delivery:  exactly_once | effectively_once (default: outputs first, then the changelog)
    topics:    {<input>: create_time}: its records carry their producers' stamps; all others the broker's
    steps:     in the order of time

A moment is a duration after the beginning: 0s, 1m30s, 250ms, -1h. It is the broker's wall, on which fetch answers come
every 250 ms; the worker has settled before 0s. A step has `at` and what happens there, in this order:

    worker:    crash, restart, freeze (SIGSTOP), thaw, or
               crash before outputs     it dies when next it would write to an output topic
               crash before changelog   it dies when next it has written outputs, and would write to the changelog
    config:    with `restart`: the configuration from here on
    broker:    down, up; with a topic behind it (down spans.ends) for that topic alone. A broker that is down gives no
               answers. (Clients wait until it is back: nothing can be sent to it.)
               lose: retention deletes all records, those among them that nobody has read
    release:   {breaker: 15m}, {outage: 15m}, or {outage: 15m, group: mobile-app}: an operator's, for so long
    source:    crash, start, freeze, thaw, with the topic behind it (crash otlp_logs): whoever re-keys that input; with
               a number behind that (read otlp_logs 5): records that one of his polls hands out from here on
    read:      records that one poll hands out from here on
    send:      events, appended in this order
    expect:    all that was written since the last `expect`: `nothing`, or lists of `finals`, `dead_letters`, `rejected`

`every` and `until` repeat a step: {at: 0s, every: 5s, until: 1m, send: ...} at 0s, 5s, ... 1m.

A span named a1..a20 is twenty spans, in an event and in what is expected.

An event is a native one in short form: {start: a, heartbeat_interval_ms: 5000}. The first key is its type, with the
name of its span (the ids are made from it); {instance: pod, boot_id: one, heartbeat_interval_ms: 10000} is of a
process, to the topic of `instances`. Every other field goes into the record as it is, but for these:

    time               its `time_unix_nano`; the moment of the step if not given
    *_unix_nano        a moment
    status             a word instead of {code: word}
    to                 the topic; the first input if not given
    stamp              on a `create_time` topic: the record's timestamp; `time` if not given
    raw                instead of all that: the record's value, byte for byte; null for none

Expected are exactly so many records, in any order, each with exactly the fields that are given. A string is short for
{span: string}. Fields of a final, where it has them:

    span cause revision start end last_seen deadline detected    moments; `detected` is the header
    status              unset, ok, error, or {error: message}
    word                its `span_finalizer.status`
    policy              1 for the story's configuration, 2 for the one of the first restart that brought another, ...
    reason incomplete synthetic last_seq progress rule history outage_suspected evidence_gap span_type op_id
                        its `span_finalizer.<the same>`
    name span_kind parent attributes resource                what the client said; attributes without any of ours
    repeat              true: byte for byte what was written before; false if not given

Fields of a dead letter: kind (incomplete, missing_start, late_end, resolved), those of a final but for `repeat`, and
service version span_name device_model network endpoint os.

Fields of a rejected record: reason, value (as text), topic, offset.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from finalizer.pipeline import Topic
from finalizer.policy.load import Policy, load
from tests.scenarios.broker import Input, Written
from tests.scenarios.world import EPOCH, OUTPUTS, World

Event = dict[str, Any]
Fields = dict[str, Any]

_UNITS = {"h": 3_600_000_000_000, "m": 60_000_000_000, "s": 1_000_000_000, "ms": 1_000_000, "ns": 1}
_MOMENT = re.compile(r"(-?)" + "".join(rf"(?:(\d+){unit})?" for unit in _UNITS))
_MANY = re.compile(r"(\D*)(\d+)\.\.\1(\d+)")
_KINDS = ("start", "heartbeat", "lifecycle", "end")
_PREFIX = "span_finalizer."
_CODES = ("unset", "ok", "error")
_ENOUGH = dict.fromkeys(("span", "cause", "kind", "reason", "end", "revision"))
"""What is shown of a record that nobody expected."""
_STEP = {"at", "every", "until", "worker", "config", "broker", "release", "source", "read", "send", "expect"}
_STORY = {"story", "config", "delivery", "topics", "steps"}
# fmt: off
_SPAN = {
    "span", "cause", "revision", "start", "end", "last_seen", "deadline", "status", "word", "policy", "reason",
    "incomplete", "synthetic", "last_seq", "progress", "rule", "history", "outage_suspected", "evidence_gap",
    "span_type", "op_id", "name", "span_kind", "parent", "attributes", "resource",
}
_LETTER = {"kind", "detected", "service", "version", "span_name", "device_model", "network", "endpoint", "os"}
# fmt: on
_EXPECTED = {
    "finals": _SPAN | {"detected", "repeat"},
    "dead_letters": _SPAN | _LETTER,
    "rejected": {"reason", "value", "topic", "offset"},
}


class StoryError(AssertionError):
    """The story did not go as it was told."""


def moment(text: str) -> int:
    """Nanoseconds since 1970 of a moment of the story."""
    match = _MOMENT.fullmatch(str(text))
    if match is None or not any(match.groups()[1:]):
        raise StoryError(f"{text!r} is no moment")
    sign, *counts = match.groups()
    length = sum(int(count or 0) * size for count, size in zip(counts, _UNITS.values(), strict=True))
    return EPOCH + (-length if sign else length)


def told(at: int) -> str:
    """A moment as a story writes it."""
    left = abs(at - EPOCH)
    text = "-" if at < EPOCH else ""
    for unit, size in _UNITS.items():
        count, left = divmod(left, size)
        text += f"{count}{unit}" if count else ""
    return text if text.strip("-") else "0s"


def ids(span: str) -> tuple[str, str]:
    """Trace and span id of a span of the story."""
    digest = sha256(span.encode()).hexdigest()
    return digest[:32], digest[32:48]


class Story:
    """One story, read from its file."""

    def __init__(self, path: Path) -> None:
        self.file = path.name
        given = yaml.safe_load(path.read_text())
        _only(given, _STORY)
        self.sentence: str = given["story"]
        self._steps: list[Fields] = given["steps"]
        self._times: Mapping[str, str] = given.get("topics", {})
        self._transactional = given.get("delivery", "effectively_once") == "exactly_once"
        self._fingerprints: list[str] = []
        self._policy = self._configured(given.get("config", {}))
        inputs = [
            Input(one.topic, append_time=self._times.get(one.topic) != "create_time") for one in self._policy.inputs
        ]
        self._spans: dict[str, str] = {}
        self._seen = dict.fromkeys(_EXPECTED, 0)
        self.world = World(self._policy, inputs, transactional=self._transactional)

    def tell(self) -> None:
        """Let it happen. Raises `StoryError` where something else was written than expected."""
        for at, step in self._in_order():
            self.world.run_until(at)
            self._worker(step)
            self._broker(step)
            for event in step.get("send", ()):
                for one in _each(event, next(iter(event))):
                    self._send(at, one)
            if "expect" in step:
                self._expect(step["expect"], f"at {told(at)}")
                self.world.check()
        self._expect("nothing", "after the last expectation")

    def _configured(self, config: Mapping[str, Any]) -> Policy:
        policy = load(yaml.safe_dump(dict(config)) if config else "")
        self._fingerprints.append(policy.fingerprint)
        return policy

    def _in_order(self) -> Iterator[tuple[int, Fields]]:
        """The steps with their moments; those that repeat, as often as they do."""
        steps = []
        for step in self._steps:
            _only(step, _STEP)
            at = moment(step["at"])
            until = moment(step["until"]) if "until" in step else at
            every = moment(step["every"]) - EPOCH if "every" in step else 1
            while at <= until:
                steps.append((at, step))
                at += every
        yield from sorted(steps, key=lambda step: step[0])

    def _worker(self, step: Fields) -> None:
        world, what = self.world, step.get("worker")
        match what:
            case None:
                return
            case "crash":
                world.crash()
            case "restart":
                world.crash()
                world.policy = self._configured(step["config"]) if "config" in step else world.policy
                world.start()
            case "freeze" | "thaw" if world.worker is not None:
                world.worker.frozen = what == "freeze"
            case "crash before outputs" | "crash before changelog" if world.worker is not None:
                world.worker.producer.dies_before = what.rpartition(" ")[2]
            case _:
                raise StoryError(f"worker: {what}?")

    def _broker(self, step: Fields) -> None:
        inputs = self.world.broker.inputs
        if "broker" in step:
            what, _, topic = step["broker"].partition(" ")
            for one in [inputs[topic]] if topic else inputs.values():
                if what == "lose":
                    one.first = len(one.records)
                else:
                    one.up = {"up": True, "down": False}[what]
        if "release" in step:
            release, until = dict(step["release"]), self.world.now - EPOCH
            if "breaker" in release:
                self.world.releases.breaker(moment(release["breaker"]) + until)
            if "outage" in release:
                self.world.releases.outage(release.get("group"), moment(release["outage"]) + until)
        if "read" in step and self.world.worker is not None:
            self.world.worker.most_records = step["read"]
        if "source" in step and not self.world.source(*str(step["source"]).split()):
            raise StoryError(f"source: {step['source']}?")

    def _send(self, at: int, event: Event) -> None:
        event = dict(event)
        usual = self._policy.instances.topic if "instance" in event else self._policy.inputs[0].topic
        topic = event.pop("to", usual)
        stamp = event.pop("stamp", None)
        if "raw" in event:
            raw = event["raw"]
            key, value, time = b"raw", None if raw is None else str(raw).encode(), at
        else:
            time = moment(event.pop("time")) if "time" in event else at
            record = self._record(event, time)
            key = str(record["instance_id"] if "instance" in event else record["trace_id"]).encode()
            value = json.dumps(record).encode()
        stamped = time if stamp is None else moment(stamp)
        self.world.broker.inputs[topic].append(key, value, now=at, stamp=stamped)

    def _record(self, event: Event, time: int) -> Event:
        kind, span = next(iter(event.items()))
        if kind == "instance":
            return {"type": kind, "instance_id": span, "time_unix_nano": str(time), **dict(list(event.items())[1:])}
        if kind not in _KINDS:
            raise StoryError(f"{kind!r} is no type of event")
        trace_id, span_id = ids(span)
        self._spans[trace_id + span_id] = span
        record: Event = {"type": kind, "trace_id": trace_id, "span_id": span_id, "time_unix_nano": str(time)}
        if kind == "start":
            record["name"] = "upload"
        for field, value in list(event.items())[1:]:
            if field.endswith("_unix_nano"):
                record[field] = moment(value)
            elif field == "status" and isinstance(value, str):
                record[field] = {"code": value}
            else:
                record[field] = value
        return record

    def _expect(self, expected: Any, when: str) -> None:
        wanted = {} if expected == "nothing" else expected
        _only(wanted, set(self._seen))
        lines: list[str] = []
        failed = False
        for kind, seen in self._seen.items():
            actual = [self._read(kind, place) for place in range(seen, len(self._written(kind)))]
            self._seen[kind] += len(actual)
            want = [{"span": one} if isinstance(one, str) else dict(one) for one in wanted.get(kind, ())]
            want = [single for one in want for single in _each(one, "span")]
            for one in want:
                _only(one, _EXPECTED[kind])
            if kind == "finals":
                want = [{"repeat": False} | one for one in want]
            left, right = _sides(want, actual)
            failed = failed or left != right
            lines += [f"{mark} {kind}: {line[2:]}" for line in difflib.ndiff(left, right) if (mark := line[0]) != "?"]
        if failed:
            story = f"{self.file} {when}: it is written otherwise (- expected, + written)"
            raise StoryError("\n".join([self.sentence, story, *lines]))

    def _written(self, kind: str) -> list[Written]:
        topic = {"finals": Topic.FINALIZED, "dead_letters": Topic.DLQ, "rejected": Topic.REJECTED}[kind]
        return self.world.broker.outputs[OUTPUTS[topic].topic]

    def _read(self, kind: str, place: int) -> Fields:
        record = self._written(kind)[place]
        if kind == "rejected":
            return _rejected(record)
        if kind == "dead_letters":
            return self._dead_letter(record)
        before = self._written(kind)[:place]
        return {"repeat": any(record.value == one.value for one in before)} | self._final(record)

    def _final(self, record: Written) -> Fields:
        (about,) = json.loads(record.value or b"")["resourceSpans"]
        (scope,) = about["scopeSpans"]
        (span,) = scope["spans"]
        return {**self._span(span), "resource": _attributes(about["resource"]), "detected": _detected(record)}

    def _span(self, span: Fields) -> Fields:
        theirs = _attributes(span)
        ours = {name.removeprefix(_PREFIX): theirs.pop(name) for name in list(theirs) if name.startswith(_PREFIX)}
        for name in ("partial.gc", "error.type"):
            theirs.pop(name, None)
        status = _CODES[span["status"].get("code", 0)]
        message = span["status"].get("message")
        return {
            **ours,
            "span": self._spans[span["traceId"] + span["spanId"]],
            "start": told(int(span["startTimeUnixNano"])) if "startTimeUnixNano" in span else None,
            "end": told(int(span["endTimeUnixNano"])) if "endTimeUnixNano" in span else None,
            "last_seen": told(ours["last_seen_unix_nano"]) if "last_seen_unix_nano" in ours else None,
            "deadline": told(ours["deadline_unix_nano"]) if "deadline_unix_nano" in ours else None,
            "word": ours["status"],
            "policy": self._fingerprints.index(ours["policy"]) + 1,
            "status": {status: message} if message else status,
            "name": span["name"],
            "span_kind": span.get("kind"),
            "parent": span.get("parentSpanId"),
            "attributes": theirs,
        }

    def _dead_letter(self, record: Written) -> Fields:
        letter = json.loads(record.value or b"")
        assert letter["kind"] == record.headers["dlq.kind"].decode()
        moments = {
            name.removesuffix("_unix_nano").removesuffix("_at"): value and told(int(value))
            for name, value in letter.items()
            if name.endswith("_unix_nano")
        }
        return {**letter, **self._span(letter["span"]), **moments, "resource": _attributes(letter["resource"])}


def _each(one: Fields, name: str) -> list[Fields]:
    """One for each span that is meant: itself, or as many as its span's name says."""
    many = _MANY.fullmatch(str(one.get(name, "")))
    if many is None:
        return [one]
    return [one | {name: f"{many[1]}{number}"} for number in range(int(many[2]), int(many[3]) + 1)]


def _only(given: Mapping[str, Any], known: set[str]) -> None:
    if unknown := set(given) - known:
        raise StoryError(f"unknown: {', '.join(sorted(unknown))}; known are {', '.join(sorted(known))}")


def _sides(wanted: list[Fields], written: list[Fields]) -> tuple[list[str], list[str]]:
    """Both lists as sorted lines. A written record is told by the fields of the expected one that it fits best."""
    left, right, rest = [], [], list(wanted)
    for record in sorted(written, key=lambda one: _best(one, wanted), reverse=True):
        fields = max(rest, key=lambda one: (_score(record, one), len(one)), default=_ENOUGH)
        if fields in rest:
            rest.remove(fields)
            left.append(_line(fields))
        right.append(_line({field: record.get(field) for field in fields}))
    return sorted(left + [_line(one) for one in rest]), sorted(right)


def _score(record: Fields, wanted: Fields) -> int:
    return -sum(1 for field, value in wanted.items() if record.get(field) != value)


def _best(record: Fields, wanted: list[Fields]) -> int:
    return max((_score(record, one) for one in wanted), default=0)


def _line(fields: Fields) -> str:
    return ", ".join(f"{field}: {json.dumps(value, sort_keys=True)}" for field, value in fields.items())


def _rejected(record: Written) -> Fields:
    headers = {name: value.decode() for name, value in record.headers.items()}
    return {
        "reason": headers["dlq.reason"],
        "value": None if record.value is None else record.value.decode(),
        "topic": headers["__connect.errors.topic"],
        "offset": int(headers["__connect.errors.offset"]),
    }


def _detected(record: Written) -> str:
    return told(int(record.headers["span-finalizer-detected-at"]))


def _attributes(holder: Fields) -> Fields:
    return {one["key"]: _value(one["value"]) for one in holder["attributes"]}


def _value(value: Fields) -> Any:
    ((kind, plain),) = value.items()
    if kind == "arrayValue":
        return [_value(one) for one in plain["values"]]
    return int(plain) if kind == "intValue" else plain

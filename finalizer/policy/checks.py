"""What no single setting can tell: settings that contradict each other, and rules that can never match."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import translate
from typing import NamedTuple

from finalizer.core.terms import Terms
from finalizer.policy.problems import quoted
from finalizer.policy.quantities import duration_text
from finalizer.policy.read import Given, Reader
from finalizer.policy.schema import Format, Policy, Rekey, Safety, Topics

SPAN_KINDS = ("internal", "server", "client", "producer", "consumer")


class RuleGiven(NamedTuple):
    """A rule as it was written, and the complete terms it comes to."""

    given: Given
    terms: Terms


def check_inputs(given: Sequence[Given] | None, reader: Reader) -> None:
    """There is an input, `kind` stands only where records lack a type, and batches are re-keyed."""
    if given is not None and not given:
        reader.blame("at least one input is needed", "inputs")
    for index, one in enumerate(given or ()):
        if "kind" in one and one.get("format", Format.NATIVE) is not Format.NATIVE:
            reader.blame("only native records can lack a kind", f"inputs[{index}].kind")
        if one.get("rekey") is Rekey.NEVER and one.get("format", Format.NATIVE) is not Format.NATIVE:
            message = f"a record of {one['format'].value} may hold many traces: only native inputs can do without"
            reader.blame(message, f"inputs[{index}].rekey")


def check_topics(given: Sequence[Given] | None, settings: Policy, reader: Reader) -> None:
    """No topic has two uses."""
    inputs = [one.topic for one in settings.inputs] if given is None else [one.get("topic") for one in given]
    outputs = settings.outputs
    named = [
        *((f"inputs[{index}].topic", topic) for index, topic in enumerate(inputs)),
        ("instances.topic", settings.instances.topic),
        ("outputs.finalized.topic", outputs.finalized.topic),
        ("outputs.dlq.topic", outputs.dlq.topic),
        ("outputs.rejected.topic", outputs.rejected.topic),
    ]
    users: dict[str, str] = {}
    for path, topic in named:
        if topic is None:
            continue
        first = users.setdefault(topic, path)
        if first is not path:
            first_use, use = (place if reader.was_given(place) else f"{place} (by default)" for place in (first, path))
            reader.blame(f"{topic} is {first_use} and {use}, but a topic has one use", path, first)


def check_terms(terms: Terms, path: str, reader: Reader) -> None:
    """Heartbeats that come as they should keep their span open."""
    beat, below = terms.heartbeat, f"{path}.heartbeat"
    if beat.min > beat.max:
        message = f"min ({duration_text(beat.min)}) is greater than max ({duration_text(beat.max)})"
        reader.blame(message, f"{below}.min", f"{below}.max", below)
    elif beat.max + beat.allowance <= beat.interval:
        message = (
            f"spans that beat every {duration_text(beat.interval)} would be closed between two heartbeats; "
            f"max ({duration_text(beat.max)}) + allowance ({duration_text(beat.allowance)}) must be longer"
        )
        reader.blame(message, f"{below}.max", f"{below}.interval", f"{below}.allowance", below)


def check_rules(rules: Sequence[RuleGiven], default: Terms, reader: Reader) -> None:
    """Names are unique, each rule can match, and what it changes fits what it keeps."""
    names: dict[str, int] = {}
    earlier: list[tuple[str, frozenset[tuple[str, tuple[str, ...]]]]] = []
    for index, (given, terms) in enumerate(rules):
        path = f"rules[{index}]"
        if not given:
            continue
        name = given.get("name")
        if name == default.rule:
            reader.blame(f"{name} is the name of what applies when no rule matches; take another", f"{path}.name")
        elif name is not None and names.setdefault(name, index) != index:
            reader.blame(f"{name} is the name of rules[{names[name]}] already", f"{path}.name")
        if terms.heartbeat != default.heartbeat:
            check_terms(terms, f"{path}.terms", reader)
        if "match" in given or not reader.was_given(f"{path}.match"):
            match = given.get("match", {})
            _check_span_kinds(match.get("kind", ()), f"{path}.match.kind", reader)
            conditions = frozenset((key, tuple(sorted(globs))) for key, globs in match.items())
            shadow = next(((where, theirs) for where, theirs in earlier if theirs <= conditions), None)
            if shadow is not None:
                why = "matches every span that this one does" if shadow[1] else "has no match, so it takes every span"
                reader.blame(f"this rule can never match: {shadow[0]} stands before it and {why}", path)
            earlier.append((path, conditions))


def check_safety(safety: Safety, reader: Reader) -> None:
    """An outage can end, and lasts longer than it takes to see it."""
    outage, path = safety.outage, "safety.outage"
    if outage.below > outage.until:
        message = f"below ({outage.below}) is greater than until ({outage.until}): an outage would be over as it begins"
        reader.blame(message, f"{path}.below", f"{path}.until", path)
    if outage.max_pause < outage.window:
        message = (
            f"max_pause ({duration_text(outage.max_pause)}) is shorter than window ({duration_text(outage.window)})"
        )
        reader.blame(message, f"{path}.max_pause", f"{path}.window", path)


def check_creation(topics: Topics, reader: Reader) -> None:
    """A topic that is created can be written."""
    copies, needed = topics.replication_factor, topics.min_insync_replicas
    if copies is not None and needed is not None and needed > copies:
        message = (
            f"min_insync_replicas ({needed}) is greater than replication_factor ({copies}): nothing could be written"
        )
        reader.blame(message, "topics.min_insync_replicas")


def _check_span_kinds(globs: Sequence[str], path: str, reader: Reader) -> None:
    for glob in globs:
        if not any(re.match(translate(glob), kind) for kind in SPAN_KINDS):
            reader.blame(f"{quoted(glob)} fits no span kind; they are {', '.join(SPAN_KINDS)}", path)

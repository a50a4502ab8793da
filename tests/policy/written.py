"""A policy as a person would write it whole, and a span as rules see it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import yaml

from finalizer.policy.fields import Each, Globs, Items, Overrides, Section, fields_of
from finalizer.policy.schema import Policy
from finalizer.policy.values import Value

FULL = """\
inputs:
  - {topic: spans.start, kind: start}
  - {topic: spans.heartbeat, format: native, kind: heartbeat, rekey: never}
  - {topic: spans.end, kind: end}
outputs:
  finalized: {topic: out.finalized, encoding: otlp_proto, include: synthetic}
  dlq:       {topic: out.dlq}
  rejected:  {topic: out.rejected, max_ratio: 0.25, over: 200}
terms:                       # what applies when no rule says otherwise
  heartbeat:    {interval: 20s, required: true, misses: 4, min: 500ms, max: 5m, allowance: 0s}
  start_grace:  45s
  orphan_grace: 90s
  silence:      1h30m
  max_duration: 12h
  progress_timeout: 3m
  background_grace: 20m
  late_end:     dead_letter
rules:
  - name: uploads
    match: {span_type: upload, "service.name": "mobile-*"}
    terms: {max_duration: 10m, progress_timeout: off, heartbeat: {misses: 5}}
  - name: quiet
    match: {name: [tick, "poll*"]}
remember: {presumed: 12h, finished: 10m, max_bytes: 64MiB}
safety:
  settle:  5s
  outage:  {window: 20s, min_spans: 10, below: 0.1, until: 0.9, max_pause: 5m, group_by: [service.name, region]}
  breaker: {window: 2m, min_spans: 500, max_share: 0.75}
topics: {partitions: 12, replication_factor: 3, min_insync_replicas: 2}
"""


@dataclass(frozen=True, slots=True)
class Span:
    """What rules look at."""

    name: str | None = None
    span_type: str | None = None
    kind: str | None = None
    resource: Mapping[str, object] | None = field(default_factory=dict)
    attributes: Mapping[str, object] | None = field(default_factory=dict)


def dump(policy: Policy) -> str:
    """Every setting of a policy as YAML, defaults included."""
    return yaml.safe_dump(settings(policy))


def settings(struct: msgspec.Struct) -> dict[str, object]:
    """The settings of a section as YAML's own types, without those that are None."""
    written: dict[str, object] = {}
    for declared in msgspec.structs.fields(struct):
        one, value = fields_of(type(struct)).get(declared.encode_name), getattr(struct, declared.name)
        if one is None:
            continue
        match one.form:
            case Section() | Overrides():
                written[declared.encode_name] = settings(value)
            case Items():
                written[declared.encode_name] = [settings(item) for item in value]
            case Globs():
                written[declared.encode_name] = {key: list(globs) for key, globs in value.items()}
            case Each(kind):
                written[declared.encode_name] = [kind.written(item) for item in value]
            case Value() as kind:
                if value is not None or "off" in kind.label:
                    written[declared.encode_name] = kind.written(value)
    return written

"""The typed shape of the whole finalizer.yaml: every setting with its default, its kind (and so its unit) and meaning.

Durations are integer nanoseconds, sizes bytes. How a setting is declared: fields.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from functools import cached_property
from typing import Annotated

import msgspec

from finalizer.core.model import Kind, Subject
from finalizer.core.terms import HOUR, MINUTE, SECOND, Terms
from finalizer.policy.fields import Each, Elsewhere, Field, Globs, Items, Overrides, Section
from finalizer.policy.quantities import duration, size
from finalizer.policy.rules import finder
from finalizer.policy.values import choice, count, share, word

MEBIBYTE = 2**20

_WAIT = duration()
_NAME = word("rule name", r"[a-z0-9_-]{1,40}", "1 to 40 of a-z, 0-9, _ and -")
_TOPIC = word("topic name", r"(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}", "1 to 249 of a-z, A-Z, 0-9, ., _ and -")
_ATTRIBUTE = word("attribute name", r"(?s:.{1,250})", "1 to 250 characters")


class Format(Enum):
    """What the records of an input are."""

    NATIVE = "native"
    PARTIAL_LOG = "partial_log"
    """OTLP logs of partial-span processors, JSON or protobuf."""
    OTLP_SPANS = "otlp_spans"
    """OTLP traces, JSON or protobuf."""
    ZIPKIN = "zipkin"
    """Zipkin v2 JSON."""


class Rekey(Enum):
    """Whether an input is routed through a topic of our own, so that all evidence of a trace meets in one partition."""

    ALWAYS = "always"
    NEVER = "never"


class Encoding(Enum):
    """How finals are written."""

    OTLP_JSON = "otlp_json"
    OTLP_PROTO = "otlp_proto"


class Include(Enum):
    """Which finals are written."""

    ALL = "all"
    SYNTHETIC = "synthetic"
    """Only those that no client reported."""


_KIND = choice((Kind.START, Kind.HEARTBEAT, Kind.END, Kind.LIFECYCLE), lambda member: member.name.lower())


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """A topic that evidence is read from."""

    topic: Annotated[str, Field(_TOPIC, "A topic with evidence; without any `inputs` it is `spans.events`.")]
    format: Annotated[Format, Field(choice(Format), "What its records are.")] = Format.NATIVE
    kind: Annotated[
        Kind | None,
        Field(_KIND, "Stands in for the `type` of native records that have none.", "each record says"),
    ] = None
    rekey: Annotated[
        Rekey | None,
        Field(
            choice(Rekey),
            "Whether records are routed through a topic keyed by trace id first; needed where producers key otherwise.",
            "`never` for `native`, else `always`",
        ),
    ] = None

    @property
    def is_rekeyed(self) -> bool:
        """What `rekey` comes to, given or not."""
        return self.rekey is Rekey.ALWAYS or (self.rekey is None and self.format is not Format.NATIVE)


class Finalized(msgspec.Struct, frozen=True, kw_only=True):
    """Where finals go."""

    topic: Annotated[str, Field(_TOPIC, "One final for each span.")] = "spans.finalized"
    encoding: Annotated[Encoding, Field(choice(Encoding), "How finals are written.")] = Encoding.OTLP_JSON
    include: Annotated[
        Include,
        Field(choice(Include), "All finals, or only those that no client reported (the others flow another way)."),
    ] = Include.ALL


class DeadLetters(msgspec.Struct, frozen=True, kw_only=True):
    """Where incomplete spans go."""

    topic: Annotated[str, Field(_TOPIC, "Incomplete spans, made to be analysed.")] = "spans.dlq"


class RejectedRecords(msgspec.Struct, frozen=True, kw_only=True):
    """Where unusable input goes."""

    topic: Annotated[str, Field(_TOPIC, "Input that could not be used, byte for byte.")] = "spans.rejected"
    max_ratio: Annotated[float, Field(share(), "Above this share of rejected records a partition is paused.")] = 0.5
    over: Annotated[int, Field(count(), "Of how many records the share is taken.")] = 1000


class Outputs(msgspec.Struct, frozen=True, kw_only=True):
    """What is written where."""

    finalized: Annotated[Finalized, Field(Section(Finalized), "Finals.")] = Finalized()
    dlq: Annotated[DeadLetters, Field(Section(DeadLetters), "Dead letters.")] = DeadLetters()
    rejected: Annotated[RejectedRecords, Field(Section(RejectedRecords), "Rejected input.")] = RejectedRecords()


class Processes(msgspec.Struct, frozen=True, kw_only=True):
    """Where processes send one heartbeat for all their spans."""

    topic: Annotated[
        str | None,
        Field(
            _TOPIC,
            "Compacted topic with the heartbeats of whole processes (`type: instance`), `spans.instances` for our "
            "client; a span that names one is alive as long as it beats.",
            "none is read",
        ),
    ] = None


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Terms for some spans; `terms` are complete, with what the rule does not give taken from the default ones."""

    name: Annotated[str, Field(_NAME, "A metric label, and stands on each final.")]
    match: Annotated[
        Mapping[str, tuple[str, ...]],
        Field(
            Globs(),
            "`name`, `span_type`, `kind`, or a resource or else span attribute (`resource.x` and `attributes.x` "
            "say which) → glob or list of globs; all must fit. Without it every span fits.",
        ),
    ] = msgspec.field(default_factory=dict)
    terms: Annotated[Terms, Field(Overrides(Terms, "terms"), "Any setting of `terms`.")] = Terms()


class Remember(msgspec.Struct, frozen=True, kw_only=True):
    """How long closed spans are recognised."""

    presumed: Annotated[int, Field(_WAIT, "Spans that were closed for want of evidence.")] = 24 * HOUR
    finished: Annotated[int, Field(_WAIT, "Spans that reported their end.")] = 15 * MINUTE
    max_bytes: Annotated[
        int,
        Field(
            size(least=MEBIBYTE),
            "Memory for both in a worker with all partitions; beyond it the oldest finished go first.",
        ),
    ] = 512 * MEBIBYTE


class Outage(msgspec.Struct, frozen=True, kw_only=True):
    """When silence of many is taken for an outage on the way, and not for their death."""

    window: Annotated[int, Field(_WAIT, "Heartbeats that came are compared with those owed over this time.")] = (
        30 * SECOND
    )
    min_spans: Annotated[int, Field(count(), "Below this number of open spans that beat, nothing is suspected.")] = 1000
    below: Annotated[float, Field(share(), "An outage is suspected if less than this share came.")] = 0.2
    until: Annotated[float, Field(share(), "It is over when this share comes again.")] = 0.5
    max_pause: Annotated[int, Field(_WAIT, "After this long spans are closed in spite of it, and marked.")] = (
        15 * MINUTE
    )
    group_by: Annotated[
        tuple[str, ...], Field(Each(_ATTRIBUTE), "Resource attributes; spans of equal ones are judged together.")
    ] = ("service.name",)


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """When closing stops until a person has looked."""

    window: Annotated[int, Field(_WAIT, "Closes by inference are counted over this time.")] = 1 * MINUTE
    min_spans: Annotated[int, Field(count(), "Below this number of open spans it never trips.")] = 10_000
    max_share: Annotated[float, Field(share(), "No more than this share of the open spans is closed in a window.")] = (
        0.5
    )


class Safety(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps a fault elsewhere from being taken for the death of spans."""

    settle: Annotated[
        int, Field(duration(least=0, most=HOUR), "Nothing is closed on a partition this long after it was assigned.")
    ] = 10 * SECOND
    outage: Annotated[Outage, Field(Section(Outage), "Outage or death.")] = Outage()
    breaker: Annotated[Breaker, Field(Section(Breaker), "Mass-close breaker.")] = Breaker()


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much may be open. Beyond it the spans silent for longest are closed as `evicted`."""

    open_spans: Annotated[
        int | None,
        Field(
            count(least=10), "Open spans in a worker with all partitions; beyond it the longest silent go.", "no limit"
        ),
    ] = None
    bytes: Annotated[
        int,
        Field(
            size(least=MEBIBYTE),
            "Memory for open spans in a worker with all partitions, by our own count; beyond it the longest silent go.",
        ),
    ] = 2048 * MEBIBYTE


class Topics(msgspec.Struct, frozen=True, kw_only=True):
    """How missing topics are created."""

    partitions: Annotated[int, Field(count(most=10_000), "Partitions of a topic that is created.")] = 4
    replication_factor: Annotated[
        int | None,
        Field(count(most=100), "Copies of each partition of a topic that is created.", "the brokers, at most 3"),
    ] = None
    min_insync_replicas: Annotated[
        int | None,
        Field(count(most=100), "Copies that must have a record before it counts as written.", "the broker's"),
    ] = None


class Policy(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """The whole of finalizer.yaml, checked. Made by `load`."""

    inputs: Annotated[tuple[Input, ...], Field(Items(Input), "What is read.")] = (Input(topic="spans.events"),)
    instances: Annotated[
        Processes, Field(Section(Processes), "Where processes send one heartbeat for all their spans.")
    ] = Processes()
    outputs: Annotated[Outputs, Field(Section(Outputs), "What is written.")] = Outputs()
    default: Annotated[Terms, Field(Section(Terms), "What applies when no rule says otherwise.")] = msgspec.field(
        name="terms", default=Terms()
    )
    rules: Annotated[tuple[Rule, ...], Field(Items(Rule), "The first that matches a span decides.")] = ()
    remember: Annotated[Remember, Field(Section(Remember), "How long closed spans are recognised.")] = Remember()
    safety: Annotated[Safety, Field(Section(Safety), "When not to close.")] = Safety()
    limits: Annotated[Limits, Field(Section(Limits), "How much may be open.")] = Limits()
    topics: Annotated[Topics, Field(Section(Topics), "How missing topics are created.")] = Topics()
    worker: Annotated[
        None,
        Field(
            Elsewhere(), "Options of the command line by name, as in `{web_port: 6066}`; a flag outranks them.", "none"
        ),
    ] = None

    @property
    def fingerprint(self) -> str:
        """12 hex characters that differ where verdicts may: over terms, rules and what is remembered."""
        return self.default.policy

    @cached_property
    def terms_for(self) -> Callable[[Subject], Terms]:
        """The terms of a span: those of the first rule that matches it, else the default ones."""
        return finder(self.default, [(rule.match, rule.terms) for rule in self.rules])

    @cached_property
    def looks_at_bodies(self) -> bool:
        """False if every span has the same terms, so that nobody needs to describe it."""
        return any(rule.match for rule in self.rules)

    @cached_property
    def named(self) -> Mapping[str, Terms]:
        """The terms of each rule by its name, and of `default`."""
        return {terms.rule: terms for terms in (self.default, *(rule.terms for rule in self.rules))}

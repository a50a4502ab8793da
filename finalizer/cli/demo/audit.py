"""What truly happened, against what was written. Pure; it knows neither Kafka nor the law."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

NOBODY = "nobody"
"""Row of what was written about spans and records that no client sent."""
MOST_OFFENCES = 10


class Ending(NamedTuple):
    """How a span ended: cause, and time in nanoseconds."""

    cause: str
    at: int


class RightEnding(NamedTuple):
    """How a span must end: its cause, and a time that is neither before ``since`` nor after ``until``."""

    cause: str
    since: int
    until: int

    def fits(self, ending: Ending) -> bool:
        """Whether the span ended so."""
        return self.cause == ending.cause and self.since <= ending.at <= self.until


@dataclass(frozen=True, slots=True)
class Truth:
    """What a client did with one span, and what must be written of it: ``finals`` by revision, ``letters`` by kind.

    A client whose events were made for it is known to the nanosecond; an app knows between which moments it did what.
    """

    behaviour: str
    span: str
    start_at: int
    finals: tuple[RightEnding, ...]
    letters: tuple[str, ...] = ()

    @property
    def trace(self) -> str:
        """Its trace, which it has for itself; dead letters name no more."""
        return self.span.partition("/")[0]


class Final(NamedTuple):
    """A record of the finalized topic."""

    span: str
    revision: int
    ending: Ending
    start_at: int

    @property
    def trace(self) -> str:
        return self.span.partition("/")[0]


class Letter(NamedTuple):
    """A record of the dead-letter topic: of which trace, and of what kind."""

    trace: str
    kind: str


@dataclass(slots=True)
class Written:
    """All that was read from the output topics."""

    finals: list[Final] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    rejected: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class Row:
    """What became of one behaviour's spans; each counts in one column."""

    spans: int = 0
    right: int = 0
    wrong: int = 0
    missing: int = 0
    twice: int = 0

    @property
    def clean(self) -> bool:
        return not (self.wrong or self.missing or self.twice)


@dataclass(frozen=True, slots=True)
class Report:
    """Rows by behaviour, in the order of the truths, and what is to be said of the first spans that are not right."""

    rows: Mapping[str, Row]
    offences: Sequence[str]

    @property
    def clean(self) -> bool:
        return all(row.clean for row in self.rows.values())


class Verdict(NamedTuple):
    """The column that a span counts in, and why, if it is not `right`."""

    column: str
    why: str = ""


RIGHT = Verdict("right")


def audit(
    truths: Iterable[Truth], written: Written, *, garbage: Iterable[bytes] = (), garbage_row: str = "garbage"
) -> Report:
    """Compare every span and every garbage record with what was written of it.

    A span without any final or without a dead letter that it should have is missing; one with two records of one
    revision, or one kind of dead letter, is there twice; any other difference in causes, times or revisions is wrong.
    """
    finals: dict[str, list[Final]] = defaultdict(list)
    for final in written.finals:
        finals[final.span].append(final)
    letters: dict[str, list[str]] = defaultdict(list)
    for letter in written.letters:
        letters[letter.trace].append(letter.kind)
    tally = _Tally()
    for truth in truths:
        verdict = judge(truth, finals.pop(truth.span, []), letters.pop(truth.trace, []))
        tally.add(truth.behaviour, truth.span, verdict)
    found = Counter(written.rejected)
    for value in garbage:
        tally.add(garbage_row, shown(value), judge_garbage(found.pop(value, 0)))
    for span, found_of_it in finals.items():
        tally.add(NOBODY, span, Verdict("wrong", f"nobody sent this span, found {told(found_of_it)}"))
    for trace, kinds in letters.items():
        tally.add(NOBODY, trace, Verdict("wrong", f"nobody sent this trace, found dead letters {told_kinds(kinds)}"))
    for value in found:
        tally.add(NOBODY, shown(value), Verdict("wrong", "it was rejected, but no client meant it as garbage"))
    return Report(tally.rows, tally.offences)


def judge(truth: Truth, finals: Sequence[Final], letters: Sequence[str]) -> Verdict:
    """Judge one span."""
    revisions = Counter(final.revision for final in finals)
    expected = f"expected {told_right(truth.finals)}, found {told(finals)}"
    if not finals:
        return Verdict("missing", expected)
    if any(count > 1 for count in revisions.values()):
        return Verdict("twice", expected)
    by_revision = sorted(finals, key=lambda final: final.revision)
    if [final.revision for final in by_revision] != list(range(1, len(truth.finals) + 1)):
        return Verdict("wrong", expected)
    if any(final.start_at != truth.start_at for final in finals):
        return Verdict("wrong", f"expected a start at {truth.start_at}, found {[one.start_at for one in by_revision]}")
    if not all(right.fits(final.ending) for right, final in zip(truth.finals, by_revision, strict=True)):
        return Verdict("wrong", expected)
    kinds = Counter(letters)
    if kinds == Counter(truth.letters):
        return RIGHT
    expected = f"expected dead letters {told_kinds(truth.letters)}, found {told_kinds(letters)}"
    if Counter(truth.letters) - kinds:
        return Verdict("missing", expected)
    return Verdict("twice" if set(kinds) == set(truth.letters) else "wrong", expected)


def judge_garbage(times_rejected: int) -> Verdict:
    """Judge one garbage record: it must be rejected once."""
    if times_rejected == 1:
        return RIGHT
    return (
        Verdict("twice", f"rejected {times_rejected} times") if times_rejected else Verdict("missing", "never rejected")
    )


def told(finals: Sequence[Final]) -> str:
    """The finals of one span in words, the latest revision last."""
    endings = [final.ending for final in sorted(finals, key=lambda final: final.revision)]
    return ", then ".join(f"{ending.cause} at {ending.at}" for ending in endings) or "nothing"


def told_right(endings: Sequence[RightEnding]) -> str:
    """How a span must end, in words."""
    return ", then ".join(
        f"{ending.cause} at {ending.since}" + (f" to {ending.until}" if ending.until != ending.since else "")
        for ending in endings
    )


def told_kinds(kinds: Sequence[str]) -> str:
    """Kinds of dead letters in words."""
    return ", ".join(kinds) or "none"


def shown(value: bytes) -> str:
    """A record as one recognises it."""
    return ascii(value[:40].decode("latin-1"))


class _Tally:
    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.offences: list[str] = []

    def add(self, name: str, subject: str, verdict: Verdict) -> None:
        row = self.rows.setdefault(name, Row())
        row.spans += 1
        setattr(row, verdict.column, getattr(row, verdict.column) + 1)
        if verdict is not RIGHT and len(self.offences) < MOST_OFFENCES:
            self.offences.append(f"{name}: {subject}: {verdict.why}")

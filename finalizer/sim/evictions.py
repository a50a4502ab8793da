"""Was an eviction right? Only where more was open than there is room for, and with all that was heard of the span."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from finalizer.core.model import SpanKey
from finalizer.policy.load import Policy
from finalizer.sim.clients import Landed
from finalizer.sim.ledger import Final, Ledger, Letter
from finalizer.sim.scene import Trouble
from finalizer.sim.truth import end_of, start_of, starts

Said = Iterator[tuple[Trouble, str]]


class Evictions:
    """Judges evictions in a world of one partition, by all that landed and all that was written in it."""

    def __init__(self, policy: Policy, ledger: Ledger, landed: Mapping[SpanKey, Sequence[Landed]]) -> None:
        self._room = policy.limits.open_spans
        self._lives = [
            (min(one.at for one in records), _closed_by(ledger.finals.get(key, []), ledger.letters.get(key, [])))
            for key, records in landed.items()
        ]

    def presumed(self, final: Final, records: Sequence[Landed]) -> Said:
        """A final of a span that was silent for longest."""
        yield from self._crowded(final.detected, final.at)
        if final.deadline:
            yield Trouble.WRONG, "it tells a deadline, and none has passed"
        if final.end not in _ends(records, final.at):
            yield Trouble.WRONG, f"its end {final.end} is no last evidence that it can have had"

    def orphan(self, letter: Letter, records: Sequence[Landed]) -> Said:
        """A dead letter of a span of which no start was heard by then."""
        yield from self._crowded(letter.at, letter.at)
        if records[0].at > letter.at:
            yield Trouble.EARLY, "nothing was heard of it"

    def _crowded(self, detected: int, at: int) -> Said:
        open_spans = sum(born <= at and not gone < detected for born, gone in self._lives)
        if self._room is None or open_spans <= self._room:
            yield Trouble.CROWDED, f"evicted, and only {open_spans} were open"


def _closed_by(finals: Sequence[Final], letters: Sequence[Letter]) -> int:
    """When it was closed for good; a dead letter without a start opens again where that comes."""
    return min([final.at for final in finals] or [letter.at for letter in letters], default=2**63)


def _ends(records: Sequence[Landed], until: int) -> set[int]:
    """The last evidence of the span after each record up to then, from its start on and before its end."""
    ends = set[int]()
    known: list[Landed] = []
    for record in records:
        if record.at > until or end_of(record) is not None:
            break
        known.append(record)
        if any(map(starts, known)):
            ends.add(max(start_of(known), *(one.told_at for one in known)))
    return ends

"""Was a presumed close right? It must be due, nothing that was heard by then may be left out, and its client silent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from finalizer.core.terms import SECOND
from finalizer.policy.load import Policy
from finalizer.sim.clients import PULSE, Landed
from finalizer.sim.ledger import Final, Letter
from finalizer.sim.pulses import Pulses
from finalizer.sim.scene import Trouble
from finalizer.sim.truth import Term, end_of, hard, heard_at, replaced, soft, start_of, starts

Said = Iterator[tuple[Trouble, str]]


class Closes:
    """Judges closes by the terms of a policy. After `ready_at` there is no excuse for more than `prompt` (ns)."""

    def __init__(self, policy: Policy, pulses: Pulses, *, ready_at: int, prompt: int) -> None:
        self._terms = policy.default
        self._pulses = pulses
        self._settle = policy.safety.settle
        self._ready_at = ready_at
        self._prompt = prompt

    def presumed(self, final: Final, records: Sequence[Landed]) -> Said:
        """A final that we inferred, of a span that has a start. What its process said counts for it."""
        records = self._pulses.beside(records)
        attempts = [list(self._presumed(final, records[:n], records[n:])) for n in _known(records, final)]
        yield from min(attempts, key=len)

    def presumed_anyhow(self, final: Final, records: Sequence[Landed]) -> Said:
        """The same where the time of the records cannot be trusted: what it says of itself must fit its evidence."""
        if final.end not in {record.told_at for record in records}:
            yield Trouble.WRONG, f"its end {final.end} is no evidence's"

    def orphan(self, letter: Letter, records: Sequence[Landed], *, unread: int) -> Said:
        """A dead letter of a span without a start. `unread`: what landed so shortly before may be unread."""
        numbers = _known(records, letter, unread=unread)
        attempts = [list(self._orphan(letter, records[:n], records[n:])) for n in numbers]
        yield from min(attempts, key=len)

    def _orphan(self, letter: Letter, known: Sequence[Landed], rest: Sequence[Landed]) -> Said:
        if any(map(starts, known)):
            yield Trouble.FALSE_CLOSE, "its start was there to be read"
        elif known:
            owed = soft(known, self._terms)
            later = [one for one in rest if starts(one) and one.at >= letter.deadline]
            yield from self._silence(owed, letter.deadline, known, later)
            yield from self._in_time(owed, letter.at, min(one.at for one in known))
        else:
            yield Trouble.EARLY, "nothing was heard of it"

    def _presumed(self, final: Final, known: Sequence[Landed], rest: Sequence[Landed]) -> Said:
        if not any(map(starts, known)):
            yield from self._late_start(final, [*known, *(one for one in rest if one.at <= final.at)])
            return
        if any(end_of(one) is not None for one in known):
            yield Trouble.FALSE_CLOSE, "its end was there to be read"
            return
        terms = [soft(known, self._terms), *hard(known, self._terms), *self._replaced(final, known)]
        attempts = [list(self._term(term, final, known, rest)) for term in terms if term.cause == final.cause]
        if not attempts:
            yield Trouble.WRONG, f"the cause can only be {', '.join(str(term.cause) for term in terms)}"
            return
        yield from min(attempts, key=len)

    def _replaced(self, final: Final, known: Sequence[Landed]) -> Iterator[Term]:
        client = next(one.client for one in known if one.event.type != PULSE)
        for newer in self._pulses.newer(client, final.at):
            term = replaced(known, newer, self._terms)
            if term is not None:
                yield term

    def _late_start(self, final: Final, known: Sequence[Landed]) -> Said:
        """A moment that was over before the start was told: it is closed as soon as it is."""
        if not any(map(starts, known)):
            yield Trouble.WRONG, "no start was there to be read"
        elif not any(final.deadline >= one.since and final.cause == one.cause for one in hard(known, self._terms)):
            yield Trouble.EARLY, "no moment was over that it knew"

    def _term(self, term: Term, final: Final, known: Sequence[Landed], rest: Sequence[Landed]) -> Said:
        yield from self._silence(term, final.deadline, known, rest)
        late = min(one.at for one in known) - min(map(heard_at, known))
        yield from self._in_time(term, final.at, term.since + late if term.fixed else max(one.at for one in known))
        seen = max(start_of(known), *(one.told_at for one in known))
        latest = max(seen, *(one.told_at for one in rest if one.at <= final.at), seen)
        if not seen <= final.end <= (latest if term.fixed else seen):
            yield Trouble.WRONG, f"its end is {final.end}, and its last evidence {seen}"

    def _silence(self, term: Term, deadline: int, known: Sequence[Landed], rest: Sequence[Landed]) -> Said:
        """It was due at its deadline, and it was the client that was silent."""
        if deadline < term.since + term.lease:
            yield Trouble.EARLY, f"closed {(term.since + term.lease - deadline) / SECOND:.3f} s before it was due"
        if term.fixed:
            return
        told = [min(one.meant, heard_at(one)) for one in known]
        silent_from = min(told) if term.cause is None else max(told)
        for one in rest:
            if one.meant <= silent_from + term.lease:
                kept = (one.at - one.meant) / SECOND
                yield Trouble.FALSE_CLOSE, f"its {one.event.type} was kept from us, for {kept:.1f} s by the broker"
                return

    def _in_time(self, term: Term, at: int, since: int) -> Said:
        lease = 0 if term.fixed else term.lease
        due = max(term.since, since + term.lease)
        until = max(due, self._ready_at + self._settle + lease) + self._prompt
        if at > until:
            yield Trouble.LATE, f"{(at - until) / SECOND:.1f} s later than it must be"


def _known(records: Sequence[Landed], close: Final | Letter, *, unread: int = 0) -> range:
    """How many of the records (in the order of the log) may have been decided by then, and must have been.

    What came in the very millisecond of the deadline may have been heard, or not. Where deadlines run on the stamps of
    producers, what came after it may have been heard, too.
    """
    until = close.at if any(one.is_stamped_by_producer for one in records) else close.deadline
    return range(sum(one.at < close.deadline - unread for one in records), sum(one.at <= until for one in records) + 1)

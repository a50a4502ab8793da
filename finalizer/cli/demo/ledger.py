"""What was promised and what has been read from the output topics: for the audit, the board, and apps that wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from finalizer.cli.demo.audit import Ending, Final, Letter, Truth, Written
from finalizer.cli.reading import SeenFinal, header, read_final
from finalizer.policy.schema import Outputs


class Ledger:
    """Takes truths as they become known, ``spans`` of them in all, and the records of the three output topics."""

    def __init__(self, outputs: Outputs, garbage: Iterable[bytes], *, spans: int) -> None:
        self._outputs = outputs
        self._spans = spans
        self._owed: Counter[str] = Counter()
        self._garbage_owed = Counter(garbage)
        self._last: dict[str, Final] = {}
        self.truths: list[Truth] = []
        self.written = Written()
        self.causes: Counter[str] = Counter()
        """Spans by the cause of their last final."""
        self.revised = 0
        self.delays: list[float] = []
        """Seconds from deadline to topic, of finals that a deadline brought about."""

    def promise(self, truth: Truth) -> None:
        """This is what must be written of a span; some of it may have been read already."""
        self.truths.append(truth)
        self._balance(self._owed, truth.trace, len(truth.finals) + len(truth.letters))

    def is_closed(self, span: str) -> bool:
        """Whether a final of this span has been read."""
        return span in self._last

    @property
    def closed(self) -> int:
        """Spans that have a final."""
        return len(self._last)

    @property
    def told_all(self) -> bool:
        """Whether the truth about every span is known."""
        return len(self.truths) == self._spans

    @property
    def complete(self) -> bool:
        """Whether as much has come as must come; something may still be wrong."""
        return self.told_all and not self._owed and not self._garbage_owed

    def take(self, record: Any) -> None:
        """Take one record."""
        if record.topic == self._outputs.finalized.topic:
            self._final(read_final(record))
        elif record.topic == self._outputs.dlq.topic:
            letter = Letter(record.key.decode(), header(record, "dlq.kind"))
            self.written.letters.append(letter)
            self._balance(self._owed, letter.trace, -1)
        else:
            self.written.rejected.append(record.value)
            self._balance(self._garbage_owed, record.value, -1)

    def _final(self, record: SeenFinal) -> None:
        final = Final(record.span, record.revision, Ending(record.cause, record.end_at), record.start_at)
        self.written.finals.append(final)
        self._balance(self._owed, final.trace, -1)
        before = self._last.get(final.span)
        if before is not None:
            self.revised += 1
            self.causes[before.ending.cause] -= 1
        self._last[final.span] = final
        self.causes[final.ending.cause] += 1
        if record.deadline_at:
            self.delays.append((record.written_at - record.deadline_at) / 1e9)

    def _balance(self, owed: Counter[Any], what: object, count: int) -> None:
        owed[what] += count
        if not owed[what]:
            del owed[what]

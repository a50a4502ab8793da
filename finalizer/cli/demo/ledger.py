"""What has been read from the output topics: for the audit, for the board, and for clients that wait for a verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from finalizer.cli.demo.audit import Ending, Final, Letter, Truth, Written
from finalizer.cli.reading import SeenFinal, header, read_final
from finalizer.policy.schema import Outputs


class Ledger:
    """Takes the records of the three output topics. ``on_final`` is told each span whose first final is seen."""

    def __init__(
        self, outputs: Outputs, truths: Sequence[Truth], garbage: Iterable[bytes], *, on_final: Callable[[str], None]
    ) -> None:
        self._outputs = outputs
        self._on_final = on_final
        self._spans = {truth.span.partition("/")[0]: truth.span for truth in truths}
        self._owed = Counter({truth.span: len(truth.finals) + len(truth.letters) for truth in truths})
        self._garbage_owed = Counter(garbage)
        self._last: dict[str, Final] = {}
        self.written = Written()
        self.causes: Counter[str] = Counter()
        """Spans by the cause of their last final."""
        self.revised = 0
        self.delays: list[float] = []
        """Seconds from deadline to topic, of finals that a deadline brought about."""

    @property
    def closed(self) -> int:
        """Spans that have a final."""
        return len(self._last)

    @property
    def complete(self) -> bool:
        """Whether nothing is missing any more; something may still be wrong, or come twice."""
        return not self._owed and not self._garbage_owed

    def take(self, record: Any) -> None:
        """Take one record."""
        if record.topic == self._outputs.finalized.topic:
            self._final(read_final(record))
        elif record.topic == self._outputs.dlq.topic:
            key = record.key.decode()
            letter = Letter(self._spans.get(key, key), header(record, "dlq.kind"))
            self.written.letters.append(letter)
            self._received(self._owed, letter.span)
        else:
            self.written.rejected.append(record.value)
            self._received(self._garbage_owed, record.value)

    def _final(self, record: SeenFinal) -> None:
        final = Final(record.span, record.revision, Ending(record.cause, record.end_at), record.start_at)
        self.written.finals.append(final)
        self._received(self._owed, final.span)
        before = self._last.get(final.span)
        if before is None:
            self._on_final(final.span)
        else:
            self.revised += 1
            self.causes[before.ending.cause] -= 1
        self._last[final.span] = final
        self.causes[final.ending.cause] += 1
        if record.deadline_at:
            self.delays.append((record.written_at - record.deadline_at) / 1e9)

    def _received(self, owed: Counter[Any], what: object) -> None:
        if what in owed:
            owed[what] -= 1
            if not owed[what]:
                del owed[what]

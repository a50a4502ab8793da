"""What became durable for one partition, noted beside the changelog: a restore must find exactly this again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from finalizer.changelog import Restored
from finalizer.core.lifecycle import armed
from finalizer.core.model import Phase, SpanKey
from finalizer.core.remembered import Entry, unpack
from finalizer.core.state import State
from finalizer.pipeline import Decision


class Shadow:
    """States, unsent finals and fingerprints, taken from decisions as they became durable."""

    def __init__(self) -> None:
        self.version = 0
        """Counts what became durable."""
        self._states: dict[SpanKey, State] = {}
        self._unsent: set[SpanKey] = set()
        self._finished: dict[int, list[Entry]] = {}

    def decided(self, decisions: Iterable[Decision], *, unsent: bool) -> None:
        """These decisions are durable; `unsent`: their finals are not written yet."""
        self.version += 1
        for decision in decisions:
            for key, (_, after) in decision.changes.items():
                self._unsent.discard(key)
                if after is None:
                    self._states.pop(key, None)
                    continue
                self._states[key] = after
                if unsent and after.phase is Phase.PRESUMED:
                    self._unsent.add(key)
            for window in decision.forgotten_windows:
                self._finished.pop(window, None)
            for window, entries in decision.finished.items():
                self._finished.setdefault(window, []).extend(entries)

    def sent(self, keys: Iterable[SpanKey]) -> None:
        """The finals of these spans are written."""
        self.version += 1
        self._unsent.difference_update(keys)

    def differences(self, restored: Restored) -> list[str]:
        """What a restore found otherwise, in words."""
        told = _states_apart(self._states, restored.states)
        if self._unsent != restored.unsent:
            told.append(f"unsent are {_hex(self._unsent)}, restored {_hex(restored.unsent)}")
        finished: dict[int, list[Entry]] = {}
        for (window, _), data in restored.blocks.items():
            finished.setdefault(window, []).extend(unpack(data))
        if {window: sorted(one) for window, one in self._finished.items()} != {
            window: sorted(one) for window, one in finished.items()
        }:
            told.append("other spans are remembered as finished")
        return told


def memory_apart(in_memory: Mapping[SpanKey, State], restored: Restored) -> list[str]:
    """Where the states of a running partition are not those of its changelog, in words."""
    return _states_apart(in_memory, restored.states)


def _states_apart(before: Mapping[SpanKey, State], after: Mapping[SpanKey, State]) -> list[str]:
    told = [f"span {key.hex()} is lost" for key in before.keys() - after.keys()]
    told += [f"span {key.hex()} should not be there" for key in after.keys() - before.keys()]
    for key in before.keys() & after.keys():
        was, became = armed(before[key], 0), armed(after[key], 0)
        fields = [name for name in was.__match_args__ if getattr(was, name) != getattr(became, name)]
        told += [f"{name} of span {key.hex()} was {getattr(was, name)}, is {getattr(became, name)}" for name in fields]
    return sorted(told)


def _hex(keys: Iterable[SpanKey]) -> Sequence[str]:
    return sorted(key.hex() for key in keys)

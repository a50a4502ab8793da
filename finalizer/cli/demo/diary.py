"""What one app truly did, as it told itself, and what must therefore be written of its spans. Pure.

What the app did by itself it knows to the moment before and after it. What it was killed over is known from what the
broker had acknowledged: it stands in the diary before anybody can act on it, and after a kill nothing comes any more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from finalizer.cli.demo.audit import RightEnding, Truth
from finalizer.cli.demo.lines import Arrived, Begun, Closed, Entry, Holding, Part, Paused, Ready, Recovered
from finalizer.cli.demo.plans import Behaviour
from finalizer.cli.demo.roles import Role

SLEW = 20_000_000
"""How far a span's clock, which never jumps, and the wall's may be apart: the latter is corrected all the time."""
INCOMPLETE = ("incomplete",)


class Heard(NamedTuple):
    """What has arrived of a span: its latest moment, and whether it has beaten."""

    at: int
    has_beaten: bool


class Diary:
    """The diary of one app, through all its runs. ``tell`` is told of each span once, as soon as its truth is known."""

    def __init__(self, role: Role, tell: Callable[[Truth], None]) -> None:
        self._tell = tell
        self._behaviours = role.behaviours
        self._parts: dict[int, Part] = {part.number: part for part in role.parts}
        self._open: dict[int, Begun] = {}
        self._verdicts: dict[int, RightEnding] = {}
        self._heard: dict[str, Heard] = {}
        self.is_ready = self.is_holding = self.has_recovered = False
        self.begun = 0
        """Spans that have begun."""
        self.events = 0
        """Events that have arrived."""

    @property
    def have_arrived(self) -> bool:
        """All its spans have begun, and that has arrived."""
        return self.begun == len(self._parts) and all(one.key in self._heard for one in self._open.values())

    @property
    def have_beaten(self) -> bool:
        """All its spans have begun, and a heartbeat of each that is open has arrived."""
        return self.have_arrived and all(self._heard[one.key].has_beaten for one in self._open.values())

    def open_spans(self) -> set[str]:
        """Those that are open, as the audit knows them."""
        return {span_of(one.key) for one in self._open.values()}

    def take(self, entry: Entry) -> None:
        """Take what the app says."""
        match entry:
            case Ready():
                self.is_ready = True
            case Begun():
                self._begin(entry)
            case Closed():
                self._close(entry)
            case Paused(since=since, until=until):
                self._all_end(lambda _: RightEnding("backgrounded", since - SLEW, until + SLEW))
            case Arrived():
                self._arrive(entry)
            case Holding():
                self.is_holding = True
            case Recovered():
                self.has_recovered = True

    def never_returns(self) -> None:
        """It was killed, and that is the end: what it left open ends with the last that was heard."""
        self._all_end(self._presumed)

    def returns(self, cause: str, killed_at: int) -> None:
        """It was killed and will be started again, which ends what it left open, at the last known moment."""
        self._all_end(lambda one: RightEnding(cause, self._last(one), killed_at + SLEW))

    def freezes(self) -> None:
        """It is held so that all that is open will be closed, and then goes on."""
        self._verdicts = {number: self._presumed(one) for number, one in self._open.items()}

    def _begin(self, entry: Begun) -> None:
        self.begun += 1
        self._open[entry.number] = entry
        if self._behaviours[entry.number] is Behaviour.GOES_SILENT:
            self._ends(entry.number, RightEnding("timeout", entry.start_at, entry.start_at), letters=INCOMPLETE)

    def _close(self, entry: Closed) -> None:
        partial = self._behaviours[entry.number] is Behaviour.PARTIAL
        ending = RightEnding("partial" if partial else "completed", entry.since - SLEW, entry.until + SLEW)
        if entry.number in self._verdicts:
            self._ends(entry.number, self._verdicts[entry.number], ending, letters=("incomplete", "resolved"))
        else:
            self._ends(entry.number, ending, letters=INCOMPLETE if partial else ())

    def _arrive(self, entry: Arrived) -> None:
        self.events += len(entry.events)
        for kind, key, at in entry.events:
            before = self._heard.get(key, Heard(0, has_beaten=False))
            self._heard[key] = Heard(max(before.at, at), before.has_beaten or kind == "heartbeat")

    def _all_end(self, ending: Callable[[Begun], RightEnding]) -> None:
        for number, one in list(self._open.items()):
            self._ends(number, ending(one), letters=INCOMPLETE)

    def _ends(self, number: int, *finals: RightEnding, letters: tuple[str, ...]) -> None:
        begun = self._open.pop(number)
        self._tell(Truth(self._behaviours[number].value, span_of(begun.key), begun.start_at, finals, letters))

    def _presumed(self, one: Begun) -> RightEnding:
        last = self._last(one)
        return RightEnding("heartbeat_lost" if self._heard[one.key].has_beaten else "no_heartbeat", last, last)

    def _last(self, one: Begun) -> int:
        return max(one.start_at, self._heard[one.key].at)


def span_of(key: str) -> str:
    """The span as the audit and its reader know it."""
    return f"{key[:32]}/{key[32:]}"

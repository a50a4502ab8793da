"""What holds for every history of a process: its starts, one after the other or side by side, and the spans in them."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from finalizer.core.causes import Cause
from finalizer.core.terms import SECOND
from tests.core.living import LEASE, TERMS, Living, beats, heard_until, listening
from tests.core.making import EPOCH

INTERVAL = 10
GRACE = TERMS.orphan_grace // SECOND
LONGEST = 150
SLACK = 2


class Start(NamedTuple):
    """One start of the process: it beats from `born` on, every ten seconds, the last time at `last`."""

    boot_id: str
    born: int
    last: int
    spans: tuple[int, ...]
    """Seconds after its birth at which its spans begin."""

    def is_due(self, second: int) -> bool:
        return self.born <= second <= self.last and (second - self.born) % INTERVAL == 0


@st.composite
def starts(draw: st.DrawFn) -> list[Start]:
    """Starts of one process in the order of their births, at different seconds."""
    born = sorted(draw(st.sets(st.integers(0, LONGEST), min_size=1, max_size=4)))
    made = []
    for number, second in enumerate(born):
        count = draw(st.integers(0, LONGEST // INTERVAL))
        spans = draw(st.lists(st.integers(0, count * INTERVAL), min_size=1, max_size=3))
        made.append(Start(f"boot-{number}", second, second + count * INTERVAL, tuple(spans)))
    return made


@settings(max_examples=200, deadline=None)
@given(starts())
def test_spans_are_closed_with_their_own_start_of_the_process_and_in_time(history: list[Start]) -> None:
    """None while its start of the process lives, whatever others do. Then each once: at its last heartbeat, as lost
    within a lease, or as replaced within the grace, and that only if a newer start was heard after it."""
    watched = Living(listening(), outage_least=10**9)
    lives: dict[int, Start] = {}
    closed_at: dict[int, int] = {}
    for second in range(2 * LONGEST + LEASE + GRACE + LONGEST // INTERVAL):
        watched.now = float(second)
        for one in history:
            if one.is_due(second):
                beats(watched.view, second, one.boot_id)
            for _ in range(one.spans.count(second - one.born)):
                lives[len(lives)] = one
                watched.opens(len(lives) - 1, one.boot_id)
        heard_until(watched.view, second)
        closed_at |= dict.fromkeys(watched.look(), second)
    assert closed_at.keys() == lives.keys()
    for number, one in lives.items():
        cause, end, _ = watched.close_of(number)
        began = (watched.closed[number].before.opened - EPOCH) / SECOND
        last = max(one.last, began)
        replaced = any(other.born > one.born and other.last > last for other in history)
        assert one.last < closed_at[number] <= last + LEASE + (GRACE if replaced else 0) + SLACK
        assert end == last
        assert cause is Cause.HEARTBEAT_LOST or (cause is Cause.INSTANCE_REPLACED and replaced)

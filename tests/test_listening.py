"""Listening to processes without a broker: what is heard when, what cannot be used, and how far it is known."""

from __future__ import annotations

import json

from finalizer.codecs.errors import Reason
from finalizer.core.fold import first_state
from finalizer.core.instances import Instances
from finalizer.core.model import Moment
from finalizer.core.terms import SECOND, Terms
from finalizer.listening import Listening
from finalizer.sim.broker import Record
from tests.core.making import at, start

SETTLE = 2
NOW = Moment(at(1000), at(1000))


def beat(offset: int, seconds: float, *, instance: str = "pod") -> Record:
    """A heartbeat that is stamped so."""
    told = {
        "type": "instance",
        "instance_id": instance,
        "boot_id": "one",
        "time_unix_nano": str(at(seconds)),
        "heartbeat_interval_ms": 10_000,
    }
    return Record("spans.instances", 0, offset, at(seconds) // 1_000_000, instance.encode(), json.dumps(told).encode())


def listening(*partitions: int) -> tuple[Instances, Listening]:
    """A view, and whoever fills it from now (0) on."""
    view = Instances()
    return view, Listening(view, partitions or (0,), settle=SETTLE * SECOND, now=at(0))


def answers(one: Listening, until: float, *partitions: int, begin: float = 0, end: int = 0) -> None:
    """Answers four times a second, which say that nothing is unread."""
    for quarter in range(round((until - begin) * 4) + 1):
        now = at(begin + quarter / 4)
        for partition in partitions or (0,):
            one.answered(partition, arrived_at=now, position=end, highwater=end)
        one.tick(now)


def ready(view: Instances) -> bool:
    """Deadlines may be acted on."""
    return view.caught_up


def heard(view: Instances, instance: str = "pod") -> float:
    """When a process was heard last, in seconds."""
    state = start(-1000).but(instance=(instance, "one"))
    alive = view.alive(first_state(state, Terms(), NOW), NOW)
    return (alive.heard - at(0)) / SECOND


def test_the_view_has_caught_up_once_it_has_settled_with_nothing_unread() -> None:
    """Not with the first answer, nor while any partition has something unread."""
    view, one = listening(0, 1)
    for second in range(4):
        assert not ready(view)
        one.answered(1, arrived_at=at(second), position=0, highwater=5)
        answers(one, second + 0.75, 0, begin=second)
    one.hear(1, [beat(4, 3)], end=5, stamped=True, now=at(4))
    for seconds in (4.25, 4.5):
        one.answered(0, arrived_at=at(seconds), position=0, highwater=0)
        one.answered(1, arrived_at=at(seconds), position=5, highwater=5)
        one.tick(at(seconds))
    assert ready(view)
    assert view.clock == at(4.25)


def test_a_topic_that_does_not_answer_is_not_caught_up() -> None:
    """Until it has settled again."""
    view, one = listening()
    answers(one, 5)
    assert ready(view)
    one.tick(at(10))
    assert not ready(view)
    answers(one, 10 + SETTLE, begin=10.25)
    assert not ready(view)
    answers(one, 11 + SETTLE, begin=10.25 + SETTLE)
    assert ready(view)


def test_a_process_is_heard_when_the_broker_says() -> None:
    """A stamp in the future is cut to now."""
    view, one = listening()
    one.hear(0, [beat(0, 5), beat(1, 900, instance="ahead")], end=2, stamped=True, now=at(60))
    assert (heard(view), heard(view, "ahead")) == (5, 60)


def test_a_process_whose_clock_lags_is_heard_no_earlier_than_its_partition() -> None:
    """Where the stamps are the producers' own, a slow one does not look silent."""
    view, one = listening()
    one.hear(0, [beat(0, 50, instance="right"), beat(1, 5, instance="slow")], end=2, stamped=False, now=at(60))
    assert (heard(view, "right"), heard(view, "slow")) == (50, 50)


def test_what_cannot_be_used_is_handed_back_and_stops_nobody() -> None:
    """With its reason."""
    view, one = listening()
    garbage, nameless = beat(0, 1)._replace(value=b"garbage"), beat(1, 1)._replace(value=b"", key=None)
    bad = one.hear(0, [garbage, nameless, beat(2, 1)], end=3, stamped=True, now=at(2))
    assert [(record.offset, error.reason) for record, error in bad] == [(0, Reason.MALFORMED), (1, Reason.EMPTY)]
    assert len(view) == 1


def test_a_tombstone_takes_a_process_away() -> None:
    """Whatever bytes its key has."""
    view, one = listening()
    gone = [beat(1, 2)._replace(value=None), beat(2, 2)._replace(value=None, key=b"\xff")]
    assert not one.hear(0, [beat(0, 1), *gone], end=3, stamped=True, now=at(3))
    assert len(view) == 0


def test_reading_anew_holds_everybody_until_it_has_caught_up() -> None:
    """A connection that was lost is a time in which nobody could be heard."""
    view, one = listening()
    one.hear(0, [beat(0, 1)], end=1, stamped=True, now=at(1))
    answers(one, 5, end=1)
    assert ready(view)
    again = Listening(view, [0], settle=SETTLE * SECOND, now=at(20))
    assert not ready(view)
    again.hear(0, [beat(0, 1)], end=1, stamped=True, now=at(20))
    answers(again, 24, begin=20, end=1)
    assert ready(view)
    assert heard(view) > 20

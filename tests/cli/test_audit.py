"""The demo's audit: a comparison that cannot be pleased by accident."""

from dataclasses import replace

import pytest

from finalizer.cli.demo.audit import (
    MOST_OFFENCES,
    NOBODY,
    Ending,
    Final,
    Letter,
    Report,
    RightEnding,
    Row,
    Truth,
    Written,
    audit,
)

LOST = RightEnding("heartbeat_lost", 200, 200)
DIED = Truth("crashes", "t1/s1", start_at=100, finals=(LOST,), letters=("incomplete",))
LATE = Truth(
    "late",
    "t2/s2",
    start_at=100,
    finals=(LOST, RightEnding("completed", 300, 310)),
    letters=("incomplete", "resolved"),
)


def right(*truths: Truth) -> Written:
    """What must be written of these."""
    return Written(
        finals=[
            Final(truth.span, revision, Ending(ending.cause, ending.since), truth.start_at)
            for truth in truths
            for revision, ending in enumerate(truth.finals, start=1)
        ],
        letters=[Letter(truth.trace, kind) for truth in truths for kind in truth.letters],
    )


def column(report: Report, name: str) -> str:
    """The one column that the one span of this row counts in."""
    row = report.rows[name]
    assert row.spans == 1
    [found] = [one for one in ("right", "wrong", "missing", "twice") if getattr(row, one)]
    return found


def test_what_is_as_it_should_be_is_right() -> None:
    """Nothing is said about it, in whatever order it was written."""
    written = right(DIED, LATE)
    written.finals.reverse()
    written.letters.reverse()
    report = audit([DIED, LATE], written)
    assert report.rows == {"crashes": Row(spans=1, right=1), "late": Row(spans=1, right=1)}
    assert report.clean
    assert not report.offences


def test_a_span_without_a_final_is_missing() -> None:
    """The offence names the span and what was expected of it."""
    report = audit([DIED], Written())
    assert column(report, "crashes") == "missing"
    assert report.offences == ["crashes: t1/s1: expected heartbeat_lost at 200, found nothing"]
    assert not report.clean


@pytest.mark.parametrize(
    "final",
    [
        Final("t1/s1", 1, Ending("completed", 200), 100),
        Final("t1/s1", 1, Ending("heartbeat_lost", 201), 100),
        Final("t1/s1", 1, Ending("heartbeat_lost", 200), 101),
        Final("t1/s1", 2, Ending("heartbeat_lost", 200), 100),
    ],
)
def test_another_cause_time_or_revision_is_wrong(final: Final) -> None:
    """A nanosecond counts."""
    written = right(DIED)
    written.finals = [final]
    assert column(audit([DIED], written), "crashes") == "wrong"


@pytest.mark.parametrize(("at", "expected"), [(299, "wrong"), (300, "right"), (310, "right"), (311, "wrong")])
def test_what_an_app_did_lies_between_two_moments(at: int, expected: str) -> None:
    """An end before or after the moments between which it was told is wrong."""
    written = right(LATE)
    written.finals[1] = Final("t2/s2", 2, Ending("completed", at), 100)
    assert column(audit([LATE], written), "late") == expected


def test_a_revision_that_should_not_be_is_wrong() -> None:
    """A final that was overturned without need was a wrong verdict, whatever stands at its end."""
    written = right(DIED)
    written.finals.append(Final("t1/s1", 2, Ending("completed", 300), 100))
    assert column(audit([DIED], written), "crashes") == "wrong"


def test_a_revision_that_did_not_come_is_wrong() -> None:
    """The presumed final stands where the reported end should have replaced it."""
    written = right(LATE)
    del written.finals[1]
    assert column(audit([LATE], written), "late") == "wrong"


def test_two_finals_of_one_revision_are_twice() -> None:
    """Also if they say the same."""
    written = right(DIED)
    written.finals *= 2
    report = audit([DIED], written)
    assert column(report, "crashes") == "twice"
    assert report.rows["crashes"].right == 0


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        ([], "missing"),
        (["incomplete", "incomplete"], "twice"),
        (["resolved"], "missing"),
        (["incomplete", "resolved"], "wrong"),
    ],
)
def test_dead_letters_count(letters: list[str], expected: str) -> None:
    """An incomplete span has one dead letter, and a `resolved` one only where its end came late."""
    written = right(DIED)
    written.letters = [Letter("t1", kind) for kind in letters]
    assert column(audit([DIED], written), "crashes") == expected


def test_what_nobody_sent_is_wrong() -> None:
    """A final or a dead letter of an unknown span, and a good event that was rejected, stand in a row of their own."""
    written = right(DIED)
    written.finals.append(Final("t9/s9", 1, Ending("completed", 1), 0))
    written.letters.append(Letter("t8", "incomplete"))
    written.rejected.append(b'{"type":"start"}')
    report = audit([DIED], written)
    assert report.rows[NOBODY] == Row(spans=3, wrong=3)
    assert report.rows["crashes"] == Row(spans=1, right=1)
    assert not report.clean


def test_garbage_is_rejected_once_and_byte_for_byte() -> None:
    """What was changed on its way is missing, and there as something that nobody sent."""
    written = Written(rejected=[b"once", b"twice", b"twice", b"other"])
    report = audit([], written, garbage=[b"once", b"twice", b"never"], garbage_row="garbage")
    assert report.rows["garbage"] == Row(spans=3, right=1, missing=1, twice=1)
    assert report.rows[NOBODY] == Row(spans=1, wrong=1)


def test_only_the_first_offences_are_told() -> None:
    """A demo that goes wrong altogether does not bury its own table."""
    truths = [replace(DIED, span=f"t/{number}") for number in range(1000)]
    report = audit(truths, Written())
    assert report.rows["crashes"].missing == 1000
    assert len(report.offences) == MOST_OFFENCES

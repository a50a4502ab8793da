"""What becomes durable together, in which order, and how it is found again."""

from __future__ import annotations

from finalizer.changelog import read_back
from finalizer.codecs.state import WATERMARK_KEY, Block, Gone, Unsent, Whole
from finalizer.core.model import Phase
from tests.course.running import EVENTS, Running, event, key, marks


def test_evidence_is_one_write_with_the_watermark_last() -> None:
    """A record batch is appended as a whole, so a restored state is what the inputs up to its watermark make."""
    running = Running()
    first, second = running.hear(0, event("start", 0)), running.hear(1, event("heartbeat", 1))
    (write,) = running.writes(first, second)
    assert [changed for changed, _ in write.changes][-1] == WATERMARK_KEY
    assert sum(changed == WATERMARK_KEY for changed, _ in write.changes) == 1
    found = read_back(running.codec, write.changes)
    assert marks(found.watermark) == {EVENTS: 1}
    assert found.states.keys() == {key()}


def test_what_begins_and_ends_in_one_group_is_a_fingerprint_alone() -> None:
    """Its state never appears in the changelog, and yet a restart remembers it."""
    running = Running()
    (write,) = running.writes(running.hear(0, event("start", 0)), running.hear(1, event("end", 1)))
    entries = [running.codec.read(*change) for change in write.changes[:-1]]
    assert [type(entry) for entry in entries] == [Block]
    again = Running(now=5, changelog=write.changes)
    assert not again.hear(6, event("start", 0), event("end", 1)).decision


def test_what_a_timer_decided_is_durable_before_it_is_sent() -> None:
    """First the state without the output, and that this is still to be sent; then the output, and that it is. A crash
    in between leaves what a restart sends."""
    running = Running()
    running.writes(running.hear(0, event("start", 0, timeout_ms=8000)))
    unsent, sent = running.writes(*running.goes_on(0, 12))
    assert unsent.outputs == []
    entry, named = [running.codec.read(*change) for change in unsent.changes[:-1]]
    assert isinstance(entry, Whole)
    assert entry.state.phase is Phase.PRESUMED
    assert isinstance(named, Unsent)
    assert named.keys == [key()]
    assert len(sent.outputs) == 2  # the final and its dead letter
    assert [running.codec.read(*change) for change in sent.changes[:-1]] == [Unsent(named.name, None)]
    assert unsent.changes[-1] == sent.changes[-1]
    assert read_back(running.codec, unsent.changes).unsent == {key()}
    assert read_back(running.codec, [*unsent.changes, *sent.changes]).unsent == set()


def test_what_a_timer_decided_is_sent_with_the_group_that_follows() -> None:
    """Its outputs, and the word that they are sent, before what that group says: of evidence, or of a timer."""
    running = Running()
    running.writes(running.hear(0, *(event("start", 0, span=span, timeout_ms=8000 * span) for span in (1, 2))))
    changelog, words = running.changelog, []
    for decided in running.goes_on(0, 20):
        write = changelog.write(decided.decision, of_timer=True, sends=True)
        assert changelog.owes
        assert not write.sends
        words.append([entry for change in write.changes if isinstance(entry := running.codec.read(*change), Unsent)])
    heard = running.hear(20, event("start", 20, span=3))
    write = changelog.write(heard.decision, of_timer=False, sends=bool(heard.decision.outputs))
    assert not changelog.owes
    first, second = (told[-1] for told in words)
    assert (first.keys, second.keys) == ([key(1)], [key(2)])
    assert words == [[first], [Unsent(first.name, None), second]]
    assert running.codec.read(*write.changes[0]) == Unsent(second.name, None)


def test_who_sends_one_group_says_nothing_of_another() -> None:
    """Without transactions nobody is fenced: a worker that was frozen may go on while its successor, too, has decided
    and not yet sent. What is said to be sent is what that one had decided."""
    running = Running()
    running.writes(running.hear(0, *(event("start", 0, span=span, timeout_ms=8000) for span in (1, 2))))
    unsent, sent = running.writes(*running.goes_on(0, 12))
    states = running.course.spans.states
    log = [*unsent.changes, *running.codec.span(key(3), None, states[key(1)]), running.codec.unsent([key(3)])]
    assert read_back(running.codec, [*log, *sent.changes]).unsent == {key(3)}


def test_what_was_sent_after_a_crash_is_not_sent_again() -> None:
    """A restart that has sent it says so."""
    running = Running()
    changes = running.writes(running.hear(0, event("start", 0, timeout_ms=8000)))[0].changes
    changes = [*changes, *running.writes(*running.goes_on(0, 12))[0].changes]
    after = Running(now=60, changelog=changes)
    _, spans = after.course.unsent(after.restored.unsent)
    again = Running(now=60, changelog=[*changes, *after.changelog.again(spans)])
    assert (again.restored.unsent, again.restored.sending) == (set(), {})


def test_a_span_that_compaction_has_moved_behind_the_word_of_it_is_not_sent_again() -> None:
    """Of a span that was rewritten, or forgotten, only that is left; so its final was sent."""
    running = Running()
    running.writes(running.hear(0, event("start", 0, timeout_ms=8000)))
    unsent, _ = running.writes(*running.goes_on(0, 12))
    word = unsent.changes[1:]
    rewritten = running.codec.span(key(), None, running.course.spans.states[key()])
    for left in (word, [*word, *rewritten]):
        assert read_back(running.codec, left).unsent == set()


def test_blocks_of_a_former_life_are_never_written_over() -> None:
    """Each block of fingerprints has a number of its own, also after a restart."""
    running = Running()
    changes = running.writes(running.hear(0, event("start", 0), event("end", 0)))[0].changes
    again = Running(now=5, changelog=changes)
    changes = [*changes, *again.writes(again.hear(6, event("start", 6, span=2), event("end", 6, span=2)))[0].changes]
    assert {number for _, number in read_back(running.codec, changes).blocks} == {0, 1}


def test_a_memory_window_that_is_over_leaves_the_changelog() -> None:
    """Its blocks get a tombstone each, those of a former life as well."""
    running = Running()
    changes = running.writes(running.hear(0, event("start", 0), event("end", 0)))[0].changes
    again = Running(now=5, changelog=changes)
    for decided in (again.hear(6, event("start", 6, span=2), event("end", 6, span=2)), *again.goes_on(3600, 3610)):
        changes = [*changes, *(change for write in again.writes(decided) for change in write.changes)]
    assert read_back(running.codec, changes).blocks == {}


def test_the_watermark_is_written_alone_too() -> None:
    """So that the broker's stamp is learned, and a restart reads no more than it must."""
    running = Running()
    running.writes(running.hear(0, event("start", 0)))
    ((touched, _),) = running.changelog.touch()
    assert touched == WATERMARK_KEY


def test_a_tombstone_takes_the_mark_of_an_unsent_final_along() -> None:
    """A span that is forgotten is not sent again."""
    running = Running()
    running.writes(running.hear(0, event("start", 0, timeout_ms=8000)))
    unsent, _ = running.writes(*running.goes_on(0, 12))
    (gone,) = running.codec.span(key(), running.course.spans.states[key()], None)
    assert isinstance(running.codec.read(*gone), Gone)
    found = read_back(running.codec, [*unsent.changes, gone])
    assert (found.states, found.unsent) == ({}, set())

"""What the changelog says of finals that were decided and may not have been sent."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from finalizer.codecs.state import StateCodec, Unsent, Whole
from finalizer.core.lifecycle import hear
from finalizer.core.model import Moment, SpanKey
from finalizer.core.terms import Terms
from tests.core.making import EPOCH, KEY, start

CODEC = StateCodec(["spans.events"], 0)


@given(st.lists(st.binary(min_size=24, max_size=24)))
def test_spans_whose_finals_are_unsent_come_back(keys: list[SpanKey]) -> None:
    """In their order. Its tombstone names the same record, and no other spans have one of that name."""
    name, value = CODEC.unsent(keys)
    assert CODEC.read(name, value) == Unsent(name, keys)
    assert CODEC.read(name, None) == Unsent(name, None)
    assert CODEC.unsent([*keys, KEY])[0] != name


def test_a_state_that_is_marked_as_unsent_in_itself_is_read() -> None:
    """As all were before a record of its own said so."""
    state, _ = hear(None, start(0), Terms(), Moment(EPOCH, EPOCH))
    ((key, value),) = CODEC.span(KEY, None, state)
    assert value is not None
    read = CODEC.read(key, value[:1] + b"\x01" + value[2:])
    assert isinstance(read, Whole)
    assert (read.key, read.unsent) == (KEY, True)

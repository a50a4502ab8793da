"""What a heartbeat says again: a client that carries the whole span in each says its body and its status every time.

Their place in the order of records is then the heartbeat's, and nothing else has changed. So that the span is not
rewritten for it, the hot value says so in two bits, and the moment is its `last_seen`.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from finalizer.codecs.body import NativeBody
from finalizer.core.state import State

BODY: Final = 0x80
STATUS: Final = 0x40


def said_again(before: State, after: State) -> int | None:
    """The bits for a state that a heartbeat has changed in nothing else; None where that is not all.

    What was said again before may stand in a hot value only, which the next one replaces. So whatever has the moment of
    the last evidence is said to be said again, and where that is over the state is written whole.
    """
    if after.body is None or after.body.format == NativeBody.format:  # these hold their own time
        return 0 if before.same_layers(after) and before.same_told(after) else None
    body = _bit(BODY, after.body_at, before, after, same=_same_body(before, after))
    if body is None or (before.rest.told.status is None and before.same_told(after)):
        return body
    told = after.rest.told.status
    if told is None:
        return None
    status = _bit(STATUS, told[0], before, after, same=_same_status(before, after))
    return None if status is None else body | status


def move(state: State, again: int, last_seen: int) -> None:
    """Have a state, which nobody else has yet, say its layer and its status at such a heartbeat's time."""
    if again & BODY:
        state.body_at = last_seen
    told = state.rest.told
    if again & STATUS and told.status is not None:
        state.rest = state.rest.telling(replace(told, status=(last_seen, *told.status[1:])))


def _bit(bit: int, at: int, before: State, after: State, *, same: bool | None) -> int | None:
    """`same`: True as it was, False but for its moment `at`, None for another one."""
    if same is None:
        return None
    if at == after.last_seen:
        return bit
    return 0 if same and at != before.last_seen else None


def _same_body(before: State, after: State) -> bool | None:
    if before.same_layers(after):
        return True
    return False if before.same_bodies(after) and before.body_seq == after.body_seq else None


def _same_status(before: State, after: State) -> bool | None:
    if before.same_told(after):
        return True
    older, newer = before.told, after.told
    if older.status is None or newer.status is None:
        return None
    return False if replace(older, status=(newer.status[0], *older.status[1:])) == newer else None

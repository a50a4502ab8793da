"""What a heartbeat says again: a client that carries the whole span in each says its body and its status every time.

Their place in the order of records is then the heartbeat's, and nothing else has changed. So that the span is not
rewritten for it, the hot value says so in two bits, and the moment is its `last_seen`.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from finalizer.codecs.body import NativeBody
from finalizer.core.model import Layer, State, Told

BODY: Final = 0x80
STATUS: Final = 0x40


def said_again(before: State, after: State) -> int | None:
    """The bits for a state that a heartbeat has changed in nothing else; None where that is not all.

    What was said again before may stand in a hot value only, which the next one replaces. So whatever has the moment of
    the last evidence is said to be said again, and where that is over the state is written whole.
    """
    if not after.layers or after.layers[-1].body.format == NativeBody.format:  # these hold their own time
        return 0 if before.layers is after.layers and before.told is after.told else None
    body = _bit(BODY, after.layers[-1].at, before, after, same=_same_body(before.layers, after.layers))
    if body is None or (before.told.status is None and before.told is after.told):
        return body
    told = after.told.status
    if told is None:
        return None
    status = _bit(STATUS, told[0], before, after, same=_same_status(before.told, after.told))
    return None if status is None else body | status


def moved(state: State, again: int, last_seen: int) -> tuple[tuple[Layer, ...], Told]:
    """Layers and tellings of a state after such a heartbeat."""
    layers, told = state.layers, state.told
    if again & BODY and layers:
        layers = (*layers[:-1], layers[-1].but(at=last_seen))
    if again & STATUS and told.status is not None:
        told = replace(told, status=(last_seen, *told.status[1:]))
    return layers, told


def _bit(bit: int, at: int, before: State, after: State, *, same: bool | None) -> int | None:
    """`same`: True as it was, False but for its moment `at`, None for another one."""
    if same is None:
        return None
    if at == after.last_seen:
        return bit
    return 0 if same and at != before.last_seen else None


def _same_body(before: tuple[Layer, ...], after: tuple[Layer, ...]) -> bool | None:
    if before is after:
        return True
    if len(before) != len(after) or any(old is not new for old, new in zip(before[:-1], after[:-1], strict=True)):
        return None
    return False if before[-1].body is after[-1].body and before[-1].seq == after[-1].seq else None


def _same_status(before: Told, after: Told) -> bool | None:
    if before is after:
        return True
    if before.status is None or after.status is None:
        return None
    return False if replace(before, status=(after.status[0], *before.status[1:])) == after else None

"""A protobuf batch that cannot be read as a whole, one item at a time: so that only the broken ones are lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from google.protobuf.message import DecodeError

from finalizer.codecs.errors import Reason, Unusable
from finalizer.codecs.parts import BadPart, Names, Part, place
from finalizer.codecs.refusal import check_repeated
from finalizer.codecs.wire import batch_of_one, groups


def isolated(
    data: bytes, read: Callable[[bytes], Iterable[Part]], names: Names, *, error: DecodeError
) -> Iterator[Part]:
    """What `read` makes of each item in a batch of its own; `error` is what it says of the whole.

    Raises `Unusable` where the batch is cut off or no protobuf, and where it has one item only.
    """
    whole = Unusable(Reason.MALFORMED, str(error))
    try:
        found = groups(data)
    except ValueError:
        raise whole from error
    if sum(len(group.items) for group in found) < 2:
        raise whole from error
    alone = place(names, 0, 0, 0)
    for i, j, above, beside, items in found:
        around = sum(map(len, (*above, *beside)))
        for k, item in enumerate(items):
            where = place(names, i, j, k)
            try:
                check_repeated(around, len(items))
                for part in read(batch_of_one(above, beside, item)):
                    if isinstance(part, BadPart):
                        yield BadPart(part.value, part.where.replace(alone, where, 1), part.error)
                    else:
                        yield part
            except Unusable as refused:
                yield BadPart(item, where, refused)

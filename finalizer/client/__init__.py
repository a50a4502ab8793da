"""The client: three lines in an app, and no span is lost on the device.

It goes into other people's programs, so it stands on the standard library alone, starts threads of its own and stamps
what it sends. It never blocks the app, never raises into it, and never imports the rooms of the worker.
"""

from typing import TYPE_CHECKING, Any

from finalizer.client.attributes import Limits
from finalizer.client.client import Client
from finalizer.client.ids import SpanContext
from finalizer.client.span import Span

if TYPE_CHECKING:
    from finalizer.client.spool import Spool

__all__ = ["Client", "Limits", "Span", "SpanContext", "Spool"]


def __getattr__(name: str) -> Any:
    """`Spool`, when it is asked for: only who spools pays for SQLite."""
    if name != "Spool":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from finalizer.client.spool import Spool  # noqa: PLC0415 - see above

    return Spool

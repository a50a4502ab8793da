"""Which span is the current one: a context variable, so each task and each thread has its own."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, TypeAlias

from finalizer.client.ids import SpanContext

if TYPE_CHECKING:
    from finalizer.client.span import Span

Parent: TypeAlias = "Span | SpanContext"
Mark: TypeAlias = "Token[Parent | None]"
_current: ContextVar[Parent | None] = ContextVar("finalizer_client_current", default=None)
current = _current.get
"""The span that encloses the caller: one of this process, or a remote one that was attached; None outside of all."""


def attach(parent: Parent | None) -> Mark:
    """Make this the current span. Give the mark back to `detach`."""
    return _current.set(parent)


def detach(mark: Mark) -> None:
    """Make the span current that was so before."""
    try:
        _current.reset(mark)
    except ValueError:  # left in another context than entered, as generators do: that context ends by itself
        return


def context_of(parent: Parent | None) -> SpanContext | None:
    """The ids of a span, whichever kind it is."""
    return parent if parent is None or isinstance(parent, SpanContext) else parent.context

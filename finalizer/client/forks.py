"""Forks: a child begins anew, and the parent notices nothing (gunicorn, multiprocessing, Celery).

Some children end without `atexit`: those of multiprocessing have a list of their own of what is to be done before,
those of Celery a signal.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from finalizer.client.client import Client

_clients: Final[weakref.WeakSet[Client]] = weakref.WeakSet()
_resting: Final[list[Callable[[], None]]] = []
_heard: Final[set[str]] = set()
"""Modules that tell us of the ends of their children."""


def remember(client: Client) -> None:
    """From now on forks of this process are told to this client."""
    _clients.add(client)
    _hear_of_ends()
    if "multiprocessing.util" in sys.modules:
        _before_the_end([client])  # this may be such a child


def _hear_of_ends() -> None:
    """Who has not imported these modules has no such children, and is none."""
    processes, signals = sys.modules.get("multiprocessing.util"), sys.modules.get("celery.signals")
    if processes is not None and processes.__name__ not in _heard:
        _heard.add(processes.__name__)
        processes.register_after_fork(_clients, _before_the_end)  # a child forgets its parent's list, and then calls
    if signals is not None and signals.__name__ not in _heard:
        _heard.add(signals.__name__)
        signals.worker_process_shutdown.connect(_leave, weak=False)


def _before_the_end(clients: Iterable[Client]) -> None:
    """Put each on multiprocessing's list. It is held weakly: one that is forgotten is forgotten."""
    from multiprocessing.util import Finalize  # noqa: PLC0415 - it is there, or we would not be asked

    for client in list(clients):
        Finalize(None, _leave, args=[weakref.WeakSet([client])], exitpriority=0)


def _leave(clients: Iterable[Client] = _clients, **_: Any) -> None:
    for client in list(clients):
        client.leave()


def _before() -> None:
    _hear_of_ends()
    _resting.extend(client.pause_for_fork() for client in list(_clients))


def _go_on() -> None:
    while _resting:
        _resting.pop()()


def _in_child() -> None:
    _go_on()
    for client in list(_clients):
        client.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_go_on, after_in_child=_in_child)

"""Forks: a child begins anew, and the parent notices nothing (gunicorn, multiprocessing, Celery).

The children of multiprocessing, and of Celery's copy of it, end without `atexit`: they have a list of their own of what
is to be done before.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from finalizer.client.client import Client

_clients: Final[weakref.WeakSet[Client]] = weakref.WeakSet()
_resting: Final[list[Callable[[], None]]] = []
_LISTS: Final = ("multiprocessing.util", "billiard.util")
_told: Final[set[str]] = set()
"""Which of them tell us of each child."""


def remember(client: Client) -> None:
    """From now on forks of this process are told to this client."""
    _clients.add(client)
    for module in _loaded():
        _close_at_the_end(module, client)


def _loaded() -> list[ModuleType]:
    """Those of the lists that there are: who has not imported them has no such children, and is none."""
    return [sys.modules[name] for name in _LISTS if name in sys.modules]


def _close_at_the_end(module: ModuleType, client: Client) -> None:
    known = weakref.ref(client)

    def close() -> None:
        left = known()
        if left is not None:
            left.leave()

    module.Finalize(None, close, exitpriority=0)


def _before() -> None:
    for module in _loaded():
        if module.__name__ not in _told:  # a child forgets the list of its parent, and then calls this
            _told.add(module.__name__)
            module.register_after_fork(_clients, lambda clients, module=module: _in_its_child(module, clients))
    _resting.extend(client.pause_for_fork() for client in list(_clients))


def _go_on() -> None:
    while _resting:
        _resting.pop()()


def _in_its_child(module: ModuleType, clients: weakref.WeakSet[Client]) -> None:
    for client in list(clients):
        _close_at_the_end(module, client)


def _in_child() -> None:
    _go_on()
    for client in list(_clients):
        client.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_go_on, after_in_child=_in_child)

"""Forks: a child begins anew, and the parent notices nothing (gunicorn, multiprocessing, Celery)."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from finalizer.client.client import Client

_clients: Final[weakref.WeakSet[Client]] = weakref.WeakSet()
_resting: Final[list[Callable[[], None]]] = []


def remember(client: Client) -> None:
    """From now on forks of this process are told to this client."""
    _clients.add(client)


def _before() -> None:
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

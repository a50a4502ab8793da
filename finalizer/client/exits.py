"""How a process ends, and what is done before: `atexit`, and SIGTERM where the app asks for it."""

from __future__ import annotations

import atexit
import os
import signal
import weakref
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from finalizer.client.client import Client


class Exits:
    """The hooks of one client. They hold it weakly: one that is forgotten is forgotten."""

    def __init__(self, client: Client) -> None:
        self._client = weakref.ref(client)
        self._before: signal._HANDLER = None
        self._hooked = False
        atexit.register(self._close)

    def hook_sigterm(self) -> None:
        """Close the client on SIGTERM, then do what was done before."""
        if not self._hooked:
            self._before = signal.signal(signal.SIGTERM, self._terminate)
            self._hooked = True

    def unhook(self) -> None:
        """The client is closed."""
        atexit.unregister(self._close)

    def _close(self) -> None:
        client = self._client()
        if client is not None:
            client.close()

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        self._close()
        before = self._before
        if callable(before):
            before(number, frame)
        elif before != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

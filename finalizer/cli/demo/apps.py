"""The apps of the crowd as processes: started, told what to do, then killed, frozen, started again: as is their fate.

Each lives in a process group of its own, so that Ctrl-C is the demo's alone; none outlives the demo.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from finalizer.cli.demo.audit import Truth
from finalizer.cli.demo.diary import Diary
from finalizer.cli.demo.lines import Command, Entry, Orders
from finalizer.cli.demo.roles import KEPT_SECONDS, Fate, Role
from finalizer.shell.stop import Exit, Stop

COMMAND = (sys.executable, "-m", "finalizer.cli.demo.app")
LONGEST_LINE = 1 << 20
LOOK_SECONDS = 0.05
READY_SECONDS = 30.0


class Place(NamedTuple):
    """Where apps send, and where their spools lie."""

    broker: str
    topic: str
    folder: Path


class App:
    """One app, through all its runs."""

    def __init__(self, role: Role, place: Place, *, number: int, tell: Callable[[Truth], None]) -> None:
        self.diary = Diary(role, tell)
        self._role = role
        self._process: Process
        spooled = role.fate in (Fate.RETURNS, Fate.RETURNS_LATE)
        self._orders = Orders(
            place.broker,
            place.topic,
            dict(role.resource),
            role.parts,
            spool=str(place.folder / f"app-{number}.spool") if spooled else "",
            ttl=KEPT_SECONDS if role.fate is Fate.RETURNS_LATE else 0.0,
            pause_at=role.moment if role.fate is Fate.PAUSES else None,
        )

    async def get_ready(self) -> None:
        """Start it."""
        await self._start(self._orders)
        await self._until(lambda: self.diary.is_ready)

    async def play(self, is_closed: Callable[[str], bool]) -> None:
        """Let it play, and meet its fate. ``is_closed`` tells of which spans a final has been seen."""
        self._tell(Command.BEGIN)
        began = time.monotonic()
        if self._role.fate in (Fate.WORKS, Fate.PAUSES):
            await self._live_on()
        await self._until(lambda: self._spans_are_ready() and time.monotonic() - began >= self._role.moment)
        match self._role.fate:
            case Fate.KILLED | Fate.KILLED_YOUNG:
                await self._hold()
                await self._kill()
                self.diary.never_returns()
            case Fate.RETURNS:
                self.diary.returns("restarted", await self._kill())
                await self._come_back()
            case Fate.RETURNS_LATE:
                self.diary.returns("abandoned", await self._kill())
                await asyncio.sleep(1.5 * KEPT_SECONDS)
                await self._come_back()
            case _:
                await self._freeze(is_closed)

    async def end(self) -> None:
        """The demo is over."""
        if hasattr(self, "_process"):
            await self._kill()

    def _spans_are_ready(self) -> bool:
        have_to_beat = self._role.fate in (Fate.KILLED, Fate.FREEZES)
        return self.diary.have_beaten if have_to_beat else self.diary.have_arrived

    async def _freeze(self, is_closed: Callable[[str], bool]) -> None:
        await self._hold()
        self.diary.freezes()
        spans = self.diary.open_spans()
        self._process.send_signal(signal.SIGSTOP)
        await self._until(lambda: all(map(is_closed, spans)))
        self._process.send_signal(signal.SIGCONT)
        self._tell(Command.END)
        await self._live_on()

    async def _come_back(self) -> None:
        await self._start(msgspec.structs.replace(self._orders, parts=()))
        await self._until(lambda: self.diary.has_recovered)
        await self._live_on()

    async def _hold(self) -> None:
        self._tell(Command.HOLD)
        await self._until(lambda: self.diary.is_holding)

    async def _start(self, orders: Orders) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *COMMAND, stdin=PIPE, stdout=PIPE, limit=LONGEST_LINE, process_group=0
        )
        self._listening = asyncio.create_task(self._listen(self._process))
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(orders) + b"\n")

    async def _listen(self, process: Process) -> None:
        assert process.stdout is not None
        decoder: msgspec.json.Decoder[Entry] = msgspec.json.Decoder(Entry)
        async for line in process.stdout:
            if line.endswith(b"\n"):  # the last one may be torn
                self.diary.take(decoder.decode(line))

    def _tell(self, command: Command) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(command.value.encode() + b"\n")

    async def _kill(self) -> int:
        """Kill it, and read all that it said; returns a moment (wall time, nanoseconds) at which it was no more."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        gone_at = time.time_ns()
        await self._listening
        return gone_at

    async def _live_on(self) -> None:
        await self._until(lambda: False)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            code = self._process.returncode
            if code is not None:
                raise Stop(Exit.FAULT, f"An app of the crowd ended by itself with exit code {code}.")
            if self._listening.done():
                self._listening.result()
            await asyncio.sleep(LOOK_SECONDS)


class Apps:
    """All apps. ``tell`` is told what must be written of each span, as soon as that is known."""

    def __init__(self, roles: Sequence[Role], place: Place, *, tell: Callable[[Truth], None]) -> None:
        self._apps = [App(role, place, number=number, tell=tell) for number, role in enumerate(roles)]

    @property
    def begun(self) -> int:
        """Spans that have begun."""
        return sum(app.diary.begun for app in self._apps)

    @property
    def events(self) -> int:
        """Events that the broker has acknowledged."""
        return sum(app.diary.events for app in self._apps)

    async def get_ready(self) -> None:
        """Start them all. Raises ``Stop`` if one does not get ready."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                await asyncio.gather(*(app.get_ready() for app in self._apps))
        except TimeoutError:
            raise Stop(Exit.FAULT, f"The apps of the crowd were not ready within {READY_SECONDS:g} seconds.") from None

    async def play(self, is_closed: Callable[[str], bool]) -> None:
        """Let them play until somebody ends this. Raises ``Stop`` if an app ends that should not."""
        await asyncio.gather(*(app.play(is_closed) for app in self._apps))

    async def end(self) -> None:
        """End all processes."""
        await asyncio.gather(*(app.end() for app in self._apps))

"""The Faust Table behind the open spans: Faust assigns its changelog partitions, we keep and restore what is in them.

The store itself holds nothing that Faust looks into. It passes on the two moments that matter: a rebalance, and the
point at which Faust would have recovered (`highwaters` of the frame consumer tells it that there is nothing to read).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import faust
from faust import stores
from faust.stores import base
from faust.tables.manager import TableManager
from faust.types import TP

from finalizer.shell.frames import FrameSchema

SCHEME = "spans"


class Owner(Protocol):
    """Who takes over when partitions come and go. Nothing raised here reaches Faust: it would be swallowed."""

    def rebalanced(self, generation: int) -> None: ...
    async def recover(self, partitions: set[int]) -> None: ...


class SpanStore(base.Store[Any, Any]):
    """A `faust.Store` in name; see the module's words."""

    @property
    def _owner(self) -> Owner:
        owner: Owner = self.app.owner  # type: ignore[attr-defined]
        return owner

    def persisted_offset(self, tp: TP) -> int | None:
        return None

    def set_persisted_offset(self, tp: TP, offset: int) -> None:
        pass

    def apply_changelog_batch(self, batch: Any, to_key: Any, to_value: Any) -> None:
        raise AssertionError("Faust's own recovery must never run")

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        self._owner.rebalanced(generation_id)

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        await self._owner.recover({tp.partition for tp in active_tps})

    def reset_state(self) -> None:
        pass

    async def backup_partition(self, tp: Any, *_: Any, **__: Any) -> None:
        raise NotImplementedError("the changelog is the backup")

    def restore_backup(self, tp: Any, *_: Any, **__: Any) -> None:
        raise NotImplementedError("the changelog is the backup")

    def __getitem__(self, key: Any) -> Any:
        raise KeyError(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        raise AssertionError("the spans are written by the partition, never through the table")

    def __delitem__(self, key: Any) -> None:
        raise KeyError(key)

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0


class SpanTable(faust.Table[Any, Any]):
    """A table whose changelog topic is declared with frames, so that nothing of it is decoded or acknowledged."""

    def _new_changelog_topic(self, **kwargs: Any) -> Any:
        name = super()._new_changelog_topic(**kwargs).get_topic_name()
        return self.app.topic(
            name,
            schema=FrameSchema(),
            partitions=self.partitions,
            compacting=True,
            acks=False,
            internal=True,
            allow_empty=True,
        )


class SpanTables(TableManager):
    """Faust's table manager, without the second that it waits at its start for tables to be named."""

    async def on_start(self) -> None:
        await self._update_channels()
        await self.recovery.start()


def register() -> str:
    """Make the store known to Faust; returns the URL to ask for it. (Without a host part the URL would be falsy.)"""
    stores.STORES.aliases[SCHEME] = f"{__name__}:{SpanStore.__name__}"
    return f"{SCHEME}://local/"

"""The Faust application: one agent over all inputs, one table behind it, frames in between."""

from __future__ import annotations

import asyncio
import ssl
import uuid
from typing import Any

import faust
from faust.auth import OAuthCredentials
from faust.types import TP
from faust.types.auth import CredentialsT
from yarl import URL

from finalizer.shell import store
from finalizer.shell.assignment import Assignment
from finalizer.shell.frames import FrameSchema, FrameTransport
from finalizer.shell.settings import Security, Settings
from finalizer.shell.stop import Stop
from finalizer.shell.topics import Facts

MAX_POLL_RECORDS = 4_000
FETCH_BYTES = 4 * 1024 * 1024
BUFFERED_FRAMES = 16
COMMIT_SECONDS = 1.0
METADATA_SECONDS = 5.0
"""How old metadata may be: so soon partitions that were added are noticed."""
IDLE_SECONDS = 365 * 24 * 3600.0
"""Never leave the group for want of records: a worker in reserve, or one whose inputs are paused, has none."""


class App(faust.App):
    """A Faust app that knows its owner of partitions; the transport and the store look for it here."""

    owner: Assignment
    framed_topics: frozenset[str]
    fixed_topics: frozenset[str]

    def start_positions(self, tps: Any) -> Any:
        return self.owner.start_positions(tps)

    def durable(self, tp: TP) -> int | None:
        return self.owner.durable(tp)

    def fail(self, stop: Stop) -> None:
        self.owner.fail(stop)

    def _create_directories(self) -> None:
        """Faust's folders are for stores on disk. Ours is in memory, so nothing is left behind by a worker's end."""


def build_app(settings: Settings, facts: Facts, owner: Assignment) -> App:
    """The app, not started. Its consumer is made known to the owner when it starts."""
    app = App(
        settings.app_id,
        broker=[URL(f"kafka://{address.strip()}") for address in settings.broker.split(",")],
        broker_credentials=_credentials(settings.security),
        store="memory://",
        Table=store.SpanTable,
        TableManager=store.SpanTables,
        topic_partitions=facts.partitions,
        topic_disable_leader=True,
        topic_allow_declare=False,
        table_standby_replicas=0,
        recovery_consistency_check=False,
        web_enabled=False,
        stream_buffer_maxsize=BUFFERED_FRAMES,
        stream_wait_empty=False,
        broker_client_id=f"{settings.app_id}-{uuid.uuid4().hex[:12]}",  # as its group knows this process
        broker_max_poll_records=MAX_POLL_RECORDS,
        broker_commit_interval=COMMIT_SECONDS,
        broker_max_poll_interval=IDLE_SECONDS,
        broker_session_timeout=settings.session_timeout,
        broker_heartbeat_interval=settings.session_timeout / 3,
        broker_request_timeout=max(90.0, settings.session_timeout * 2),
        consumer_max_fetch_size=FETCH_BYTES,
        consumer_metadata_max_age_ms=int(METADATA_SECONDS * 1000),
        consumer_auto_offset_reset="none",  # where to read on is ours to say, and a log that is gone is told
        consumer_group_instance_id=settings.instance_id,
    )
    app.owner = owner
    app.fixed_topics = frozenset({*settings.inputs, settings.changelog})
    app.framed_topics = app.fixed_topics | set(settings.sources)
    app.transport = FrameTransport(app.conf.broker_consumer, app)
    app.Table("open_spans", partitions=facts.partitions, store=store.register())
    source = app.topic(*settings.inputs, *settings.sources, schema=FrameSchema(), partitions=facts.partitions)

    async def frames(stream: Any) -> None:
        async for event in stream.noack().events():
            owner.accept(event, event.value)

    app.agent(source, name="frames")(frames)

    async def revoked(*_: Any, **__: Any) -> None:
        await owner.revoked()

    app.on_partitions_revoked.connect(revoked, weak=False)
    return app


def _credentials(security: Security) -> CredentialsT | ssl.SSLContext | None:
    if security.tokens is not None:
        return OAuthCredentials(oauth_cb=security.tokens, ssl_context=security.ssl_context)
    if security.mechanism is not None:
        return faust.SASLCredentials(
            username=security.username,
            password=security.password,
            ssl_context=security.ssl_context,
            mechanism=security.mechanism,
        )
    return security.ssl_context


async def stop_app(app: App, seconds: float) -> bool:
    """Stop the app; False if it did not within `seconds`. (Being cancelled it would take for done.)"""
    stopping = asyncio.ensure_future(app.stop())
    done, _ = await asyncio.wait([stopping], timeout=seconds)
    return bool(done)

"""Whether this worker is a member of its group, as aiokafka's coordinator knows it.

What ends a membership for good reaches whoever calls aiokafka's `getmany`. Faust calls what lies below it, so nobody
would hear of it, and the worker would wait for ever: it is watched for here.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import BrokerResponseError, KafkaError, kafka_errors

from finalizer.shell.frames import FrameConsumer
from finalizer.shell.refusals import stop_for
from finalizer.shell.settings import Settings
from finalizer.shell.stop import Exit, Stop

ASK_SECONDS = 5.0
WATCH_SECONDS = 0.5
_NOBODY = ""
"""The member id of whom the coordinator does not know, or not any more."""


class FencedInstanceIdError(BrokerResponseError):  # type: ignore[misc]
    """What aiokafka has no name for: another member was let in under our instance id."""

    errno = 82
    message = "FENCED_INSTANCE_ID"


kafka_errors[FencedInstanceIdError.errno] = FencedInstanceIdError


class Membership:
    """Of a consumer that has started, or soon will have."""

    def __init__(self, consumer: FrameConsumer, settings: Settings) -> None:
        self._consumer = consumer
        self._settings = settings

    @property
    def generation(self) -> int:
        """The newest generation of the group that we have joined."""
        return int(self._coordinator.generation)

    @property
    def is_lost(self) -> bool:
        """The coordinator said that it does not know us; we have not joined anew yet."""
        return bool(self._coordinator.member_id == _NOBODY)

    @property
    def twin(self) -> str:
        """What may be behind it, if another worker was let in for us."""
        instance_id = self._settings.instance_id
        return f"; does another worker run with --instance-id {instance_id}?" if instance_id else ""

    async def is_member(self) -> bool:
        """Ask the coordinator. No answer is no answer: it is asked again."""
        coordinator, call = self._coordinator, self._consumer._thread.call_thread
        while not await call(coordinator._do_heartbeat):
            if coordinator.coordinator_id is not None:
                return False
            await call(coordinator.ensure_coordinator_known)
        return True

    async def has_others(self) -> bool:
        """Whether the group has members but us, who may be joining anew. Where it is not told: perhaps."""
        admin = AIOKafkaAdminClient(**self._settings.client_arguments())
        try:
            async with asyncio.timeout(ASK_SECONDS):
                await admin.start()
                ((group,),) = [
                    answer.groups for answer in await admin.describe_consumer_groups([self._settings.app_id])
                ]
        except (KafkaError, TimeoutError):
            return True
        finally:
            await admin.close()
        error, _name, _state, _protocol_type, _protocol, members, *_ = group
        if error or self._settings.instance_id:
            return bool(error or members)  # a twin takes our place, and we take its: who of us is in is chance
        ours = self._consumer.app.conf.broker_client_id
        return any(client_id != ours for _, client_id, *_ in members)

    async def ended(self) -> Stop:
        """Why we cannot be a member any more, once that is so."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            error = self._trouble()
            if error is not None:
                return self._stop(error)

    def _trouble(self) -> BaseException | None:
        consumer = self._consumer._thread._consumer
        if consumer is None:
            return None
        coordinator = consumer._coordinator
        if coordinator._pending_exception is not None:
            error: BaseException = coordinator._pending_exception
            return error
        task = coordinator._coordination_task
        return task.exception() if task.done() and not task.cancelled() else None

    def _stop(self, error: BaseException) -> Stop:
        if FencedInstanceIdError.__name__ in repr(error):
            return Stop(Exit.FENCED, f"the group let another member in under our name{self.twin}")
        return stop_for(error, "the broker refused us as a member of the group")

    @property
    def _coordinator(self) -> Any:
        return self._consumer._thread._ensure_consumer()._coordinator

"""The `finalizer` command, and a broker that forgets markers: `python -m tests.unmarked FATE COMMAND …`.

Of the first transaction that has finals the coordinator is told another partition than those it is written to. So the
broker decides about it and marks it nowhere, as after a restart that finds its partitions without leaders. (It must
not verify partitions for that: `transaction.partition.verification.enable=false`.) FATE is what is decided:
"committed" or "aborted", and the worker is killed; "survived": it is committed, and the worker goes on.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.producer.transaction_manager import TransactionManager

_commit, _add = AIOKafkaProducer.commit_transaction, TransactionManager.maybe_add_partition_to_txn
_fate = sys.argv[1]
_forgotten: list[Any] = []


def _add_another(self: Any, place: TopicPartition) -> None:
    if not _forgotten and place.topic.endswith(".finalized"):
        _forgotten.append(self)
        app_id = self.transactional_id.rpartition("-")[0]
        _add(self, TopicPartition(f"{app_id}-control", 0))
    if self not in _forgotten:
        _add(self, place)


async def _commit_or_not(self: Any) -> None:
    if self._txn_manager not in _forgotten:
        await _commit(self)
        return
    await (self.abort_transaction() if _fate == "aborted" else _commit(self))
    if _fate != "survived":
        os.kill(os.getpid(), signal.SIGKILL)
    _forgotten[:] = [None]


if __name__ == "__main__":
    AIOKafkaProducer.commit_transaction = _commit_or_not
    TransactionManager.maybe_add_partition_to_txn = _add_another
    sys.argv[:] = ["finalizer", *sys.argv[2:]]
    from finalizer.cli import main

    main()

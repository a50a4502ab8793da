"""What an error of a Kafka client means: a permission is missing, or it is a fault that a restart may cure."""

from __future__ import annotations

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from finalizer.shell.stop import Exit, Stop

NOT_ALLOWED = (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
"""No restart helps: somebody must grant it."""


def stop_for(error: BaseException, otherwise: str) -> Stop:
    """Why the worker ends for this error of a client; `otherwise` are the words where it is a fault."""
    if isinstance(error, NOT_ALLOWED):
        return Stop(Exit.CONFIGURATION, f"the broker does not allow what a worker needs: {error!r}")
    return Stop(Exit.FAULT, f"{otherwise}: {error!r}")

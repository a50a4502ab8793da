"""Here `broker` is Apache Kafka: what it shows about durability and exactly once counts."""

from collections.abc import AsyncIterator

import pytest

from tests.brokers import Broker
from tests.brokers.kafka import ApacheKafka
from tests.brokers.proxy import Proxy


@pytest.fixture
def broker(apache_kafka: ApacheKafka) -> Broker:
    """The broker of this folder's tests."""
    return Broker(apache_kafka.bootstrap, has_transactions=True, honours_log_append_time=True)


@pytest.fixture
async def proxy(apache_kafka: ApacheKafka) -> AsyncIterator[Proxy]:
    """A way to that broker on which a test can act at a chosen moment: `stage.by(proxy.bootstrap)`."""
    (listener,) = apache_kafka.listeners
    async with Proxy({listener.advertised: listener.port}) as proxy:
        yield proxy

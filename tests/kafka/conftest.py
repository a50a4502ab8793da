"""Here `broker` is Apache Kafka: what it shows about durability and exactly once counts."""

import pytest

from tests.brokers import Broker
from tests.brokers.kafka import ApacheKafka


@pytest.fixture
def broker(apache_kafka: ApacheKafka) -> Broker:
    """The broker of this folder's tests."""
    return Broker(apache_kafka.bootstrap, has_transactions=True, honours_log_append_time=True)

"""Here `broker` is the embedded one: no Java, ready in milliseconds, no transactions."""

import pytest

from tests.brokers import Broker


@pytest.fixture
def broker(embedded_broker: str) -> Broker:
    """The broker of this folder's tests."""
    return Broker(embedded_broker, has_transactions=False, honours_log_append_time=False)

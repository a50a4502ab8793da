"""Brokers for the tests, one of a kind for the whole run. Each test names its topics and groups itself, so none minds
what another left.
"""

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from finalizer.embedded import EmbeddedBroker
from tests.brokers.jars import KafkaUnavailable
from tests.brokers.kafka import ApacheKafka
from tests.brokers.properties import Listener
from tests.ports import free_port

settings.register_profile("rules", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rules")  # a rule holds however busy the machine is


def pytest_sessionstart(session: pytest.Session) -> None:
    """Leave out of reports what this process's own Kafka clients log: a node that is down fills them with it, and no
    test rests on it. Why one failed is in its assertion, and in the worker's log that goes with it.

    And let Ctrl-C end what tests start: the children of a run in the background would ignore it.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    reporting = session.config.pluginmanager.get_plugin("logging-plugin")
    if reporting is not None:
        reporting.report_handler.addFilter(lambda record: record.name.partition(".")[0] != "aiokafka")


@pytest.fixture(scope="session")
def embedded_broker() -> Iterator[str]:
    """The bootstrap address of an embedded broker that lives as long as the run."""
    with EmbeddedBroker() as broker:
        yield broker.bootstrap


@pytest.fixture(scope="session")
def apache_kafka() -> Iterator[ApacheKafka]:
    """Apache Kafka, shared by the whole run. A test that kills or freezes a node starts its own `ApacheKafka`.

    Beside its plain listener it has one that advertises the port of a proxy (see `proxy` in tests/kafka).
    """
    kafka = ApacheKafka(listeners=[Listener("PROXIED", free_port(), advertised=free_port())])
    try:
        kafka.start()
    except KafkaUnavailable as problem:
        pytest.fail(str(problem), pytrace=False)
    yield kafka
    kafka.stop()

"""What a worker is told at its start: one frozen object, made by the command line from flags, environment and file."""

from __future__ import annotations

from enum import Enum
from ssl import SSLContext
from typing import Any

import msgspec
from aiokafka.abc import AbstractTokenProvider

from finalizer.policy.schema import Policy


class Delivery(Enum):
    """What a reader of the output topics may rely on."""

    AUTO = "auto"
    """Decided once by what the broker offers, and kept in the watermark."""
    EXACTLY_ONCE = "exactly_once"
    """Outputs and state in one transaction: each final once, for readers that use `read_committed`."""
    EFFECTIVELY_ONCE = "effectively_once"
    """After a crash a final may be repeated, with the same bytes and the same id."""


class StartFrom(Enum):
    """Where the first deployment begins to read; later ones go on where the state ends."""

    EARLIEST = "earliest"
    LATEST = "latest"


class Compression(Enum):
    """How what is written to output topics is compressed, in Kafka's words (`compression.type`)."""

    NONE = "none"
    GZIP = "gzip"
    SNAPPY = "snappy"
    LZ4 = "lz4"
    ZSTD = "zstd"


class Security(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach the broker. Secrets are never logged: `repr` does not show them."""

    protocol: str = "PLAINTEXT"
    """PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."""
    mechanism: str | None = None
    """PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER."""
    username: str | None = None
    password: str | None = None
    tokens: AbstractTokenProvider | None = None
    """Instead of name and password, with OAUTHBEARER."""
    ssl_context: SSLContext | None = None

    def __repr__(self) -> str:
        return f"Security({self.protocol}, {self.mechanism})"

    def client_arguments(self) -> dict[str, Any]:
        """Keyword arguments for any aiokafka client."""
        arguments: dict[str, Any] = {"security_protocol": self.protocol, "ssl_context": self.ssl_context}
        if self.tokens is not None:
            arguments |= {"sasl_mechanism": self.mechanism, "sasl_oauth_token_provider": self.tokens}
        elif self.mechanism is not None:
            arguments |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return arguments


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """One worker's settings. Times in seconds, as its clients take them."""

    policy: Policy
    broker: str = "127.0.0.1:9092"
    app_id: str = "span-finalizer"
    delivery: Delivery = Delivery.AUTO
    instance_id: str | None = None
    """Static membership: a restarted worker takes its partitions back at once."""
    leave: bool = False
    """Give the partitions up on SIGTERM, though the membership is static."""
    start_from: StartFrom = StartFrom.EARLIEST
    session_timeout: float = 10.0
    compression: Compression = Compression.ZSTD
    web_bind: str = "127.0.0.1"
    web_port: int = 6066
    security: Security = Security()

    @property
    def changelog(self) -> str:
        """Name of the changelog topic."""
        return f"{self.app_id}-open_spans-changelog"

    @property
    def control(self) -> str:
        """Name of the control topic."""
        return f"{self.app_id}-control"

    @property
    def evidence(self) -> str:
        """Name of the topic that re-keyed evidence goes through."""
        return f"{self.app_id}-evidence"

    @property
    def instances(self) -> str | None:
        """Topic with the heartbeats of whole processes; None: nobody reads any."""
        return self.policy.instances.topic

    @property
    def instances_group(self) -> str:
        """The group whose members reject what cannot be used on that topic."""
        return f"{self.app_id}-instances"

    @property
    def heard(self) -> tuple[str, ...]:
        """All topics that anything is heard on, in a fixed order."""
        return self.named if self.instances is None else (*self.named, self.instances)

    @property
    def sources(self) -> tuple[str, ...]:
        """Input topics that are re-keyed, in a fixed order."""
        return tuple(sorted(one.topic for one in self.policy.inputs if one.is_rekeyed))

    @property
    def direct(self) -> tuple[str, ...]:
        """Input topics that are read as they are, in a fixed order."""
        return tuple(sorted(one.topic for one in self.policy.inputs if not one.is_rekeyed))

    @property
    def inputs(self) -> tuple[str, ...]:
        """What a partition reads, in a fixed order: direct inputs, and the evidence topic if anything is re-keyed."""
        return tuple(sorted((*self.direct, *((self.evidence,) if self.sources else ()))))

    @property
    def named(self) -> tuple[str, ...]:
        """All topics at which a piece of evidence may have been heard, in a fixed order."""
        return tuple(sorted((*self.direct, *self.sources)))

    def transactional_id(self, number: int) -> str:
        """Of the producer of this partition: whoever has the partition has the id, and fences who had it before."""
        return f"{self.app_id}-{number}"

    def client_arguments(self) -> dict[str, Any]:
        """Keyword arguments for any aiokafka client of this worker."""
        return {"bootstrap_servers": self.broker, **self.security.client_arguments()}

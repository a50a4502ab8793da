"""A sink out of one line, as it stands in an app's configuration."""

from __future__ import annotations

from finalizer.client.sinks.sink import Sink

KNOWN = "kafka://host:9092, http://collector:4318, https://collector:4318 and file:///path are known"


def sink_of(url: str) -> Sink:
    """The sink that a URL names. Raises `ValueError`, one sentence, for one that names none."""
    scheme, separator, rest = url.partition("://")
    if not separator or not rest:
        raise ValueError(f"{url!r} names no sink: {KNOWN}")
    if scheme == "file":
        from finalizer.client.sinks.file import FileSink  # noqa: PLC0415 - only who uses it pays for it

        return FileSink(rest)
    if scheme == "kafka":
        from finalizer.client.sinks.kafka import kafka_sink  # noqa: PLC0415 - only who uses it pays for it

        brokers, _, topic = rest.partition("/")
        return kafka_sink(brokers, **({"topic": topic} if topic else {}))
    if scheme in ("http", "https"):
        from finalizer.client.sinks.collector import CollectorSink  # noqa: PLC0415 - only who uses it pays for it

        return CollectorSink(url)
    raise ValueError(f"{url!r} names no sink: {KNOWN}")

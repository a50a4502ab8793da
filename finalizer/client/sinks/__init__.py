"""Where events go: Kafka, a collector, a file, memory. A sink may open connections and start threads of its own. It
never decides what is sent, never drops, and tells honestly what arrived.
"""

from finalizer.client.sinks.sink import Sink, Undelivered
from finalizer.client.sinks.url import sink_of

__all__ = ["Sink", "Undelivered", "sink_of"]

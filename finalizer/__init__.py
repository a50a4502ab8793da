"""No span stays open for ever: exactly one terminal record per span, from Kafka to Kafka.

Rooms, from the bottom: ``core`` (the law), ``policy`` and ``codecs`` (terms, bytes), ``pipeline`` (the road), ``shell``
(Kafka, Faust, wall clock), ``embedded`` (a broker for the demo), ``cli``. Imports go down only.
"""

from finalizer.compiled import arrange

__version__ = "0.1.0"
RUNNING = arrange()
"""Compiled or pure: settled here, before any room is imported."""

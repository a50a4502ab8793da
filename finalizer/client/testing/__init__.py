"""For the tests of an app that uses the client: what it told, a clock to turn, and nothing that waits.

It may be imported by tests alone. It never starts a thread, and never sends anything anywhere.
"""

from finalizer.client.sinks.memory import MemorySink
from finalizer.client.testing.capture import Capture, CapturedSpan, capture
from finalizer.client.testing.clock import FakeClock

__all__ = ["Capture", "CapturedSpan", "FakeClock", "MemorySink", "capture"]

"""One heartbeat of a process for all its spans, on this folder's broker."""

from tests.contracts.instances import Instances


class TestInstances(Instances):
    """See the contract."""

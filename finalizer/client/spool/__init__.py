"""The spool: events on disk before they are sent, and what is known of open spans, for the next run to close them.

One SQLite file for any number of processes. It may touch that file and those beside it. It never raises: what the disk
refuses stays in memory, what is broken is moved aside, and both are counted.
"""

from finalizer.client.spool.spool import Spool

__all__ = ["Spool"]

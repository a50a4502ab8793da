"""Ports on loopback for servers that start later, or that go and come back to the port they had."""

import itertools
import os
import random

from finalizer.embedded.readiness import is_free

# Below those that the system hands out by itself (Linux: from 32768, others: from 49152): none of these becomes the
# near end of somebody's connection while its owner is down.
FIRST, LAST = 20_000, 32_000
# pytest-xdist numbers its processes gw0, gw1, …: each has ports of its own.
PROCESSES = 8
_process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % PROCESSES
_mine = range(FIRST + _process, LAST, PROCESSES)
_next = itertools.count(random.randrange(len(_mine)))


def free_port() -> int:
    """Return a port that is free, and that no other call in this run of the tests returns."""
    return next(port for n in _next if is_free(port := _mine[n % len(_mine)]))

"""`python -m tests.bench.asgi`: what the client costs the requests of a small app, as its users would notice it.

    python -m tests.bench.asgi [--rounds 20] [--seconds 4] [--load 0.35] [--keep]

uvicorn serves the app in a process of its own; this process sends requests at moments that were chosen before: random
gaps, the same for every side of a round, at a rate that is a stated part of what the bare app can do. A latency counts
from the moment at which the request was due, so that a server that stops for a while is charged for all who waited.
Sides are interleaved, and served by new processes in each round. The bare app runs twice: what two runs of the same
thing differ by is what the others may differ by. Quantiles are those of each second, and of them the median: where the
kernel stops real-time processes for 50 ms (`sched_rt_runtime_us`), one second of one side is spoilt, not a round. Last,
each side gets as many requests as it can take.
"""

from __future__ import annotations

import argparse
import os
import random
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.bench import kept
from tests.bench.served import SIDES
from tests.waiting import until

REQUEST = (
    b"GET /orders/17 HTTP/1.1\r\nhost: shop\r\nuser-agent: Mozilla/5.0 (X11; Linux x86_64)\r\naccept: */*\r\n"
    b"accept-encoding: gzip, deflate\r\n"
    b"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n"
)
CONNECTIONS = 64
USERS = 8
"""Who ask again as soon as they have an answer, where the server is saturated."""
WARM_SECONDS = 0.5
BLOCK_SECONDS = 1.0
"""A side is asked for so long, then the next: what else the machine does meets all of them."""
SATURATED_SECONDS = 0.5
SATURATED_BLOCKS = 4
BARE, AGAIN, *OURS_AND_THEIRS = SIDES


class Server:
    """One side, served by a process of its own."""

    def __init__(self, side: str, folder: Path) -> None:
        path = folder / f"{len(list(folder.iterdir()))}.sock"
        command = [sys.executable, "-m", "tests.bench.served", side, str(path)]
        self._process = subprocess.Popen(command, preexec_fn=_after_who_measures)  # noqa: PLW1509 - one thread only
        until(path.exists, limit_seconds=60)
        self._connections = [self._connect(path) for _ in range(CONNECTIONS)]

    def _connect(self, path: Path) -> socket.socket:
        def connected() -> bool:
            try:
                connection.connect(str(path))
            except ConnectionRefusedError:
                return False
            return True

        connection = socket.socket(socket.AF_UNIX)
        until(connected)
        return connection

    def paced(self, due: Sequence[float]) -> list[float]:
        """Send a request at each of these moments (seconds from now); how long each took, from that moment on."""
        free = deque(self._connections)
        asked: dict[socket.socket, float] = {}
        took: list[float] = []
        waiting = deque(due)
        began = time.perf_counter()
        while waiting or asked:
            now = time.perf_counter() - began
            while waiting and waiting[0] <= now and free:
                connection = free.popleft()
                asked[connection] = waiting.popleft()
                connection.send(REQUEST)
            pause = max(0.0, waiting[0] - now) if waiting and free else None
            for connection in select.select(list(asked), [], [], pause)[0]:
                # A small answer comes in one piece or two, and ends with its body.
                if connection.recv(65536).endswith(b"}"):
                    took.append(time.perf_counter() - began - asked.pop(connection))
                    free.append(connection)
        return took

    def saturated(self, seconds: float) -> float:
        """Answers a second, with a few users who ask again at once."""
        users = self._connections[:USERS]
        answers = 0
        for user in users:
            user.send(REQUEST)
        began = time.perf_counter()
        asking = len(users)
        while asking:
            for user in select.select(users, [], [])[0]:
                if not user.recv(65536).endswith(b"}"):
                    continue
                if time.perf_counter() - began < seconds:
                    answers += 1
                    user.send(REQUEST)
                else:
                    asking -= 1
        return answers / seconds

    def stop(self) -> None:
        """End it."""
        for connection in self._connections:
            connection.close()
        self._process.terminate()
        self._process.wait(30)


def _after_who_measures() -> None:
    """Where this runs with real-time priority, who is measured has less of it than who measures: an answer that waits
    to be read would count against the app."""
    if os.sched_getscheduler(0) == os.SCHED_RR:
        os.sched_setparam(0, os.sched_param(os.sched_getparam(0).sched_priority - 1))


@contextmanager
def serving() -> Iterator[dict[str, Server]]:
    """All sides, each warm."""
    servers: dict[str, Server] = {}
    with tempfile.TemporaryDirectory(prefix="span-finalizer-bench-") as folder:
        try:
            for side in SIDES:
                servers[side] = Server(side, Path(folder))
            for server in servers.values():
                server.saturated(WARM_SECONDS)
            yield servers
        finally:
            for server in servers.values():
                server.stop()


def one_round(number: int, rate: float, seconds: float) -> dict[str, dict[str, float]]:
    """Latencies in milliseconds and answers a second, of each side, in an order that differs from round to round."""
    chance = random.Random(number)
    took: dict[str, list[list[float]]] = {side: [] for side in SIDES}
    answers = dict.fromkeys(SIDES, 0.0)
    blocks = int(seconds / BLOCK_SECONDS)
    with serving() as servers:
        for _ in range(blocks):
            moment, due = 0.0, []
            while (moment := moment + chance.expovariate(rate)) < BLOCK_SECONDS:
                due.append(moment)
            for side in chance.sample(list(SIDES), len(SIDES)):
                took[side].append(statistics.quantiles(servers[side].paced(due), n=100))
        for _ in range(SATURATED_BLOCKS):
            for side in chance.sample(list(SIDES), len(SIDES)):
                answers[side] += servers[side].saturated(SATURATED_SECONDS) / SATURATED_BLOCKS
    found: dict[str, dict[str, float]] = {}
    for side, seconds_of in took.items():
        p50, p99 = (statistics.median(one[place - 1] for one in seconds_of) * 1000 for place in (50, 99))
        found[side] = {"p50": p50, "p99": p99, "saturated": answers[side]}
    return found


def ratios(rounds: Sequence[dict[str, dict[str, float]]], side: str, what: str) -> dict[str, float]:
    """A side against the bare app of the same round: the median, and the middle half of the rounds."""
    found = [one[side][what] / one[BARE][what] for one in rounds]
    low, median, high = statistics.quantiles(found, n=4)
    return {"median": median, "low": low, "high": high}


def main() -> int:
    """Run, print the table, return 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.asgi", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--load", type=float, default=0.35)
    parser.add_argument("--keep", action="store_true", help="keep the figures for README")
    given = parser.parse_args()
    with serving() as servers:
        most = statistics.median(servers[BARE].saturated(2.0) for _ in range(3))
    rate = most * given.load
    print(f"the bare app answers {most:,.0f} requests a second; {rate:,.0f} a second are sent")
    rounds = []
    for number in range(given.rounds):
        rounds.append(one_round(number, rate, given.seconds))
        print(
            number,
            {side: f"{one['p50']:.2f} {one['p99']:.2f} {one['saturated']:.0f}" for side, one in rounds[-1].items()},
        )
    sides = {
        side: {what: statistics.median(one[side][what] for one in rounds) for what in ("p50", "p99", "saturated")}
        for side in SIDES
    }
    paired = {
        side: {what: ratios(rounds, side, what) for what in ("p50", "p99", "saturated")}
        for side in SIDES
        if side != BARE
    }
    titles = ["", "p50 ms", "p99 ms", "saturated, 1/s", "p50 ratio", "p99 ratio", "saturated, ratio"]
    rows = []
    for side, one in sides.items():
        row = [side, f"{one['p50']:.2f}", f"{one['p99']:.2f}", f"{one['saturated']:,.0f}"]
        for what in ("p50", "p99", "saturated"):
            ratio = paired.get(side, {}).get(what)
            row.append(f"{ratio['median']:.3f} ({ratio['low']:.3f} to {ratio['high']:.3f})" if ratio else "")
        rows.append(row)
    print(kept.table(titles, rows))
    if given.keep:
        kept.keep(
            "asgi", rounds=given.rounds, seconds=given.seconds, load=given.load, rate=rate, sides=sides, paired=paired
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The peer: the same job as Faust's documentation would have it written, an agent and a Table. Run as a process.

It keeps each open span in a Table, changes it with each heartbeat, and sends a final when the end comes. It closes
nothing by itself.
"""

from __future__ import annotations

import os
from typing import Any

import faust

BROKER = os.environ["BENCH_BROKER"]
TOPIC = os.environ["BENCH_TOPIC"]
PARTITIONS = int(os.environ["BENCH_PARTITIONS"])

app = faust.App(
    f"{TOPIC}-stock",
    broker=f"kafka://{BROKER}",
    store="memory://",
    topic_partitions=PARTITIONS,
    table_standby_replicas=0,
    web_enabled=False,
)
events = app.topic(TOPIC, key_type=bytes, partitions=PARTITIONS)
finals = app.topic(f"{TOPIC}.stock", key_type=bytes, partitions=PARTITIONS)
open_spans = app.Table("open_spans", default=dict, partitions=PARTITIONS)


@app.agent(events)
async def finalize(stream: Any) -> None:
    """One event after the other: a start is stored, a heartbeat noted, an end takes it out and is sent."""
    async for key, event in stream.items():
        name = key.decode()
        match event["type"]:
            case "start":
                open_spans[name] = event
            case "heartbeat":
                open_spans[name] = {**open_spans[name], "last": event}
            case _:
                start = open_spans.pop(name)
                await finals.send(key=key, value={**start, "end_unix_nano": event["time_unix_nano"]})


if __name__ == "__main__":
    app.main()

"""An app with the client, as a child process: `python -m tests.client.app STORY BROKER TOPIC SPOOL [INSTANCE]`.

Each story is one way in which an app treats its spans. Those that are killed say `ready` first, and wait for it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final

from finalizer.client import Client, Spool
from finalizer.client.sinks import Sink
from finalizer.client.sinks.aio import AioKafkaSink

BEAT: Final = 0.5
HELD: Final = 20
TTL: Final = 1.0
"""What a spool keeps in the story of a program that comes back too late."""


def kafka(broker: str, topic: str) -> Sink:
    """The sink of these apps."""
    return AioKafkaSink(broker, topic=topic, instances=f"{topic}.instances", settings={})


def wait_to_be_killed(client: Client) -> None:
    """Say that all that was told has arrived, and go on until somebody ends it."""
    assert client.flush(20)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        time.sleep(1)


def ends_well(client: Client) -> None:
    """Nothing special."""
    with client.span("ends well") as span:
        span.progress(1.0, sent=3)


def takes_too_long(client: Client) -> None:
    """Its guard ends it in time."""
    with client.with_timeout(0.3, "takes too long") as span:
        while not span.timed_out:
            time.sleep(0.01)


def killed(client: Client) -> None:
    """Killed in the middle of its work, and started again."""
    client.start_span("killed", attributes={"file": "a"}).progress(0.4)
    wait_to_be_killed(client)


def killed_for_good(client: Client) -> None:
    """Killed, and never seen again."""
    client.start_span("killed for good")
    wait_to_be_killed(client)


def killed_for_long(client: Client) -> None:
    """Killed, and started again when its spool is too old."""
    client.start_span("killed for long", heartbeat=None)
    wait_to_be_killed(client)


def comes_back(client: Client) -> None:
    """The next run of a program that was killed: it does nothing but begin."""


def pauses(client: Client) -> None:
    """Goes to the background with a summary, and is killed there."""
    client.start_span("pauses", on_pause="partial").progress(0.5, done=5)
    client.on_pause()
    wait_to_be_killed(client)


def sleeps(client: Client) -> None:
    """Goes to the background, and is killed there."""
    client.start_span("sleeps")
    client.on_pause()
    wait_to_be_killed(client)


def wakes(client: Client) -> None:
    """Goes to the background, comes back and ends."""
    with client.span("wakes"):
        client.on_pause()
        time.sleep(1.5)
        client.on_resume()
        time.sleep(0.5)


def uploads(client: Client) -> None:
    """An operation that is killed in its first attempt."""
    client.resume("upload-7", "uploads").__enter__()
    wait_to_be_killed(client)


def uploads_elsewhere(client: Client) -> None:
    """The same operation, tried again on another machine."""
    with client.resume("upload-7", "uploads") as span:
        span.set_attribute("done", value=True)


def tries_again(client: Client) -> None:
    """An operation that fails twice, and then goes well, in one process."""
    tries = []

    @client.retry("tries again", attempts=3, on=OSError, pause=0.2)
    def work() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise OSError("no network")

    work()


def holds_open(client: Client) -> None:
    """Many spans at once that tell nothing of their own: their process beats for them."""
    held = [client.start_span(f"held {number}") for number in range(HELD)]
    wait_to_be_killed(client)
    del held


def offline(client: Client) -> None:
    """No broker answers: all lies in the spool."""
    for number in range(20):
        client.start_span(f"offline {number}", attributes={"number": number}).end("ok")
    client.flush(0.3)
    sys.stdout.write("ready\n")
    sys.stdout.flush()


STORIES: Final[dict[str, Callable[[Client], None]]] = {
    story.__name__: story
    for story in (
        ends_well,
        takes_too_long,
        killed,
        killed_for_good,
        killed_for_long,
        comes_back,
        pauses,
        sleeps,
        wakes,
        uploads,
        uploads_elsewhere,
        tries_again,
        holds_open,
        offline,
    )
}


def main(story: str, broker: str, topic: str, spool: str, instance_id: str = "") -> None:
    """Live one story; without a spool where its path is empty."""
    kept = None if not spool else Spool(spool, ttl=TTL) if "long" in spool else Spool(spool)
    sink, service = kafka(broker, topic), instance_id or "app"
    client = Client(sink, service, spool=kept, heartbeat=BEAT, flush_before_exit=10, instance_id=instance_id)
    STORIES[story](client)
    client.close(0.1 if story == "offline" else None)


if __name__ == "__main__":
    main(*sys.argv[1:])

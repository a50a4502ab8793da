"""What the README shows to be copied, run as it stands against a broker and a worker."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from finalizer.embedded import EmbeddedBroker
from finalizer.pipeline import Topic
from tests.codecs.reading import read_json
from tests.docs import examples
from tests.docs.page import README, code
from tests.traffic import Reader
from tests.worker import Worker

TEXT = README.read_text()
USUAL_BROKER = "127.0.0.1:9092"
QUICK = "safety: {settle: 1s}\n"


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """A broker with a worker that reads the topics of the page."""
    with EmbeddedBroker() as broker, Worker(broker.bootstrap, "readme", config=QUICK).start():
        yield broker.bootstrap


async def causes(broker: str) -> dict[str, str]:
    """Trace id -> cause, once there are two finals."""
    async with Reader(broker, "spans.finalized") as finals:
        records = await finals.until(2, limit_seconds=40)
    return {record.key.decode(): dict(record.headers)["span-finalizer-cause"].decode() for record in records}


def run(*command: str, broker: str) -> None:
    """Run a command as a reader would; it must succeed."""
    environment = {**os.environ, "FINALIZER_BROKER": broker}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


async def test_what_is_copied_from_the_page_works(broker: str) -> None:
    """The Python snippet ends its span, and the line for the shell opens one that times out."""
    (snippet,) = code(TEXT, "python")
    assert USUAL_BROKER in snippet
    line = next(line for block in code(TEXT, "sh") for line in block.splitlines() if line.startswith("echo "))
    finalizer = f'finalizer() {{ {sys.executable} -m finalizer "$@"; }}'
    await asyncio.gather(
        asyncio.to_thread(run, sys.executable, "-c", snippet.replace(USUAL_BROKER, broker), broker=broker),
        asyncio.to_thread(run, "sh", "-c", f"{finalizer}\n{line}", broker=broker),
    )
    found = await causes(broker)
    assert sorted(found.values()) == ["completed", "timeout"]
    assert found[examples.TRACE] == "timeout"


def test_the_final_on_the_page_is_the_encoders() -> None:
    """The example is what the encoder makes: a strict reader of OTLP/JSON finds the span that was lost in it."""
    value = examples.lost().output(Topic.FINALIZED).value
    assert value is not None
    span = read_json(value)
    assert (span.trace_id, span.span_id, span.name) == (examples.TRACE, examples.SPAN, "upload")
    assert span.end == examples.BORN + 5_000_000_000
    block = TEXT.partition("<!-- generated: example-final -->")[2].partition("<!-- end -->")[0]
    assert json.loads(block.partition("value:\n")[2].rpartition("```")[0]) == json.loads(value)
    assert examples.new_road().policy.fingerprint in block

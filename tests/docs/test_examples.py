"""What the README shows to be copied, run as it stands against a broker and a worker."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from finalizer.embedded import EmbeddedBroker
from finalizer.pipeline import Topic
from tests.codecs.reading import read_json
from tests.docs import examples
from tests.docs.page import PROJECT, README, code
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
    """Trace id -> cause, once there are three finals."""
    async with Reader(broker, "spans.finalized") as finals:
        records = await finals.until(3, limit_seconds=40)
    return {record.key.decode(): dict(record.headers)["span-finalizer-cause"].decode() for record in records}


def run(*command: str, broker: str, folder: Path) -> None:
    """Run a command as a reader would; it must succeed."""
    environment = {**os.environ, "FINALIZER_BROKER": broker, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def snippets(words: str) -> list[str]:
    """The Python on the page that has these words."""
    return [snippet for snippet in code(TEXT, "python") if words in snippet]


async def test_what_is_copied_from_the_page_works(broker: str, tmp_path: Path) -> None:
    """The Python snippets, with the client and without, end their spans; the line for the shell opens one that times
    out."""
    (plain,) = snippets("AIOKafkaProducer")
    client = snippets("from finalizer.client")[0]
    line = next(line for block in code(TEXT, "sh") for line in block.splitlines() if line.startswith("echo "))
    finalizer = f'finalizer() {{ {sys.executable} -m finalizer "$@"; }}'
    commands = [(sys.executable, "-c", snippet.replace(USUAL_BROKER, broker)) for snippet in (plain, client)]
    commands.append(("sh", "-c", f"{finalizer}\n{line}"))
    await asyncio.gather(*(asyncio.to_thread(run, *command, broker=broker, folder=tmp_path) for command in commands))
    found = await causes(broker)
    assert sorted(found.values()) == ["completed", "completed", "timeout"]
    assert found[examples.TRACE] == "timeout"


@pytest.mark.parametrize("snippet", snippets("from finalizer.client"))
def test_every_snippet_with_the_client_runs(snippet: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it defines can be used as it stands; frameworks are stood in for by what the snippet asks of them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "fastapi", SimpleNamespace(FastAPI=Framework))
    monkeypatch.setitem(sys.modules, "celery", SimpleNamespace(Celery=Framework))
    names: dict[str, Any] = {}
    exec(snippet.replace("/var/lib/thumbnails/", ""), names)  # noqa: S102 - the page's own code
    for name in ("resize", "upload"):
        if name in names:
            assert names[name]("photo") == "photo"
    if "fetch" in names:
        assert asyncio.run(names["fetch"]()) == "photo"
    if "test_checkout" in names:
        names["test_checkout"]()
    names["client"].close(0)


class Framework:
    """FastAPI and Celery, as far as the page uses them."""

    def __init__(self, *_: str, **__: str) -> None:
        self.task = lambda function: function

    def add_middleware(self, kind: Callable[..., object], **settings: object) -> None:
        assert kind(self, **settings)


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

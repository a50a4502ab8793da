"""Makes the recordings: `python -m tests.recordings.make [PROGRAM …]`, all programs if none is named.

Each program runs in an environment of its own with exactly the packages that its requirements name, and sends to a
receiver on this machine; then its requests go through a stock collector to Apache Kafka, one way after the other. It
takes some minutes, Java and Maven for Kafka, and Go for the collector.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.brokers.kafka import ApacheKafka
from tests.collector.binary import version
from tests.collector.sink import Post, Sink
from tests.recordings.make import dotnet
from tests.recordings.make.through import TOPICS, WAYS, record
from tests.recordings.reading import FOLDER, Record, written

HERE = Path(__file__).parent
PLACE = Path("/tmp/shop")
"""Where the programs run: the paths in their stack traces are nobody's."""
MODULES = {"sdk": "sdk", "partial_0_0_6": "partial", "partial_0_0_9": "partial", "logfire": "logfire_shop"}
SAID = {
    "sdk": "the OpenTelemetry SDK alone",
    "partial_0_0_6": "partial-span-processor 0.0.6 beside batches of finished spans",
    "partial_0_0_9": "partial-span-processor 0.0.9 beside batches of finished spans",
    "logfire": "Logfire without an account, with pending spans",
    "dotnet": "G-Research.OpenTelemetry.Processor.Partial 0.0.4 for .NET",
}
CHOSEN = {
    "sdk": list(WAYS),
    "partial_0_0_6": ["kafka_proto"],
    "partial_0_0_9": ["kafka_json", "kafka_json_by_trace"],
    "logfire": ["kafka_json_by_trace"],
    "dotnet": ["kafka_json", "kafka_proto_by_trace"],
}
"""Logs and spans in both encodings and with both kinds of keys, and no more: all this is kept in the repository."""
MACHINE = {
    "OTEL_RESOURCE_ATTRIBUTES": "host.name=shop-1,host.id=1,host.arch=any,os.version=1,process.runtime.description=any"
}


def run(program: str) -> list[Post]:
    """Run a program to its crash; its truth is written to its folder. Returns its requests."""
    place = PLACE / program
    shutil.rmtree(place, ignore_errors=True)
    code = place / "tests" / "recordings" / "make" / "programs"
    shutil.copytree(HERE / "programs", code, ignore=shutil.ignore_patterns("__pycache__"))
    python = place / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(place / "venv")], check=True)
    requirements = HERE / "requirements" / f"{program}.txt"
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", "-r", str(requirements)], check=True)
    expected = FOLDER / program / "expected.json"
    with Sink() as sink:
        environment = {**os.environ, **MACHINE, "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url}
        command = [str(python), "-m", f"tests.recordings.make.programs.{MODULES[program]}", str(expected)]
        done = subprocess.run(command, cwd=place, env=environment, check=False)
    assert done.returncode == -9, f"{program} did not end in its crash"
    return sink.posts


def written_by_hand() -> list[Post]:
    """The requests of the client that cannot run here; what is known of its spans is written to its folder."""
    lines = [json.dumps(span, ensure_ascii=False) for span in dotnet.expected()]
    (FOLDER / "dotnet" / "expected.json").write_text('{"spans": [\n' + ",\n".join(lines) + "\n]}\n")
    return dotnet.posts()


def as_sent(posts: list[Post]) -> list[Record]:
    """The requests as they were sent, each as a record of the topic of its signal."""
    return [Record(TOPICS[post.path], 0, offset, post.at_ms, None, post.body) for offset, post in enumerate(posts)]


def save(program: str, way: str, records: list[Record], words: str) -> None:
    """Write one recording."""
    about = {"program": SAID[program], "way": words, **({"note": dotnet.NOTE} if program == "dotnet" else {})}
    lines = [json.dumps(about), *map(written, records)]
    (FOLDER / program / f"{way}.jsonl").write_text("".join(f"{line}\n" for line in lines))
    print(f"{program}/{way}: {len(records)} records")


async def make(programs: list[str]) -> None:
    """Make the recordings of these programs."""
    with ApacheKafka() as kafka:
        for program in programs:
            (FOLDER / program).mkdir(exist_ok=True)
            posts = run(program) if program in MODULES else written_by_hand()
            save(program, "sent", as_sent(posts), "each request of its exporters, OTLP over HTTP in protobuf")
            for way in CHOSEN[program]:
                said = ", ".join(f"{name} {value}" for name, value in WAYS[way].items())
                records = await record(kafka.bootstrap, posts, name=program, way=way)
                save(program, way, records, f"OpenTelemetry collector {version()} to Apache Kafka: {said}")


if __name__ == "__main__":
    asyncio.run(make(sys.argv[1:] or list(SAID)))

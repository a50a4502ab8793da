"""Logs: one line an event in both forms, and libraries that are heard without being noise."""

import asyncio
import json
import logging
import re
import socket
import threading
import warnings
from enum import Enum
from pathlib import Path

import aiokafka
import pytest
from aiohttp.http_exceptions import BadStatusLine
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError

from finalizer.shell import logs

pytestmark = pytest.mark.usefixtures("own_logging")
Capture = pytest.CaptureFixture[str]


class Mode(Enum):
    """A value that a field may have."""

    FAST = "fast"


def lines(capsys: Capture) -> list[str]:
    """What was logged since the last look; stdout has to be empty, it is for data."""
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()


def library(name: str, text: str, *, at: float = 1_000.0, args: tuple[object, ...] = ()) -> logging.LogRecord:
    """A library's line, logged `at` a time."""
    record = logging.LogRecord(name, logging.ERROR, "client.py", 1, text, args, None)
    record.created = at
    return record


def test_a_text_line_reads_from_left_to_right(capsys: Capture) -> None:
    """Time in UTC, level, event, fields, and a sentence for a person."""
    logs.setup("text")
    logs.get("restore").info("done", "The partition is restored.", partition=3, records=120_000, seconds=0.4)
    (line,) = lines(capsys)
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO restore\.done partition=3 records=120000 seconds=0\.4"
        r" — The partition is restored\.",
        line,
    )


def test_a_json_line_has_the_same_parts(capsys: Capture) -> None:
    """One object a line: ts, level, event, message, fields."""
    logs.setup("json")
    logs.get("restore").warning("slow", "It takes 90 % longer.", partition=3, seconds=0.4)
    (line,) = lines(capsys)
    told = json.loads(line)
    assert told.pop("ts").endswith("Z")
    assert told == {
        "level": "WARNING",
        "event": "restore.slow",
        "message": "It takes 90 % longer.",
        "fields": {"partition": 3, "seconds": 0.4},
    }


@pytest.mark.parametrize(
    ("value", "word", "plain"),
    [
        (1 / 3, "0.333333", 1 / 3),
        (float("nan"), "nan", "nan"),
        ("two words", '"two words"', "two words"),
        ("a\nb", r'"a\nb"', "a\nb"),
        ("", '""', ""),
        (None, "null", None),
        (True, "true", True),
        (Mode.FAST, "fast", "fast"),
        ([TopicPartition("in", 0)], '[["in",0]]', [["in", 0]]),
        ({TopicPartition("in", 0): 7}, None, {"TopicPartition(topic='in', partition=0)": 7}),
        (frozenset({1}), "[1]", [1]),
        (OSError("gone"), "gone", "gone"),
        ("\udcff", r'"\udcff"', "\udcff"),
    ],
)
def test_any_value_can_be_a_field(capsys: Capture, value: object, word: str | None, plain: object) -> None:
    """A field never makes a line fail, break in two or become unreadable."""
    logs.setup("text")
    logs.get("part").info("event", "Sentence.", value=value)
    (line,) = lines(capsys)
    if word is not None:
        assert f" part.event value={word} — Sentence." in line
    logs.setup("json")
    logs.get("part").info("event", "Sentence.", value=value)
    (line,) = lines(capsys)
    assert json.loads(line)["fields"] == {"value": plain}


def test_an_exception_stays_with_its_line(capsys: Capture) -> None:
    """In json the trace is a string of the one object; in text it follows its line."""
    try:
        raise ValueError("first\nsecond")
    except ValueError as error:
        raised = error
    logs.setup("json")
    logs.get("road").error("failed", "A frame was decided again.", exc=raised)
    (line,) = lines(capsys)
    told = json.loads(line)
    assert told["exc"].startswith("Traceback")
    assert told["exc"].endswith("ValueError: first\nsecond")
    logs.setup("text")
    logs.get("road").error("failed", "A frame was decided again.", exc=raised)
    first, *trace = lines(capsys)
    assert first.endswith("ERROR road.failed — A frame was decided again.")
    assert trace[0].startswith("Traceback")


def test_what_others_write_cannot_forge_a_line(capsys: Capture) -> None:
    """A line break or an escape in what came from outside does not begin a new line or colour the terminal."""
    logs.setup("text")
    logs.get("input").warning("odd", "It said: x\n2026 ERROR all.lost", detail="\x1b[31m")
    logging.getLogger("aiokafka").error("Topic %s", "a\r\nb")
    assert [re.sub(r"^\S+ ", "", line) for line in lines(capsys)] == [
        r'WARNING input.odd detail="\u001b[31m" — It said: x 2026 ERROR all.lost',
        "ERROR aiokafka — Topic a  b",
    ]


def test_the_level_is_for_our_own_events(capsys: Capture) -> None:
    """DEBUG shows ours, libraries stay at WARNING; ERROR quietens both."""
    for level, seen in (("debug", "diwe WE"), ("info", "iwe WE"), ("error", "e E")):
        logs.setup("json", level)
        part, other = logs.get("part"), logging.getLogger("aiokafka")
        part.debug("d", "d")
        part.info("i", "i")
        part.warning("w", "w")
        part.error("e", "e")
        other.debug("D")
        other.info("I")
        other.warning("W")
        other.error("E")
        told = [json.loads(line) for line in lines(capsys)]
        ours = "".join(one["message"] for one in told if one["event"].startswith("part."))
        theirs = "".join(one["message"] for one in told if one["event"] == "aiokafka")
        assert f"{ours} {theirs}" == seen


def test_setting_up_again_does_not_double_the_lines(capsys: Capture) -> None:
    """The form may be chosen after a first setup; each event is still one line."""
    logs.setup("text")
    logs.setup("json")
    logs.get("part").info("event", "Sentence.")
    assert len(lines(capsys)) == 1


def test_warnings_and_threads_are_lines_too(capsys: Capture) -> None:
    """Python's own ways to write to stderr come as one line each, so that a json log is json throughout."""

    def fail() -> None:
        raise OSError("gone")

    logs.setup("json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("old setting", UserWarning, stacklevel=1)
    thread = threading.Thread(target=fail, name="consumer")
    thread.start()
    thread.join()
    warned, ended = map(json.loads, lines(capsys))
    assert warned["event"] == "py.warnings"
    assert "old setting" in warned["message"]
    assert ended["message"] == "Thread consumer ended: OSError('gone')"
    assert "in fail" in ended["exc"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("faust.transport.drivers.aiokafka", "Topic creation disabled! Can't create topic spans.events"),
        ("aiokafka.consumer.group_coordinator", "Heartbeat failed for group %s because it is rebalancing"),
        ("faust.tables.recovery", "[^---Recovery]: Recovery rebalancing again"),
        ("faust.app.base", "[^-App]: Missing sensor state for rebalance #%s"),
    ],
)
def test_normal_life_is_not_logged(capsys: Capture, name: str, text: str) -> None:
    """What libraries warn of in every rebalance is dropped; the same words from elsewhere are not."""
    logs.setup("text")
    logging.getLogger().handle(library(name, text))
    assert lines(capsys) == []
    logging.getLogger().handle(library("aiokafka_like", text))
    assert len(lines(capsys)) == 1


def test_what_says_that_we_were_thrown_out_is_logged(capsys: Capture) -> None:
    """Lines that look like rebalance chatter but mean trouble stay."""
    logs.setup("text")
    for text in (
        "Heartbeat failed: local member_id was not recognized; resetting and re-joining group",
        "OffsetCommit failed for group g - GroupAuthorizationFailedError",
        "Topic spans.events not found in cluster metadata",
    ):
        logging.getLogger("aiokafka.consumer.group_coordinator").error(text)
    assert len(lines(capsys)) == 3


def test_our_own_fault_in_a_request_is_logged(capsys: Capture) -> None:
    """Of what the web server cannot handle only bad HTTP is dropped."""
    logs.setup("text")
    for raised in (BadStatusLine("EHLO"), KeyError("ours")):
        logging.getLogger("aiohttp.server").error("Error handling request from %s", "10.0.0.1", exc_info=raised)
    said = lines(capsys)
    assert "BadStatusLine" not in "".join(said)
    assert said[-1] == "KeyError: 'ours'"


def test_each_dropped_line_is_still_what_the_library_says() -> None:
    """A row of the table whose library has changed its words drops nothing any more, and has to go or follow."""
    written = {
        "aiokafka.consumer.group_coordinator": "aiokafka/consumer/group_coordinator.py",
        "aiokafka.cluster": "aiokafka/cluster.py",
        "aiokafka.producer.sender": "aiokafka/producer/sender.py",
        "faust.transport": "faust/transport/drivers/aiokafka.py",
        "faust.tables.recovery": "faust/tables/recovery.py",
        "faust.app": "faust/app/base.py",
        "aiohttp.server": "aiohttp/web_protocol.py",
    }
    packages = Path(aiokafka.__file__).parent.parent
    for line in logs.HARMLESS:
        assert line.why.endswith(".")
        assert line.begins in (packages / written[line.logger]).read_text(), line


def test_a_line_that_repeats_is_shown_once_in_ten_seconds(capsys: Capture) -> None:
    """A broker that is gone does not fill the disk: the next line says how many were held back."""
    logs.setup("json")
    root = logging.getLogger()
    for tenth in range(201):
        root.handle(
            library(
                "aiokafka", "Unable connect to node with id %s: port %s", at=1_000 + tenth / 10, args=(tenth % 3, 9)
            )
        )
    told = [json.loads(line) for line in lines(capsys)]
    assert [one["fields"] for one in told] == [{}, {"repeated": 99}, {"repeated": 99}]


def test_lines_that_differ_are_each_shown(capsys: Capture) -> None:
    """Another topic, another error or another library is another line; our own events are never held back."""
    logs.setup("text")
    root = logging.getLogger()
    for name, text in (("aiokafka", "Topic a"), ("aiokafka", "Topic b"), ("faust", "Topic a"), ("aiokafka", "Topic a")):
        root.handle(library(name, text))
    for _ in range(2):
        logs.get("part").error("event", "Topic a")
    assert len(lines(capsys)) == 5


def test_a_clock_set_back_holds_nothing_back(capsys: Capture) -> None:
    """After the wall clock was set back an hour, lines do not wait an hour for it to come round."""
    logs.setup("text")
    for at in (10_000.0, 6_400.0):
        logging.getLogger().handle(library("aiokafka", "gone", at=at))
    assert len(lines(capsys)) == 2


def test_a_library_s_broken_line_does_not_break_the_library(capsys: Capture) -> None:
    """Arguments that do not fit the text are shown beside it; nothing is raised where it was logged."""
    logs.setup("text")
    logging.getLogger("aiokafka").error("error in iterator: %s %s", "only one")  # noqa: PLE1206
    (line,) = lines(capsys)
    assert line.endswith("aiokafka — error in iterator: %s %s ('only one',)")


async def test_a_broker_that_is_gone_is_a_few_lines(capsys: Capture) -> None:
    """The real client, without a broker, tries again and again: what it says of it stays readable."""
    logs.setup("json")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    for _ in range(20):
        consumer = AIOKafkaConsumer("in", bootstrap_servers=address, retry_backoff_ms=1)
        with pytest.raises(KafkaConnectionError):
            await asyncio.wait_for(consumer.start(), 10)
        await consumer.stop()
    told = [json.loads(line) for line in lines(capsys)]
    assert 1 <= len(told) <= 3
    assert address in told[0]["message"]

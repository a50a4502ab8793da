"""`finalizer dev`: a broker and a worker that stay up, and what goes in and comes out from the shell."""

import contextlib
import json
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.processes import alive, descendants
from tests.cli.runs import run, start
from tests.ports import free_port
from tests.waiting import LIMIT_SECONDS, until

QUICK = (
    "terms: {silence: 2s}\nsafety: {settle: 1s}\nworker: {broker: 'kafka.example:9092', security_protocol: SASL_SSL}\n"
)


@dataclass(frozen=True, slots=True)
class Dev:
    """A running `finalizer dev`."""

    broker: str
    web_port: int


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One for the tests of this file, with quick terms."""
    config = tmp_path_factory.mktemp("dev") / "finalizer.yaml"
    config.write_text(QUICK)
    port, web_port = free_port(), free_port()
    options = ("--config", str(config), "--port", str(port), "--web-port", str(web_port))
    with start("dev", *options) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        logs = threading.Thread(target=process.stderr.read)  # its log must not fill the pipe
        logs.start()
        welcome = process.stdout.readline().decode()
        assert f"127.0.0.1:{port}" in welcome, welcome
        yield Dev(f"127.0.0.1:{port}", web_port)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=LIMIT_SECONDS) == 0
        logs.join()


def lines_of(text: str) -> list[str]:
    """The lines of an output."""
    return text.strip().splitlines()


def span(kind: str, number: int, **fields: object) -> bytes:
    """A line for the span of this number, as of now."""
    event = {
        "type": kind,
        "trace_id": f"{number:032x}",
        "span_id": f"{number:016x}",
        "time_unix_nano": str(time.time_ns()),
        **({"name": "up\x1b[2Jload"} if kind == "start" else {}),
        **fields,
    }
    return json.dumps(event).encode() + b"\n"


def test_a_span_that_nothing_follows_comes_out_with_its_cause(dev: Dev) -> None:
    """`send` puts a start in; `tail` shows the final, readable: cause, words, name, span, last seen and deadline."""
    assert run("send", "--broker", dev.broker, stdin=span("start", 1)).code == 0
    ran = run("tail", "--broker", dev.broker, "--from-beginning", "--count", "1", "--timeout", "20")
    assert ran.code == 0
    [line] = lines_of(ran.out)
    span_id = f"{1:032x}/{1:016x}"
    clock = r"\d\d:\d\d:\d\d\.\d{3}"
    expected = rf"\S+T{clock}Z +timeout +dead/timeout +up.\[2Jload +0\.000s +{span_id} +last seen {clock}, due {clock}"
    assert re.fullmatch(expected, line), line
    assert "\x1b" not in line
    [letter] = lines_of(run("tail", "dlq", "--broker", dev.broker, "--from-beginning", "--count", "1").out)
    assert re.search(rf"timeout +incomplete +dead/timeout +up.\[2Jload +{span_id} +last seen", letter)


def test_from_now_on_means_that_what_is_old_is_not_shown(dev: Dev) -> None:
    """The final that was written before is not shown again; one that comes afterwards is."""
    assert run("send", "--broker", dev.broker, stdin=span("start", 2) + span("end", 2)).code == 0
    first = run("tail", "--broker", dev.broker, "--from-beginning", "--timeout", "1", "--json")
    assert f"{2:032x}" in first.out
    with start("tail", "--broker", dev.broker, "--json", "--count", "1") as tail:
        assert tail.stderr is not None
        assert tail.stdout is not None
        assert tail.stderr.readline() == b"Reading spans.finalized from now on; Ctrl-C ends.\n"
        assert run("send", "--broker", dev.broker, stdin=span("start", 3) + span("end", 3)).code == 0
        told = json.loads(tail.stdout.readline())
        assert tail.wait(timeout=LIMIT_SECONDS) == 0
    assert told["key"] == f"{3:032x}"
    assert told["headers"]["span-finalizer-cause"] == "completed"
    [resource] = told["value"]["resourceSpans"]
    assert resource["scopeSpans"][0]["spans"][0]["traceId"] == told["key"]


def test_rejected_records_are_told_with_their_reason(dev: Dev) -> None:
    """Reason, detail, where it stood, and how it begins; as JSON also what is no text."""
    assert run("send", "--raw", "--broker", dev.broker, stdin=b"\xff\xfe\n").code == 0
    [line] = lines_of(run("tail", "rejected", "--broker", dev.broker, "--from-beginning", "--count", "1").out)
    assert re.search(r"malformed .* from spans\.events/\d/\d+: ", line), line
    [told] = lines_of(run("tail", "rejected", "--broker", dev.broker, "--from-beginning", "--count", "1", "--json").out)
    assert json.loads(told)["value"] == {"base64": "//4="}


def test_tail_ends_quietly(dev: Dev) -> None:
    """On Ctrl-C, after its time, and when nobody reads it any more (`| head`)."""
    with start("tail", "--broker", dev.broker) as tail:
        assert tail.stderr is not None
        tail.stderr.readline()
        tail.send_signal(signal.SIGINT)
        assert tail.wait(timeout=LIMIT_SECONDS) == 0
        assert tail.stderr.read() == b""
    ran = run("tail", "--broker", dev.broker, "--timeout", "0.2")
    assert (ran.code, ran.out) == (0, "")
    with start("tail", "--broker", dev.broker) as tail:
        assert tail.stderr is not None
        assert tail.stdout is not None
        tail.stderr.readline()
        tail.stdout.close()
        assert run("send", "--broker", dev.broker, stdin=span("start", 4) + span("end", 4)).code == 0
        assert tail.wait(timeout=LIMIT_SECONDS) == 0
        assert tail.stderr.read() == b""
        tail.stdout = None


def test_check_finds_everything_good(dev: Dev) -> None:
    """What runs is right, and `check` says so."""
    ran = run("check", "--broker", dev.broker, "--session-timeout", "2")
    assert (ran.code, lines_of(ran.out)[0]) == (0, "All good.")
    assert dev.broker in ran.out


def test_a_port_that_is_asked_for_and_taken_is_one_sentence(dev: Dev) -> None:
    """Exit code 1; nobody finds a broker elsewhere than where it was asked to be."""
    port = dev.broker.rpartition(":")[2]
    ran = run("dev", "--port", port)
    assert (ran.code, ran.sentence) == (1, f"finalizer: Port {port} on 127.0.0.1 is taken by another program.")
    ran = run("dev", "--port", str(free_port()), "--web-port", str(dev.web_port))
    assert (ran.code, ran.sentence) == (1, f"finalizer: Port {dev.web_port} on 127.0.0.1 is taken by another program.")


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")
def test_without_a_port_a_free_one_is_taken_and_said() -> None:
    """And if it is killed, broker and worker end with it."""
    with socket.socket() as taken:
        with contextlib.suppress(OSError):  # somebody else has it: as good
            taken.bind(("127.0.0.1", 9092))
            taken.listen()
        with start("dev") as process:
            assert process.stderr is not None
            assert process.stdout is not None
            assert re.match(rb"Port 9092 is taken, \d+ is used instead\.\n", process.stderr.readline())
            assert process.stdout.readline().startswith(b"A Kafka broker listens on 127.0.0.1:")
            family = descendants(process.pid)
            assert len(family) >= 4  # two supervisors, a broker, a worker
            process.kill()
            process.wait(timeout=LIMIT_SECONDS)
            until(lambda: not alive(family))


def test_a_wrong_policy_is_told_before_anything_starts(tmp_path: Path) -> None:
    """With the line of the file that a person has, not of a copy."""
    (tmp_path / "finalizer.yaml").write_text("worker: {app_id: x}\nterms:\n  silense: 1h\n")
    ran = run("dev", folder=tmp_path)
    assert ran.code == 1
    assert ran.sentence.startswith("finalizer: finalizer.yaml:3: terms")

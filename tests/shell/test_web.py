"""The worker's HTTP, asked for real: what a scraper, a kubelet and a curious person get."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from finalizer.shell import logs
from finalizer.shell.metrics import About, Metrics, PartitionView
from finalizer.shell.stop import Exit, Stop
from finalizer.shell.web import Web
from tests.waiting import LIMIT_SECONDS

ABOUT = About(policy="9f2c", delivery="exactly_once", app_id="span-finalizer")
OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"}


class Worker:
    """A worker whose health is what a test says."""

    stuck: str | None = None
    awaited: str | None = None

    def live(self) -> str | None:
        return self.stuck

    def ready(self) -> str | None:
        return self.awaited

    def detail(self) -> Mapping[str, object]:
        return {"partitions": [PartitionView(number=3, clock_lag_seconds=0.5)]}


def make_web(worker: Worker, port: int = 0, *, bind: str = "127.0.0.1") -> Web:
    """A server that is not started."""
    metrics = Metrics(inputs=["spans.events"], rules=["default"], about=ABOUT)
    metrics.observe_closing_delay(0.2, trace_id="4bf92f3577b34da6a3ce929d0e0e4736")
    return Web(bind, port, metrics=metrics, health=worker, about=ABOUT)


@asynccontextmanager
async def serving(worker: Worker) -> AsyncIterator[ClientSession]:
    """A client of a server that runs."""
    web = make_web(worker)
    await web.start()
    try:
        async with ClientSession(f"http://127.0.0.1:{web.port}") as client:
            yield client
    finally:
        await web.stop()


async def test_prometheus_reads_the_metrics() -> None:
    """`/metrics` is Prometheus text, and OpenMetrics with exemplars for who accepts it."""
    async with serving(Worker()) as client:
        async with client.get("/metrics") as answer:
            assert answer.status == 200
            assert answer.content_type == "text/plain"
            names = {family.name for family in parse_text(await answer.text())}
        assert {"span_finalizer_finals", "span_finalizer_open_spans", "span_finalizer_build_info"} <= names
        async with client.get("/metrics", headers=OPENMETRICS) as answer:
            assert answer.content_type == "application/openmetrics-text"
            families = list(parse_openmetrics(await answer.text()))  # type: ignore[no-untyped-call]
        assert [sample.exemplar for family in families for sample in family.samples if sample.exemplar]


async def test_one_metric_can_be_asked_for() -> None:
    """`?name[]=` restricts a scrape, as with every Prometheus client."""
    async with (
        serving(Worker()) as client,
        client.get("/metrics", params={"name[]": "span_finalizer_finals_total"}) as answer,
    ):
        assert {family.name for family in parse_text(await answer.text())} == {"span_finalizer_finals"}


async def test_a_stuck_worker_is_not_alive() -> None:
    """`/livez` is 200 while the worker makes progress, and 503 with what is stuck when it does not."""
    worker = Worker()
    async with serving(worker) as client:
        async with client.get("/livez") as answer:
            assert (answer.status, await answer.json()) == (200, {"live": True, "reason": None})
        worker.stuck = "No group was committed for 61 s on partition 3."
        async with client.get("/livez") as answer:
            assert (answer.status, await answer.json()) == (503, {"live": False, "reason": worker.stuck})


async def test_a_worker_is_ready_when_it_says_so() -> None:
    """`/readyz` is 503 with the reason until the worker is ready, and tells of its partitions either way."""
    worker = Worker()
    worker.awaited = "Partition 3 is being restored."
    async with serving(worker) as client:
        async with client.get("/readyz") as answer:
            body = await answer.json()
            assert (answer.status, body["ready"], body["reason"]) == (503, False, worker.awaited)
            assert body["partitions"][0]["number"] == 3
        worker.awaited = None
        async with client.get("/readyz") as answer:
            body = await answer.json()
            assert (answer.status, body["ready"], body["reason"]) == (200, True, None)
            assert body["partitions"][0]["clock_lag_seconds"] == 0.5


async def test_probes_are_not_cached() -> None:
    """A proxy between must not answer a probe from memory."""
    async with serving(Worker()) as client:
        for path in ("/livez", "/readyz", "/version"):
            async with client.get(path) as answer:
                assert answer.headers["Cache-Control"] == "no-store"


async def test_the_version_is_told() -> None:
    """`/version` says what runs, in JSON."""
    async with serving(Worker()) as client, client.get("/version") as answer:
        body = await answer.json()
    assert body.keys() == {"version", "running", "python", "faust", "aiokafka", "policy", "delivery", "app_id"}
    assert (body["policy"], body["delivery"], body["faust"]) == ("9f2c", "exactly_once", ABOUT.faust)


@pytest.mark.parametrize("path", ["/metrics", "/livez", "/readyz", "/version"])
async def test_head_asks_without_a_body(path: str) -> None:
    """HEAD has the status of GET and no body."""
    async with serving(Worker()) as client, client.head(path) as answer:
        assert (answer.status, await answer.read()) == (200, b"")


@pytest.mark.parametrize("path", ["/", "/tables", "/metrics/", "/%00", "/../etc/passwd"])
async def test_what_is_not_there_is_told_in_a_sentence(path: str) -> None:
    """A wrong path gets 404 and the list of the right ones, as JSON; nothing of the request comes back."""
    async with serving(Worker()) as client, client.get(path) as answer:
        assert (answer.status, answer.content_type) == (404, "application/json")
        body = await answer.json()
    assert body == {"error": "Not Found. Here are /metrics, /livez, /readyz and /version."}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_the_server_is_read_only(method: str) -> None:
    """Any other method gets 405 with what is allowed."""
    async with serving(Worker()) as client, client.request(method, "/readyz", data=b"x") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
        assert await answer.json() == {"error": "This server is read-only: GET, HEAD only."}


async def test_a_taken_port_is_a_wrong_configuration() -> None:
    """Where another program has the port, the worker stops with exit code 1 and a sentence that says what to set."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Stop) as stop:
            await make_web(Worker(), port).start()
    assert stop.value.code is Exit.CONFIGURATION
    assert stop.value.sentence == (
        f"The web server cannot listen on 127.0.0.1:{port} (Address already in use): choose another place"
        " with --web-bind and --web-port, where port 0 takes a free one."
    )


@pytest.mark.parametrize(("bind", "port"), [("192.0.2.1", 0), ("no such host", 0), ("127.0.0.1", 70_000)])
async def test_a_place_that_cannot_be_had_is_a_wrong_configuration(bind: str, port: int) -> None:
    """An address of another machine, a name that means nothing, a port that is none: one sentence, no trace."""
    with pytest.raises(Stop, match="The web server cannot listen on") as stop:
        await make_web(Worker(), port, bind=bind).start()
    assert stop.value.code is Exit.CONFIGURATION


async def test_a_stopped_server_gives_its_port_back() -> None:
    """A restart in place finds its port free, and stopping twice is stopping."""
    first = make_web(Worker())
    await first.start()
    await first.stop()
    await first.stop()
    second = make_web(Worker(), first.port)
    await second.start()
    await second.stop()
    assert second.port == first.port > 0


@pytest.mark.usefixtures("own_logging")
async def test_requests_and_scanners_leave_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Probes, wrong paths and bytes that are no HTTP are not events of the worker."""
    logs.setup("text", "DEBUG")
    web = make_web(Worker())
    await web.start()
    try:
        async with ClientSession(f"http://127.0.0.1:{web.port}") as client:
            for path in ("/livez", "/metrics", "/nothing"):
                async with client.get(path):
                    pass
        for words in (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"EHLO there\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
            writer.write(words)
            writer.write_eof()
            await asyncio.wait_for(reader.read(), LIMIT_SECONDS)
            writer.close()
            await writer.wait_closed()
    finally:
        await web.stop()
    assert capsys.readouterr() == ("", "")

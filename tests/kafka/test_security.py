"""Logins, certificates and permissions: the worker runs with exactly what the README lists, and no secret is told."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest
from aiohttp import web

from tests.brokers import Broker
from tests.brokers.secured import SECRET, STRANGER, USER, SecuredKafka, token
from tests.cli.runs import run
from tests.contracts.crashes import STEADY
from tests.contracts.load import completed_once, finals_of
from tests.contracts.stage import Stage, set_up, set_up_mixed
from tests.contracts.startup import ended
from tests.ports import free_port
from tests.traffic import event, send

SPANS = 20
LOGIN = {"--security-protocol": "SASL_PLAINTEXT", "--sasl-username": USER, "--sasl-password": SECRET}


@pytest.fixture(scope="module")
def kafka() -> Iterator[SecuredKafka]:
    """A node of this module's own."""
    with SecuredKafka() as kafka:
        yield kafka


@pytest.fixture
def broker(kafka: SecuredKafka) -> Broker:
    """The node by the operator's door."""
    return Broker(kafka.bootstrap, has_transactions=True, honours_log_append_time=True)


@pytest.fixture
async def endpoint() -> AsyncIterator[str]:
    """An endpoint that grants a token to the user, and to nobody else."""

    async def grant(request: web.Request) -> web.Response:
        form = await request.post()
        asked = (form["grant_type"], form.get("scope"), request.headers["Authorization"])
        login = base64.b64encode(f"{USER}:{SECRET}".encode()).decode()
        if asked != ("client_credentials", "kafka", f"Basic {login}"):
            return web.Response(status=401)
        return web.json_response({"access_token": token(USER), "token_type": "Bearer", "expires_in": 600})

    app = web.Application()
    app.router.add_post("/token", grant)
    runner, port = web.AppRunner(app), free_port()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield f"http://127.0.0.1:{port}/token"
    await runner.cleanup()


async def test_every_login_with_the_least_permissions(
    kafka: SecuredKafka, broker: Broker, endpoint: str, tmp_path: Path
) -> None:
    """By each mechanism a worker makes its topics, restores and finalizes with what the README lists, and no more."""
    stage = await set_up_mixed(broker)
    await asyncio.to_thread(allow, kafka, stage)
    tokenfile = tmp_path / "token"
    tokenfile.write_text(token(USER))
    certificate = {"--ssl-cafile": str(kafka.folder / "ca.pem"), "--ssl-certfile": str(kafka.folder / f"{USER}.pem")}
    bearer = {"--security-protocol": "SASL_PLAINTEXT", "--sasl-mechanism": "OAUTHBEARER"}
    logins: list[tuple[str, Mapping[str, str]]] = [
        (kafka.sasl, LOGIN),
        (kafka.sasl, LOGIN | {"--sasl-mechanism": "SCRAM-SHA-256"}),
        (kafka.sasl, LOGIN | {"--sasl-mechanism": "SCRAM-SHA-512"}),
        (kafka.sasl, bearer | {"--sasl-tokenfile": str(tokenfile)}),
        (kafka.sasl, LOGIN | bearer | {"--sasl-token-url": endpoint, "--sasl-token-scope": "kafka"}),
        (kafka.tls, certificate | {"--security-protocol": "SSL"}),
    ]
    for number, (bootstrap, login) in enumerate(logins):
        spans = range(number * SPANS, (number + 1) * SPANS)
        with stage.by(bootstrap).worker(terms=STEADY, flags=login) as worker:
            await asyncio.to_thread(worker.start)
            for input_, some in zip(stage.inputs, (spans[::2], spans[1::2]), strict=True):
                await send(broker.bootstrap, input_, [event(kind, n) for n in some for kind in ("start", "end")])
            found = await finals_of(stage, spans.stop, quiet=0.2)
            assert await asyncio.to_thread(worker.terminate) == 0
            assert "Authorization" not in worker.log, worker.log
            assert "delivery=exactly_once" in worker.log
            assert SECRET not in worker.log
            assert token(USER)[:20] not in worker.log
        completed_once(found, spans.stop, broker=broker)


async def test_who_is_refused_is_told(kafka: SecuredKafka, broker: Broker) -> None:
    """A wrong password, a user without permissions, a certificate nobody vouches for: exit 1 and a sentence, and
    nothing of the secret."""
    stage = await set_up(broker)
    refused = [
        (kafka.sasl, LOGIN | {"--sasl-password": f"{SECRET}-not"}, "refused us"),
        (kafka.sasl, LOGIN | {"--sasl-username": STRANGER}, "Authorization failed"),
        (kafka.tls, {"--security-protocol": "SSL"}, "CERTIFICATE_VERIFY_FAILED"),
    ]
    for bootstrap, login, why in refused:
        with stage.by(bootstrap).worker(flags=login) as worker:
            said = await asyncio.to_thread(ended, worker, 1)
        options = {"--broker": bootstrap, "--app-id": stage.name, **login}
        checked = await asyncio.to_thread(run, "check", *(part for one in options.items() for part in one))
        assert checked.code == 1
        assert why in said
        assert SECRET not in said + checked.out + checked.err


def allow(kafka: SecuredKafka, stage: Stage) -> None:
    """Let the user run a worker on this stage."""
    outputs = [stage.output(role) for role in ("finalized", "dlq", "rejected")]
    kafka.allow(stage.name, inputs=list(stage.inputs), outputs=outputs)

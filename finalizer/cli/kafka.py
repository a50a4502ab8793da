"""Reaching Kafka from a command: the connection, and its failures as sentences."""

from __future__ import annotations

import functools
import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import aiokafka.errors as kafka
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaError

from finalizer.cli.options import BROKER, SECURITY, together
from finalizer.shell.settings import Security
from finalizer.shell.stop import Exit, Stop

ANSWER_SECONDS = 5.0
"""How long a command waits for a broker that does not answer."""

WRONG_SETTINGS = (
    kafka.AuthenticationFailedError,
    kafka.AuthenticationMethodNotSupported,
    kafka.ClusterAuthorizationFailedError,
    kafka.GroupAuthorizationFailedError,
    kafka.IllegalSaslStateError,
    kafka.InvalidTopicError,
    kafka.SaslAuthenticationFailed,
    kafka.TopicAuthorizationFailedError,
    kafka.UnsupportedSaslMechanismError,
)

UNREACHABLE = (
    TimeoutError,
    kafka.KafkaConnectionError,
    kafka.KafkaTimeoutError,
    kafka.NoBrokersAvailable,
    kafka.NodeNotReadyError,
    kafka.RequestTimedOutError,
)

F = TypeVar("F", bound=Callable[..., Any])


class Connection:
    """How to reach the broker, as the options say it."""

    def __init__(self, broker: str, **options: Any) -> None:
        self.broker = broker
        self._options = options

    @functools.cached_property
    def security(self) -> Security:
        """Protocol, login and TLS files, read now. Raises ``Stop`` where they are wrong or contradict each other."""
        return security(**self._options)

    @property
    def client_arguments(self) -> dict[str, Any]:
        """Keyword arguments for any aiokafka client."""
        return {"bootstrap_servers": self.broker, **self.security.client_arguments()}


def connection_options(command: F) -> F:
    """`--broker` and the TLS and SASL settings, given to the command as one `connection`."""

    @functools.wraps(command)
    def with_connection(*args: Any, **given: Any) -> Any:
        options = {name: given.pop(name) for name in ("broker", *SECURITY)}
        return command(*args, connection=Connection(**options), **given)

    decorated: F = together({"broker": BROKER}, SECURITY)(with_connection)
    return decorated


def security(
    *,
    security_protocol: str = "PLAINTEXT",
    sasl_mechanism: str | None = None,
    sasl_username: str | None = None,
    sasl_password: str | None = None,
    sasl_tokenfile: str | None = None,
    sasl_token_url: str | None = None,
    sasl_token_scope: str | None = None,
    ssl_cafile: str | None = None,
    ssl_certfile: str | None = None,
    ssl_keyfile: str | None = None,
    ssl_key_password: str | None = None,
) -> Security:
    """Return the security settings. Raises ``Stop`` where they contradict each other or a file cannot be used."""
    with_sasl, with_tls = security_protocol.startswith("SASL"), security_protocol.endswith("SSL")
    if not with_sasl and (sasl_mechanism or sasl_username or sasl_password or sasl_tokenfile or sasl_token_url):
        raise Stop(
            Exit.CONFIGURATION,
            f"SASL settings need --security-protocol SASL_SSL or SASL_PLAINTEXT, not {security_protocol}.",
        )
    with_tokens = with_sasl and sasl_mechanism == "OAUTHBEARER"
    if with_sasl and not with_tokens and not (sasl_username and sasl_password):
        raise Stop(Exit.CONFIGURATION, f"{security_protocol} needs --sasl-username and --sasl-password.")
    if not with_tls and (ssl_cafile or ssl_certfile or ssl_keyfile):
        raise Stop(Exit.CONFIGURATION, f"TLS files need --security-protocol SSL or SASL_SSL, not {security_protocol}.")
    if ssl_keyfile and not ssl_certfile:
        raise Stop(Exit.CONFIGURATION, "--ssl-keyfile needs --ssl-certfile.")
    return Security(
        protocol=security_protocol,
        mechanism=(sasl_mechanism or "PLAIN") if with_sasl else None,
        username=sasl_username,
        password=sasl_password,
        tokens=_tokens(sasl_tokenfile, sasl_token_url, (sasl_username, sasl_password), scope=sasl_token_scope)
        if with_tokens
        else None,
        ssl_context=_tls(ssl_cafile, ssl_certfile, ssl_keyfile, key_password=ssl_key_password) if with_tls else None,
    )


def _tokens(
    path: str | None, url: str | None, login: tuple[str | None, str | None], *, scope: str | None
) -> AbstractTokenProvider:
    from finalizer.shell.tokens import ClientCredentials, TokenFile  # noqa: PLC0415 - few need it, and its HTTP client

    if (path is None) is (url is None):
        raise Stop(Exit.CONFIGURATION, "OAUTHBEARER needs either --sasl-tokenfile or --sasl-token-url.")
    if url is not None:
        client, secret = login
        if not client or not secret:
            raise Stop(Exit.CONFIGURATION, "--sasl-token-url needs --sasl-username and --sasl-password.")
        return ClientCredentials(url, client, secret, scope=scope)
    assert path is not None
    try:
        Path(path).read_text()
    except (OSError, UnicodeDecodeError) as problem:
        why = problem.strerror if isinstance(problem, OSError) else "not text"
        raise Stop(Exit.CONFIGURATION, f"--sasl-tokenfile {path} cannot be used: {why}.") from None
    return TokenFile(path)


def _tls(cafile: str | None, certfile: str | None, keyfile: str | None, *, key_password: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=cafile)
    except (OSError, ssl.SSLError) as problem:
        raise Stop(
            Exit.CONFIGURATION, f"--ssl-cafile {cafile} cannot be used: {problem.strerror or problem}."
        ) from None
    if certfile:
        try:
            # With a function OpenSSL never asks for a password on the terminal.
            context.load_cert_chain(certfile, keyfile, password=lambda: key_password or "")
        except (OSError, ssl.SSLError) as problem:
            files = certfile if keyfile is None else f"{certfile} with {keyfile}"
            raise Stop(
                Exit.CONFIGURATION, f"--ssl-certfile {files} cannot be used: {problem.strerror or problem}."
            ) from None
    return context


class LastWords(logging.Handler):
    """Keeps what the Kafka client said last, and keeps it from the terminal."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message."""
        self.said = record.getMessage()


@contextmanager
def kafka_client(connection: Connection) -> Iterator[None]:
    """Talk to Kafka inside: failures become ``Stop``, with a sentence that names the broker; its log stays silent."""
    last_words = LastWords()
    loggers = [logging.getLogger(name) for name in ("aiokafka", "asyncio")]
    for logger in loggers:
        logger.addHandler(last_words)
        logger.propagate = False
    try:
        yield
    except (KafkaError, TimeoutError) as error:
        raise kafka_stop(error, broker=connection.broker, said=last_words.said) from error
    finally:
        for logger in loggers:
            logger.removeHandler(last_words)
            logger.propagate = True


def kafka_stop(error: Exception, *, broker: str = "", said: str = "") -> Stop:
    """Return the sentence and the exit code for a failure of a Kafka client."""
    at = f" at {broker}" if broker else ""
    if isinstance(error, WRONG_SETTINGS):
        return Stop(Exit.CONFIGURATION, f"The broker{at} refused us: {_words(error)}")
    if isinstance(error, UNREACHABLE):
        why = f" ({said})" if said else ""
        return Stop(Exit.FAULT, f"No Kafka broker answers{at}: is it up, and is --broker right?{why}")
    return Stop(Exit.FAULT, f"The broker{at} reported a fault: {_words(error)}")


def _words(error: Exception) -> str:
    """Say what the broker said: the name of the error where it gave no text of its own."""
    text = str(error)
    name = type(error).__name__
    return text if name in text or not text else f"{name}: {text}"

"""The options that commands share. Order: flag, environment, `worker:` in finalizer.yaml, default.

Every option is also FINALIZER_<NAME>; a secret also FINALIZER_<NAME>_FILE, which names a file that holds it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from finalizer.cli.config import DEFAULT_PATH, given_config
from finalizer.policy.quantities import duration_or_off
from finalizer.policy.tree import Scalar
from finalizer.policy.values import Refused, Value
from finalizer.shell.stop import Exit, Stop

F = TypeVar("F", bound=Callable[..., Any])
Decorator = Callable[[F], F]


def option(name: str, *parameter: str, **settings: Any) -> Decorator[Any]:
    """An option `--name` that is also the environment variable FINALIZER_NAME."""
    return click.option(f"--{name}", *parameter, envvar=f"FINALIZER_{name.upper().replace('-', '_')}", **settings)


class Secret(click.Option):
    """An option that may also lie in a file, which the variable with `_FILE` behind its name names."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """Return the value from the environment or from the file. Raises ``Stop`` where both, or no file, are there."""
        value = super().resolve_envvar_value(ctx)
        variable = f"{self.envvar}_FILE"
        path = os.environ.get(variable)
        if not path:
            return value
        if value is not None:
            raise Stop(Exit.CONFIGURATION, f"{self.envvar} and {variable} are both set: unset one of them.")
        try:
            return Path(path).read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as problem:
            why = problem.strerror if isinstance(problem, OSError) else "not text"
            raise Stop(Exit.CONFIGURATION, f"{variable}: {path}: {why}.") from None


class Written(click.ParamType):
    """A value as finalizer.yaml has it, and as the policy works with it."""

    def __init__(self, value: Value) -> None:
        self.name = value.label
        self._value = value

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """Return what is worked with; fails where the policy would refuse it."""
        if not isinstance(value, str):
            return value
        try:
            return self._value.read(Scalar(value, plain=True, line=0))
        except Refused as refused:
            self.fail(f"{refused}.", param, ctx)


class Brokers(click.ParamType):
    """`host:port`, or several with commas between."""

    name = "host:port,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the list without blanks; fails on an address without a host or a port number."""
        addresses = [address.strip() for address in str(value).split(",")]
        for address in addresses:
            host, _, port = address.rpartition(":")
            if not host or not port.isdecimal() or not 0 < int(port) < 65536:
                self.fail(f"{address!r} is not host:port.", param, ctx)
        return ",".join(addresses)


BROKER = option("broker", type=Brokers(), default="127.0.0.1:9092", help="Kafka brokers to start from.")
SECURITY = {
    "security_protocol": option(
        "security-protocol",
        type=click.Choice(["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]),
        default="PLAINTEXT",
        help="How to talk to the brokers.",
    ),
    "sasl_mechanism": option(
        "sasl-mechanism",
        type=click.Choice(["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]),
        help="How to log in, with a SASL protocol.  [default: PLAIN]",
    ),
    "sasl_username": option("sasl-username", help="Name to log in with; of a token endpoint's client."),
    "sasl_password": option("sasl-password", cls=Secret, help="Password to log in with (better by file)."),
    "sasl_tokenfile": option("sasl-tokenfile", metavar="FILE", help="OAUTHBEARER: the token, read anew each time."),
    "sasl_token_url": option("sasl-token-url", metavar="URL", help="OAUTHBEARER: the endpoint that grants tokens."),
    "sasl_token_scope": option("sasl-token-scope", help="OAUTHBEARER: the scope to ask the endpoint for."),
    "ssl_cafile": option("ssl-cafile", metavar="FILE", help="Certificates to trust (PEM), instead of the system's."),
    "ssl_certfile": option("ssl-certfile", metavar="FILE", help="Our certificate (PEM)."),
    "ssl_keyfile": option("ssl-keyfile", metavar="FILE", help="Its key, if not in the same file (PEM)."),
    "ssl_key_password": option("ssl-key-password", cls=Secret, help="Password of the key (better by file)."),
}
WORKER = {
    "app_id": option("app-id", default="span-finalizer", help="Name of group, changelog and transactions."),
    "delivery": option(
        "delivery",
        type=click.Choice(["auto", "exactly_once", "effectively_once"]),
        default="auto",
        help="What readers of the output may rely on; auto: what the broker offers, decided once.",
    ),
    "instance_id": option("instance-id", help="Static membership: a restart takes its partitions back at once."),
    "leave": option("leave", is_flag=True, help="With --instance-id: give the partitions up on SIGTERM."),
    "start_from": option(
        "start-from",
        type=click.Choice(["earliest", "latest"]),
        default="earliest",
        help="Where the first deployment begins to read.",
    ),
    "session_timeout": option(
        "session-timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=10.0,
        metavar="SECONDS",
        help="How long the group waits for a worker that is silent.",
    ),
    "compression": option(
        "compression",
        type=click.Choice(["none", "gzip", "snappy", "lz4", "zstd"]),
        default="zstd",
        help="Of batches on the output topics; none: for consumers that know no zstd (Kafka 2.1).",
    ),
}
WEB = {
    "web_bind": option("web-bind", default="127.0.0.1", help="Address of /metrics, /livez, /readyz and /version."),
    "web_port": option(
        "web-port", type=click.IntRange(0, 65535), default=6066, help="Port of the same; 0: a free one."
    ),
}
LOGS = {
    "log_format": option(
        "log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        help="One line an event, for eyes or programs.",
    ),
    "log_level": option(
        "log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", help="Least level shown."
    ),
}
CLIENTS = {
    "spool_ttl": option(
        "spool-ttl",
        type=Written(duration_or_off()),
        default="24h",
        metavar="DURATION",
        help="How long the spools of clients keep what they have; off: none has one.",
    ),
}
NAMES = ("broker", *SECURITY, *WORKER, *WEB, *LOGS, *CLIENTS)
"""What may stand under `worker:` in finalizer.yaml."""


def together(*groups: dict[str, Decorator[Any]]) -> Decorator[Any]:
    """All options of these groups as one decorator, in the order in which the help shows them."""

    def decorate(command: Any) -> Any:
        for one in reversed([one for group in groups for one in group.values()]):
            command = one(command)
        return command

    return decorate


def config_option(command: F) -> F:
    """`--config`, given to the command as a `ConfigFile`; its `worker:` stands behind the options of the command."""
    decorate: Decorator[F] = option(
        "config",
        metavar="FILE",
        default=str(DEFAULT_PATH),
        is_eager=True,
        callback=lambda ctx, param, path: given_config(ctx, param, path, known=NAMES),
        help="The policy: inputs, outputs, terms and rules.",
    )
    return decorate(command)

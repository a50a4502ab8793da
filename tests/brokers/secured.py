"""Apache Kafka with an authorizer, a SASL and a TLS listener, and one user who may do what the README says, no more.

The plain listener is the operator's: whoever comes through it may do everything.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tests.brokers.jars import java, kafka_jars
from tests.brokers.kafka import ApacheKafka
from tests.brokers.properties import Listener
from tests.ports import free_port

USER, SECRET = "finalizer", "open-sesame"
STRANGER = "stranger"
LOGINS = "org.apache.kafka.common.security"
README = Path(__file__).parents[2] / "README.md"
OPERATIONS = re.compile(r"\b(?:Read|Write|DescribeConfigs|Describe|Create)\b")


class SecuredKafka(ApacheKafka):
    """One node; files for its clients lie in ``folder``."""

    def __init__(self) -> None:
        self._keys = tempfile.TemporaryDirectory(prefix="span-finalizer-keys-")
        self.folder = Path(self._keys.name)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.folder / "ca.pem")
        self._write(authority.issue_cert("127.0.0.1", common_name="broker"), "broker")
        self._write(authority.issue_cert(f"{USER}.example", common_name=USER), USER)
        sasl, tls = Listener("SASL", free_port(), "SASL_PLAINTEXT"), Listener("TLS", free_port(), "SSL")
        super().__init__(listeners=[sasl, tls], settings=self._security(), scram={USER: SECRET, STRANGER: SECRET})

    @property
    def sasl(self) -> str:
        """``host:port`` of the listener for PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER."""
        return f"127.0.0.1:{self.listeners[0].port}"

    @property
    def tls(self) -> str:
        """``host:port`` of the listener that wants a client's certificate."""
        return f"127.0.0.1:{self.listeners[1].port}"

    def allow(self, app_id: str, *, inputs: list[str], outputs: list[str]) -> None:
        """Let the user do what the README's table of permissions lists for such a worker."""
        resources = {
            "topics: inputs": ["--topic", *_each("--topic", inputs)],
            "topics: the three outputs": ["--topic", *_each("--topic", outputs)],
            "topic: `<app-id>-evidence`": ["--topic", f"{app_id}-evidence"],
            "topic: `<app-id>-control`": ["--topic", f"{app_id}-control"],
            "topic: `spans.instances`, if it is read": ["--topic", "spans.instances"],
            "topic: the changelog": ["--topic", f"{app_id}-open_spans-changelog"],
            "group `<app-id>`": ["--group", app_id],
            "group `<app-id>-instances`, if it is read": ["--group", f"{app_id}-instances"],
            "transactional id, prefix `<app-id>-`": [
                "--transactional-id",
                f"{app_id}-",
                "--resource-pattern-type",
                "prefixed",
            ],
            "cluster": ["--cluster"],
        }
        for resource, operations in permissions():
            self._admit([*resources[resource], *(part for one in operations for part in ("--operation", one))])

    def _admit(self, what: list[str]) -> None:
        tool = [java(), "-cp", f"{kafka_jars()}/*", "org.apache.kafka.tools.AclCommand"]
        whom = ["--bootstrap-server", self.bootstrap, "--add", "--allow-principal", f"User:{USER}"]
        done = subprocess.run([*tool, *whom, *what], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr or done.stdout

    def _write(self, certificate: trustme.LeafCert, name: str) -> None:
        """Key (as Kafka reads it: PKCS #8) and certificates in one file."""
        key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        chain = b"".join(one.bytes() for one in certificate.cert_chain_pems)
        (self.folder / f"{name}.pem").write_bytes(pem + chain)

    def _security(self) -> dict[str, str]:
        sasl, tls = "listener.name.sasl", "listener.name.tls"
        plain = f'{LOGINS}.plain.PlainLoginModule required user_{USER}="{SECRET}" user_{STRANGER}="{SECRET}";'
        bearer = f'{LOGINS}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";'
        return {
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            f"{sasl}.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
            f"{sasl}.plain.sasl.jaas.config": plain,
            f"{sasl}.scram-sha-256.sasl.jaas.config": f"{LOGINS}.scram.ScramLoginModule required;",
            f"{sasl}.scram-sha-512.sasl.jaas.config": f"{LOGINS}.scram.ScramLoginModule required;",
            f"{sasl}.oauthbearer.sasl.jaas.config": bearer,
            f"{tls}.ssl.client.auth": "required",
            f"{tls}.ssl.keystore.type": "PEM",
            f"{tls}.ssl.keystore.location": str(self.folder / "broker.pem"),
            f"{tls}.ssl.truststore.type": "PEM",
            f"{tls}.ssl.truststore.location": str(self.folder / "ca.pem"),
            f"{tls}.ssl.principal.mapping.rules": "RULE:^.*CN=([^,]+).*$/$1/,DEFAULT",
        }

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._keys.cleanup()


def permissions() -> list[tuple[str, list[str]]]:
    """The README's table of permissions: resource and operations. What stands behind a semicolon is others'."""
    section = README.read_text().partition("### Permissions\n")[2].partition("\n### ")[0]
    rows = [row.split(" | ") for row in re.findall(r"^\| (.*) \|$", section, re.MULTILINE)][2:]
    return [(resource, OPERATIONS.findall(operations.partition(";")[0])) for resource, operations, _ in rows]


def token(user: str, *, seconds: float = 600) -> str:
    """An unsecured token (RFC 7519, 6) as Kafka takes it where nothing else is configured: for tests alone."""
    now = time.time()
    parts = ({"alg": "none"}, {"sub": user, "iat": now, "exp": now + seconds})
    return ".".join(base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in parts) + "."


def _each(flag: str, names: list[str]) -> list[str]:
    """Names of several resources of a kind: each but the first with the flag before it."""
    return [names[0], *(part for name in names[1:] for part in (flag, name))]

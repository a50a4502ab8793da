"""Where the tokens for OAUTHBEARER come from: a file that somebody keeps fresh, or an endpoint that grants them.

The Kafka client asks for a token with each new connection, from whichever thread has it. What a provider cannot get
it raises as an `OSError`: the client logs it, and tries the connection again.
"""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import aiohttp
from aiokafka.abc import AbstractTokenProvider

ASK_SECONDS = 10.0
EARLY_SECONDS = 30.0
"""So long before it expires a token is not handed out any more."""


class TokenFile(AbstractTokenProvider):  # type: ignore[misc]
    """A token in a file, such as Kubernetes projects one: read anew each time."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    async def token(self) -> str:
        return self._path.read_text().strip()


class ClientCredentials(AbstractTokenProvider):  # type: ignore[misc]
    """Tokens granted to a client id and its secret (RFC 6749, 4.4); each is used until shortly before it expires."""

    def __init__(self, url: str, client_id: str, secret: str, *, scope: str | None) -> None:
        self._url = url
        login = f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()
        self._headers = {"Authorization": f"Basic {b64encode(login).decode()}"}
        self._form = {"grant_type": "client_credentials", **({"scope": scope} if scope else {})}
        self._token = ""
        self._expires_at = 0.0

    async def token(self) -> str:
        if time.monotonic() >= self._expires_at - EARLY_SECONDS:
            granted = await self._ask()
            self._expires_at = time.monotonic() + float(granted.get("expires_in", EARLY_SECONDS))
            self._token = str(granted["access_token"])
        return self._token

    async def _ask(self) -> dict[str, Any]:
        """What the endpoint grants. Raises `OSError`: neither the secret nor a token is in its words."""
        try:
            async with (
                asyncio.timeout(ASK_SECONDS),
                aiohttp.ClientSession() as session,
                session.post(self._url, data=self._form, headers=self._headers) as answer,
            ):
                if answer.status != 200:
                    raise OSError(f"it answers {answer.status} {answer.reason}")
                granted = await answer.json(content_type=None)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            why = str(error) or type(error).__name__
            raise OSError(f"the token endpoint {self._url} grants no token: {why}") from error
        if not isinstance(granted, dict) or "access_token" not in granted:
            raise OSError(f"the token endpoint {self._url} grants no token: its answer holds no access_token")
        return granted

"""Where a Redis is: `redis://`, `rediss://` or `unix://`, read without ever showing what it holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from redis.asyncio import Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from aigateway.errors import ConfigurationError
from aigateway.secrets import Secret, mask

__all__ = ["SCHEMES", "Place", "read_url"]

SCHEMES: Mapping[str, type[AbstractConnection]] = {
    "redis": Connection,
    "rediss": SSLConnection,
    "unix": UnixDomainSocketConnection,
}
# Certificates are always verified, so there is no setting for it.
FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
PREFIX = re.compile(r"[A-Za-z0-9_.:-]{1,64}", re.ASCII)
# Seconds for a connection, and for an answer.
PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class Place:
    """Say how to connect, and under which name things are kept."""

    name: str  # for people
    key: str  # of the hash and of the channel: pub/sub does not know databases
    kind: type[AbstractConnection]
    options: Mapping[str, Any] = field(repr=False)

    def limit(self, identity: bytes) -> str:
        """Name the key of an identity; what it is called is in nobody's clear text."""
        return f"{self.key.removesuffix(':rests:1')}:limit:1:{blake2b(identity, digest_size=16).hexdigest()}"

    def connection(self) -> AbstractConnection:
        """Make a connection that is not open yet; it repeats nothing by itself."""
        return self.kind(
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            **self.options,
        )

    def shown(self, error: BaseException) -> str:
        """Say what an error says, without what the URL holds."""
        password = Secret(str(self.options.get("password", "")))
        return mask(f"{type(error).__name__}: {error}", password, limit=200)


def read_url(url: Secret) -> Place:
    """Read a URL; no message repeats a part of it that may be secret. Raises ConfigurationError."""
    try:
        parts = urlsplit(url.reveal())
        port = parts.port or 6379
    except ValueError:
        parts, port = SplitResult("", "", "", "", "#"), 0
    if parts.fragment:  # what follows a stray character of a password would pass for host and port
        raise ConfigurationError(
            "the URL of Redis cannot be read. Write redis://USER:PASSWORD@HOST:PORT/DB, and /, #, ?, @ and : "
            "in a password as %2F, %23, %3F, %40 and %3A."
        )
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    unix = parts.scheme == "unix"
    where = {"path": unquote(parts.path)} if unix else {"host": parts.hostname or "localhost", "port": port}
    db = _db(query.pop("db", "") if unix else query.pop("db", "") or parts.path.strip("/"))
    prefix = query.pop("prefix", "aigateway")
    if not PREFIX.fullmatch(prefix):
        raise ConfigurationError("'prefix' in the URL of Redis must be 1 to 64 of A-Z, a-z, 0-9, and _.:-")
    options = {**where, "db": db, **_user(parts), **_files(parts.scheme, query)}
    shown = str(where.get("path", "")) or f"{where['host']}:{port}"
    return Place(mask(shown), f"{prefix}:{db}:rests:1", SCHEMES[parts.scheme], options)


def _db(text: str) -> int:
    if not re.fullmatch(r"[0-9]{0,4}", text, re.ASCII):
        raise ConfigurationError("the database in the URL of Redis must be a number, as in redis://HOST:PORT/0")
    return int(text or 0)


def _user(parts: SplitResult) -> dict[str, str]:
    given = {"username": unquote(parts.username or ""), "password": unquote(parts.password or "")}
    return {name: value for name, value in given.items() if value}


def _files(scheme: str, query: dict[str, str]) -> dict[str, Any]:
    allowed = FILES if scheme == "rediss" else ()
    for name in query:
        if name not in allowed:
            valid = ", ".join(sorted({"db", "prefix", *allowed}))
            raise ConfigurationError(f"the URL of Redis has the setting {name[:64]!r}. There are: {valid}.")
    return {**query, "ssl_check_hostname": True} if scheme == "rediss" else {}

"""Client keys of every sort, as the configuration says; and tokens' public keys, fetched when they are wanted."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import anyio

from ..callers import (
    Callers,
    CallerStore,
    Claims,
    FernetSeal,
    FileStore,
    Grant,
    Hand,
    Peppers,
    StaticKeys,
    StoredKeys,
    Tokens,
    Verifier,
    WeeklyKeys,
    domain_of,
    networks,
    parse_jwks,
)
from ..config import CallerKey, Settings, TokenSettings
from ..errors import ConfigurationError, GatewayError, Refusal
from ..gateway import Gateway
from ..parts import offered
from ..secrets import Secret, place, root
from ..types import Caller, Clock, Limits

__all__ = ["Inside", "Reload", "RemoteTokens", "Seen", "Who", "file_store", "weekly_keys"]

LOG = logging.getLogger("aigateway.callers")
Fetch = Callable[[str], Awaitable[bytes]]
Reload = Callable[[], Awaitable[list[str]]]
# Seconds before a JWKS is fetched again for a key that is not in it, while there is none, and in any case: a key that
# was withdrawn must end.
FETCHED_ANEW, FETCHED_AT_ALL, OUTDATED = 10.0, 1.0, 600.0


class Seen:
    """Count what this process was asked since it began."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.requests = 0


class Inside(NamedTuple):
    """Give an endpoint what it works with.

    `describe` gives the OpenAPI document of all routes, `reload` loads the configuration again.
    """

    gateway: Gateway
    who: Who
    seen: Seen
    describe: Callable[[], dict[str, Any]]
    reload: Reload


class Who:
    """Hold what tells callers apart, and the weekly keys by themselves for who hands them out.

    `before` is the one whose settings were others: what is the same goes on. Raises
    ConfigurationError that names the setting.
    """

    def __init__(self, gateway: Gateway, before: Who | None = None) -> None:
        settings, table = gateway.settings, gateway.settings.callers
        self.table, old = table, before.table if before else None
        self._written = [(key.secret, _granted(key, index, settings)) for index, key in enumerate(table.keys)]
        static = StaticKeys(self._written)
        if len(static) != len(table.keys):
            where = settings.locate("callers", "keys")
            raise ConfigurationError(f"{where}: two of callers.keys have the same secret. Give each its own.")
        self.weekly = weekly_keys(settings)
        verifiers: list[Verifier] = []
        self.stored: StoredKeys | None = None
        if table.store is not None:
            same = old and (old.store, old.roots, old.encrypt) == (table.store, table.roots, table.encrypt)
            self.stored = (before.stored if before and same else None) or StoredKeys(*_store(gateway))
            verifiers.append(self.stored)
        if self.weekly is not None:
            verifiers.append(self.weekly)
        self.tokens: Tokens | None = None
        if table.jwt is not None:
            self.tokens = _tokens(table.jwt, settings, gateway.clock, gateway.fetch)
            if before and old and old.jwt == table.jwt and isinstance(self.tokens, RemoteTokens):
                self.tokens.follow(before.tokens)
            verifiers.append(self.tokens)
        self.callers = Callers(static, verifiers)

    def grants(self) -> list[Grant]:
        """List what is known of client keys before they come; nothing is of tokens somebody else signs."""
        weekly = self.weekly.clients if self.weekly is not None else ()
        stored = self.stored.grants() if self.stored is not None else []
        written = [grant for _, grant in self._written]
        return [*written, *stored, *(Grant(Caller(client, tenant=f"weekly:{client}")) for client in weekly)]


def _store(gateway: Gateway) -> tuple[CallerStore, Peppers]:
    """Open the place client keys are kept in: a file, or what a plug-in offers."""
    settings = gateway.settings
    kind, _, rest = str(settings.callers.store).partition(":")
    if kind == "file":
        return file_store(settings)
    store = offered(settings, ("callers", "store"), lambda: gateway.registry.callers(kind).factory(rest), "find")
    return store, Peppers(_roots(settings))


def weekly_keys(settings: Settings) -> WeeklyKeys | None:
    """Make the weekly keys, where they are configured."""
    table = settings.callers.weekly
    if table is None:
        return None
    secret = _root(table.root, "callers.weekly.root", settings)
    clients = [client for client in table.clients if client not in table.deny]
    if not clients:
        raise ConfigurationError(
            f"{settings.locate('callers', 'weekly', 'deny')}: callers.weekly.deny leaves no client."
        )
    return WeeklyKeys(secret, clients, hand=Hand(table.grace, table.skew))


def file_store(settings: Settings) -> tuple[FileStore, Peppers]:
    """Open the file of client keys. Raises ConfigurationError where it or its root secret is missing."""
    table = settings.callers
    kind, _, path = (table.store or "").partition(":")
    if kind != "file" or not path:
        where = settings.locate("callers", "store")
        raise ConfigurationError(f'{where}: callers.store must be "file:PATH". Other places come as plug-ins.')
    roots = _roots(settings)
    peppers = Peppers(roots)
    seal = FernetSeal(roots) if table.encrypt else None
    return FileStore(place(Path(path), settings.context.base), peppers, seal=seal), peppers


def _roots(settings: Settings) -> list[Secret]:
    if not settings.callers.roots:
        where = settings.locate("callers", "store")
        raise ConfigurationError(f'{where}: callers.store needs a root secret. Add roots = ["env:SECRET_KEY"].')
    return [_root(secret, "callers.roots", settings) for secret in settings.callers.roots]


class RemoteTokens(Tokens):
    """Check tokens against the public keys at a URL, fetched when a token names one that is not at hand."""

    def __init__(self, claims: Claims, url: str, clock: Clock, fetch: Fetch) -> None:
        super().__init__(claims, keys={"keys": []})
        self._url = url
        self._clock = clock
        self._fetch = fetch
        self.fetched = -inf
        self.is_read = False
        self._fetching = anyio.Lock()

    def follow(self, before: Tokens | None) -> None:
        """Take over what another one fetched from the same place."""
        if isinstance(before, RemoteTokens):
            self.share(before)
            self.fetched, self.is_read = before.fetched, before.is_read

    async def find(self, key: str, at: float) -> Grant | None:
        """Give what a token allows; a place that cannot be reached leaves the keys that are known.

        Raises Refusal while there are none: that is not the caller's fault.
        """
        if self._is_due(key) and not (self.knows(key) and self._fetching.statistics().locked):
            async with self._fetching:  # whoever comes meanwhile waits for it, too
                if self._is_due(key):
                    await self._read()
        if not self.is_read:
            raise Refusal("tokens cannot be checked just now. Try again.", status=503, code="unavailable")
        return await super().find(key, at)

    def _is_due(self, key: str) -> bool:
        age = self._clock.now() - self.fetched
        return age >= (OUTDATED if self.knows(key) else FETCHED_ANEW if self.is_read else FETCHED_AT_ALL)

    async def _read(self) -> None:
        try:
            self.load(parse_jwks(await self._fetch(self._url)))
            self.is_read = True
        except GatewayError as error:
            LOG.warning("the public keys of callers.jwt cannot be read: %s", error.message)
        self.fetched = self._clock.now()


def _tokens(table: TokenSettings, settings: Settings, clock: Clock, fetch: Fetch) -> Tokens:
    claims = Claims(tuple(table.algorithms), table.audience, table.issuer, table.leeway, frozenset[str](table.scopes))
    try:
        if table.jwks is not None:
            return _keyed(claims, table, settings, clock, fetch)
        secret = table.secret and root(table.secret, _named(table.secret, "callers.jwt.secret"))
        return Tokens(claims, secret=secret)
    except ConfigurationError as error:
        raise ConfigurationError(f"{settings.locate('callers', 'jwt')}: {error.message}") from None


def _keyed(claims: Claims, table: TokenSettings, settings: Settings, clock: Clock, fetch: Fetch) -> Tokens:
    """Check tokens against public keys, in a file or at a URL."""
    if table.secret is not None:
        raise ConfigurationError("callers.jwt takes a secret or a jwks, not both.")
    if table.audience is None:
        raise ConfigurationError(
            "callers.jwt.jwks needs an audience: the same keys sign the tokens of other applications."
        )
    kind, _, path = str(table.jwks).partition(":")
    if kind == "https":
        return RemoteTokens(claims, str(table.jwks), clock, fetch)
    if kind != "file":
        raise ConfigurationError('callers.jwt.jwks must be "https://..." or "file:PATH".')
    try:
        text = place(Path(path), settings.context.base).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"callers.jwt.jwks cannot be read: {error.strerror}.") from None
    return Tokens(claims, keys=parse_jwks(text))


def _root(secret: Secret, name: str, settings: Settings) -> Secret:
    try:
        return root(secret, _named(secret, name))
    except ConfigurationError as error:
        raise ConfigurationError(f"{settings.locate(*name.split('.'))}: {error.message}") from None


def _named(secret: Secret, name: str) -> str:
    return f"{name} ({secret.source or 'as written'})"


def _granted(key: CallerKey, index: int, settings: Settings) -> Grant:
    try:
        return _grant(key)
    except ConfigurationError as error:
        where = settings.locate("callers", "keys", index)
        raise ConfigurationError(f"{where}: callers.keys of {key.name!r}: {error.message}") from None


def _grant(key: CallerKey) -> Grant:
    if unknown := [domain for domain in key.domains if not domain_of(domain)]:
        raise ConfigurationError(f"{unknown[0][:64]!r} is no domain (example.com is).")
    own = key.requests_per_minute, key.tokens_per_minute
    limits = Limits(*own) if any(own) else None
    caller = Caller(key.name, frozenset[str](key.scopes), key.secret.id, key.name, tuple(key.models), limits)
    return Grant(
        caller,
        key.starts.timestamp() if key.starts else -inf,
        key.expires.timestamp() if key.expires else inf,
        networks(key.networks),
        tuple(domain_of(domain) for domain in key.domains),
    )

"""Random keys: made once, shown once, kept as digests."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from ..errors import RequestError
from ..secrets import Secret, derive
from ._grants import Grant
from ._words import well_spelled, with_checksum

__all__ = ["ENVIRONMENTS", "CallerStore", "Peppers", "StoredKeys", "new_key"]

ENVIRONMENTS = ("live", "test", "staging", "dev")
PREFIXES = frozenset(f"gw_{name}_" for name in ENVIRONMENTS)


def new_key(environment: str = "live") -> Secret:
    """Make a key of 256 random bits: `gw_live_`, 43 digits, 6 digits of checksum."""
    if environment not in ENVIRONMENTS:
        raise RequestError(f"there is no environment {environment[:64]!r}. There are: {', '.join(ENVIRONMENTS)}.")
    return Secret(with_checksum(f"gw_{environment}_", secrets.token_bytes(32)))


class Peppers:
    """Digest keys under a pepper, HMAC-SHA256; the newest root first, older ones still found."""

    def __init__(self, roots: Sequence[Secret]) -> None:
        self._peppers = [hmac.new(derive(root, "pepper"), digestmod="sha256") for root in roots]

    def digest(self, key: str) -> str:
        """Give the digest new keys are kept under."""
        return _digest(self._peppers[0], key)

    def older(self, key: str) -> list[str]:
        """Give the digests under older roots."""
        return [_digest(pepper, key) for pepper in self._peppers[1:]]


def _digest(pepper: hmac.HMAC, key: str) -> str:
    begun = pepper.copy()  # with the pepper in it already, which halves the cost
    begun.update(key.encode())
    return begun.hexdigest()


class CallerStore(Protocol):
    """Keep what random keys allow, by digest: a file here, a database by plug-in."""

    async def find(self, digest: str) -> Grant | None:
        """Give what the key of a digest allows, whether or not it is valid now; None for none."""

    async def moved(self, old: str, new: str) -> None:
        """Keep a key under its digest of the newest root."""


class StoredKeys:
    """Look random keys up; a key that is not even spelled right costs no look-up."""

    def __init__(self, store: CallerStore, peppers: Peppers) -> None:
        self._store = store
        self._peppers = peppers

    def claims(self, key: str) -> bool:
        """Tell whether a key is written like one of these; a `gw_` key that is not is nobody's."""
        return well_spelled(key, PREFIXES)

    def grants(self) -> list[Grant]:
        """List what every key allows, where the place they are kept in can tell."""
        listed: Callable[[], Iterable[Grant]] = getattr(self._store, "grants", tuple)
        return list(listed())

    async def find(self, key: str, at: float) -> Grant | None:
        """Give what a key allows."""
        digest = self._peppers.digest(key)
        grant = await self._store.find(digest)
        if grant is not None:
            return _apart(grant)
        for old in self._peppers.older(key):
            grant = await self._store.find(old)
            if grant is not None:
                await self._store.moved(old, digest)
                return _apart(grant)
        return None


def _apart(grant: Grant) -> Grant:
    """Give a key without a tenant one that no key of another sort has."""
    caller = grant.caller
    return grant if caller.tenant else replace(grant, caller=replace(caller, tenant=f"stored:{caller.name}"))

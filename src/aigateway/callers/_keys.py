"""Who asks: keys of every sort behind one question."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Protocol

from ..errors import Forbidden, Refusal, RequestError, Unauthenticated
from ..secrets import Secret
from ..types import Caller
from ._grants import UNKNOWN, Grant, Visit, admit

__all__ = ["Callers", "StaticKeys", "Verifier", "require"]

LOG = logging.getLogger("aigateway.callers")
# Longer than any key or token there is; what is longer is not even hashed.
LONGEST = 8192


class Verifier(Protocol):
    """Know keys of one sort."""

    def claims(self, key: str) -> bool:
        """Tell by its writing whether a key is one of these; cheap, and no look-up."""

    async def find(self, key: str, at: float) -> Grant | None:
        """Give what a key allows, whether or not it is valid at that moment."""


class StaticKeys:
    """Know the keys of the configuration.

    A key is looked up by its digest and then compared in constant time, so neither the answer nor
    the time it takes tells how much of a wrong key was right.
    """

    def __init__(self, keys: Iterable[tuple[Secret, Grant]]) -> None:
        self._grants = {_digest(secret.reveal()): (secret, grant) for secret, grant in keys}

    def __len__(self) -> int:
        return len(self._grants)

    def grant(self, key: str) -> Grant | None:
        """Give what a key allows."""
        found = self._grants.get(_digest(key)) if self._grants else None
        return found[1] if found is not None and found[0].matches(key) else None


class Callers:
    """Name who comes with a key: one of the configuration, else one of the sort its writing tells."""

    def __init__(self, static: StaticKeys, verifiers: Sequence[Verifier] = ()) -> None:
        self._static = static
        self._verifiers = verifiers

    def __bool__(self) -> bool:
        """Tell whether there is any key to come with."""
        return bool(len(self._static) or self._verifiers)

    async def caller(self, key: str, visit: Visit) -> Caller:
        """Name who comes with `key`. Raises Unauthenticated, alike for every key that is not valid, or Forbidden."""
        if not key:
            raise Unauthenticated(UNKNOWN).because("missing")
        if len(key) > LONGEST:
            return admit(None, visit)
        grant = self._static.grant(key)
        if grant is None:
            for verifier in self._verifiers:
                if verifier.claims(key):
                    grant = await _found(verifier, key, visit.at)
                    break
        return admit(grant, visit)


async def _found(verifier: Verifier, key: str, at: float) -> Grant | None:
    """Look a key up. Raises Refusal where the place cannot be asked: that is not the caller's fault."""
    try:
        return await verifier.find(key, at)
    except (RequestError, Unauthenticated):
        raise
    except Exception as error:
        LOG.error("client keys cannot be looked up: %s", getattr(error, "message", type(error).__name__))
        raise Refusal("client keys cannot be checked just now. Try again.", status=503, code="unavailable") from None


def require(caller: Caller, scope: str) -> None:
    """Let a caller with `scope` (or an operator) pass. Raises Forbidden."""
    if scope not in caller.scopes and not caller.is_admin:
        raise Forbidden(f"this key may not do that: it lacks the scope {scope!r}. Ask the operator for it.")


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogatepass")).digest()

"""Who asks: static client keys, compared in constant time."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from ..errors import Forbidden, Unauthenticated
from ..secrets import Secret
from ..types import Caller

__all__ = ["StaticKeys", "require"]

# Longer than any key there is; what is longer is not even hashed.
LONGEST = 1024


class StaticKeys:
    """Know the keys of the configuration.

    A key is looked up by its digest and then compared in constant time, so neither the answer nor
    the time it takes tells how much of a wrong key was right.
    """

    def __init__(self, keys: Sequence[tuple[str, Secret, frozenset[str]]]) -> None:
        self._callers = {
            _digest(secret.reveal()): (secret, Caller(name, scopes, key=secret.id, tenant=name))
            for name, secret, scopes in keys
        }

    def __len__(self) -> int:
        return len(self._callers)

    def caller(self, key: str) -> Caller:
        """Name who comes with `key`. Raises Unauthenticated, the same for every unknown key."""
        found = self._callers.get(_digest(key)) if 0 < len(key) <= LONGEST else None
        if found is None or not found[0].matches(key):
            raise Unauthenticated(
                "the API key is missing or not known here. Send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'."
            )
        return found[1]


def require(caller: Caller, scope: str) -> None:
    """Let a caller with `scope` (or an operator) pass. Raises Forbidden."""
    if scope not in caller.scopes and not caller.is_admin:
        raise Forbidden(f"this key may not do that: it lacks the scope {scope!r}. Ask the operator for it.")


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogatepass")).digest()

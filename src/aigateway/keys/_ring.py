"""With which key: one ring per provider, leases in rotation, no I/O.

`for lease in ring.leases(): with lease: return await ...` tries the next key as far as the last
failure allows (`error.remedy.other_key`). Limits hang on the account at every vendor, so keys
that share a quota group stand and fall together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from ..errors import Kind, ProviderError
from ..secrets import Secret
from ..types import Outcome

__all__ = ["Key", "Lease", "Leases", "Ring"]


@dataclass(frozen=True, slots=True)
class Key:
    """One vendor key and the account it draws on."""

    secret: Secret
    quota_group: str = "default"
    weight: int = 1

    @property
    def id(self) -> str:
        """Name it without showing it."""
        return self.secret.id


class Lease:
    """Use one key for one call; an answer in flight keeps it until it is settled."""

    __slots__ = ("_leases", "key")

    def __init__(self, leases: Leases, key: Key) -> None:
        self._leases = leases
        self.key = key

    def settle(self, outcome: Outcome) -> None:
        """Give the key back."""
        self._leases.ring.release(self.key)

    def __enter__(self) -> Self:
        self._leases.ring.take(self.key)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if error is None:
            return False
        if not isinstance(error, ProviderError):
            self.settle(Outcome("cancelled"))
            return False
        self.settle(Outcome("failed", error=error))
        return self._leases.may_go_on(self.key, error)


class Leases:
    """Give leases for one attempt, each key at most once."""

    def __init__(self, ring: Ring, keys: Sequence[Key]) -> None:
        self.ring = ring
        self._keys = keys
        self._error: ProviderError | None = None
        self._spent: set[str] = set()

    def __iter__(self) -> Iterator[Lease]:
        for key in self._keys:
            if key.quota_group not in self._spent:
                yield Lease(self, key)

    def may_go_on(self, key: Key, error: ProviderError) -> bool:
        """Note a failure; tell whether another key may be tried."""
        self._error = error
        if error.remedy.other_key == "other_group":
            self._spent.add(key.quota_group)
        return error.remedy.other_key != "no"

    def exhausted(self) -> ProviderError:
        """Give what to raise when no key was kept: the last key's reason."""
        return self._error or ProviderError(Kind.AUTH, "no key is configured for this provider")


class Ring:
    """Hold the keys of one provider and hand them out round robin."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self.keys = tuple(keys)
        self.in_use: dict[str, int] = {}
        self._next = 0

    def leases(self) -> Leases:
        """Give leases, beginning with the next key in turn."""
        start, count = self._next, len(self.keys)
        if count > 1:
            self._next = (start + 1) % count
        return Leases(self, self.keys[start:] + self.keys[:start])

    def take(self, key: Key) -> None:
        """Count a call under way."""
        self.in_use[key.id] = self.in_use.get(key.id, 0) + 1

    def release(self, key: Key) -> None:
        """Count it done."""
        self.in_use[key.id] -= 1

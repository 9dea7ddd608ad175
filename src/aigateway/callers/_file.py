"""Client keys in a file, for small installations: written as a whole, read again when it changed."""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import Any, Protocol

from ..errors import ConfigurationError, RequestError
from ..secrets import Secret
from ..state import Document
from ..types import Caller, Limits
from ._grants import Grant, domain_of, networks
from ._stored import Peppers, new_key

__all__ = ["FileStore", "Seal"]

LOG = logging.getLogger("aigateway.callers")

Entry = dict[str, Any]
VERSION = 1
LONGEST_NAME = 64
LOOKS = 1.0  # seconds between two looks at the file, for keys that are known; an unknown one may be new
LISTS = ("scopes", "models", "networks", "domains")


class Seal(Protocol):
    """Encrypt what is written, under the newest of several keys."""

    def close(self, text: bytes) -> str:
        """Encrypt."""

    def open(self, sealed: str) -> bytes:
        """Decrypt, under whichever key it was closed with. Raises ValueError when none fits."""

    def is_fresh(self, sealed: str) -> bool:
        """Tell whether it was closed under the newest key."""


class FileStore:
    """Keep entries by the digest of their key; the key itself is never written.

    Times are seconds since the epoch; `now` only says when to look at the file again. With a
    `seal`, what an entry says is encrypted. Raises ConfigurationError for a file that cannot be used.
    """

    def __init__(
        self, path: Path, peppers: Peppers, *, seal: Seal | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._document = Document(path)
        self._peppers = peppers
        self._seal = seal
        self._now = now
        self._grants: dict[str, Grant] = {}
        self._is_read = False
        self._looked = -inf
        self._read()
        self._refresh()

    async def find(self, digest: str) -> Grant | None:
        """Give what the key of a digest allows."""
        if digest not in self._grants or self._now() - self._looked >= LOOKS:
            if self._document.changed or not self._is_read:
                self._read()
            self._looked = self._now()
        return self._grants.get(digest)

    def grants(self) -> list[Grant]:
        """List what every key allows, the newest first."""
        if self._document.changed or not self._is_read:
            self._read()
        return [*reversed(self._grants.values())]

    async def moved(self, old: str, new: str) -> None:
        """Keep a key under its new digest."""
        try:
            # the event loop waits for nobody: it is moved the next time
            self._change(lambda entries: [e.update(digest=new) for e in entries if e["digest"] == old], patience=0.0)
        except ConfigurationError as error:  # it is still found under the old one
            LOG.warning("a client key stays under its old root secret: %s", error.message)

    def new(
        self, name: str, *, at: float, environment: str = "live", ends: float | None = None, **allows: Any
    ) -> Secret:
        """Make a key and give it, once. `allows` are lists: scopes, models, networks, domains; and `limits`."""
        key = new_key(environment)
        entry = _entry(name, key, self._peppers, at=at, ends=ends, **allows)

        def add(entries: list[Entry]) -> None:
            if any(e["name"] == name and _lives(e, at) for e in entries):
                raise RequestError(f"there is a key for {name!r} already. Rotate or revoke it, or choose another name.")
            entries.append(entry)

        self._change(add)
        return key

    def rotate(self, name: str, *, at: float, grace: float = 0.0) -> Secret:
        """Make a new key for `name` and give it, once; the one before is valid for `grace` seconds more."""
        made: list[Secret] = []

        def turn(entries: list[Entry]) -> None:
            old = _find(entries, name, at)
            key = new_key(old["environment"])
            allows = {what: old[what] for what in LISTS} | {"limits": _limits(old)}
            entries.append(_entry(old["name"], key, self._peppers, at=at, ends=old["ends"], **allows))
            for entry in entries[:-1]:  # those of earlier rotations, too
                if entry["name"] == old["name"] and _lives(entry, at):
                    entry["ends"] = min(at + grace, inf if entry["ends"] is None else entry["ends"])
            made.append(key)

        self._change(turn)
        return made[0]

    def revoke(self, name: str, *, at: float) -> None:
        """End every key of `name` (or the one with that id) now."""

        def end(entries: list[Entry]) -> None:
            _find(entries, name, at)
            for entry in entries:
                if name in (entry["name"], entry["id"]) and _lives(entry, at):
                    entry["ends"] = at

        self._change(end)

    def listing(self) -> list[Mapping[str, Any]]:
        """List what is kept, without digests."""
        entries = self._entries(self._document.read())
        return [{what: value for what, value in entry.items() if what != "digest"} for entry in entries]

    # -- the file -------------------------------------------------------------------------------

    def _change(self, function: Callable[[list[Entry]], object], *, patience: float = 10.0) -> None:
        def change(data: dict[str, Any]) -> None:
            entries = self._entries(data)
            function(entries)
            data.clear()
            data.update(version=VERSION, keys=[self._sealed(entry) for entry in entries])

        self._document.change(change, patience=patience)
        self._read()

    def _read(self) -> None:
        """Read what every key allows; nothing is allowed until that has worked."""
        self._grants, self._is_read = {}, False
        entries = self._entries(self._document.read())
        with self._readable():
            self._grants = {entry["digest"]: _grant(entry) for entry in entries}
        self._is_read = True

    def _entries(self, data: Mapping[str, Any]) -> list[Entry]:
        with self._readable():
            if data and data["version"] != VERSION:
                raise ValueError
            return [self._opened(entry) for entry in data.get("keys", [])]

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (AttributeError, KeyError, TypeError, ValueError):
            raise ConfigurationError(
                f"the file {self._document.path} holds no client keys as this version writes them. Restore it, or "
                "name another one."
            ) from None

    def _opened(self, entry: Mapping[str, Any]) -> Entry:
        if "sealed" not in entry:
            return dict(entry)
        if self._seal is None:
            raise ConfigurationError(f"the client keys in {self._document.path} are encrypted. Set encrypt = true.")
        try:
            return {"digest": entry["digest"], **json.loads(self._seal.open(entry["sealed"]))}
        except ValueError:
            raise ConfigurationError(
                f"the client keys in {self._document.path} are encrypted under another root secret. Name that one "
                "after the new one, too."
            ) from None

    def _sealed(self, entry: Entry) -> Entry:
        if self._seal is None:
            return entry
        rest = {what: value for what, value in entry.items() if what != "digest"}
        return {"digest": entry["digest"], "sealed": self._seal.close(json.dumps(rest).encode())}

    def _refresh(self) -> None:
        """Write again what is encrypted under an older key, or not at all."""
        kept = self._document.read().get("keys", [])
        if self._seal is not None and not all("sealed" in e and self._seal.is_fresh(e["sealed"]) for e in kept):
            self._change(lambda entries: None)


def _entry(name: str, key: Secret, peppers: Peppers, *, at: float, ends: float | None, **allows: Any) -> Entry:
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise RequestError(f"a key's name is 1 to {LONGEST_NAME} printable characters, not {name[:LONGEST_NAME]!r}.")
    entry: Entry = {
        "id": secrets.token_hex(4),
        "name": name,
        "key": key.id,
        "digest": peppers.digest(key.reveal()),
        "environment": key.reveal().split("_")[1],
        "made": at,
        "ends": ends,
        **{what: list(allows.get(what) or ()) for what in LISTS},
    }
    if allows.get("limits"):
        entry["limits"] = dict(zip(Limits._fields, allows["limits"], strict=True))
    _grant(entry)  # what is wrong with it is said now
    return entry


def _grant(entry: Entry) -> Grant:
    if not all(isinstance(entry[what], list) for what in LISTS):
        raise TypeError
    scopes = frozenset(entry["scopes"] or ["chat"])
    name, models = entry["name"], tuple(entry["models"])
    caller = Caller(name, scopes, entry["key"], f"stored:{name}", models, _limits(entry))
    ends = inf if entry["ends"] is None else float(entry["ends"])
    domains = tuple(domain_of(domain) for domain in entry["domains"])
    return Grant(caller, ends=ends, networks=networks(entry["networks"]), domains=domains)


def _limits(entry: Entry) -> Limits | None:
    """Give what a key may ask per minute, where its entry says so; older ones never do."""
    said = entry.get("limits")
    if said is None:
        return None
    limits = Limits(**said)
    if not all(type(value) is int and value >= 0 for value in limits):
        raise TypeError
    return limits


def _lives(entry: Entry, at: float) -> bool:
    return entry["ends"] is None or entry["ends"] > at


def _find(entries: list[Entry], name: str, at: float) -> Entry:
    """Find the newest living entry of a name or an id."""
    for entry in reversed(entries):
        if name in (entry["name"], entry["id"]) and _lives(entry, at):
            return entry
    names = ", ".join(sorted({entry["name"] for entry in entries if _lives(entry, at)})) or "none"
    raise RequestError(f"there is no valid key of {name[:64]!r}. Valid: {names}.")

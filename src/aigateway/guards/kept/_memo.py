"""Answers that are kept: what they are found by, and how they are written down."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import asdict
from hashlib import sha256
from typing import Any, Protocol, runtime_checkable

from pydantic_core import from_json, to_json

from ...types import Call, Clock, NativeReply, Outcome, Reply, Said, Usage
from .._guard import GuardOptions
from .._settings import count_of
from ._gather import Gathered

__all__ = ["Kept", "Memo", "Shelf", "dump", "fingerprint", "load", "told"]

# Counts as bytes of an entry, besides what it holds.
OVERHEAD = 200


@runtime_checkable
class Shelf(Protocol):
    """A place shared between processes that keeps bytes for a while. Nothing raises; all is quick or given up."""

    async def get(self, key: str) -> bytes | None:
        """Give what is kept, None where nothing is or the place cannot be reached."""

    async def put(self, key: str, value: bytes, seconds: float) -> None:
        """Keep it."""

    async def claim(self, key: str, seconds: float) -> bool:
        """Be the only one who has it for a while; also while nobody can say."""

    async def release(self, key: str) -> None:
        """Let another have it; what somebody else has claimed stays theirs."""


class Kept:
    """Keep what a guard's table says, for so long: in this process and, where there is one, in the shared place."""

    def __init__(self, options: GuardOptions) -> None:
        self.most = count_of(options, "entry_bytes")
        self._seconds = count_of(options, "seconds")
        self._memo = Memo(count_of(options, "bytes"), options.clock)
        shelf = getattr(options.shared, "shelf", None)
        self.shelf: Shelf | None = shelf if isinstance(shelf, Shelf) else None

    def get(self, key: str) -> bytes | None:
        """Give what this process keeps."""
        return self._memo.get(key)

    async def put(self, key: str, data: bytes) -> None:
        """Keep it for everybody."""
        self._memo.put(key, data, self._seconds)
        if self.shelf is not None:
            await self.shelf.put(key, data, self._seconds)

    def listen(self, call: Call) -> Gathered | None:
        """Hear a stream as it is told; None where a whole answer is asked for."""
        if not call.request.stream:
            return None
        gathered = Gathered(self.most)
        call.listeners = (*call.listeners, gathered)
        return gathered


class Memo:
    """Keep bytes for a while, at most so many; what was not asked for longest goes first."""

    def __init__(self, most: int, clock: Clock) -> None:
        self._most = most
        self._clock = clock
        self._size = 0
        self._kept: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    def get(self, key: str) -> bytes | None:
        """Give what is kept."""
        found = self._kept.get(key)
        if found is None:
            return None
        if found[0] <= self._clock.now():
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return found[1]

    def put(self, key: str, value: bytes, seconds: float) -> None:
        """Keep it, and forget others where room is needed."""
        if key in self._kept:
            self._drop(key)
        self._kept[key] = (self._clock.now() + seconds, value)
        self._size += len(value) + OVERHEAD
        while self._size > self._most:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: str) -> None:
        self._size -= len(self._kept.pop(key)[1]) + OVERHEAD


def fingerprint(call: Call, *more: str) -> str:
    """Give what tells requests apart: who asks, and everything asked but whether it is streamed.

    The tenant is in it, so nobody is answered with what somebody else was told.
    """
    asked = call.request
    routing = call.request.routing
    parts = [asked.operation, asked.model, asked.body, asked.native, dict(asked.extra), asdict(routing), *more]
    parts += [dict(asked.headers)] if asked.headers else []
    who = [call.caller.space, sorted(call.caller.models)]
    text = json.dumps([who, *parts], sort_keys=True, separators=(",", ":"), default=sorted)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def told(call: Call, gathered: Gathered | None, outcome: Outcome) -> Reply | None:
    """Give the whole answer a call was given; None where it cannot be told again."""
    if gathered is None:
        return outcome.reply
    return gathered.reply(outcome.usage, call.trace.steps[-1].target.partition("/")[0] if call.trace.steps else "")


def dump(reply: Reply) -> bytes:
    """Write an answer down."""
    row: dict[str, Any] = {"body": reply.body, "usage": asdict(reply.usage), "provider": reply.provider}
    if isinstance(reply, NativeReply):
        row |= {"operation": reply.operation, "said": list(reply.said)}
    return to_json(row)


def load(data: bytes) -> Reply | None:
    """Read an answer again; None for what none was written as."""
    try:
        row = from_json(data)
        usage = Usage(**row["usage"])
        if "operation" in row:
            return NativeReply(row["operation"], row["body"], usage, Said(*row["said"]), provider=row["provider"])
        return Reply(row["body"], usage, provider=row["provider"])
    except (ValueError, KeyError, TypeError):
        return None

"""The same question gets the same answer again, for a while, without a vendor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...types import Call, Outcome, Reply
from .._guard import GuardOptions
from .._settings import count_of
from ._gather import Gathered
from ._memo import Memo, Shelf, dump, fingerprint, load

__all__ = ["Cache"]

MINUTE = 60
# How an answer may end to be given again: a refusal, or one that was cut, may turn out otherwise next time.
GOOD_ENDS = frozenset({"stop", "tool_calls", "function_call", None})
KEPT = frozenset({"chat", "completions", "responses", "messages", "embeddings"})
HEADER = "x-aigateway-cache"


class Cache:
    """Answer with what is kept: whole answers and streams alike, told as the caller asks for them.

    Only complete answers are kept, apart for each tenant. A request with `cache-control: no-store` is
    neither answered from here nor kept, one with `no-cache` is asked anew and kept.
    """

    SETTINGS: Mapping[str, Any] = {"seconds": 5 * MINUTE, "bytes": 64 * 1024 * 1024, "entry_bytes": 1024 * 1024}
    instant = False

    def __init__(self, options: GuardOptions) -> None:
        self._seconds = count_of(options, "seconds")
        self._most = count_of(options, "entry_bytes")
        self._memo = Memo(count_of(options, "bytes"), options.clock)
        shelf = getattr(options.shared, "shelf", None)
        self._shelf: Shelf | None = shelf if isinstance(shelf, Shelf) else None
        self.instant = self._shelf is None

    async def enter(self, call: Call) -> None:
        """Answer, if it is known; else listen."""
        wanted = call.asks.get("cache-control", "")
        if call.operation not in KEPT or "no-store" in wanted:
            return
        key = "cache:" + fingerprint(call)
        reply = None if "no-cache" in wanted else await self._find(key)
        call.headers[HEADER] = "miss" if reply is None else "hit"
        if reply is not None:
            call.reply = reply
            return
        gathered = Gathered(self._most) if call.request.stream else None
        if gathered is not None:
            call.listeners = (*call.listeners, gathered)
        call.aside[id(self)] = (key, gathered)

    async def leave(self, call: Call, outcome: Outcome) -> None:
        """Keep a complete answer."""
        key, gathered = call.aside.pop(id(self), (None, None))
        if key is None or outcome.state != "complete":
            return
        reply = outcome.reply
        if gathered is not None:
            reply = gathered.reply(outcome.usage, provider_of(call))
        if reply is None or not ends_well(reply):
            return
        data = dump(reply)
        if len(data) > self._most:
            return
        self._memo.put(key, data, self._seconds)
        if self._shelf is not None:
            await self._shelf.put(key, data, self._seconds)

    async def _find(self, key: str) -> Reply | None:
        data = self._memo.get(key)
        if data is None and self._shelf is not None:
            data = await self._shelf.get(key)
        return load(data) if data is not None else None


def provider_of(call: Call) -> str:
    """Name who answered."""
    return call.trace.steps[-1].target.partition("/")[0] if call.trace.steps else ""


def ends_well(reply: Reply) -> bool:
    """Tell whether every choice of an answer came to its own end."""
    ends = [choice.get("finish_reason") for choice in reply.body.get("choices") or ()] or [reply.finish_reason]
    return GOOD_ENDS.issuperset(ends)

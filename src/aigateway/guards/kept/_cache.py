"""The same question gets the same answer again, for a while, without a vendor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...types import Call, Outcome, Reply
from .._guard import GuardOptions
from ._memo import Kept, dump, fingerprint, load, told

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
        self._kept = Kept(options)
        self.instant = self._kept.shelf is None

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
        call.aside[id(self)] = (key, self._kept.listen(call))

    async def leave(self, call: Call, outcome: Outcome) -> None:
        """Keep a complete answer."""
        key, gathered = call.aside.pop(id(self), (None, None))
        if key is None or outcome.state != "complete":
            return
        reply = told(call, gathered, outcome)
        if reply is None or not ends_well(reply):
            return
        data = dump(reply)
        if len(data) <= self._kept.most:
            await self._kept.put(key, data)

    async def _find(self, key: str) -> Reply | None:
        data = self._kept.get(key)
        if data is None and self._kept.shelf is not None:
            data = await self._kept.shelf.get(key)
        return load(data) if data is not None else None


def ends_well(reply: Reply) -> bool:
    """Tell whether every choice of an answer came to its own end."""
    ends = [choice.get("finish_reason") for choice in reply.body.get("choices") or ()] or [reply.finish_reason]
    return GOOD_ENDS.issuperset(ends)

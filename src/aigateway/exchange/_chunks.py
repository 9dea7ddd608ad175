"""A streamed answer, as programs iterate over it."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Self

from ..types import Chunk, Decision, Outcome, Usage
from ._exchange import Exchange

__all__ = ["Chunks"]


class Chunks:
    """Iterate over a streamed answer; `usage`, `outcome` and `decision` are known after it.

    Raises StreamInterrupted, carrying what had arrived, when the answer breaks off. It can be left
    at any moment: the upstream call is closed with the block.
    """

    def __init__(self, open_exchange: Callable[[], Awaitable[Exchange]], *, wants_usage: bool) -> None:
        self._open = open_exchange
        self._wants_usage = wants_usage
        self._entered = False
        self._exchange: Exchange | None = None
        self._ready: deque[Chunk] = deque()

    async def __aenter__(self) -> Self:
        if self._entered:
            raise RuntimeError("a stream is entered once; ask for another with gateway.stream(...)")
        self._entered = True
        self._exchange = await self._open()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._exchange is not None:
            await self._exchange.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        exchange = self._exchange
        if exchange is None:
            raise RuntimeError("enter the stream first: async with gateway.stream(...) as chunks")
        while not self._ready:
            batch = await exchange.read() if exchange.outcome is None else []
            if not batch:
                await exchange.aclose()
                raise StopAsyncIteration
            self._ready.extend(chunk for chunk in batch if self._wants_usage or not chunk.is_usage)
        return self._ready.popleft()

    @property
    def usage(self) -> Usage | None:
        """Give what is known of the usage."""
        return self._exchange.usage if self._exchange else None

    @property
    def outcome(self) -> Outcome | None:
        """Say how it ended, None before."""
        return self._exchange.outcome if self._exchange else None

    @property
    def decision(self) -> Decision | None:
        """Say why it went where it went, None before the end."""
        return self._exchange.decision if self._exchange else None

"""Bytes kept for a while, for all processes: answers, and who is being answered.

Redis is asked in a thread and for a moment only. One that is silent is left alone for a while, and
nobody waits for it: what cannot be read is not there, what cannot be kept is not kept.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from secrets import token_hex
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import redis
from redis.asyncio import SSLConnection, UnixDomainSocketConnection
from redis.backoff import NoBackoff
from redis.retry import Retry

from ._place import Place

__all__ = ["RedisShelf"]

LOG = logging.getLogger("aigateway.redis")
T = TypeVar("T")
# Seconds a request waits for Redis, and for which a silent one is left alone.
PATIENCE, ALONE = 0.25, 5.0
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"
KINDS: dict[type, Any] = {
    SSLConnection: redis.SSLConnection,
    UnixDomainSocketConnection: redis.UnixDomainSocketConnection,
}


class RedisShelf:
    """Keep bytes in Redis; see `aigateway.guards.Shelf`. Nothing is connected before it is used."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._client: redis.Redis | None = None
        self._own = token_hex(8)
        self._until = 0.0

    async def get(self, key: str) -> bytes | None:
        """Give what is kept."""
        found: Any = await self._ask(lambda client: client.get(self._name(key)), None)
        return bytes(found) if found is not None else None

    async def put(self, key: str, value: bytes, seconds: float) -> None:
        """Keep it."""
        if seconds > 0:
            await self._ask(lambda client: client.set(self._name(key), value, px=_milliseconds(seconds)), None)

    async def claim(self, key: str, seconds: float) -> bool:
        """Be the only one who has it for a while; also while nobody can say."""
        wanted: Any = await self._ask(
            lambda client: client.set(self._name(key), self._mark, px=_milliseconds(seconds), nx=True) is not None, True
        )
        return bool(wanted)

    async def release(self, key: str) -> None:
        """Let another have it; what somebody else has claimed since stays theirs."""
        await self._ask(lambda client: client.eval(RELEASE, 1, self._name(key), self._mark), None)

    def close(self) -> None:
        """Let go of the connections."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    @property
    def _mark(self) -> str:
        """Name this process: a claim that ran out may be another's by now."""
        return f"{os.getpid()}:{self._own}"

    async def _ask(self, work: Callable[[redis.Redis], T], otherwise: T) -> T:
        """Do it in a thread; give `otherwise` where Redis is silent, or does not do it."""
        if time.monotonic() < self._until:
            return otherwise
        with anyio.move_on_after(PATIENCE) as scope:
            try:
                return await anyio.to_thread.run_sync(lambda: work(self._opened()), abandon_on_cancel=True)
            except (redis.RedisError, OSError) as error:
                self._give_up(self._place.shown(error))
        if scope.cancelled_caught:
            self._give_up(f"no answer within {PATIENCE} s")
        return otherwise

    def _give_up(self, why: str) -> None:
        self._until = time.monotonic() + ALONE
        LOG.warning("Redis at %s: no answers are shared for %.0f s (%s)", self._place.name, ALONE, why)

    def _opened(self) -> redis.Redis:
        if self._client is None:
            pool = redis.ConnectionPool(
                connection_class=KINDS.get(self._place.kind, redis.Connection),
                socket_timeout=PATIENCE,
                socket_connect_timeout=PATIENCE,
                retry=Retry(NoBackoff(), 0),
                **self._place.options,
            )
            self._client = redis.Redis.from_pool(pool)
        return self._client

    def _name(self, key: str) -> str:
        return f"{self._place.key.removesuffix(':rests:1')}:kept:1:{key}"


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))

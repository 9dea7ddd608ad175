"""Two connections to one Redis: one asks, one listens. Everything waits for at most a few seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Self

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ReadOnlyError, ResponseError

from ._place import PATIENCE, Place
from ._scripts import FIELDS, KEEP, READ

__all__ = ["Link", "hang_up", "is_replicas"]


class Link:
    """Talk to a Redis while it is there; any failure but a refusal to keep things ends it."""

    def __init__(self, place: Place) -> None:
        self._key = place.key
        self._asks, self._listens = place.connection(), place.connection()

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(2 * PATIENCE):
                for connection in (self._listens, self._asks):
                    await connection.connect()  # type: ignore[no-untyped-call]  # redis leaves it untyped
                await self._listens.send_command("SUBSCRIBE", self._key)
                await self._listens.read_response()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for connection in (self._asks, self._listens):
            await hang_up(connection)

    async def read(self) -> list[bytes]:
        """Give the rows kept in Redis; raises ResponseError where what is there is not ours."""
        rows = await self._asked("EVAL", READ, 1, self._key, 2 * FIELDS)
        return [row for row in rows if isinstance(row, bytes)] if isinstance(rows, list) else []

    async def say(self, message: bytes | None, fields: Sequence[str | int]) -> ResponseError | None:
        """Keep fields, then publish a message; give what Redis has against keeping them.

        In this order: whoever subscribes and reads afterwards misses nothing.
        """
        refusal = await self.keep(fields)
        if message is not None:
            await self.publish(message)
        return refusal

    async def publish(self, message: bytes) -> None:
        """Say something to everybody who listens."""
        await self._asked("PUBLISH", self._key, message)

    async def keep(self, fields: Sequence[str | int]) -> ResponseError | None:
        """Keep fields for those who come later; give what Redis has against it."""
        try:
            refused = await self._asked("EVAL", KEEP, 1, self._key, FIELDS, *fields)
        except ResponseError as error:
            if is_replicas(error):
                raise
            return error
        return ResponseError(f"the hash is full: {refused} changes were refused") if refused else None

    async def listen(self, seconds: float) -> bytes | None:
        """Give the next message, nothing in it for what is no message, None after `seconds` of silence."""
        response = await self._listens.read_response(timeout=seconds, disconnect_on_error=False)
        if response is None:
            return None
        is_message = isinstance(response, list) and len(response) == 3 and response[0] == b"message"
        return response[2] if is_message and isinstance(response[2], bytes) else b""

    async def ping(self) -> None:
        """Ask the listening connection for a sign of life."""
        await self._listens.send_command("PING", check_health=False)

    async def _asked(self, *words: Any) -> object:
        await self._asks.send_command(*words)
        return await self._asks.read_response()


def is_replicas(error: ResponseError) -> bool:
    """Tell whether a replica said it, which cannot be written: the next connection may find the one that can."""
    return isinstance(error, ReadOnlyError) or "READONLY" in str(error)  # before Redis 7 what a script met is wrapped


async def hang_up(connection: AbstractConnection) -> None:
    """Let go of a connection at once, whatever becomes of the other end."""
    writer = getattr(connection, "_writer", None)
    if writer is not None:
        writer.transport.abort()  # a close would wait for a goodbye (TLS) that may never come
    with suppress(Exception):
        await connection.disconnect(nowait=True)

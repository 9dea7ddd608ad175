"""Bytes kept for a while, for all processes: answers, and who is being answered.

What requests want is put in a row, and said by the thread that shares, on one connection, as much as is there at a
time: however many requests there are, none waits for another's turn. One that Redis does not answer for a moment goes
on without, and from then on nobody waits until Redis answers again: what cannot be read is not there, what cannot be
kept is not kept.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from secrets import token_hex
from typing import Any

import anyio
from redis.exceptions import ResponseError

from ._elsewhere import from_elsewhere
from ._link import hang_up, is_replicas
from ._place import Place

__all__ = ["RedisShelf"]

LOG = logging.getLogger("aigateway.redis")
# Seconds a request waits for Redis, when it is not known yet that it is silent.
PATIENCE = 0.5
# A claim lives for so many seconds at a time, and is made anew by the process that lives: one that was killed holds
# its claims no longer than that.
LIVES, RENEWED = 30.0, 5.0
# Claims that are made anew, and what one message to Redis may hold: commands, and about so many bytes.
MOST, BATCH, BYTES = 10_000, 256, 1024 * 1024
# Bytes that may wait for a Redis that takes them more slowly than they come.
ROOM = 64 * 1024 * 1024
# Redis repeats what a process says of its own claim: a message may have been heard though its answer was lost.
CLAIM = """
local had = redis.call('GET', KEYS[1])
if had and had ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"
Words = tuple[Any, ...]
PING: Words = ("PING",)
UNSAID = object()


class Ask:
    """Wait for what Redis says to one command: UNSAID where it says nothing, None where it refuses or has nothing."""

    __slots__ = ("answer", "is_said", "size", "tell", "words")

    def __init__(self, words: Words, size: int, tell: Callable[[], object]) -> None:
        self.words = words
        self.size = size
        self.is_said = False
        self.tell = tell
        self.answer: object = UNSAID


class RedisShelf:
    """Keep bytes in Redis; see `aigateway.guards.Shelf`. Nothing is connected before it is used."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.forget()

    def forget(self) -> None:
        """Begin anew, as a process that was forked has to: what waits and what is claimed is the parent's."""
        self._mark = f"{os.getpid()}:{token_hex(8)}"  # who claims: a claim that ran out may be another's by now
        self._asks: deque[Ask] = deque()
        self._held: dict[str, float] = {}  # until when what is claimed here may be needed
        self._linked: bool | None = None  # None: not known yet
        self._noted = False
        self._wake: Callable[[], object] = bool

    def wake(self) -> None:
        """Let the thread look, that it may stop."""
        self._wake()

    # -- called from other threads ------------------------------------------------------------

    async def get(self, key: str) -> bytes | None:
        """Give what is kept."""
        found = await self._ask("GET", self._name(key))
        return found if isinstance(found, bytes) else None

    async def put(self, key: str, value: bytes, seconds: float) -> None:
        """Keep it."""
        if seconds > 0:
            await self._ask("SET", self._name(key), value, "PX", _milliseconds(seconds))

    async def claim(self, key: str, seconds: float) -> bool:
        """Be the only process that has it for a while; also while nobody can say."""
        name, until = self._name(key), time.monotonic() + seconds
        is_renewed = len(self._held) < MOST
        if is_renewed:  # before it is asked for: what was claimed while Redis was away is said when it is back
            self._held[name] = until
        if await self._ask(*self._claim(name, min(seconds, LIVES) if is_renewed else seconds)) == 0:
            self._held.pop(name, None)
            return False
        if is_renewed:  # the thread may have been refused it just before
            self._held[name] = until
        return True

    async def release(self, key: str) -> None:
        """Let another have it; what somebody else has claimed since stays theirs."""
        name = self._name(key)
        self._held.pop(name, None)
        await self._ask("EVAL", RELEASE, 1, name, self._mark)

    async def _ask(self, *words: Any) -> object:
        """Have it said to Redis; give what it says to it, None where nothing comes."""
        size = sum(len(word) for word in words if isinstance(word, bytes))
        if self._linked is False or (size and size + sum(ask.size for ask in list(self._asks)) > ROOM):
            return None
        ready = anyio.Event()
        ask = Ask(words, size, from_elsewhere(ready.set))
        self._asks.append(ask)
        self._wake()
        with anyio.move_on_after(PATIENCE) as scope:
            await ready.wait()
        if ask.answer is not UNSAID:  # also if this event loop was too busy to hear of it in time
            return ask.answer
        if scope.cancelled_caught:
            self._linked = False
            self._note(f"no answer within {PATIENCE} s")
            if words[0] == "GET":  # nobody wants it any more
                ask.words = PING
        return None

    # -- the thread ---------------------------------------------------------------------------

    async def serve(self, stopping: asyncio.Event) -> bool:
        """Say what is asked until stopped, once anybody asks; tell whether a new connection is worth trying at once."""
        loop, wake = asyncio.get_running_loop(), asyncio.Event()

        def call() -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(wake.set)

        self._wake = call
        if self._linked is None and not self._asks and not self._held:
            await wake.wait()
        if stopping.is_set():
            return False
        connection = self._place.connection()
        try:
            await connection.connect()  # type: ignore[no-untyped-call]  # redis leaves it untyped
            await self._converse(connection, wake, stopping)
        except Exception as error:  # whatever a wrong server may cause: the gateway goes on without it
            if self._linked and not isinstance(error, ResponseError):
                self._linked = None  # it worked until now: who waits is asked for again
                return True
            self._note(self._place.shown(error))
        finally:
            await hang_up(connection)
        self._linked = None if stopping.is_set() else False
        while self._asks:
            self._asks.popleft().tell()
        return False

    async def _converse(self, connection: Any, wake: asyncio.Event, stopping: asyncio.Event) -> None:
        """Say what there is to say, and from time to time what is claimed."""
        renewed = 0.0
        while True:
            now = time.monotonic()
            if now - renewed >= RENEWED:
                renewed = now
                await self._renew(connection, now)
            await self._say_all(connection)
            if stopping.is_set():
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(RENEWED):
                    await wake.wait()
            wake.clear()

    async def _renew(self, connection: Any, now: float) -> None:
        """Claim anew what is claimed here, also from a Redis that came back empty; let go of what another has."""
        held = {name: left for name, until in list(self._held.items()) if (left := until - now) > 0}
        said = [self._claim(name, min(left, LIVES)) for name, left in held.items()]
        for name in [name for name, until in list(self._held.items()) if until <= now]:
            self._held.pop(name, None)
        answers = await self._said(connection, [PING, *said])
        for name, answer in zip(held, answers[1:], strict=True):
            if answer == 0:
                self._held.pop(name, None)

    async def _say_all(self, connection: Any) -> None:
        """Say what is asked, piece by piece; what got no answer is said once more, on the next connection."""
        while self._asks:
            piece = self._piece()
            try:
                answers = await self._said(connection, [ask.words for ask in piece])
            except BaseException:
                self._again(piece)
                raise
            for ask, answer in zip(piece, answers, strict=True):
                ask.answer = answer
                ask.tell()

    def _again(self, piece: Sequence[Ask]) -> None:
        """Keep what got no answer for the next connection, once: it may be what ends connections."""
        for ask in reversed(piece):
            if ask.is_said:
                ask.tell()
            else:
                ask.is_said = True
                self._asks.appendleft(ask)

    def _piece(self) -> list[Ask]:
        """Take what fits into one message."""
        piece, size = [self._asks.popleft()], 0
        while self._asks and len(piece) < BATCH and size < BYTES:
            size += piece[-1].size
            piece.append(self._asks.popleft())
        return piece

    async def _said(self, connection: Any, commands: Sequence[Words]) -> list[object]:
        """Say commands, and give what Redis says to each; None to what it refuses."""
        await connection.send_packed_command(b"".join(b"".join(connection.pack_command(*words)) for words in commands))
        answers: list[object] = []
        for words in commands:
            try:
                answers.append(await connection.read_response())
            except ResponseError as error:
                if is_replicas(error):
                    raise
                self._note(self._place.shown(error))
                answers.append(None)
            else:
                self._noted = self._noted and words[0] != "SET"
        self._linked = True
        return answers

    def _claim(self, name: str, seconds: float) -> Words:
        return "EVAL", CLAIM, 1, name, self._mark, _milliseconds(seconds)

    def _note(self, why: str) -> None:
        """Say it once until Redis keeps something again."""
        if not self._noted:
            self._noted = True
            LOG.warning("Redis at %s: answers are not shared (%s)", self._place.name, why)

    def _name(self, key: str) -> str:
        return f"{self._place.key.removesuffix(':rests:1')}:kept:1:{key}"


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))

"""The same `Idempotency-Key` gets the same answer, from one call upstream."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import anyio

from ...errors import Refusal, RequestError
from ...types import Call, Outcome, Reply
from .._guard import GuardOptions
from .._settings import count_of
from ._cache import provider_of
from ._gather import Gathered
from ._memo import Memo, Shelf, dump, fingerprint, load

__all__ = ["Idempotency"]

NAME = "idempotency-key"
LONGEST = 255
# Hexadecimal digits of a request's fingerprint that stand before the answer.
DIGITS = 64
HEADER = "idempotent-replayed"
# What marks a key somebody is answering, and seconds between two looks whether it is answered: more and more.
CLAIM, LOOK, LONGEST_LOOK = ":claim", 0.05, 0.4
# Seconds a request that failed or was cancelled may take to give its claim back.
GIVING_UP = 1.0


class Idempotency:
    """Answer a request whose key was used before as it was answered then; who comes meanwhile waits.

    Keys belong to the tenant who sent them. Only complete answers are kept: after a failure the same
    key may try again. Raises RequestError for a key that came with another request before.
    """

    instant = False
    SETTINGS: Mapping[str, Any] = {"seconds": 24 * 3600, "bytes": 64 * 1024 * 1024, "entry_bytes": 4 * 1024 * 1024}

    def __init__(self, options: GuardOptions) -> None:
        self._seconds = count_of(options, "seconds")
        self._most = count_of(options, "entry_bytes")
        self._memo = Memo(count_of(options, "bytes"), options.clock)
        shelf = getattr(options.shared, "shelf", None)
        self._shelf: Shelf | None = shelf if isinstance(shelf, Shelf) else None
        self._clock = options.clock
        self._under_way: dict[str, tuple[str, anyio.Event]] = {}

    async def enter(self, call: Call) -> None:
        """Answer, wait for who is being answered, or be the one that is."""
        named = call.asks.get(NAME, "")
        if not named:
            return
        if len(named) > LONGEST:
            raise RequestError(f"'Idempotency-Key' is longer than {LONGEST} characters", param=NAME)
        key = f"{call.caller.space}\0{named}"
        asked = fingerprint(call)
        while key in self._under_way:
            other, ended = self._under_way[key]
            _check(other, asked)
            await self._wait(call, ended)
        ended = anyio.Event()
        self._under_way[key] = (asked, ended)
        try:
            await self._answer(call, key, asked)
        except BaseException:  # who is cancelled while it claims may have the claim all the same
            with anyio.move_on_after(GIVING_UP, shield=True):
                await self._let_in(key)
            raise
        if call.reply is not None:
            self._end(key)

    async def leave(self, call: Call, outcome: Outcome) -> None:
        """Keep a complete answer, and let those in who wait for it."""
        key, asked, gathered = call.aside.pop(id(self), (None, "", None))
        if key is None:
            return
        try:
            if outcome.state == "complete":
                reply = outcome.reply if gathered is None else gathered.reply(outcome.usage, provider_of(call))
                await self._keep(key, asked, reply)
        finally:
            await self._let_in(key)

    async def _let_in(self, key: str) -> None:
        """Let another be the one that is answered, whatever becomes of the shared place."""
        try:
            if self._shelf is not None:
                await self._shelf.release(_shelved(key) + CLAIM)
        finally:
            self._end(key)

    async def _wait(self, call: Call, ended: anyio.Event) -> None:
        """Wait for the answer to the same key, as long as the call may take."""
        with anyio.move_on_after(max(0.0, call.deadline - self._clock.now())):
            await ended.wait()
            return
        raise _busy()

    async def _answer(self, call: Call, key: str, asked: str) -> None:
        data = self._memo.get(key)
        if data is None and self._shelf is not None:
            data = await self._shared(call, _shelved(key), self._shelf)
        reply = None
        if data is not None:
            _check(data[:DIGITS].decode("ascii", "replace"), asked)
            reply = load(data[DIGITS:])
        if reply is not None:
            call.reply = reply
            call.headers[HEADER] = "true"
            return
        gathered = Gathered(self._most) if call.request.stream else None
        if gathered is not None:
            call.listeners = (*call.listeners, gathered)
        call.aside[id(self)] = (key, asked, gathered)

    async def _shared(self, call: Call, name: str, shelf: Shelf) -> bytes | None:
        """Give what another process answered; wait for one that is about to; None makes this one the one.

        It is claimed first and looked for then: one that was answered in between is found.
        """
        look = LOOK
        while True:
            left = call.deadline - self._clock.now()
            is_ours = await shelf.claim(name + CLAIM, max(1.0, left))
            data = await shelf.get(name)
            if data is not None and is_ours:
                await shelf.release(name + CLAIM)
            if data is not None or is_ours:
                return data
            if left <= LOOK:
                raise _busy()
            await self._clock.sleep(min(look, left))
            look = min(2 * look, LONGEST_LOOK)

    async def _keep(self, key: str, asked: str, reply: Reply | None) -> None:
        data = asked.encode() + dump(reply) if reply is not None else b""
        if data and len(data) <= self._most:
            self._memo.put(key, data, self._seconds)
            if self._shelf is not None:
                await self._shelf.put(_shelved(key), data, self._seconds)

    def _end(self, key: str) -> None:
        _, ended = self._under_way.pop(key)
        ended.set()


def _busy() -> Refusal:
    return Refusal(
        "a request with this Idempotency-Key is still being answered. Ask again later.",
        status=409,
        code="idempotency_key_in_use",
        retry_after=1.0,
    )


def _check(known: str, asked: str) -> None:
    if known != asked:
        raise Refusal(
            "this Idempotency-Key came with another request before. Use a new key for a new request.",
            status=422,
            code="idempotency_key_reused",
        )


def _shelved(key: str) -> str:
    """Name it in the shared place; a caller's words are no part of the name."""
    return "once:" + sha256(key.encode("utf-8", "surrogatepass")).hexdigest()

"""The same `Idempotency-Key` gets the same answer, from one call upstream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import anyio

from ...errors import GatewayError, Refusal, RequestError
from ...types import Call, Outcome, Reply
from .._guard import GuardOptions
from ._memo import Kept, Shelf, dump, fingerprint, load, told

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

BUSY = "a request with this Idempotency-Key is still being answered. Ask again later."
REUSED = "this Idempotency-Key came with another request before. Use a new key for a new request."


@dataclass(slots=True, eq=False)
class Flight:
    """One request that is being answered, for those who wait with the same key; then what became of it."""

    asked: str
    ended: anyio.Event = field(default_factory=anyio.Event)
    data: bytes | None = None
    error: GatewayError | None = None


class Idempotency:
    """Answer a request whose key was used before as it was answered then; who comes meanwhile waits.

    Keys belong to the tenant who sent them. A failure is told to all who waited for it; whoever comes
    later tries again, as after an answer that cannot be kept. Whoever is answered is answered to the
    end, also when the client has left: it may come back for it. Raises Refusal.
    """

    instant = False
    SETTINGS: Mapping[str, Any] = {"seconds": 24 * 3600, "bytes": 64 * 1024 * 1024, "entry_bytes": 4 * 1024 * 1024}

    def __init__(self, options: GuardOptions) -> None:
        self._kept = Kept(options)
        self._clock = options.clock
        self._under_way: dict[str, Flight] = {}

    async def enter(self, call: Call) -> None:
        """Answer, wait for who is being answered, or be the one that is."""
        named = call.asks.get(NAME, "")
        if not named:
            return
        if len(named) > LONGEST:
            raise RequestError(f"'Idempotency-Key' is longer than {LONGEST} characters", param=NAME)
        key = "once:" + sha256(f"{call.caller.space}\0{named}".encode("utf-8", "surrogatepass")).hexdigest()
        asked = fingerprint(call)
        while (flight := self._under_way.get(key)) is not None:
            _check(flight.asked, asked)
            await self._wait(call, flight.ended)
            if flight.error is not None:
                raise _again(flight.error)
            if flight.data is not None and _given(call, flight.data):
                return
        self._under_way[key] = Flight(asked)
        try:
            await self._answer(call, key, asked)
        except BaseException:  # who is cancelled while it claims may have the claim all the same
            with anyio.move_on_after(GIVING_UP, shield=True):
                await self._let_in(key)
            raise
        if call.reply is not None:
            self._end(key)
        else:
            call.lasting = True

    async def leave(self, call: Call, outcome: Outcome) -> None:
        """Keep a complete answer, and let those in who wait for it."""
        key, asked, gathered = call.aside.pop(id(self), (None, "", None))
        if key is None:
            return
        try:
            if outcome.state == "complete":
                await self._keep(key, asked, told(call, gathered, outcome))
            elif outcome.state != "cancelled":
                self._under_way[key].error = outcome.error
        finally:
            await self._let_in(key)

    async def _let_in(self, key: str) -> None:
        """Let another be the one that is answered, whatever becomes of the shared place."""
        try:
            if self._kept.shelf is not None:
                await self._kept.shelf.release(key + CLAIM)
        finally:
            self._end(key)

    async def _wait(self, call: Call, ended: anyio.Event) -> None:
        """Wait for the answer to the same key, as long as the call may take."""
        with anyio.move_on_after(max(0.0, call.deadline - self._clock.now())):
            await ended.wait()
            return
        raise Refusal(BUSY, status=409, code="idempotency_key_in_use", retry_after=1.0)

    async def _answer(self, call: Call, key: str, asked: str) -> None:
        data = self._kept.get(key)
        if data is None and self._kept.shelf is not None:
            data = await self._shared(call, key, self._kept.shelf)
        if data is not None:
            _check(data[:DIGITS].decode("ascii", "replace"), asked)
            if _given(call, data[DIGITS:]):
                return
        call.aside[id(self)] = (key, asked, self._kept.listen(call))

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
                raise Refusal(BUSY, status=409, code="idempotency_key_in_use", retry_after=1.0)
            await self._clock.sleep(min(look, left))
            look = min(2 * look, LONGEST_LOOK)

    async def _keep(self, key: str, asked: str, reply: Reply | None) -> None:
        """Keep an answer; one that is too large is given to who waits for it, and not kept."""
        if reply is not None:
            data = self._under_way[key].data = dump(reply)
            if len(data) + DIGITS <= self._kept.most:
                await self._kept.put(key, asked.encode() + data)

    def _end(self, key: str) -> None:
        self._under_way.pop(key).ended.set()


def _given(call: Call, data: bytes) -> bool:
    """Answer with what was kept, if it can be read."""
    call.reply = load(data)
    if call.reply is not None:
        call.headers[HEADER] = "true"
    return call.reply is not None


def _again(error: GatewayError) -> GatewayError:
    """Give a failure to one more caller: what it says, not who met it and where."""
    same = type(error).__new__(type(error), *error.args)
    same.__dict__ |= {**error.__dict__, "trace": None, "_decision": None}
    return same


def _check(known: str, asked: str) -> None:
    if known != asked:
        raise Refusal(REUSED, status=422, code="idempotency_key_reused")

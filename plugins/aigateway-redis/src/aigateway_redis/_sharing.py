"""The thread that shares: an event loop of its own, which no request ever waits for."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any, Literal

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from aigateway.state import Change, Name, Rests

from ._codec import Said, can_be_said, dump_message, dump_name, dump_said, load_message, load_said
from ._limits import RedisLimits
from ._link import Link
from ._place import Place
from ._scripts import FIELDS
from ._shelf import RedisShelf
from ._table import Table

__all__ = ["Sharing"]

LOG = logging.getLogger("aigateway.redis")
# Changes that may wait for the thread, or for Redis to come back; the oldest are dropped.
WAITING = 10_000
# Changes in one message.
BATCH = 64
# Seconds of silence after which a sign of life is asked for, and waited for.
BEAT = 1.5
# Seconds after which Redis is asked whether it still keeps things; less when it did not.
IDLE, UNKEPT = 15.0, 3.0
# Seconds between connections: doubling, jittered.
FIRST, LONGEST = 0.1, 2.0
# What is younger than this counts as said now, in the order Redis delivers.
FRESH = 1.0
# Seconds a last word may take when the gateway closes.
LAST_WORD = 0.6

Level = Literal["", "unkept", "away"]


class Sharing:
    """Tell others what happened here, and the gateway what happened elsewhere, until stopped."""

    def __init__(
        self, place: Place, rests: Rests, limits: RedisLimits | None = None, shelf: RedisShelf | None = None
    ) -> None:
        self.fault = f"Redis at {place.name}: it was not reached yet"
        self._level: Level = ""
        self._place = place
        self._rests = rests
        self._limits = limits
        self._shelf = shelf
        self._process = f"{os.getpid():x}-{secrets.token_hex(8)}"
        self._random = Random(self._process)  # noqa: S311  # jitter, not cryptography
        self._table = Table()
        self._inbox: deque[tuple[float, Change]] = deque(maxlen=WAITING)
        self._limits_noted = False
        self._dropped = 0
        self._woken = False
        self._probes: dict[Name, tuple[float, Change]] = {}  # the last claim or release of each, not said yet
        self._loop = asyncio.SelectorEventLoop()
        self._wake, self._stopping = asyncio.Event(), asyncio.Event()

    # -- called from other threads ------------------------------------------------------------

    def tell(self, change: Change) -> None:
        """Take a change made here; returns at once, whatever becomes of it."""
        if len(self._inbox) == WAITING:
            self._dropped += 1
        self._inbox.append((time.monotonic(), change))
        if not self._woken:
            self._woken = True
            self._call(self._wake.set)

    def stop(self) -> None:
        """Ask the thread to end; nothing more is told."""
        if self._rests.tell == self.tell:
            self._rests.tell = None
        self._call(self._stopping.set)
        self._call(self._wake.set)
        if self._limits is not None:
            self._limits.wake()
        if self._shelf is not None:
            self._shelf.wake()

    def abandon(self) -> None:
        """Give back what a thread that could not be started would have used."""
        self._loop.close()

    def _call(self, function: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(function)

    # -- the thread ---------------------------------------------------------------------------

    def run(self) -> None:
        """Share until stopped; the target of the thread."""
        try:
            self._loop.run_until_complete(self._main())
        finally:
            self._loop.close()

    async def _main(self) -> None:
        work: asyncio.Future[Any] = asyncio.gather(self._stay_linked(), self._stay_leasing(), self._stay_keeping())
        stopping: asyncio.Future[Any] = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({work}, timeout=LAST_WORD)
        stopping.cancel()
        work.cancel()
        await asyncio.wait({work, stopping})
        await asyncio.sleep(0)  # what was aborted is closed now

    async def _stay_linked(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                async with Link(self._place) as link:
                    await self._converse(link)
            except Exception as error:  # whatever a wrong server may cause: the gateway goes on without it
                self._note("away", self._place.shown(error))
            failures = 0 if time.monotonic() - began > LONGEST else failures + 1
            pause = min(LONGEST, FIRST * 2.0 ** min(failures, 8)) * self._random.uniform(0.5, 1.0)
            await _within(pause, self._stopping)

    async def _stay_leasing(self) -> None:
        """Lease for limits for as long as Redis is there; what is wrong with it is said once."""
        while self._limits is not None and not self._stopping.is_set():
            try:
                await self._limits.serve(self._stopping)
            except (RedisError, ValueError) as error:
                if not isinstance(error, RedisConnectionError | RedisTimeoutError):  # those are said already
                    self._note_limits(self._place.shown(error))
            except Exception as error:  # whatever a wrong server may cause
                LOG.debug("Redis at %s: limits are not shared (%s)", self._place.name, self._place.shown(error))
            await _within(LONGEST * self._random.uniform(0.25, 0.5), self._stopping)

    async def _stay_keeping(self) -> None:
        """Read and keep answers for whoever asks; a connection that had worked is made anew at once."""
        while self._shelf is not None and not self._stopping.is_set():
            if not await self._shelf.serve(self._stopping):
                await _within(LONGEST * self._random.uniform(0.25, 0.5), self._stopping)

    def _note_limits(self, reason: str) -> None:
        if not self._limits_noted:
            self._limits_noted = True
            LOG.warning("Redis at %s: limits are not shared, each process has its part (%s)", self._place.name, reason)

    async def _converse(self, link: Link) -> None:
        """Say and hear until the connection ends, or we do."""
        self._drain(time.monotonic())  # before anything is heard, so that what is newer counts
        await self._catch_up(link)
        self._wake.set()
        tasks = {asyncio.ensure_future(self._listen(link)), asyncio.ensure_future(self._speak(link))}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _rows(self, link: Link) -> list[Said]:
        """Give what Redis keeps, as far as it makes sense."""
        found = []
        try:
            for row in await link.read():
                with suppress(ValueError):
                    found.append(load_said(row))
        except ResponseError:
            LOG.debug("Redis at %s would not give what it keeps", self._place.name)  # keeping will say why
        return found

    async def _catch_up(self, link: Link) -> None:
        """Hear what Redis keeps, and say what it does not know yet."""
        theirs, rows = Table(2 * FIELDS), await self._rows(link)
        for said in rows:
            theirs.take(said, time.monotonic())
            self._hear(said)
        now = time.monotonic()
        await self._say(link, [said for said in self._table.all(now) if theirs.take(said, now)], again=True)

    async def _listen(self, link: Link) -> None:
        """Hear messages; raise TimeoutError where not even a sign of life comes."""
        is_asked = False
        while True:
            message = await link.listen(BEAT)
            if message is None and is_asked:
                raise TimeoutError("Redis does not answer")
            is_asked = message is None
            if message is None:
                await link.ping()
            elif message:
                self._hear_message(message)

    async def _speak(self, link: Link) -> None:
        """Say what happens here; look after Redis from time to time. Returns when stopped."""
        is_last = False
        while not is_last:
            if not self._stopping.is_set():
                await _within(UNKEPT if self._level else IDLE, self._wake)
            is_last = self._stopping.is_set()
            self._wake.clear()
            self._woken = False
            said = self._drain(time.monotonic())
            if self._level:
                await self._keep_everything(link)
            await self._say_probes(link)
            if said or not self._level:
                await self._say(link, said)

    async def _say(self, link: Link, said: list[Said], *, again: bool = False) -> None:
        """Keep and publish, in bounded pieces; with nothing to say, only see whether it could be kept."""
        refusal = None
        for start in range(0, max(len(said), 1), BATCH):
            piece = said[start : start + BATCH]
            message = dump_message(self._process, piece, again=again) if piece else None
            refusal = await link.say(message, self._fields(piece)) or refusal
        self._note_refusal(refusal)

    async def _say_probes(self, link: Link) -> None:
        """Publish who probes and who has ended; what could not be said is said to the next connection."""
        while self._probes:
            now, names = time.monotonic(), list(self._probes)[:BATCH]
            ages = [(change, now - made) for made, change in map(self._probes.__getitem__, names)]
            said = [Said(change, age, change.seconds - age) for change, age in ages]
            await link.publish(dump_message(self._process, said))
            for name in names:
                self._probes.pop(name, None)

    async def _keep_everything(self, link: Link) -> None:
        """Offer Redis again what it would not keep before."""
        said = self._table.all(time.monotonic())
        for start in range(0, max(len(said), 1), BATCH):
            refusal = await link.keep(self._fields(said[start : start + BATCH]))
            if refusal is not None:
                return self._note_refusal(refusal)
        return self._note_refusal(None)

    def _fields(self, said: list[Said]) -> list[str | int]:
        """Give what the hash is to hold: name, age, what is left, how long to keep it, text; times in milliseconds."""
        now, fields = time.monotonic(), list[str | int]()
        for one in said:
            left = 0 if one.is_over else round(one.left * 1000) or 1
            kept = max(1, round(self._table.kept(one.change.name, now) * 1000))
            fields += [dump_name(one.change.name), max(0, round(one.age * 1000)), left, kept, dump_said(one)]
        return fields

    # -- what is known ------------------------------------------------------------------------

    def _drain(self, now: float) -> list[Said]:
        """Take what happened here into the table; give what others should hear."""
        said = []
        while self._inbox:
            made, change = self._inbox.popleft()
            if not can_be_said(change.name):
                continue
            if change.what in {"claim", "release"}:
                self._probes[change.name] = (made, change)
                continue
            age = now - made
            one = Said(change, age, change.rest.until - age if change.rest else 0.0)
            if self._table.take(one, now):
                said.append(one)
        return said

    def _hear_message(self, raw: bytes) -> None:
        with suppress(ValueError):  # anybody may publish anything
            message = load_message(raw)
            if message.process != self._process:
                for one in message.said:
                    # What is said for the first time counts in the order Redis delivers it.
                    is_new = not message.again and one.age < FRESH
                    self._hear(one._replace(age=0.0) if is_new else one)

    def _hear(self, said: Said) -> None:
        """Hand on what is news."""
        if not said.is_kept or self._table.take(said, time.monotonic()):
            self._rests.learn(said.change)

    def _note_refusal(self, refusal: Exception | None) -> None:
        if refusal is None:
            self._note("", "")
        else:
            self._note("unkept", self._place.shown(refusal))

    def _note(self, level: Level, reason: str) -> None:
        """Log once when Redis goes away, and once when it is back."""
        words = {"away": "nothing is shared", "unkept": "processes that start later do not learn what rests"}
        self.fault = f"Redis at {self._place.name}: {words[level]} ({reason})" if level else ""
        if level == self._level:
            return
        self._level = level
        if level:
            LOG.warning("%s", self.fault)
        else:
            lost = f"; {self._dropped} changes were lost meanwhile" if self._dropped else ""
            LOG.info("Redis at %s: what rests is shared again%s", self._place.name, lost)
            self._dropped = 0


async def _within(seconds: float, event: asyncio.Event) -> None:
    """Wait for an event for so long at most; unlike asyncio's `wait_for` it never loses a cancellation."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()

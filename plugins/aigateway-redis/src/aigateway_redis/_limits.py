"""Limits that hold for all processes together: a thread requests do not run in leases tokens from Redis, in batches."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import ceil
from threading import Lock
from typing import Any, NamedTuple

import anyio

from aigateway.guards import Meter
from aigateway.state import Rule, Taken

from ._elsewhere import from_elsewhere
from ._leases import LIVES, WINDOW, Lease, Leases, microseconds, step_of
from ._limit_scripts import TAKE
from ._link import hang_up
from ._place import Place

__all__ = ["RedisLimits"]

LOG = logging.getLogger("aigateway.redis")
# Seconds a request waits for tokens, when it is not known yet that Redis is silent. Then nobody waits any more.
PATIENCE = 0.25
# Seconds between two looks for tokens that were not spent.
SWEEP = 0.5
# Identities one message to Redis may be about, and what may wait to be said of what was taken without asking.
BATCH, OWED = 64, 10_000


class Ask:
    """Wait for an answer of the thread."""

    __slots__ = ("amount", "identity", "lease", "taken", "tell")

    def __init__(self, identity: str, lease: Lease, amount: int, tell: Callable[[], object] | None) -> None:
        self.identity = identity
        self.lease = lease
        self.amount = amount
        self.tell = tell  # None: nobody waits (any more)
        self.taken: Taken | None = None


class Debt(NamedTuple):
    """Say what was taken (or, negative, given back) without asking, and when."""

    rule: Rule
    more: int
    made: float
    at: int


class RedisLimits:
    """Take from limits that are kept in Redis; see `aigateway.state.SharedLimits`."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._now = time.monotonic
        self.forget()

    def forget(self) -> None:
        """Begin anew, as a process that was forked has to: what waits and what is held is the parent's."""
        self._lock = Lock()
        self._leases = Leases()
        self._own = Meter()  # nobody, whatever a Redis says, may take more here than the limit of all
        self._asks: deque[Ask] = deque()
        self._debts: dict[tuple[str, bool], Debt] = {}
        self._linked = False
        self._wake: Callable[[], object] = bool

    def wake(self) -> None:
        """Let the thread look, that it may stop."""
        self._wake()

    # -- called from other threads ------------------------------------------------------------

    async def take(self, identity: str, amount: int, rule: Rule) -> Taken | None:
        """Take, all or nothing; None at once while Redis cannot be reached."""
        if not self._linked:
            return None
        now = self._now()
        with self._lock:
            own = self._own.take(identity, amount, rule, now)
            if not own.admitted:
                return self._refused(identity, amount, own, now)
            lease = self._leases.find(identity, rule)
            if lease is None:
                return None
            lease.rule = rule
            lease.note(amount, now)
            if lease.spend(amount, now):
                self._ask_ahead(identity, lease)
                return lease.told(amount, True, now)
            if amount >= lease.refused > 0 and now < lease.until:
                self._own.correct(identity, -amount, rule, own, now)
                return lease.told(amount, False, now)
            ready = anyio.Event()
            ask = Ask(identity, lease, amount, from_elsewhere(ready.set))
            self._asks.append(ask)
        self._wake()
        taken = await self._answer(ask, ready)
        if taken is None or not taken.admitted:
            with self._lock:
                self._own.correct(identity, -amount, rule, own, now)
        return taken

    def correct(self, identity: str, more: int, rule: Rule, taken: Taken) -> None:
        """Take more, or (negative) give back; said to Redis when it can be."""
        now = self._now()
        with self._lock:
            if taken.shared:
                self._own.correct(identity, more, rule, taken._replace(at=now), now)
                lease = self._leases.known(identity)
                if lease is not None:  # what is told of it until Redis says more
                    lease.full = max(lease.full, now) + more * step_of(rule)
            self._owe(identity, Debt(rule, more, now, int(taken.at) if taken.shared else 0))
        self._wake()

    def look(self, identity: str, rule: Rule, amount: int = 0) -> Taken | None:
        """Tell how much is left, and when an amount would pass, as far as this process knows."""
        with self._lock:
            lease, now = self._leases.known(identity), self._now()
            if lease is None or not self._linked:
                return None
            return lease.told(0, True, now)._replace(wait=max(0.0, lease.wait(amount, now)))

    def _refused(self, identity: str, amount: int, own: Taken, now: float) -> Taken:
        """Tell how it stands in Redis, where that is known: others take from it, too, and less comes back a second."""
        lease = self._leases.known(identity)
        if lease is None:
            return own._replace(shared=True)
        told = lease.told(amount, False, now)
        return told if told.wait > own.wait else own._replace(shared=True)

    async def _answer(self, ask: Ask, ready: anyio.Event) -> Taken | None:
        """Wait for the thread; who waits in vain is the last one who does."""
        try:
            with anyio.move_on_after(PATIENCE) as scope:
                await ready.wait()
        finally:
            with self._lock:
                ask.tell = None
                taken, ask.taken = ask.taken, None
        if scope.cancelled_caught and taken is None:
            self._linked = False
        return taken

    def _ask_ahead(self, identity: str, lease: Lease) -> None:
        """Ask for more before the last token is spent."""
        if not lease.asked and lease.left <= lease.ahead // 2:
            lease.asked = True
            self._asks.append(Ask(identity, lease, 0, None))
            self._wake()

    def _owe(self, identity: str, debt: Debt) -> None:
        """Add to what is to be said of an identity; bounded."""
        name = (identity, debt.more > 0)
        old = self._debts.get(name)
        if old is not None and debt.more > 0:  # some of the old one is back by now
            left = max(0.0, old.more - (debt.made - old.made) / step_of(old.rule))
            debt = debt._replace(more=debt.more + ceil(left))
        elif old is not None:
            debt = debt._replace(more=old.more + debt.more, at=min(old.at, debt.at))
        elif len(self._debts) >= OWED:
            return
        self._debts[name] = debt

    # -- the thread ---------------------------------------------------------------------------

    async def serve(self, stopping: asyncio.Event) -> None:
        """Lease for whoever asks until stopped; ends when the connection does."""
        loop, wake = asyncio.get_running_loop(), asyncio.Event()

        def call() -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(wake.set)

        connection = self._place.connection()
        try:
            await connection.connect()  # type: ignore[no-untyped-call]  # redis leaves it untyped
            self._wake = call
            await self._lease(connection, [], [])
            while not stopping.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(SWEEP):
                        await wake.wait()
                wake.clear()
                await self._round(connection)
        finally:
            self._linked = False
            self._give_up()
            await hang_up(connection)

    async def _round(self, connection: Any) -> None:
        """Say everything there is to say."""
        while True:
            now = self._now()
            with self._lock:
                for identity, lease, left in self._leases.returned(now):
                    self._owe(identity, Debt(lease.rule, -left, now, lease.at))
                asks = [self._asks.popleft() for _ in range(min(len(self._asks), 8 * BATCH))]
                names = list(self._debts)[:BATCH]
                debts = [(identity, self._debts.pop((identity, positive))) for identity, positive in names]
            await self._lease(connection, asks, debts)
            if not self._asks and not self._debts:
                return

    async def _lease(self, connection: Any, asks: Sequence[Ask], debts: Sequence[tuple[str, Debt]]) -> None:
        """Ask Redis once for each identity, all at once; a failure is everybody's."""
        groups: dict[str, list[Ask]] = {}
        for ask in asks:
            groups.setdefault(ask.identity, []).append(ask)
        sent = self._now()
        words = [self._debt_words(identity, debt, sent) for identity, debt in debts]
        words += [self._ask_words(identity, group) for identity, group in groups.items()]
        if not words:
            words = [("PING",)]
        try:
            for command in words:
                await connection.send_command(*command)
            answers = [await connection.read_response() for _ in words]
            self._linked = True
            for group, answer in zip(groups.values(), answers[len(debts) :], strict=False):
                self._take_in(group, _numbers(answer, len(group)), sent)
        finally:
            for ask in asks:
                self._settle(ask)

    def _debt_words(self, identity: str, debt: Debt, now: float) -> tuple[Any, ...]:
        more, back = max(0, debt.more), max(0, -debt.more)
        return self._words(identity, debt.rule, 0, more, microseconds(max(0.0, now - debt.made)), back, debt.at)

    def _ask_words(self, identity: str, group: Sequence[Ask]) -> tuple[Any, ...]:
        lease = group[0].lease
        with self._lock:
            lease.asked = False
            ahead = lease.ahead
        return self._words(identity, lease.rule, ahead, 0, 0, 0, 0, *(ask.amount for ask in group if ask.amount))

    def _words(self, identity: str, rule: Rule, *rest: int) -> tuple[Any, ...]:
        key = self._place.limit(identity.encode("utf-8", "surrogatepass"))
        head = microseconds(step_of(rule)), rule.burst, rule.limit, microseconds(WINDOW)
        return ("EVAL", TAKE, 1, key, *head, *rest)

    def _take_in(self, group: Sequence[Ask], answer: Sequence[int], sent: float) -> None:
        """Give tokens to who waits; what nobody waits for any more is kept for the next."""
        at, missing, spare, *granted = answer
        lease = group[0].lease
        with self._lock:
            lease.full, lease.at = self._now() + missing / 1e6, lease.at if lease.left else at
            lease.refused = 0
            self._leases.given(group[0].identity, lease, spare, at, sent)
            for ask, is_granted in zip([ask for ask in group if ask.amount], granted, strict=False):
                taken = lease.told(ask.amount, bool(is_granted), self._now())
                if not is_granted and not lease.refused:  # asked again soon: others may give back what they took
                    lease.refused, lease.until = ask.amount, self._now() + min(taken.wait, LIVES)
                if ask.tell is not None:
                    ask.taken = taken._replace(at=float(at))
                elif is_granted:
                    self._leases.given(ask.identity, lease, ask.amount, at, sent)

    def _settle(self, ask: Ask) -> None:
        """Tell who waits that there is an answer, or that there will be none."""
        with self._lock:
            tell, ask.lease.asked = ask.tell, False
        if tell is not None:
            tell()

    def _give_up(self) -> None:
        """Send everybody away who still waits."""
        while self._asks:
            self._settle(self._asks.popleft())


def _numbers(answer: object, asked: int) -> list[int]:
    """Read an answer of the script; nothing that comes in is believed. Raises ValueError."""
    if not isinstance(answer, list) or not 3 <= len(answer) <= 3 + asked:
        raise ValueError("not an answer of ours")
    if not all(type(number) is int for number in answer) or not all(number in {0, 1} for number in answer[3:]):
        raise ValueError("not an answer of ours")
    if answer[0] < 0 or not -200_000_000 <= answer[1] <= 2**40 or not 0 <= answer[2] <= 1000:
        raise ValueError("not an answer of ours")
    return answer

"""What rests, until when, and who may try it first when it comes back.

A rest belongs to a name: a provider, a model at a provider, a quota group (for one model or for
all), a key. Times are on the gateway's monotonic clock. Some rests end on probation: one call at a
time is let through until enough of them were answered.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from random import Random
from typing import Literal, NamedTuple

__all__ = ["Change", "Name", "Rest", "Rests", "State", "of_group", "of_key", "of_model", "of_provider"]

LOG = logging.getLogger("aigateway.rests")
Name = tuple[str, ...]
State = Literal["open", "cooldown", "suspended", "disabled", "marked"]
# How long somebody else's call on probation is waited for before looking again.
PROBING = 1.0
# A claim nobody gave back (a process that died) ends by itself.
CLAIMED = 120.0


class Pause(NamedTuple):
    """How long a rest lasts when nobody named a time: doubling, jittered down to `least` of it."""

    first: float
    longest: float
    least: float
    proofs: int = 0  # answers in a row that end its probation; 0: it ends by time alone

    def seconds(self, times: int, random: Random) -> float:
        """Give the length of the rest that is the `times`-th in a row."""
        return min(self.longest, self.first * 2.0 ** min(times - 1, 16)) * random.uniform(self.least, 1.0)


# `open` ends at 25 s, not 30, so that a request every few seconds finds a healed target within 30.
PAUSES: dict[State, Pause] = {
    "open": Pause(5.0, 25.0, 0.8, proofs=3),
    "cooldown": Pause(1.0, 60.0, 0.5),
    "suspended": Pause(60.0, 900.0, 0.8, proofs=1),
    "disabled": Pause(300.0, 3600.0, 0.8, proofs=1),
    "marked": Pause(60.0, 600.0, 0.8, proofs=1),
}
# A rest that begins sooner than this after the last one ended is the next in a row.
FORGETS = 60.0


class Rest(NamedTuple):
    """Say until when something is left alone, why, and how many answers it owes afterwards."""

    until: float
    state: State
    kind: str
    times: int = 1
    proofs: int = 0


class Change(NamedTuple):
    """Tell other processes what became of a name; its times are seconds from now.

    `rest` comes with a rest, `claim` with how long a claim may last; `release` and `clear` with neither.
    """

    name: Name
    what: Literal["rest", "clear", "claim", "release"]
    rest: Rest | None = None
    seconds: float = 0.0


def of_provider(provider: str) -> Name:
    """Name everything at a provider."""
    return ("provider", provider)


def of_model(provider: str, model: str) -> Name:
    """Name one model at a provider."""
    return ("model", provider, model)


def of_group(provider: str, group: str, model: str = "") -> Name:
    """Name a quota group, for one model or (without) for all."""
    return ("group", provider, group, model)


def of_key(provider: str, key: str) -> Name:
    """Name a key by its masked id."""
    return ("key", provider, key)


class Rests:
    """Keep rests and claims; bounded, whatever callers name.

    `tell`, when set, is called with every change made here; `learn` takes one from another
    process, from any thread. `grace` is how much later than the others, in seconds, a process
    tries what another one has put to rest.
    """

    def __init__(self, random: Random, limit: int = 4096) -> None:
        self.now: Callable[[], float] = time.monotonic  # the gateway's clock
        self.tell: Callable[[Change], None] | None = None
        self.grace = 1.0
        self._random = random
        self._limit = limit
        self._rests: dict[Name, Rest] = {}
        self._claims: dict[Name, float] = {}
        self._ours: set[Name] = set()  # claims of this process, which no other one gives back
        self._heard: deque[tuple[float, Change]] = deque(maxlen=4 * limit)  # when, by `now`

    def __bool__(self) -> bool:
        """Tell whether anything may rest; most of the time nothing does."""
        return bool(self._rests or self._heard)

    def find(self, name: Name, now: float) -> Rest | None:
        """Give what keeps `name` from being used now."""
        if self._heard:
            self._take_in()
        rest = self._rests.get(name)
        if rest is None:
            return None
        if now < rest.until:
            return rest
        if rest.proofs and self._claims.get(name, 0.0) > now:
            return rest._replace(until=now + PROBING)
        return None

    def put(self, name: Name, state: State, kind: str, now: float, *, wait: float | None = None) -> Rest:
        """Let `name` rest for `wait` seconds, else for as long as its state's turn; the latest end counts."""
        before = self._rests.get(name)
        pause, times = PAUSES[state], 1
        if before is not None:
            resting = now < before.until
            if resting and wait is None and before.state == state:
                return before  # a call that began before it rested tells nothing new
            in_a_row = before.state == state and now - before.until < FORGETS
            times = before.times + (not resting) if in_a_row else 1
        until = now + (pause.seconds(times, self._random) if wait is None else wait)
        if before is not None and before.until >= until:
            return before
        return self._set(name, Rest(until, state, kind, times, pause.proofs), now)

    def claim(self, name: Name, now: float) -> bool:
        """Take the one call something on probation is given; False when it owes nothing."""
        if not self.on_probation(name, now):
            return False
        self._claims[name] = now + CLAIMED
        self._ours.add(name)
        if self.tell:
            self.tell(Change(name, "claim", seconds=CLAIMED))
        return True

    def on_probation(self, name: Name, now: float) -> bool:
        """Tell whether `name` may be asked, one call at a time."""
        rest = self._rests.get(name)
        return rest is not None and rest.proofs > 0 and now >= rest.until

    def release(self, name: Name) -> None:
        """Give a claim back."""
        self._ours.discard(name)
        if self._claims.pop(name, None) is not None and self.tell:
            self.tell(Change(name, "release"))

    def answered(self, name: Name, now: float, *, knocked: bool = False) -> None:
        """Note an answer: it ends a probation, one proof at a time, and the row of rests.

        `knocked` says that it was asked past its rest, which the answer ends.
        """
        rest = self._rests.get(name)
        if rest is None or (now < rest.until and not knocked):
            return  # an answer to what was asked before it rested
        if now < rest.until:
            rest = self._set(name, rest._replace(until=now), now)
        if rest.proofs > 1:
            self._rests[name] = rest._replace(proofs=rest.proofs - 1)
        elif rest.state == "open" and rest.proofs:
            self._set(name, rest._replace(until=now, proofs=0), now)  # its row is remembered a while
        elif rest.state != "open" or now - rest.until >= FORGETS:
            self._drop(name)

    def clear(self, name: Name) -> None:
        """Forget a rest, as a person says who has mended it."""
        if name in self._rests:
            self._drop(name)

    def clear_all(self, provider: str) -> int:
        """Forget every rest of a provider; give how many there were."""
        names = [name for name in self._rests if name[1] == provider]
        for name in names:
            self._drop(name)
        return len(names)

    def learn(self, change: Change) -> None:
        """Take a change from another process; safe from any thread."""
        self._heard.append((self.now(), change))

    def listing(self, now: float) -> Iterator[tuple[Name, Rest]]:
        """List what rests now."""
        for name in list(self._rests):
            rest = self.find(name, now)
            if rest is not None:
                yield name, rest

    # -- helpers ----------------------------------------------------------------------------

    def _set(self, name: Name, rest: Rest, now: float) -> Rest:
        if name not in self._rests and len(self._rests) >= self._limit:
            self._make_room(now)
        if rest.until > now and (rest.proofs or name not in self._rests):
            level = logging.INFO if rest.state == "cooldown" else logging.WARNING
            LOG.log(level, "%s rests for %.1f s (%s, after %s)", _shown(name), rest.until - now, rest.state, rest.kind)
        self._rests[name] = rest
        self._claims.pop(name, None)
        if self.tell:
            self.tell(Change(name, "rest", rest._replace(until=rest.until - now)))
        return rest

    def _drop(self, name: Name) -> None:
        del self._rests[name]
        self._claims.pop(name, None)
        if self.tell:
            self.tell(Change(name, "clear"))

    def _make_room(self, now: float) -> None:
        """Forget what is over, else the half that ends first."""
        kept = {name: rest for name, rest in self._rests.items() if now - rest.until < FORGETS}
        if len(kept) >= self._limit:
            latest = sorted(kept, key=lambda name: kept[name].until)[self._limit // 2 :]
            kept = {name: kept[name] for name in latest}
        self._rests = kept

    def _take_in(self) -> None:
        """Merge what others told; where both know a rest, the latest end counts."""
        while self._heard:
            now, change = self._heard.popleft()
            if change.what == "claim":
                if change.name in self._rests:
                    self._claims[change.name] = now + change.seconds
                continue
            if change.what == "release" and change.name in self._ours:
                continue
            self._claims.pop(change.name, None)
            if change.what == "clear":
                self._rests.pop(change.name, None)
            elif change.rest is not None:
                self._merge(change.name, change.rest, now)

    def _merge(self, name: Name, rest: Rest, now: float) -> None:
        over = rest.until <= 0
        late = self.grace * self._random.uniform(1.0, 2.0) if rest.proofs and not over else 0.0
        mine, until = self._rests.get(name), now + rest.until + late
        if mine is None and len(self._rests) >= self._limit:
            self._make_room(now)
        if mine is None or over or until > mine.until:
            self._rests[name] = rest._replace(until=until)


def _shown(name: Name) -> str:
    what, *parts = name
    return f"{what} {'/'.join(filter(None, parts))[:256]!r}"

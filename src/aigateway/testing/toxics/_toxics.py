"""What a network can do to a connection. Each is a short loop over one direction."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from random import Random

import anyio

from ._flow import Flow, Toxic

__all__ = ["Bandwidth", "BlackHole", "Cut", "HalfClose", "Latency", "Reset", "Slicer", "SlowClose"]

TICKS = 50  # pieces per second that a narrow line is made of


@dataclass(frozen=True, slots=True)
class Latency(Toxic):
    """Deliver everything, the end too, `seconds` later, give or take `jitter`; order is kept.

    At most 64 KiB are on their way at once. The same seed delays the same connection in the same way.
    """

    seconds: float
    jitter: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse negative times."""
        _check("seconds", self.seconds)
        _check("jitter", self.jitter)

    async def run(self, flow: Flow) -> None:
        """Note when each piece is due, and read on meanwhile."""
        random = Random(f"{self.seed}/{flow.number}/{flow.direction}")  # noqa: S311 - repeatable, not secret
        due: deque[tuple[float, int]] = deque([(self._when(random), flow.held)])  # the last one is the end
        more = True
        while more or due:
            if more and flow.room:
                with anyio.CancelScope(deadline=due[0][0] if due else math.inf):
                    size = await flow.more()
                    due.append((self._when(random), size))
                    more = size > 0
            else:
                await anyio.sleep_until(due[0][0])
            while due and due[0][0] <= anyio.current_time():
                await flow.write(due.popleft()[1])
        await flow.finish()

    def _when(self, random: Random) -> float:
        return anyio.current_time() + max(0.0, self.seconds + random.uniform(-self.jitter, self.jitter))


@dataclass(frozen=True, slots=True)
class Bandwidth(Toxic):
    """Pass on at most `rate` bytes per second, evenly."""

    rate: float

    def __post_init__(self) -> None:
        """Refuse a line on which nothing moves."""
        _check("rate", self.rate)
        if not self.rate:
            raise ValueError("rate must be more than 0; a line that carries nothing is a BlackHole()")

    async def run(self, flow: Flow) -> None:
        """Wait after each piece as long as it takes; an idle time is not saved up."""
        free = anyio.current_time()
        while waiting := await flow.read():
            size = min(waiting, max(1, int(self.rate / TICKS)))
            await flow.write(size)
            free = max(free, anyio.current_time()) + size / self.rate
            await anyio.sleep_until(free)
        await flow.finish()


@dataclass(frozen=True, slots=True)
class Slicer(Toxic):
    """Pass on in pieces of `size` bytes, `delay` seconds apart."""

    size: int
    delay: float = 0.0

    def __post_init__(self) -> None:
        """Refuse empty pieces."""
        _check("delay", self.delay)
        if self.size < 1:
            raise ValueError(f"size must be 1 or more, not {self.size!r}")

    async def run(self, flow: Flow) -> None:
        """Send piece by piece; without a delay the reader still gets its turn between two."""
        while await flow.read():
            await flow.write(self.size)
            await anyio.sleep(self.delay)
        await flow.finish()


@dataclass(frozen=True, slots=True)
class SlowClose(Toxic):
    """Pass on at once, but the end (FIN) `seconds` late."""

    seconds: float

    def __post_init__(self) -> None:
        """Refuse negative times."""
        _check("seconds", self.seconds)

    async def run(self, flow: Flow) -> None:
        """Pass on, then wait."""
        while await flow.read():
            await flow.write()
        await anyio.sleep(self.seconds)
        await flow.finish()


@dataclass(frozen=True, slots=True)
class Cut(Toxic):
    """End both sides cleanly (FIN) after `size` bytes; 0: when the first arrives."""

    size: int = 0

    def __post_init__(self) -> None:
        """Refuse a negative size."""
        _check("size", self.size)

    async def run(self, flow: Flow) -> None:
        """Pass on that much."""
        if await self.after(flow, self.size):
            flow.part()


@dataclass(frozen=True, slots=True)
class HalfClose(Toxic):
    """End this direction (FIN) after `size` bytes; 0: when the first arrives. The other stays open."""

    size: int = 0

    def __post_init__(self) -> None:
        """Refuse a negative size."""
        _check("size", self.size)

    async def run(self, flow: Flow) -> None:
        """Pass on that much; the rest is read and thrown away."""
        if await self.after(flow, self.size):
            await flow.finish()


@dataclass(frozen=True, slots=True)
class Reset(Toxic):
    """Reset both sides (RST): at once, or after `size` bytes; 0: when the first arrives.

    At once the vendor is never asked. `Reset(0)` on what it sends loses an answer that was given,
    `Reset(0)` on what the gateway sends loses the request.
    """

    size: int | None = None

    def __post_init__(self) -> None:
        """Refuse a negative size."""
        _check("size", self.size or 0)

    @property
    def both(self) -> bool:
        """At once there is no direction."""
        return self.size is None

    async def run(self, flow: Flow) -> None:
        """Pass on that much."""
        if self.size is None or await self.after(flow, self.size):
            await flow.reset()


@dataclass(frozen=True, slots=True)
class BlackHole(Toxic):
    """Accept, pass on nothing, never answer; with `accept=False` not even accept.

    Without `accept` the queue of the listening socket is full, so that the kernel drops a SYN as a
    firewall would. Where it does not (this is what Linux does), connecting succeeds and hangs.
    A connection that lost bytes in it stays lost when the toxic is taken away.
    """

    accept: bool = True

    @property
    def both(self) -> bool:
        """Take hold of both directions."""
        return True

    @property
    def accepts(self) -> bool:
        """Whether connections are accepted."""
        return self.accept

    async def run(self, flow: Flow) -> None:
        """Swallow what the gateway sends, to see it leave; leave what the vendor sends where it is."""
        if flow.direction == "downstream":
            await anyio.sleep_forever()
        await flow.swallow()
        flow.part()


def _check(name: str, value: float) -> None:
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} must be 0 or more, not {value!r}")

"""One direction of a connection, and the seam: a toxic is a loop over it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from ._legs import BUFFER, Leg

__all__ = ["Direction", "End", "Flow", "Toxic"]

Direction = Literal["downstream", "upstream"]  # vendor -> gateway, gateway -> vendor
End = Literal["parted", "reset"]  # how a toxic ends a connection: FIN both ways, or RST both ways


class Flow:
    """What one direction has received and not yet passed on; it outlives a change of toxics.

    Data stays here until it is passed on, so a toxic that is cancelled loses none of it.
    """

    def __init__(self, number: int, direction: Direction, source: Leg, sink: Leg, end: Callable[[End], None]) -> None:
        self.number = number
        self.direction = direction
        self.count = 0
        self.swallowed = False
        self.finished = False
        self.done = False
        self._source = source
        self._sink = sink
        self._end = end
        self._held = bytearray()

    @property
    def room(self) -> int:
        """How much more can be held before the source has to wait."""
        return BUFFER - len(self._held)

    @property
    def held(self) -> int:
        """How much waits to be passed on."""
        return len(self._held)

    async def read(self) -> int:
        """Return how many bytes wait to be passed on, after waiting for some; 0 at the end."""
        return len(self._held) or await self.more()

    async def more(self) -> int:
        """Wait for bytes beside those that are held (there must be room); return how many, 0 at the end."""
        data = await self._source.receive(self.room)
        self._held += data
        return len(data)

    async def write(self, most: int = BUFFER) -> None:
        """Pass on what is held, `most` bytes of it."""
        left = min(most, len(self._held))
        while left > 0:
            size = await self._sink.send(bytes(self._held[:left]))
            del self._held[:size]
            self.count += size
            left -= size

    async def finish(self) -> None:
        """End this direction (FIN); the other one stays open."""
        await self._sink.finish()
        self.finished = True

    async def discard(self) -> None:
        """Read to the end what can no longer be passed on."""
        self._held.clear()
        while await self._source.receive(BUFFER):
            pass

    async def swallow(self) -> None:
        """Let what comes vanish. What is lost cannot be mended: the connection stays a black hole."""
        while self._held or await self.more():
            self.swallowed = True
            self._held.clear()

    async def reset(self) -> None:
        """Reset both sides, when what was passed on has been sent."""
        if self.count:
            await self._sink.sent()
        self._end("reset")

    def part(self) -> None:
        """End both sides cleanly."""
        self._end("parted")


class Toxic:
    """What happens to one direction; this one, the base, only passes on.

    A toxic of your own overrides `run`. It is cancelled when another takes its place, and may hold
    nothing that belongs to the connection: that is the flow's.
    """

    @property
    def both(self) -> bool:
        """Whether it takes hold of both directions, whichever it was set for."""
        return False

    @property
    def accepts(self) -> bool:
        """Whether connections are accepted."""
        return True

    async def run(self, flow: Flow) -> None:
        """Pass on until the source ends."""
        while await flow.read():
            await flow.write()
        await flow.finish()

    async def after(self, flow: Flow, size: int) -> bool:
        """Pass on `size` bytes of the connection (0: wait for the first); False if it ended before."""
        while await flow.read():
            await flow.write(size - flow.count)
            if flow.count >= size:
                return True
        await flow.finish()
        return False

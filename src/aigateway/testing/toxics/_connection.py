"""One connection through the proxy: two flows, each driven by the toxic of its direction."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import anyio

from ._flow import Direction, End, Flow, Toxic
from ._legs import BUFFER, Address, Dialled, Leg
from ._toxics import BlackHole

__all__ = ["Connection"]

Choose = Callable[[Direction], Toxic]


class Connection:
    """What became of one connection of the gateway's; times are `time.monotonic()`."""

    def __init__(
        self, number: int, raw: socket.socket, vendor: Address, choose: Choose, left: Callable[[], None]
    ) -> None:
        self.number = number
        self.opened_at = time.monotonic()
        self.ended = False
        self._choose = choose
        self._left = left
        self._gateway = Leg(raw, left)
        self._vendor = Dialled(vendor)
        self._down = Flow(number, "downstream", self._vendor, self._gateway, self._end)
        self._up = Flow(number, "upstream", self._gateway, self._vendor, self._end)
        self._ending: End | None = None
        self._scope = anyio.CancelScope()

    def __repr__(self) -> str:
        """Show what went through and whether it is open."""
        state = "open" if self.open else "closed"
        return f"<Connection {self.number}, {state}, {self.bytes_up} bytes up, {self.bytes_down} down>"

    @property
    def open(self) -> bool:
        """Whether the gateway still holds its side, as far as the wire tells."""
        return not self.ended and self.closed_at is None

    @property
    def closed_at(self) -> float | None:
        """When the gateway closed its side; None if it has not, or was reset before it could."""
        return self._gateway.closed_at

    @property
    def bytes_down(self) -> int:
        """How many bytes were passed on to the gateway."""
        return self._down.count

    @property
    def bytes_up(self) -> int:
        """How many bytes were passed on to the vendor."""
        return self._up.count

    def refresh(self) -> None:
        """Take the toxics that hold now."""
        self._scope.cancel()

    async def serve(self) -> None:
        """Pass on, as the toxics will have it, until both directions have ended."""
        try:
            while self._ending is None and not (self._down.done and self._up.done):
                self._scope = anyio.CancelScope()
                with self._scope:
                    await self._drive_both()
            while self._ending == "parted" and self._gateway.closed_at is None:
                self._scope = anyio.CancelScope()
                with self._scope:
                    await self._part()
        finally:
            self.close()

    def close(self) -> None:
        """Give the sockets back, whatever state they are in."""
        if self._ending == "reset":
            self._gateway.abort()
            self._vendor.abort()
        self._gateway.close()
        self._vendor.close()
        self.ended = True
        self._left()

    async def _drive_both(self) -> None:
        async with anyio.create_task_group() as tasks:
            for flow in (self._down, self._up):
                if not flow.done:
                    tasks.start_soon(self._drive, flow)

    async def _drive(self, flow: Flow) -> None:
        toxic = self._choose(flow.direction)
        if self._up.swallowed and not toxic.both:
            toxic = BlackHole()
        try:
            if not flow.finished:
                await toxic.run(flow)
            await flow.discard()
        except OSError:
            self._end("reset")  # one side is gone without a word: the other hears of it in the same way
        flow.done = True

    async def _part(self) -> None:
        """End it on both sides, and listen on until the gateway has closed: a leak shows as open."""
        self._vendor.close()
        await self._gateway.finish()
        try:
            while await self._gateway.receive(BUFFER):
                pass
        except OSError:
            pass  # closed, if not politely

    def _end(self, how: End) -> None:
        self._ending = self._ending or how
        self._scope.cancel()

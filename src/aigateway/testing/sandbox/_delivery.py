"""Sending one answer, or letting it go wrong on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import anyio

from ._faults import Fault
from ._server import Exchange
from ._vendors import Event, Response, Stream

__all__ = ["Delivery", "Seen"]

LONGEST_SILENCE = 0.5  # between two keep-alives


@dataclass(slots=True)
class Seen:
    """One request a stand-in got; never its key.

    `ended`: None while it runs, then complete, broken (by a fault), left (the client went away)
    or closed (the stand-in was taken down).
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    status: int | None = None
    ended: Literal["complete", "broken", "left", "closed"] | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One answer on its way; `cleared` is set when a person switches the fault."""

    http: Exchange
    seen: Seen
    fault: Fault
    pace: float
    cleared: anyio.Event

    def reset(self) -> None:
        """Break the connection instead of answering."""
        self.seen.ended = "broken"
        self.http.reset()

    async def whole(self, answer: Response, blank: bytes) -> None:
        """Send a whole answer; only a good one is broken."""
        slow, good = self.fault.kind == "slow", answer.status == 200
        if slow and blank and good:
            await self._begin(answer)
            await self._wait(blank)
            await self._end(answer.body)
            return
        if slow:
            await self._wait(b"")
        body = answer.lead + answer.body
        if good and self.fault.kind == "bad_json":
            body = body[: len(body) // 2]
        await self._begin(answer, len(body))
        if good and self.fault.kind in {"cut", "stall"}:
            half = len(body) // 2
            await self.http.write(body[:half])
            if await self._broken_off():
                return
            body = body[half:]
        await self._end(body)

    async def stream(self, answer: Stream, comment: bytes) -> None:
        """Send a streamed answer."""
        await self._begin(answer)
        if self.fault.kind == "slow":
            await self._wait(comment)
        contents = number = 0
        unbroken = self.fault.kind in {"cut", "stall"}
        for event in answer.events:
            if unbroken and self._breaks(event, contents):
                if await self._broken_off():
                    return
                unbroken = False
            number += event.carries != "comment"
            contents += event.carries == "content"
            await self._event(event, number)
        await self._end(b"")

    async def _begin(self, answer: Response | Stream, length: int | None = None) -> None:
        self.seen.status = answer.status
        await self.http.begin(answer.status, answer.headers, length=length)

    async def _end(self, body: bytes) -> None:
        self.seen.ended = "complete"  # before it is sent: who has read the end may look at once
        await self.http.write(body)
        await self.http.finish()

    async def _broken_off(self) -> bool:
        """Stop for good when cut, for a while when stalled."""
        if self.fault.kind == "cut":
            self.seen.ended = "broken"
            return True
        await self.cleared.wait()
        return False

    def _breaks(self, event: Event, contents: int) -> bool:
        """Tell whether enough was said; a broken stream never has a finish reason."""
        return event.carries == "finish" or (event.carries == "content" and contents >= self.fault.number)

    async def _event(self, event: Event, number: int) -> None:
        broken = self.fault.kind == "bad_json" and number == self.fault.number and event.carries != "comment"
        await self.http.write(_half(event) if broken else event.data)
        if self.pace and event.carries == "content":
            await anyio.sleep(self.pace)

    async def _wait(self, keep_alive: bytes) -> None:
        """Let the fault's time pass, sending what the vendor sends meanwhile."""
        left = self.fault.seconds
        step = min(LONGEST_SILENCE, left / 4) if keep_alive else left
        while left > 1e-6:
            await self.http.write(keep_alive)
            await anyio.sleep(min(step, left))
            left -= step


def _half(event: Event) -> bytes:
    """Break the JSON of an event, and nothing else."""
    line = event.data.rstrip(b"\n")
    return line[: len(line) // 2].decode("utf-8", "ignore").encode() + b"\n\n"

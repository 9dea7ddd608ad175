"""Sending one answer, or letting it go wrong on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import anyio

from ._faults import Fault
from ._server import Exchange
from ._vendors import Event, Response, Stream

__all__ = ["Delivery", "Ended"]

Ended = Literal["complete", "broken", "left", "closed"]
LONGEST_SILENCE = 0.5  # between two keep-alives


@dataclass(frozen=True, slots=True)
class Delivery:
    """One answer on its way; `cleared` is set when a person switches the fault."""

    http: Exchange
    fault: Fault
    pace: float
    cleared: anyio.Event

    def reset(self) -> Ended:
        """Break the connection instead of answering."""
        self.http.reset()
        return "broken"

    async def whole(self, answer: Response, blank: bytes) -> Ended:
        """Send a whole answer; only a good one is broken."""
        slow = self.fault.kind == "slow"
        if slow and blank and answer.status == 200:
            await self.http.begin(200, answer.headers)
            await self._wait(blank)
            await self.http.write(answer.body)
            await self.http.finish()
            return "complete"
        if slow:
            await self._wait(b"")
        if answer.status != 200:
            await self.http.respond(answer.status, answer.headers, answer.body)
            return "complete"
        body = answer.body[: len(answer.body) // 2] if self.fault.kind == "bad_json" else answer.body
        return await self._halves(answer, answer.lead + body)

    async def stream(self, answer: Stream, comment: bytes) -> Ended:
        """Send a streamed answer."""
        await self.http.begin(200, answer.headers)
        if self.fault.kind == "slow":
            await self._wait(comment)
        contents = number = 0
        unbroken = self.fault.kind in {"cut", "stall"}
        for event in answer.events:
            if unbroken and self._breaks(event, contents):
                if self.fault.kind == "cut":
                    return "broken"
                await self.cleared.wait()
                unbroken = False
            number += event.carries != "comment"
            contents += event.carries == "content"
            await self._event(event, number)
        await self.http.finish()
        return "complete"

    async def _halves(self, answer: Response, body: bytes) -> Ended:
        half = len(body) // 2
        await self.http.begin(200, answer.headers, length=len(body))
        await self.http.write(body[:half])
        if self.fault.kind == "cut":
            return "broken"
        if self.fault.kind == "stall":
            await self.cleared.wait()
        await self.http.write(body[half:])
        await self.http.finish()
        return "complete"

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

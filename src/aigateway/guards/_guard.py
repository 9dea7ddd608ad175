"""What surrounds every call: refuse it, answer it, or watch it."""

from __future__ import annotations

from typing import Protocol

from ..types import Call, Outcome

__all__ = ["Guard"]


class Guard(Protocol):
    """Enter before a call, leave after it, streaming included.

    `enter` may raise Refusal, set `call.reply` to answer by itself, or just look. `leave` runs for
    every guard that was entered, in reverse order, shielded from cancellation and bounded in time;
    it may run in another task. A guard whose `leave` never awaits anything may say `instant = True`:
    there is nothing to shield or bound then, and every call is spared the cost.
    """

    instant: bool = False

    async def enter(self, call: Call) -> None:
        """Let the call in, or not."""

    async def leave(self, call: Call, outcome: Outcome) -> None:
        """See how it ended; usage is known now."""

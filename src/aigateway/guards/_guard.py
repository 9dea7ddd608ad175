"""What surrounds every call: refuse it, answer it, or watch it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from ..state import Mirror
from ..types import Call, Clock, Outcome, Usage

__all__ = ["Guard", "GuardOptions"]


@dataclass(frozen=True, slots=True)
class GuardOptions:
    """Give a guard what it is made with.

    `name` is what `use` says, `settings` its table over the record's defaults. `clock` and `random`
    are the gateway's; nothing else tells time. `shared` is the place shared between processes,
    where there is one; `workers` how many processes serve beside each other, this one included.
    `estimate` guesses what a call will use, at the target it is tried at first.
    """

    name: str
    clock: Clock
    random: Random
    settings: Mapping[str, Any] = field(default_factory=dict)
    shared: Mirror | None = None
    workers: int = 1
    estimate: Callable[[Call], Usage] = lambda call: Usage()


class Guard(Protocol):
    """Enter before a call, leave after it, streaming included.

    `enter` may raise Refusal, set `call.reply` to answer by itself, or just look. `leave` runs for
    every guard that was entered, in reverse order, shielded from cancellation and bounded in time;
    it may run in another task. A guard whose `leave` never awaits anything may say `instant = True`:
    there is nothing to shield or bound then, and every call is spared the cost. One that holds
    something open may have `async aclose()`, which runs when the gateway closes; a gateway that is
    entered again uses it again. Copies of requests (`shadow`) pass no guard; one that counts may have
    `copied(steps)`, which is told how a copy ended.
    """

    instant: bool = False

    async def enter(self, call: Call) -> None:
        """Let the call in, or not."""

    async def leave(self, call: Call, outcome: Outcome) -> None:
        """See how it ended; usage is known now."""

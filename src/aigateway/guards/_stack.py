"""Enter guards in order, leave them in reverse, whatever happens between."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import anyio

from ..types import Call, Chunk, Outcome
from ._guard import Guard

__all__ = ["GuardStack", "close_all", "tell"]

# A guard that hangs while leaving must not hold an answer back for ever.
LEAVING = 5.0
logger = logging.getLogger("aigateway.guards")


class GuardStack:
    """Hold the guards one call has entered."""

    __slots__ = ("_entered", "_guards")

    def __init__(self, guards: Sequence[Guard]) -> None:
        self._guards = guards
        self._entered: list[Guard] = []

    def __bool__(self) -> bool:
        return bool(self._entered)

    async def enter(self, call: Call) -> None:
        """Enter each guard until one refuses or answers."""
        for guard in self._guards:
            await guard.enter(call)
            self._entered.append(guard)
            if call.reply is not None:
                return

    async def leave(self, call: Call, outcome: Outcome) -> None:
        """Leave what was entered: shielded, bounded, one failing guard never stopping the next."""
        cancelled: BaseException | None = None
        while self._entered:
            guard = self._entered.pop()
            try:
                if getattr(guard, "instant", False):
                    await _leave(guard, call, outcome)
                    continue
                with anyio.move_on_after(LEAVING, shield=True) as scope:
                    await _leave(guard, call, outcome)
                if scope.cancelled_caught:
                    logger.error("a guard took longer than %s s to leave and was left behind", LEAVING)
            except BaseException as error:  # a shield does not hold asyncio's own cancellation off
                cancelled = error
        if cancelled is not None:
            raise cancelled


def tell(call: Call, batch: Sequence[Chunk]) -> None:
    """Let the listeners of a call see what reaches the caller; one that fails is not asked again."""
    for listen in call.listeners:
        try:
            listen(batch)
        except Exception:
            logger.exception("a guard failed while listening")
            call.listeners = tuple(other for other in call.listeners if other is not listen)


async def close_all(guards: Sequence[Guard]) -> None:
    """Close the guards that have something to close, each bounded in time; one that fails stops nobody."""
    for guard in guards:
        close = getattr(guard, "aclose", None)
        if close is None:
            continue
        try:
            with anyio.move_on_after(LEAVING, shield=True) as scope:
                await close()
            if scope.cancelled_caught:
                logger.error("the guard %s took longer than %s s to close", type(guard).__name__, LEAVING)
        except Exception:
            logger.exception("the guard %s failed while closing", type(guard).__name__)


async def _leave(guard: Guard, call: Call, outcome: Outcome) -> None:
    try:
        await guard.leave(call, outcome)
    except Exception:
        logger.exception("the guard %s failed while leaving", type(guard).__name__)

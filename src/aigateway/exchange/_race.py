"""Two exchanges beside each other: the first to have content is kept, the other is closed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import TaskGroup

from ._exchange import Exchange

__all__ = ["race"]

Ask = Callable[[], Awaitable[Exchange | None]]


async def race(first: Ask, late: Callable[[], Awaitable[None]], second: Ask) -> Exchange | None:
    """Give the exchange that is open first; None when both ended without one.

    `second` is asked when `late` is over; never, when `first` has ended before. What either raises
    ends both. Whoever loses is cancelled, which closes its connection.
    """
    won: list[Exchange] = []
    waiting = anyio.CancelScope()

    async def ask_first(group: TaskGroup) -> None:
        exchange = await first()
        waiting.cancel()  # the loop goes on to the next by itself
        await _keep(exchange, won, group)

    async def ask_second(group: TaskGroup) -> None:
        with waiting:
            await late()
        if not waiting.cancel_called:
            await _keep(await second(), won, group)

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(ask_first, group)
            group.start_soon(ask_second, group)
    except BaseException as error:
        for exchange in won:
            with anyio.CancelScope(shield=True):
                await exchange.aclose()
        if isinstance(error, BaseExceptionGroup):
            raise error.exceptions[0] from None
        raise
    return won[0] if won else None


async def _keep(exchange: Exchange | None, won: list[Exchange], group: TaskGroup) -> None:
    """Keep an exchange and end the other; close one that came second."""
    if exchange is None:
        return
    if won:
        exchange.lost, exchange.drain = True, 0.0  # whoever waits for the winner does not wait for this one
        await exchange.aclose()
        return
    won.append(exchange)
    group.cancel_scope.cancel()

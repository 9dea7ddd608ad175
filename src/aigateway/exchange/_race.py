"""Two exchanges beside each other: the first to have content is kept, the other is closed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

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

    async def keep(exchange: Exchange | None) -> None:
        if exchange is None:
            return
        if won:
            exchange.lost = True
            await exchange.aclose()
            return
        won.append(exchange)
        group.cancel_scope.cancel()

    async def ask_first() -> None:
        exchange = await first()
        waiting.cancel()  # the loop goes on to the next by itself
        await keep(exchange)

    async def ask_second() -> None:
        with waiting:
            await late()
        if not waiting.cancel_called:
            await keep(await second())

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(ask_first)
            group.start_soon(ask_second)
    except BaseException as error:
        for exchange in won:
            with anyio.CancelScope(shield=True):
                await exchange.aclose()
        if isinstance(error, BaseExceptionGroup):
            raise error.exceptions[0] from None
        raise
    return won[0] if won else None

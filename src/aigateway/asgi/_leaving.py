"""Stop working for a client that left."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from ._incoming import ClientGone, Receive

__all__ = ["while_connected"]


async def while_connected(receive: Receive, work: Callable[[], Awaitable[None]]) -> None:
    """Run `work`; cancel it as soon as the client disconnects. Raises ClientGone then."""
    gone = False

    async def watch(scope: anyio.CancelScope) -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        scope.cancel()

    failure: BaseException | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch, tasks.cancel_scope)
        try:
            await work()
        except Exception as error:
            failure = error  # raised outside the group, which would wrap it
        tasks.cancel_scope.cancel()
    if gone:
        raise ClientGone
    if failure is not None:
        raise failure

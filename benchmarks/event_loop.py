"""The event loop of every child: uvloop where it is installed; and the orders a child takes on stdin."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Coroutine
from importlib.util import find_spec
from typing import Any

HAS_UVLOOP = find_spec("uvloop") is not None

Handler = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run `main` to its end."""
    if HAS_UVLOOP:
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main)
    else:
        asyncio.run(main)


async def take_orders(handle: Handler) -> None:
    """Say `ready`, then answer one JSON line with another until stdin ends; a failure is an answer too."""
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        try:
            result = await handle(order)
        except Exception as error:  # whatever a subject raises is its result
            result = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(result | {"number": order["number"]}), flush=True)

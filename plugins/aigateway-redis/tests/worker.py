"""A gateway in a process of its own: reads what to do from stdin, answers on stdout, in JSON lines."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any, Never

import trio

from aigateway import Gateway
from aigateway.state import Rests
from aigateway.types import ChatRequest
from aigateway_redis import RedisMirror, _shelf


async def main() -> None:
    async with Gateway.from_config(json.loads(sys.argv[1])) as gateway:
        await gateway.chat("smart", "hi")
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            what, *words = json.loads(line)
            print(json.dumps(await DO[what](gateway, *words)), flush=True)  # noqa: T201  # the answer


async def put(gateway: Gateway, name: list[str], wait: float) -> float:
    """Let something rest; give when, on the clock all processes share."""
    now = time.monotonic()
    gateway.memory.rests.put(tuple(name), "cooldown", "rate_limit", now, wait=wait)
    return now


async def clear(gateway: Gateway, name: list[str]) -> float:
    now = time.monotonic()
    gateway.memory.rests.clear(tuple(name))
    return now


async def wait(gateway: Gateway, name: list[str], rests: bool) -> float:
    """Wait until something rests, or no longer does; give when that was known."""
    end = time.monotonic() + 20
    while (gateway.memory.rests.find(tuple(name), time.monotonic()) is not None) != rests:
        assert time.monotonic() < end, "it did not come true"
        await asyncio.sleep(0.0005)
    return time.monotonic()


async def fork(gateway: Gateway) -> list[str]:
    """Share in a forked child too; give what it says, and whether the parent still shares."""
    mirror, rests = gateway.parts.mirror, gateway.memory.rests
    assert isinstance(mirror, RedisMirror)
    _shelf.PATIENCE = 60.0
    assert await mirror.shelf.claim("mine", 60)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        live(mirror, rests, writer)
    said = await asyncio.to_thread(os.read, reader, 100)
    await asyncio.to_thread(os.waitpid, child, 0)
    await wait(gateway, ["model", "a", "child"], True)
    return [said.decode(), mirror.fault()]


def live(mirror: RedisMirror, rests: Rests, writer: int) -> Never:
    """Be the child: forget, begin to share, learn again what rests, claim and tell something, and go."""
    try:
        rests._rests.clear()
        mirror.start(rests)
        end = time.monotonic() + 20
        while rests.find(("model", "a", "early"), time.monotonic()) is None and time.monotonic() < end:
            time.sleep(0.005)
        rests.put(("model", "a", "child"), "cooldown", "rate_limit", time.monotonic(), wait=60.0)
        claims = [trio.run(mirror.shelf.claim, name, 60.0) for name in ("mine", "yours")]
        mirror.close()
        learned = b"learned" if rests.find(("model", "a", "early"), time.monotonic()) else b"nothing"
        os.write(writer, learned if claims == [False, True] else b"claims what the parent has")
    finally:
        os._exit(0)


async def fault(gateway: Gateway) -> str:
    assert gateway.parts.mirror is not None
    return gateway.parts.mirror.fault()


async def burst(gateway: Gateway, keys: list[str]) -> list[list[Any]]:
    """Ask at once with all these Idempotency-Keys; give for each the answer's id, and whether it was kept."""
    _shelf.PATIENCE = 60.0  # a machine too busy to answer in time is no Redis that is silent
    found = []

    async def ask(key: str) -> None:
        call = gateway.call(ChatRequest.parse({"messages": [{"role": "user", "content": key}]}))
        call.asks = {"idempotency-key": key}
        exchange = await gateway.open(call)
        await exchange.aclose()
        found.append([key, exchange.whole().body["id"], call.reply is not None])

    await asyncio.gather(*map(ask, keys))
    return found


DO: dict[str, Any] = {"burst": burst, "put": put, "clear": clear, "wait": wait, "fork": fork, "fault": fault}

if __name__ == "__main__":
    asyncio.run(main())

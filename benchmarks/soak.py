"""Mixed traffic against `aigateway serve` for a while, with a fault at a vendor for each hundredth request.

    python -m benchmarks.soak                     20 minutes, 40 requests a second
    python -m benchmarks.soak --minutes 2         a look
    python -m benchmarks.soak --crowd             1,000 silent streams held while 300 requests a second are answered

It reports how resident memory grew after the warm-up (MiB in an hour, extrapolated), every error that no fault
explains, and what is still open at the end. Exits 1 when a bound is broken: 1 MiB/h, none, nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import aiohttp

from .accounting import resident_mb
from .child import START_SECONDS, Child
from .event_loop import run
from .plan import percentile
from .survival.served import Served, open_files

VENDORS = ("deepseek", "minimax", "openai", "groq")
# What one call of a vendor may do: each heals with the next call, so every request is to be answered all the same.
FAULTS = ("error:500*1", "error:503*1", "rate_limit:1*1", "reset*1", "html*1", "bad_json*1", "cut:3*1", "slow:1*1")
MODELS = ("smart", "deepseek/deepseek-flash", "minimax/MiniMax-M3", "openai/gpt-5.4-mini", "groq/openai/gpt-oss-120b")
SAID = [{"role": "user", "content": "Say something of about this length, please."}]
EXTRA = """
[[guards]]
use = "rate_limit"
requests_per_minute = 10000000
burst = 1000000
[timeouts]
silence = 900.0
total = 1800.0
"""
SLOPE = 1.0  # MiB in an hour
LEAVES = 0.02  # of the clients, in the middle of a stream
ENDS = (b"data: [DONE]", b"event: message_stop", b"event: response.completed")
Ask = tuple[str, dict[str, Any] | None]


@dataclass
class Seen:
    """What the clients saw."""

    answers: Counter[str] = field(default_factory=Counter)
    unexplained: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    def wrong(self, path: str, what: str) -> None:
        self.answers["wrong"] += 1
        self.unexplained[f"{path}: {what[:200]}"] += 1


class World:
    """A sandbox, a gateway in front of it, and a client."""

    def __init__(self, sandbox: Child, served: Served, control: str, session: aiohttp.ClientSession) -> None:
        self._sandbox = sandbox
        self.served = served
        self._control = control
        self._session = session
        self.root = f"http://127.0.0.1:{served.port}"

    async def fault(self, vendor: str, words: str) -> None:
        """Switch a fault."""
        async with self._session.put(f"{self._control}/faults/{vendor}", json={"fault": words}) as reply:
            reply.raise_for_status()

    @asynccontextmanager
    async def ask(self, path: str, body: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request; none is a GET."""
        method = "GET" if body is None else "POST"
        async with self._session.request(method, self.root + path, json=body) as reply:
            yield reply


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    """Start both; end the sandbox."""
    config = folder / "aigateway.toml"
    base = five_ports()
    words = ["sandbox", "--write-config", str(config), "--port", str(base)]
    sandbox = Child(["-m", "aigateway", *words], orders=False, cwd=folder)
    try:
        await until(config.exists)
        config.write_text(config.read_text(encoding="utf-8") + EXTRA, encoding="utf-8")
        served = Served(config)
        try:
            await asyncio.to_thread(served.wait_for_port, served.port)
            timeout, connector = aiohttp.ClientTimeout(total=300), aiohttp.TCPConnector(limit=0)
            async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
                yield World(sandbox, served, f"http://127.0.0.1:{base + len(VENDORS)}", session)
        finally:
            served.stop()
    finally:
        sandbox.stop()


def five_ports() -> int:
    """Find ports in a row below those the system hands out."""
    import socket

    for base in range(21_000, 30_000, 10):
        try:
            for port in range(base, base + 5):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return base
    raise SystemExit("no five free ports in a row")


async def until(true: Any, seconds: float = START_SECONDS * 3) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:  # noqa: ASYNC110  # files and sockets of other processes set no event
        await asyncio.sleep(0.05)


# -- mixed traffic ----------------------------------------------------------------------------


def question(random: Random) -> Ask:
    """Choose what to ask: every dialect, whole and streamed."""
    model, stream = random.choice(MODELS), random.random() < 0.5
    routing = {"routing": {"fallback": True}}
    chat = {"model": model, "messages": SAID, "stream": stream, **routing}
    asks: list[Ask] = [
        ("/v1/chat/completions", chat),
        ("/v1/chat/completions", chat),
        ("/v1/responses", {"model": model, "input": "hello", "stream": stream, **routing}),
        ("/v1/messages", {"model": model, "messages": SAID, "max_tokens": 200, "stream": stream, **routing}),
        ("/v1/messages/count_tokens", {"model": model, "messages": SAID, "max_tokens": 200}),
        ("/v1/inference/complete", {"prompt": "hello", "model": model, **routing}),
        ("/v1/models", None),
    ]
    return random.choice(asks)


async def one(there: World, seen: Seen, random: Random) -> None:
    """Ask once, and judge the answer: whole, or broken off by a fault and saying so."""
    path, body = question(random)
    leaves = bool(body and body.get("stream")) and random.random() < LEAVES
    began = time.monotonic()
    try:
        async with there.ask(path, body) as reply:
            if leaves:
                await reply.content.readany()
                seen.answers["left"] += 1
                reply.close()
                return
            data = await reply.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        seen.wrong(path, repr(error))
        return
    seen.latencies.append(time.monotonic() - began)
    if reply.status != 200:
        seen.wrong(path, f"{reply.status} {data.decode(errors='replace')}")
    elif body is None or not body.get("stream") or any(end in data for end in ENDS):
        seen.answers["whole"] += 1
    elif b"stream_interrupted" in data or b"event: error" in data or b"response.failed" in data:
        seen.answers["broken off, and said so"] += 1
    else:
        seen.wrong(path, f"a stream that ends {data[-120:]!r}")


async def soak(there: World, minutes: float, rate: float, number: int) -> tuple[Seen, list[tuple[float, float]]]:
    """Keep to the rate whether or not answers come; look at the memory every few seconds."""
    random, seen, memory = Random(number), Seen(), list[tuple[float, float]]()
    began = time.monotonic()
    tasks: set[asyncio.Task[None]] = set()
    looked = due = began
    while (now := time.monotonic()) - began < minutes * 60:
        if now - looked >= 2.0:
            looked = now
            memory.append((now - began, resident_mb(there.served.pid)))
        while due <= now and len(tasks) < 500:
            due += 1 / rate
            if random.random() < 0.01:
                await there.fault(random.choice(VENDORS), random.choice(FAULTS))
            task = asyncio.create_task(one(there, seen, random))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        due = max(due, now - 1.0)  # a machine that cannot keep up is not made to catch up
        await asyncio.sleep(0.005)
    await asyncio.gather(*tasks)
    return seen, memory


def slope(memory: list[tuple[float, float]], warm: float) -> float:
    """Fit a line to what was resident after the warm-up; give MiB in an hour."""
    points = [(at, held) for at, held in memory if at >= warm]
    if len(points) < 3:
        return 0.0
    middle, mean = (sum(column) / len(points) for column in zip(*points, strict=True))
    over = sum((at - middle) ** 2 for at, _ in points)
    grown: float = 3600 * sum((at - middle) * (held - mean) for at, held in points) / over
    return grown


async def soaked(words: argparse.Namespace, folder: Path) -> int:
    async with world(folder) as there:
        async with there.ask("/v1/models", None) as reply:
            await reply.read()
        files = open_files(there.served.pid)
        seen, memory = await soak(there, words.minutes, words.rate, words.seed)
        await until(lambda: clients_of(there.served.port) <= 0, 30)  # ours keep a connection for 15 s
        left, after = clients_of(there.served.port), open_files(there.served.pid)
        code, seconds = await asyncio.to_thread(there.served.end, 30.0)
    warm = min(300.0, words.minutes * 60 * 0.4)
    grown = slope(memory, warm)
    asked = sum(seen.answers.values())
    print(f"{asked} requests in {words.minutes:g} min ({asked / words.minutes / 60:.0f}/s): {dict(seen.answers)}")
    print(f"latency p50 {percentile(seen.latencies, 0.5):.3f} s, p99 {percentile(seen.latencies, 0.99):.3f} s")
    looks = ", ".join(f"{held:.1f}" for _, held in memory[:: max(1, len(memory) // 20)])
    print(f"resident: {memory[0][1]:.1f} MiB at first, {memory[-1][1]:.1f} at the end; in between {looks}")
    print(f"slope after {warm:.0f} s of warm-up: {grown:+.2f} MiB/h, extrapolated from {memory[-1][0] - warm:.0f} s")
    print(
        f"at the end: {left} connections of clients; {files} open files at first, {after} now (upstream ones are kept)"
    )
    print(f"SIGTERM: exit {code} after {seconds:.1f} s")
    print(f"errors that no fault explains: {sum(seen.unexplained.values())}")
    for what, count in seen.unexplained.most_common(10):
        print(f"  {count} x {what}")
    return 1 if seen.unexplained or grown > SLOPE or left or code != 0 or seconds > 10 else 0


def clients_of(port: int) -> int:
    """Count connections to a port that are open on the server's side."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] in {"01", "08"} for row in rows)


# -- a crowd ----------------------------------------------------------------------------------


async def crowd(words: argparse.Namespace, folder: Path) -> int:
    """Hold silent streams of one vendor while the others answer."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    async with world(folder) as there:
        await there.fault("deepseek", "stall:3")
        held, started = Seen(), asyncio.Semaphore(0)
        tasks = [asyncio.create_task(hold(there, held, started)) for _ in range(words.streams)]
        for _ in tasks:
            await asyncio.wait_for(started.acquire(), 120)
        memory = resident_mb(there.served.pid)
        print(f"{words.streams - held.answers['wrong']} streams are held, {memory:.0f} MiB resident")
        seen, took = await steady(there, words.rate, words.seconds)
        await there.fault("deepseek", "none")
        await asyncio.gather(*tasks)
    answered = seen.answers["whole"] / took
    print(f"meanwhile: {answered:.0f} answers/s of {words.rate:.0f} asked for, over {took:.0f} s: {dict(seen.answers)}")
    print(f"latency p50 {percentile(seen.latencies, 0.5):.3f} s, p99 {percentile(seen.latencies, 0.99):.3f} s")
    print(f"the streams afterwards: {dict(held.answers)}")
    for what, count in (held.unexplained + seen.unexplained).most_common(10):
        print(f"  {count} x {what}")
    return 1 if held.unexplained or seen.unexplained or answered < words.rate * 0.95 else 0


async def hold(there: World, held: Seen, started: asyncio.Semaphore) -> None:
    body = {"model": "deepseek/deepseek-flash", "messages": SAID, "stream": True, "routing": {"fallback": False}}
    data = b""
    try:
        async with there.ask("/v1/chat/completions", body) as reply:
            data = await reply.content.readany()
            started.release()
            data += await reply.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        data = repr(error).encode()
    if b"data: [DONE]" in data:
        held.answers["whole"] += 1
    else:
        held.wrong("held", data[-200:].decode(errors="replace"))
        started.release()


async def steady(there: World, rate: float, seconds: float) -> tuple[Seen, float]:
    """Ask for whole answers at a rate, and wait for all of them."""
    seen, tasks = Seen(), list[asyncio.Task[None]]()
    body = {"model": "openai/gpt-5.4-mini", "messages": SAID}

    async def ask() -> None:
        began = time.monotonic()
        try:
            async with there.ask("/v1/chat/completions", body) as reply:
                data = await reply.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            seen.wrong("meanwhile", repr(error))
            return
        seen.latencies.append(time.monotonic() - began)
        if reply.status == 200:
            seen.answers["whole"] += 1
        else:
            seen.wrong("meanwhile", f"{reply.status} {data[:200]!r}")

    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        tasks += [asyncio.create_task(ask()) for _ in range(int(passed * rate) - len(tasks))]
        await asyncio.sleep(0.002)
    await asyncio.gather(*tasks)
    return seen, time.monotonic() - began


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=20.0, help="how long (%(default)s)")
    parser.add_argument("--rate", type=float, default=0.0, help="requests a second (40; of a crowd 300)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--crowd", action="store_true", help="hold silent streams instead")
    parser.add_argument("--streams", type=int, default=1000, help="how many of them (%(default)s)")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long the crowd stands (%(default)s)")
    words = parser.parse_args()
    words.rate = words.rate or (300.0 if words.crowd else 40.0)
    code: list[int] = []

    async def measured() -> None:
        with tempfile.TemporaryDirectory(prefix="aigateway-soak-") as folder:
            code.append(await (crowd if words.crowd else soaked)(words, Path(folder)))

    run(measured())
    return code[0]


if __name__ == "__main__":
    sys.exit(main())

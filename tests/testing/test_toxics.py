"""The bad network: what each toxic does on the wire, what the proxy saw, and what the gateway makes of it."""

from __future__ import annotations

import asyncio
import math
import os
import random
import socket
import struct
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import pytest
import trio
import trio.testing
from anyio.abc import ByteStream, SocketAttribute, SocketStream

import aigateway
from aigateway.testing import (
    Bandwidth,
    BlackHole,
    Cut,
    Flow,
    HalfClose,
    Latency,
    Reset,
    Slicer,
    SlowClose,
    Toxic,
    Toxics,
)
from aigateway.testing.sandbox import Sandbox

ASK = b"ask"
ANSWER = bytes(range(100))
LONG = 20.0  # seconds after which something hangs, on the busiest machine
GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


class Vendor:
    """A server that does what a story says, and remembers who came and what they sent."""

    def __init__(self, story: Callable[[Vendor, SocketStream], Awaitable[None]]) -> None:
        self.port = 0
        self.came = 0
        self.heard = b""
        self.ended = anyio.Event()  # a client has left
        self.how = ""
        self._story = story

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Vendor]:
        async with (
            await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
            anyio.create_task_group() as tasks,
        ):
            self.port = listener.extra(SocketAttribute.local_port)
            tasks.start_soon(listener.serve, self._serve)
            yield self
            tasks.cancel_scope.cancel()

    async def hear(self, stream: SocketStream) -> bool:
        """Take what comes next; False when nothing more does."""
        try:
            self.heard += await stream.receive()
        except anyio.EndOfStream:
            self.how = "end"
        except GONE:
            self.how = "reset"
        else:
            return True
        self.ended.set()
        return False

    async def _serve(self, stream: SocketStream) -> None:
        self.came += 1
        async with stream:
            try:
                await self._story(self, stream)
            except GONE:
                self.how = self.how or "reset"
                self.ended.set()


async def answers(vendor: Vendor, stream: SocketStream) -> None:
    """Answer each time something came."""
    while await vendor.hear(stream):
        await stream.send(ANSWER)


async def answers_and_closes(vendor: Vendor, stream: SocketStream) -> None:
    """Answer once and close."""
    await vendor.hear(stream)
    await stream.send(ANSWER)


async def listens(vendor: Vendor, stream: SocketStream) -> None:
    """Say nothing until the other side ends; then answer."""
    while await vendor.hear(stream):
        pass
    await stream.send(ANSWER)


@asynccontextmanager
async def network(
    story: Callable[[Vendor, SocketStream], Awaitable[None]], toxic: Toxic | None = None
) -> AsyncGenerator[tuple[Toxics, Vendor]]:
    with anyio.fail_after(LONG):
        async with Vendor(story).running() as vendor, Toxics("127.0.0.1", vendor.port, toxic) as proxy:
            yield proxy, vendor


async def connect(proxy: Toxics) -> SocketStream:
    return await anyio.connect_tcp("127.0.0.1", proxy.port)


async def read(stream: ByteStream, size: int = 1 << 30) -> tuple[bytes, str]:
    """Read `size` bytes or to the end; give what came and how it ended ("" if it did not)."""
    found = b""
    try:
        while len(found) < size:
            found += await stream.receive(size - len(found))
    except anyio.EndOfStream:
        return found, "end"
    except GONE:
        return found, "reset"
    return found, ""


async def ask(proxy: Toxics) -> tuple[bytes, str]:
    """Ask once on a connection of its own and read to the end."""
    try:
        async with await connect(proxy) as stream:
            await stream.send(ASK)
            return await read(stream)
    except GONE:  # reset before it was asked
        return b"", "reset"


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await anyio.sleep(0.005)


def reset(stream: SocketStream) -> None:
    """Make closing a reset."""
    raw = stream.extra(SocketAttribute.raw_socket)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# -- nothing is wrong -------------------------------------------------------------------------


@pytest.mark.anyio
async def test_without_a_toxic_it_only_passes_on() -> None:
    """What is sent arrives, in both directions, and is counted."""
    async with network(answers) as (proxy, vendor), await connect(proxy) as stream:
        await stream.send(ASK)
        first = await read(stream, 100)
        await stream.send(ASK)
        second = await read(stream, 100)

        assert (ANSWER, "") == first == second
        assert ASK + ASK == vendor.heard
        assert (1, 6, 200) == (proxy.open, proxy.bytes_up, proxy.bytes_down)
        assert f"http://127.0.0.1:{proxy.port}" == proxy.url


@pytest.mark.anyio
async def test_half_closed_connections_work() -> None:
    """An end in one direction is passed on, and the other direction goes on."""
    async with network(listens) as (proxy, _), await connect(proxy) as stream:
        await stream.send(ASK)
        await stream.send_eof()

        assert (ANSWER, "end") == await read(stream)


@pytest.mark.anyio
async def test_resets_are_passed_on() -> None:
    """Who is reset on one side is reset on the other."""

    async def resets(vendor: Vendor, stream: SocketStream) -> None:
        await vendor.hear(stream)
        reset(stream)

    async with network(resets) as (proxy, _):
        assert (b"", "reset") == await ask(proxy)
    async with network(answers) as (proxy, vendor):
        async with await connect(proxy) as stream:
            await stream.send(ASK)
            await read(stream, 100)
            reset(stream)
        await vendor.ended.wait()

        assert "reset" == vendor.how


@pytest.mark.anyio
async def test_a_vendor_that_is_not_there() -> None:
    """A proxy before a closed port resets who comes, and goes on."""
    async with network(answers_and_closes) as (_, vendor):
        free = socket.create_server(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        async with Toxics("127.0.0.1", port) as proxy:
            assert (b"", "reset") == await ask(proxy) == await ask(proxy)
            assert [None, None] == [connection.closed_at for connection in proxy.connections]
        assert 0 == vendor.came


class Flood:
    """A vendor who sends a lot, and counts what he could get rid of."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.sent = 0

    async def __call__(self, vendor: Vendor, stream: SocketStream) -> None:
        stream.extra(SocketAttribute.raw_socket).setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        while self.sent < self.size:
            await stream.send(bytes(1 << 16))
            self.sent += 1 << 16


@pytest.mark.anyio
@pytest.mark.parametrize("toxic", [None, Latency(1000), Slicer(1 << 20)], ids=repr)
async def test_buffers_are_bounded(toxic: Toxic | None) -> None:
    """A reader who does not read stops the sender; when he reads, everything is there."""
    flood, before = Flood(1 << 23), -1
    async with network(flood, toxic) as (proxy, _), await connect(proxy) as stream:
        while before != flood.sent:
            before = flood.sent
            await anyio.sleep(0.1)
        between = flood.sent - proxy.bytes_down
        proxy.toxic = None
        got, how = await read(stream)

    assert between <= 1 << 20
    assert (flood.size, "end") == (len(got), how)


# -- slower, later, smaller -------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize(
    "toxic",
    [Latency(0.2), Latency(0.1, jitter=0.1, seed=3), Bandwidth(20_000), Slicer(40, 0.001), SlowClose(0.1)],
    ids=repr,
)
async def test_slow_is_not_wrong(toxic: Toxic) -> None:
    """Whatever delays an answer, in either direction, all of it arrives, in order, and ends."""
    data = random.Random(1).randbytes(4000)

    async def speaks(vendor: Vendor, stream: SocketStream) -> None:
        while await vendor.hear(stream):
            pass
        for start in range(0, len(data), 500):
            await stream.send(data[start : start + 500])

    async with network(speaks, toxic) as (proxy, vendor), await connect(proxy) as stream:
        proxy.upstream_toxic = toxic
        await stream.send(data)
        await stream.send_eof()

        assert (data, "end") == await read(stream)
        assert data == vendor.heard


@pytest.mark.anyio
async def test_pieces_are_as_small_as_told() -> None:
    """A slicer's piece comes alone; taking the toxic away lets the rest through at once."""
    async with network(answers, Slicer(3, delay=1000)) as (proxy, _), await connect(proxy) as stream:
        await stream.send(ASK)
        piece = await stream.receive()
        proxy.toxic = None
        rest = await read(stream, 97)

        assert ANSWER[:3] == piece
        assert (ANSWER[3:], "") == rest


@pytest.mark.anyio
async def test_the_end_comes_late() -> None:
    """With a slow close everything has arrived, and still the connection is open."""
    async with network(answers_and_closes, SlowClose(1000)) as (proxy, _), await connect(proxy) as stream:
        await stream.send(ASK)
        answer = await read(stream, 100)
        with anyio.move_on_after(0.1) as patience:
            await stream.receive()
        proxy.toxic = None

        assert (ANSWER, "") == answer
        assert patience.cancelled_caught
        assert (b"", "end") == await read(stream)


@pytest.mark.anyio
async def test_changing_loses_nothing() -> None:
    """Toxics that change while data is under way lose, double or reorder no byte."""
    data = random.Random(2).randbytes(300_000)
    change = random.Random(3)

    async def speaks(vendor: Vendor, stream: SocketStream) -> None:
        await vendor.hear(stream)
        await stream.send(data)

    async with network(speaks) as (proxy, _), await connect(proxy) as stream, anyio.create_task_group() as tasks:

        async def keep_changing() -> None:
            while True:
                toxics = [None, Latency(0.003, jitter=0.003), Slicer(999), Bandwidth(1e6), SlowClose(0.01)]
                proxy.toxic = change.choice(toxics)
                await anyio.sleep(change.choice([0, 0.001, 0.004]))

        tasks.start_soon(keep_changing)
        await stream.send(ASK)
        got = await read(stream)
        tasks.cancel_scope.cancel()

    assert (data, "end") == got


# -- how much later, to the millisecond -------------------------------------------------------


class Wire:
    """One side of a connection without a socket: gives pieces at given times, notes when pieces come."""

    def __init__(self, pieces: list[tuple[float, bytes]]) -> None:
        self.pieces = pieces
        self.came: list[tuple[float, bytes]] = []
        self._began = trio.current_time()

    @property
    def now(self) -> float:
        return round(trio.current_time() - self._began, 6)

    async def receive(self, most: int) -> bytes:
        if not self.pieces:
            return b""
        await anyio.sleep(max(0.0, self.pieces[0][0] - self.now))
        return self.pieces.pop(0)[1]

    async def send(self, data: bytes) -> int:
        self.came.append((self.now, data))
        return len(data)

    async def finish(self) -> None:
        self.came.append((self.now, b""))


def played(toxic: Toxic, pieces: list[tuple[float, bytes]], number: int = 0) -> list[tuple[float, bytes]]:
    """Give when what comes out at the other end of a direction, on a virtual clock; the end is b""."""

    async def story() -> list[tuple[float, bytes]]:
        source, sink = Wire(pieces), Wire([])
        ends: Any = partial(pytest.fail, "it ended early")
        flow = Flow(number, "downstream", source, sink, ends)  # type: ignore[arg-type]  # speaks the same language
        await toxic.run(flow)
        return sink.came

    return trio.run(story, clock=trio.testing.MockClock(autojump_threshold=0))


def test_latency_is_a_line_and_not_a_queue() -> None:
    """Each piece comes the same time later, the end too; pieces do not wait for each other."""
    given = [(0.0, b"a"), (0.05, b"b"), (1.0, b"c")]

    assert [(0.2, b"a"), (0.25, b"b"), (1.2, b"c"), (1.2, b"")] == played(Latency(0.2), given)


def test_jitter_keeps_order_and_can_be_repeated() -> None:
    """Delays differ within bounds, by connection and by seed; the same seed gives the same ones."""

    def run(seed: int, number: int = 0) -> list[tuple[float, bytes]]:
        return played(Latency(0.2, jitter=0.1, seed=seed), [(float(i), b"%d" % i) for i in range(9)], number)

    delays = [when - int(data) for when, data in run(1) if data]

    assert all(0.1 <= delay <= 0.3 + 1e-6 for delay in delays)
    assert len(set(delays)) == 9
    assert run(1) == run(1) != run(2)
    assert run(1) != run(1, number=1)


def test_pieces_under_way_are_not_overtaken() -> None:
    """With jitter larger than the distance, what was sent first still comes first."""
    given = [(i / 1000, bytes([i])) for i in range(100)]

    assert bytes(range(100)) == b"".join(data for _, data in played(Latency(0.1, jitter=0.1), given))


def test_bandwidth_is_kept() -> None:
    """So many bytes per second, evenly; an idle time is not saved up."""
    came = played(Bandwidth(1000), [(0.0, bytes(500)), (9.0, bytes(500))])

    assert {20} == {len(data) for _, data in came if data}
    assert [0.0, 0.02, 0.04] == [when for when, _ in came[:3]]
    assert [9.0, 9.02] == [when for when, _ in came[25:27]]
    assert (9.5, b"") == came[-1]


def test_a_piece_at_a_time() -> None:
    """A slicer's pieces are as far apart as told."""
    assert [(0.0, b"ab"), (0.5, b"cd"), (1.0, b"e"), (1.5, b"")] == played(Slicer(2, 0.5), [(0.0, b"abcde")])


def test_only_the_end_is_slow() -> None:
    """A slow close delays nothing else."""
    assert [(0.0, b"a"), (3.0, b"")] == played(SlowClose(3), [(0.0, b"a")])


# -- broken -----------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_reset_at_once() -> None:
    """The connection is reset, and the vendor never hears of it."""
    async with network(answers, Reset()) as (proxy, vendor):
        assert (b"", "reset") == await ask(proxy)
        assert 0 == vendor.came
        assert (1, 0) == (len(proxy.connections), proxy.open)


@pytest.mark.anyio
@pytest.mark.parametrize("size", [0, 1, 42, 100])
async def test_reset_after_some_bytes(size: int) -> None:
    """Exactly so many bytes come, then the reset; 0 loses an answer that was given."""
    async with network(answers, Reset(size)) as (proxy, vendor):
        assert (ANSWER[:size], "reset") == await ask(proxy)
        await vendor.ended.wait()
        assert (ASK, "reset") == (vendor.heard, vendor.how)


@pytest.mark.anyio
async def test_reset_waits_for_slow_readers() -> None:
    """What was to come before the reset does come, though the reader takes little at a time."""
    async with network(Flood(1 << 20), Reset(50_000)) as (proxy, _):
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", proxy.port))
        async with await SocketStream.from_socket(raw) as stream:
            await until(lambda: proxy.bytes_down == 50_000)
            got, how = await read(stream)

        assert (50_000, "reset") == (len(got), how)


@pytest.mark.anyio
async def test_reset_of_what_the_gateway_sends() -> None:
    """Upstream, the request is lost: the vendor sees the connection only."""
    async with network(answers) as (proxy, vendor):
        proxy.upstream_toxic = Reset(0)

        assert (b"", "reset") == await ask(proxy)
        await vendor.ended.wait()
        assert (1, b"", "reset") == (vendor.came, vendor.heard, vendor.how)


@pytest.mark.anyio
async def test_reset_while_nothing_moves() -> None:
    """Set later, it takes the connections that are open and silent."""
    async with network(answers) as (proxy, _), await connect(proxy) as stream:
        await stream.send(ASK)
        await read(stream, 100)
        proxy.toxic = Reset()

        assert (b"", "reset") == await read(stream)


@pytest.mark.anyio
@pytest.mark.parametrize("size", [0, 42])
async def test_cut(size: int) -> None:
    """A clean end after so many bytes, on both sides; the gateway is expected to close, too."""
    async with network(answers, Cut(size)) as (proxy, vendor), await connect(proxy) as stream:
        await stream.send(ASK)
        got = await read(stream)
        await vendor.ended.wait()
        proxy.toxic = None  # too late
        await stream.send(ASK)
        open_before = proxy.open
        await stream.aclose()
        await proxy.all_closed()

        assert (ANSWER[:size], "end") == got
        assert (1, ASK) == (open_before, vendor.heard)


@pytest.mark.anyio
@pytest.mark.parametrize("toxic", [Cut(101), HalfClose(101), Reset(101)], ids=repr)
async def test_answers_that_end_before(toxic: Toxic) -> None:
    """What is shorter than the size is not touched."""
    async with network(answers_and_closes, toxic) as (proxy, _):
        assert (ANSWER, "end") == await ask(proxy)


@pytest.mark.anyio
async def test_cut_and_then_reset_by_the_gateway() -> None:
    """A gateway that answers the cut with a reset has closed, too."""
    async with network(answers, Cut(1)) as (proxy, _):
        async with await connect(proxy) as stream:
            await stream.send(ASK)
            await read(stream)
            reset(stream)
        await proxy.all_closed()

        assert proxy.connections[0].closed_at is not None


@pytest.mark.anyio
@pytest.mark.parametrize("size", [0, 42])
async def test_half_close_downstream(size: int) -> None:
    """The answers end, cleanly; what the gateway says still arrives."""
    async with network(answers, HalfClose(size)) as (proxy, vendor), await connect(proxy) as stream:
        await stream.send(ASK)
        got = await read(stream)
        await stream.send(b"and more")
        await until(lambda: len(vendor.heard) == 11)
        proxy.toxic = None  # what has ended stays ended
        await stream.send(b"!")
        await until(lambda: len(vendor.heard) == 12)

        assert (ANSWER[:size], "end") == got
        assert not vendor.ended.is_set()
        assert 1 == proxy.open


@pytest.mark.anyio
async def test_half_close_is_not_felt_by_the_sender() -> None:
    """What comes after the end is thrown away: the vendor can send all of it."""
    flood = Flood(1 << 23)
    async with network(flood, HalfClose(42)) as (proxy, _), await connect(proxy) as stream:
        assert (bytes(42), "end") == await read(stream)
        await until(lambda: flood.sent == flood.size)


@pytest.mark.anyio
async def test_half_close_upstream() -> None:
    """The request ends early, cleanly; the answer still comes."""
    async with network(listens) as (proxy, vendor), await connect(proxy) as stream:
        proxy.upstream_toxic = HalfClose(2)
        await stream.send(ASK)

        assert (ANSWER, "end") == await read(stream)
        assert (ASK[:2], "end") == (vendor.heard, vendor.how)


# -- black holes ------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_black_hole() -> None:
    """It accepts and is silent; the vendor hears nothing; who leaves is seen to leave."""
    async with network(answers, BlackHole()) as (proxy, vendor):
        async with await connect(proxy) as stream:
            await stream.send(ASK)
            with anyio.move_on_after(0.1) as patience:
                await read(stream)
            open_before = proxy.open
        await proxy.all_closed()

        assert patience.cancelled_caught
        assert (1, 0, 0) == (open_before, vendor.came, proxy.bytes_up)


@pytest.mark.anyio
async def test_what_a_black_hole_swallowed_is_lost() -> None:
    """Mended, a connection that lost bytes stays silent, others go on where they were, new ones work."""
    async with network(answers) as (proxy, vendor), await connect(proxy) as lost, await connect(proxy) as spared:
        await spared.send(ASK)
        await read(spared, 100)
        proxy.upstream_toxic = BlackHole()
        await lost.send(ASK)
        await anyio.sleep(0.05)
        proxy.upstream_toxic = None
        await spared.send(ASK)
        again = await read(spared, 100)
        await lost.send(ASK)
        with anyio.move_on_after(0.1) as patience:
            await read(lost)
        proxy.toxic = Cut()
        new = await ask(proxy)
        proxy.toxic = Reset()

        assert (ANSWER, "") == again
        assert patience.cancelled_caught
        assert (b"", "end") == new
        assert ASK * 3 == vendor.heard
        assert (b"", "reset") == await read(lost)


@pytest.mark.anyio
async def test_not_even_accepted() -> None:
    """Nobody answers who knocks, not even the kernel; mended, knocking works, and who waited is let in."""
    async with network(answers) as (proxy, vendor), await connect(proxy) as old:
        proxy.toxic = BlackHole(accept=False)
        with anyio.move_on_after(0.2) as patience:
            await connect(proxy)
        accepted = len(proxy.connections)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(waits, proxy))
            await anyio.sleep(0.05)
            proxy.upstream_toxic = Latency(0)  # no reason to open
            proxy.toxic = None
            async with await connect(proxy) as stream:
                await stream.send(ASK)
                got = await read(stream, 100)
        await old.send(ASK)

        assert patience.cancelled_caught
        assert 1 == accepted
        assert (ANSWER, "") == got == await read(old, 100)
        assert 3 == vendor.came == len(proxy.connections)


async def waits(proxy: Toxics) -> None:
    """Knock until somebody opens: the kernel tries again after a second."""
    async with await connect(proxy) as stream:
        await stream.send(ASK)
        await read(stream, 100)


# -- what it saw ------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_when_the_gateway_closed() -> None:
    """Each connection tells how much went through and when the gateway closed it."""
    began = time.monotonic()
    async with network(answers) as (proxy, _):
        async with await connect(proxy) as first, await connect(proxy) as second:
            await first.send(ASK)
            await read(first, 100)
            await until(lambda: proxy.open == 2)
            await second.aclose()
            await until(lambda: proxy.open == 1)
            closing = time.monotonic()
        await proxy.all_closed()
        one, two = sorted(proxy.connections, key=lambda connection: -connection.bytes_up)

        assert (3, 100) == (one.bytes_up, one.bytes_down)
        assert (0, 0) == (two.bytes_up, two.bytes_down)
        assert two.closed_at is not None
        assert one.closed_at is not None
        assert began <= two.opened_at <= two.closed_at <= closing <= one.closed_at <= time.monotonic()
        assert "closed, 3 bytes up, 100 down" in repr(one)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "toxic",
    [
        None,
        Latency(100),
        Bandwidth(1),
        Slicer(1, 100),
        SlowClose(100),
        Cut(1),
        HalfClose(1),
        Reset(1),
        BlackHole(),
        BlackHole(accept=False),
    ],
    ids=repr,
)
async def test_closing_leaves_nothing(toxic: Toxic | None, anyio_backend: str) -> None:
    """Closed in the middle of anything, the proxy leaves no task and no descriptor, and its clients know."""
    async with network(answers_and_closes) as (_, vendor):
        await anyio.wait_all_tasks_blocked()
        before, tasks = descriptors(), running(anyio_backend)
        async with Toxics("127.0.0.1", vendor.port) as proxy:
            port, streams = proxy.port, [await connect(proxy) for _ in range(3)]
            await until(lambda: vendor.came == 3)
            proxy.toxic = toxic
            for stream in streams:
                await stream.send(ASK)
            await anyio.sleep(0.02)
        for stream in streams:
            assert (await read(stream))[1]
            await stream.aclose()
        await until(lambda: descriptors() == before)
        await until(lambda: running(anyio_backend) == tasks)

        assert "Toxics(closed)" == repr(proxy)
        with pytest.raises(ConnectionRefusedError), socket.socket() as raw:
            raw.connect(("127.0.0.1", port))


def descriptors() -> int:
    return len(os.listdir("/dev/fd"))


def running(backend: str) -> int:
    return len(asyncio.all_tasks()) if backend == "asyncio" else trio.lowlevel.current_statistics().tasks_living


# -- how it is used ---------------------------------------------------------------------------


@pytest.mark.anyio
async def test_failures_come_out_as_they_are() -> None:
    """What fails inside the block is no group; a proxy runs once at a time, and says when it does not run."""
    async with network(answers) as (_, vendor):
        proxy = Toxics("127.0.0.1", vendor.port, Latency(1))
        with pytest.raises(RuntimeError, match="async with"):
            _ = proxy.port
        with pytest.raises(ZeroDivisionError):
            async with proxy:
                assert f"Toxics({proxy.url}, 0 open, Latency(seconds=1, jitter=0.0, seed=0), None)" == repr(proxy)
                with pytest.raises(RuntimeError, match="already running"):
                    await proxy.__aenter__()
                raise ZeroDivisionError
        proxy.toxic = None
        async with proxy:
            pass


class Stall(Toxic):
    """The toxic of the how-to page."""

    def __init__(self, size: int) -> None:
        self.size = size

    async def run(self, flow: Flow) -> None:
        while await flow.read():
            await flow.write(self.size - flow.count)
            if flow.count >= self.size:
                await anyio.sleep_forever()
        await flow.finish()


@pytest.mark.anyio
async def test_a_toxic_of_ones_own() -> None:
    """A loop is enough: it holds back what it likes, and another toxic goes on from there."""
    async with network(answers_and_closes, Stall(42)) as (proxy, _), await connect(proxy) as stream:
        await stream.send(ASK)
        first = await read(stream, 42)
        with anyio.move_on_after(0.05) as patience:
            await stream.receive()
        proxy.toxic = Toxic()

        assert (ANSWER[:42], "") == first
        assert patience.cancelled_caught
        assert (ANSWER[42:], "end") == await read(stream)
        proxy.toxic = Stall(1000)
        assert (ANSWER, "end") == await ask(proxy)


@pytest.mark.anyio
async def test_before_a_url() -> None:
    """It can stand before a base URL, and keeps its path."""
    async with (
        network(answers_and_closes) as (_, vendor),
        Toxics.before(f"http://127.0.0.1:{vendor.port}/v1", Slicer(1)) as proxy,
    ):
        assert f"http://127.0.0.1:{proxy.port}/v1" == proxy.url
        assert (ANSWER, "end") == await ask(proxy)
    for url in ("https://127.0.0.1", "127.0.0.1:80"):
        with pytest.raises(ValueError, match="plain HTTP"):
            Toxics.before(url)


@pytest.mark.parametrize(
    ("kind", "amounts"),
    [
        (Latency, (-1,)),
        (Latency, (1, math.nan)),
        (Bandwidth, (0,)),
        (Bandwidth, (math.inf,)),
        (Slicer, (0,)),
        (Slicer, (1, -1)),
        (SlowClose, (-1,)),
        (Cut, (-1,)),
        (HalfClose, (-1,)),
        (Reset, (-1,)),
    ],
)
def test_toxics_that_make_no_sense(kind: Any, amounts: tuple[float, ...]) -> None:
    """Amounts that cannot be are refused when the toxic is made."""
    with pytest.raises(ValueError, match="must be"):
        kind(*amounts)


# -- what the gateway makes of it -------------------------------------------------------------

DEEPSEEK = "Hello from the DeepSeek stand-in. You said: hi"
MINIMAX = "Hello from the MiniMax stand-in. You said: hi"


@asynccontextmanager
async def gateway(
    toxic: Toxic | None = None, limit: float = 5.0
) -> AsyncGenerator[tuple[aigateway.Gateway, Toxics, Sandbox]]:
    """A gateway whose first vendor is behind a bad network, and whose second one is not."""
    async with Sandbox(pace=0) as sandbox, Toxics.before(sandbox.vendors["deepseek"].url, toxic) as proxy:
        keys = [{"secret": sandbox.key, "allow_literal": True}]
        settings = {
            "providers": {
                "deepseek": {"base_url": proxy.url, "keys": keys},
                "minimax": {"base_url": sandbox.vendors["minimax"].url, "keys": keys},
            },
            "routes": {"smart": {"targets": ["deepseek/deepseek-flash", "minimax/MiniMax-M3"]}},
            "timeouts": {"connect": limit, "first_content": limit, "answer": limit, "silence": 5.0, "total": LONG},
        }
        with anyio.fail_after(LONG):
            async with aigateway.Gateway.from_config(settings) as opened:
                yield opened, proxy, sandbox
            await proxy.all_closed()


async def told(gateway: aigateway.Gateway) -> tuple[str, Any]:
    """Give the streamed text and the stream itself, ended."""
    async with gateway.stream("smart", "hi") as chunks:
        text = "".join([chunk.text async for chunk in chunks])
    return text, chunks


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("toxic", "outcomes"),
    [
        (Reset(), {"connect", "stream_interrupted"}),
        (Reset(0), {"stream_interrupted"}),
        (Cut(0), {"stream_interrupted"}),
        (BlackHole(), {"timeout"}),
        (BlackHole(accept=False), {"connect", "timeout"}),
        (Bandwidth(1), {"timeout"}),
        (SlowClose(0), set()),
    ],
    ids=lambda value: repr(value) if isinstance(value, Toxic) else repr(sorted(value)),
)
async def test_the_next_vendor_answers(toxic: Toxic, outcomes: set[str]) -> None:
    """What breaks before the first content is never seen: the next vendor answers, whole and streamed."""
    expected = (MINIMAX, MINIMAX) if outcomes else (DEEPSEEK, DEEPSEEK)
    async with gateway(toxic, 0.5 if "timeout" in outcomes else 5.0) as (opened, _, sandbox):
        streamed, chunks = await told(opened)
        whole = await opened.chat("smart", "hi")

        assert expected == (streamed, whole.text)
        assert "complete" == chunks.outcome.state
        assert not outcomes or outcomes & {step.outcome for step in chunks.decision.steps}
        assert len(sandbox.vendors["minimax"].requests) == (2 if outcomes else 0)


@pytest.mark.anyio
async def test_slices_make_no_difference() -> None:
    """The same answer comes of single bytes, both ways."""
    async with gateway(Slicer(1)) as (opened, proxy, _):
        proxy.upstream_toxic = Slicer(1)
        streamed, chunks = await told(opened)
        whole = await opened.chat("smart", "hi")

        assert DEEPSEEK == streamed == whole.text
        assert chunks.decision.answered_by == "deepseek/deepseek-flash"


@pytest.mark.anyio
@pytest.mark.parametrize("toxic", [HalfClose, Cut, Reset], ids=lambda kind: kind.__name__)
async def test_an_end_in_the_middle_is_no_success(toxic: type[HalfClose | Cut | Reset]) -> None:
    """A stream that ends without its end, cleanly or not, is an interruption, and nobody else is asked."""
    async with gateway() as (opened, proxy, _):
        await told(opened)
        middle = proxy.bytes_down // 2
    async with gateway(toxic(middle)) as (opened, _, sandbox):
        with pytest.raises(aigateway.StreamInterrupted) as caught:
            async with opened.stream("smart", "hi") as chunks:
                async for _ in chunks:
                    pass

        assert chunks.outcome is not None
        assert "interrupted" == chunks.outcome.state
        assert caught.value.text + caught.value.reasoning
        assert not sandbox.vendors["minimax"].requests


@pytest.mark.anyio
async def test_who_stops_reading_leaves_the_vendor() -> None:
    """A stream that is left half way closes the connection to the vendor, as the proxy sees."""
    async with gateway() as (opened, proxy, _):
        async with opened.stream("smart", "hi") as chunks:
            await chunks.__anext__()
            proxy.toxic = BlackHole()
            assert 1 == proxy.open
        await proxy.all_closed()

        assert proxy.connections[0].closed_at is not None

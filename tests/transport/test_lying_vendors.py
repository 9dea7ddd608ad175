"""Whatever a vendor sends in the place of an answer is an answer or a WireError: bounded, told without its words."""

from __future__ import annotations

import gzip
import socket
import threading
import zlib
from collections.abc import AsyncGenerator
from contextlib import suppress
from random import Random
from struct import pack

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx2
import pytest

from aigateway.errors import Kind, WireError
from aigateway.secrets import Secret
from aigateway.transport import Transport, open_transport, read_all, read_some
from aigateway.types import HTTPRequest

from .parts import door, post
from .raw_vendor import OK, FallSilent, HangUp, RawVendor, ending, raw_vendor, sized, staying

MIB = 1024 * 1024
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
GZIP = OK + b"content-encoding: gzip\r\n"
DEFLATE = OK + b"content-encoding: deflate\r\n"


async def ask(transport: Transport, vendor: RawVendor) -> bytes | Kind:
    """Give the whole body, or the kind of failure; check what every failure has to keep to."""
    try:
        with anyio.fail_after(30):
            response = await transport.send(post(vendor.url, authorization=Secret("Bearer sk-canary")), connect=5)
            try:
                body = await read_all(response)
            except BaseException:
                await response.aclose()
                raise
            await response.aclose(reusable=True)
            return body
    except WireError as error:
        assert len(str(error)) <= 256
        assert not any(word in str(error) for word in ("canary", "127.0.0.1", "\n", "\r", "\x00"))
        return error.kind


HEADS = {
    "one header of 1 MiB": OK + b"x-canary: " + b"a" * MIB + b"\r\n\r\n",
    "1 MiB of headers": OK + b"".join(b"x-canary-%d: %s\r\n" % (i, b"a" * 1000) for i in range(1024)) + b"\r\n",
    "a reason of 1 MiB": b"HTTP/1.1 200 " + b"canary" * (MIB // 6) + b"\r\n\r\n",
    "1 MiB without a line end": b"canary" * (MIB // 6),
    "NUL in a value": OK + b"x-a: canary\x00b\r\ncontent-length: 2\r\n\r\nok",
    "CR in a value": OK + b"x-a: canary\rb\r\ncontent-length: 2\r\n\r\nok",
    "NUL in a name": OK + b"x-canary\x00: b\r\ncontent-length: 2\r\n\r\nok",
    "no colon": OK + b"x-canary\r\ncontent-length: 2\r\n\r\nok",
    "both lengths": CHUNKED[:-2] + b"content-length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "two lengths": OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\nok.",
    "a length that is none": OK + b"content-length: canary\r\n\r\nok",
    "a length below zero": OK + b"content-length: -1\r\n\r\nok",
    "a length beyond counting": OK + b"content-length: 99999999999999999999999\r\n\r\nok",
    "status 101": b"HTTP/1.1 101 Canary\r\nupgrade: canary\r\nconnection: upgrade\r\n\r\nok",
    "status 000": b"HTTP/1.1 000 Canary\r\ncontent-length: 2\r\n\r\nok",
    "another protocol": b"SSH-2.0-canary\r\n\r\n",
}


@pytest.mark.anyio
@pytest.mark.parametrize("name", HEADS)
async def test_a_head_that_lies_is_a_protocol_error(pair: tuple[str, str], name: str) -> None:
    """None of it is an answer, none of it is shown, and the connection is closed."""
    async with raw_vendor(HEADS[name]) as vendor, door(pair) as transport:
        kind = await ask(transport, vendor)
        await vendor.all_closed()

    assert Kind.PROTOCOL_ERROR is kind


@pytest.mark.anyio
@pytest.mark.parametrize("line", [b"x-canary: a\r\n", b"x", b"HTTP/1.1 103 Canary\r\n\r\n"[:1] + b"a" * 999])
async def test_a_head_that_never_ends_is_cut(pair: tuple[str, str], line: bytes) -> None:
    """Lines for ever, or one line for ever: the connection is closed after a bounded number of bytes."""

    async def answer(request: bytes) -> AsyncGenerator[bytes]:
        yield OK
        while True:
            yield line * (64 * 1024 // len(line))

    async with raw_vendor(answer) as vendor, door(pair) as transport:
        kind = await ask(transport, vendor)
        await vendor.all_closed()

    assert Kind.PROTOCOL_ERROR is kind
    assert vendor.sent < 16 * MIB  # most of it in the sockets' buffers


BODIES: dict[str, tuple[bytes, bytes | Kind]] = {
    "no length, closed": (OK + b"\r\nok", b"ok"),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\nok", b"ok"),
    "chunked": (CHUNKED + b"1\r\no\r\n1\r\nk\r\n0\r\n\r\n", b"ok"),
    "hints first": (b"HTTP/1.1 103 Hints\r\nlink: a\r\n\r\n" * 1000 + sized(b"ok"), b"ok"),
    "204": (b"HTTP/1.1 204 Nothing\r\n\r\n", b""),
    "short": (OK + b"content-length: 100\r\n\r\nok", Kind.STREAM_INTERRUPTED),
    "without the last chunk": (CHUNKED + b"2\r\nok\r\n", Kind.STREAM_INTERRUPTED),
    "in the middle of a chunk": (CHUNKED + b"20\r\nok", Kind.STREAM_INTERRUPTED),
    "only hints": (b"HTTP/1.1 100 Continue\r\n\r\n", Kind.STREAM_INTERRUPTED),
    "nothing": (b"", Kind.STREAM_INTERRUPTED),
    "trailers for ever": (
        CHUNKED + b"2\r\nok\r\n0\r\n" + b"x-canary: a\r\n" * 100_000 + b"\r\n",
        Kind.PROTOCOL_ERROR,
    ),
    "gzip": (GZIP + b"\r\n" + gzip.compress(b"ok"), b"ok"),
    "GZip": (OK + b"content-encoding:  GZip \r\n\r\n" + gzip.compress(b"ok"), b"ok"),
    "identity": (OK + b"content-encoding: identity\r\n\r\nok", b"ok"),
    "deflate": (DEFLATE + b"\r\n" + zlib.compress(b"ok"), b"ok"),
    "bare deflate": (DEFLATE + b"\r\n" + zlib.compress(b"ok", wbits=-15), b"ok"),
    "gzip and nothing": (GZIP + b"content-length: 0\r\n\r\n", b""),
    "gzip that ends early": (GZIP + b"\r\n" + gzip.compress(b"ok" * 99)[:-9], Kind.STREAM_INTERRUPTED),
    "gzip that is none": (GZIP + b"\r\ncanary", Kind.PROTOCOL_ERROR),
    "gzip that is wrong": (GZIP + b"\r\n" + gzip.compress(b"ok")[:-8] + b"\0" * 8, Kind.PROTOCOL_ERROR),
    "gzip and more": (GZIP + b"\r\n" + gzip.compress(b"ok") + b"canary", Kind.PROTOCOL_ERROR),
    "brotli": (OK + b"content-encoding: br\r\n\r\n\x0b\x00\x80ok\x03", Kind.PROTOCOL_ERROR),
    "twice gzip": (OK + b"content-encoding: gzip, gzip\r\n\r\n" + gzip.compress(b"ok"), Kind.PROTOCOL_ERROR),
    "an encoding of its own": (OK + b"content-encoding: canary\r\n\r\nok", Kind.PROTOCOL_ERROR),
    "a bomb": (GZIP + b"\r\n" + gzip.compress(b"\0" * 4 * MIB), Kind.PROTOCOL_ERROR),
    "a bomb in deflate": (DEFLATE + b"\r\n" + zlib.compress(b"\0" * 4 * MIB), Kind.PROTOCOL_ERROR),
    "64 KiB of one letter": (GZIP + b"\r\n" + gzip.compress(b"a" * 65536), b"a" * 65536),
}


@pytest.mark.anyio
@pytest.mark.parametrize("name", BODIES)
async def test_where_a_body_ends(pair: tuple[str, str], name: str) -> None:
    """An end that HTTP and the encoding call one is one; any other is not passed off as it."""
    sent, expected = BODIES[name]
    async with raw_vendor(sent) as vendor, door(pair) as transport:
        seen = await ask(transport, vendor)

    assert expected == seen


@pytest.mark.anyio
@pytest.mark.parametrize("nonsense", [b"\r\ncanary\r\n", b"\r\n-5\r\nok\r\n", b".canary\r\n", b"\r\n1\r\na.\r\n"])
async def test_a_later_chunk_that_makes_no_sense_is_told(pair: tuple[str, str], nonsense: bytes) -> None:
    """A reader that already waits for the next chunk learns of it, and waits no longer."""
    go_on = anyio.Event()

    async def answer(request: bytes) -> AsyncGenerator[bytes]:
        yield CHUNKED + b"2\r\nok"
        await go_on.wait()
        yield nonsense
        raise FallSilent

    async with raw_vendor(answer) as vendor, door(pair) as transport:
        response = await transport.send(post(vendor.url), connect=5)
        first = await response.read()
        go_on.set()
        with anyio.fail_after(10), pytest.raises(WireError) as caught:
            while await response.read():
                pass
        await response.aclose()
        await vendor.all_closed()

    assert (b"ok", Kind.PROTOCOL_ERROR) == (first, caught.value.kind)


@pytest.mark.anyio
async def test_a_reset_is_no_end(pair: tuple[str, str]) -> None:
    """A body without a length ends when the connection does; when it is reset, it has not ended."""
    read_first = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def vendor() -> None:
            connection = listener.accept()[0]
            connection.recv(65536)
            connection.sendall(OK + b"\r\nok")
            read_first.wait(30)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, pack("ii", 1, 0))
            connection.close()

        async with anyio.create_task_group() as tasks, door(pair) as transport:
            tasks.start_soon(anyio.to_thread.run_sync, vendor)
            response = await transport.send(post(f"http://127.0.0.1:{listener.getsockname()[1]}"), connect=5)
            first = await response.read()
            read_first.set()
            with anyio.fail_after(10), pytest.raises(WireError) as caught:
                await read_all(response)
            await response.aclose()

    assert (b"ok", Kind.STREAM_INTERRUPTED) == (first, caught.value.kind)


def zeros(size: int) -> bytes:
    return gzip.compress(b"\0" * size)


@pytest.mark.anyio
async def test_a_stream_of_compressed_zeros_is_cut(pair: tuple[str, str]) -> None:
    """No single read inflates to much, and a stream is cut when it inflates beyond the ratio."""

    async def answer(request: bytes) -> AsyncGenerator[bytes]:
        squeeze = zlib.compressobj(wbits=31)
        yield GZIP + b"\r\n"
        while True:
            yield squeeze.compress(b"\0" * MIB) + squeeze.flush(zlib.Z_SYNC_FLUSH)

    sizes = []
    async with raw_vendor(answer) as vendor, door(pair) as transport:
        response = await transport.send(post(vendor.url), connect=5)
        with anyio.fail_after(10), pytest.raises(WireError, match="inflates more than 100 times"):
            while data := await response.read():
                sizes.append(len(data))
        await response.aclose()
        await vendor.all_closed()

    assert max(sizes, default=0) <= 256 * 1024
    assert sum(sizes) <= MIB


@pytest.mark.anyio
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
async def test_a_stream_ends_at_64_mib(pair: tuple[str, str], compressed: bool) -> None:
    """A stream is bounded as a whole too, counted after inflating."""
    block = b"".join((b"data: " + Random(i).randbytes(250).hex().encode() + b"\n\n") * 16 for i in range(64))
    squeeze = zlib.compressobj(wbits=31)
    start = squeeze.compress(b"") + squeeze.flush(zlib.Z_FULL_FLUSH)  # what follows can be repeated
    if compressed:
        block = squeeze.compress(block) + squeeze.flush(zlib.Z_FULL_FLUSH)

    async def answer(request: bytes) -> AsyncGenerator[bytes]:
        yield GZIP + b"\r\n" + start if compressed else OK + b"\r\n"
        while True:
            yield block

    size = 0
    async with raw_vendor(answer) as vendor, door(pair) as transport:
        response = await transport.send(post(vendor.url), connect=5)
        with anyio.fail_after(60), pytest.raises(WireError, match="larger than 67108864 bytes"):
            while data := await response.read():
                size += len(data)
        await response.aclose()

    assert 63 * MIB < size <= 64 * MIB


@pytest.mark.anyio
async def test_compressed_bytes_come_as_they_arrive(pair: tuple[str, str]) -> None:
    """One byte at a time, each event of a compressed stream is there when its last byte is."""
    squeeze = zlib.compressobj(wbits=31)
    parts = [squeeze.compress(b"data: %d\n\n" % i) + squeeze.flush(zlib.Z_SYNC_FLUSH) for i in range(3)]
    go_on = [anyio.Event() for _ in parts]

    async def answer(request: bytes) -> AsyncGenerator[bytes]:
        yield GZIP + b"transfer-encoding: chunked\r\n\r\n"
        for part, event in zip(parts, go_on, strict=True):
            for byte in part:
                yield b"1\r\n%c\r\n" % byte
            await event.wait()
        end = squeeze.flush()
        yield b"%x\r\n%s\r\n0\r\n\r\n" % (len(end), end)

    seen = []
    async with raw_vendor(answer) as vendor, door(pair) as transport:
        response = await transport.send(post(vendor.url), connect=5)
        with anyio.fail_after(10):
            for event in go_on:
                got = b""
                while not got.endswith(b"\n\n"):
                    got += await response.read()
                seen.append(got)
                event.set()
            end = await response.read()
        await response.aclose(reusable=True)

    assert ([b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n"], b"") == (seen, end)


@pytest.mark.anyio
async def test_an_error_in_an_encoding_we_do_not_read_keeps_its_status(pair: tuple[str, str]) -> None:
    """What a 401 says in brotli is lost, not that it is a 401."""
    head = b"HTTP/1.1 401 No\r\ncontent-encoding: br\r\n"
    async with raw_vendor(sized(b"canary", head)) as vendor, door(pair) as transport:
        response = await transport.send(post(vendor.url), connect=5)
        body = await read_some(response)
        await response.aclose()

    assert (401, b"") == (response.status, body)


@pytest.mark.anyio
async def test_an_answer_nobody_asked_for_is_nobodys(pair: tuple[str, str]) -> None:
    """A second answer on a connection at rest is not taken for the answer to the next request."""
    sent = anyio.Event()

    async def answer(request: bytes) -> AsyncGenerator[bytes]:
        yield sized(b"%d" % len(vendor.requests))
        await first_read.wait()
        if len(vendor.requests) == 1:
            yield sized(b"canary")
            sent.set()

    async with raw_vendor(answer) as vendor, door(pair) as transport:
        first_read = anyio.Event()
        first = await ask(transport, vendor)
        first_read.set()
        await sent.wait()
        await anyio.sleep(0.05)  # until it has arrived
        second = await ask(transport, vendor)

    assert (b"1", b"2", 2) == (first, second, vendor.connections)


@pytest.mark.anyio
async def test_an_answer_that_is_not_trusted_is_not_pooled(pair: tuple[str, str]) -> None:
    """Even after its last byte, the reader says whether the connection is used again."""

    end = staying(sized(b"data: [DONE]\n\ndata: more\n\n"))
    async with raw_vendor(end) as vendor, door(pair) as transport:
        response = await transport.send(post(vendor.url), connect=5)
        await response.read()
        await response.aclose(reusable=False)
        await vendor.all_closed()


@pytest.mark.anyio
async def test_a_redirect_elsewhere_gets_nothing(pair: tuple[str, str]) -> None:
    """Neither a request nor the key goes where a vendor points, whatever the status and the form."""
    async with raw_vendor(sized(b"elsewhere")) as elsewhere, door(pair) as transport:
        for status in (300, 301, 302, 303, 307, 308):
            for where in (elsewhere.url + "/v1/chat", elsewhere.url.removeprefix("http:"), "http://[canary"):
                head = f"HTTP/1.1 {status} Elsewhere\r\nlocation: {where}\r\nrefresh: 0; url={where}\r\n"
                async with raw_vendor(ending(sized(b"", head.encode()))) as vendor:
                    request = post(vendor.url, authorization=Secret("Bearer sk-canary"))
                    response = await transport.send(request, connect=5)
                    await response.aclose()
                assert (status, 1) == (response.status, len(vendor.requests))

    assert 0 == elsewhere.connections


@pytest.mark.anyio
async def test_no_cookie_is_kept(pair: tuple[str, str]) -> None:
    """What a vendor wants remembered for one caller does not go out with the next one's request."""

    kept = staying(sized(b"ok", OK + b"set-cookie: canary=1; path=/\r\n"))
    async with raw_vendor(kept) as vendor, door(pair) as transport:
        for _ in range(2):
            assert b"ok" == await ask(transport, vendor)

    assert not any(b"cookie" in request.lower() for request in vendor.requests)


@pytest.mark.anyio
async def test_only_encodings_we_read_are_asked_for(pair: tuple[str, str]) -> None:
    """Our own doors ask for none; a caller's client is kept from asking for its own."""
    async with raw_vendor(sized(b"ok")) as vendor, door(pair) as transport:
        await ask(transport, vendor)
    assert not any(b"accept-encoding" in request.lower() for request in vendor.requests)

    async with raw_vendor(sized(b"ok")) as vendor, httpx2.AsyncClient() as client:
        await ask(open_transport(client=client), vendor)
    assert all(b"accept-encoding: identity" in request.lower() for request in vendor.requests)
    assert vendor.requests


# --- Fuzz: any bytes at all ---------------------------------------------------------------------

SEEDS = [
    sized(b'{"choices": []}'),
    CHUNKED + b"5\r\nhello\r\n3\r\nyou\r\n0\r\nx-t: 1\r\n\r\n",
    OK + b"\r\ndata: hello\n\n",
    GZIP + b"\r\n" + gzip.compress(b"hello, you"),
    DEFLATE + b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" + sized(b"ok"),
    b"HTTP/1.1 302 Found\r\nlocation: /\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n",
]
BITS = [b"\r\n", b"\n", b"\r", b"\0", b":", b" ", b"\xff", b"HTTP/1.1 ", b"0\r\n\r\n", b"ffffffff", b"upgrade: a\r\n"]
BITS += [
    b"transfer-encoding: chunked\r\n",
    b"connection: close\r\n",
    b"content-encoding: gzip\r\n",
    b"content-length: 7\r\n",
]


def mutated(random: Random) -> list[bytes]:
    """Give a valid answer with a few bytes changed, lost, doubled or put in, in pieces."""
    data = random.choice([*SEEDS, random.randbytes(random.randrange(400))])
    for _ in range(random.randrange(4)):
        at = random.randrange(len(data) + 1)
        to = at + random.choice([0, 1, 2, 8])
        data = data[:at] + random.choice([*BITS, b"", random.randbytes(2), data[at:to] * 2]) + data[to:]
    cuts = sorted(random.randrange(len(data) + 1) for _ in range(random.randrange(4)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@pytest.mark.anyio
async def test_any_bytes_are_an_answer_or_a_wire_error(pair: tuple[str, str]) -> None:
    """300 answers of broken bytes: nothing else is raised, nothing hangs, no connection is left."""
    random = Random(20260)
    seen: set[str] = set()

    async def answer(request: bytes) -> AsyncGenerator[bytes]:
        for piece in mutated(random):
            yield piece
            await anyio.lowlevel.checkpoint()
        raise HangUp

    async with raw_vendor(answer) as vendor:
        async with door(pair) as transport:
            for _ in range(300):
                result = await ask(transport, vendor)
                seen.add(result if isinstance(result, Kind) else "answer")
        await vendor.all_closed()

    assert {"answer", Kind.PROTOCOL_ERROR, Kind.STREAM_INTERRUPTED} <= seen
    assert seen <= {"answer", Kind.PROTOCOL_ERROR, Kind.STREAM_INTERRUPTED}


# --- Leaving ------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_leaving_a_vendor_that_does_not_read(pair: tuple[str, str]) -> None:
    """What was not sent yet when we left is dropped: nobody can hold our connection by not reading."""
    left, received = threading.Event(), 0
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def never_reads() -> None:
            nonlocal received
            with listener.accept()[0] as connection, suppress(ConnectionError):
                left.wait(30)
                while data := connection.recv(MIB):
                    received += len(data)

        async with anyio.create_task_group() as tasks, door(pair) as transport:
            tasks.start_soon(anyio.to_thread.run_sync, never_reads)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with anyio.move_on_after(0.3) as scope:
                await transport.send(HTTPRequest("POST", url, {}, b"a" * 32 * MIB), connect=5)
            left.set()

    assert scope.cancelled_caught
    assert received < 32 * MIB


# --- Cancelling at every byte -------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("shape", ["sized", "chunked", "gzip"])
async def test_cancelled_at_any_byte_the_connection_is_closed(pair: tuple[str, str], shape: str) -> None:
    """However much of an answer had come, the next request gets its own, on a connection of its own."""

    def whole(number: int) -> bytes:
        body = b"answer %d" % number
        if shape == "sized":
            return sized(body)
        if shape == "gzip":
            return sized(gzip.compress(body), GZIP)
        return CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)

    stop_at: int | None = None
    scope = anyio.CancelScope()

    async def answer(request: bytes) -> AsyncGenerator[bytes]:
        data = whole(len(vendor.requests))
        if stop_at is None:
            yield data
            return
        yield data[:stop_at]
        scope.cancel()
        raise FallSilent

    async with raw_vendor(answer) as vendor, door(pair) as transport:
        for place in range(len(whole(1)) - 1):
            stop_at, scope = place, anyio.CancelScope()
            with scope:
                await ask(transport, vendor)
            assert scope.cancelled_caught
            await vendor.all_closed()  # also a connection that was used before
            stop_at = None
            mine, number = await ask(transport, vendor), len(vendor.requests)
            also_mine = await ask(transport, vendor)
            assert (b"answer %d" % number, b"answer %d" % (number + 1)) == (mine, also_mine)
            assert 1 == vendor.open

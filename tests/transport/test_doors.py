"""Both doors to the network keep one promise: the same suite runs through httpx2 and aiohttp."""

from __future__ import annotations

import gzip
import socket
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from struct import pack

import anyio
import httpx2
import pytest
from anyio.abc import SocketAttribute, SocketStream

from aigateway.errors import ConfigurationError, Kind, WireError
from aigateway.secrets import Secret
from aigateway.transport import open_transport, read_all
from aigateway.transport._inflate import Inflater
from aigateway.transport._translate import AsWireErrors

from .parts import door, post, read_request

Handler = Callable[[SocketStream, bytes], Awaitable[None]]
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"


@asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[str]:
    """Serve raw bytes: `handler` gets the stream and the first request."""

    async def serve(stream: SocketStream) -> None:
        async with stream:
            with suppress(anyio.BrokenResourceError, anyio.EndOfStream, anyio.ClosedResourceError):
                await handler(stream, await read_request(stream))

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield f"http://127.0.0.1:{port}"
        tasks.cancel_scope.cancel()
    await listener.aclose()


@pytest.mark.anyio
async def test_a_request_arrives_as_it_was_written(pair: tuple[str, str]) -> None:
    """Method, path, body and headers arrive; a Secret is revealed to the socket only; nothing is added."""
    seen = b""

    async def handler(stream: SocketStream, request: bytes) -> None:
        nonlocal seen
        seen = request
        await stream.send(HEAD + b"content-length: 2\r\n\r\nok")

    async with server(handler) as url, door(pair) as transport:
        response = await transport.send(post(url, authorization=Secret("Bearer sk-canary")), connect=5)
        body = await read_all(response)
        await response.aclose(reusable=True)

    assert (200, b"ok") == (response.status, body)
    assert seen.startswith(b"POST /v1/chat HTTP/1.1\r\n")
    assert seen.endswith(b'\r\n\r\n{"a":1}')
    lines = {line.partition(b":")[0].lower() for line in seen.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]}
    assert {b"host", b"content-type", b"content-length", b"authorization"} == lines - {
        b"accept",
        b"accept-encoding",
        b"connection",
        b"user-agent",
    }
    assert b"sk-canary" in seen


@pytest.mark.anyio
async def test_header_names_are_found_in_any_case(pair: tuple[str, str]) -> None:
    """Vendors write Retry-After and X-Request-Id as they like."""

    async def handler(stream: SocketStream, request: bytes) -> None:
        await stream.send(b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nX-Request-ID: r1\r\ncontent-length: 0\r\n\r\n")

    async with server(handler) as url, door(pair) as transport:
        response = await transport.send(post(url), connect=5)
        await response.aclose()

    assert (429, "7", "r1") == (
        response.status,
        response.headers.get("retry-after"),
        response.headers.get("x-request-id"),
    )


@pytest.mark.anyio
async def test_bytes_come_as_they_arrive(pair: tuple[str, str]) -> None:
    """A stream is not collected: the first piece is there before the second is sent."""
    go_on = anyio.Event()

    async def handler(stream: SocketStream, request: bytes) -> None:
        await stream.send(HEAD + b"transfer-encoding: chunked\r\n\r\n3\r\none\r\n")
        await go_on.wait()
        await stream.send(b"3\r\ntwo\r\n0\r\n\r\n")

    async with server(handler) as url, door(pair) as transport:
        response = await transport.send(post(url), connect=5)
        with anyio.fail_after(5):
            first = await response.read()
            go_on.set()
            rest = await read_all(response)
            end = await response.read()
        await response.aclose(reusable=True)

    assert (b"one", b"two", b"") == (first, rest, end)


@pytest.mark.anyio
async def test_a_finished_connection_is_used_again_and_a_broken_one_is_not(pair: tuple[str, str]) -> None:
    """Two whole answers share a connection; an answer that was not read to its end closes its own."""
    connections: set[int] = set()

    async def handler(stream: SocketStream, request: bytes) -> None:
        connections.add(stream.extra(SocketAttribute.remote_port))
        while True:
            await stream.send(HEAD + b"content-length: 20000000\r\n\r\n" + b"x" * 20_000_000)
            await read_request(stream)

    async with server(handler) as url, door(pair) as transport:
        for _ in range(2):
            response = await transport.send(post(url), connect=5)
            await read_all(response)
            await response.aclose(reusable=True)
        assert 1 == len(connections)
        response = await transport.send(post(url), connect=5)
        await response.read()
        await response.aclose()
        response = await transport.send(post(url), connect=5)
        await response.aclose()

    assert 2 == len(connections)


@pytest.mark.anyio
async def test_redirects_are_not_followed(pair: tuple[str, str]) -> None:
    """A vendor that points elsewhere gets neither a second request nor our key there."""
    requests = 0

    async def handler(stream: SocketStream, request: bytes) -> None:
        nonlocal requests
        requests += 1
        await stream.send(b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n")

    async with server(handler) as url, door(pair) as transport:
        response = await transport.send(post(url), connect=5)
        await response.aclose()

    assert (302, 1) == (response.status, requests)


@pytest.mark.anyio
async def test_a_refused_connection_is_connect(pair: tuple[str, str]) -> None:
    """Nothing was sent, so nothing can have been billed."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        async with door(pair) as transport:
            with pytest.raises(WireError) as caught:
                await transport.send(post(url), connect=5)

    assert Kind.CONNECT is caught.value.kind


@pytest.mark.anyio
@pytest.mark.parametrize("when", ["before the head", "in the head", "in a sized body", "in a chunked body"])
async def test_a_connection_that_breaks_is_interrupted(pair: tuple[str, str], when: str) -> None:
    """Wherever it breaks after the request was sent, it is told as that, never as an end."""
    sent = {
        "before the head": b"",
        "in the head": b"HTTP/1.1 200 OK\r\ncontent-ty",
        "in a sized body": HEAD + b"content-length: 100\r\n\r\nabc",
        "in a chunked body": HEAD + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    }[when]

    async def handler(stream: SocketStream, request: bytes) -> None:
        if sent:
            await stream.send(sent)

    async with server(handler) as url, door(pair) as transport:
        with pytest.raises(WireError) as caught:
            response = await transport.send(post(url), connect=5)
            try:
                await read_all(response)
            finally:
                await response.aclose()

    assert Kind.STREAM_INTERRUPTED is caught.value.kind


@pytest.mark.anyio
async def test_a_reset_is_interrupted(pair: tuple[str, str]) -> None:
    """RST instead of an answer."""

    async def handler(stream: SocketStream, request: bytes) -> None:
        raw = stream.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, pack("ii", 1, 0))

    async with server(handler) as url, door(pair) as transport:
        with pytest.raises(WireError) as caught:
            await transport.send(post(url), connect=5)

    assert Kind.STREAM_INTERRUPTED is caught.value.kind


@pytest.mark.anyio
async def test_what_is_not_http_is_a_protocol_error_without_its_words(pair: tuple[str, str]) -> None:
    """Neither the bytes of a liar nor our URL appear in the message."""

    async def handler(stream: SocketStream, request: bytes) -> None:
        await stream.send(b"SSH-2.0-canary-banner\r\n\r\n")

    async with server(handler) as url, door(pair) as transport:
        with pytest.raises(WireError) as caught:
            await transport.send(post(url), connect=5)

    assert caught.value.kind in {Kind.PROTOCOL_ERROR, Kind.STREAM_INTERRUPTED}
    assert "canary" not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)


@pytest.mark.anyio
async def test_an_endless_head_is_refused(pair: tuple[str, str]) -> None:
    """A megabyte of headers is not read into memory."""

    async def handler(stream: SocketStream, request: bytes) -> None:
        await stream.send(
            b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: %s\r\n" % (i, b"y" * 1000) for i in range(1000)) + b"\r\n"
        )

    async with server(handler) as url, door(pair) as transport:
        with pytest.raises(WireError):
            response = await transport.send(post(url), connect=5)
            await response.aclose()


@pytest.mark.anyio
async def test_cancelling_closes_the_connection(pair: tuple[str, str]) -> None:
    """The vendor sees us leave at once, before the head as in the body."""
    asked, closed = anyio.Event(), anyio.Event()

    async def handler(stream: SocketStream, request: bytes) -> None:
        asked.set()
        try:
            await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            closed.set()

    async with server(handler) as url, door(pair) as transport:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(transport.send, post(url), connect=20))
            await asked.wait()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(20):
            await closed.wait()


@pytest.mark.anyio
async def test_a_body_over_the_limit_is_refused(pair: tuple[str, str]) -> None:
    """A vendor cannot fill our memory."""

    async def handler(stream: SocketStream, request: bytes) -> None:
        await stream.send(HEAD + b"content-length: 500000\r\n\r\n" + b"x" * 500_000)

    async with server(handler) as url, door(pair) as transport:
        response = await transport.send(post(url), connect=5)
        with pytest.raises(WireError, match="larger"):
            await read_all(response, limit=100_000)
        await response.aclose()


@pytest.mark.anyio
async def test_a_callers_own_client_is_used_and_left_open() -> None:
    """Proxies, mTLS and mocks come in as the caller's httpx2 client; closing it stays the caller's."""
    async with httpx2.AsyncClient(
        transport=httpx2.MockTransport(lambda request: httpx2.Response(200, text="mine"))
    ) as client:
        transport = open_transport(client=client)
        response = await transport.send(post("http://vendor.test"), connect=5)
        body = await read_all(response)
        await response.aclose()
        await transport.aclose()

        assert (b"mine", False) == (body, client.is_closed)


@pytest.mark.parametrize("anyio_backend", ["trio"])
def test_the_aiohttp_door_says_that_it_is_asyncio_only(anyio_backend: str) -> None:
    """A wrong combination is refused with what to set."""
    with pytest.raises(ConfigurationError, match='kind = "httpx2"'):
        open_transport("aiohttp", backend="trio")


@pytest.mark.anyio
async def test_a_closed_door_sends_nothing(pair: tuple[str, str]) -> None:
    """Whoever asks a gateway that was closed is told so; closing twice is no mistake."""
    asked = 0

    async def handler(stream: SocketStream, request: bytes) -> None:
        nonlocal asked
        asked += 1

    async with server(handler) as url, door(pair) as transport:
        await transport.aclose()
        with pytest.raises(WireError, match="was closed") as caught:
            await transport.send(post(url), connect=5.0)

    assert Kind.CANCELLED is caught.value.kind
    assert 0 == asked


@pytest.mark.anyio
async def test_many_addresses_are_not_all_remembered(pair: tuple[str, str]) -> None:
    """A provider whose address differs from call to call fills no memory, and each call still arrives."""
    paths: list[bytes] = []

    async def handler(stream: SocketStream, request: bytes) -> None:
        paths.append(request.split()[1])
        await stream.send(HEAD + b"connection: close\r\ncontent-length: 0\r\n\r\n")

    async with server(handler) as url, door(pair) as transport:
        for number in range(300):
            response = await transport.send(post(f"{url}/{number}"), connect=5.0)
            await response.aclose()

    assert [b"/%d/v1/chat" % number for number in range(300)] == paths
    assert len(transport._urls if pair[0] == "httpx2" else transport._routes) <= 256  # type: ignore[attr-defined]  # theirs


@pytest.mark.anyio
async def test_aiohttp_is_taken_where_it_is(anyio_backend_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` does without; who names it is told what to install."""
    monkeypatch.setattr("aigateway.transport._open.find_spec", lambda name: None)
    transport = open_transport(backend=anyio_backend_name)
    await transport.aclose()
    with pytest.raises(ConfigurationError, match=r"aigateway\[fast\]"):
        open_transport("aiohttp", backend=anyio_backend_name)

    assert "HttpxTransport" == type(transport).__name__


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_bytes_after_their_end(encoding: str) -> None:
    """In the same piece or in one of its own: what follows the end of the stream is somebody else's."""
    packed = zlib.compress(b"x" * 100) if encoding == "deflate" else gzip.compress(b"x" * 100)
    one, other = Inflater(encoding), Inflater(encoding)
    assert b"" == one.step()
    one.feed(packed)
    assert b"x" * 100 == one.step()
    with pytest.raises(WireError, match="goes on after its end"):
        one.feed(b"more")
    other.feed(packed + b"more")
    with pytest.raises(WireError, match="goes on after its end"):
        other.step()


def test_a_compressed_body_of_nothing() -> None:
    """An answer without a body has nothing to inflate, and no end to miss."""
    empty, cut = Inflater("gzip"), Inflater("gzip")
    empty.end()
    cut.feed(gzip.compress(b"x" * 100)[:-8])
    cut.step()
    with pytest.raises(WireError, match="ended early"):
        cut.end()


@pytest.mark.anyio
async def test_what_a_program_handles_keeps_its_frames(pair: tuple[str, str]) -> None:
    """An error of ours forgets the frames it came through, and not those of another, in whose handling it came."""

    async def handler(stream: SocketStream, request: bytes) -> None:
        await stream.send(HEAD + b"content-length: 9\r\n\r\nhalf")

    async with server(handler) as url, door(pair) as transport:
        try:
            raise LookupError("the program's own")
        except LookupError as own:
            response = await transport.send(post(url), connect=5)
            with pytest.raises(WireError):
                await read_all(response)
            await response.aclose()
            assert own.__traceback__ is not None


def test_errors_that_are_causes_of_each_other() -> None:
    """Forgetting the frames of a chain comes to an end, also where it has none."""
    one, other = OSError("one"), OSError("other")
    one.__cause__, other.__context__ = other, one
    with pytest.raises(WireError), AsWireErrors((Kind.CONNECT, [OSError])):
        raise one

"""Clients that send too much, too slowly, or what is no request: bounded at the connection, others unharmed."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from typing import Any

import pytest

from aigateway import Gateway
from aigateway.asgi import create_app
from aigateway.cli import _connection
from aigateway.cli._connection import Bounded, Patience
from aigateway.cli._server import Server

from .test_client_leaves import until

QUICK = Patience(head_within=0.6, body_within=0.6, rate=1_000_000, refused=0.3)
CHAT = b'{"messages":[{"role":"user","content":"hi"}]}'
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
Connect = Callable[[], socket.socket]


@contextmanager
def served(*, logs: bool = False) -> Iterator[tuple[Connect, Server]]:
    gateway = Gateway.from_config(
        {"default_model": "echo", "providers": {"echo": {}}, "server": {"log_requests": logs, "drain": 0.1}}
    )
    server = Server(create_app(gateway, close=True), gateway.settings)
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="server")
        thread.start()
        try:
            until(lambda: server.started or not thread.is_alive(), 20)
            yield lambda: socket.create_connection(("127.0.0.1", listener.getsockname()[1]), timeout=20), server
        finally:
            server.should_exit = True
            thread.join(20)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def server() -> Iterator[Connect]:
    with served() as (connect, _):
        yield connect


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bounded, "patience", QUICK)


def answer(client: socket.socket) -> tuple[int, str, bytes]:
    """Read to the end of the connection; give the last answer's status and error code, and everything."""
    read = b""
    with client:
        try:
            while data := client.recv(65536):
                read += data
        except ConnectionResetError:
            pass
    if not read:
        return 0, "", b""
    head, _, body = read.rpartition(b"\r\n\r\n")
    status = int(head.rpartition(b"HTTP/1.1 ")[2].split()[0])
    return status, (json.loads(body).get("error") or {}).get("code", "") if body else "", read


def test_a_head_that_is_too_large(server: Connect) -> None:
    """Many small fields, one large one, a long path, a field without an end: 431, and the connection is closed."""
    filler = b"x" * 70_000
    many = b"".join(b"x-%d: %s\r\n" % (n, b"y" * 90) for n in range(800))
    for head in (
        HEAD + many + b"\r\n",
        HEAD + b"x-long: " + filler + b"\r\n\r\n",
        b"GET /" + filler + b" HTTP/1.1\r\nhost: localhost\r\n\r\n",
        HEAD + b"x-endless: " + filler,
    ):
        client = server()
        client.sendall(head)
        assert (431, "head_too_large") == answer(client)[:2], head[:60]


def test_a_large_head_that_is_not_too_large(server: Connect) -> None:
    """60 KiB of fields pass, also one after the other on one connection."""
    fields = b"".join(b"x-%d: %s\r\n" % (n, b"y" * 90) for n in range(500))
    client = server()
    for last in (b"keep-alive", b"close"):
        client.sendall(HEAD + fields + b"connection: %s\r\ncontent-length: %d\r\n\r\n" % (last, len(CHAT)) + CHAT)

    assert 2 == answer(client)[2].count(b"HTTP/1.1 200")


@pytest.mark.usefixtures("quick")
def test_a_slow_head() -> None:
    """A head that trickles is refused with 408 when its time is up; a connection that says nothing is closed."""
    with served() as (connect, _):
        slow, silent = connect(), connect()
        for byte in HEAD[:12]:
            slow.sendall(bytes([byte]))
        began = time.monotonic()

        assert (408, "request_timeout") == answer(slow)[:2]
        assert (0, "", b"") == answer(silent)
        assert time.monotonic() - began < 15


@pytest.mark.usefixtures("quick")
def test_a_slow_body() -> None:
    """A body that trickles is refused with 408; the request's place is free again."""
    with served() as (connect, server):
        client = connect()
        client.sendall(HEAD + b"content-length: 1000\r\n\r\n{")

        assert (408, "request_timeout") == answer(client)[:2]
        until(lambda: not server.server_state.tasks, 10)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("logs", [True, False], ids=["logged", "quiet"])
def test_what_is_refused_at_the_connection_is_on_record(logs: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Each has an id in its answer, and one access line with it, its status and why; none where none are wanted."""
    caplog.set_level("INFO", "aigateway.access")
    found = []
    with served(logs=logs) as (connect, server):
        for sent in (b"no request\r\n\r\n", HEAD, HEAD + b"content-length: 1000\r\n\r\n{"):
            client = connect()
            client.sendall(sent)
            status, code, read = answer(client)
            head, _, body = read.decode().partition("\r\n\r\n")
            name = json.loads(body)["error"]["request_id"]
            assert f"x-request-id: {name}" in head.splitlines()
            found.append((name, status, code))
        until(lambda: not server.server_state.tasks, 10)
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "aigateway.access"]

    assert [(400, "invalid_http"), (408, "request_timeout"), (408, "request_timeout")] == [one[1:] for one in found]
    assert (found if logs else []) == [
        (line["request_id"], line["status"], line.get("why") or line["ended"]) for line in lines
    ]


@pytest.mark.usefixtures("quick")
def test_a_body_nobody_wants() -> None:
    """Who goes on sending what has been refused is cut off."""
    with served() as (connect, server):
        client = connect()
        client.sendall(HEAD + b"content-length: 11000000\r\n\r\n")
        until(lambda: b"413" in client.recv(65536, socket.MSG_PEEK), 10)
        client.settimeout(0.2)

        def is_cut() -> bool:
            try:
                client.sendall(b"x" * 1000)
            except OSError:
                return True
            return not server.server_state.connections

        until(is_cut, 15)
        client.close()


def test_garbage_after_a_request_does_not_enter_its_answer(server: Connect) -> None:
    """What follows on the connection of a stream that is under way never stands in the middle of it."""
    body = CHAT[:-1] + b',"stream":true}'
    client = server()
    client.sendall(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body + b"\x00\x01 nonsense\r\n\r\n")
    read = answer(client)[2]

    assert b"invalid_http" not in read.partition(b"data: ")[2].partition(b"[DONE]")[0]


UPGRADE = b"host: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
OPENING = UPGRADE + b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"GET /v1/responses HTTP/1.1\r\n" + OPENING + b"\r\n",
        b"GET /v1/responses HTTP/1.1\r\n" + UPGRADE + b"\r\n",
        b"GET /v1/responses HTTP/1.1\r\n" + OPENING + b"content-length: 2\r\n\r\n{}",
        b"GET /v1/responses HTTP/1.1\r\n" + OPENING + b"x-long: " + b"y" * 9000 + b"\r\n\r\n",
        b"GET /v1/responses HTTP/1.1\r\n" + OPENING + b"x-many: y\r\n" * 200 + b"\r\n",
    ],
    ids=["proper", "without a key", "with a body", "with a long field", "with many fields"],
)
def test_what_opens_a_websocket_is_answered(server: Connect, head: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """However it is opened, a websocket gets 426 as any request is answered, and the connection serves the next one."""
    with server() as client, client.makefile("rb") as replies:
        client.sendall(head)
        first = reply(replies)
        client.sendall(HEAD + b"content-length: %d\r\n\r\n" % len(CHAT) + CHAT)
        second = reply(replies)

    assert (426, "websocket") == (first[0], first[1]["error"]["code"])
    assert (200, "hi") == (second[0], second[1]["choices"][0]["message"]["content"])
    assert [] == [record.getMessage() for record in caplog.records if record.name.startswith("uvicorn")]


OFFERS = {
    "h2c": b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n",
    "websocket": OPENING.partition(b"\r\n")[2],
}


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
@pytest.mark.parametrize("pieces", [1, 9], ids=["at once", "in pieces"])
def test_an_offer_of_another_protocol(
    server: Connect, offer: bytes, pieces: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that would go on in HTTP/2 (Java's own does) is answered in this one, body and all."""
    plain = b"content-length: %d\r\n\r\n" % len(CHAT) + CHAT
    chunked = b"transfer-encoding: chunked\r\n\r\n%x\r\n" % len(CHAT) + CHAT + b"\r\n0\r\n\r\n"
    sent = b"".join(HEAD + head for head in (offer + plain, offer + chunked, plain)) + b"GET /ping HTTP/1.1\r\n\r\n"
    with server() as client, client.makefile("rb") as replies:
        size = -(-len(sent) // pieces)
        for at in range(0, len(sent), size):
            client.sendall(sent[at : at + size])
            time.sleep(0.01 if pieces > 1 else 0)
        found = [reply(replies) for _ in range(4)]

    assert [200] * 4 == [status for status, _ in found]
    assert ["hi"] * 3 == [body["choices"][0]["message"]["content"] for _, body in found[:3]]
    assert [] == [record.getMessage() for record in caplog.records if record.name.startswith("uvicorn")]


@pytest.mark.parametrize("connection", [b"close, Upgrade", b"keep-alive, upgrade", b"Upgrade"])
@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS"])
def test_an_offer_of_who_closes_then(server: Connect, method: bytes, connection: bytes) -> None:
    """The answer comes whatever else the header says, and the connection ends where that is wanted."""
    head = b" /ping HTTP/1.1\r\nhost: localhost\r\nupgrade: h2c\r\nconnection: " + connection + b"\r\n\r\n"
    client = server()
    client.sendall(method + head)
    if b"close" not in connection:
        client.sendall(b"GET /ping HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    read = answer(client)[2]

    assert (1 if b"close" in connection else 2) == read.count(b"HTTP/1.1 ")
    assert (b"405 " if method == b"OPTIONS" else b"200 ") == read[9:13]


def test_a_flood_of_offers(server: Connect) -> None:
    """Thousands of offers in one go are as many requests."""
    one = b"GET /ping HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"
    with server() as client, client.makefile("rb") as replies:
        client.sendall(one * 2000)
        found = [reply(replies)[0] for _ in range(2000)]

    assert {200} == set(found)


@pytest.mark.parametrize(
    "head", [b"CONNECT localhost:1 HTTP/1.1\r\n" + UPGRADE + b"\r\n", HEAD + UPGRADE + b"\r\n\x00"]
)
def test_offers_that_are_no_requests(server: Connect, head: bytes) -> None:
    """What is nonsense beside is refused, and the connection closed."""
    client = server()
    client.sendall(head + b"\r\n\r\nnonsense\r\n\r\n")

    assert answer(client)[0] in {400, 404, 405}


def reply(replies: BufferedReader) -> tuple[int, Any]:
    """Read one answer of a connection that stays open."""
    status = int(replies.readline().split()[1])
    length = 0
    while (line := replies.readline().strip().lower()) != b"":
        length = int(line.partition(b":")[2]) if line.startswith(b"content-length") else length
    return status, json.loads(replies.read(length))


def test_the_limits_are_what_is_said() -> None:
    """The words a client is told name the bound that is kept."""
    assert str(_connection.PATIENCE.head) in _connection.SAID[431][0]

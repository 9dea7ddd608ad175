"""A server that stops: answers may end for a while, the rest is told why it is cut, nothing is left behind."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import anyio
import pytest

from aigateway import Gateway, Settings
from aigateway.asgi import create_app
from aigateway.cli._server import Server
from aigateway.testing.sandbox import Sandbox

from .test_any_server import Exchange, asked
from .test_client_leaves import PATIENT, ask, until

Switch = Callable[[str, str], None]
Serving = Callable[..., AbstractContextManager[str]]


@pytest.fixture
def patient(configure: Callable[..., Settings]) -> Gateway:
    return Gateway(configure(timeouts=PATIENT, server={"drain": 0.3}, guards=[{"use": "log"}]))


@contextmanager
def stopping(gateway: Gateway) -> Iterator[tuple[str, Callable[[], None]]]:
    """Serve as the command does, in a thread; give the URL, and what a signal would do."""
    server = Server(create_app(gateway, close=True), gateway.settings)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="server")
        thread.start()
        try:
            until(lambda: server.started or not thread.is_alive(), 20)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", lambda: server.handle_exit(15, None)
        finally:
            server.should_exit = True
            thread.join(20)
    assert not thread.is_alive()


def rest(client: socket.socket) -> bytes:
    """Read to the end of the connection."""
    client.settimeout(20)
    read = b""
    with client:
        while data := client.recv(65536):
            read += data
    return read


def events(answer: bytes) -> list[str]:
    return [line for line in answer.decode().splitlines() if line.startswith("data: ")]


def in_flight(gateway: Gateway) -> int:
    return sum(gateway.memory.facts(target).in_flight for target in gateway.parts.names.routes["smart"])


def test_fifty_streams(patient: Gateway, switch: Switch, standins: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """Each ends with one error event and no [DONE]; whole answers are a 503; upstream all is closed."""
    switch("deepseek", "stall:3")
    requests = standins.vendors["deepseek"].requests
    with caplog.at_level(logging.INFO), stopping(patient) as (root, stop):
        streams = [ask(root, stream=True) for _ in range(50)]
        until(lambda: len(requests) == 50, 20)
        heads = [client.recv(65536) for client in streams]
        plain = [ask(root, stream=False) for _ in range(5)]
        until(lambda: len(requests) == 55, 20)
        stop()
        endings = [events(head + rest(client)) for head, client in zip(heads, streams, strict=True)]
        answers = [rest(client).decode() for client in plain]
        until(lambda: all(seen.ended for seen in requests), 2)
    last = [json.loads(found[-1].removeprefix("data: ")) for found in endings]
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "aigateway.calls"]

    assert {"shutting_down"} == {event["error"]["code"] for event in last}
    assert all(event["error"].keys() >= {"message", "type", "param", "code", "request_id"} for event in last)
    assert [1] * 50 == [sum('"error"' in event for event in found) for found in endings]
    assert not any("[DONE]" in event for found in endings for event in found)
    assert all(answer.startswith("HTTP/1.1 503 ") and "\r\nretry-after: 1\r\n" in answer for answer in answers)
    assert all('"code":"shutting_down"' in answer for answer in answers)
    assert ({"left"}, 0) == ({seen.ended for seen in requests}, in_flight(patient))
    assert [("cancelled", 55)] == [(state, len(lines)) for state in {line["outcome"] for line in lines}]
    assert [] == [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def test_nobody_else_is_let_in(patient: Gateway, switch: Switch, standins: Sandbox) -> None:
    """While it drains, connections are refused, and one that was idle is closed."""
    switch("deepseek", "hang")
    with stopping(patient) as (root, stop):
        busy = ask(root, stream=True)
        until(lambda: standins.vendors["deepseek"].requests, 5)
        host, port = busy.getpeername()[:2]
        with socket.create_connection((host, port)) as idle:
            stop()
            idle.settimeout(10)
            closed = idle.recv(1)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, port))
        cut = rest(busy)

    assert b"" == closed
    assert cut.startswith(b"HTTP/1.1 503 ")


def test_a_client_that_does_not_read(patient: Gateway, switch: Switch, standins: Sandbox) -> None:
    """One that never reads its last words does not keep the server."""
    switch("deepseek", "stall:3")
    with stopping(patient) as (root, stop), ask(root, stream=True):
        until(lambda: standins.vendors["deepseek"].requests, 5)
        stop()
        until(lambda: standins.vendors["deepseek"].requests[-1].ended, 10)

    assert 0 == in_flight(patient)


def test_another_server_stops_hard(
    configure: Callable[..., Settings], serving: Serving, switch: Switch, standins: Sandbox
) -> None:
    """A server that cancels its requests without a word of warning: the streams still say why they end."""
    switch("deepseek", "stall:3")
    gateway = Gateway(configure(timeouts=PATIENT))
    with serving(gateway) as root:
        client = ask(root, stream=True)
        read = b""
        while b"reasoning_content" not in read:
            read += client.recv(65536)
    found = events(read + rest(client))
    until(lambda: standins.vendors["deepseek"].requests[-1].ended, 2)

    assert "shutting_down" == json.loads(found[-1].removeprefix("data: "))["error"]["code"]
    assert "left" == standins.vendors["deepseek"].requests[-1].ended
    assert 0 == in_flight(gateway)


# -- on any server, on both event loops ---------------------------------------------------------


async def wait_for(condition: Callable[[], Any]) -> None:
    with anyio.fail_after(10):
        while not condition():
            await anyio.sleep(0.01)


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
async def test_drained_by_its_owner(
    configure: Callable[..., Settings], switch: Switch, standins: Sandbox, stream: bool
) -> None:
    """`app.drain` waits, ends what is left with its reason, and refuses what comes after."""
    switch("deepseek", "stall:3" if stream else "hang")
    gateway = Gateway(configure(timeouts=PATIENT))
    app = create_app(gateway)
    running, late = Exchange(asked(stream=stream)), Exchange(asked(stream=stream))
    async with gateway, anyio.create_task_group() as tasks:
        tasks.start_soon(app, running.scope, running.receive, running.send)
        await wait_for(lambda: running.text if stream else standins.vendors["deepseek"].requests)
        await app.drain(0.1)
        await wait_for(lambda: standins.vendors["deepseek"].requests[-1].ended)
        await app(late.scope, late.receive, late.send)

    assert [200 if stream else 503, 503] == [exchange.sent[0]["status"] for exchange in (running, late)]
    assert [b'"code":"shutting_down"' in exchange.text for exchange in (running, late)] == [True, True]
    assert b"[DONE]" not in running.text
    assert "left" == standins.vendors["deepseek"].requests[-1].ended
    assert 0 == in_flight(gateway)


@pytest.mark.anyio
async def test_drained_in_time(gateway: Gateway) -> None:
    """What ends within the time ends as ever, and draining does not wait longer than that."""
    app = create_app(gateway)
    exchange = Exchange(asked(stream=True))
    async with gateway, anyio.create_task_group() as tasks:
        tasks.start_soon(app, exchange.scope, exchange.receive, exchange.send)
        await wait_for(lambda: exchange.text)
        with anyio.fail_after(20):
            await app.drain(60)

    assert exchange.text.endswith(b"data: [DONE]\n\n")


@pytest.mark.anyio
async def test_who_comes_too_late(gateway: Gateway) -> None:
    """Is told so as clients of the route read it."""
    app = create_app(gateway)
    late = Exchange(asked(), path="/v1/messages"), Exchange(asked())
    async with gateway:
        await app.drain(0)
        for exchange in late:
            await app(exchange.scope, exchange.receive, exchange.send)
    told = [json.loads(exchange.text) for exchange in late]

    assert ("error", "overloaded_error") == (told[0]["type"], told[0]["error"]["type"])
    assert "shutting_down" == told[1]["error"]["code"]


@pytest.mark.anyio
async def test_a_cancelled_request(configure: Callable[..., Settings], switch: Switch) -> None:
    """A request that its server cancels says so to its client, and is cancelled all the same."""
    switch("deepseek", "stall:3")
    gateway = Gateway(configure(timeouts=PATIENT))
    exchange = Exchange(asked(stream=True))
    returned = False

    async def answer() -> None:
        nonlocal returned
        await create_app(gateway)(exchange.scope, exchange.receive, exchange.send)
        returned = True

    async with gateway, anyio.create_task_group() as tasks:
        tasks.start_soon(answer)
        await wait_for(lambda: exchange.text)
        tasks.cancel_scope.cancel()

    assert b'"code":"shutting_down"' in exchange.text
    assert not exchange.sent[-1].get("more_body", False)
    assert not returned
    assert 0 == in_flight(gateway)


@pytest.mark.anyio
async def test_a_cancelled_request_whose_client_does_not_read(
    configure: Callable[..., Settings], switch: Switch
) -> None:
    """The last words are tried for a moment only."""
    switch("deepseek", "stall:3")
    gateway = Gateway(configure(timeouts=PATIENT))
    exchange = Exchange(asked(stream=True))
    blocked = anyio.Event()

    async def send(message: Any) -> None:
        if exchange.text:
            blocked.set()
            await anyio.sleep_forever()
        await exchange.send(message)

    async with gateway, anyio.create_task_group() as tasks:
        tasks.start_soon(create_app(gateway), exchange.scope, exchange.receive, send)
        await blocked.wait()
        tasks.cancel_scope.cancel()
        with anyio.fail_after(10, shield=True):
            await wait_for(lambda: not in_flight(gateway))

    assert b"shutting_down" not in exchange.text


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
async def test_whose_client_left(
    configure: Callable[..., Settings], switch: Switch, standins: Sandbox, stream: bool
) -> None:
    """A call that goes on for a client that may come back counts as under way, and ends with the server."""
    switch("deepseek", "stall:3" if stream else "hang")
    full = {"use": "concurrency", "calls": 1, "streams": 1}
    gateway = Gateway(configure(timeouts=PATIENT, guards=[full, {"use": "idempotency"}]))
    app = create_app(gateway)
    running, other = Exchange(asked(stream=stream)), Exchange(asked(stream=stream))
    running.scope["headers"] = [*running.scope["headers"], (b"idempotency-key", b"k")]
    async with gateway, anyio.create_task_group() as tasks:
        tasks.start_soon(app, running.scope, running.receive, running.send)
        await wait_for(lambda: running.text if stream else standins.vendors["deepseek"].requests)
        running.leave.set()
        await anyio.sleep(0.2)  # time to see that it left; what goes on then goes on for longer, too
        await app(other.scope, other.receive, other.send)
        assert 1 == in_flight(gateway)
        await app.drain(0.1)
        await wait_for(lambda: standins.vendors["deepseek"].requests[-1].ended)

    assert 503 == other.sent[0]["status"]
    assert b"overloaded" in other.text
    assert b"shutting_down" not in running.text  # nobody is there to read it
    assert ("left", 0) == (standins.vendors["deepseek"].requests[-1].ended, in_flight(gateway))

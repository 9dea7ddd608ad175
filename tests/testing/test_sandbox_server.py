"""The sandbox as a server: connections, bounds, closing, and its control port."""

from __future__ import annotations

import gc
import json
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

import anyio
import httpx2
import pytest
from anyio.abc import ByteStream

from aigateway.testing.sandbox import VENDORS, Sandbox
from aigateway.testing.sandbox._server import Exchange, Port

pytestmark = pytest.mark.anyio

BODY = json.dumps({"model": "gpt-5.4", "messages": [{"role": "user", "content": "hi"}]}).encode()
STREAM = {"model": "gpt-5.4", "messages": [{"role": "user", "content": "hi"}], "stream": True}
HEADERS = {"authorization": "Bearer sandbox-key"}


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def connect(url: str) -> ByteStream:
    parsed = httpx2.URL(url)
    return await anyio.connect_tcp(parsed.host, parsed.port or 80)


def request(body: bytes = BODY, extra: str = "", path: str = "/v1/chat/completions") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer sandbox-key\r\n{extra}"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


async def read_all(stream: ByteStream) -> bytes:
    found = b""
    with anyio.fail_after(3):
        while True:
            try:
                found += await stream.receive()
            except anyio.EndOfStream:
                return found


# -- HTTP -------------------------------------------------------------------------------------


async def test_keep_alive_and_pipelining() -> None:
    """Requests sent together on one connection are answered in order; `close` ends it."""
    async with Sandbox(pace=0) as sandbox, await connect(sandbox.vendors["openai"].url) as stream:
        await stream.send(request() + request() + request(extra="connection: close\r\n"))
        found = await read_all(stream)

    assert 3 == found.count(b"HTTP/1.1 200")
    assert 3 == found.count(b"stand-in")


async def test_slow_sender() -> None:
    """A request may arrive byte by byte."""
    async with Sandbox(pace=0) as sandbox, await connect(sandbox.vendors["openai"].url) as stream:
        for byte in request(extra="connection: close\r\n"):
            await stream.send(bytes([byte]))
        found = await read_all(stream)

    assert found.startswith(b"HTTP/1.1 200")


async def test_expect_continue() -> None:
    """A client that asks first is told to go on."""
    whole = request(extra="expect: 100-continue\r\nconnection: close\r\n")
    async with Sandbox(pace=0) as sandbox, await connect(sandbox.vendors["openai"].url) as stream:
        await stream.send(whole[: -len(BODY)])
        first = await stream.receive()
        await stream.send(BODY)
        found = await read_all(stream)

    assert first.startswith(b"HTTP/1.1 100")
    assert found.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 70_000 + b"\r\n\r\n", b"431"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 11000000\r\n\r\n" + b"a" * 11_000_000, b"413"),
    ],
)
async def test_bounds(sent: bytes, status: bytes) -> None:
    """What is too large or no HTTP is refused with a status, and the server goes on."""
    async with Sandbox(pace=0) as sandbox:
        url = sandbox.vendors["openai"].url
        async with await connect(url) as stream:
            with suppress(anyio.BrokenResourceError):  # it may be refused before everything is sent
                await stream.send(sent)
            found = await read_all(stream)
        async with httpx2.AsyncClient(headers=HEADERS, verify=False) as client:
            after = await client.get(url + "/models")

    assert found.startswith(b"HTTP/1.1 " + status)
    assert 200 == after.status_code


async def test_a_bug_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """A handler's bug closes its connection, is logged, and leaves the port open."""

    async def broken(http: Exchange) -> None:
        raise LookupError("a bug")

    port = Port(broken)
    async with anyio.create_task_group() as tasks:
        await port.open(tasks)
        for _ in range(2):
            async with await connect(f"http://127.0.0.1:{port.number}") as stream:
                await stream.send(request())
                assert b"" == await read_all(stream)
        tasks.cancel_scope.cancel()

    assert 2 == caplog.text.count("LookupError: a bug")
    assert "sandbox-key" not in caplog.text


async def test_half_a_request() -> None:
    """A client that leaves in the middle of its request harms nobody."""
    async with Sandbox(pace=0) as sandbox:
        for part in (b"", b"POST /v1/ch", request()[:-5]):
            async with await connect(sandbox.vendors["openai"].url) as stream:
                if part:
                    await stream.send(part)
        async with httpx2.AsyncClient(headers=HEADERS, verify=False) as client:
            assert 200 == (await client.get(sandbox.vendors["openai"].url + "/models")).status_code
        assert 1 == len(sandbox.vendors["openai"].requests)


async def test_fifty_streams() -> None:
    """Fifty parallel streams are answered whole, each with its own id."""
    texts: list[str] = []
    async with Sandbox(pace=0.001) as sandbox, httpx2.AsyncClient(headers=HEADERS, timeout=10, verify=False) as client:

        async def ask(number: int) -> None:
            body = {**STREAM, "messages": [{"role": "user", "content": f"number {number}"}]}
            response = await client.post(sandbox.vendors["openai"].url + "/chat/completions", json=body)
            texts.append(response.text)

        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(ask, number)
        seen = [one.ended for one in sandbox.vendors["openai"].requests]

    assert 50 == len({json.loads(text.splitlines()[0][6:])["id"] for text in texts})
    assert all(text.endswith("data: [DONE]\n\n") for text in texts)
    assert ["complete"] * 50 == seen


async def test_memory_is_bounded() -> None:
    """Only the last thousand requests are remembered."""
    async with Sandbox(pace=0) as sandbox:
        assert 1000 == sandbox.vendors["groq"].requests.maxlen


# -- closing ----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["hang", "stall:1", "slow:60"])
async def test_closes_promptly(fault: str) -> None:
    """Leaving ends hanging requests within a second, and nothing listens any more."""
    async with (
        httpx2.AsyncClient(headers=HEADERS, timeout=10, verify=False) as client,
        anyio.create_task_group() as tasks,
    ):
        async with Sandbox(pace=0) as sandbox:
            await sandbox.set_fault("openai", fault)
            url = sandbox.vendors["openai"].url

            async def ask() -> None:
                with pytest.raises(httpx2.TransportError):
                    await client.post(url + "/chat/completions", json=STREAM)

            for _ in range(5):
                tasks.start_soon(ask)
            with anyio.fail_after(5):
                while len(sandbox.vendors["openai"].requests) < 5:
                    await anyio.sleep(0.01)
            start = time.perf_counter()

        assert time.perf_counter() - start < 1
        assert {"closed"} == {seen.ended for seen in sandbox.vendors["openai"].requests}
        with pytest.raises(httpx2.ConnectError):
            await client.get(url + "/models")


async def test_closes_when_down() -> None:
    """Leaving while a vendor is down gives its port back, and the sandbox can run again on it."""
    async with Sandbox() as sandbox:
        await sandbox.set_fault("groq", "down")
        port = httpx2.URL(sandbox.vendors["groq"].url).port
    assert port is not None
    async with Sandbox(ports={"groq": port}) as again:
        assert port == httpx2.URL(again.vendors["groq"].url).port
    gc.collect()


async def test_failures_come_out_plain() -> None:
    """What the body raises is not wrapped in a group."""
    with pytest.raises(KeyError, match="mine"):
        async with Sandbox():
            raise KeyError("mine")


async def test_cancelled_from_outside() -> None:
    """A cancelled body closes everything and stays cancelled."""
    with anyio.move_on_after(0.05) as scope:
        async with Sandbox() as sandbox:
            await anyio.sleep_forever()

    assert scope.cancelled_caught
    with pytest.raises(OSError):
        await connect(sandbox.vendors["openai"].url)


async def test_port_taken() -> None:
    """A port that is taken is named, and what was opened before is closed."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        sandbox = Sandbox(ports={"groq": port})
        with pytest.raises(OSError, match=f"cannot use port {port}"):
            await sandbox.__aenter__()
    with pytest.raises(OSError):
        await connect(sandbox.vendors["deepseek"].url)
    async with sandbox:
        assert 0 < port == httpx2.URL(sandbox.vendors["groq"].url).port


async def test_runs_once_at_a_time() -> None:
    """A running sandbox cannot be entered again, a closed one has no faults."""
    sandbox = Sandbox()
    with pytest.raises(RuntimeError, match="not running"):
        await sandbox.set_fault("groq", "down")
    async with sandbox:
        with pytest.raises(RuntimeError, match="already running"):
            await sandbox.__aenter__()


PROGRAM = """
import anyio, signal, sys
from aigateway.testing.sandbox import Sandbox
async def main():
    async with Sandbox() as sandbox:
        await sandbox.set_fault("groq", "down")
        print(sandbox.control_url, flush=True)
        await anyio.sleep_forever()
anyio.run(main, backend=sys.argv[1])
"""


def test_interrupt(anyio_backend: str) -> None:
    """Ctrl-C ends it with KeyboardInterrupt and nothing else."""
    command = [sys.executable, "-W", "error", "-c", PROGRAM, anyio_backend]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.send_signal(2)
        try:
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()

    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert "ResourceWarning" not in errors
    assert "ExceptionGroup" not in errors


# -- the control server -----------------------------------------------------------------------


async def control(sandbox: Sandbox, method: str, path: str, content: bytes = b"", **headers: str) -> tuple[int, Any]:
    async with httpx2.AsyncClient(timeout=5, verify=False) as client:
        response = await client.request(method, sandbox.control_url + path, content=content, headers=headers)
    return response.status_code, response.json()


async def test_control_shows() -> None:
    """The front page names vendors, addresses and faults, and no key."""
    async with Sandbox(key="very-secret") as sandbox:
        status, body = await control(sandbox, "GET", "/")

    assert 200 == status
    assert set(VENDORS) == set(body["vendors"])
    assert sandbox.vendors["groq"].url == body["vendors"]["groq"]["url"]
    assert "none" == body["vendors"]["groq"]["fault"]
    assert "very-secret" not in json.dumps(body)


@pytest.mark.parametrize(
    "content", [b'{"fault": "rate_limit:2"}', b'"rate_limit:2"', b"rate_limit:2", b"rate_limit:2\n"]
)
async def test_control_switches(content: bytes) -> None:
    """A fault is switched on with JSON or plain words, and off again."""
    async with Sandbox(pace=0) as sandbox, httpx2.AsyncClient(headers=HEADERS, verify=False) as client:
        put = await control(sandbox, "PUT", "/faults/openai", content)
        limited = await client.post(sandbox.vendors["openai"].url + "/chat/completions", content=BODY)
        deleted = await control(sandbox, "DELETE", "/faults/openai")
        answered = await client.post(sandbox.vendors["openai"].url + "/chat/completions", content=BODY)

    assert (200, "rate_limit:2") == (put[0], put[1]["fault"])
    assert 429 == limited.status_code
    assert (200, "none") == (deleted[0], deleted[1]["fault"])
    assert 200 == answered.status_code


async def test_control_takes_down() -> None:
    """A port is closed when the control server has answered."""
    async with Sandbox() as sandbox:
        await control(sandbox, "PUT", "/faults/openai", b"down")
        with pytest.raises(OSError):
            await connect(sandbox.vendors["openai"].url)
        await control(sandbox, "DELETE", "/faults/openai")
        async with await connect(sandbox.vendors["openai"].url):
            pass


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "words"),
    [
        ("PUT", "/faults/opena", b"down", 404, "did you mean 'openai'"),
        ("PUT", "/faults/openai", b"dwn", 400, "did you mean 'down'"),
        ("PUT", "/faults/openai", b"error:1039", 400, "only MiniMax"),
        ("PUT", "/faults/openai", b"{}", 400, "send"),
        ("PUT", "/faults/openai", b"\xff", 400, "cannot read fault"),
        ("POST", "/faults/openai", b"down", 405, "use GET /"),
        ("POST", "/", b"", 405, "use GET /"),
        ("GET", "/nowhere", b"", 404, "use GET /"),
    ],
)
async def test_control_refuses(method: str, path: str, content: bytes, status: int, words: str) -> None:
    """What cannot be done is refused with what can."""
    async with Sandbox() as sandbox:
        found = await control(sandbox, method, path, content)

    assert status == found[0]
    assert words in found[1]["error"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("127.0.0.1:1", 200),
        ("[::1]", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("", 403),
    ],
)
async def test_control_host(host: str, status: int) -> None:
    """Only loopback names are answered, so that no web page can reach it under its own name."""
    async with Sandbox() as sandbox, await connect(sandbox.control_url) as stream:
        await stream.send(f"GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
        found = await read_all(stream)

    assert found.startswith(f"HTTP/1.1 {status}".encode())


async def test_control_head() -> None:
    """HEAD is answered without a body."""
    async with Sandbox() as sandbox, httpx2.AsyncClient(verify=False) as client:
        response = await client.head(sandbox.control_url)

    assert (200, b"") == (response.status_code, response.content)


async def test_fixed_ports() -> None:
    """Ports can be fixed, the control port too."""
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        ports = {"deepseek": first.getsockname()[1], "control": second.getsockname()[1]}
    async with Sandbox(ports=ports) as sandbox:
        assert f"http://127.0.0.1:{ports['deepseek']}" == sandbox.vendors["deepseek"].url
        assert f"http://127.0.0.1:{ports['control']}" == sandbox.control_url
        assert "deepseek=http://127.0.0.1" in repr(sandbox)

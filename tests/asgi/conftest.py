"""The HTTP surface on a real server: the echo provider answers, so nothing else is needed."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx2
import pytest
import uvicorn

from aigateway import Gateway
from aigateway.asgi import create_app
from aigateway.plugins import Registry

START = 60.0  # seconds a server may take to come up or to stop on a busy machine

Serve = Callable[..., AbstractContextManager[httpx2.Client]]

ECHO: dict[str, Any] = {
    "default_model": "smart",
    "providers": {"echo": {}},
    "routes": {"smart": {"targets": ["echo/echo"]}},
}


@contextmanager
def _serve(
    registry: Registry | None = None, listener: socket.socket | None = None, **tables: Any
) -> Iterator[httpx2.Client]:
    app = create_app(Gateway.from_config({**ECHO, **tables}, registry=registry), close=True)
    with listener or socket.create_server(("127.0.0.1", 0)) as listener:
        options = {"log_config": None, "access_log": False, "timeout_graceful_shutdown": 1, "proxy_headers": False}
        server = uvicorn.Server(uvicorn.Config(app, **options))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="uvicorn")
        thread.start()
        try:
            end = time.monotonic() + START
            while not server.started and thread.is_alive() and time.monotonic() < end:
                time.sleep(0.005)
            with httpx2.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=10) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(START)


@pytest.fixture
def serve() -> Serve:
    """Serve a gateway over the echo provider, with other tables laid over; give a client for it."""
    return _serve


@pytest.fixture(scope="session")
def http() -> Iterator[httpx2.Client]:
    """Give a client for a gateway without client keys."""
    with _serve() as client:
        yield client

"""Whole gateways to tell stories with: one served as a process, one sandbox in a thread, apps on real sockets."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import uvicorn
from anyio.from_thread import start_blocking_portal
from openai import OpenAI

from aigateway import Gateway, Settings
from aigateway.asgi import create_app
from aigateway.cli._standins import sandbox_settings
from aigateway.config import as_sandbox, parse
from aigateway.testing.sandbox import VENDORS, Sandbox

Switch = Callable[[str, str], None]
Serving = Callable[..., AbstractContextManager[str]]
Configure = Callable[..., Settings]

START = 60.0  # seconds a process may take to come up on a busy machine
SMALL = {"connect": 1.0, "first_content": 0.3, "silence": 0.3, "answer": 0.3, "total": 10.0}


# -- a served process -------------------------------------------------------------------------


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """Run `aigateway serve --sandbox` once; give its `url`, its `control` url and its `log` file."""
    with served_in(tmp_path_factory.mktemp("served")) as found:
        yield found


@contextmanager
def served_in(folder: Path) -> Iterator[Mapping[str, str]]:
    """Run `aigateway serve --sandbox` in a folder."""
    log = folder / "log"
    command = [sys.executable, "-m", "aigateway", "serve", "--sandbox", "--port", "0"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    with log.open("wb") as sink, subprocess.Popen(command, cwd=folder, env=environment, stdout=sink, stderr=sink) as it:
        try:
            found = _wait_for(it, log, r"at (http://\S+/v1)[\s\S]* -X PUT (http://[^/]+)/faults")
            yield {"url": found[1], "control": found[2], "log": str(log)}
        finally:
            it.kill()


def _wait_for(process: subprocess.Popen[bytes], log: Path, pattern: str) -> re.Match[str]:
    end = time.monotonic() + START
    while time.monotonic() < end and process.poll() is None:
        found = re.search(pattern, log.read_text(encoding="utf-8"))
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"the server did not come up: {log.read_text(encoding='utf-8')}")


@pytest.fixture
def url(served: Mapping[str, str]) -> str:
    return served["url"]


@pytest.fixture
def client(url: str) -> Iterator[OpenAI]:
    """Give OpenAI's own client for the served gateway."""
    with OpenAI(base_url=url, api_key="any", max_retries=0, timeout=20) as found:
        yield found


@pytest.fixture
def kill(served: Mapping[str, str]) -> Iterator[Switch]:
    """Switch a fault at a vendor of the served gateway; everybody is well again after the test."""
    broken = set()

    def put(vendor: str, fault: str) -> None:
        broken.add(vendor)
        body = json.dumps({"fault": fault}).encode()
        with urlopen(Request(f"{served['control']}/faults/{vendor}", body, method="PUT"), timeout=5):
            pass

    yield put
    for vendor in broken:
        put(vendor, "none")


# -- a sandbox in a thread --------------------------------------------------------------------


@pytest.fixture(scope="session")
def sandbox_thread() -> Iterator[tuple[Sandbox, Switch]]:
    with start_blocking_portal("asyncio", name="sandbox") as portal:
        sandbox = Sandbox(pace=0.005)
        with portal.wrap_async_context_manager(sandbox):
            yield sandbox, lambda vendor, fault: portal.call(sandbox.set_fault, vendor, fault)


@pytest.fixture
def standins(sandbox_thread: tuple[Sandbox, Switch]) -> Iterator[Sandbox]:
    """Give four stand-ins that are well; what a test broke is mended after it."""
    sandbox, switch = sandbox_thread
    for vendor in sandbox.vendors.values():
        vendor.requests.clear()
    yield sandbox
    for name in VENDORS:
        switch(name, "none")


@pytest.fixture
def switch(sandbox_thread: tuple[Sandbox, Switch], standins: Sandbox) -> Switch:
    """Switch a fault at one of the stand-ins."""
    return sandbox_thread[1]


@pytest.fixture
def configure(standins: Sandbox) -> Configure:
    """Build settings for the stand-ins as environment-only mode would, with other tables laid over."""

    def build(**tables: Any) -> Settings:
        base = sandbox_settings(standins).model_dump(include={"default_model", "unknown_models", "fallback", "routes"})
        providers = {
            name: {"base_url": vendor.url, "keys": [{"secret": standins.key, "allow_literal": True}]}
            for name, vendor in standins.vendors.items()
        }
        return as_sandbox(parse({**base, "providers": providers, "timeouts": SMALL, **tables}))

    return build


# -- applications on real sockets -------------------------------------------------------------


@pytest.fixture
def serving() -> Serving:
    """Serve a gateway (or an application around one) with uvicorn in a thread; give the root URL."""
    return _serving


class Owner:
    """Close a gateway in the loop that used it, when its server ends: whoever made it closes it."""

    def __init__(self, app: Any, gateway: Gateway) -> None:
        self._app = app
        self._gateway = gateway

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._gateway.aclose()
        await send({"type": "lifespan.shutdown.complete"})


@contextmanager
def _serving(gateway: Gateway, app: Any = None) -> Iterator[str]:
    app = Owner(app or create_app(gateway), gateway)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="uvicorn")
        thread.start()
        try:
            end = time.monotonic() + START
            while not server.started and thread.is_alive() and time.monotonic() < end:
                time.sleep(0.005)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(START)
        if thread.is_alive():
            raise AssertionError("the server did not stop")


@pytest.fixture
def gateway(configure: Configure) -> Gateway:
    """Give a gateway over the stand-ins with the built-in route and small timeouts."""
    return Gateway(configure(), seed=1)

"""Only the operator says where a request goes: nothing a caller writes makes this process connect elsewhere."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from aigateway import Gateway, Settings
from aigateway.asgi import create_app
from aigateway.testing.sandbox import Sandbox

Configure = Callable[..., Settings]

MODELS = ("deepseek/deepseek-flash", "minimax/MiniMax-M3", "openai/gpt-5.4-mini", "groq/openai/gpt-oss-120b")
NAMES = (
    "api_base", "base_url", "user_config", "extra_headers", "extra_body", "proxies", "proxy", "headers", "http_client",
    "api_key", "litellm_params", "endpoint", "host", "url", "callback_url",
)  # fmt: skip  # a table
PATIENT = {"connect": 20.0, "first_content": 20.0, "silence": 20.0, "answer": 20.0, "total": 60.0}
WATCHED: list[list[Any]] = []


def _note(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        for seen in WATCHED:
            seen.append(args[1])


sys.addaudithook(_note)  # a hook stays for good; it writes only while somebody watches


@contextmanager
def connections() -> Iterator[list[Any]]:
    """Collect every address this process connects to, by whatever library."""
    seen: list[Any] = []
    WATCHED.append(seen)
    try:
        yield seen
    finally:
        WATCHED.remove(seen)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # what the server runs on; its own loop connects in Python, where the hook sees it


@pytest.fixture
def canary() -> Iterator[tuple[str, int]]:
    """Listen where nobody should come; give the URL and the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        yield f"http://127.0.0.1:{port}/v1", port


def placed(name: str, value: Any, model: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Put a field wherever a request has room for one, down to ten levels."""
    said = {"role": "user", "content": "hi"}
    vendor = model.partition("/")[0]
    deep: Any = {name: value}
    for level in range(10):
        deep = {f"level{level}": [deep]}
    tool = {"type": "function", "function": {"name": "t", "parameters": {"type": "object"}}}
    picture = {"type": "image_url", "image_url": {"url": value if isinstance(value, str) else "x", name: value}}
    for where, body in {
        "top": {name: value},
        "extra": {"extra": {vendor: {name: value}}},
        "extra of all": {"extra": {name: value}},
        "deep in extra": {"extra": {vendor: deep}},
        "deep": deep,
        "message": {"messages": [{**said, name: value}]},
        "part": {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi", name: value}]}]},
        "picture": {"messages": [{"role": "user", "content": [picture]}]},
        "tool": {"tools": [{**tool, name: value}]},
        "function": {"tools": [{**tool, "function": {**tool["function"], name: value}}]},  # type: ignore[dict-item]
        "schema": {"response_format": {"type": "json_object", name: value}},
        "metadata": {"metadata": {name: value}},
        "stream options": {"stream": True, "stream_options": {name: value}},
        "routing": {"routing": {name: value}},
        "models": {"models": [{name: value}]},
    }.items():
        yield where, {"model": model, "messages": [said], **body}


@pytest.mark.anyio
@pytest.mark.parametrize("name", NAMES)
async def test_no_field_leads_elsewhere(
    configure: Configure, standins: Sandbox, canary: tuple[str, int], name: str
) -> None:
    """At any depth, as a text and as an object: refused, or so much data; no connection but to the stand-ins."""
    url, port = canary
    ours = {int(vendor.url.split(":")[2].partition("/")[0]) for vendor in standins.vendors.values()}
    values = (url, {"authorization": "Bearer evil", "host": "evil.example", "url": url, "base_url": url, "http": url})
    statuses = set()
    async with Gateway(configure(timeouts=PATIENT), seed=1) as gateway:
        transport = httpx2.ASGITransport(create_app(gateway))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            with connections() as seen:
                for number, value in enumerate(values):
                    model = MODELS[(NAMES.index(name) + number) % len(MODELS)]
                    for where, body in placed(name, value, model):
                        reply = await client.post("/v1/chat/completions", json=body)
                        statuses.add(reply.status_code)
                        assert reply.status_code < 500, (where, reply.text)
                sent = {"model": MODELS[0], "messages": [{"role": "user", "content": "hi"}]}
                for header in ("x-base-url", "x-api-base", "x-portkey-custom-host", "host", "x-forwarded-host"):
                    await client.post("/v1/chat/completions", json=sent, headers={header: url.removeprefix("http://")})
    asked = [request for vendor in standins.vendors.values() for request in vendor.requests]

    assert 400 in statuses
    assert {address[1] for address in seen} <= ours
    assert seen
    assert port not in ours
    assert asked
    assert not [request for request in asked if "evil" in str(dict(request.headers)) or url in str(request.path)]

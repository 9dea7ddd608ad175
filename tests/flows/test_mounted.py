"""`create_app` mounts anywhere: under a prefix in a Starlette and in a FastAPI application, on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from openai import AsyncOpenAI, NotFoundError, OpenAI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from aigateway import Gateway
from aigateway.asgi import create_app

Switch = Callable[[str, str], None]
Serving = Callable[..., AbstractContextManager[str]]
HELLO: Any = [{"role": "user", "content": "hi"}]
DEEPSEEK = "Hello from the DeepSeek stand-in. You said: hi"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def home(request: Request) -> PlainTextResponse:
    return PlainTextResponse("the service's own page")


def in_starlette(gateway: Gateway) -> Any:
    return Starlette(routes=[Route("/", home), Mount("/ai", create_app(gateway))])


def in_fastapi(gateway: Gateway) -> Any:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield

    app = FastAPI(lifespan=lifespan)
    app.mount("/ai", create_app(gateway))
    app.add_api_route("/", lambda: "the service's own page")
    return app


@pytest.fixture(params=[in_starlette, in_fastapi], ids=["starlette", "fastapi"])
def mounted(request: pytest.FixtureRequest, gateway: Gateway) -> Any:
    return request.param(gateway)


def test_plain_and_streamed(mounted: Any, gateway: Gateway, serving: Serving) -> None:
    """Under a prefix the client works as ever: plain, streamed, the list of models, one model."""
    with serving(gateway, mounted) as root, OpenAI(base_url=f"{root}/ai/v1", api_key="any", max_retries=0) as client:
        plain = client.chat.completions.with_raw_response.create(model="smart", messages=HELLO)
        with client.chat.completions.create(model="smart", messages=HELLO, stream=True) as stream:
            streamed = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        listed = {model.id for model in client.models.list()}
        card = client.models.retrieve("openai/gpt-oss-120b")

    assert DEEPSEEK == plain.parse().choices[0].message.content == streamed
    assert "sandbox/deepseek" == plain.headers["x-aigateway-provider"]
    assert {"smart", "deepseek-flash"} <= listed
    assert "openai/gpt-oss-120b" == card.id


@pytest.mark.anyio
async def test_async_client(mounted: Any, gateway: Gateway, serving: Serving) -> None:
    """The async client too."""
    with serving(gateway, mounted) as root:
        async with AsyncOpenAI(base_url=f"{root}/ai/v1", api_key="any", max_retries=0) as client:
            reply = await client.chat.completions.create(model="smart", messages=HELLO)

    assert DEEPSEEK == reply.choices[0].message.content


def test_fails_over(mounted: Any, gateway: Gateway, serving: Serving, switch: Switch) -> None:
    """It fails over there as everywhere."""
    switch("deepseek", "down")
    with serving(gateway, mounted) as root, OpenAI(base_url=f"{root}/ai/v1", api_key="any", max_retries=0) as client:
        reply = client.chat.completions.create(model="smart", messages=HELLO)

    assert "MiniMax-M3" == reply.model


def test_the_rest_of_the_service_is_untouched(mounted: Any, gateway: Gateway, serving: Serving) -> None:
    """The service's own pages answer; below the prefix unknown paths are ours to refuse; without it they are not."""
    with serving(gateway, mounted) as root, OpenAI(base_url=f"{root}/ai/v1", api_key="any", max_retries=0) as client:
        own = httpx2.get(f"{root}/")
        health = httpx2.get(f"{root}/ai/health")
        outside = httpx2.post(f"{root}/v1/chat/completions", json={"messages": HELLO})
        with pytest.raises(NotFoundError) as caught:
            client.moderations.create(input="hi")

    assert "the service's own page" in own.text
    assert "healthy" == health.json()["status"]
    assert 404 == outside.status_code
    assert "not_served" == caught.value.code

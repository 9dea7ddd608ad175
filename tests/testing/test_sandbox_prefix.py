"""DeepSeek's stand-in goes on with an answer, as its vendor's beta does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from aigateway.providers import Options
from aigateway.secrets import Secret
from aigateway.testing.sandbox import Sandbox
from aigateway.types import ChatRequest, Target, WireResponse
from aigateway_deepseek import DeepSeek

pytestmark = pytest.mark.anyio

HELLO = [{"role": "user", "content": "Good morning"}]
OFF = {"type": "disabled"}
TEXT = "Hello from the DeepSeek stand-in. You said: Good morning"


class Asked:
    """Ask the stand-in over a socket."""

    def __init__(self, sandbox: Sandbox, http: httpx2.AsyncClient) -> None:
        self.provider = DeepSeek(Options("deepseek", sandbox.vendors["deepseek"].url))
        self.url, self.http, self.key = sandbox.vendors["deepseek"].url, http, Secret(sandbox.key)

    async def go_on(self, text: str, **fields: Any) -> httpx2.Response:
        """Send what the plug-in makes of a request that is to go on."""
        request = self.provider.continuation(ChatRequest.parse({"messages": HELLO, **fields}), text)
        assert request is not None
        sent = self.provider.encode(request, self.key, Target("deepseek", "deepseek-flash"))
        return await self.http.post(sent.url, content=sent.body)

    async def post(self, path: str, message: dict[str, Any], **fields: Any) -> httpx2.Response:
        """Send a request as it is."""
        body = {"model": "deepseek-flash", "messages": [*HELLO, message], "thinking": OFF, **fields}
        return await self.http.post(self.url + path, json=body)


@pytest.fixture
async def asked() -> AsyncIterator[Asked]:
    async with Sandbox(pace=0) as sandbox:
        head = {"authorization": f"Bearer {sandbox.key}"}
        async with httpx2.AsyncClient(headers=head) as http:
            yield Asked(sandbox, http)


@pytest.mark.parametrize("length", [1, 7, 33, len(TEXT) - 1, len(TEXT)])
async def test_only_what_follows_is_said(asked: Asked, length: int) -> None:
    """The prefix and the answer together are the whole text, with nothing twice."""
    response = await asked.go_on(TEXT[:length])
    reply = asked.provider.decode(ChatRequest.parse({"messages": HELLO}), WireResponse(200, {}, response.content))

    assert TEXT == TEXT[:length] + reply.text
    assert not reply.reasoning


async def test_streams_go_on_too(asked: Asked) -> None:
    """A stream brings what follows, then its end."""
    response = await asked.go_on(TEXT[:20], stream=True)
    events = [line[6:] for line in response.text.splitlines() if line.startswith("data: {")]
    text = "".join(json.loads(event)["choices"][0]["delta"].get("content") or "" for event in events)

    assert TEXT == TEXT[:20] + text
    assert response.text.endswith("data: [DONE]\n\n")


async def test_another_vendors_beginning_is_gone_on_with(asked: Asked) -> None:
    """A text that was begun elsewhere is taken up where the words are the same."""
    begun = "Hello from the OpenAI stand-in. You s"
    response = await asked.go_on(begun)

    assert response.json()["choices"][0]["message"]["content"] == "aid: Good morning"


async def test_prefix_needs_the_beta_address(asked: Asked) -> None:
    """A prefix elsewhere, of somebody else, or beside thoughts is refused."""
    said = {"role": "assistant", "content": "Hello", "prefix": True}
    elsewhere = await asked.post("/chat/completions", said)
    user = await asked.post("/beta/chat/completions", {**said, "role": "user"})
    thinking = await asked.post("/beta/chat/completions", said, thinking={"type": "enabled"})
    plain = await asked.post("/beta/chat/completions", {"role": "user", "content": "Hello"})

    assert [400, 400, 400, 200] == [answer.status_code for answer in (elsewhere, user, thinking, plain)]
    assert "beta" in elsewhere.json()["error"]["message"]

"""Two ways to ask a gateway, one answer: over HTTP with OpenAI's own client, or in this process."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import httpx2
import openai

from aigateway import Gateway
from aigateway.errors import GatewayError, NoAnswer
from aigateway.exchange import Chunks
from aigateway.types import Decision

__all__ = ["PROMPT", "Answer", "InProcess", "Served", "Way"]

PROMPT = [{"role": "user", "content": "say it"}]


@dataclass
class Answer:
    """What a caller got, in whichever way it was asked for. `error` is a code, empty for success."""

    began: float = field(default_factory=time.monotonic)
    first: float | None = None
    seconds: float = 0.0
    text: str = ""
    chunks: list[dict[str, Any]] = field(default_factory=list)
    finish: str | None = None
    model: str | None = None
    provider: str = ""
    usage: Mapping[str, int] | None = None
    status: int = 200
    error: str = ""
    message: str = ""
    reasons: list[dict[str, Any]] = field(default_factory=list)
    headers: Mapping[str, str] = field(default_factory=dict)
    decision: Decision | None = None

    @property
    def ok(self) -> bool:
        """Tell whether it looks like a success."""
        return not self.error

    def take(self, chunk: dict[str, Any]) -> None:
        """Note one chunk of a stream, or a whole answer."""
        self.chunks.append(chunk)
        self.model = chunk.get("model") or self.model
        for choice in chunk.get("choices") or ():
            said = choice.get("delta") or choice.get("message") or {}
            text = said.get("content") or ""
            if text and self.first is None:
                self.first = time.monotonic() - self.began
            self.text += text
            self.finish = choice.get("finish_reason") or self.finish
        usage = chunk.get("usage")
        if usage:
            self.usage = {name: value for name, value in usage.items() if isinstance(value, int)}

    def __str__(self) -> str:
        what = f"{self.status} {self.error}" if self.error else f"{self.provider} answered"
        return f"{what} after {self.seconds:.1f} s"


class Way(Protocol):
    """A way to ask."""

    async def ask(self, model: str, *, stream: bool = True, **fields: Any) -> Answer:
        """Ask once, and give whatever comes of it."""


class Served:
    """Ask over HTTP."""

    def __init__(self, url: str) -> None:
        self.url = url
        # A connection of its own for each request: one kept may be closed by the server just when it is used again.
        http = openai.DefaultAsyncHttpxClient(limits=httpx2.Limits(max_keepalive_connections=0))
        self.client = openai.AsyncOpenAI(base_url=url, api_key="any", max_retries=0, timeout=700, http_client=http)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.client.close()

    async def ask(self, model: str, *, stream: bool = True, retries: int = 0, **fields: Any) -> Answer:
        """Ask once; `retries` are the client's own."""
        answer = Answer()
        create = self.client.with_options(max_retries=retries).chat.completions.with_raw_response.create
        wanted = {"messages": PROMPT, **fields}
        if stream:
            wanted.setdefault("stream_options", {"include_usage": True})
        try:
            raw = await create(model=model, stream=stream, **wanted)
            answer.headers = dict(raw.headers)
            answer.provider = answer.headers.get("x-aigateway-provider", "")
            found = raw.parse()
            if isinstance(found, openai.AsyncStream):
                async for chunk in found:
                    answer.take(chunk.to_dict())
            else:
                answer.take(found.to_dict())
        except openai.APIError as error:
            self._failed(answer, error)
        answer.seconds = time.monotonic() - answer.began
        return answer

    def _failed(self, answer: Answer, error: openai.APIError) -> None:
        answer.message, answer.error = error.message, error.code or type(error).__name__
        if isinstance(error, openai.APIStatusError):
            answer.status, answer.headers = error.status_code, dict(error.response.headers)
        if isinstance(error.body, dict):
            answer.reasons = error.body.get("reasons", [])


class InProcess:
    """Ask a gateway object."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    async def ask(self, model: str, *, stream: bool = True, **fields: Any) -> Answer:
        """Ask once."""
        answer = Answer()
        wanted = {"messages": PROMPT, **fields}
        try:
            if stream:
                wanted.setdefault("stream_options", {"include_usage": True})
                await self._read(answer, self.gateway.stream(model, **wanted))
            else:
                reply = await self.gateway.chat(model, **wanted)
                answer.decision = reply.decision
                answer.take(reply.model_dump())
        except GatewayError as error:
            self._failed(answer, error)
        if answer.decision and answer.decision.answered_by:
            answer.provider = answer.decision.answered_by.partition("/")[0]
        answer.seconds = time.monotonic() - answer.began
        return answer

    async def _read(self, answer: Answer, stream: Chunks) -> None:
        try:
            async with stream as chunks:
                async for chunk in chunks:
                    answer.take(chunk.model_dump())
        finally:
            answer.decision = stream.decision

    def _failed(self, answer: Answer, error: GatewayError) -> None:
        answer.message, answer.error, answer.status = error.message, error.code or "failed", error.status
        answer.headers, answer.decision = error.headers, error.decision or answer.decision
        if isinstance(error, NoAnswer):
            answer.reasons = list(error.reasons)

"""A provider that is not a model: it says back what it was told, in this process, without a key.

For documentation, tests and examples. Same request, same answer; nothing leaves the machine.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from aigateway.plugins import ProviderRecord, hookimpl
from aigateway.providers import Options
from aigateway.types import ChatRequest, Chunk, ModelInfo, Price, Reply, Target, Usage

from ._answer import WORD, answer_text, limit, pick_call, words_of

__all__ = ["Echo", "aigateway_providers"]


class Echo:
    """Answer with the last user message, or with a call of the first tool offered."""

    operations: frozenset[str] = frozenset({"chat"})
    one_choice = True

    def __init__(self, options: Options) -> None:
        self.name = options.name

    def models(self) -> tuple[ModelInfo, ...]:
        """List `echo`, which costs nothing."""
        free = Price(since=date(2026, 1, 1), input=0, output=0)
        return (ModelInfo("echo", self.name, abilities=frozenset({"chat", "tools"}), prices=(free,)),)

    def continuation(self, request: ChatRequest, text: str) -> ChatRequest | None:
        """Ask to go on after `text`; None where the answer is a call, or there are several."""
        if not text or pick_call(request.body) or request.body.get("n", 1) != 1:
            return None
        messages = [*request.messages, {"role": "assistant", "content": text}]
        return replace(request, body={**request.body, "messages": messages})

    async def answer(self, request: ChatRequest, target: Target) -> Reply | AsyncIterator[Chunk]:
        """Give the reply, or its chunks word by word."""
        text, call = "", pick_call(request.body)
        finish = "tool_calls" if call else "stop"
        if call is None:
            text, finish = limit(answer_text(request.messages), request.body)
        spoken = call["function"]["arguments"] if call else text
        usage = Usage(words_of(request.messages), len(spoken.split()), source="estimated")
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": target.model}
        if request.stream:
            return stream(head, text, call, finish, usage)
        message: dict[str, Any] = {"role": "assistant", "content": None if call else text}
        if call:
            message["tool_calls"] = [call]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
        body = {**head, "object": "chat.completion", "choices": [choice], "usage": usage.openai()}
        return Reply(body, usage, provider=self.name)


async def stream(
    head: Mapping[str, Any], text: str, call: Mapping[str, Any] | None, finish: str, usage: Usage
) -> AsyncIterator[Chunk]:
    """Give the chunks an OpenAI stream has: role, pieces, finish reason, usage."""

    def chunk(delta: Mapping[str, Any], finish: str | None = None) -> Chunk:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return Chunk({**head, "object": "chat.completion.chunk", "choices": [choice]})

    yield chunk({"role": "assistant", "content": ""})
    for word in WORD.findall(text):
        yield chunk({"content": word})
    if call:
        yield chunk({"tool_calls": [{"index": 0, **call}]})
    yield chunk({}, finish)
    body = {**head, "object": "chat.completion.chunk", "choices": [], "usage": usage.openai()}
    yield Chunk(body, usage=usage)


@hookimpl
def aigateway_providers() -> Iterator[ProviderRecord]:
    """Offer `echo`."""
    yield ProviderRecord("echo", Echo, needs_key=False)

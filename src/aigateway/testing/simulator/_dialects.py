"""The sandbox's dialects, made to say a given answer: what the plug-ins decode is what vendors send."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from ..sandbox._deepseek import STREAM_HEAD, DeepSeek
from ..sandbox._groq import FINGERPRINT, Groq, _usage
from ..sandbox._minimax import MiniMax
from ..sandbox._openai import OpenAI
from ..sandbox._speech import Chat, Speech
from ..sandbox._vendors import CREATED, Response, StandIn, Stream

__all__ = ["DIALECTS", "Dialect", "Said", "said"]

CHARACTERS = 4  # per token, roughly, in English


@dataclass(frozen=True, slots=True)
class Said(Speech):
    """An answer of a given size, in few pieces."""

    tokens: int

    @property
    def completion_tokens(self) -> int:
        """What was asked for."""
        return self.tokens

    @property
    def cached_tokens(self) -> int:
        """Nothing: no two simulated prompts are alike."""
        return 0


def said(model: str, tag: str, prompt: int, tokens: int, pieces: int, *, after: str = "") -> Said:
    """Answer a request: its tag, then numbers, so that a lost, doubled or foreign piece is seen.

    `after` is the answer so far, which another vendor had begun.
    """
    count = max(1, min(pieces, tokens))
    width = max(1, CHARACTERS * tokens // count - 1)
    whole = [tag.ljust(width), *(f" {number:0{width}}" for number in range(1, count))]
    known = 0
    while known < count and len(after) >= sum(map(len, whole[: known + 1])):
        known += 1
    text = tuple(whole[known:]) or ("",)
    return Said(model, text, (), None, "stop", prompt, tokens * len(text) // count)


class Dialect(StandIn):
    """Say what is given instead of a greeting; `next` is the next answer."""

    next: Said

    @abstractmethod
    def too_long(self, model: str) -> Response:
        """Refuse a request that is longer than the model's window."""


class SimulatedDeepSeek(DeepSeek, Dialect):
    """DeepSeek, saying what it is told."""

    def chat(self, chat: Chat) -> Response | Stream:
        """Answer."""
        frame = {"id": self._uuid(), "object": "chat.completion", "created": CREATED, "model": chat.model}
        if chat.stream:
            return Stream(STREAM_HEAD, self._events(frame, self.next))
        choice = {"index": 0, "message": self._message(self.next), "logprobs": None, "finish_reason": "stop"}
        return self.json(200, {**frame, "choices": [choice], "usage": self._usage(self.next)})

    def too_long(self, model: str) -> Response:
        """400."""
        message = "This model's maximum context length is 1048576 tokens. However, you requested 1101337 tokens."
        return self._error(400, "invalid_request_error", message)


class SimulatedMiniMax(MiniMax, Dialect):
    """MiniMax, saying what it is told."""

    def chat(self, chat: Chat) -> Response | Stream:
        """Answer."""
        frame = {"id": self.identifier(20), "created": CREATED, "model": chat.model}
        if chat.stream:
            events = self._events(frame, self.next, "details", old=False)
            return Stream({"content-type": "text/event-stream", **self.head(200)}, events)
        return self.json(200, self._whole(frame, self.next, "details"))

    def too_long(self, model: str) -> Response:
        """400 with the code of every bad parameter."""
        return self._error(400, "bad_request_error", "invalid params, context window exceeds limit", 2013)


class SimulatedOpenAI(OpenAI, Dialect):
    """OpenAI, saying what it is told."""

    def chat(self, chat: Chat) -> Response | Stream:
        """Answer."""
        frame = {"id": f"chatcmpl-{self.identifier(29)}", "created": CREATED, "model": chat.model}
        if chat.stream:
            head = {"content-type": "text/event-stream; charset=utf-8", **self.head(200)}
            return Stream(head, self._events(chat, frame, self.next, 1))
        usage = {"prompt_tokens": self.next.prompt_tokens, "completion_tokens": self.next.tokens}
        body = {**frame, "object": "chat.completion", "choices": [self._choice(0, self.next)], "usage": usage}
        return self.json(200, body)

    def too_long(self, model: str) -> Response:
        """400 with a code of its own."""
        message = "Input tokens exceed the configured limit of 922000 tokens."
        return self._error(400, "invalid_request_error", message, "context_length_exceeded", "messages")


class SimulatedGroq(Groq, Dialect):
    """Groq, saying what it is told."""

    def chat(self, chat: Chat) -> Response | Stream:
        """Answer."""
        request_id = self._request_id()
        frame = {"id": f"chatcmpl-{self._uuid()}", "created": CREATED, "model": chat.model}
        frame["system_fingerprint"] = FINGERPRINT
        headers = {**self.head(200), "x-request-id": request_id}
        if chat.stream:
            events = self._events(frame, self.next, request_id, raw=False)
            return Stream({"content-type": "text/event-stream", **headers}, events)
        message = self._message(self.next, raw=False)
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        body = {**frame, "object": "chat.completion", "choices": [choice], "usage": _usage(self.next)}
        found = self.json(200, body)
        return Response(200, {**found.headers, **headers}, found.body)

    def too_long(self, model: str) -> Response:
        """400 with a code of its own."""
        message = "Please reduce the length of the messages or completion."
        return self._error(400, "invalid_request_error", message, "context_length_exceeded")


DIALECTS: Mapping[str, type[Dialect]] = {
    "deepseek": SimulatedDeepSeek,
    "minimax": SimulatedMiniMax,
    "openai": SimulatedOpenAI,
    "groq": SimulatedGroq,
}

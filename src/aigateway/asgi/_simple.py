"""The small ways to ask: a prompt in, a text out. Other gateways had them, and scripts use them."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired
from urllib.parse import parse_qs

from pydantic import ConfigDict, Field
from pydantic_core import to_json
from typing_extensions import TypedDict

from ..errors import GatewayError, RequestError
from ..exchange import Exchange
from ..types import ChatRequest, Chunk, read_json
from ._answers import Answers
from ._chat import DONE, Chat
from ._incoming import Incoming, error_body

__all__ = ["ChatForm", "ChatJSON", "ChatStreamed", "Complete", "CompleteStreamed", "prompt_schema"]

MOST_FIELDS = 64


class PromptBody(TypedDict):
    """A prompt, and any of chat's own fields besides."""

    __pydantic_config__ = ConfigDict(extra="allow", strict=True)  # type: ignore[misc]  # as pydantic documents it
    prompt: Annotated[str, Field(min_length=1)]
    model: NotRequired[str | None]
    max_tokens: NotRequired[Annotated[int, Field(ge=1)] | None]
    temperature: NotRequired[Annotated[float, Field(ge=0, le=2)] | None]


def prompt_schema(references: str) -> dict[str, Any]:
    """Describe a prompt's body in JSON Schema."""
    from pydantic import TypeAdapter

    schema: dict[str, Any] = TypeAdapter(PromptBody).json_schema(ref_template=references)
    return schema


class ChatStreamed(Chat):
    """Answer POST /v1/chat/completions/stream: a chat completion, streamed whatever `stream` says."""

    def read(self, data: bytes) -> ChatRequest:
        """Read a chat request. Raises RequestError."""
        return super().read(to_json({**read_object(data), "stream": True}))


class Prompted(Answers):
    """Answer a prompt."""

    streams = False

    def read(self, data: bytes) -> ChatRequest:
        """Read a JSON object with a prompt. Raises RequestError."""
        return self.asked(read_object(data))

    def asked(self, fields: dict[str, Any]) -> ChatRequest:
        """Make a chat request of a prompt; other fields are chat's. Raises RequestError."""
        prompt = fields.pop("prompt", None)
        if not isinstance(prompt, str) or not prompt:
            raise RequestError("'prompt' must be a text that is not empty", param="prompt")
        if fields.pop("messages", None) is not None:
            raise RequestError("'messages' belong to /v1/chat/completions; here it is 'prompt'", param="messages")
        return ChatRequest.parse({**fields, "messages": [{"role": "user", "content": prompt}], "stream": self.streams})

    def whole(self, exchange: Exchange) -> bytes:
        """Write the text, who said it, and what it took."""
        reply = exchange.whole()
        return to_json({"response": reply.text, "model": reply.model, "usage": usage_of(exchange)})

    def tells(self, request: Incoming, exchange: Exchange) -> Texts:
        """Begin to write texts."""
        return Texts(request.id)


class ChatJSON(Prompted):
    """Answer POST /chat/json: `{prompt}` gives `{response, model, usage}`."""


class ChatForm(Prompted):
    """Answer POST /chat: a form with a `prompt` gives `{response, model, usage}`."""

    async def __call__(self, request: Incoming) -> None:
        """Refuse what is no such form before it is read, then answer."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind.startswith("multipart/") or kind == "application/json":
            raise RequestError(
                f"{kind[:64]!r} is not read here. Send prompt=... as application/x-www-form-urlencoded "
                "(curl -d, not -F), or JSON to /chat/json.",
                status=415,
                code="content_type",
            )
        await super().__call__(request)

    def read(self, data: bytes) -> ChatRequest:
        """Read a form; only the prompt and the model are looked at. Raises RequestError."""
        try:
            fields = parse_qs(data.decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
        except ValueError:
            raise RequestError("the body must be a form: prompt=... as application/x-www-form-urlencoded") from None
        for name, values in fields.items():
            if len(values) > 1:
                raise RequestError(f"the form holds {name[:64]!r} more than once", param=name[:64])
        return self.asked({name: values[0] for name, values in fields.items() if name in {"prompt", "model"}})


class Complete(Prompted):
    """Answer POST /v1/inference/complete: `{prompt}` gives `{text, model, usage, cached}`."""

    def whole(self, exchange: Exchange) -> bytes:
        """Write the text, who said it, what it took, and whether it was kept from an earlier request."""
        reply = exchange.whole()
        body = {
            "text": reply.text,
            "model": reply.model,
            "usage": usage_of(exchange),
            "cached": exchange.call.reply is not None,
        }
        return to_json(body)


class CompleteStreamed(Prompted):
    """Answer POST /v1/inference/stream: events of `{text}`, then `[DONE]`."""

    streams = True


class Texts:
    """Write a stream as texts alone."""

    def __init__(self, request_id: str) -> None:
        self._request_id = request_id

    def say(self, batch: list[Chunk]) -> bytes:
        """Write what was said."""
        return b"".join(b"data: " + to_json({"text": chunk.text}) + b"\n\n" for chunk in batch if chunk.text)

    def end(self) -> bytes:
        """Say that it is complete."""
        return DONE

    def failed(self, error: GatewayError) -> bytes:
        """Say that it broke off."""
        return b"data: " + to_json(error_body(error, self._request_id)) + b"\n\n"


def read_object(data: bytes) -> dict[str, Any]:
    """Read a JSON object. Raises RequestError."""
    body = read_json(data)
    if not isinstance(body, dict):
        raise RequestError("the body must be a JSON object")
    return body


def usage_of(exchange: Exchange) -> dict[str, Any] | None:
    """Give usage as chat has it; null where nobody counted."""
    usage = exchange.whole().usage
    return None if usage.source == "unknown" else usage.openai()

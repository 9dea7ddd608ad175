"""OpenAI's legacy completions: a prompt is a user's message, and the answer's text is the completion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import GatewayError, RequestError
from ..types import Chunk, NativeChunk, Reply, Usage
from ._fields import elsewhere
from ._surface import Named

__all__ = ["Completions"]

WANTED = "a text (or a list of one); token ids are not known to the models behind this gateway"
# What chat has no word for, and what to do instead.
REFUSED = {
    "suffix": "chat models do not fill gaps; put what follows into the prompt",
    "echo": "put the prompt before the answer yourself",
    "logprobs": "ask /v1/chat/completions with 'logprobs': true",
    "best_of": "ask for 'n' answers, and take the best",
}
HEAD = ("id", "created", "model", "system_fingerprint")


class Completions:
    """Translate between legacy completions and chat."""

    operation = "completions"

    @staticmethod
    def schema(references: str) -> dict[str, Any]:
        """Describe the body in JSON Schema."""
        prompt = {"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "string"}}]}
        properties = {"model": {"type": "string"}, "prompt": prompt, "stream": {"type": "boolean"}}
        return {"type": "object", "properties": properties, "required": ["prompt"]}

    def chat(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Give the chat body a request means; fields both have pass. Raises RequestError naming the caller's field."""
        if body.get("messages") is not None:
            raise RequestError("'messages' belong to /v1/chat/completions; here it is 'prompt'", param="messages")
        if body.get("prompt") is None:
            elsewhere(body, "prompt", {"input": "/v1/responses or /v1/embeddings"})
        for name, instead in REFUSED.items():
            value = body.get(name)
            if name == "best_of" and value in (1, body.get("n", 1)):
                continue
            if value is not None and value is not False and value != "":  # a `logprobs` of 0 asks for some
                message = f"{name!r} is not served: {instead}."
                raise RequestError(message, param=name, code="unsupported_parameter")
        chat = {name: value for name, value in body.items() if name not in REFUSED and name != "prompt"}
        return {**chat, "messages": [{"role": "user", "content": _prompt(body.get("prompt"))}]}

    def native(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Give what was asked; no vendor is sent it."""
        return body

    def reply(self, asked: Mapping[str, Any], reply: Reply) -> dict[str, Any]:
        """Give the completion a chat answer is."""
        body = _framed(reply.body, [_choice(choice, "message") for choice in reply.body["choices"]])
        if "usage" in reply.body:
            body["usage"] = reply.body["usage"]
        return body

    def telling(self, asked: Mapping[str, Any], *, request_id: str, model: str) -> CompletionsTelling:
        """Begin to tell a stream."""
        options = asked.get("stream_options")
        return CompletionsTelling(wants_usage=isinstance(options, dict) and options.get("include_usage") is True)


class CompletionsTelling:
    """Tell a chat stream as completions; its events have no names."""

    def __init__(self, *, wants_usage: bool) -> None:
        self._wants_usage = wants_usage

    def note(self, chunk: NativeChunk) -> None:
        """Nothing comes as it is: no vendor is asked in this dialect."""

    def feed(self, chunk: Chunk) -> list[Named]:
        """Say what a chunk adds to the text, and its end; thoughts and roles have no place here."""
        if chunk.is_usage:
            usage = {"usage": chunk.body["usage"]}
            return [Named("", {**_framed(chunk.body, []), **usage})] if self._wants_usage else []
        choices = [_choice(choice, "delta") for choice in chunk.body["choices"]]
        said = [choice for choice in choices if choice["text"] or choice["finish_reason"]]
        return [Named("", _framed(chunk.body, said))] if said else []

    def end(self, usage: Usage | None) -> list[Named]:
        """Say no more: the end is a mark of the wire."""
        return []

    def failed(self, error: GatewayError) -> list[Named]:
        """Say no more: an error has the wire's own form."""
        return []


def _prompt(value: object) -> str:
    if value is None:
        raise RequestError("'prompt' is missing", param="prompt", code="missing_required_parameter")
    if isinstance(value, list) and len(value) > 1 and all(isinstance(entry, str) for entry in value):
        raise RequestError("'prompt' holds several prompts; send each as a request of its own", param="prompt")
    prompt = value[0] if isinstance(value, list) and len(value) == 1 else value
    if not isinstance(prompt, str) or not prompt:
        raise RequestError(f"'prompt' must be {WANTED}", param="prompt")
    return prompt


def _framed(body: Mapping[str, Any], choices: list[dict[str, Any]]) -> dict[str, Any]:
    head = {name: body[name] for name in HEAD if name in body}
    return {**head, "object": "text_completion", "choices": choices}


def _choice(choice: Mapping[str, Any], part: str) -> dict[str, Any]:
    said = choice.get(part) or {}
    text = said.get("content") or said.get("refusal") or ""
    return {
        "text": text,
        "index": choice.get("index", 0),
        "logprobs": None,
        "finish_reason": choice.get("finish_reason"),
    }

"""Anthropic's messages dialect as stand-ins of other vendors speak it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic_core import from_json, to_json

from ._operations import STREAM_HEAD, named, read_body
from ._server import Request
from ._speech import Chat, Speech, pieces, speak
from ._vendors import Event, RefusalError, Response, StandIn, Stream

__all__ = ["Messages"]

STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
TYPES = {  # status -> the type of an error (anthropic-sdk-python, types/shared)
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    529: "overloaded_error",
}


class Messages:
    """Answer POST .../v1/messages."""

    def answer(self, vendor: StandIn, request: Request) -> Response | Stream:
        """Answer, with thoughts where they are asked for."""
        if "anthropic-version" not in request.headers:
            raise ValueError("anthropic-version: header is required")
        body = read_body(request.body, "messages", "max_tokens")
        if body["model"] not in vendor.model_names:
            raise RefusalError(vendor.failing(404, body["model"]))
        chat = Chat(request.path, {**body, "messages": _messages(body), "tools": _tools(body), "tool_choice": None})
        thinking = body.get("thinking")
        reasons = isinstance(thinking, Mapping) and thinking.get("type") in ("enabled", "adaptive")
        said = speak(chat, vendor.title, reasons=reasons, limit=chat.number("max_tokens"))
        frame = {"id": f"msg_{vendor.identifier(24)}", "type": "message", "role": "assistant", "model": body["model"]}
        content = _content(vendor, said)
        if body.get("stream") is True:
            return Stream({**STREAM_HEAD, **vendor.head(200)}, _events(frame, content, said))
        ended = {"stop_reason": STOPS[said.finish], "stop_sequence": None, "usage": _usage(said)}
        return vendor.json(200, {**frame, "content": content, **ended})

    def dressed(self, failure: Response) -> Response:
        """Fail in this dialect's envelope."""
        body = to_json(_envelope(failure))
        return Response(failure.status, {**failure.headers, "content-type": "application/json"}, body)

    def inside(self, vendor: StandIn, failure: Response, *, stream: bool) -> Response:
        """Say that it failed in the first event, or in the body."""
        body = from_json(failure.body)
        error = _envelope(failure) if "error" in body else body  # MiniMax has a form of its own
        if not stream:
            return vendor.json(200, error)
        return Response(200, {**STREAM_HEAD, **vendor.head(200)}, named("error", error).data)


def _envelope(failure: Response) -> dict[str, Any]:
    try:
        error = from_json(failure.body).get("error") or {}
    except (ValueError, AttributeError):
        error = {}
    kind = TYPES.get(failure.status, "api_error" if failure.status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": error.get("message") or "no reason was given"}}


def _usage(said: Speech) -> dict[str, Any]:
    return {
        "input_tokens": said.prompt_tokens - said.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": said.cached_tokens,
        "output_tokens": said.completion_tokens,
    }


def _content(vendor: StandIn, said: Speech) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    if said.reasoning:
        content.append({"type": "thinking", "thinking": said.thought, "signature": vendor.identifier(32)})
    if said.call is not None:
        name, given = said.call.name, from_json(said.call.arguments)
        content.append({"type": "tool_use", "id": f"toolu_{vendor.identifier(24)}", "name": name, "input": given})
    else:
        content.append({"type": "text", "text": said.content})
    return content


def _events(frame: dict[str, Any], content: list[dict[str, Any]], said: Speech) -> Iterator[Event]:
    opened = {**frame, "content": [], "stop_reason": None, "stop_sequence": None}
    opened["usage"] = {**_usage(said), "output_tokens": 1}
    yield named("message_start", {"message": opened})
    yield named("ping", {}, "comment")
    for index, block in enumerate(content):
        yield from _block(index, block, said)
    delta = {"stop_reason": STOPS[said.finish], "stop_sequence": None}
    yield named("message_delta", {"delta": delta, "usage": {"output_tokens": said.completion_tokens}}, "finish")
    yield named("message_stop", {})


def _block(index: int, block: dict[str, Any], said: Speech) -> Iterator[Event]:
    kind = block["type"]
    empty: dict[str, Any] = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}}.get(
        kind, {"input": {}}
    )
    yield named(
        "content_block_start",
        {"index": index, "content_block": {**block, **empty}},
        "content" if kind == "tool_use" else "nothing",
    )
    if kind == "tool_use":
        given = to_json(block["input"]).decode()
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces(given)]
    elif kind == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in said.reasoning]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    else:
        deltas = [{"type": "text_delta", "text": piece} for piece in said.text]
    for delta in deltas:
        yield named("content_block_delta", {"index": index, "delta": delta}, "content")
    yield named("content_block_stop", {"index": index})


def _messages(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    if not isinstance(body["messages"], list) or not body["messages"]:
        raise ValueError("messages: at least one message is required")
    found: list[dict[str, Any]] = []
    for index, message in enumerate(body["messages"]):
        if not isinstance(message, dict) or message.get("role") not in ("user", "assistant"):
            raise ValueError(f"messages.{index}.role: Input should be 'user' or 'assistant'")
        content = message.get("content")
        results = [part for part in content if part.get("type") == "tool_result"] if isinstance(content, list) else []
        found += [{"role": "tool", "tool_call_id": part["tool_use_id"], "content": _text(part)} for part in results]
        if not results:
            found.append({"role": message["role"], "content": content})
    return found


def _text(part: Mapping[str, Any]) -> Any:
    return part.get("content", "")


def _tools(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for index, tool in enumerate(body.get("tools") or []):
        if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
            raise ValueError(f"tools.{index}.name: Field required")
        found.append({"type": "function", "function": {"name": tool["name"], "parameters": tool.get("input_schema")}})
    return found

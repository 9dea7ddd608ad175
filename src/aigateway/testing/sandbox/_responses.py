"""The responses dialect as stand-ins speak it: OpenAI's, and those of the vendors that follow it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic_core import from_json

from ._operations import STREAM_HEAD, named, read_body
from ._server import Request
from ._speech import Chat, Speech, pieces, speak
from ._vendors import CREATED, Event, RefusalError, Response, StandIn, Stream

__all__ = ["Responses"]


class Responses:
    """Answer POST .../responses; `reasons` shows thoughts as an item of their own, as DeepSeek does."""

    def __init__(self, *, reasons: bool = False) -> None:
        self._reasons = reasons

    def answer(self, vendor: StandIn, request: Request) -> Response | Stream:
        """Answer, in the order input items were given."""
        body = read_body(request.body, "input")
        if body["model"] not in vendor.model_names:
            raise RefusalError(vendor.failing(404, body["model"]))
        chat = Chat(request.path, {**body, **_shape(body), "messages": _messages(body), "tools": _tools(body)})
        limit = chat.number("max_output_tokens")
        said = speak(
            chat,
            vendor.title,
            reasons=self._reasons,
            limit=limit,
            structured=chat.format in {"json_object", "json_schema"},
        )
        frame = _frame(vendor, body)
        if body.get("stream") is True:
            return Stream({**STREAM_HEAD, **vendor.head(200)}, _events(frame, _items(vendor, said), said))
        return vendor.json(200, _ended(frame, _items(vendor, said), said))

    def dressed(self, failure: Response) -> Response:
        """Fail as chat does."""
        return failure

    def inside(self, vendor: StandIn, failure: Response, *, stream: bool) -> Response:
        """Open a response, then say that it failed: an error event, and the failed response (vercel/ai)."""
        error = from_json(failure.body)["error"]
        said = {"code": error.get("code") or error.get("type"), "message": error["message"]}
        frame = {**_frame(vendor, {"model": "a-model"}), "error": None}
        failed = {**frame, "status": "failed", "error": said}
        if not stream:
            return vendor.json(200, failed)
        events = (
            named("response.created", {"response": frame, "sequence_number": 0}),
            named("error", {"error": {"type": error.get("type"), **said, "param": None}, "sequence_number": 1}),
            named("response.failed", {"response": failed, "sequence_number": 2}),
        )
        return Response(200, {**STREAM_HEAD, **vendor.head(200)}, b"".join(event.data for event in events))


def _frame(vendor: StandIn, body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": f"resp_{vendor.identifier(32)}",
        "object": "response",
        "created_at": CREATED,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "metadata": body.get("metadata") or {},
        "model": body["model"],
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": body.get("store", True),
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools") or [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        "user": None,
    }


def _items(vendor: StandIn, said: Speech) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if said.reasoning:
        content = [{"type": "reasoning_text", "text": said.thought}]
        items.append({"id": f"rs_{vendor.identifier(24)}", "type": "reasoning", "summary": [], "content": content})
    if said.call is not None:
        name, call = said.call.name, f"call_{vendor.identifier(24)}"
        item = {"id": f"fc_{vendor.identifier(24)}", "type": "function_call", "call_id": call, "name": name}
        items.append({**item, "arguments": said.call.arguments, "status": "completed"})
    else:
        part = {"type": "output_text", "annotations": [], "logprobs": [], "text": said.content}
        item = {"id": f"msg_{vendor.identifier(24)}", "type": "message", "role": "assistant", "status": "completed"}
        items.append({**item, "content": [part]})
    return items


def _ended(frame: dict[str, Any], items: list[dict[str, Any]], said: Speech) -> dict[str, Any]:
    cut = said.finish == "length"
    usage = {
        "input_tokens": said.prompt_tokens,
        "input_tokens_details": {"cached_tokens": said.cached_tokens},
        "output_tokens": said.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": len(said.reasoning)},
        "total_tokens": said.prompt_tokens + said.completion_tokens,
    }
    details = {"reason": "max_output_tokens"} if cut else None
    status = "incomplete" if cut else "completed"
    return {**frame, "status": status, "incomplete_details": details, "output": items, "usage": usage}


def _events(frame: dict[str, Any], items: list[dict[str, Any]], said: Speech) -> Iterator[Event]:
    number = 0

    def told(name: str, body: Mapping[str, Any], carries: str = "nothing") -> Event:
        nonlocal number
        number += 1
        return named(f"response.{name}", {**body, "sequence_number": number - 1}, carries)

    yield told("created", {"response": frame})
    yield told("in_progress", {"response": frame})
    for index, item in enumerate(items):
        for name, body, carries in _told(index, item, said):
            yield told(name, body, carries)
    ended = _ended(frame, items, said)
    yield told(ended["status"], {"response": ended}, "finish")


def _told(index: int, item: dict[str, Any], said: Speech) -> Iterator[tuple[str, dict[str, Any], str]]:
    at = {"output_index": index, "item_id": item["id"]}
    opened = {**item, "status": "in_progress"}
    opened.update({name: [] if name == "content" else "" for name in ("content", "arguments") if name in item})
    yield "output_item.added", {"output_index": index, "item": opened}, "content" if item.get("name") else "nothing"
    if item["type"] == "function_call":
        for piece in pieces(item["arguments"]):
            yield "function_call_arguments.delta", {**at, "delta": piece}, "content"
        yield "function_call_arguments.done", {**at, "arguments": item["arguments"], "name": item["name"]}, "nothing"
    else:
        part, at = item["content"][0], {**at, "content_index": 0}
        kind, told = ("reasoning_text", said.reasoning) if item["type"] == "reasoning" else ("output_text", said.text)
        extra: dict[str, Any] = {"logprobs": []} if kind == "output_text" else {}
        yield "content_part.added", {**at, "part": {**part, "text": ""}}, "nothing"
        for piece in told:
            yield f"{kind}.delta", {**at, "delta": piece, **extra}, "content"
        yield f"{kind}.done", {**at, "text": part["text"], **extra}, "nothing"
        yield "content_part.done", {**at, "part": part}, "nothing"
    yield "output_item.done", {"output_index": index, "item": item}, "nothing"


def _shape(body: Mapping[str, Any]) -> dict[str, Any]:
    """Say in chat's words what the answer must look like."""
    text = body.get("text")
    found = text.get("format") if isinstance(text, Mapping) else None
    return {"response_format": {"type": found.get("type"), "json_schema": found}} if isinstance(found, Mapping) else {}


def _messages(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    said, instructions = body["input"], body.get("instructions")
    messages = [{"role": "system", "content": instructions}] if isinstance(instructions, str) else []
    if isinstance(said, str):
        return [*messages, {"role": "user", "content": said}]
    if not isinstance(said, list) or not said or not all(isinstance(item, dict) for item in said):
        raise ValueError("`input` must be a text or a list of items")
    for index, item in enumerate(said):
        kind = item.get("type", "message")
        if kind == "message":
            if not isinstance(item.get("role"), str):
                raise ValueError(f"input[{index}]: missing field `role`")
            messages.append({"role": item["role"], "content": item.get("content")})
        elif kind == "function_call":
            function = {"name": item.get("name"), "arguments": item.get("arguments")}
            call = {"id": item.get("call_id"), "type": "function", "function": function}
            messages.append({"role": "assistant", "content": None, "tool_calls": [call]})  # type: ignore[dict-item]  # as chat has it
        elif kind == "function_call_output":
            output = item.get("output")
            messages.append({"role": "tool", "tool_call_id": item.get("call_id", ""), "content": str(output)})
        elif kind != "reasoning":
            raise ValueError(f"input[{index}]: unknown type `{kind}`")
    return messages


def _tools(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    tools = body.get("tools") or []
    found = []
    for index, tool in enumerate(tools):
        if not isinstance(tool, dict) or tool.get("type") != "function" or not isinstance(tool.get("name"), str):
            raise ValueError(f"tools[{index}]: only functions with a name are known here")
        found.append({"type": "function", "function": {name: tool.get(name) for name in ("name", "parameters")}})
    return found

"""Tell a whole answer in another dialect as a stream of that dialect would.

A cache answers a stream that way, and so does a vendor that was asked for a stream and gave one object.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..types import NOTHING, NativeChunk, NativeReply, Said

__all__ = ["tell"]

Told = tuple[str, dict[str, Any], Said]


def tell(reply: NativeReply) -> list[NativeChunk]:
    """Give the events, in order; the last one carries the usage."""
    told = list(_messages(reply) if reply.operation == "messages" else _responses(reply))
    chunks = [NativeChunk(name, {"type": name, **body}, said) for name, body, said in told]
    chunks[-1].usage = reply.usage if reply.usage.source != "unknown" else None
    return chunks


def _responses(reply: NativeReply) -> Iterator[Told]:
    body = reply.body
    opened = {**body, "status": "in_progress", "output": [], "usage": None, "completed_at": None}
    events: list[Told] = [(f"response.{word}", {"response": opened}, NOTHING) for word in ("created", "in_progress")]
    for index, item in enumerate(body["output"]):
        events += _item(index, item)
    last = "response.incomplete" if body.get("status") == "incomplete" else "response.completed"
    events.append((last, {"response": body}, Said(finish_reason=reply.finish_reason)))
    for number, (name, what, said) in enumerate(events):
        yield name, {**what, "sequence_number": number}, said


def _item(index: int, item: dict[str, Any]) -> Iterator[Told]:
    at = {"output_index": index, "item_id": item.get("id", "")}
    kind = item.get("type")
    opened = {**item, "status": "in_progress"}
    if kind == "message":
        opened["content"] = []
    elif kind == "function_call":
        opened["arguments"] = ""
    words = kind in ("message", "reasoning")
    yield "response.output_item.added", {"output_index": index, "item": opened}, NOTHING if words else Said()
    if kind == "message":
        for number, part in enumerate(objects(item.get("content"))):
            yield from _part({**at, "content_index": number}, part)
    elif kind == "function_call":
        arguments = item.get("arguments", "")
        yield "response.function_call_arguments.delta", {**at, "delta": arguments}, Said()
        yield "response.function_call_arguments.done", {**at, "arguments": arguments}, Said()
    yield "response.output_item.done", {"output_index": index, "item": item}, NOTHING if words else Said()


def _part(at: dict[str, Any], part: dict[str, Any]) -> Iterator[Told]:
    kind, name = ("refusal", "refusal") if "refusal" in part else ("output_text", "text")
    text = text_of(part, name)
    logprobs: dict[str, Any] = {} if kind == "refusal" else {"logprobs": []}
    yield "response.content_part.added", {**at, "part": {**part, name: ""}}, NOTHING
    yield f"response.{kind}.delta", {**at, "delta": text, **logprobs}, Said(text, content=bool(text))
    yield f"response.{kind}.done", {**at, name: text, **logprobs}, Said()
    yield "response.content_part.done", {**at, "part": part}, Said()


def _messages(reply: NativeReply) -> Iterator[Told]:
    body = reply.body
    usage = body["usage"] if isinstance(body.get("usage"), dict) else {}
    opened = {**body, "content": [], "stop_reason": None, "stop_sequence": None, "usage": {**usage, "output_tokens": 0}}
    yield "message_start", {"message": opened}, NOTHING
    for index, block in enumerate(body["content"]):
        yield from _block(index, block)
    ended = {name: body.get(name) for name in ("stop_reason", "stop_sequence")}
    said = Said(finish_reason=reply.finish_reason)
    yield "message_delta", {"delta": ended, "usage": {"output_tokens": usage.get("output_tokens", 0)}}, said
    yield "message_stop", {}, said


def _block(index: int, block: dict[str, Any]) -> Iterator[Told]:
    from pydantic_core import to_json

    kind = block.get("type")
    empty: dict[str, Any] = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}}.get(str(kind), {})
    if kind == "tool_use":
        empty = {"input": {}}
    said = NOTHING if kind in ("text", "thinking") else Said()
    yield "content_block_start", {"index": index, "content_block": {**block, **empty}}, said
    deltas: list[tuple[str, str, Said]] = []
    if kind == "text":
        deltas.append(("text_delta", "text", Said(text_of(block, "text"))))
    elif kind == "thinking":
        deltas.append(("thinking_delta", "thinking", Said("", text_of(block, "thinking"))))
        deltas += [("signature_delta", "signature", NOTHING)] if block.get("signature") else []
    for name, field, told in deltas:
        yield "content_block_delta", {"index": index, "delta": {"type": name, field: text_of(block, field)}}, told
    if kind == "tool_use":
        delta = {"type": "input_json_delta", "partial_json": to_json(block.get("input", {})).decode()}
        yield "content_block_delta", {"index": index, "delta": delta}, Said()
    yield "content_block_stop", {"index": index}, NOTHING


def objects(value: object) -> list[dict[str, Any]]:
    """Give the objects of a list; a vendor wrote it, so it may hold anything, or be none."""
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def text_of(part: Mapping[str, Any], name: str) -> str:
    """Give a text of an object; empty where there is none."""
    value = part.get(name)
    return value if isinstance(value, str) else ""

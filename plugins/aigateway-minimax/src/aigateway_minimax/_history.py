"""Bring earlier messages into the form MiniMax takes; the caller's own are left as they are."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json, to_json

__all__ = ["repair", "system_first"]

FORMAT = "MiniMax-response-v1"
# models.dev: this model answers with `reasoning_content`, so that is what it gets back.
PLAIN_THOUGHTS = "MiniMax-M3.1-Flash"


def repair(message: dict[str, Any], model: str, notes: list[str]) -> dict[str, Any]:
    """Give an assistant's message back whole: thoughts in the vendor's form, arguments as JSON."""
    if message["role"] != "assistant":
        return message
    changed = _with_thoughts(message, model)
    if message.get("tool_calls"):
        changed = {**changed, "tool_calls": [_call(call, notes) for call in message["tool_calls"]]}
    return changed


def system_first(messages: list[dict[str, Any]], notes: list[str]) -> list[dict[str, Any]]:
    """Merge all system messages into one, first; user reports: else 2013, invalid chat setting."""
    system = [message for message in messages if message["role"] == "system"]
    if not system or (len(system) == 1 and messages[0] is system[0]):
        return messages
    notes.append("system messages were sent as one, first: minimax takes no other")
    merged = {**system[0], "content": "\n\n".join(text for text in map(_text, system) if text)}
    return [merged, *(message for message in messages if message["role"] != "system")]


def _with_thoughts(message: dict[str, Any], model: str) -> dict[str, Any]:
    """Put our `reasoning_content` where the vendor looks for it; other vendors' details go."""
    # platform.minimax.io, text-openai-api: reasoning_details must be preserved on tool turns.
    changed = dict(message)
    sent = changed.pop("reasoning_details", None)
    details = [detail for detail in sent if _ours(detail)] if isinstance(sent, list) else []
    thoughts = changed.get("reasoning_content")
    if details:
        changed.pop("reasoning_content", None)
    elif isinstance(thoughts, str) and thoughts.strip() and not model.startswith(PLAIN_THOUGHTS):
        del changed["reasoning_content"]
        details = [{"type": "reasoning.text", "id": "reasoning-text-1", "format": FORMAT, "index": 0, "text": thoughts}]
    if details:
        changed["reasoning_details"] = details
    return changed


def _ours(detail: object) -> bool:
    return isinstance(detail, dict) and str(detail.get("format", FORMAT)).startswith("MiniMax")


def _call(call: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    """Repair arguments that are not JSON; user reports: else 2013, invalid function arguments."""
    function = call.get("function")
    if not isinstance(function, dict):
        return call
    text = function.get("arguments", "")
    mended = _mended(text)
    if mended == text:
        return call
    notes.append("the arguments of an earlier tool call were no JSON and were repaired")
    return {**call, "function": {**function, "arguments": mended}}


def _mended(text: str) -> str:
    try:
        from_json(text, allow_inf_nan=False)
    except ValueError:
        return to_json(_prefix(text)).decode()
    return text


def _prefix(text: str) -> dict[str, Any]:
    """Read what there is of an object that was cut off; nothing, if it never was one."""
    try:
        found = from_json(text, allow_inf_nan=False, allow_partial="trailing-strings")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(part["text"] for part in content if isinstance(part.get("text"), str))
    return content or ""

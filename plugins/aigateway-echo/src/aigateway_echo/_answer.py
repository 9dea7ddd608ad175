"""What the echo says: the last user message, or the simplest call of a tool. Pure functions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["WORD", "answer_text", "limit", "pick_call", "sample", "words_of"]

# A word with the space before it, so that the pieces make the text again; the last may be space alone.
WORD = re.compile(r"\s*\S+|\s+\Z")
# A schema may be nested without end; a call is not.
DEEPEST = 16


def text_of(message: Mapping[str, Any]) -> str:
    """Give a message's text; parts that are not text (images, files) are passed over."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(part["text"] for part in parts if isinstance(part.get("text"), str))


def answer_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """Find what to say back; an assistant's message that stands last is its beginning, and not said again."""
    said = (text_of(message) for message in reversed(messages) if message["role"] == "user")
    text = next(said, "") or "This is the echo provider, not a model: it says back the last user message."
    return text.removeprefix(text_of(messages[-1])) if messages[-1]["role"] == "assistant" else text


def limit(text: str, body: Mapping[str, Any]) -> tuple[str, str]:
    """Stop after `max_completion_tokens` or `max_tokens` words; give the text and the finish reason."""
    words = WORD.findall(text)
    most = body.get("max_completion_tokens") or body.get("max_tokens") or len(words)
    return ("".join(words[:most]), "length") if len(text.split()) > most else (text, "stop")


def words_of(messages: Sequence[Mapping[str, Any]]) -> int:
    """Count the words of a prompt."""
    return sum(len(text_of(message).split()) for message in messages)


def pick_call(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Call the tool that `tool_choice` names, else the first; None after a tool's result."""
    choice = body.get("tool_choice")
    functions = [tool["function"] for tool in body.get("tools", ()) if isinstance(tool.get("function"), Mapping)]
    if isinstance(choice, Mapping) and isinstance(choice.get("function"), Mapping):
        functions = [function for function in functions if function.get("name") == choice["function"].get("name")]
    if not functions or choice == "none" or body["messages"][-1]["role"] == "tool":
        return None
    function = functions[0]
    name, arguments = str(function.get("name", "")), sample(function.get("parameters", {"type": "object"}))
    return {
        "id": f"call_{name}",
        "type": "function",
        "function": {"name": name, "arguments": json.dumps(arguments)},
    }


def sample(schema: object, depth: int = 0) -> Any:
    """Build the simplest value a JSON schema allows: the first choice, required properties only.

    References and patterns are not followed; where nothing fits, the answer is null.
    """
    if not isinstance(schema, Mapping) or depth > DEEPEST:
        return None
    for name in ("const", "default"):
        if name in schema:
            return schema[name]
    for name in ("enum", "anyOf", "oneOf"):
        choices = schema.get(name)
        if isinstance(choices, list) and choices:
            return choices[0] if name == "enum" else sample(choices[0], depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else None)
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "object":
        properties, required = schema.get("properties"), schema.get("required")
        known = properties if isinstance(properties, Mapping) else {}
        names = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
        return {name: sample(known.get(name), depth + 1) for name in dict.fromkeys(names)}
    if kind == "array":
        return [sample(schema.get("items"), depth + 1)] if schema.get("minItems") else []
    return {"string": "", "integer": 0, "number": 0, "boolean": False}.get(str(kind)) if kind else None

"""A messages request as a chat request (anthropic-sdk-python 2.11, message_create_params)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from ...errors import RequestError
from .._fields import rows, text_at
from .._surface import NativeOnly

__all__ = ["chat_fields"]

# Fields that mean the same in chat, and those that are written otherwise there.
SAME = ("model", "stream", "temperature", "top_p", "max_tokens")
# What only a vendor of this dialect can do, beside what tools and blocks of other types ask for.
NATIVE = ("container", "mcp_servers", "context_management")
# How much thought a budget of tokens is, in chat's words: up to so many.
EFFORTS = ((4096, "low"), (16_384, "medium"))
CHOICES = {"auto": "auto", "any": "required", "none": "none"}
# What chat requests call it, and what it is called here.
MISNAMED = {
    "max_completion_tokens": "'max_tokens'",
    "stop": "'stop_sequences'",
    "response_format": "'output_config.format'",
    "reasoning_effort": "'output_config.effort'",
    "n": "one answer a request; send it again for another",
}


def chat_fields(body: Mapping[str, Any]) -> tuple[dict[str, Any], list[NativeOnly]]:
    """Give the chat request that says the same, and what of it chat cannot say.

    `body` is checked (MessagesBody) and holds no nulls. Raises RequestError naming the caller's own field.
    """
    for name, right in MISNAMED.items():
        if name in body:
            raise RequestError(f"{name!r} is a chat request's; here it is {right}.", param=name)
    chat: dict[str, Any] = {name: body[name] for name in SAME if name in body}
    turns = Turns()
    if "system" in body:
        turns.system(body["system"], "system")
    for at, message in enumerate(body["messages"]):
        turns.add(message, f"messages[{at}]")
    chat["messages"] = turns.messages
    needs = turns.needs + [unknown_to_chat(f"{name!r}", name) for name in NATIVE if body.get(name)]
    if "stop_sequences" in body:
        chat["stop"] = body["stop_sequences"]
    user = body.get("metadata", {}).get("user_id")
    if isinstance(user, str):
        chat["user"] = user
    _tools(body, chat, needs)
    _thought(body, chat)
    return chat, needs


class Turns:
    """Gather chat messages from turns. What chat cannot say is left out and noted in `needs`."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.needs: list[NativeOnly] = []

    def system(self, content: object, path: str) -> None:
        """Read what the model is told first."""
        said = "\n\n".join(self._texts(content, path))
        if said:
            self.messages.append({"role": "system", "content": said})

    def add(self, message: Mapping[str, Any], path: str) -> None:
        """Read one turn. Raises RequestError naming the wrong field."""
        role, content, where = message["role"], message["content"], f"{path}.content"
        if role == "system":
            self.system(content, where)
        elif isinstance(content, str):
            self.messages.append({"role": role, "content": content})
        elif role == "assistant":
            self._assistant(content, where)
        else:
            self._user(content, where)

    def _assistant(self, blocks: Sequence[dict[str, Any]], path: str) -> None:
        turn: dict[str, Any] = {"role": "assistant", "content": None}
        for at, block in enumerate(blocks):
            kind, where = text_at(block, "type", f"{path}[{at}]"), f"{path}[{at}]"
            if kind == "text":
                turn["content"] = (turn["content"] or "") + text_at(block, "text", where)
            elif kind == "thinking":
                turn["reasoning_content"] = turn.get("reasoning_content", "") + text_at(block, "thinking", where)
            elif kind == "tool_use":
                turn.setdefault("tool_calls", []).append(_call(block, where))
            elif kind != "redacted_thinking":  # nobody else can read it
                self.needs.append(unknown_to_chat(f"'{where}', a block of type {kind[:64]!r},", f"{where}.type"))
        if turn["content"] is None and "tool_calls" not in turn:
            turn["content"] = ""  # vendors refuse a message of neither
        self.messages.append(turn)

    def _user(self, blocks: Sequence[dict[str, Any]], path: str) -> None:
        """Read what tools gave, which chat wants right after the calls, then what the user says."""
        parts: list[dict[str, Any]] = []
        for at, block in enumerate(blocks):
            where = f"{path}[{at}]"
            if text_at(block, "type", where) == "tool_result":
                self._result(block, where, parts)
            else:
                self._part(block, where, parts)
        if len(parts) == 1 and parts[0]["type"] == "text":
            self.messages.append({"role": "user", "content": parts[0]["text"]})
        elif parts:
            self.messages.append({"role": "user", "content": parts})

    def _result(self, block: Mapping[str, Any], path: str, parts: list[dict[str, Any]]) -> None:
        """Read what a tool gave; pictures follow as the user's, for a tool's message holds text alone."""
        content = block.get("content") or ""
        texts = [content] if isinstance(content, str) else []
        for at, part in enumerate([] if isinstance(content, str) else rows(content, f"{path}.content")):
            where = f"{path}.content[{at}]"
            if text_at(part, "type", where) == "text":
                texts.append(text_at(part, "text", where))
            else:
                self._part(part, where, parts)
        said = "\n".join(texts)
        said = f"Error: {said}" if block.get("is_error") is True else said
        call_id = text_at(block, "tool_use_id", path)
        self.messages.append({"role": "tool", "tool_call_id": call_id, "content": said})

    def _part(self, block: Mapping[str, Any], path: str, parts: list[dict[str, Any]]) -> None:
        kind = text_at(block, "type", path)
        if kind == "text":
            parts.append({"type": "text", "text": text_at(block, "text", path)})
            return
        url = _url(block, path) if kind in ("image", "document") else None
        if url and kind == "image":
            parts.append({"type": "image_url", "image_url": {"url": url}})
        elif url and url.startswith("data:"):
            name = block.get("title")
            parts.append({"type": "file", "file": {"filename": str(name or "document.pdf"), "file_data": url}})
        elif kind == "document" and isinstance(block.get("source"), dict) and block["source"].get("type") == "text":
            parts.append({"type": "text", "text": text_at(block["source"], "data", f"{path}.source")})
        else:
            self.needs.append(unknown_to_chat(f"'{path}', a block of type {kind[:64]!r},", f"{path}.type"))

    def _texts(self, content: object, path: str) -> list[str]:
        if isinstance(content, str):
            return [content]
        return [text_at(block, "text", f"{path}[{at}]") for at, block in enumerate(rows(content, path))]


def unknown_to_chat(what: str, param: str) -> NativeOnly:
    """Say what only a target can know that speaks this dialect itself."""
    return NativeOnly(f"{what} needs a target that speaks Anthropic's messages itself.", param=param)


def _call(block: Mapping[str, Any], path: str) -> dict[str, Any]:
    given = block.get("input", {})
    if not isinstance(given, dict):
        raise RequestError(f"'{path}.input' must be an object", param=f"{path}.input")
    function = {"name": text_at(block, "name", path), "arguments": to_json(given).decode()}
    return {"id": text_at(block, "id", path), "type": "function", "function": function}


def _url(block: Mapping[str, Any], path: str) -> str | None:
    """Give a source as a URL; None for one that lies with the vendor."""
    source, where = block.get("source"), f"{path}.source"
    if not isinstance(source, dict):
        raise RequestError(f"'{where}' must be an object", param=where)
    if source.get("type") == "base64":
        return f"data:{text_at(source, 'media_type', where)};base64,{text_at(source, 'data', where)}"
    return text_at(source, "url", where) if source.get("type") == "url" else None


def _tools(body: Mapping[str, Any], chat: dict[str, Any], needs: list[NativeOnly]) -> None:
    tools = []
    for at, tool in enumerate(body.get("tools", ())):
        where = f"tools[{at}]"
        if (tool.get("type") or "custom") != "custom":
            needs.append(unknown_to_chat(f"'{where}', a tool of type {tool['type'][:64]!r},", f"{where}.type"))
            continue
        function = {"name": text_at(tool, "name", where), "parameters": tool.get("input_schema") or {"type": "object"}}
        if tool.get("description"):
            function["description"] = tool["description"]
        tools.append({"type": "function", "function": function})
    if not tools:
        return
    chat["tools"] = tools
    choice = body.get("tool_choice")
    if choice is not None:
        kind = text_at(choice, "type", "tool_choice")
        if kind not in CHOICES and kind != "tool":
            known = ", ".join([*CHOICES, "tool"])
            raise RequestError(f"'tool_choice.type' must be one of {known}", param="tool_choice.type")
        named = {"name": text_at(choice, "name", "tool_choice")} if kind == "tool" else None
        chat["tool_choice"] = {"type": "function", "function": named} if named else CHOICES[kind]
        if choice.get("disable_parallel_tool_use") is True:
            chat["parallel_tool_calls"] = False


def _thought(body: Mapping[str, Any], chat: dict[str, Any]) -> None:
    """Translate how much thought is asked for, and what the answer is to look like."""
    config, thinking = body.get("output_config", {}), body.get("thinking", {})
    budget = thinking.get("budget_tokens")
    if thinking.get("type") == "enabled" and isinstance(budget, int):
        chat["reasoning_effort"] = next((word for most, word in EFFORTS if budget <= most), "high")
    if isinstance(config.get("effort"), str):
        chat["reasoning_effort"] = config["effort"]
    shape = config.get("format")
    if isinstance(shape, dict):
        if shape.get("type") != "json_schema" or not isinstance(shape.get("schema"), dict):
            raise RequestError(
                '\'output_config.format\' must be {"type": "json_schema", "schema": {...}}',
                param="output_config.format",
            )
        schema = {"name": "answer", "schema": shape["schema"], "strict": True}
        chat["response_format"] = {"type": "json_schema", "json_schema": schema}

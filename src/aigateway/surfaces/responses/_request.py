"""A Responses request as a chat request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import RequestError
from .._fields import rows, text_at
from .._surface import NativeOnly
from ._input import History, unknown_to_chat, unsealed

__all__ = ["chat_fields", "native_fields"]

MOST_ITEMS = 4000  # with the instructions, no more messages than a chat request may hold
LOGPROBS = "message.output_text.logprobs"
# What nothing that keeps nothing can do; null and false ask for none of it.
REFUSED = {
    "previous_response_id": "the gateway keeps no responses. Send the whole conversation as 'input'.",
    "conversation": "the gateway keeps no conversations. Send the whole conversation as 'input'.",
    "background": "the gateway keeps no responses to ask for later. Wait for the answer, or stream it.",
}
# What chat requests call it, and what it is called here; it would be lost on targets that speak Responses themselves.
MISNAMED = {
    "messages": "'input' (or send it to /v1/chat/completions)",
    "max_tokens": "'max_output_tokens'",
    "max_completion_tokens": "'max_output_tokens'",
    "response_format": "'text.format'",
    "reasoning_effort": "'reasoning.effort'",
    "verbosity": "'text.verbosity'",
    "logprobs": f"{LOGPROBS!r} in 'include'",
    "functions": "'tools'",
    "function_call": "'tool_choice'",
    "n": "one answer a request; send it again for another",
}
# What is done by a vendor around the model: chat has no word for it.
NATIVE = ("prompt", "moderation", "context_management", "access_programs")
# Items that are nothing without theirs.
WITH_IDS = frozenset({"image_generation_call", "local_shell_call", "local_shell_call_output", "mcp_approval_request"})
# What a chat request says otherwise, or has no use for.
TRANSLATED = frozenset(
    {"background", "conversation", "image", "include", "input", "instructions", "max_output_tokens", "max_tool_calls"}
    | {"metadata", "previous_response_id", "reasoning", "store", "stream_options", "text", "tool_choice", "tools"}
    | {"truncation", *NATIVE}
)


def chat_fields(body: Mapping[str, Any]) -> tuple[dict[str, Any], list[NativeOnly]]:
    """Give the chat request that says the same, and what of it chat cannot say.

    `body` is checked (ResponsesBody) and holds no nulls. Raises RequestError naming the caller's own field.
    """
    _refuse(body)
    chat = {name: value for name, value in body.items() if name not in TRANSLATED}
    history = History()
    if body.get("instructions"):
        history.messages.append({"role": "system", "content": body["instructions"]})
    said = body.get("input")
    if isinstance(said, str):
        history.messages.append({"role": "user", "content": said})
    else:
        for at, item in enumerate(_items(said)):
            history.add(item, f"input[{at}]")
    needs = history.needs + [unknown_to_chat(f"{name!r}", name) for name in NATIVE if name in body]
    chat["messages"] = [_said(message) for message in history.messages] or [{"role": "user", "content": ""}]
    if "max_output_tokens" in body:
        chat["max_completion_tokens"] = body["max_output_tokens"]
    if LOGPROBS in body.get("include", ()) or "top_logprobs" in body:
        chat["logprobs"] = True
    _tools(body, chat, needs)
    _shape(body, chat, needs)
    return chat, needs


def native_fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a vendor that speaks the Responses API is sent. Nothing is kept there either.

    With `store` false the ids of items are looked up and not found (reports by many users of OpenAI's API),
    so the items go without. Thoughts we sealed are given as they are.
    """
    fields = {**body, "store": False}
    if isinstance(body.get("input"), list):
        fields["input"] = [_portable(item) for item in body["input"]]
    return fields


def _portable(item: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in item.items() if name != "id" or str(item.get("type")) in WITH_IDS}
    thoughts = unsealed(item.get("encrypted_content"))
    if thoughts:
        del kept["encrypted_content"]
        kept["content"] = [{"type": "reasoning_text", "text": thoughts}]
    return kept


def _refuse(body: Mapping[str, Any]) -> None:
    for name, why in REFUSED.items():
        if body.get(name):
            raise RequestError(f"{name!r} is not served: {why}", param=name, code="unsupported_parameter")
    for name, right in MISNAMED.items():
        if name in body:
            raise RequestError(f"{name!r} is a chat request's; here it is {right}.", param=name)


def _items(value: object) -> list[dict[str, Any]]:
    items = rows(value, "input")
    if not 1 <= len(items) <= MOST_ITEMS:
        raise RequestError(f"'input' holds {len(items)} items; send 1 to {MOST_ITEMS}", param="input")
    return items


def _said(message: dict[str, Any]) -> dict[str, Any]:
    """Give thoughts that nothing followed an empty text: vendors refuse a message of neither."""
    if message["content"] is None and "tool_calls" not in message:
        return {**message, "content": ""}
    return message


def _tools(body: Mapping[str, Any], chat: dict[str, Any], needs: list[NativeOnly]) -> None:
    tools = []
    for at, tool in enumerate(body.get("tools", ())):
        kind, where = text_at(tool, "type", f"tools[{at}]"), f"tools[{at}]"
        if kind != "function":
            needs.append(unknown_to_chat(f"'{where}', a tool of type {kind[:64]!r},", f"{where}.type"))
        elif "function" in tool:
            raise RequestError(
                f"'{where}.function' is a chat request's; here its fields stand beside 'type'",
                param=f"{where}.function",
            )
        else:
            tools.append(_function(tool, where))
    choice = body.get("tool_choice")
    if isinstance(choice, Mapping):
        choice, tools = _choice(choice, tools, needs)
    if tools:
        chat["tools"] = tools
        if choice is not None:
            chat["tool_choice"] = choice
    else:
        chat.pop("parallel_tool_calls", None)  # vendors refuse it without tools


def _function(tool: Mapping[str, Any], where: str) -> dict[str, Any]:
    text_at(tool, "name", where)
    kept = ("name", "description", "parameters", "strict")
    return {"type": "function", "function": {name: tool[name] for name in kept if tool.get(name) is not None}}


def _choice(
    choice: Mapping[str, Any], tools: list[dict[str, Any]], needs: list[NativeOnly]
) -> tuple[str | dict[str, Any] | None, list[dict[str, Any]]]:
    """Translate an object that chooses among tools; "allowed" ones are the only ones a chat request then names."""
    kind = choice.get("type")
    if kind == "function":
        return {"type": "function", "function": {"name": text_at(choice, "name", "tool_choice")}}, tools
    if kind == "allowed_tools":
        allowed = rows(choice.get("tools"), "tool_choice.tools")
        named = [
            (f"tool_choice.tools[{at}]", tool) for at, tool in enumerate(allowed) if tool.get("type") == "function"
        ]
        names = {text_at(tool, "name", path) for path, tool in named}
        return choice.get("mode"), [tool for tool in tools if tool["function"]["name"] in names]
    needs.append(unknown_to_chat(f"'tool_choice' of type {str(kind)[:64]!r}", "tool_choice.type"))
    return None, tools


def _shape(body: Mapping[str, Any], chat: dict[str, Any], needs: list[NativeOnly]) -> None:
    """Translate what the answer is to look like, and how much thought goes into it."""
    text, reasoning = body.get("text", {}), body.get("reasoning", {})
    shape = text.get("format")
    if shape is not None:
        kind = text_at(shape, "type", "text.format")
        if kind == "json_schema":
            text_at(shape, "name", "text.format")
            inner = {name: value for name, value in shape.items() if name != "type" and value is not None}
            chat["response_format"] = {"type": "json_schema", "json_schema": inner}
        elif kind == "json_object":
            chat["response_format"] = {"type": "json_object"}
        elif kind != "text":
            needs.append(unknown_to_chat(f"'text.format' of type {kind[:64]!r}", "text.format.type"))
    if text.get("verbosity") is not None:
        chat["verbosity"] = text["verbosity"]
    if reasoning.get("effort") is not None:
        chat["reasoning_effort"] = reasoning["effort"]
    if reasoning.get("mode") not in (None, "standard"):
        needs.append(unknown_to_chat("'reasoning.mode'", "reasoning.mode"))

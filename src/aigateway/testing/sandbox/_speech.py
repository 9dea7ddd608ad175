"""What is asked and what a stand-in says: the same for all vendors, before any dialect.

Everything follows from the request, so a test knows the answer. One piece of text is one token.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from ._schema import example

__all__ = ["Chat", "Speech", "ToolCall", "follows", "pieces", "speak", "text_of"]

QUOTE = 200
LEAST_PIECES = 8
REASONING = "A short greeting that quotes the last message will do."
PIECE = re.compile(r"\s*\S+|\s+")


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat request whose outer shape is right: `model` is a text, `messages` are objects with roles."""

    path: str
    body: Mapping[str, Any]

    @classmethod
    def read(cls, path: str, data: bytes) -> Chat:
        """Read a request body. Raises ValueError saying what is wrong."""
        try:
            body = from_json(data, allow_inf_nan=False)
        except ValueError:
            raise ValueError("the body is not valid JSON") from None
        if not isinstance(body, dict):
            raise ValueError("the body is not a JSON object")
        if not isinstance(body.get("model"), str):
            raise ValueError("missing field `model`")
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            raise ValueError("missing field `messages`")
        for index, message in enumerate(messages):
            _check_message(index, message)
        _check_tools(body.get("tools"))
        if not isinstance(body.get("stream") or False, bool):
            raise ValueError("`stream` is not a boolean")
        chat = cls(path, body)
        for name in ("max_tokens", "max_completion_tokens"):
            most = chat.number(name)
            if most is not None and most < 1:
                raise ValueError(f"`{name}` must be at least 1")
        return chat

    @property
    def model(self) -> str:
        """The model asked for."""
        return str(self.body["model"])

    @property
    def stream(self) -> bool:
        """Whether the answer is streamed."""
        return self.body.get("stream") is True

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The conversation."""
        messages: list[dict[str, Any]] = self.body["messages"]
        return messages

    @property
    def thinking(self) -> object:
        """The `type` of the thinking object, None without one."""
        thinking = self.body.get("thinking")
        return thinking.get("type") if isinstance(thinking, Mapping) else None

    @property
    def format(self) -> object:
        """The `type` of the response format, None without one."""
        found = self.body.get("response_format")
        return found.get("type") if isinstance(found, Mapping) else None

    @property
    def prefix(self) -> str:
        """The beginning of the answer, where the caller gave one; empty without."""
        last = self.messages[-1]
        return text_of(last) if last.get("prefix") is True else ""

    def number(self, name: str) -> float | None:
        """Give a numeric parameter. Raises ValueError if it is something else."""
        value = self.body.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"`{name}` is not a number")
        return value

    def option(self, parent: str, name: str) -> object:
        """Give a member of an object parameter, None without it."""
        found = self.body.get(parent)
        return found.get(name) if isinstance(found, Mapping) else None

    def calls(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Give (message, call) for every tool call in the history."""
        found = []
        for message in self.messages:
            calls = message.get("tool_calls")
            if isinstance(calls, list):
                found += [(message, call) for call in calls if isinstance(call, dict)]
        return found


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call to one of the caller's tools; `arguments` is JSON."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Speech:
    """An answer in pieces, with what it cost."""

    model: str
    text: tuple[str, ...]
    reasoning: tuple[str, ...]
    call: ToolCall | None
    finish: str
    prompt_tokens: int

    @property
    def content(self) -> str:
        """The whole text."""
        return "".join(self.text)

    @property
    def thought(self) -> str:
        """The whole reasoning."""
        return "".join(self.reasoning)

    @property
    def completion_tokens(self) -> int:
        """What was said: reasoning, text and tool call."""
        called = len(pieces(self.call.arguments)) if self.call else 0
        return len(self.text) + len(self.reasoning) + called

    @property
    def cached_tokens(self) -> int:
        """How much of the prompt came from the vendor's cache: whole blocks of 128."""
        return self.prompt_tokens // 128 * 128


def speak(chat: Chat, title: str, *, reasons: bool, limit: float | None, structured: bool = False) -> Speech:
    """Answer a chat as the stand-in called `title`, in at most `limit` tokens."""
    call = _call(chat)
    text: tuple[str, ...] = ()
    if call is None:
        said = _structured(chat, title) if structured else _greeting(chat, title)
        text = pieces(follows(said, chat.prefix) if chat.prefix else said)
    reasoning = pieces(REASONING) if reasons else ()
    finish = "stop" if call is None else "tool_calls"
    if limit is not None and call is None and len(text) + len(reasoning) > limit:
        most = int(limit)
        reasoning = reasoning[: most // 2]
        if len(text) > most - len(reasoning):
            text, finish = text[: most - len(reasoning)], "length"
    return Speech(chat.model, text, reasoning, call, finish, _prompt_tokens(chat))


def follows(text: str, prefix: str) -> str:
    """Give what of `text` goes on after `prefix`: after the longest end of it that is in there."""
    if text.startswith(prefix):
        return text[len(prefix) :]
    end = prefix[-QUOTE:]
    ends = (text.partition(end[start:]) for start in range(len(end)))
    return next((after for _, found, after in ends if found), text)


def pieces(text: str) -> tuple[str, ...]:
    """Split at words, or anywhere when that gives too few."""
    found = tuple(PIECE.findall(text))
    if len(found) >= LEAST_PIECES or len(text) < LEAST_PIECES:
        return found
    step = len(text) / LEAST_PIECES
    return tuple(text[int(part * step) : int((part + 1) * step)] for part in range(LEAST_PIECES))


def text_of(message: Mapping[str, Any]) -> str:
    """Give the text of a message, joined from its parts."""
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(
            part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)
        )
    return content if isinstance(content, str) else ""


def _check_message(index: int, message: object) -> None:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise ValueError(f"messages[{index}]: missing field `role`")
    if not isinstance(message.get("content"), str | list | None):
        raise ValueError(f"messages[{index}]: invalid type of `content`, expected a string or a list")
    if message["role"] == "tool" and not isinstance(message.get("tool_call_id"), str):
        raise ValueError(f"messages[{index}]: missing field `tool_call_id`")


def _check_tools(tools: object) -> None:
    if tools is None:
        return
    if not isinstance(tools, list):
        raise ValueError("`tools` is not a list")
    for index, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise ValueError(f"tools[{index}]: missing field `function.name`")


def _call(chat: Chat) -> ToolCall | None:
    """Call the tool that was asked for, or the first, unless a tool has just answered."""
    tools = chat.body.get("tools")
    choice = chat.body.get("tool_choice")
    if not tools or choice == "none" or chat.messages[-1]["role"] == "tool":
        return None
    named = chat.option("tool_choice", "function")
    wanted = named.get("name") if isinstance(named, Mapping) else None
    function = next((tool["function"] for tool in tools if tool["function"]["name"] == wanted), tools[0]["function"])
    arguments = example(function.get("parameters"))
    return ToolCall(function["name"], _json(arguments if isinstance(arguments, dict) else {}))


def _greeting(chat: Chat, title: str) -> str:
    last = chat.messages[-1]
    if last["role"] == "tool":
        return f"Hello from the {title} stand-in. The tool said: {text_of(last)[:QUOTE] or 'nothing'}"
    return f"Hello from the {title} stand-in. You said: {_said(chat) or 'nothing'}"


def _structured(chat: Chat, title: str) -> str:
    """Give JSON that fits the schema, or a small object when there is none."""
    wrapper = chat.option("response_format", "json_schema")
    schema = wrapper.get("schema") if isinstance(wrapper, Mapping) else None
    if chat.format == "json_schema" and isinstance(schema, Mapping):
        return _json(example(schema))
    return _json({"from": f"{title} stand-in", "said": _said(chat) or "nothing"})


def _said(chat: Chat) -> str:
    users = [message for message in chat.messages if message["role"] == "user"]
    return text_of(users[-1])[:QUOTE] if users else ""


def _prompt_tokens(chat: Chat) -> int:
    """Count four characters as a token, and four tokens for each message."""
    return (
        sum(4 + len(text_of(message)) // 4 for message in chat.messages) + len(_json(chat.body.get("tools") or "")) // 8
    )


def _json(value: object) -> str:
    return to_json(value).decode()

"""What a client may try to be sent elsewhere: a field in every room of a request, at every route; and who is called."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

__all__ = ["FIELDS", "SURFACES", "connections", "placed"]

FIELDS = (
    "api_base", "base_url", "user_config", "extra_headers", "extra_body", "proxies", "proxy", "headers", "http_client",
    "api_key", "litellm_params", "endpoint", "host", "url", "callback_url",
)  # fmt: skip  # a table
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
SAID: dict[str, Any] = {"role": "user", "content": "hi"}
PART = {"type": "text", "text": "hi"}
FUNCTION = {"type": "function", "function": {"name": "t", "parameters": SCHEMA}}
CHAT: dict[str, Any] = {"messages": [SAID]}
DEEP: Any = {}
for _level in range(10):
    DEEP = {f"level{_level}": [DEEP]}
# What a request has room for besides, at every route.
ROOM: dict[str, Any] = {"metadata": {}, "routing": {}, "unknown": DEEP}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
SEEN = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
# By route: bodies, and who is asked with each in turn.
SURFACES: Mapping[str, tuple[list[dict[str, Any]], tuple[str, ...]]] = {
    "/v1/chat/completions": (
        [
            CHAT,
            {"messages": [{"role": "user", "content": [PART]}], "tools": [FUNCTION]},
            {"messages": [{"role": "user", "content": [PART, PICTURE]}]},
            {**CHAT, "response_format": {"type": "json_object"}},
            {**CHAT, "stream": True, "stream_options": {"include_usage": True}},
            {**CHAT, "models": [{}]},
        ],
        ("deepseek/deepseek-flash", "minimax/MiniMax-M3", "openai/gpt-5.4-mini", "groq/openai/gpt-oss-120b"),
    ),
    "/v1/responses": (
        [
            {"input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}]},
            {"input": "hi", "tools": [{"type": "function", "name": "t", "parameters": SCHEMA}], "reasoning": {}},
        ],
        ("openai/gpt-5.4-mini", "minimax/MiniMax-M3"),
    ),
    "/v1/messages": (
        [
            {"max_tokens": 9, "messages": [{"role": "user", "content": [PART]}], "system": [PART]},
            {"max_tokens": 9, "messages": [SAID], "tools": [{"name": "t", "input_schema": SCHEMA}]},
            {"max_tokens": 9, "messages": [{"role": "user", "content": [PART, SEEN]}]},
        ],
        ("deepseek/deepseek-flash", "openai/gpt-5.4-mini"),
    ),
    "/v1/messages/count_tokens": ([CHAT], ("deepseek/deepseek-flash",)),
    "/v1/embeddings": ([{"input": ["hi"]}], ("openai/text-embedding-3-small",)),
    "/v1/images/generations": ([{"prompt": "a cat"}], ("openai/gpt-image-2", "minimax/image-01")),
    "/v1/completions": ([{"prompt": "hi"}], ("groq/openai/gpt-oss-120b",)),
    "/v1/inference/complete": ([{"prompt": "hi"}], ("deepseek/deepseek-flash",)),
    "/v1/inference/stream": ([{"prompt": "hi"}], ("minimax/MiniMax-M3",)),
    "/chat/json": ([{"prompt": "hi"}], ("openai/gpt-5.4-mini",)),
}


def placed(path: str, name: str, value: Any) -> Iterator[dict[str, Any]]:
    """Give the bodies of a route, first as they are, then with a field in each object of them, at any depth."""
    bodies, models = SURFACES[path]
    for number, body in enumerate(bodies):
        model = models[number % len(models)]
        whole = {"model": model, **body}
        yield whole
        if number == 0:
            whole = {**whole, **ROOM, "extra": {model.partition("/")[0]: DEEP}}
        for index in range(len(rooms(whole))):
            copy = deepcopy(whole)
            rooms(copy)[index][name] = value
            yield copy


def rooms(value: Any) -> list[dict[str, Any]]:
    """List the objects in a value, itself included; of those that only lead deeper the last one."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    is_one = isinstance(value, dict) and not any(name.startswith("level") for name in value)
    return [*([value] if is_one else []), *(found for part in parts for found in rooms(part))]


WATCHED: list[list[tuple[str, int]]] = []


def _note(event: str, args: tuple[Any, ...]) -> None:
    if WATCHED and event in {"socket.connect", "socket.getaddrinfo"}:
        where = args[1] if event == "socket.connect" else args
        for seen in WATCHED:
            seen.append((str(where[0]), where[1]))


sys.addaudithook(_note)  # a hook stays for good; it writes only while somebody watches


@contextmanager
def connections() -> Iterator[list[tuple[str, int]]]:
    """Collect every host and port this process looks up or connects to, by whatever library."""
    seen: list[tuple[str, int]] = []
    WATCHED.append(seen)
    try:
        yield seen
    finally:
        WATCHED.remove(seen)

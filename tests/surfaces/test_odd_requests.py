"""Whatever a request holds in place of what it should, it is read or refused; reading never fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from pydantic_core import to_json

from aigateway.errors import RequestError
from aigateway.surfaces import Completions, Messages, Responses, Surface, parse_json

TOOL = {"type": "function", "name": "f", "description": "d", "parameters": {}}
MESSAGE = {
    "max_tokens": 9,
    "system": [{"type": "text", "text": "s"}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "image", "source": {"type": "base64", "media_type": "x", "data": "y"}},
                {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "r"}]},
                {"type": "document", "title": "t", "source": {"type": "text", "data": "d"}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "t", "signature": "s"},
                {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}},
            ],
        },
    ],
    "tools": [{"name": "f", "type": "custom", "input_schema": {"type": "object"}}, {"type": "web_search"}],
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 100},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}},
    "metadata": {"user_id": "u"},
}
RESPONSE = {
    "input": [
        {"role": "user", "content": "x", "id": "1"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "u", "detail": "low"}]},
        {
            "type": "reasoning",
            "summary": [{"text": "x"}],
            "content": [{"text": "y"}],
            "encrypted_content": "aigateway.",
        },
        {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "1", "id": "x"},
        {"type": "function_call_output", "call_id": "1", "output": [{"type": "output_text", "text": "x"}]},
    ],
    "tools": [TOOL, {"type": "web_search"}],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}, "verbosity": "low"},
    "reasoning": {"effort": "low"},
    "include": ["reasoning.encrypted_content"],
    "stream": True,
    "stream_options": {"include_obfuscation": False},
}
COMPLETION = {"prompt": ["a"], "best_of": 1, "n": 1, "stream": True, "stream_options": {"include_usage": True}}
ODD: list[Any] = [None, True, -1, 1.5, "", "x", [], {}, [[]], [None], {"a": 1}, ["x"], [{}], {"type": []}, 10**30]


def odd(value: Any) -> Iterator[Any]:
    """Give a value with each part of it replaced, in turn, by everything odd."""
    yield from ODD
    for name, part in list(value.items() if isinstance(value, dict) else enumerate(value)):
        changed = value.copy()
        for other in odd(part) if isinstance(part, dict | list) else ODD:
            changed[name] = other
            yield changed


@pytest.mark.parametrize(
    ("surface", "body"),
    [(Messages(), MESSAGE), (Responses(), RESPONSE), (Completions(), COMPLETION)],
    ids=["messages", "responses", "completions"],
)
def test_no_request_makes_reading_fail(surface: Surface, body: dict[str, Any]) -> None:
    """Each field of each dialect, and everything in it, replaced by what does not belong there."""
    assert parse_json(surface, to_json(body)).operation == surface.operation
    for changed in odd(body):
        with suppress(RequestError):
            parse_json(surface, to_json(changed))

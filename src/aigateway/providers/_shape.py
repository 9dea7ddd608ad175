"""What a message or delta may look like: nothing a vendor says is trusted to have a shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import Kind, ProviderError
from ._dialect import Dialect

__all__ = ["check_finish", "check_message"]

TEXTS = ("content", "reasoning_content", "refusal")


def check_message(message: Mapping[str, Any]) -> None:
    """Refuse fields of shapes no client expects. Raises ProviderError."""
    for name in TEXTS:
        if name in message and message[name] is not None and type(message[name]) is not str:
            raise ProviderError(Kind.PROTOCOL_ERROR, f"{name} is not a text")
    calls = message.get("tool_calls")
    if calls is not None and not (isinstance(calls, list) and all(isinstance(call, dict) for call in calls)):
        raise ProviderError(Kind.PROTOCOL_ERROR, "tool_calls is not a list of objects")


def check_finish(choice: Mapping[str, Any], dialect: Dialect) -> str | None:
    """Give a choice's finish reason. Raises ProviderError for one that means a failure."""
    finish = choice.get("finish_reason")
    if finish is not None and type(finish) is not str:
        raise ProviderError(Kind.PROTOCOL_ERROR, "finish_reason is not a text")
    if finish is not None and finish in dialect.finish_failures:
        raise ProviderError(dialect.finish_failures[finish], f"the vendor cut the answer: {finish}")
    return finish

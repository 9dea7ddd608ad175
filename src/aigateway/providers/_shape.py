"""What an answer may look like: nothing a vendor says is trusted to have a shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import Kind, ProviderError
from ..operations import nonsense
from ._dialect import Dialect

__all__ = ["check_finish", "check_index", "check_message"]

TEXTS = ("content", "reasoning_content", "refusal", "role")
CALL_TEXTS, FUNCTION_TEXTS = ("id", "type"), ("name", "arguments")
# A vendor that numbers without end would fill our memory; nobody gives more answers or calls at once.
MOST_CHOICES, MOST_CALLS = 128, 1024
# No vendor means an end by this one; OpenRouter and its like send it when their own vendor failed.
FINISH_FAILURES = {"error": Kind.SERVER_ERROR}


def check_message(message: Mapping[str, Any]) -> None:
    """Refuse fields of shapes no client expects. Raises ProviderError."""
    _check_texts(message, TEXTS)
    calls = message.get("tool_calls")
    if calls is None:
        return
    if not isinstance(calls, list) or len(calls) > MOST_CALLS:
        raise nonsense("tool_calls is not a list of objects")
    for call in calls:
        if not isinstance(call, dict):
            raise nonsense("tool_calls is not a list of objects")
        _check_texts(call, CALL_TEXTS)
        number = call.get("index")
        if number is not None and (type(number) is not int or not 0 <= number < MOST_CALLS):
            raise nonsense("the index of a tool call is not a small number")
        function = call.get("function")
        if function is not None:
            if not isinstance(function, dict):
                raise nonsense("the function of a tool call is not an object")
            _check_texts(function, FUNCTION_TEXTS)


def check_index(choice: Mapping[str, Any]) -> int:
    """Give a choice's index. Raises ProviderError for one that is none."""
    index = choice.get("index", 0)
    if type(index) is not int or not 0 <= index < MOST_CHOICES:
        raise nonsense("the index of a choice is not a small number")
    return index


def check_finish(choice: Mapping[str, Any], dialect: Dialect) -> str | None:
    """Give a choice's finish reason. Raises ProviderError for one that means a failure."""
    finish = choice.get("finish_reason")
    if finish is None:
        return None
    if type(finish) is not str:
        raise nonsense("finish_reason is not a text")
    kind = dialect.finish_failures.get(finish) or FINISH_FAILURES.get(finish)
    if kind is not None:
        raise ProviderError(kind, f"the vendor cut the answer: {finish}")
    return finish


def _check_texts(part: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        if name in part and part[name] is not None and type(part[name]) is not str:
            raise nonsense(f"{name} is not a text")

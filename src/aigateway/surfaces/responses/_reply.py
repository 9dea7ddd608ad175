"""The object of the Responses API: what was asked, echoed as OpenAI does, and what was answered."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from secrets import token_hex
from time import time
from typing import Any

from ...errors import GatewayError, Kind, ProviderError, StreamInterrupted
from ...types import Usage

__all__ = ["INCOMPLETE", "answer", "error_object", "usage_object"]

# Why an answer is no whole one, by chat's finish reason.
INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
# Errors of a response have a short list of codes (openai-python 3.51, ResponseError).
CODES = {Kind.RATE_LIMIT: "rate_limit_exceeded", Kind.CONTENT_POLICY: "invalid_prompt"}
# Echoed as they were sent; null where they were not.
ECHOED = (
    "instructions", "max_output_tokens", "max_tool_calls", "prompt_cache_key", "safety_identifier", "service_tier",
    "temperature", "top_logprobs", "top_p", "user",
)  # fmt: skip  # a list of names


def answer(asked: Mapping[str, Any], head: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Begin a response. Nothing is kept, so nothing can be fetched later or gone on with.

    `asked` is the request, `head` the chat answer or its first chunk, `model` who answers if that does not say.
    """
    reasoning, text = asked.get("reasoning") or {}, asked.get("text") or {}
    return {
        "id": f"resp_{_stem(head.get('id'))}",
        "object": "response",
        "created_at": head.get("created") or int(time()),  # a vendor that keeps no time
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": str(head.get("model") or model),
        "output": [],
        "parallel_tool_calls": asked.get("parallel_tool_calls", True),
        "previous_response_id": None,
        "reasoning": {"effort": reasoning.get("effort"), "summary": None},
        "store": False,
        "text": {"format": text.get("format") or {"type": "text"}, "verbosity": text.get("verbosity")},
        "tool_choice": asked.get("tool_choice", "auto"),
        "tools": asked.get("tools", []),
        "truncation": "disabled",
        "usage": None,
        "metadata": asked.get("metadata", {}),
        **{name: asked.get(name) for name in ECHOED},
    }


def usage_object(usage: Usage | None) -> dict[str, Any] | None:
    """Give usage in this dialect; null where it is not known."""
    if usage is None or usage.source == "unknown":
        return None
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.cache_write},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
    }


def error_object(error: GatewayError) -> dict[str, Any]:
    """Say why a response failed."""
    kind = error.cause_kind if isinstance(error, StreamInterrupted) else getattr(error, "kind", None)
    code = CODES.get(kind, "server_error") if isinstance(error, ProviderError) and kind else "server_error"
    return {"code": code, "message": error.message}


def _stem(named: object) -> str:
    """Give what a response's ids are made of: the same for the same answer, of one shape for every vendor."""
    if not isinstance(named, str) or not named:
        return token_hex(16)
    return blake2b(named.encode("utf-8", "replace"), digest_size=16).hexdigest()

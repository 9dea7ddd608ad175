"""The bytes every subject handles: one request, one answer, one stream of marked chunks."""

from __future__ import annotations

import json
from typing import Any

CHUNKS = 100
INTERVAL = 0.004
MARK = "mark"  # once in each content chunk, nowhere else: counting it proves that none was lost

VENDOR_KEY = "bench-vendor-key"
CALLER_KEY = "bench-caller-key-0123456789abcdef"

MESSAGES: list[dict[str, str]] = [
    {"role": "system", "content": "You are a helpful assistant. Answer briefly, and say so when you do not know."},
    {"role": "user", "content": "What is the difference between a process and a thread? One paragraph, please."},
]


def request_body(model: str, *, stream: bool) -> bytes:
    """Write one chat request of about 0.3 KB."""
    body: dict[str, Any] = {"model": model, "messages": MESSAGES, "temperature": 0.2, "max_tokens": 256}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(body, separators=(",", ":")).encode()


def answer_body() -> bytes:
    """Write one chat completion of about 0.6 KB."""
    text = "A process owns memory; threads share it within one process. " * 4
    message = {"role": "assistant", "content": text.strip(), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    answer = _envelope("chat.completion") | {"choices": [choice], "usage": _usage(), "system_fingerprint": None}
    return json.dumps(answer, separators=(",", ":")).encode()


def stream_events() -> list[bytes]:
    """Write the server-sent events of one answer: the paced ones, then the closing ones as the last item."""
    paced = [_event({"content": f" {MARK}{number:03}"}, None) for number in range(CHUNKS)]
    usage = _envelope("chat.completion.chunk") | {"choices": [], "usage": _usage()}
    return [*paced, _event({}, "stop") + _sse(usage) + b"data: [DONE]\n\n"]


def _event(delta: dict[str, str], finish: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _sse(_envelope("chat.completion.chunk") | {"choices": [choice]})


def _sse(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"


def _envelope(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-bench00000000000000000000", "object": kind, "created": 1750000000, "model": "model"}


def _usage() -> dict[str, int]:
    return {"prompt_tokens": 41, "completion_tokens": 100, "total_tokens": 141}

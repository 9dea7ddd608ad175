"""A vendor's own responses are passed on, but for what we do not believe."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aigateway.operations import Peer, ResponsesCodec
from aigateway.types import ChatRequest, Chunk, Event, Target

ASKED = ChatRequest.translated("responses", {"input": "hi"}, {"messages": [{"role": "user", "content": "hi"}]})
ITEM = {"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}


def fed(usage: object) -> Chunk:
    decoder = ResponsesCodec().decoder(
        Peer("openai", lambda failure: pytest.fail(str(failure)), lambda body: False), ASKED
    )
    response: dict[str, Any] = {"id": "resp_1", "status": "completed", "output": [ITEM], "usage": usage}
    body = {"type": "response.completed", "response": response, "sequence_number": 9}
    return next(iter(decoder.feed(Event(json.dumps(body).encode(), "response.completed"))))


def test_usage_that_makes_sense() -> None:
    """It is counted, and the event goes on as it came."""
    usage = {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12}
    chunk = fed(usage)

    assert chunk.usage is not None
    assert 12 == chunk.usage.total
    assert chunk.raw is not None
    assert usage == json.loads(chunk.to_json())["response"]["usage"]


@pytest.mark.parametrize("usage", [{"input_tokens": 0, "output_tokens": 0}, {"input_tokens": -1}, {}, "many"], ids=str)
def test_usage_that_makes_none(usage: object) -> None:
    """Nobody is shown zeros, or nonsense: it is null, which says that it is not known."""
    chunk = fed(usage)

    assert chunk.usage is None
    assert json.loads(chunk.to_json())["response"]["usage"] is None


def test_extra_reaches_nothing_that_is_kept() -> None:
    """Callers share the vendor's account: `extra` cannot ask it to keep a response, nor go on from somebody's."""
    kept = {"store": True, "previous_response_id": "resp_1", "conversation": "conv_1", "background": True}
    asked = ChatRequest.translated(
        "responses",
        {"input": "hi", "store": False},
        {"messages": [{"role": "user", "content": "hi"}], "extra": {"openai": {**kept, "service_tier": "flex"}}},
    )
    peer = Peer("openai", lambda failure: pytest.fail(str(failure)), lambda body: False)
    body = ResponsesCodec().encode(peer, asked, Target("openai", "m"), [])

    assert {"input": "hi", "store": False, "model": "m", "service_tier": "flex"} == body


def test_signs_of_life() -> None:
    """What only says that the vendor is there is not passed on, however often it comes before the first words."""
    peer = Peer("openai", lambda failure: pytest.fail(str(failure)), lambda body: False)
    decoder = ResponsesCodec().decoder(peer, ASKED)
    body = json.dumps({"type": "keepalive", "sequence_number": 2}).encode()

    assert [] == [chunk for _ in range(40) for chunk in decoder.feed(Event(body, "keepalive"))]

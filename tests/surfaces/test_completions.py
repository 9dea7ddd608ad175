"""Legacy completions: a prompt becomes a user's message, the answer's text becomes the completion."""

from __future__ import annotations

from typing import Any

import pytest

from aigateway.errors import RequestError
from aigateway.surfaces import Completions
from aigateway.types import Chunk, Reply, Usage

LEGACY = Completions()
ASKED = {"model": "m", "prompt": "Say hi"}


@pytest.mark.parametrize("prompt", ["Say hi", ["Say hi"]])
def test_a_prompt_is_a_message(prompt: Any) -> None:
    """A text, or a list of one; what both dialects have passes."""
    chat = LEGACY.chat({"model": "m", "prompt": prompt, "max_tokens": 3, "stop": ["."]})

    assert {"model": "m", "max_tokens": 3, "stop": ["."], "messages": [{"role": "user", "content": "Say hi"}]} == chat


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (None, "is missing"),
        ("", "must be a text"),
        ([], "must be a text"),
        ([""], "must be a text"),
        ([1, 2, 3], "token ids are not known"),
        ([[1, 2]], "token ids are not known"),
        (7, "must be a text"),
        (["one", "two"], "several prompts"),
    ],
)
def test_a_prompt_that_is_none(prompt: Any, said: str) -> None:
    """It is refused by its name, with what would do."""
    with pytest.raises(RequestError, match=said) as caught:
        LEGACY.chat({"prompt": prompt})
    assert "prompt" == caught.value.param


@pytest.mark.parametrize(
    ("field", "value"), [("suffix", "x"), ("echo", True), ("logprobs", 0), ("logprobs", 5), ("best_of", 3)]
)
def test_what_chat_has_no_word_for_is_refused(field: str, value: Any) -> None:
    """Rather than left out: the answer would be another one than was asked for."""
    with pytest.raises(RequestError, match="is not served") as caught:
        LEGACY.chat({**ASKED, field: value})
    assert field == caught.value.param


@pytest.mark.parametrize(
    "more", [{"suffix": ""}, {"echo": False}, {"logprobs": None}, {"best_of": 1}, {"best_of": 2, "n": 2}]
)
def test_what_asks_for_nothing_is_none_of_it(more: dict[str, Any]) -> None:
    """Clients send defaults; those are no reason to refuse, and nobody is sent them."""
    chat = LEGACY.chat({**ASKED, **more})

    assert {"model", "messages"} == chat.keys() - {"n"}


def test_messages_belong_elsewhere() -> None:
    """A chat body at this address is told where it belongs."""
    with pytest.raises(RequestError, match="/v1/chat/completions"):
        LEGACY.chat({**ASKED, "messages": [{"role": "user", "content": "hi"}]})


@pytest.mark.parametrize("usage", [{}, {"usage": {"total_tokens": 3}}])
def test_a_whole_answer(usage: dict[str, Any]) -> None:
    """Each choice keeps its text and its end; usage is there where it was."""
    choices = [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]
    body = LEGACY.reply(ASKED, Reply({"id": "c", "model": "m", "choices": choices, **usage}, Usage()))

    assert ("text_completion", "c", "m") == (body["object"], body["id"], body["model"])
    assert [("Hi", "stop")] == [(choice["text"], choice["finish_reason"]) for choice in body["choices"]]
    assert usage == {name: body[name] for name in body.keys() & {"usage"}}


def piece(delta: dict[str, Any], finish: str | None = None) -> Chunk:
    return Chunk({"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


@pytest.mark.parametrize("wanted", [True, False])
def test_a_stream(wanted: bool) -> None:
    """Words and the end are told, roles and thoughts are not; usage only to whoever asked for it."""
    options = {"stream_options": {"include_usage": True}} if wanted else {}
    telling = LEGACY.telling({**ASKED, **options}, request_id="r", model="m")
    counted = Chunk({"id": "c", "choices": [], "usage": {"total_tokens": 3}})
    counted.usage = Usage(2, 1)
    deltas = [piece({"role": "assistant"}), piece({"reasoning_content": "Hm"}), piece({"content": "Hi"})]
    told = [event.body for chunk in (*deltas, piece({}, "stop"), counted) for event in telling.feed(chunk)]

    assert ["Hi", ""] == [choice["text"] for body in told for choice in body["choices"]]
    assert "stop" == told[1]["choices"][0]["finish_reason"]
    assert [{"total_tokens": 3}] * wanted == [body["usage"] for body in told if "usage" in body]
    assert [] == telling.end(Usage(2, 1))

"""Replies and chunks: plain data with typed views on demand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aigateway.types import Chunk, Cost, Reply, Usage

CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
BODY: dict[str, Any] = {
    "id": "a1",
    "model": "m-1",
    "vendor_extra": {"kept": True},
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "logprobs": {"content": []},
            "message": {"role": "assistant", "content": "Hello", "reasoning_content": "hm", "annotations": []},
        }
    ],
}


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, usage: Usage | None = None) -> Chunk:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return Chunk({"choices": choices}, usage=usage)


def test_a_reply_is_read_by_name() -> None:
    """What people want is one attribute away, vendor extras are kept."""
    reply = Reply(BODY, Usage(input=3, output=2, source="reported"), provider="deepseek")

    assert ("a1", "m-1", "Hello", "hm", "stop") == (
        reply.id,
        reply.model,
        reply.text,
        reply.reasoning,
        reply.finish_reason,
    )
    assert "Hello" == reply.choices[0].message.content
    assert {"content": []} == reply.choices[0].model_dump()["logprobs"]
    assert reply.choices is reply.choices
    assert 5 == reply.usage.total_tokens
    assert BODY == reply.model_dump() == json.loads(reply.model_dump_json())
    assert Cost() == reply.cost
    assert "Reply(finish_reason='stop', text='Hello')" == repr(reply)


def test_a_tool_call_has_no_text() -> None:
    """A reply that calls a tool gives an empty text and a typed call."""
    reply = Reply({"choices": [{"message": {"content": None, "tool_calls": [CALL]}}]}, Usage())
    calls = reply.choices[0].message.tool_calls

    assert "" == reply.text == reply.reasoning
    assert None is reply.finish_reason
    assert calls is not None
    assert calls[0].function is not None
    assert ("f", "{}") == (calls[0].function.name, calls[0].function.arguments)


def test_a_reply_without_choices_is_readable() -> None:
    """Nothing inside is nothing, not an error."""
    reply = Reply({"choices": []}, Usage())

    assert ("", "", None, "", "", []) == (
        reply.text,
        reply.reasoning,
        reply.finish_reason,
        reply.id,
        reply.model,
        reply.choices,
    )


def test_views_are_read_only() -> None:
    """A typed view cannot be mistaken for the answer."""
    with pytest.raises(ValueError, match="frozen"):
        Reply(BODY, Usage()).choices[0].message.content = "x"


@pytest.mark.parametrize(
    ("piece", "promises"),
    [
        (chunk({"role": "assistant"}), False),
        (chunk({"role": "assistant", "content": ""}), False),
        (chunk({"content": None, "reasoning_content": None}), False),
        (chunk({"tool_calls": []}), False),
        (chunk({}), False),
        (chunk(None), False),
        (chunk(None, usage=Usage()), False),
        (chunk({"content": " "}), True),
        (chunk({"reasoning_content": "h"}), True),
        (chunk({"tool_calls": [CALL]}), True),
        (chunk({"refusal": "no"}), True),
        (chunk({"audio": {"data": "x"}}), True),
        (chunk({}, "stop"), True),
    ],
)
def test_content_is_what_promises_something(piece: Chunk, promises: bool) -> None:
    """Text, thoughts, a tool call or an end commit; a role, nulls and usage do not."""
    assert promises is piece.has_content


def test_every_choice_counts_as_content() -> None:
    """With several answers, content in any of them is content."""
    piece = Chunk({"choices": [{"index": 0, "delta": {}}, {"index": 1, "delta": {"content": "x"}}]})

    assert piece.has_content
    assert "" == piece.text


def test_a_chunk_is_read_by_name() -> None:
    """The views of a chunk are those of a reply."""
    piece = chunk({"content": "Hi", "reasoning_content": "hm"}, "stop")

    assert ("Hi", "hm", "stop") == (piece.text, piece.reasoning, piece.finish_reason)
    assert "Hi" == piece.choices[0].delta.content
    assert piece.choices is piece.choices
    assert "Chunk(finish_reason='stop', text='Hi')" == repr(piece)
    assert piece.body == piece.model_dump() == json.loads(piece.to_json())
    assert ("", "", None) == (chunk(None).text, chunk(None).reasoning, chunk(None).finish_reason)


def test_bytes_that_need_no_change_stay_as_they_came() -> None:
    """`raw` is forwarded, spaces and order included."""
    assert b'{ "choices":[] }' == Chunk({"choices": []}, raw=b'{ "choices":[] }').to_json()


def test_the_usage_chunk_is_told_apart() -> None:
    """Only a chunk without choices that carries usage is one."""
    assert chunk(None, usage=Usage()).is_usage
    assert not chunk(None).is_usage
    assert not chunk({"content": "x"}, usage=Usage()).is_usage

"""The chunks of a stream, put together again."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aigateway.exchange import chunks_of
from aigateway.guards.kept._gather import Gathered
from aigateway.guards.kept._memo import dump, load
from aigateway.types import Chunk, NativeChunk, Reply, Usage

USAGE = Usage(input=3, output=2, source="reported")
TEXT = st.text(max_size=6)
CALLS = st.lists(st.tuples(TEXT.filter(bool), TEXT), max_size=3)


def chunk(delta: dict[str, Any], finish: str | None = None) -> Chunk:
    return Chunk({"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


@given(st.text(max_size=20), TEXT, CALLS, st.integers(1, 5))
def test_a_stream_is_the_whole_again(content: str, reasoning: str, calls: list[tuple[str, str]], step: int) -> None:
    """A whole answer told as a stream, in pieces of any size, is the same answer when it is put together."""
    message: dict[str, Any] = {"role": "assistant", "content": content or None}
    if reasoning:
        message["reasoning_content"] = reasoning
    if calls:
        message["tool_calls"] = [
            {"id": f"t{at}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for at, (name, arguments) in enumerate(calls)
        ]
    body = {
        "id": "c",
        "model": "m",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }
    told = chunks_of(Reply({**body, "usage": USAGE.openai()}, USAGE))
    whole = Gathered(10_000)
    for at in range(0, len(told), step):
        whole(told[at : at + step])
    found = whole.reply(USAGE, "p")

    assert found is not None
    assert {**body, "usage": USAGE.openai()} == found.body
    again = load(dump(found))
    assert again is not None
    assert (found.body, found.usage, found.provider) == (again.body, again.usage, again.provider)


def test_pieces_of_a_text() -> None:
    """Pieces of texts and of a call's arguments are added up."""
    call = {"index": 0, "id": "t", "function": {"name": "f", "arguments": '{"a"'}}
    whole = Gathered(100)
    whole([chunk({"role": "assistant"}), chunk({"content": "A"}), chunk({"content": "B", "tool_calls": [call]})])
    whole([chunk({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}), chunk({}, "tool_calls")])
    found = whole.reply(None, "p")

    assert found is not None
    message = found.body["choices"][0]["message"]
    assert ("AB", '{"a":1}') == (message["content"], message["tool_calls"][0]["function"]["arguments"])
    assert "usage" not in found.body


def test_what_cannot_be_told_again() -> None:
    """An answer with parts nobody knows, one that is too long, one of a dialect without a whole: none is kept."""
    strange: list[list[Chunk]] = [
        [chunk({"audio": {"id": "a"}})],
        [chunk({"content": "x" * 101})],
        [chunk({"tool_calls": [{"index": 7, "function": {}}]})],
        [Chunk({"choices": [{"index": 0, "delta": {"content": "x"}, "logprobs": {"content": []}}]})],
        [NativeChunk("message_start", {"message": {}})],
        [],
    ]
    for chunks in strange:
        whole = Gathered(100)
        whole(chunks)
        assert whole.reply(None, "p") is None


def test_what_was_not_written_here() -> None:
    """What is no answer written down is none."""
    for data in (b"", b"{", b"[]", b'{"body": {}}', b'{"body": {}, "usage": {"x": 1}, "provider": ""}', b"\xff"):
        assert load(data) is None

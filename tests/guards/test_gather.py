"""The chunks of a stream, put together again."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aigateway.exchange import chunks_of
from aigateway.guards.kept._gather import Gathered
from aigateway.guards.kept._memo import dump, load
from aigateway.types import Chunk, NativeChunk, NativeReply, Reply, Said, Usage

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


BLOCKS = [
    {"type": "thinking", "thinking": "Hm.", "signature": "s"},
    {"type": "text", "text": "I look."},
    {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": [1, None]}},
    {"type": "tool_use", "id": "t2", "name": "look", "input": {}},
    {"type": "redacted_thinking", "data": "r"},
]


def message(content: list[dict[str, Any]]) -> NativeReply:
    counted = {"input_tokens": 3, "cache_read_input_tokens": 0, "output_tokens": 2}
    body = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content}
    body |= {"stop_reason": "tool_use", "stop_sequence": None, "usage": counted}
    return NativeReply("messages", body, USAGE, Said("I look.", "Hm.", "tool_calls"), provider="p")


def test_a_message_in_its_own_dialect() -> None:
    """Thoughts, words and calls come together as the vendor told them; words are cut in any place."""
    told = chunks_of(message(BLOCKS))
    cut: list[Chunk] = []
    for one in told:
        delta = one.body.get("delta", {})
        field = next((name for name in ("text", "thinking", "partial_json") if len(delta.get(name, "")) > 1), None)
        for part in (delta[field][:1], delta[field][1:]) if field else ():
            said = Said(part if field == "text" else "", part if field == "thinking" else "")
            cut.append(NativeChunk("content_block_delta", {**one.body, "delta": {**delta, field: part}}, said))
        if not field:
            cut.append(one)
    whole = Gathered(10_000)
    whole([*cut[:3], NativeChunk("ping", {"type": "ping"}), *cut[3:]])
    found = whole.reply(USAGE, "p")

    assert isinstance(found, NativeReply)
    assert message(BLOCKS).body == found.body
    assert message(BLOCKS).said == found.said
    again = load(dump(found))
    assert again is not None
    assert [one.body for one in told] == [one.body for one in chunks_of(again)]


def test_a_message_that_cannot_be_told_again() -> None:
    """One that is cut, that is too long, or has an event or a block in a place nobody knows, is not kept."""
    told = chunks_of(message(BLOCKS))
    odd = NativeChunk("content_block_delta", {"index": 0, "delta": {"type": "new_delta"}})
    for chunks, most in (
        (told[:-1], 10_000),
        (told, 500),
        ([*told[:2], odd, *told[2:]], 10_000),
        (told[:1] + told[4:], 10_000),
        ([*told[:1], NativeChunk("new_event", {}), *told[1:]], 10_000),
    ):
        whole = Gathered(most)
        whole(chunks)
        assert whole.reply(USAGE, "p") is None


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


def test_what_says_nothing_is_no_part() -> None:
    """A vendor's empty field beside the text is no reason not to keep the answer."""
    whole = Gathered(100)
    whole([chunk({"content": "A", "annotations": [], "audio": None}), chunk({}, "stop")])
    found = whole.reply(None, "p")

    assert found is not None
    assert "A" == found.text


def test_a_response_in_its_own_dialect() -> None:
    """The last event holds the whole; one that is cut, too long, or ends without it, is not kept."""
    body = {"output": [{"type": "message", "id": "m", "content": [{"type": "output_text", "text": "Hello"}]}]}
    told = chunks_of(NativeReply("responses", {"status": "completed", **body}, USAGE, Said("Hello")))
    cut = chunks_of(NativeReply("responses", {"status": "incomplete", **body}, USAGE, Said("Hello")))
    odd: list[Chunk] = [*told[:-1], NativeChunk("response.completed", {"response": None})]
    found = []
    for chunks, most in ((told, 100), (told[:-1], 100), (cut, 100), (odd, 100), ([*told[:-1], *told], 4)):
        whole = Gathered(most)
        for one in chunks:
            whole([one])
        found.append(whole.reply(USAGE, "p"))

    assert [{"status": "completed", **body}, None, None, None, None] == [reply and reply.body for reply in found]


def test_a_message_as_its_vendor_streams_it() -> None:
    """Arguments begin with an empty piece, sources come one by one; a call without arguments has an empty object."""

    def event(name: str, **body: Any) -> NativeChunk:
        return NativeChunk(name, {"type": name, **body})

    cited = [{"cited_text": "a"}, {"cited_text": "b"}]
    empty = {"type": "input_json_delta", "partial_json": ""}
    events = [
        event("message_start", message={"id": "m", "usage": {"input_tokens": 3}}),
        event("content_block_start", index=0, content_block={"type": "text", "text": "", "citations": None}),
        *(event("content_block_delta", index=0, delta={"type": "citations_delta", "citation": one}) for one in cited),
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hi"}),
        event("content_block_start", index=1, content_block={"type": "tool_use", "id": "t", "name": "f", "input": {}}),
        event("content_block_delta", index=1, delta=empty),
        event("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 2, "input_tokens": None}),
        event("message_stop"),
    ]
    whole = Gathered(10_000)
    whole(events)
    found = whole.reply(USAGE, "p")

    assert found is not None
    text, call = found.body["content"]
    assert ("Hi", cited, {}) == (text["text"], text["citations"], call["input"])
    assert {"input_tokens": 3, "output_tokens": 2} == found.body["usage"]

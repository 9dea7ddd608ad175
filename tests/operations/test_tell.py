"""A whole answer told as a stream: whoever listens has the same answer in the end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aigateway.errors import ProviderError
from aigateway.guards.kept._gather import Gathered
from aigateway.operations import MessagesCodec, Peer, ResponsesCodec, tell
from aigateway.types import ChatRequest, Event, NativeChunk, NativeReply, Said, Usage

USED = Usage(input=7, output=5, source="reported")
PEER = Peer("vendor", lambda failure: pytest.fail(str(failure)), lambda body: False)
TEXT = {"type": "output_text", "text": "Hello", "annotations": []}
ITEMS: list[dict[str, Any]] = [
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
    {"type": "message", "id": "msg_1", "role": "assistant", "content": [TEXT]},
    {"type": "message", "id": "msg_2", "content": [{"type": "refusal", "refusal": "No."}]},
    {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": '{"a":1}'},
    {"type": "web_search_call", "id": "ws_1", "status": "completed"},
]
BLOCKS: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "hm", "signature": "s"},
    {"type": "thinking", "thinking": "aha", "signature": ""},
    {"type": "text", "text": "Hello"},
    {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
    {"type": "redacted_thinking", "data": "x"},
]
MESSAGE = {"id": "m", "role": "assistant", "content": BLOCKS, "stop_reason": "tool_use", "stop_sequence": None}
ODD: list[Any] = [None, 7, "x", [], {}, [None], [7], ["x"], [{"text": 7}], [{"refusal": None}], {"a": 1}]


def reply(operation: str, body: dict[str, Any], finish: str = "stop", usage: Usage = USED) -> NativeReply:
    return NativeReply(operation, body, usage, Said(finish_reason=finish))


def names(chunks: list[NativeChunk]) -> list[str]:
    return [chunk.name.removeprefix("response.") for chunk in chunks]


@pytest.mark.parametrize(("status", "last"), [("completed", "completed"), ("incomplete", "incomplete")])
def test_a_response(status: str, last: str) -> None:
    """Items open and close in order, numbered; the last event holds the whole, and it alone the usage."""
    body = {"id": "resp_1", "status": status, "output": ITEMS}
    chunks = tell(reply("responses", body))
    items = [chunk.body["item"] for chunk in chunks if chunk.name == "response.output_item.done"]

    assert ["created", "in_progress", last] == [*names(chunks)[:2], names(chunks)[-1]]
    assert ITEMS == items
    assert list(range(len(chunks))) == [chunk.body["sequence_number"] for chunk in chunks]
    assert "HelloNo." == "".join(chunk.text for chunk in chunks)
    assert ['{"a":1}'] == [c.body["delta"] for c in chunks if c.name == "response.function_call_arguments.delta"]
    assert body == chunks[-1].body["response"]
    assert [USED] == [chunk.usage for chunk in chunks if chunk.usage is not None]


def test_a_response_is_read_as_it_was_told() -> None:
    """By the codec that reads vendors' streams: nothing promised before the first words, all there in the end."""
    body = {"id": "resp_1", "status": "completed", "output": ITEMS[1:2]}
    decoder = ResponsesCodec().decoder(PEER, ChatRequest.translated("responses", {}, {"messages": [HI]}))
    told = tell(reply("responses", body))
    read = [chunk for said in told for chunk in decoder.feed(Event(said.to_json(), said.name))]

    assert decoder.done
    assert [chunk.has_content for chunk in told] == [chunk.has_content for chunk in read]
    assert not any(chunk.has_content for chunk in told[:4])
    assert "Hello" == "".join(chunk.text for chunk in read)


HI = {"role": "user", "content": "hi"}


@pytest.mark.parametrize("usage", [{"input_tokens": 7, "output_tokens": 5}, {}])
def test_a_message(usage: dict[str, int]) -> None:
    """Put together again it is what it was, to the last field; the end of it is counted, the opening is not."""
    body = {**MESSAGE, "usage": usage}
    told = tell(reply("messages", body, "tool_calls"))
    gathered = Gathered(10_000)
    gathered(told)
    whole = gathered.reply(USED, "vendor")

    assert whole is not None
    assert {**body, "usage": {"output_tokens": 0, **usage}} == whole.body
    assert ("Hello", "hmaha", "tool_calls") == (whole.text, whole.reasoning, whole.finish_reason)
    assert 0 == told[0].body["message"]["usage"]["output_tokens"]
    assert told[-1].usage == USED


@pytest.mark.parametrize("odd", ODD, ids=json.dumps)
def test_a_response_of_odd_parts(odd: Any) -> None:
    """A vendor wrote it: what cannot be told part by part is told as the item it is in, and nothing fails."""
    item = {"type": "message", "id": "msg_1", "content": odd}
    chunks = tell(reply("responses", {"output": [item, {"type": odd}], "status": odd}))

    assert item == next(chunk.body["item"] for chunk in chunks if chunk.name == "response.output_item.done")
    assert "" == "".join(chunk.text for chunk in chunks)


@pytest.mark.parametrize("odd", ODD, ids=json.dumps)
def test_a_message_of_odd_parts(odd: Any) -> None:
    """As a response."""
    blocks = [{"type": "text", "text": odd}, {"type": "thinking", "thinking": odd, "signature": odd}, {"type": odd}]
    chunks = tell(reply("messages", {"content": blocks, "usage": odd}, usage=Usage()))

    assert ["message_start", "message_stop"] == [chunks[0].name, chunks[-1].name]
    assert isinstance("".join(chunk.text + chunk.reasoning for chunk in chunks), str)
    assert 3 == names(chunks).count("content_block_stop")
    assert chunks[-1].usage is None


@pytest.mark.parametrize("content", [None, 7, "Hello", {"type": "text"}, ["Hello"], [None]])
def test_a_message_without_content(content: Any) -> None:
    """A vendor that gives anything but a list of blocks has not answered."""
    with pytest.raises(ProviderError) as caught:
        MessagesCodec().decode(PEER, ChatRequest.translated("x", {}, {"messages": [HI]}), {"content": content}, 0.0)

    assert "protocol_error" == caught.value.kind


# -- streams of a vendor's own ------------------------------------------------------------------


def fed(codec: Any, *bodies: dict[str, Any]) -> list[NativeChunk]:
    decoder = codec.decoder(PEER, ChatRequest.translated("x", {}, {"messages": [HI]}))
    return [chunk for body in bodies for chunk in decoder.feed(Event(json.dumps(body).encode(), body.get("type", "")))]


@pytest.mark.parametrize(
    ("codec", "body"),
    [
        (ResponsesCodec(), {"type": "response.completed"}),
        (ResponsesCodec(), {"type": "response.completed", "response": {"output": 7}}),
        (ResponsesCodec(), {"type": "response.output_text.delta", "delta": 7}),
        (ResponsesCodec(), {"type": "response." + "x" * 200}),
        (ResponsesCodec(), {"type": "response.\u2028"}),
        (MessagesCodec(), {"type": "message_start", "message": 7}),
        (MessagesCodec(), {"type": "message_delta", "delta": None}),
        (MessagesCodec(), {"type": "content_block_start", "content_block": "x"}),
        (MessagesCodec(), {"type": "content_block_delta", "delta": []}),
        (MessagesCodec(), {"type": "content_block_delta", "delta": {"text": 7}}),
    ],
)
def test_events_that_make_no_sense(codec: Any, body: dict[str, Any]) -> None:
    """They are refused as such, before anybody is shown them."""
    with pytest.raises(ProviderError) as caught:
        fed(codec, body)

    assert "protocol_error" == caught.value.kind


@pytest.mark.parametrize(
    ("codec", "body"),
    [
        (ResponsesCodec(), {"output": [], "status": "incomplete", "incomplete_details": {"reason": "content_filter"}}),
        (MessagesCodec(), {"content": [], "stop_reason": "refusal"}),
    ],
)
def test_an_answer_that_was_withheld(codec: Any, body: dict[str, Any]) -> None:
    """A vendor that gives nothing because of its policy has not answered."""
    with pytest.raises(ProviderError) as caught:
        codec.decode(PEER, ChatRequest.translated("x", {}, {"messages": [HI]}), body, 0.0)

    assert "content_policy" == caught.value.kind


def test_two_answers_in_one_stream_are_counted() -> None:
    """An event that names another answer than the first may be somebody else's."""
    decoder = ResponsesCodec().decoder(PEER, ChatRequest.translated("responses", {}, {"messages": [HI]}))
    for named in ("resp_1", "resp_1", "resp_2"):
        body = {"type": "response.in_progress", "response": {"id": named}}
        assert 1 == len(list(decoder.feed(Event(json.dumps(body).encode(), "response.in_progress"))))

    assert 1 == decoder.crossed

"""A chat answer is told as OpenAI's client expects it, whole or in events, however it came in pieces."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from aigateway.errors import Kind, ProviderError, StreamInterrupted
from aigateway.surfaces import Named, Responses
from aigateway.surfaces.responses._input import unsealed
from aigateway.types import Chunk, NativeChunk, Reply, Usage

SURFACE = Responses()
ASKED: dict[str, Any] = {"input": "hi", "store": False}
HEAD = {"id": "chatcmpl-1", "created": 1795132800, "model": "a-model"}
USAGE = Usage(7, 5, cached=3, reasoning=2, source="reported")
EVENT = TypeAdapter[Any](ResponseStreamEvent)
ENDS = {"response.completed", "response.incomplete", "response.failed"}


def call(number: int, arguments: str) -> dict[str, Any]:
    return {"id": f"call_{number}", "type": "function", "function": {"name": f"f{number}", "arguments": arguments}}


def whole(message: dict[str, Any], finish: str = "stop", usage: Usage = USAGE, asked: Any = ASKED) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return SURFACE.reply(asked, Reply({**HEAD, "choices": [choice]}, usage))


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> Chunk:
    return Chunk({**HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": finish, **more}]})


def told(chunks: list[Chunk], usage: Usage | None = USAGE, asked: Any = ASKED) -> list[Named]:
    telling = SURFACE.telling(asked, request_id="r1", model="a-model")
    return [event for one in chunks for event in telling.feed(one)] + telling.end(usage)


def checked(events: list[Named]) -> list[dict[str, Any]]:
    """Give the events, each as OpenAI's types have it: named as its type says, and numbered."""
    assert list(range(len(events))) == [event.body["sequence_number"] for event in events]
    for event in events:
        assert event.name == event.body["type"]
        assert event.name == EVENT.validate_python(event.body).type
    return [event.body for event in events]


def added_up(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put the output together from deltas and openings alone, as a program that shows them does."""
    items: dict[int, dict[str, Any]] = {}
    for event in events:
        item = items.get(event.get("output_index", -1), {})
        match event["type"].removeprefix("response."):
            case "output_item.added":
                assert event["output_index"] == len(items)
                items[event["output_index"]] = {**event["item"], "status": "completed"}
            case "content_part.added":
                assert event["content_index"] == len(item["content"])
                item["content"] = [*item["content"], dict(event["part"])]
            case "function_call_arguments.delta":
                item["arguments"] += event["delta"]
            case kind if kind.endswith(".delta"):
                assert item["id"] == event["item_id"]
                part = item["content"][event["content_index"]]
                part["refusal" if "refusal" in part else "text"] += event["delta"]
                if "logprobs" in event:
                    part["logprobs"] = [*part["logprobs"], *event["logprobs"]]
    return [items[at] for at in sorted(items)]


TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
MESSAGES = st.fixed_dictionaries(
    {"content": st.none() | TEXT},
    optional={
        "reasoning_content": TEXT,
        "refusal": TEXT,
        "tool_calls": st.lists(TEXT, max_size=3).map(lambda given: [call(n, text) for n, text in enumerate(given)]),
    },
)


@st.composite
def streamed(draw: Any) -> tuple[dict[str, Any], str, list[Chunk]]:
    """Give an answer, and the same in pieces of any size."""
    message, finish = draw(MESSAGES), draw(st.sampled_from(["stop", "length", "content_filter"]))
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    for field in ("reasoning_content", "content", "refusal"):
        deltas += ({field: piece} for piece in pieces(draw, message.get(field) or ""))
    for index, one in enumerate(message.get("tool_calls", ())):
        first, *rest = pieces(draw, one["function"]["arguments"]) or [""]
        opened = {**one, "index": index, "function": {**one["function"], "arguments": first}}
        deltas.append({"tool_calls": [opened]})
        deltas += ({"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in rest)
    chunks = [chunk(delta) for delta in deltas]
    return message, finish, [*chunks, chunk({}, finish)]


def pieces(draw: Any, text: str) -> list[str]:
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@given(streamed())
@settings(max_examples=150)
def test_events_add_up_to_the_whole_answer(answer: tuple[dict[str, Any], str, list[Chunk]]) -> None:
    """Whatever the pieces, the last event holds what the whole answer would, and so do the deltas, added up."""
    message, finish, chunks = answer
    expected = whole(message, finish)
    events = checked(told(chunks))

    assert expected == events[-1]["response"]
    assert [{**item, "status": "completed"} for item in expected["output"]] == added_up(events)
    assert ["response.created", "response.in_progress"] == [event["type"] for event in events[:2]]
    assert 1 == len([event for event in events if event["type"] in ENDS])
    assert [at["output_index"] for at in events if at["type"] == "response.output_item.done"] == list(
        range(len(expected["output"]))
    )


@given(streamed())
@settings(max_examples=50)
def test_the_clients_own_state(answer: tuple[dict[str, Any], str, list[Chunk]]) -> None:
    """The state OpenAI's client keeps of a stream, which is strict about its order, takes every event."""
    state = ResponseStreamState[Any](text_format=omit, input_tools=omit)
    for event in told(answer[2]):
        state.handle_event(EVENT.validate_python(event.body))


def test_the_order_of_events() -> None:
    """Thoughts, text and a call are opened, told and closed one after the other."""
    deltas = [
        {"reasoning_content": "hm"},
        {"content": "a"},
        {"content": "b"},
        {"tool_calls": [{"index": 0, **call(0, "{}")}]},
    ]
    names = [event["type"].removeprefix("response.") for event in checked(told([chunk(delta) for delta in deltas]))]

    assert [
        "created", "in_progress",
        "output_item.added", "content_part.added", "reasoning_text.delta",
        "reasoning_text.done", "content_part.done", "output_item.done",
        "output_item.added", "content_part.added", "output_text.delta", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
        "completed",
    ] == names  # fmt: skip  # a line for each item


def test_the_whole_object() -> None:
    """A whole answer is OpenAI's object: what was asked echoed, the model that answered, the tokens."""
    asked = {**ASKED, "instructions": "be", "temperature": 0.5, "metadata": {"a": "b"}, "reasoning": {"effort": "low"}}
    found = whole(
        {"content": "Hello", "reasoning_content": "hm", "tool_calls": [call(0, "{}")]}, "tool_calls", asked=asked
    )
    response = Response.model_validate(found)

    assert ("Hello", "completed", "a-model") == (response.output_text, response.status, response.model)
    assert ("response", 1795132800) == (response.object, response.created_at)
    assert ["reasoning", "message", "function_call"] == [item.type for item in response.output]
    assert found["id"].startswith("resp_")
    assert ("be", 0.5, {"a": "b"}, "low") == (
        response.instructions, response.temperature, response.metadata, response.reasoning and response.reasoning.effort
    )  # fmt: skip  # what was echoed
    assert {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 12,
    } == found["usage"]
    assert (False, None, None) == (found["store"], found["previous_response_id"], found["error"])


def test_unknown_usage_is_null() -> None:
    """Usage nobody reported is null, never 0."""
    assert whole({"content": "a"}, usage=Usage())["usage"] is None
    assert told([chunk({"content": "a"}, "stop")], usage=None)[-1].body["response"]["usage"] is None


@pytest.mark.parametrize(
    ("finish", "status", "reason", "item"),
    [
        ("stop", "completed", None, "completed"),
        ("tool_calls", "completed", None, "completed"),
        ("length", "incomplete", "max_output_tokens", "incomplete"),
        ("content_filter", "incomplete", "content_filter", "incomplete"),
    ],
)
def test_how_it_ended(finish: str, status: str, reason: str | None, item: str) -> None:
    """A cut answer is incomplete and says why; its last item is, too."""
    events = checked(told([chunk({"reasoning_content": "hm"}), chunk({"content": "a"}, finish)]))
    response = events[-1]["response"]

    assert f"response.{status}" == events[-1]["type"]
    assert status == response["status"]
    assert (response["incomplete_details"] or {}).get("reason") == reason
    assert ["completed", item] == [one["status"] for one in response["output"]]


def test_a_break() -> None:
    """A stream that breaks ends with an error that clients raise on, then with the failed response, and no end."""
    telling = SURFACE.telling(ASKED, request_id="r1", model="a-model")
    error = StreamInterrupted(ProviderError(Kind.TIMEOUT, "no further content"))
    events = checked([*telling.feed(chunk({"content": "Hel"})), *telling.failed(error)])

    assert ["error", "response.failed"] == [event["type"] for event in events[-2:]]
    assert ("stream_interrupted", "r1") == (events[-2]["code"], events[-2]["error"]["request_id"])
    failed = events[-1]["response"]
    assert ("failed", "server_error") == (failed["status"], failed["error"]["code"])
    assert [("incomplete", "Hel")] == [(item["status"], item["content"][0]["text"]) for item in failed["output"]]


def test_a_break_in_a_stream_that_is_passed_on() -> None:
    """After events of the vendor's own the numbers go on, and the failed response is the vendor's."""
    telling = SURFACE.telling(ASKED, request_id="r1", model="a-model")
    opened = {"id": "resp_7", "object": "response", "status": "in_progress", "output": []}
    telling.note(NativeChunk("response.created", {"response": opened, "sequence_number": 0}))
    telling.note(NativeChunk("response.output_text.delta", {"delta": "Hel", "sequence_number": 8}))
    events = [event.body for event in telling.failed(StreamInterrupted(ProviderError(Kind.TIMEOUT, "late")))]

    assert [9, 10] == [event["sequence_number"] for event in events]
    assert ("resp_7", "failed") == (events[-1]["response"]["id"], events[-1]["response"]["status"])
    assert "in_progress" == opened["status"]


@pytest.mark.parametrize(
    ("deltas", "statuses"),
    [
        ([], []),
        ([{"content": "Hel"}], ["incomplete"]),
        ([{"reasoning_content": "hm"}, {"content": "Hel"}], ["completed", "incomplete"]),
    ],
)
def test_a_break_at_any_point(deltas: list[dict[str, Any]], statuses: list[str]) -> None:
    """Before the first word, too, the client is told of a response that failed; what had ended stays as it is."""
    telling = SURFACE.telling(ASKED, request_id="r1", model="a-model")
    events = [event for delta in deltas for event in telling.feed(chunk(delta))]
    bodies = checked(events + telling.failed(ProviderError(Kind.SERVER_ERROR, "it broke")))

    assert ["response.created", "error", "response.failed"] == [bodies[at]["type"] for at in (0, -2, -1)]
    assert statuses == [item["status"] for item in bodies[-1]["response"]["output"]]
    assert "failed" == bodies[-1]["response"]["status"]


def test_a_stream_that_is_passed_on_without_numbers() -> None:
    """A vendor that numbers nothing, or wrongly, leaves the count to us."""
    telling = SURFACE.telling(ASKED, request_id="r1", model="a-model")
    for number in (None, "7", True):
        telling.note(NativeChunk("response.in_progress", {"response": {"id": "x"}, "sequence_number": number}))
    events = telling.failed(ProviderError(Kind.SERVER_ERROR, "it broke"))

    assert [0, 1] == [event.body["sequence_number"] for event in events]


def test_calls_side_by_side() -> None:
    """Pieces of several calls may come in any order; a call is told once it has a name."""
    pieces = [
        {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}},
        {"index": 1, "id": "b", "function": {"arguments": "["}},
        {"index": 0, "function": {"arguments": "}"}},
        {"index": 1, "function": {"name": "g", "arguments": "]"}},
    ]
    events = checked(told([chunk({"tool_calls": [piece]}) for piece in pieces]))
    output = events[-1]["response"]["output"]

    assert [("a", "f", "{}"), ("b", "g", "[]")] == [(c["call_id"], c["name"], c["arguments"]) for c in output]
    assert [{**item, "status": "completed"} for item in output] == added_up(events)


def test_calls_that_are_badly_named() -> None:
    """Calls without an index, an id, or a name, or with an id twice, are still told apart."""
    nameless = [{"function": {"name": "f", "arguments": "1"}}, {"id": "a", "function": {"name": "g", "arguments": "2"}}]
    twice = [{"index": at, "id": "a", "function": {"name": "f", "arguments": str(at)}} for at in (0, 1)]
    silent = [{"index": 0, "id": "a", "function": {"arguments": "7"}}]
    for sent, arguments in ((nameless, ["1", "2"]), (twice, ["0", "1"]), (silent, ["7"])):
        output = checked(told([chunk({"tool_calls": sent})]))[-1]["response"]["output"]

        assert arguments == [item["arguments"] for item in output]
        assert len(sent) == len({item["call_id"] for item in output})


def test_text_after_a_call_is_another_message() -> None:
    """What is said after a call, or thought after a text, is an item of its own: nothing closed is opened again."""
    deltas = [
        {"content": "a"},
        {"reasoning_content": "hm"},
        {"tool_calls": [{"index": 0, **call(0, "{")}]},
        {"content": "b"},
    ]
    late = {"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]}
    events = checked(told([chunk(delta) for delta in [*deltas, late]]))
    output = events[-1]["response"]["output"]

    assert ["message", "reasoning", "function_call", "message"] == [item["type"] for item in output]
    assert "{}" == output[2]["arguments"]
    assert [{**item, "status": "completed"} for item in output] == added_up(events)


def test_sealed_thoughts() -> None:
    """Who asks for encrypted thoughts gets them sealed, for the next turn; nobody else does."""
    asked = {**ASKED, "include": ["reasoning.encrypted_content"]}
    sealed = whole({"content": "a", "reasoning_content": "hm"}, asked=asked)["output"][0]

    assert "hm" == unsealed(sealed["encrypted_content"])
    assert "encrypted_content" not in whole({"content": "a", "reasoning_content": "hm"})["output"][0]


def test_log_probabilities() -> None:
    """What a vendor says of its tokens is where this dialect has it."""
    row = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}
    events = checked(told([chunk({"content": "a"}, logprobs={"content": [row, 7]})]))

    assert [row] == next(event["logprobs"] for event in events if event["type"].endswith("text.delta"))
    assert [row] == events[-1]["response"]["output"][0]["content"][0]["logprobs"]


def test_other_choices_are_not_told() -> None:
    """A response has one answer: a second choice is nobody's."""
    other = Chunk(
        {**HEAD, "choices": [{"index": 1, "delta": {"content": "no"}}, {"index": 0, "delta": {"content": "a"}}]}
    )

    assert "a" == Response.model_validate(told([other])[-1].body["response"]).output_text


def test_an_answer_of_nothing() -> None:
    """An answer without any content is an empty output, not a failure."""
    assert ["response.created", "response.in_progress", "response.completed"] == [e.name for e in told([])]
    assert [] == whole({"content": None})["output"]


def test_ids_where_the_vendor_has_none() -> None:
    """Every response has an id of its own, whatever the vendor gave."""
    named = Reply({"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}, Usage())
    ids = {SURFACE.reply(ASKED, named)["id"] for _ in range(3)}

    assert 3 == len(ids)
    assert SURFACE.reply(ASKED, named)["created_at"] > 1_700_000_000

"""Anthropic's messages as chat, and chat's answers as messages."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigateway.errors import RequestError
from aigateway.surfaces import Messages, Named, NativeOnly, anthropic_error
from aigateway.types import Chunk, Reply, Usage

SURFACE = Messages()
HELLO = {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
USAGE = Usage(input=10, output=4, cached=3, cache_write=2, source="reported")
PIXEL = {"type": "base64", "media_type": "image/png", "data": "AAAA"}


def chat(**fields: Any) -> dict[str, Any]:
    return SURFACE.chat({**HELLO, **fields})


def said(*turns: tuple[str, Any]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = chat(messages=[{"role": r, "content": c} for r, c in turns])["messages"]
    return messages


def one(block: dict[str, Any], role: str = "user") -> dict[str, Any]:
    return {"messages": [{"role": role, "content": [block]}]}


# -- requests ---------------------------------------------------------------------------------


def test_plain() -> None:
    """What both dialects have goes over as it is; what only one names is renamed."""
    found = chat(model="m", system="Be brief.", temperature=0.5, stop_sequences=["END"], metadata={"user_id": "7"})

    assert {
        "model": "m",
        "max_tokens": 9,
        "temperature": 0.5,
        "stop": ["END"],
        "user": "7",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
    } == found


def test_two_turns_with_a_tool() -> None:
    """Thoughts, words, calls and what the tools gave come in the order chat wants them in."""
    calls = [
        {"type": "thinking", "thinking": "Let me see.", "signature": "x"},
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": 1}},
        {"type": "tool_use", "id": "t2", "name": "look", "input": {}},
    ]
    results = [
        {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "a"}]},
        {"type": "tool_result", "tool_use_id": "t2", "content": "gone", "is_error": True},
        {"type": "text", "text": "Go on."},
    ]
    first, second, *tools, last = said(("user", "hi"), ("assistant", calls), ("user", results))

    assert {"role": "user", "content": "hi"} == first
    assert "I look." == second["content"]
    assert "Let me see." == second["reasoning_content"]
    assert ['{"at":1}', "{}"] == [call["function"]["arguments"] for call in second["tool_calls"]]
    assert [("t1", "a"), ("t2", "Error: gone")] == [(tool["tool_call_id"], tool["content"]) for tool in tools]
    assert {"role": "user", "content": "Go on."} == last


def test_pictures() -> None:
    """A picture goes over as a data URL or its own; one a tool gave follows as the user's."""
    (user,) = said(("user", [{"type": "text", "text": "see"}, {"type": "image", "source": PIXEL}]))
    call = [{"type": "tool_use", "id": "t", "name": "shoot", "input": {}}]
    shown = [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": PIXEL}]}]
    *_, tool, picture = said(("user", "go"), ("assistant", call), ("user", shown))

    assert "data:image/png;base64,AAAA" == user["content"][1]["image_url"]["url"]
    assert ("tool", "") == (tool["role"], tool["content"])
    assert ("user", "image_url") == (picture["role"], picture["content"][0]["type"])


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "look"}, {"type": "function", "function": {"name": "look"}}),
    ],
)
def test_tools(choice: dict[str, Any], expected: object) -> None:
    """Tools and the choice among them are functions."""
    schema = {"type": "object", "properties": {}}
    tools = [{"name": "look", "description": "Look.", "input_schema": schema}]
    found = chat(tools=tools, tool_choice={**choice, "disable_parallel_tool_use": True})

    assert {"name": "look", "description": "Look.", "parameters": schema} == found["tools"][0]["function"]
    assert expected == found["tool_choice"]
    assert found["parallel_tool_calls"] is False


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 9000}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 30000}}, "high"),
        ({"output_config": {"effort": "xhigh"}}, "xhigh"),
        ({"thinking": {"type": "disabled"}}, None),
    ],
)
def test_thought(fields: dict[str, Any], expected: str | None) -> None:
    """A budget of tokens is an effort in words."""
    assert expected == chat(**fields).get("reasoning_effort")


def test_a_shape() -> None:
    """A schema for the answer is chat's response format."""
    found = chat(output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}})

    assert {"type": "object"} == found["response_format"]["json_schema"]["schema"]


def test_documents() -> None:
    """A document goes over as a file under its title, or as the text it is; one behind a link stays a need."""
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}
    plain = {"type": "text", "media_type": "text/plain", "data": "Once."}
    (user,) = said(
        ("user", [{"type": "document", "source": pdf, "title": "a.pdf"}, {"type": "document", "source": pdf}])
    )
    (text,) = said(("user", [{"type": "document", "source": plain}]))

    url = "data:application/pdf;base64,AAAA"
    assert [("a.pdf", url), ("document.pdf", url)] == [tuple(p["file"].values()) for p in user["content"]]
    assert {"role": "user", "content": "Once."} == text
    with pytest.raises(NativeOnly):
        said(("user", [{"type": "document", "source": {"type": "url", "url": "https://a.example/x.pdf"}}]))


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([("system", "Obey."), ("user", "hi")], [("system", "Obey."), ("user", "hi")]),
        ([("user", "hi"), ("system", [{"type": "text", "text": "Obey."}])], [("user", "hi"), ("system", "Obey.")]),
        ([("system", ""), ("user", "hi")], [("user", "hi")]),
        (
            [("user", "hi"), ("assistant", [{"type": "redacted_thinking", "data": "x"}])],
            [("user", "hi"), ("assistant", "")],
        ),
        ([("user", []), ("user", "hi")], [("user", "hi")]),
    ],
)
def test_turns_of_any_role(turns: list[tuple[str, Any]], expected: list[tuple[str, str]]) -> None:
    """What the system says in the midst stays there; thoughts nobody can read are left out, an empty turn too."""
    assert expected == [(message["role"], message["content"]) for message in said(*turns)]


def test_a_choice_without_tools() -> None:
    """There is nothing to choose from: vendors refuse a choice alone."""
    assert "tool_choice" not in chat(tool_choice={"type": "auto"}, tools=[])


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        ({"mcp_servers": [{"url": "https://a.example"}]}, "mcp_servers"),
        ({"messages": [{"role": "user", "content": [{"type": "search_result"}]}]}, "messages[0].content[0].type"),
    ],
)
def test_what_chat_cannot_say(fields: dict[str, Any], param: str) -> None:
    """What needs a vendor of this dialect says so, and where; the rest is chat all the same."""
    with pytest.raises(NativeOnly) as caught:
        chat(**fields)

    assert param == caught.value.param
    assert caught.value.chat["max_tokens"] == 9


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": "x"}]}]},
            "messages[0].content[0].source",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}, "messages[0].content[0].tool_use_id"),
        (
            {
                "messages": [
                    {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "b", "input": 1}]}
                ]
            },
            "messages[0].content[0].input",
        ),
        ({"temperature": 1.5}, "temperature"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"tools": [{"name": "a"}], "tool_choice": {"type": "sometimes"}}, "tool_choice.type"),
        ({"tools": [{"name": "a"}], "tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"output_config": {"format": {"type": "text"}}}, "output_config.format"),
        ({"response_format": {}}, "response_format"),
        ({"stream": "yes"}, "stream"),
    ],
)
def test_wrong_requests(fields: dict[str, Any], param: str) -> None:
    """What is wrong is named by the caller's own field."""
    body = {name: value for name, value in {**HELLO, **fields}.items() if value is not None}
    with pytest.raises(RequestError) as caught:
        SURFACE.chat(body)

    assert param == caught.value.param


# -- answers ----------------------------------------------------------------------------------


def reply(finish: str = "stop", **message: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", **message}}
    return SURFACE.reply(HELLO, Reply({"id": "c1", "model": "m", "choices": [choice]}, USAGE))


def test_a_whole_answer() -> None:
    """Thoughts, words and calls are blocks; the buckets of usage do not overlap."""
    calls = [{"id": "t1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}]
    found = reply("tool_calls", reasoning_content="Hm.", content="I look.", tool_calls=calls)

    assert [
        {"type": "thinking", "thinking": "Hm.", "signature": ""},
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": 1}},
    ] == found["content"]
    assert ("message", "assistant", "m", "tool_use") == tuple(
        found[name] for name in ("type", "role", "model", "stop_reason")
    )
    assert {
        "input_tokens": 5,
        "output_tokens": 4,
        "cache_read_input_tokens": 3,
        "cache_creation_input_tokens": 2,
    } == found["usage"]


@pytest.mark.parametrize(
    ("finish", "expected"),
    [("stop", "end_turn"), ("length", "max_tokens"), ("content_filter", "refusal"), ("tool_calls", "tool_use")],
)
def test_why_it_ended(finish: str, expected: str) -> None:
    """Each reason has its word here."""
    assert expected == reply(finish, content="x")["stop_reason"]


def test_arguments_that_are_no_object() -> None:
    """Arguments a model wrote badly are not lost: the tool sees what was said."""
    calls = [{"id": "t1", "type": "function", "function": {"name": "look", "arguments": '{"at": '}}]

    assert {"arguments": '{"at": '} == reply("tool_calls", tool_calls=calls)["content"][0]["input"]


@pytest.mark.parametrize("said", ['{"at": NaN}', '{"at": [1e999]}', '{"at": -Infinity}'])
def test_arguments_no_json_can_hold(said: str) -> None:
    """A number that is none would make the whole answer unreadable; it is told as it was said."""
    calls = [{"id": "t1", "type": "function", "function": {"name": "look", "arguments": said}}]

    assert {"arguments": said} == reply("tool_calls", tool_calls=calls)["content"][0]["input"]


def test_a_call_that_ends_with_stop() -> None:
    """Vendors end a call to the tool that was named with `stop`; clients here run tools on `tool_use` alone."""
    calls = [{"id": "t1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]

    assert "tool_use" == reply("stop", tool_calls=calls)["stop_reason"]
    assert "max_tokens" == reply("length", tool_calls=calls)["stop_reason"]


def test_usage_that_nobody_counted() -> None:
    """This dialect has no word for unknown: both figures are then estimates, never 0."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "word " * 20}}
    found = SURFACE.reply(HELLO, Reply({"id": "c1", "choices": [choice]}, Usage()))["usage"]

    assert found["input_tokens"] > 0
    assert 25 == found["output_tokens"]


# -- streams ----------------------------------------------------------------------------------


def deltas(*parts: dict[str, Any], finish: str = "stop") -> list[Chunk]:
    bodies = [{"index": 0, "delta": part, "finish_reason": None} for part in parts]
    bodies.append({"index": 0, "delta": {}, "finish_reason": finish})
    return [Chunk({"id": "c1", "model": "m", "choices": [body]}) for body in bodies]


def told(chunks: list[Chunk], usage: Usage | None = USAGE) -> list[Named]:
    telling = SURFACE.telling(HELLO, request_id="r1", model="m")
    return [*(event for chunk in chunks for event in telling.feed(chunk)), *telling.end(usage)]


def gathered(events: list[Named]) -> dict[str, Any]:
    """Add events up as a client does, holding the rules of the dialect."""
    message: dict[str, Any] = {}
    inputs: dict[int, str] = {}
    is_open: int | None = None
    for name, body in events:
        assert name == body["type"]
        if name == "message_start":
            message = {**body["message"], "content": []}
        elif name == "content_block_start":
            assert is_open is None
            assert body["index"] == len(message["content"])
            is_open = body["index"]
            message["content"].append(dict(body["content_block"]))
        elif name == "content_block_delta":
            assert is_open == body["index"]
            block, delta = message["content"][is_open], body["delta"]
            if delta["type"] == "input_json_delta":
                inputs[is_open] = inputs.get(is_open, "") + delta["partial_json"]
            else:
                field = delta["type"].removesuffix("_delta")
                block[field] += delta[field]
        elif name == "content_block_stop":
            assert is_open == body["index"]
            is_open = None
        elif name == "message_delta":
            message |= body["delta"] | {"usage": body["usage"]}
    assert is_open is None
    assert "message_stop" == events[-1].name
    for at, text in inputs.items():
        message["content"][at]["input_text"] = text
    return message


def test_a_stream() -> None:
    """It opens, its blocks follow one another, each opened and closed, and its end says why and how much."""
    events = told(deltas({"role": "assistant"}, {"reasoning_content": "Hm."}, {"content": "A"}, {"content": "B"}))

    assert [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ] == [event.name for event in events]
    assert [("Hm.", None), (None, "AB")] == [
        (block.get("thinking"), block.get("text")) for block in gathered(events)["content"]
    ]


def test_an_answer_of_nothing() -> None:
    """A stream that only ends is a message all the same, with a name of its own."""
    found = gathered(told([], None))

    assert ([], "end_turn", "m") == (found["content"], found["stop_reason"], found["model"])
    assert len(found["id"]) > len("msg_") + 20


def test_a_second_choice_is_not_told() -> None:
    """This dialect has one answer; the words of another are none of it."""
    second = Chunk({"id": "c1", "choices": [{"index": 1, "delta": {"content": "B"}, "finish_reason": "stop"}]})
    found = gathered(told([*deltas({"content": "A"}), second]))

    assert ["A"] == [block["text"] for block in found["content"]]


def test_calls_that_come_in_turns() -> None:
    """Pieces of two calls in turns are told one call after the other, and nothing of them is lost."""

    def piece(index: int, arguments: str, **more: Any) -> dict[str, Any]:
        return {
            "tool_calls": [{"index": index, "function": {"arguments": arguments, **more.pop("function", {})}, **more}]
        }

    events = told(
        deltas(
            piece(0, "", id="a", function={"name": "one"}),
            piece(1, "{", id="b", function={"name": "two"}),
            piece(0, '{"x":'),
            piece(1, "}"),
            piece(0, "1}"),
            finish="tool_calls",
        )
    )

    assert [("a", "one", '{"x":1}'), ("b", "two", "{}")] == [
        (block["id"], block["name"], block["input_text"]) for block in gathered(events)["content"]
    ]


def test_words_in_the_midst_of_a_call() -> None:
    """Blocks do not overlap and nothing of either is lost: the words follow; after a whole call they follow at once."""
    begins = {"tool_calls": [{"index": 0, "id": "t1", "function": {"name": "look", "arguments": '{"at"'}}]}
    ends = {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}
    call = {"type": "tool_use", "id": "t1", "name": "look", "input": {}, "input_text": '{"at":1}'}
    words = {"type": "text", "text": "Let me see."}

    midst = told(deltas(begins, {"content": "Let me "}, ends, {"content": "see."}, finish="tool_calls"))
    assert [call, words] == gathered(midst)["content"]
    after = told(deltas(begins, ends, {"content": "Let me "}, {"content": "see."}, finish="tool_calls"))
    assert [call, words] == gathered(after)["content"]
    assert 2 == sum(event.body.get("delta", {}).get("type") == "text_delta" for event in after)


def test_an_answer_that_breaks_off() -> None:
    """What ends it is an error, in this dialect's envelope, and no message_stop."""
    telling = SURFACE.telling(HELLO, request_id="r1", model="m")
    telling.feed(deltas({"content": "A"})[0])
    (event,) = telling.failed(RequestError("it broke", status=429))

    assert ("error", "rate_limit_error", "r1") == (event.name, event.body["error"]["type"], event.body["request_id"])


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (404, "not_found_error"),
        (418, "invalid_request_error"),
        (503, "overloaded_error"),
        (502, "api_error"),
    ],
)
def test_types_of_errors(status: int, kind: str) -> None:
    """A status has its type here."""
    assert kind == anthropic_error(RequestError("no", status=status), "r")["error"]["type"]


PIECES = st.lists(
    st.one_of(
        st.fixed_dictionaries({"content": st.text(min_size=1, max_size=5)}),
        st.fixed_dictionaries({"reasoning_content": st.text(min_size=1, max_size=5)}),
    ),
    max_size=12,
)


@given(PIECES, st.lists(st.text(max_size=4), max_size=4), st.data())
def test_any_chunking_adds_up_to_the_whole(
    parts: list[dict[str, Any]], arguments: list[str], data: st.DataObject
) -> None:
    """However an answer is cut into chunks, its events follow the rules and add up to the same message."""
    calls = [
        {"index": at, "id": f"t{at}", "function": {"name": "f", "arguments": text}} for at, text in enumerate(arguments)
    ]
    pieces = [{"tool_calls": [call]} for call in calls]
    order = data.draw(st.permutations(pieces)) if pieces else []
    events = told(deltas(*parts, *order, finish="tool_calls" if calls else "stop"))
    found = gathered(events)
    words = "".join(part.get("content", "") for part in parts)

    assert words == "".join(block["text"] for block in found["content"] if block["type"] == "text")
    assert {call["id"]: call["function"]["arguments"] for call in calls} == {
        block["id"]: block.get("input_text", "") for block in found["content"] if block["type"] == "tool_use"
    }

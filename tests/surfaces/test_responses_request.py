"""A Responses request becomes the chat request that says the same, or is refused in the caller's own words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigateway.errors import RequestError
from aigateway.surfaces import NativeOnly, Responses, parse

SURFACE = Responses()
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "read", "arguments": '{"n":1}'}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "42"}
CHAT_CALL = {"id": "c1", "type": "function", "function": {"name": "read", "arguments": '{"n":1}'}}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
TOOL = {"type": "function", "name": "read", "parameters": {"type": "object"}}
OTHER = {"type": "function", "name": "write", "parameters": {"type": "object"}, "strict": None}


def chat(given: object, **fields: Any) -> dict[str, Any]:
    return SURFACE.chat({"input": given, **fields})


def messages(*items: Any) -> list[dict[str, Any]]:
    return chat(list(items))["messages"]  # type: ignore[no-any-return]  # a list, by the test's own claim


def said(role: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": list(parts)}


def text(value: str, kind: str = "input_text") -> dict[str, Any]:
    return {"type": kind, "text": value}


def test_a_text() -> None:
    """A text is the user's message; instructions stand before it."""
    assert [{"role": "user", "content": "hi"}] == chat("hi")["messages"]
    assert [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}] == chat(
        "hi", instructions="be brief"
    )["messages"]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"role": "user", "content": "hi"}, {"role": "user", "content": "hi"}),
        (said("user", text("hi")), {"role": "user", "content": "hi"}),
        (said("developer", text("obey")), {"role": "developer", "content": "obey"}),
        (said("system", text("obey")), {"role": "system", "content": "obey"}),
        (said("assistant", text("a", "output_text"), text("b", "output_text")), {"role": "assistant", "content": "ab"}),
        (said("assistant", {"type": "refusal", "refusal": "no"}), {"role": "assistant", "content": "no"}),
        (
            said("user", text("a"), text("b")),
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        ),
        (
            said("user", {"type": "input_image", "image_url": "data:image/png;base64,eA==", "detail": "low"}),
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,eA==", "detail": "low"}}],
            },
        ),
        (
            said("user", {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,eA=="}),
            {
                "role": "user",
                "content": [
                    {
                        "type": "file",
                        "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,eA=="},
                    }
                ],
            },
        ),
    ],
)
def test_messages(item: dict[str, Any], message: dict[str, Any]) -> None:
    """Each kind of message and of content has its chat form."""
    assert [message] == messages(item)


def test_a_turn_with_thoughts_and_calls_is_one_message() -> None:
    """What the assistant thought, said and called is one chat message; what follows is another's."""
    spoken = said("assistant", text("let me see", "output_text"))
    second = {**CALL, "call_id": "c2"}
    results = [OUTPUT, {**OUTPUT, "call_id": "c2", "output": [text("43")]}]
    found = messages({"role": "user", "content": "go"}, THOUGHT, spoken, CALL, second, *results, THOUGHT)

    assert [
        {"role": "user", "content": "go"},
        {
            "role": "assistant",
            "content": "let me see",
            "reasoning_content": "hm",
            "tool_calls": [CHAT_CALL, {**CHAT_CALL, "id": "c2"}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "42"},
        {"role": "tool", "tool_call_id": "c2", "content": "43"},
        {"role": "assistant", "content": "", "reasoning_content": "hm"},
    ] == found


def test_thoughts_between_calls_split_nothing() -> None:
    """Calls made side by side stay in one message, or their outputs would have no call before them."""
    found = messages(THOUGHT, CALL, THOUGHT, {**CALL, "call_id": "c2"}, OUTPUT, {**OUTPUT, "call_id": "c2"})

    assert ["assistant", "tool", "tool"] == [message["role"] for message in found]
    assert "hmhm" == found[0]["reasoning_content"]


def test_two_answers_in_a_row_are_two_messages() -> None:
    """An answer that follows another, without a call between them, is one of its own."""
    found = messages(said("assistant", text("a", "output_text")), THOUGHT, said("assistant", text("b", "output_text")))

    assert ["a", "b"] == [message["content"] for message in found]
    assert "reasoning_content" not in found[0]


AUDIO = {"data": "AAAA", "format": "wav"}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "input_audio", "input_audio": AUDIO}, {"type": "input_audio", "input_audio": AUDIO}),
        (
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}},
        ),
        (
            {"type": "input_image", "image_url": "https://a.example/x.png", "detail": "low"},
            {"type": "image_url", "image_url": {"url": "https://a.example/x.png", "detail": "low"}},
        ),
    ],
)
def test_attachments(part: dict[str, Any], expected: dict[str, Any]) -> None:
    """Sounds, files and pictures go over with the request, in chat's words."""
    assert [expected] == messages(said("user", part))[0]["content"]


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "input_file", "file_url": "https://a.example/x.pdf"}, "input[0].content[0].file_url"),
        ({"type": "computer_screenshot"}, "input[0].content[0].type"),
    ],
)
def test_attachments_chat_cannot_have(part: dict[str, Any], param: str) -> None:
    """Only a target that speaks this dialect can be asked then, and nothing of it is left out silently."""
    with pytest.raises(NativeOnly) as caught:
        chat([said("user", part, text("see"))])

    assert param == caught.value.param


def test_sealed_thoughts_come_back() -> None:
    """Thoughts we gave as encrypted content are read again, for clients that send nothing else; a vendor's are not."""
    from aigateway.surfaces.responses._input import sealed

    sent = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": sealed("hm, ü")}
    assert "hm, ü" == messages(sent, CALL)[0]["reasoning_content"]
    for foreign in ("gAAAAAB", "aigateway.%%%", "aigateway._w==", 7, None):
        assert "reasoning_content" not in messages({**sent, "encrypted_content": foreign}, CALL)[0]


def test_a_summary_stands_for_thoughts() -> None:
    """Where a vendor gave no more than a summary, that is what the next one is told."""
    sent = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "in short"}]}

    assert "in short" == messages(sent, CALL)[0]["reasoning_content"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"max_output_tokens": 7}, {"max_completion_tokens": 7}),
        ({"temperature": 0.5, "top_p": 1}, {"temperature": 0.5, "top_p": 1}),
        ({"user": "u", "prompt_cache_key": "k"}, {"user": "u", "prompt_cache_key": "k"}),
        ({"safety_identifier": "s", "service_tier": "flex"}, {"safety_identifier": "s", "service_tier": "flex"}),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning_effort": "low"}),
        ({"text": {"verbosity": "low", "format": {"type": "text"}}}, {"verbosity": "low"}),
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
        (
            {"text": {"format": {"type": "json_schema", "name": "x", "schema": {"a": 1}, "strict": True}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": {"a": 1}, "strict": True},
                }
            },
        ),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": True}),
        ({"top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
        ({"metadata": {"a": "b"}, "truncation": "auto", "include": ["reasoning.encrypted_content"]}, {}),
        ({"store": True, "background": False, "previous_response_id": None, "max_tool_calls": 3}, {}),
        ({"parallel_tool_calls": True}, {}),
        ({"thinking": {"type": "disabled"}, "stop": ["x"]}, {"thinking": {"type": "disabled"}, "stop": ["x"]}),
        ({"model": "smart", "stream": True}, {"model": "smart", "stream": True}),
        ({"stream_options": {"include_obfuscation": False}}, {}),
    ],
)
def test_fields(fields: dict[str, Any], said: dict[str, Any]) -> None:
    """Each field is said in chat's words, left out where chat has no use for it, or passed on."""
    assert {"messages": [{"role": "user", "content": "hi"}], **said} == chat("hi", **fields)


@pytest.mark.parametrize(
    ("choice", "names", "chosen"),
    [
        (None, ["read", "write"], None),
        ("required", ["read", "write"], "required"),
        (
            {"type": "function", "name": "read"},
            ["read", "write"],
            {"type": "function", "function": {"name": "read"}},
        ),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "write"}]},
            ["write"],
            "auto",
        ),
    ],
)
def test_tools(choice: object, names: list[str], chosen: object) -> None:
    """Functions keep their fields, one level down; allowed ones are the only ones sent."""
    found = chat("hi", tools=[TOOL, OTHER], tool_choice=choice, parallel_tool_calls=False)

    assert names == [tool["function"]["name"] for tool in found["tools"]]
    assert [{"type": "object"}] * len(names) == [tool["function"]["parameters"] for tool in found["tools"]]
    assert chosen == found.get("tool_choice")
    assert not [tool for tool in found["tools"] if "strict" in tool["function"]]
    assert found["parallel_tool_calls"] is False


@pytest.mark.parametrize(
    ("fields", "param", "hint"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id", "Send the whole conversation"),
        ({"conversation": "conv_1"}, "conversation", "Send the whole conversation"),
        ({"background": True}, "background", "Wait for the answer"),
        ({"messages": []}, "messages", "'input'"),
        ({"max_tokens": 5}, "max_tokens", "'max_output_tokens'"),
        ({"response_format": {}}, "response_format", "'text.format'"),
        ({"reasoning_effort": "low"}, "reasoning_effort", "'reasoning.effort'"),
        ({"n": 2}, "n", "one answer"),
        ({"input": []}, "input", "send 1 to 4000"),
        ({"input": 7}, "input", "a text or a list"),
        ({"input": ["hi"]}, "input", "list of objects"),
        ({"input": [{"content": "hi"}]}, "input[0].type", "kind of item"),
        ({"input": [{"role": "robot", "content": "hi"}]}, "input[0].role", "assistant"),
        ({"input": [{"role": "user"}]}, "input[0].content", "text or a list"),
        ({"input": [said("user", text("a"), {"type": "input_text"})]}, "input[0].content[1].text", "text"),
        ({"input": [said("user", {"text": "a"})]}, "input[0].content[0].type", "'input_text'"),
        ({"input": [said("user", {"type": "image_url"})]}, "input[0].content[0].type", "'input_image'"),
        (
            {"input": [said("user", {"type": "input_image", "file_id": "file_1"})]},
            "input[0].content[0].file_id",
            "keeps no files",
        ),
        (
            {"input": [said("user", {"type": "input_file", "file_id": "file_1"})]},
            "input[0].content[0].file_id",
            "keeps no files",
        ),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]", "Send the item itself"),
        ({"input": [OUTPUT]}, "input[0].call_id", "send their output items"),
        ({"input": [{**CALL, "arguments": {}}]}, "input[0].arguments", "text"),
        ({"tools": [{"name": "read"}]}, "tools[0].type", "text"),
        ({"tools": [{"type": "function"}]}, "tools[0].name", "text"),
        (
            {"tools": [{"type": "function", "function": {"name": "read"}}]},
            "tools[0].function",
            "stand beside 'type'",
        ),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "'web_search'"),
        ({"tools": [{"type": "custom", "name": "patch"}]}, "tools[0].type", "'custom'"),
        ({"tool_choice": {"type": "web_search"}}, "tool_choice.type", "'web_search'"),
        ({"input": [{"type": "web_search_call", "id": "ws_1"}]}, "input[0].type", "'web_search_call'"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt", "'prompt'"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode", "'reasoning.mode'"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format.type", "'grammar'"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.name", "text"),
        ({"max_output_tokens": 0}, "max_output_tokens", "greater than or equal to 1"),
        ({"temperature": "0"}, "temperature", "number"),
        ({"metadata": {"a": 1}}, "metadata.a", "string"),
        ({"stream": "yes"}, "stream", "boolean"),
        ({"truncation": "some"}, "truncation", "auto"),
    ],
)
def test_refusals(fields: dict[str, Any], param: str, hint: str) -> None:
    """What cannot be served is a 400 that names the caller's own field and says what to do."""
    with pytest.raises(RequestError) as caught:
        SURFACE.chat({"input": "hi", **fields})

    assert (400, param) == (caught.value.status, caught.value.param)
    assert hint in caught.value.message


def test_no_input() -> None:
    """A body without `input` says what is missing."""
    with pytest.raises(RequestError) as caught:
        SURFACE.chat({"model": "smart"})

    assert ("input", "missing_required_parameter") == (caught.value.param, caught.value.code)


def test_what_only_some_targets_know() -> None:
    """What chat cannot say is left out of the chat, and noted: the request goes to who speaks the dialect."""
    body = {
        "input": [said("user", text("hi")), {"type": "web_search_call", "id": "ws_1"}],
        "tools": [{"type": "mcp"}, TOOL],
    }
    request = parse(SURFACE, {**body, "model": "smart"})

    assert isinstance(request.needs, NativeOnly)
    assert "input[1].type" == request.needs.param
    assert [{"role": "user", "content": "hi"}] == request.messages
    assert ["read"] == [tool["function"]["name"] for tool in request.body["tools"]]
    assert body["tools"] == (request.native or {})["tools"]
    assert parse(SURFACE, {"input": "hi"}).needs is None


def test_what_a_vendor_is_sent_that_has_the_api() -> None:
    """The caller's own request goes on, but nothing is stored, no id refers to anything, and our seal is opened."""
    from aigateway.surfaces.responses._input import sealed

    items = [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": sealed("hm")},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAAAAB"},
        {**CALL, "status": "completed"},
        OUTPUT,
    ]
    fields = {"model": "smart", "store": True, "stream": True, "made_up": 7, "user": None}
    request = parse(SURFACE, {**fields, "input": items})

    opened = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    foreign = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAAAB"}
    called = {**{name: value for name, value in CALL.items() if name != "id"}, "status": "completed"}
    assert {"store": False, "made_up": 7, "input": [opened, foreign, called, OUTPUT]} == request.native


NAMES = [
    *("type", "role", "content", "text", "call_id", "name", "arguments", "output", "summary", "encrypted_content"),
    *("function", "tools", "mode", "format", "effort", "image_url", "file_id", "strict"),
]
KINDS = [
    *("message", "reasoning", "function_call", "function_call_output", "item_reference", "web_search_call", "user"),
    *("assistant", "input_text", "output_text", "refusal", "input_image", "input_file", "input_audio", "function"),
    *("json_schema", "allowed_tools", "", "\u2028", "aigateway.AAAA"),
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(KINDS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=30,
)
FIELDS = [
    *("input", "instructions", "tools", "tool_choice", "text", "reasoning", "include", "metadata", "store", "stream"),
    *("previous_response_id", "max_output_tokens", "temperature", "parallel_tool_calls", "routing", "extra", "models"),
]


@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6), st.lists(JSON, max_size=5))
def test_anything_at_all(body: dict[str, Any], items: list[Any]) -> None:
    """Whatever is sent is understood or refused in the caller's words: no other error, no word of chat."""
    for sent in (body, {**body, "input": items}):
        try:
            request = parse(SURFACE, sent)
        except RequestError as error:
            assert 400 == error.status
            assert (error.param or "").split(".")[0].split("[")[0] in {"", *FIELDS, "model"}
        else:
            assert request.messages

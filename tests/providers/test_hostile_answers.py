"""Answers of vendors that lie: refused as what they are or read as far as they make sense, never a crash.

Every plug-in is fed its own recorded payloads with parts of them changed, whole and streamed, and
everything a caller may do with what comes out is done.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from copy import deepcopy
from math import isfinite
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aigateway.errors import Kind, ProviderError
from aigateway.operations import read_object
from aigateway.operations._usage import read_responses_usage, usage_of
from aigateway.plugins import Registry
from aigateway.providers import OpenAICompatible, Options, read_usage
from aigateway.transport import SSEDecoder
from aigateway.types import ChatRequest, Chunk, Event, Reply, Usage, WireResponse

PLUGINS = Path(__file__).parents[2] / "plugins"
VENDORS = ("deepseek", "groq", "minimax", "openai", "openai-compatible")
HELLO = {"messages": [{"role": "user", "content": "Hello"}]}
WHOLE, STREAMED = ChatRequest.parse(HELLO), ChatRequest.parse({**HELLO, "stream": True})


def build(vendor: str) -> OpenAICompatible:
    url = "https://api.example.com/v1" if vendor == "openai-compatible" else None
    provider = Registry().provider(vendor).factory(Options(vendor, url))
    assert isinstance(provider, OpenAICompatible)
    return provider


PROVIDERS = {vendor: build(vendor) for vendor in VENDORS}


def recorded(vendor: str) -> tuple[list[Any], list[list[Any]]]:
    """Read what a vendor says: whole bodies, and the objects of each stream."""
    folder = PLUGINS / f"aigateway-{'openai' if vendor == 'openai-compatible' else vendor}" / "tests" / "fixtures"
    files = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json")) if ".meta" not in path.name]
    wholes = [file["response"]["body"] for file in files if "body" in file["response"]]
    wholes += [body for body in wholes if body.get("choices")] * 4  # errors are many, and soon told
    streams = [
        [json.loads(event.data) for event in SSEDecoder().feed(path.read_bytes()) if event.data.startswith(b"{")]
        for path in sorted(folder.glob("*.sse"))
    ]
    return wholes, streams


RECORDED = {vendor: recorded(vendor) for vendor in VENDORS}
# What no field should hold. Written into JSON as text, so that numbers may be what no float is.
ODD = (
    *("null", "true", "7", "-7", "0", "1.5", "12.0", "-0.0", "1e999", "-1e999", "9" * 400, '""', '"x"', "[]", "{}"),
    *(
        "[null]",
        "[7]",
        '[{"text": 7}]',
        '{"a": []}',
        '"\\ud800"',
        '"\\u0000"',
        '"<think>"',
        '"</think>"',
        '"\\r\\nx: y"',
    ),
    *("[" * 150 + "]" * 150, "[" * 5000, '{"message": 1}', '"error"', '"content_filter"', "1e18", "99999999999"),
)
# Beside the values, fields that vendors do have, in places where they have none.
NAMES = (
    *("choices", "usage", "error", "base_resp", "id", "model", "delta", "message", "index", "finish_reason", "role"),
    *("content", "reasoning", "reasoning_content", "reasoning_details", "refusal", "tool_calls", "function", "name"),
    *("arguments", "type", "x_groq", "logprobs", "prompt_tokens", "completion_tokens", "text", "channel"),
)
MARK = "\ue000"


def places(value: Any) -> list[tuple[Any, Any]]:
    """List every (container, key) of a value."""
    found: list[tuple[Any, Any]] = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        found.append((value, key))
        found += places(part)
    return found


@st.composite
def mutated(draw: st.DrawFn, body: Any) -> bytes:
    """Change up to four parts of a body, mostly of its choices: another value, another field, a part less."""
    body = deepcopy(body)
    odd: list[str] = []
    for _ in range(draw(st.integers(1, 4))):
        choices = body.get("choices") if isinstance(body, dict) and draw(st.booleans()) else None
        where = places(choices) or places(body)
        if not where:
            break
        parent, key = draw(st.sampled_from(where))
        how = draw(st.sampled_from(["value", "value", "field", "gone", "twice"]))
        if how == "gone":
            del parent[key]
        elif how == "twice" and isinstance(parent, list):
            parent.append(deepcopy(parent[key]))
        else:
            if how == "field" and isinstance(parent, dict):
                key = draw(st.sampled_from(NAMES))
            parent[key] = f"{MARK}{len(odd)}"
            odd.append(draw(st.sampled_from(ODD)))
    text = json.dumps(body, ensure_ascii=False)
    for number, value in enumerate(odd):
        text = text.replace(f'"{MARK}{number}"', value)
    return text.encode("utf-8", "surrogatepass")


def strict(number: str) -> None:
    """Refuse what no JSON may hold."""
    raise AssertionError(f"{number} reached the caller")


def used(answer: Reply | Chunk) -> None:
    """Do all a caller may do with an answer."""
    data = answer.model_dump_json() if isinstance(answer, Reply) else answer.to_json()
    assert answer.body == json.loads(data, parse_constant=strict)
    assert "inf" not in repr(list(floats(answer.body)))
    assert isinstance(answer.text + answer.reasoning, str)
    assert answer.finish_reason is None or isinstance(answer.finish_reason, str)
    assert isinstance([choice.model_dump() for choice in answer.choices], list)
    check_usage(answer.usage)
    if isinstance(answer, Chunk):
        assert isinstance(answer.has_content, bool)


def floats(value: Any) -> Iterable[float]:
    """List the floats of a value."""
    return [parent[key] for parent, key in places(value) if isinstance(parent[key], float)]


def check_usage(usage: Usage | None) -> None:
    """See that figures are counts, and parts no larger than the whole."""
    if usage is not None:
        for count in (usage.input, usage.output, usage.cached, usage.cache_write, usage.reasoning):
            assert type(count) is int
            assert 0 <= count <= 10**9
        assert usage.cached + usage.cache_write <= usage.input
        assert usage.reasoning <= usage.output
        assert (usage.source == "reported") == (usage.total > 0)


def refused(error: ProviderError, *sent: bytes) -> None:
    """See that a failure is classified, and that its words are one safe line."""
    assert error.kind in Kind
    assert error.message.isprintable()
    assert len(error.message) <= 512
    assert len(repr(error.vendor)) <= 4096


def played(vendor: str, events: Iterable[Event]) -> None:
    """Feed a stream; a malformed event is passed over, as the engine does."""
    decoder = PROVIDERS[vendor].decoder(STREAMED)
    for event in events:
        try:
            for chunk in decoder.feed(event):
                used(chunk)
        except ProviderError as error:
            refused(error)
        check_usage(decoder.usage)
        assert len(decoder._choices) <= 128
    try:
        for chunk in decoder.end():
            used(chunk)
    except ProviderError as error:
        assert error.kind in {Kind.STREAM_INTERRUPTED, Kind.TIMEOUT}


MANY = settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
FEW = settings(max_examples=60)


@pytest.mark.parametrize("vendor", VENDORS)
@MANY
@given(st.data())
def test_whole_answers(vendor: str, data: st.DataObject) -> None:
    """A whole answer with senseless parts is read or refused."""
    body = data.draw(st.sampled_from(RECORDED[vendor][0]).flatmap(mutated))
    try:
        used(PROVIDERS[vendor].decode(WHOLE, WireResponse(200, {}, body)))
    except ProviderError as error:
        refused(error, body)


@pytest.mark.parametrize("vendor", VENDORS)
@MANY
@given(st.data())
def test_streams(vendor: str, data: st.DataObject) -> None:
    """A stream with senseless events among good ones is read or refused, event by event."""
    bodies = data.draw(st.sampled_from(RECORDED[vendor][1]))
    events = [json.dumps(body).encode() for body in bodies]
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(bodies) - 1))
        events[at] = data.draw(mutated(bodies[at]))
    tail = data.draw(st.lists(st.sampled_from([b"[DONE]", *events]), max_size=3))
    names = st.sampled_from(["message", "message", "message", "error", ""])

    played(vendor, [Event(event, data.draw(names)) for event in [*events, *tail]])


@pytest.mark.parametrize("vendor", VENDORS)
@FEW
@given(st.lists(st.binary(max_size=80), max_size=6))
def test_bytes(vendor: str, events: list[bytes]) -> None:
    """Bytes that are nothing are refused, whole and as events."""
    with pytest.raises(ProviderError):
        PROVIDERS[vendor].decode(WHOLE, WireResponse(200, {}, b"".join(events)))
    played(vendor, [Event(event) for event in events])


# -- by name ------------------------------------------------------------------------------------


def chunk(finish: str | None = None, name: str = "1", index: Any = 0, **delta: Any) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return json.dumps({"id": name, "model": "a-model", "choices": [choice]}).encode()


def fed(vendor: str, *events: bytes) -> list[Chunk]:
    decoder = build(vendor).decoder(STREAMED)
    return [one for event in events for one in decoder.feed(Event(event))]


def text_of(chunks: Iterable[Chunk]) -> str:
    return "".join(one.text for one in chunks)


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(
    "body",
    [
        b'{"choices": [{"index": 0, "delta": {"content": "Hi"}, "logprobs": {"x": 1e999}}]}',
        b'{"choices": [{"index": 0, "delta": {"content": "Hi"}}], "extra": [[-1e999]]}',
        b'{"choices": [{"index": 0, "delta": {"content": "Hi"}}], "extra": ' + b"9" * 400 + b".0}",
        b'{"choices": [{"index": 0, "delta": {"content": "Hi"}}], "extra": Infinity}',
        b'{"choices": [{"index": 0, "delta": {"content": "Hi"}}], "extra": NaN}',
        b'{"choices": [{"index": 0, "delta": {"content": "\xff"}}]}',
        b'{"choices": [{"index": 0, "delta": {"content": "\\ud800"}}]}',
        b'{"choices": [{"index": 0, "delta": {"content": ' + b"[" * 100_000,
    ],
    ids=["huge float", "minus", "long float", "Infinity", "NaN", "no UTF-8", "surrogate", "deep"],
)
def test_what_is_no_json_for_everybody_is_refused(vendor: str, body: bytes) -> None:
    """An infinity, half a character and a well without a bottom reach nobody, streamed or whole."""
    whole = body.replace(b'"delta"', b'"message"')
    for show in (lambda: fed(vendor, body), lambda: build(vendor).decode(WHOLE, WireResponse(200, {}, whole))):
        with pytest.raises(ProviderError) as caught:
            show()

        assert Kind.PROTOCOL_ERROR == caught.value.kind


def test_large_words_are_no_large_numbers() -> None:
    """What only looks like a number too large is passed on as it came."""
    body = b'{"id": "1", "choices": [{"index": 0, "delta": {"content": "1e999 Infinity"}}], "x": [1e308, 9e9, 1E-999]}'
    (one,) = fed("openai", body)

    assert one.raw == body


@pytest.mark.parametrize("index", [-1, 128, 10**12, "0", None, True, 0.5, [], {}])
def test_choices_are_numbered_in_a_small_way(index: Any) -> None:
    """An index that is none is refused, so that nobody makes us remember choices without end."""
    for vendor in VENDORS:
        with pytest.raises(ProviderError) as caught:
            fed(vendor, chunk(content="Hi", index=index))

        assert Kind.PROTOCOL_ERROR == caught.value.kind


@pytest.mark.parametrize(
    "call",
    [
        7,
        None,
        [],
        {"index": -1},
        {"index": 10**9},
        {"index": "0"},
        {"id": 7},
        {"type": []},
        {"function": "look"},
        {"function": []},
        {"function": {"name": 7}},
        {"function": {"name": "look", "arguments": {}}},
    ],
)
def test_malformed_calls_are_refused(call: Any) -> None:
    """A call no client could read is a protocol error, whole and streamed."""
    message = {"message": {"role": "assistant", "content": None, "tool_calls": [call]}, "finish_reason": "tool_calls"}
    body = json.dumps({"choices": [message]}).encode()
    for vendor in VENDORS:
        for show in (lambda: fed(vendor, chunk(tool_calls=[call])), lambda: decoded(vendor, body)):  # noqa: B023  # called at once
            with pytest.raises(ProviderError) as caught:
                show()

            assert Kind.PROTOCOL_ERROR == caught.value.kind


def decoded(vendor: str, body: bytes) -> Reply:
    return build(vendor).decode(WHOLE, WireResponse(200, {}, body))


@pytest.mark.parametrize("vendor", VENDORS)
def test_nothing_counts_after_an_end(vendor: str) -> None:
    """A second finish reason, content after the end, data after [DONE], a second [DONE]: the first end is the end."""
    late = (chunk(content="more"), chunk("length"), chunk("length", content="more"))
    usage = b'{"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}'
    chunks = fed(vendor, chunk(content="Hi"), chunk("stop"), *late, usage, b"[DONE]", b"[DONE]", *late, b"nonsense")

    assert text_of(chunks) == "Hi"
    assert [one.finish_reason for one in chunks if one.finish_reason] == ["stop"]
    assert [one.usage.total for one in chunks if one.usage] == [4]


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_other_choices_go_on(vendor: str) -> None:
    """The end of one choice is not the end of another."""
    both = json.dumps(
        {
            "id": "1",
            "choices": [
                {"index": 0, "delta": {"content": "late"}},
                {"index": 1, "delta": {"content": "B"}, "finish_reason": "stop"},
            ],
        }
    ).encode()
    chunks = fed(vendor, chunk("stop", content="A"), chunk(content="b", index=1), both, b"[DONE]")

    assert [choice["delta"]["content"] for one in chunks for choice in one.body["choices"]] == ["A", "b", "B"]
    assert b"late" not in b"".join(one.to_json() for one in chunks)


@pytest.mark.parametrize("vendor", VENDORS)
def test_usage_is_counted_once(vendor: str) -> None:
    """Usage before content, twice, and a lie at the end: the last that makes sense counts, once."""

    def usage(prompt: Any, completion: Any) -> bytes:
        return json.dumps(
            {"id": "1", "choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion}}
        ).encode()

    events = (usage(3, 1), chunk(content="Hi"), usage(3, 2), chunk("stop"), usage(3, -2), usage("3", 2), usage(0, 0))
    chunks = fed(vendor, *events, b"[DONE]")

    assert [one.usage for one in chunks if one.usage] == [Usage(3, 2, source="reported")]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, None),
        ("lots", None),
        ([], None),
        ({}, None),
        ({"prompt_tokens": -3, "completion_tokens": 5}, None),
        ({"prompt_tokens": 3, "completion_tokens": "5"}, None),
        ({"prompt_tokens": 3, "completion_tokens": True}, None),
        ({"prompt_tokens": 3, "completion_tokens": 1.5}, None),
        ({"prompt_tokens": 3, "completion_tokens": 10**400}, None),
        ({"prompt_tokens": 3, "completion_tokens": float("inf")}, None),
        ({"prompt_tokens": 3, "completion_tokens": float("nan")}, None),
        ({"prompt_tokens": 3.0, "completion_tokens": None}, Usage(3, source="reported")),
        ({"prompt_tokens": 3, "completion_tokens": 50_000_000}, Usage(3, 50_000_000, source="reported")),
        (
            {"prompt_tokens": 3, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": -4}},
            Usage(3, 5, source="reported"),
        ),
        (
            {
                "prompt_tokens": 3,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 9, "cache_write_tokens": 9},
                "completion_tokens_details": {"reasoning_tokens": 9},
            },
            Usage(3, 5, 3, 0, 5, source="reported"),
        ),
    ],
)
def test_usage_is_believed_as_far_as_it_can_be(usage: Any, expected: Usage | None) -> None:
    """A count that is negative, no number or beyond all reason is no count; a large one is a large one."""
    assert expected == read_usage(usage)


@pytest.mark.parametrize("usage", [{"prompt_tokens": -3, "completion_tokens": 5}, "lots", {"prompt_tokens": 1e18}])
def test_nobody_is_shown_usage_we_do_not_believe(usage: Any) -> None:
    """Senseless figures of a whole answer are unknown, and not in its body."""
    choice = {"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}
    for vendor in VENDORS:
        reply = decoded(vendor, json.dumps({"choices": [choice], "usage": usage}).encode())

        assert reply.usage.source == "unknown"
        assert "usage" not in reply.body


@pytest.mark.parametrize("vendor", VENDORS)
def test_crossed_answers_are_counted(vendor: str) -> None:
    """An event under another id may be somebody else's: it is counted, and ids that are empty are not."""
    decoder = build(vendor).decoder(STREAMED)
    events = (chunk(content="a", name=""), chunk(content="b"), chunk(content="c", name="other"), chunk(content="d"))
    for event in (*events, chunk("stop", name="other"), b"[DONE]"):
        list(decoder.feed(Event(event)))

    assert decoder.crossed == 2


def test_withheld_after_content_is_an_end() -> None:
    """A content filter that stops a text ends it; one that lets nothing out refuses the request."""
    chunks = fed("openai", chunk(content="Hi"), chunk("content_filter"), b"[DONE]")

    assert [one.finish_reason for one in chunks if one.finish_reason] == ["content_filter"]
    with pytest.raises(ProviderError) as caught:
        fed("openai", chunk(role="assistant", content=""), chunk("content_filter"))
    assert Kind.CONTENT_POLICY == caught.value.kind


@pytest.mark.parametrize("odd", [7, [], {"a": 1}, True])
def test_tags_do_not_hide_what_makes_no_sense(odd: Any) -> None:
    """Thoughts in tags beside thoughts of a senseless shape are read or refused, and nothing else happens."""
    call = json.dumps({"choices": [{"delta": {"content": "<think>a</think>b", "reasoning_content": odd}}]}).encode()

    assert text_of(fed("minimax", call)) == "b"
    with pytest.raises(ProviderError):
        fed("minimax", call.replace(b"<think>a</think>b", b"b"))


@pytest.mark.parametrize("blank", [" ", "\n"])
def test_blanks_are_not_collected_without_end(blank: str) -> None:
    """MiniMax's reader waits for a tag behind blanks, and not for ever."""
    decoder = build("minimax").decoder(STREAMED)
    chunks = [one for _ in range(200) for one in decoder.feed(Event(chunk(content=blank * 100)))]

    assert len(text_of(chunks)) >= 10_000
    assert len(decoder._tags._held) <= 4300  # type: ignore[attr-defined]  # MiniMax's own


def test_error_words_are_one_bounded_line() -> None:
    """What a vendor says in an error is masked, printable and short, wherever it says it."""
    words = "sk-planted-0123456789 \x1b[31m\r\nx: y\u2028" + "a" * 100_000
    body = json.dumps({"error": {"message": words, "type": words, "code": words, "param": words}}).encode()
    for vendor in VENDORS:
        for show in (lambda: fed(vendor, body), lambda: decoded(vendor, body)):  # noqa: B023  # called at once
            with pytest.raises(ProviderError) as caught:
                show()
            shown = f"{caught.value} {caught.value!r} {caught.value.vendor}"

            assert "planted" not in shown
            assert caught.value.message.isprintable()
            assert len(caught.value.message) <= 512


@pytest.mark.parametrize("number", ["1e999", "-1E+400", "9" * 250 + "e99", "0.1e0400", "1" * 199 + ".5e310", "12e309"])
def test_numbers_that_overflow_are_refused(number: str) -> None:
    """However it is written, a number no JSON can hold again is nonsense."""
    with suppress(ValueError):
        assert not isfinite(float(number))
    with pytest.raises(ProviderError):
        read_object(b'{"choices": [{"x": [' + number.encode() + b"]}]}", "it")


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**30), 10**30))
def test_numbers_that_fit_pass(number: float) -> None:
    """Whatever JSON can hold is taken, and names that look like numbers are names."""
    body = {"id": f"5e{abs(hash(number)) % 1000:03}4a", "x": number}

    assert body == read_object(json.dumps(body).encode(), "it")


TOLD = {"prompt_tokens": 10, "completion_tokens": 5}


@pytest.mark.parametrize(
    ("cost", "charged"),
    [
        (0.00014, 140_000_000),
        (0, 0),
        (1, 10**12),
        (1e-13, 0),
        (-1, None),
        (10_001, None),
        (float("nan"), None),
        (float("inf"), None),
        ("0.1", None),
        (True, None),
        (None, None),
        ({"total": 1}, None),
    ],
    ids=repr,
)
def test_charges_are_believed_as_far_as_they_can_be(cost: Any, charged: int | None) -> None:
    """Dollars become picodollars; what cannot be a charge is none, and the price table counts."""
    usage = usage_of({"usage": {**TOLD, "cost": cost}}, "cost")

    assert usage is not None
    assert (charged, 10) == (usage.charged, usage.input)
    assert None is getattr(usage_of({"usage": {**TOLD, "cost": cost}}), "charged")  # noqa: B009  # it is there


@pytest.mark.parametrize(
    ("said", "tier"),
    [("priority", "priority"), ("default", ""), ("on_demand", ""), (None, ""), (5, ""), ("x" * 99, "x" * 32)],
)
def test_the_tier_that_answered_is_told(said: Any, tier: str) -> None:
    """The usual one is no tier; another has other prices."""
    usage = usage_of({"usage": TOLD, "service_tier": said})

    assert usage is not None
    assert tier == usage.tier


def test_tokens_of_images_are_told_apart() -> None:
    """OpenAI's images: what was put out is the image's, and parts never overlap."""
    details = {"text_tokens": 14, "image_tokens": 300}
    usage = read_responses_usage({"input_tokens": 314, "output_tokens": 272, "input_tokens_details": details}, images=1)
    greedy = {"cached_tokens": 300, "image_tokens": 300}

    assert usage is not None
    assert (14, 300, 0, 272, 1) == (
        usage.uncached,
        usage.image_input,
        usage.text_output,
        usage.image_output,
        usage.images,
    )
    assert 14 == getattr(read_usage({"prompt_tokens": 314, "prompt_tokens_details": greedy}), "image_input")  # noqa: B009  # it is there

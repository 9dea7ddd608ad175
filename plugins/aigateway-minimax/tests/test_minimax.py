"""MiniMax's dialect: every change to a request, its three forms of failure, its streams."""

import json
from pathlib import Path

import pytest

from aigateway.errors import ConfigurationError, Kind, ProviderError
from aigateway.providers import Options
from aigateway.secrets import Secret
from aigateway.testing import ProviderConformance
from aigateway.types import ChatRequest, Event, Target, WireFailure, WireResponse
from aigateway_minimax import MiniMax, MiniMaxV2, aigateway_providers, minimax

HELLO = [{"role": "user", "content": "Hello"}]
M3 = "MiniMax-M3"


class TestMiniMaxConformance(ProviderConformance):
    provider = minimax
    fixtures = Path(__file__).parent / "fixtures"


class TestMiniMaxV2Conformance(ProviderConformance):
    provider = minimax
    fixtures = Path(__file__).parent / "fixtures"
    settings = {"api": "chatcompletion_v2", "region": "china"}  # noqa: RUF012  # never changed


def build(**settings):
    return minimax(Options("minimax", settings=settings))


def encode(model=M3, settings=(), **fields):
    """Give the body and the notes of a request with these fields."""
    request = ChatRequest.parse({"messages": HELLO, **fields})
    sent = build(**dict(settings)).encode(request, Secret("sk-test"), Target("minimax", model))
    return json.loads(sent.body), sent.notes


def feed(*bodies, end=True):
    """Give the chunks of a stream of these objects."""
    decoder = build().decoder(ChatRequest.parse({"messages": HELLO, "stream": True}))
    chunks = [chunk for body in bodies for chunk in decoder.feed(Event(json.dumps(body).encode()))]
    return [*chunks, *(decoder.end() if end else ())]


def delta(finish=None, **fields):
    return {
        "id": "1",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": fields, "finish_reason": finish}],
    }


def text_of(chunks):
    return "".join(chunk.text for chunk in chunks)


def reasoning_of(chunks):
    return "".join(chunk.reasoning for chunk in chunks)


# -- settings ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "base_url", "url"),
    [
        ({}, None, "https://api.minimax.io/v1/chat/completions"),
        ({"region": "china"}, None, "https://api.minimaxi.com/v1/chat/completions"),
        ({"api": "chatcompletion_v2"}, None, "https://api.minimax.io/v1/text/chatcompletion_v2"),
        ({"region": "china"}, "https://proxy.example.com/v1", "https://proxy.example.com/v1/chat/completions"),
    ],
)
def test_settings_choose_the_address(settings, base_url, url):
    """`region` and `api` choose host and path; the operator's own base URL wins over `region`."""
    assert url == minimax(Options("minimax", base_url, settings)).url


@pytest.mark.parametrize(("name", "value"), [("api", "v3"), ("region", "mars"), ("region", 7), ("api", None)])
def test_wrong_settings_name_what_is_allowed(name, value):
    """A wrong value is a configuration error that lists the right ones."""
    with pytest.raises(ConfigurationError, match=f"providers.minimax.{name} must be '.+' or '.+'"):
        build(**{name: value})


def test_is_offered_with_its_settings():
    """The plug-in yields one record with its key variable and settings."""
    (record,) = aigateway_providers()

    assert (record.name, record.key_variables) == ("minimax", ("MINIMAX_API_KEY",))
    assert {"api", "region"} == record.settings
    assert isinstance(record.factory(Options("minimax", settings={"api": "chatcompletion_v2"})), MiniMaxV2)


# -- requests ---------------------------------------------------------------------------------


def test_length_is_named_as_each_endpoint_does():
    """max_completion_tokens on the new endpoint, max_tokens on the old one."""
    new, _ = encode(max_tokens=7)
    old, _ = encode(settings={"api": "chatcompletion_v2"}, max_completion_tokens=7)

    assert (new["max_completion_tokens"], "max_tokens" in new) == (7, False)
    assert (old["max_tokens"], "max_completion_tokens" in old) == (7, False)


@pytest.mark.parametrize(("asked", "sent"), [(0, 0.01), (0.5, 0.5), (1, 1), (1.7, 1.0), (2, 1.0)])
def test_temperature_is_clamped(asked, sent):
    """The vendor takes (0, 1]; a change is noted."""
    body, notes = encode(temperature=asked)

    assert sent == body["temperature"]
    assert (asked != sent) == bool(notes)


def test_top_p_is_above_zero():
    """top_p 0 would be refused."""
    assert encode(top_p=0)[0]["top_p"] == 0.01


def test_n_is_one():
    """More answers than one are not given: dropped, and said."""
    several, notes = encode(n=3)
    one, quiet = encode(n=1)

    assert "n" not in several
    assert notes == ["n 3 was dropped: minimax gives one answer"]
    assert one["n"] == 1
    assert not quiet


@pytest.mark.parametrize("name", ["presence_penalty", "frequency_penalty", "logit_bias"])
def test_ignored_fields_are_dropped(name):
    """What the vendor would ignore is not sent, and said."""
    body, notes = encode(**{name: {} if name == "logit_bias" else 1.0})

    assert name not in body
    assert name in notes[0]


def test_asks_for_thoughts_apart():
    """reasoning_split is always sent, even where the caller said otherwise."""
    assert encode()[0]["reasoning_split"] is True
    assert encode(reasoning_split=False)[0]["reasoning_split"] is True


@pytest.mark.parametrize(
    ("model", "asked", "sent"),
    [
        (M3, "enabled", {"type": "adaptive"}),
        (M3, "adaptive", {"type": "adaptive"}),
        (M3, "disabled", {"type": "disabled"}),
        ("MiniMax-M2.7", "disabled", None),
        ("MiniMax-M3.1-Flash", "disabled", None),
    ],
)
def test_thinking_is_said_in_the_vendors_words(model, asked, sent):
    """`enabled` is sent as adaptive; models that always think are not asked."""
    body, notes = encode(model, thinking={"type": asked})

    assert sent == body.get("thinking")
    assert ({"type": asked} != sent) == bool(notes)


def test_system_messages_are_merged_first():
    """Several, late or list-shaped system messages become one text in front."""
    body, notes = encode(
        messages=[
            *HELLO,
            {"role": "developer", "content": "Be brief."},
            {"role": "system", "content": [{"type": "text", "text": "Be kind."}]},
        ]
    )

    assert [{"role": "system", "content": "Be brief.\n\nBe kind."}, *HELLO] == body["messages"]
    assert any("system messages" in note for note in notes)


def test_one_leading_system_message_stays():
    """What is right already is not touched."""
    messages = [{"role": "system", "content": [{"type": "text", "text": "Be kind."}]}, *HELLO]
    body, notes = encode(messages=messages)

    assert messages == body["messages"]
    assert not notes


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        ("", {}),
        ('{"account": 7, "name": "Jo', {"account": 7, "name": "Jo"}),
        ("{'account': 7}", {}),
        ('{"x": NaN}', {}),
        ("not JSON", {}),
        ('{"account": 7}', {"account": 7}),
    ],
)
def test_broken_arguments_are_repaired(broken, mended):
    """Arguments in the history are JSON when they are sent, with what could be saved."""
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": broken}}
    history = [*HELLO, {"role": "assistant", "content": "", "tool_calls": [call]}]
    body, _ = encode(messages=history)

    assert mended == json.loads(body["messages"][1]["tool_calls"][0]["function"]["arguments"])


def test_whole_arguments_are_sent_as_they_came():
    """Valid JSON keeps its spelling."""
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"a" :  1}'}}
    body, notes = encode(messages=[*HELLO, {"role": "assistant", "content": "", "tool_calls": [call]}])

    assert body["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"a" :  1}'
    assert not notes


def test_calls_without_a_function_are_left():
    """A call of another type is the vendor's to judge."""
    call = {"id": "call_1", "type": "custom", "custom": {"name": "look", "input": "x"}}
    body, _ = encode(messages=[*HELLO, {"role": "assistant", "content": "", "tool_calls": [call]}])

    assert [call] == body["messages"][1]["tool_calls"]


def test_empty_thoughts_are_none():
    """A pair of tags with nothing in it leaves the text alone."""
    reply = decode(choices=[{"index": 0, "message": {"content": "<think>\n</think>\n\nHi"}, "finish_reason": "stop"}])

    assert (reply.text, reply.reasoning) == ("Hi", "")


def test_thoughts_are_sent_back_in_the_vendors_form():
    """Our reasoning_content goes back as reasoning_details, to M3.1-Flash as it is."""
    history = [*HELLO, {"role": "assistant", "content": "Hi", "reasoning_content": "Greet."}, *HELLO]
    (sent, flash) = (encode(model, messages=history)[0]["messages"][1] for model in (M3, "MiniMax-M3.1-Flash"))

    assert [detail["text"] for detail in sent["reasoning_details"]] == ["Greet."]
    assert "reasoning_content" not in sent
    assert flash["reasoning_content"] == "Greet."


def test_an_answer_survives_the_way_back():
    """What the vendor said comes back to it: thoughts, text and calls."""
    answer = json.loads((Path(__file__).parent / "fixtures" / "chat_success_reasoning_split.json").read_text())
    response = WireResponse(200, {}, json.dumps(answer["response"]["body"]).encode())
    reply = build().decode(ChatRequest.parse({"messages": HELLO}), response)
    body, _ = encode(messages=[*HELLO, reply.body["choices"][0]["message"], *HELLO])

    assert (
        answer["response"]["body"]["choices"][0]["message"]["reasoning_details"]
        == body["messages"][1]["reasoning_details"]
    )


def test_thoughts_of_other_vendors_are_dropped():
    """`reasoning`, and details in another vendor's format, stay here; a think tag in the text is text."""
    foreign = {
        "role": "assistant",
        "content": "<think>\nhm\n</think>\n\nHi",
        "reasoning": "hm",
        "reasoning_details": [{"type": "reasoning.encrypted", "format": "other-v1", "data": "x"}],
    }
    body, _ = encode(messages=[*HELLO, foreign, *HELLO])

    assert {"role": "assistant", "content": foreign["content"]} == body["messages"][1]


def test_own_details_are_kept():
    """Details the vendor wrote go back as they are."""
    own = [{"type": "reasoning.text", "format": "MiniMax-response-v1", "text": "Greet."}]
    body, _ = encode(messages=[*HELLO, {"role": "assistant", "content": "Hi", "reasoning_details": own}, *HELLO])

    assert own == body["messages"][1]["reasoning_details"]


# -- answers ----------------------------------------------------------------------------------


def decode(**body):
    whole = {"id": "1", "choices": [], **body}
    return build().decode(ChatRequest.parse({"messages": HELLO}), WireResponse(200, {}, json.dumps(whole).encode()))


def test_clients_see_openai_objects_only():
    """The vendor's extras are gone from a whole answer and from every chunk."""
    message = {"role": "assistant", "name": "MiniMax AI", "audio_content": "", "content": "Hi"}
    extras = {"base_resp": {"status_code": 0, "status_msg": ""}, "input_sensitive": False, "output_sensitive_int": 0}
    reply = decode(choices=[{"index": 0, "message": message, "finish_reason": "stop"}], **extras)
    chunks = feed(
        {**delta(role="assistant", name="MiniMax AI", content="Hi"), **extras}, delta("stop", role="", content="")
    )

    assert reply.body["choices"][0]["message"] == {"role": "assistant", "content": "Hi"}
    assert {"id", "choices", "object"} == set(reply.body)
    assert [c.body["choices"][0]["delta"] for c in chunks] == [{"role": "assistant", "content": "Hi"}, {"content": ""}]
    assert all({"id", "choices", "object"} == set(chunk.body) for chunk in chunks)


def test_clean_chunks_keep_their_bytes():
    """A chunk that needs no change is forwarded as it came."""
    (chunk, _) = feed(delta(content="Hi"), delta("stop"))

    assert chunk.raw is not None


@pytest.mark.parametrize("choices", [None, [], [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}]])
@pytest.mark.parametrize("code", [1008, "1008"], ids=["number", "text"])
def test_a_code_in_a_200_is_a_failure(choices, code):
    """base_resp decides, whatever stands beside it."""
    with pytest.raises(ProviderError) as caught:
        decode(choices=choices, base_resp={"status_code": code, "status_msg": "insufficient balance"})

    assert caught.value.kind == Kind.INSUFFICIENT_FUNDS
    assert caught.value.message == "insufficient balance"


def test_an_unknown_code_is_a_failure():
    """A code nobody documented is never success."""
    with pytest.raises(ProviderError):
        decode(choices=[{"message": {"content": "Hi"}}], base_resp={"status_code": 4711, "status_msg": "?"})


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (
            WireFailure(500, body=b'{"error": {"type": "api_error", "message": "no money (1008)"}}'),
            Kind.INSUFFICIENT_FUNDS,
        ),
        (WireFailure(429, body=b'{"base_resp": {"status_code": 1004, "status_msg": "login (1002)"}}'), Kind.AUTH),
        (WireFailure(500, body=b'{"error": {"type": "rate_limit_error", "message": "slow (9999)"}}'), Kind.RATE_LIMIT),
        (WireFailure(529, body=b'{"error": {"message": "busy"}}'), Kind.OVERLOADED),
        (WireFailure(400, body=b'{"error": {"message": "see (1008) for more"}}'), Kind.BAD_REQUEST),
        (
            WireFailure(400, body=b'{"error": {"message": "invalid params, unknown model \'x\' (2013)"}}'),
            Kind.MODEL_NOT_FOUND,
        ),
    ],
    ids=["brackets over status", "base_resp first", "type over status", "status last", "brackets end it", "model"],
)
def test_order_of_evidence(failure, kind):
    """base_resp, then the code in brackets at the end, then the type, then the status."""
    assert kind == build().classify(failure).kind


# -- streams ----------------------------------------------------------------------------------


def test_stream_ends_without_done():
    """A finish reason and the end of the body are enough."""
    chunks = feed(delta(content="Hi"), delta("stop"))

    assert text_of(chunks) == "Hi"
    assert chunks[-1].finish_reason == "stop"


def test_last_event_of_v2_is_not_said_twice():
    """The whole chat.completion at the end gives usage only, or the text would double."""
    whole = {
        "id": "1",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1},
        "base_resp": {"status_code": 0, "status_msg": ""},
    }
    finished = feed(delta(content="Hi"), delta("stop"), whole)
    unfinished = feed(delta(content="Hi"), whole)
    alone = feed(whole)

    for chunks in (finished, unfinished, alone):
        assert text_of(chunks) == "Hi"
        assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == ["stop"]
        assert (chunks[-1].usage.input, chunks[-1].usage.output) == (3, 1)


def test_last_event_of_v2_can_fail():
    """A code in the repeated whole is a failure all the same."""
    whole = {"object": "chat.completion", "choices": [], "base_resp": {"status_code": 1027, "status_msg": "output"}}
    with pytest.raises(ProviderError) as caught:
        feed(delta(content="Hi"), whole)

    assert caught.value.kind == Kind.CONTENT_POLICY


def test_null_where_objects_are_expected():
    """A null delta on the last chunk and null choices beside usage are no errors."""
    last = {"choices": [{"index": 0, "delta": None, "finish_reason": "stop"}]}
    chunks = feed(delta(content="Hi"), last, {"choices": None, "usage": {"prompt_tokens": 3, "completion_tokens": 1}})

    assert text_of(chunks) == "Hi"
    assert chunks[-1].usage.total == 4


@pytest.mark.parametrize("pieces", [["Gre", "et", " them."], ["Gre", "Greet", "Greet them."]], ids=["new", "repeated"])
def test_details_are_read_new_or_repeated(pieces):
    """The vendor's example repeats earlier thoughts, its service does not: both give the same."""
    chunks = feed(*(delta(reasoning_details=[{"text": piece}]) for piece in pieces), delta("stop", content="Hi"))

    assert reasoning_of(chunks) == "Greet them."
    assert not any("reasoning_details" in chunk.body["choices"][0]["delta"] for chunk in chunks)


def test_plain_reasoning_passes():
    """M3.1-Flash says reasoning_content, as we do; details beside it are not said twice."""
    chunks = feed(delta(reasoning_content="Greet."), delta("stop", content="Hi"))
    both = feed(delta(reasoning_content="Greet.", reasoning_details=[{"text": "Greet."}]), delta("stop"))

    assert "Greet." == reasoning_of(chunks) == reasoning_of(both)


def test_held_text_is_given_at_the_end():
    """What looked like the beginning of a tag and was none is not lost."""
    chunks = feed(delta(content="<th"), delta("stop"))

    assert text_of(chunks) == "<th"


def test_unclosed_thoughts_are_thoughts():
    """An answer cut inside its thoughts has no text."""
    chunks = feed(delta(content="<think>\nGre"), delta("length", content="et"))

    assert (reasoning_of(chunks), text_of(chunks)) == ("Greet", "")


@pytest.mark.parametrize(
    "part", [{"choices": [7]}, {"choices": [{"delta": 7}]}, {"choices": [{"delta": {"content": 7}}]}]
)
def test_senseless_shapes_are_protocol_errors(part):
    """Shapes no client expects never get through."""
    with pytest.raises(ProviderError) as caught:
        feed(part)

    assert caught.value.kind == Kind.PROTOCOL_ERROR


def test_dialects_differ_by_path_and_one_name():
    """Both endpoints share everything else."""
    assert MiniMax.dialect.errors == MiniMaxV2.dialect.errors

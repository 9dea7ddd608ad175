"""What every provider of OpenAI's dialect sends, whatever the vendor: address, headers, options of streams."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from aigateway.errors import ConfigurationError, Kind, ProviderError
from aigateway.providers import Dialect, OpenAICompatible, Options
from aigateway.providers._models_file import load_models
from aigateway.secrets import Secret
from aigateway.types import ChatRequest, Event, Target, WireFailure, WireResponse

HELLO = [{"role": "user", "content": "hi"}]
TARGET = Target("p", "m")


class Plain(OpenAICompatible):
    dialect = Dialect(base_url="https://vendor.test/v1")


class Silent(OpenAICompatible):
    """A vendor that refuses to be asked for usage."""

    dialect = Dialect(base_url="https://vendor.test/v1", asks_usage=False)


def sent(provider: OpenAICompatible, **fields: Any) -> dict[str, Any]:
    encoded = provider.encode(ChatRequest.parse({"messages": HELLO, **fields}), Secret("key-of-nobody"), TARGET)
    return dict(json.loads(encoded.body))


@pytest.mark.parametrize("address", ["vendor.test/v1", "ftp://vendor.test", "//vendor.test", "file:///etc/passwd"])
def test_an_address_that_is_none(address: str) -> None:
    """A configured address without http in front stops the start, and says which provider's it is."""
    with pytest.raises(ConfigurationError, match=r"providers\.p\.base_url must begin with https://"):
        Plain(Options("p", address))


def test_a_slash_at_the_end_of_an_address() -> None:
    """It is one address with and without."""
    urls = {
        Plain(Options("p", address)).encode(ChatRequest.parse({"messages": HELLO}), Secret("key-0"), TARGET).url
        for address in (None, "https://vendor.test/v1", "https://vendor.test/v1//")
    }

    assert {"https://vendor.test/v1/chat/completions"} == urls


@pytest.mark.parametrize("given", [None, {"include_usage": False}, {"include_obfuscation": False}])
def test_a_stream_is_asked_for_its_usage(given: Any) -> None:
    """Whatever the caller says of it: what it costs has to be known. His other options stay."""
    body = sent(Plain(Options("p")), stream=True, **({"stream_options": given} if given else {}))

    assert {**(given or {}), "include_usage": True} == body["stream_options"]
    assert body["stream"] is True
    assert "stream_options" not in sent(Plain(Options("p")))


def test_who_refuses_to_be_asked_is_not() -> None:
    """The caller's own option is left out there, and that is said."""
    provider = Silent(Options("p"))
    options = {"include_usage": True, "include_obfuscation": False}
    asked = ChatRequest.parse({"messages": HELLO, "stream": True, "stream_options": options})
    encoded = provider.encode(asked, Secret("key-of-nobody"), TARGET)

    assert "stream_options" not in json.loads(encoded.body)
    assert ["stream_options was dropped: p refuses it"] == list(encoded.notes)
    assert "stream_options" not in sent(provider, stream=True, stream_options={"include_usage": True})
    assert "stream_options" not in sent(provider, stream=True)


def test_headers_of_many_keys() -> None:
    """They are kept per key, and not for ever: keys that come and go fill no memory, and none gets another's."""
    provider = Plain(Options("p"))
    request = ChatRequest.parse({"messages": HELLO})
    for number in range(1200):
        headers = provider.encode(request, Secret(f"key-{number}"), TARGET).headers
        value = headers["authorization"]

        assert isinstance(value, Secret)
        assert f"Bearer key-{number}" == value.reveal()
    assert len(provider._heads) <= 512


@pytest.mark.parametrize("operation", ["chat", "listing"])
@pytest.mark.parametrize(
    ("status", "kind"), [(401, Kind.AUTH), (429, Kind.RATE_LIMIT), (503, Kind.OVERLOADED), (302, Kind.PROTOCOL_ERROR)]
)
def test_a_body_that_came_with_a_wrong_status(operation: str, status: int, kind: Kind) -> None:
    """However good it looks: whoever decodes it by himself is told the same failure as by `classify`."""
    provider = Plain(Options("p"))
    body = b'{"choices": [{"message": {"content": "hi"}}], "data": [{"id": "m"}]}'
    response = WireResponse(status, {}, body)
    with pytest.raises(ProviderError) as caught:
        if operation == "chat":
            provider.decode(ChatRequest.parse({"messages": HELLO}), response)
        else:
            provider.parse_models(response)

    assert provider.classify(WireFailure(status, {}, body)).kind is caught.value.kind
    assert kind is caught.value.kind


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models = 7", "models.toml of .* is wrong"),
        ("[[models]]\nid = 'm'\ncolour = 1", "colour"),
        ("[[models]]\nid = 'm'\nprices = [{ input = 0.15 }]", 'must be a text, such as "0.15"'),
        ("[[models]]\nid = 'm'\nprices = [{ input = 'cheap' }]", "models.toml of .* is wrong"),
        ("[[retired]]\nid = 'm'", "successor"),
        ("models = [", "models.toml of .* is wrong"),
    ],
)
def test_a_list_of_models_that_is_wrong(text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plug-in's own file is its author's: the error names it, and what is wrong in it."""
    package = tmp_path / "odd_models"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "models.toml").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "odd_models", raising=False)
    with pytest.raises(ConfigurationError, match=said) as caught:
        load_models("odd_models._provider", "odd")

    assert "odd_models" in caught.value.message
    (package / "models.toml").unlink()
    assert () == load_models("odd_models", "odd")


# -- what clients rely on -----------------------------------------------------------------------


def heard(*deltas: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """Give what a stream of these deltas becomes."""
    decoder = Plain(Options("p")).decoder(ChatRequest.parse({"messages": HELLO, "stream": True}))
    bodies = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    bodies.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}], **more})
    chunks = [chunk for body in bodies for chunk in decoder.feed(Event(json.dumps(body).encode()))]
    chunks += decoder.feed(Event(b"[DONE]"))
    return [json.loads(chunk.to_json()) for chunk in chunks]


def test_calls_without_numbers_are_numbered() -> None:
    """Clients add the pieces of a call up by its number; an id begins the next one, what has none goes on."""
    first = {"tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]}
    more = {"tool_calls": [{"function": {"arguments": "{}"}}]}
    both = {
        "tool_calls": [{"id": "b", "function": {"name": "g"}}, {"id": "c", "index": None, "function": {"name": "h"}}]
    }
    told = heard(first, more, both, more)[:-1]

    assert [[0], [0], [1, 2], [2]] == [
        [call["index"] for call in body["choices"][0]["delta"]["tool_calls"]] for body in told
    ]


def test_an_id_that_is_said_again_begins_no_call() -> None:
    """Pieces that repeat the id of their call belong to it; an id after pieces without one begins another."""
    piece = {"tool_calls": [{"id": "a", "function": {"arguments": "{"}}]}
    other = {"tool_calls": [{"id": "b", "function": {"arguments": "{"}}]}
    nameless = {"tool_calls": [{"function": {"name": "f"}}]}
    numbers = [
        [call["index"] for body in heard(*deltas)[:-1] for call in body["choices"][0]["delta"]["tool_calls"]]
        for deltas in ((piece, piece, other, nameless, other), (nameless, nameless, piece))
    ]

    assert [[0, 0, 1, 1, 1], [0, 0, 1]] == numbers


def test_numbers_of_the_vendor_stay() -> None:
    """A call that has a number keeps it, and its bytes are passed on as they came."""
    told = heard({"tool_calls": [{"index": 3, "id": "a", "function": {"name": "f"}}]})

    assert 3 == told[0]["choices"][0]["delta"]["tool_calls"][0]["index"]


@pytest.mark.parametrize(
    ("told", "details"),
    [
        ({"prompt_cache_hit_tokens": 3}, {"cached_tokens": 3}),
        (
            {"prompt_cache_hit_tokens": 3, "prompt_tokens_details": {"audio_tokens": 1}},
            {"audio_tokens": 1, "cached_tokens": 3},
        ),
        ({"prompt_cache_hit_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}, {"cached_tokens": 2}),
        ({"prompt_cache_hit_tokens": 0}, None),
        ({"prompt_cache_hit_tokens": 9}, {"cached_tokens": 5}),
    ],
    ids=["alone", "beside others", "both", "none", "more than there is"],
)
@pytest.mark.parametrize("stream", [False, True])
def test_both_spellings_of_what_was_cached(told: dict[str, Any], details: Any, stream: bool) -> None:
    """What a vendor says in DeepSeek's words is there in OpenAI's, too; its own words stay."""
    usage = {"prompt_tokens": 5, "completion_tokens": 1, **told}
    if stream:
        shown = heard(usage=usage)[-1]["usage"]
    else:
        message = {"role": "assistant", "content": "hi"}
        body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}
        response = WireResponse(200, {}, json.dumps(body).encode())
        shown = Plain(Options("p")).decode(ChatRequest.parse({"messages": HELLO}), response).body["usage"]

    assert details == shown.get("prompt_tokens_details")
    assert told["prompt_cache_hit_tokens"] == shown["prompt_cache_hit_tokens"]

"""What every provider of OpenAI's dialect sends, whatever the vendor: address, headers, options of streams."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aigateway.errors import ConfigurationError
from aigateway.providers import Dialect, OpenAICompatible, Options
from aigateway.secrets import Secret
from aigateway.types import ChatRequest, Target

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
    """The caller's own option is left out there."""
    provider = Silent(Options("p"))

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

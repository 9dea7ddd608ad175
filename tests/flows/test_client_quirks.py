"""What single clients rely on: headers of their dialect, headers of ours, and a word about what they did not get."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from aigateway import Gateway
from aigateway.testing.sandbox import Sandbox

from .conftest import SMALL, Configure, Serving, Switch

NATIVE = {"deepseek": "deepseek/deepseek-flash", "minimax": "minimax/MiniMax-M3"}
TRANSLATED = {"openai": "openai/gpt-5.4-mini", "groq": "groq/openai/gpt-oss-120b"}
ALL = {**NATIVE, **TRANSLATED}
HELLO: Any = [{"role": "user", "content": "hi"}]
BETA = [("anthropic-beta", "one-2026-01-01,two-2026-01-02"), ("anthropic-version", "2099-12-31")]

each_vendor = pytest.mark.parametrize("vendor", ALL)


@pytest.fixture
def http(configure: Configure, serving: Serving) -> Iterator[httpx2.Client]:
    """Give a client for a gateway over the stand-ins."""
    with serving(Gateway(configure(), seed=1)) as url, httpx2.Client(base_url=url, timeout=20) as client:
        yield client


def message(http: httpx2.Client, model: str, headers: Any = (), **more: Any) -> httpx2.Response:
    body = {"model": model, "max_tokens": 99, "messages": HELLO, **more}
    return http.post("/v1/messages?beta=true", json=body, headers=list(headers))


def chat(http: httpx2.Client, model: str, **more: Any) -> httpx2.Response:
    return http.post("/v1/chat/completions", json={"model": model, "messages": HELLO, **more})


def told(standins: Sandbox, vendor: str) -> dict[str, str]:
    """Give what the last request to a vendor says of Anthropic's dialect."""
    headers = standins.vendors[vendor].requests[-1].headers
    return {name: value for name, value in headers.items() if name.startswith(("anthropic", "x-"))}


# -- headers of a dialect ---------------------------------------------------------------------


@pytest.mark.parametrize("vendor", NATIVE)
@pytest.mark.parametrize("stream", [False, True])
def test_to_vendors_that_speak_it(http: httpx2.Client, standins: Sandbox, vendor: str, stream: bool) -> None:
    """A vendor of this dialect is sent its headers as they came, and no other header of the client's."""
    reply = message(http, NATIVE[vendor], [*BETA, ("x-other", "1")], stream=stream)

    assert 200 == reply.status_code
    assert dict(BETA) == told(standins, vendor)


@pytest.mark.parametrize("vendor", TRANSLATED)
def test_to_vendors_that_do_not(http: httpx2.Client, standins: Sandbox, vendor: str) -> None:
    """A vendor that is asked in chat is sent none of them."""
    assert 200 == message(http, TRANSLATED[vendor], BETA).status_code
    assert {} == told(standins, vendor)


def test_a_failover_between_dialects(http: httpx2.Client, standins: Sandbox, switch: Switch) -> None:
    """Each is sent what is its own, within one request."""
    switch("deepseek", "error:500")
    reply = message(http, "smart", BETA, routing={"models": list(TRANSLATED.values()), "ignore": ["minimax"]})

    assert "sandbox/openai" == reply.headers["x-aigateway-provider"]
    assert [dict(BETA), {}] == [told(standins, "deepseek"), told(standins, "openai")]


def test_several_lines_and_none(http: httpx2.Client, standins: Sandbox) -> None:
    """A header that came twice is sent on as one list; without a version the one there is goes."""
    message(http, NATIVE["deepseek"], [("anthropic-beta", "one"), ("anthropic-beta", "two")])

    assert {"anthropic-beta": "one,two", "anthropic-version": "2023-06-01"} == told(standins, "deepseek")


@pytest.mark.parametrize("value", [b"caf\xc3\xa9", b"a\tb", b"x" * 5000], ids=["accents", "tab", "long"])
def test_what_no_header_may_hold(http: httpx2.Client, standins: Sandbox, value: bytes) -> None:
    """It is refused in the dialect, by name, and nobody is asked."""
    reply = message(http, NATIVE["deepseek"], [(b"anthropic-beta", value)])

    assert (400, "error") == (reply.status_code, reply.json()["type"])
    assert "anthropic-beta" in reply.json()["error"]["message"]
    assert not standins.vendors["deepseek"].requests


def test_chat_passes_none_on(http: httpx2.Client, standins: Sandbox) -> None:
    """In another dialect they mean nothing."""
    body = {"model": NATIVE["deepseek"], "messages": HELLO}

    assert 200 == http.post("/v1/chat/completions", json=body, headers=BETA).status_code
    assert {} == told(standins, "deepseek")


# -- headers of ours --------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["chat/completions", "messages", "responses"])
@pytest.mark.parametrize("model", [NATIVE["deepseek"], TRANSLATED["openai"]])
def test_what_it_cost(http: httpx2.Client, standins: Sandbox, configure: Configure, path: str, model: str) -> None:
    """A whole answer says exactly what it cost by its usage and the price list, in any dialect; a stream does not."""
    asked: Any = {"responses": {"input": "hi"}}.get(path, {"messages": HELLO, "max_tokens": 99})
    whole = http.post(f"/v1/{path}", json={"model": model, **asked})
    streamed = http.post(f"/v1/{path}", json={"model": model, **asked, "stream": True})
    usage = whole.json()["usage"]
    read, written = (
        usage.get(f"{a}_tokens", usage.get(f"{b}_tokens")) for a, b in (("prompt", "input"), ("completion", "output"))
    )
    (card,) = [card for card in http.get("/v1/models").json()["data"] if card["id"] == model.partition("/")[2]]
    price = card["pricing"]
    expected = (read * Decimal(str(price["input"])) + written * Decimal(str(price["output"]))) / 1_000_000

    assert expected == Decimal(whole.headers["x-aigateway-cost"])
    assert "E" not in whole.headers["x-aigateway-cost"]
    assert "x-aigateway-cost" not in streamed.headers
    assert all(reply.headers["openai-processing-ms"].isdigit() for reply in (whole, streamed))


def test_a_cost_nobody_knows(configure: Configure, serving: Serving) -> None:
    """An estimate is no cost that is known: there is no header then, rather than a wrong one."""
    settings = configure(providers={"echo": {}}, routes={"smart": {"targets": ["echo/echo"]}})
    with serving(Gateway(settings, seed=1)) as url:
        reply = httpx2.post(f"{url}/v1/chat/completions", json={"messages": HELLO}, timeout=20)

    assert 200 == reply.status_code
    assert "x-aigateway-cost" not in reply.headers


@pytest.mark.parametrize(("fault", "is_known"), [("rate_limit", True), ("hang", False)])
def test_calls_that_may_have_cost_something(
    configure: Configure, serving: Serving, switch: Switch, fault: str, is_known: bool
) -> None:
    """A failure that is never billed adds nothing; after a call that may have been, nothing is said."""
    settings = configure(timeouts=SMALL, routes={"smart": {"targets": list(ALL.values())}})
    with serving(Gateway(settings, seed=1)) as url, httpx2.Client(base_url=url, timeout=20) as client:
        alone = chat(client, ALL["minimax"])
        switch("deepseek", fault)
        after = chat(client, "smart")

    assert "sandbox/minimax" == after.headers["x-aigateway-provider"]
    assert after.headers.get("x-aigateway-cost") == (alone.headers["x-aigateway-cost"] if is_known else None)


# -- fewer answers than were asked for --------------------------------------------------------


@each_vendor
@pytest.mark.parametrize("stream", [False, True])
def test_fewer_answers(http: httpx2.Client, vendor: str, stream: bool) -> None:
    """Who asks for three and is given one is told so, in a stream before it begins; who gets three is not."""
    reply = chat(http, ALL[vendor], n=3, stream=stream)
    given = 3 if vendor == "openai" else 1
    warning = f"3 answers were asked for, and {ALL[vendor]} gave 1"

    assert 200 == reply.status_code
    assert reply.headers.get("x-aigateway-warning", "") == ("" if given == 3 else warning)
    assert given == len(reply.json()["choices"]) if not stream else f'"index":{given - 1}' in reply.text


@each_vendor
def test_as_many_as_asked(http: httpx2.Client, vendor: str) -> None:
    """One that was asked for, or not spoken of, is no reason for a warning."""
    replies = [chat(http, ALL[vendor], **more) for more in ({}, {"n": 1}, {"n": None})]

    assert not any("x-aigateway-warning" in reply.headers for reply in replies)


def test_it_is_in_the_record(http: httpx2.Client) -> None:
    """Why a call went where it went says so, too."""
    reply = chat(http, NATIVE["deepseek"], n=2)
    kept = http.get(f"/admin/decisions/{reply.headers['x-request-id']}").json()

    assert ["2 answers were asked for, and deepseek/deepseek-flash gave 1"] == kept["decision"]["warnings"]


# -- habits of other gateways -----------------------------------------------------------------


@pytest.mark.parametrize("path", ["chat/completions", "responses", "messages", "completions", "embeddings"])
@pytest.mark.parametrize(
    ("field", "value", "instead"),
    [
        ("fallbacks", ["a"], "'models'"),
        ("provider", {"order": ["groq"]}, "'order'"),
        ("route", "fallback", "'models'"),
        ("num_retries", 3, "'deadline'"),
    ],
)
def test_fields_of_others(
    http: httpx2.Client, standins: Sandbox, path: str, field: str, value: Any, instead: str
) -> None:
    """They are refused with what to use here, before anybody is asked; as null they say nothing."""
    asked: Any = {
        "chat/completions": {"messages": HELLO},
        "messages": {"messages": HELLO, "max_tokens": 9},
        "completions": {"prompt": "hi"},
    }.get(path, {"input": "hi"})
    asked["model"] = "text-embedding-3-small" if path == "embeddings" else "smart"
    reply = http.post(f"/v1/{path}", json={**asked, field: value})
    error = reply.json()["error"]

    assert 400 == reply.status_code
    assert all(part in error["message"] for part in (f"'{field}'", "'routing'", instead))
    assert not any(vendor.requests for vendor in standins.vendors.values())
    assert 200 == http.post(f"/v1/{path}", json={**asked, field: None}).status_code


def test_for_one_vendor_they_pass(http: httpx2.Client, standins: Sandbox) -> None:
    """A vendor that has such a field of its own is sent it from `extra`."""
    reply = chat(http, NATIVE["deepseek"], extra={"deepseek": {"provider": {"order": ["a"]}}})

    assert 200 == reply.status_code
    assert {"order": ["a"]} == standins.vendors["deepseek"].requests[-1].body["provider"]


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        ("chat/completions", {"prompt": "hi"}, "/v1/completions"),
        ("responses", {"messages": HELLO}, "/v1/chat/completions"),
        ("messages", {"input": "hi", "max_tokens": 9}, "/v1/responses"),
        ("messages", {"prompt": "hi", "max_tokens": 9}, "/v1/completions"),
        ("completions", {"messages": HELLO}, "/v1/chat/completions"),
        ("completions", {"input": "hi"}, "/v1/responses"),
    ],
)
def test_the_wrong_address(http: httpx2.Client, path: str, body: Any, place: str) -> None:
    """A request of one dialect at the address of another is told where it belongs."""
    reply = http.post(f"/v1/{path}", json={"model": "smart", **body})

    assert 400 == reply.status_code
    assert place in reply.json()["error"]["message"]


# -- a Responses request at chat's address ----------------------------------------------------

EDITORS: Any = {
    "instructions": "Be brief.",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "What is on account 1?"}]},
        {"type": "function_call", "call_id": "c1", "name": "read_ledger", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "42 EUR"},
    ],
    "tools": [{"type": "function", "name": "read_ledger", "parameters": {"type": "object", "properties": {}}}],
    "max_tokens": 99,
    "stream_options": {"include_usage": True},
}


@pytest.mark.parametrize("more", [{}, {"messages": []}, {"messages": None}])
def test_it_is_understood(http: httpx2.Client, standins: Sandbox, more: Any) -> None:
    """What an editor sends there is asked as the chat it means, and answered in chat's stream."""
    body = {"model": NATIVE["deepseek"], "stream": True, **EDITORS, **more}
    reply = http.post("/v1/chat/completions", json=body)
    sent = standins.vendors["deepseek"].requests[-1]

    assert (200, "/chat/completions") == (reply.status_code, sent.path)
    assert '"object":"chat.completion.chunk"' in reply.text
    assert '"prompt_tokens":' in reply.text
    assert reply.text.endswith("data: [DONE]\n\n")
    assert ["system", "user", "assistant", "tool"] == [message["role"] for message in sent.body["messages"]]
    assert ["read_ledger"] == [tool["function"]["name"] for tool in sent.body["tools"]]
    assert 99 == sent.body["max_tokens"]


@pytest.mark.parametrize("path", ["chat/completions", "chat/completions/stream"])
def test_a_whole_answer_to_it(http: httpx2.Client, path: str) -> None:
    """Its answer is a chat completion, or chat's stream where the address says so."""
    reply = http.post(f"/v1/{path}", json={"model": "smart", "input": "hi", "routing": {"only": ["openai"]}})

    assert "sandbox/openai" == reply.headers["x-aigateway-provider"]
    assert ('"chat.completion"' if path == "chat/completions" else '"chat.completion.chunk"') in reply.text


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id", "keeps no responses"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "/v1/responses"),
        ({"max_tokens": 0}, "max_tokens", "greater than or equal to 1"),
        ({"input": 7}, "input", "input"),
        ({"base_url": "http://localhost"}, "base_url", "configuration"),
    ],
)
def test_what_of_it_is_not(http: httpx2.Client, standins: Sandbox, fields: Any, param: str, words: str) -> None:
    """What chat cannot say, or nobody may, is refused by its name; nobody is asked."""
    reply = http.post("/v1/chat/completions", json={"model": "smart", "input": "hi", **fields})
    error = reply.json()["error"]

    assert 400 == reply.status_code
    assert param == error["param"]
    assert words in error["message"]
    assert not any(vendor.requests for vendor in standins.vendors.values())

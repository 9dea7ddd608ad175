"""Each stand-in speaks its vendor's dialect and refuses what its vendor refuses."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import openai
import pytest
from pydantic import BaseModel

from aigateway.testing.sandbox import VENDORS, Sandbox

pytestmark = pytest.mark.anyio

MODELS = {
    "deepseek": "deepseek-flash",
    "minimax": "MiniMax-M3",
    "openai": "gpt-5.4-mini",
    "groq": "openai/gpt-oss-120b",
}
TITLES = {"deepseek": "DeepSeek", "minimax": "MiniMax", "openai": "OpenAI", "groq": "Groq"}
TOOL = {
    "type": "function",
    "function": {
        "name": "read_ledger",
        "parameters": {
            "type": "object",
            "properties": {"account": {"type": "integer"}, "note": {"type": "string"}, "spare": {"type": "string"}},
            "required": ["account", "note"],
        },
    },
}
ARGUMENTS = {"account": 1, "note": "example"}


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Client:
    """Ask one stand-in after the other."""

    def __init__(self, sandbox: Sandbox, http: httpx2.AsyncClient) -> None:
        self.sandbox = sandbox
        self.http = http

    async def post(self, vendor: str, path: str = "/chat/completions", **body: Any) -> httpx2.Response:
        whole = {"model": MODELS[vendor], "messages": [{"role": "user", "content": "Good morning"}], **body}
        return await self.http.post(self.sandbox.vendors[vendor].url + path, json=whole)

    async def stream(
        self, vendor: str, path: str = "/chat/completions", **body: Any
    ) -> tuple[list[dict[str, Any]], str]:
        response = await self.post(vendor, path, stream=True, **body)
        assert 200 == response.status_code, response.text
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line[6:] for line in response.text.splitlines() if line.startswith("data: ")]
        return [json.loads(line) for line in lines if line != "[DONE]"], response.text


@asynccontextmanager
async def running() -> AsyncIterator[Client]:
    headers = {"authorization": "Bearer sandbox-key"}
    async with Sandbox(pace=0) as sandbox, httpx2.AsyncClient(headers=headers, timeout=5, verify=False) as http:
        yield Client(sandbox, http)


def joined(chunks: list[dict[str, Any]], name: str) -> str:
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    return "".join(delta.get(name) or "" for delta in deltas)


def arguments(chunks: list[dict[str, Any]]) -> str:
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    calls = [call for delta in deltas for call in delta.get("tool_calls") or []]
    return "".join(call["function"]["arguments"] for call in calls)


# -- what all of them do ----------------------------------------------------------------------


@pytest.mark.parametrize("vendor", VENDORS)
async def test_plain(vendor: str) -> None:
    """A plain answer quotes the last user message and counts its tokens."""
    async with running() as client:
        response = await client.post(vendor)
    body = response.json()

    assert 200 == response.status_code
    assert (
        f"Hello from the {TITLES[vendor]} stand-in. You said: Good morning" in body["choices"][0]["message"]["content"]
    )
    assert "stop" == body["choices"][0]["finish_reason"]
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0


@pytest.mark.parametrize("vendor", VENDORS)
async def test_stream(vendor: str) -> None:
    """A streamed answer has at least eight pieces of content, one finish reason and an end marker."""
    async with running() as client:
        chunks, raw = await client.stream(vendor)
    finishes = [
        choice["finish_reason"] for chunk in chunks for choice in chunk["choices"] if choice.get("finish_reason")
    ]
    contents = [
        choice["delta"]["content"] for chunk in chunks for choice in chunk["choices"] if choice["delta"].get("content")
    ]

    assert f"Hello from the {TITLES[vendor]} stand-in. You said: Good morning" in joined(chunks, "content")
    assert len(contents) >= 8
    assert ["stop"] == finishes
    assert raw.endswith("data: [DONE]\n\n")
    assert 1 == len({chunk["id"] for chunk in chunks})


@pytest.mark.parametrize("vendor", VENDORS)
async def test_models(vendor: str) -> None:
    """The list of models has the ones that answer."""
    async with running() as client:
        response = await client.http.get(client.sandbox.vendors[vendor].url + "/models")

    assert MODELS[vendor] in [entry["id"] for entry in response.json()["data"]]


@pytest.mark.parametrize("vendor", VENDORS)
async def test_tool_call(vendor: str) -> None:
    """A tool is called with the required properties, plain and streamed."""
    async with running() as client:
        plain = (await client.post(vendor, tools=[TOOL])).json()["choices"][0]
        chunks, _ = await client.stream(vendor, tools=[TOOL])

    assert "tool_calls" == plain["finish_reason"]
    assert ARGUMENTS == json.loads(plain["message"]["tool_calls"][0]["function"]["arguments"])
    assert ARGUMENTS == json.loads(arguments(chunks))


@pytest.mark.parametrize("vendor", VENDORS)
async def test_tool_result(vendor: str) -> None:
    """A tool's result is quoted, and the tool is not called again."""
    call = {"id": "call_1", "type": "function", "function": {"name": "read_ledger", "arguments": "{}"}}
    assistant = {"role": "assistant", "content": "", "tool_calls": [call]}
    if vendor == "deepseek":
        assistant["reasoning_content"] = "The ledger."
    messages = [
        {"role": "user", "content": "?"},
        assistant,
        {"role": "tool", "tool_call_id": "call_1", "content": "12 apples"},
    ]
    async with running() as client:
        body = (await client.post(vendor, tools=[TOOL], messages=messages)).json()

    assert "The tool said: 12 apples" in body["choices"][0]["message"]["content"]


@pytest.mark.parametrize("vendor", VENDORS)
async def test_tool_choice(vendor: str) -> None:
    """The named tool is called, and none when none is wanted."""
    other = {"type": "function", "function": {"name": "close_ledger"}}
    named = {"type": "function", "function": {"name": "close_ledger"}}
    async with running() as client:
        chosen = (await client.post(vendor, tools=[TOOL, other], tool_choice=named)).json()["choices"][0]["message"]
        none = (await client.post(vendor, tools=[TOOL], tool_choice="none")).json()["choices"][0]["message"]

    assert "close_ledger" == chosen["tool_calls"][0]["function"]["name"]
    assert "tool_calls" not in none


@pytest.mark.parametrize("vendor", VENDORS)
async def test_same_seed_same_answers(vendor: str) -> None:
    """Two sandboxes answer the same, byte for byte."""
    answers = []
    for _ in range(2):
        async with running() as client:
            answers.append([(await client.post(vendor)).content, (await client.post(vendor, stream=True)).content])

    assert answers[0] == answers[1]


@pytest.mark.parametrize("vendor", VENDORS)
async def test_limit(vendor: str) -> None:
    """An answer stays within the tokens it may have, and says that it was cut."""
    limit: dict[str, Any] = {"max_tokens" if vendor == "deepseek" else "max_completion_tokens": 4}
    async with running() as client:
        body = (await client.post(vendor, **limit)).json()

    assert "length" == body["choices"][0]["finish_reason"]
    assert 4 == body["usage"]["completion_tokens"]


@pytest.mark.parametrize("vendor", VENDORS)
async def test_cached_tokens(vendor: str) -> None:
    """A long prompt is partly cached."""
    messages = [{"role": "user", "content": "word " * 400}]
    async with running() as client:
        body = (await client.post(vendor, messages=messages)).json()

    assert 0 < body["usage"]["prompt_tokens_details"]["cached_tokens"] < body["usage"]["prompt_tokens"]


UNAUTHORIZED = {
    "deepseek": ("authentication_error", "invalid_request_error"),
    "openai": ("invalid_request_error", "invalid_api_key"),
    "groq": ("invalid_request_error", "invalid_api_key"),
}


@pytest.mark.parametrize("vendor", VENDORS)
async def test_wrong_key(vendor: str) -> None:
    """A wrong key gets the vendor's 401, and is not remembered."""
    async with running() as client:
        client.http.headers["authorization"] = "Bearer wrong-wrong-wrong-1234"
        response = await client.post(vendor)
        seen = client.sandbox.vendors[vendor].requests[-1]
        del client.http.headers["authorization"]
        missing = await client.post(vendor)
    error = response.json()["error"]

    assert [401, 401] == [response.status_code, missing.status_code]
    if vendor == "minimax":
        assert error["message"].endswith("(2049)")
        assert missing.json()["error"]["message"].endswith("(1004)")
    else:
        assert UNAUTHORIZED[vendor] == (error["type"], error["code"])
    assert "wrong-wrong" not in response.text
    assert "authorization" not in seen.headers
    assert "wrong-wrong" not in repr(seen)


@pytest.mark.parametrize("vendor", VENDORS)
async def test_seen(vendor: str) -> None:
    """What was asked and answered can be looked at."""
    async with running() as client:
        await client.post(vendor, user="u1")
        seen = client.sandbox.vendors[vendor].requests[-1]

    assert "POST" == seen.method
    assert seen.path.endswith("/chat/completions")
    assert "u1" == seen.body["user"]
    assert (200, "complete") == (seen.status, seen.ended)


BROKEN: list[Any] = [
    b"{",
    b"[]",
    b"",
    b"\xff",
    b'{"model": NaN}',
    {"messages": 3},
    {"messages": []},
    {"messages": ["x"]},
    {"messages": [{"content": "x"}]},
    {"messages": [{"role": "user", "content": 3}]},
    {"messages": [{"role": "tool", "content": "x"}]},
    {"tools": 3},
    {"tools": [3]},
    {"tools": [{"function": {}}]},
    {"stream": "yes"},
    {"temperature": "warm"},
    {"max_tokens": 0},
]


@pytest.mark.parametrize("vendor", VENDORS)
async def test_broken_requests(vendor: str) -> None:
    """Whatever is sent, the stand-in answers 400 in its vendor's form and goes on."""
    valid = {"model": MODELS[vendor], "messages": [{"role": "user", "content": "x"}]}
    async with running() as client:
        url = client.sandbox.vendors[vendor].url + "/chat/completions"
        for broken in BROKEN:
            sent = broken if isinstance(broken, bytes) else json.dumps({**valid, **broken}).encode()
            response = await client.http.post(url, content=sent)

            assert 400 == response.status_code, (broken, response.text)
            assert response.json()["error"]["message"], broken
        assert 200 == (await client.post(vendor)).status_code


@pytest.mark.parametrize("vendor", VENDORS)
async def test_unknown_paths_and_methods(vendor: str) -> None:
    """Another path is 404, another method is 405."""
    async with running() as client:
        url = client.sandbox.vendors[vendor].url
        assert 404 == (await client.http.post(url + "/nowhere", json={})).status_code
        assert 405 == (await client.http.get(url + "/chat/completions")).status_code


# -- DeepSeek ---------------------------------------------------------------------------------


async def test_deepseek_thoughts() -> None:
    """DeepSeek thinks unless told not to, and says so beside the content."""
    async with running() as client:
        thinking = (await client.post("deepseek")).json()
        silent = (await client.post("deepseek", thinking={"type": "disabled"})).json()
        chunks, raw = await client.stream("deepseek")

    assert "greeting" in thinking["choices"][0]["message"]["reasoning_content"]
    assert thinking["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0
    assert "reasoning_content" not in silent["choices"][0]["message"]
    assert "completion_tokens_details" not in silent["usage"]
    assert {"role": "assistant", "content": None, "reasoning_content": ""} == chunks[0]["choices"][0]["delta"]
    assert "greeting" in joined(chunks, "reasoning_content")
    assert raw.startswith(": keep-alive\n\n")


async def test_deepseek_usage() -> None:
    """DeepSeek's usage is on the chunk with the finish reason, and hit and miss make the prompt."""
    async with running() as client:
        chunks, _ = await client.stream("deepseek")
    usage = chunks[-1]["usage"]

    assert "stop" == chunks[-1]["choices"][0]["finish_reason"]
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert usage["prompt_tokens"] == usage["prompt_cache_hit_tokens"] + usage["prompt_cache_miss_tokens"]


async def test_deepseek_blank_lines() -> None:
    """DeepSeek sends blank lines before a plain answer, and answers under /v1 too."""
    async with running() as client:
        response = await client.post("deepseek", "/v1/chat/completions")

    assert response.text.startswith("\n\n{")


CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"messages": [{"role": "developer", "content": "x"}]}, 400, "unknown variant `developer`"),
        ({"model": "deepseek-chat"}, 400, "Model Not Exist"),
        ({"response_format": SCHEMA}, 400, "This response_format type is unavailable now"),
        ({"response_format": {"type": "json_object"}}, 400, "must contain the word 'json'"),
        ({"max_tokens": 500_000}, 400, "Invalid max_tokens value"),
        ({"temperature": 3}, 422, "temperature"),
        ({"tools": [TOOL], "tool_choice": "required"}, 400, "does not support this tool_choice"),
        ({"messages": [{"role": "assistant", "tool_calls": [CALL]}]}, 400, "must be passed back"),
        (
            {"model": "deepseek-v4-pro", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            400,
            "unknown variant `image_url`",
        ),
    ],
)
async def test_deepseek_refuses(body: dict[str, Any], status: int, words: str) -> None:
    """DeepSeek's refusals carry the same code whatever they are."""
    async with running() as client:
        response = await client.post("deepseek", **body)

    assert status == response.status_code
    assert words in response.json()["error"]["message"]
    assert "invalid_request_error" == response.json()["error"]["code"]


async def test_deepseek_accepts() -> None:
    """What DeepSeek ignores is ignored, and history without thoughts is fine when it does not think."""
    history = [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [CALL]}]
    history += [{"role": "tool", "tool_call_id": "c1", "content": "y"}]
    async with running() as client:
        ignored = (await client.post("deepseek", max_completion_tokens=1, whatever=1)).json()
        replayed = await client.post("deepseek", thinking={"type": "disabled"}, messages=history)
        parts = await client.post(
            "deepseek", messages=[{"role": "user", "content": [{"type": "text", "text": "json"}]}]
        )

    assert "stop" == ignored["choices"][0]["finish_reason"]
    assert 200 == replayed.status_code
    assert "You said: json" in parts.text


# -- MiniMax ----------------------------------------------------------------------------------


async def test_minimax_tags() -> None:
    """MiniMax thinks in tags that are split over chunks; later roles are empty, early usage is zero."""
    async with running() as client:
        plain = (await client.post("minimax")).json()
        chunks, _ = await client.stream("minimax")

    assert plain["choices"][0]["message"]["content"].startswith("<think>\nA short greeting")
    assert {"status_code": 0, "status_msg": ""} == plain["base_resp"]
    assert "<thi" == chunks[0]["choices"][0]["delta"]["content"]
    assert plain["choices"][0]["message"]["content"] == joined(chunks, "content")
    assert "" == chunks[1]["choices"][0]["delta"]["role"]
    assert 0 == chunks[1]["usage"]["total_tokens"]
    assert [] == chunks[-1]["choices"]
    assert chunks[-1]["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0


async def test_minimax_split() -> None:
    """With reasoning_split the thoughts are details, and with M3.1-Flash a field."""
    async with running() as client:
        split = (await client.post("minimax", reasoning_split=True)).json()["choices"][0]["message"]
        field = (await client.post("minimax", model="MiniMax-M3.1-Flash")).json()["choices"][0]["message"]
        off = (await client.post("minimax", thinking={"type": "disabled"})).json()["choices"][0]["message"]
        chunks, _ = await client.stream("minimax", reasoning_split=True)
    details = [
        detail for chunk in chunks for c in chunk["choices"] for detail in c["delta"].get("reasoning_details", [])
    ]

    assert split["content"].startswith("Hello")
    assert split["reasoning_details"][0]["text"] == field["reasoning_content"] == "".join(d["text"] for d in details)
    assert off["content"].startswith("Hello")
    assert "reasoning_details" not in off


async def test_minimax_old_endpoint() -> None:
    """The old endpoint ends its stream with the whole answer, and fails inside 200."""
    path = "/text/chatcompletion_v2"
    async with running() as client:
        chunks, raw = await client.stream("minimax", path)
        refused = await client.post("minimax", path, n=2)

    assert "chat.completion" == chunks[-1]["object"]
    assert joined(chunks[:-1], "content") == chunks[-1]["choices"][0]["message"]["content"]
    assert "[DONE]" not in raw
    assert 200 == refused.status_code
    assert 2013 == refused.json()["base_resp"]["status_code"]


@pytest.mark.parametrize("name", ["temperature", "top_p"])
async def test_minimax_refuses_inside_200(name: str) -> None:
    """A number out of range fails with base_resp in a 200, in a stream as its only event."""
    async with running() as client:
        for value in (0, 1.5):
            wrong: dict[str, Any] = {name: value}
            body = (await client.post("minimax", **wrong)).json()
            assert body["choices"] is None
            assert 2013 == body["base_resp"]["status_code"]
        chunks, _ = await client.stream("minimax", **wrong)

    assert [2013] == [chunk["base_resp"]["status_code"] for chunk in chunks]


BROKEN_CALL = {"id": "c9", "type": "function", "function": {"name": "f", "arguments": '{"a":'}}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"model": "minimax-m3"}, "unknown model"),
        ({"n": 2}, "n must be 1"),
        (
            {"messages": [{"role": "system", "content": "a"}, {"role": "system", "content": "b"}]},
            "invalid chat setting",
        ),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]}, "invalid chat setting"),
        ({"messages": [{"role": "developer", "content": "a"}]}, "invalid chat setting"),
        ({"thinking": {"type": "enabled"}}, "invalid thinking.type: enabled"),
        ({"messages": [{"role": "assistant", "tool_calls": [BROKEN_CALL]}]}, "tool_call_id: c9"),
    ],
)
async def test_minimax_refuses(body: dict[str, Any], words: str) -> None:
    """MiniMax's refusals have their code in brackets at the end."""
    async with running() as client:
        response = await client.post("minimax", **body)
    error = response.json()["error"]

    assert 400 == response.status_code
    assert words in error["message"]
    assert error["message"].endswith("(2013)")
    assert ("bad_request_error", "400") == (error["type"], error["http_code"])


# -- OpenAI -----------------------------------------------------------------------------------


async def test_openai_usage() -> None:
    """OpenAI streams usage only when asked, as an extra chunk without choices."""
    async with running() as client:
        without, _ = await client.stream("openai")
        asked, _ = await client.stream("openai", stream_options={"include_usage": True, "include_obfuscation": False})

    assert all("usage" not in chunk for chunk in without)
    assert all(chunk["obfuscation"] for chunk in without)
    assert all("obfuscation" not in chunk for chunk in asked)
    assert all(chunk["usage"] is None for chunk in asked[:-1])
    assert [] == asked[-1]["choices"]
    assert asked[-1]["usage"]["total_tokens"] > 0


async def test_openai_headers() -> None:
    """OpenAI names the request and the limits."""
    async with running() as client:
        headers = (await client.post("openai")).headers

    assert headers["x-request-id"].startswith("req_")
    assert "6ms" == headers["x-ratelimit-reset-requests"]


async def test_openai_choices() -> None:
    """OpenAI gives several choices, streamed ones interleaved."""
    async with running() as client:
        plain = (await client.post("openai", n=3)).json()
        chunks, _ = await client.stream("openai", n=2)

    assert [0, 1, 2] == [choice["index"] for choice in plain["choices"]]
    assert [0, 1] == sorted({choice["index"] for chunk in chunks for choice in chunk["choices"]})


@pytest.mark.parametrize(
    ("body", "status", "param", "code"),
    [
        ({"model": "gpt-9"}, 404, None, "model_not_found"),
        ({"max_tokens": 5}, 400, "max_tokens", "unsupported_parameter"),
        ({"reasoning_split": True}, 400, "reasoning_split", "unknown_parameter"),
        ({"temperature": 0.2}, 400, "temperature", "unsupported_value"),
        ({"top_p": 0.2, "reasoning_effort": "low"}, 400, "top_p", "unsupported_value"),
        ({"temperature": -1}, 400, "temperature", "decimal_below_min_value"),
        ({"temperature": 3}, 400, "temperature", "decimal_above_max_value"),
        ({"reasoning_effort": "none", "model": "gpt-6.2-sol"}, 400, "reasoning_effort", "unsupported_value"),
        ({"messages": [{"role": "latest_reminder", "content": "x"}]}, 400, "messages[0].role", "invalid_value"),
        ({"stream_options": {"include_usage": True}}, 400, "stream_options", None),
    ],
)
async def test_openai_refuses(body: dict[str, Any], status: int, param: str | None, code: str | None) -> None:
    """OpenAI's refusals name the parameter and a code."""
    async with running() as client:
        response = await client.post("openai", **body)
    error = response.json()["error"]

    assert (status, param, code) == (response.status_code, error["param"], error["code"])


async def test_openai_accepts() -> None:
    """Older models take max_tokens, and reasoning models a temperature without effort."""
    async with running() as client:
        assert 200 == (await client.post("openai", model="gpt-4.1", max_tokens=5, temperature=0.2)).status_code
        assert 200 == (await client.post("openai", temperature=0.2, reasoning_effort="none")).status_code
        assert 200 == (await client.post("openai", temperature=1)).status_code


# -- Groq -------------------------------------------------------------------------------------


async def test_groq_thoughts() -> None:
    """Groq's thoughts are `reasoning` with a channel, and shown as the request wants."""
    async with running() as client:
        chunks, _ = await client.stream("groq")
        raw = (await client.post("groq", reasoning_format="raw")).json()["choices"][0]["message"]
        hidden = (await client.post("groq", reasoning_format="hidden")).json()["choices"][0]["message"]
        without = (await client.post("groq", include_reasoning=False)).json()["choices"][0]["message"]
        rawchunks, _ = await client.stream("groq", reasoning_format="raw")
    thoughts = [c["delta"] for chunk in chunks for c in chunk["choices"] if "reasoning" in c["delta"]]

    assert "A short greeting that quotes the last message will do." == "".join(delta["reasoning"] for delta in thoughts)
    assert {"analysis"} == {delta["channel"] for delta in thoughts}
    assert raw["content"].startswith("<think>\n")
    assert raw["content"] == joined(rawchunks, "content")
    assert "reasoning" not in hidden
    assert "reasoning" not in without


async def test_groq_usage() -> None:
    """Groq gives usage twice on the last chunk; its id is the one of the header."""
    async with running() as client:
        response = await client.post("groq", stream=True)
    chunks = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]

    assert chunks[-1]["usage"] == chunks[-1]["x_groq"]["usage"]
    assert response.headers["x-request-id"] == chunks[0]["x_groq"]["id"]
    assert "fra" == response.headers["x-groq-region"]
    assert "2m59.56s" == response.headers["x-ratelimit-reset-requests"]


async def test_groq_whole_calls() -> None:
    """Groq sends a tool call in one delta, and a plain one without content."""
    async with running() as client:
        chunks, _ = await client.stream("groq", tools=[TOOL])
        plain = (await client.post("groq", tools=[TOOL])).json()["choices"][0]["message"]
    calls = [c["delta"]["tool_calls"] for chunk in chunks for c in chunk["choices"] if "tool_calls" in c["delta"]]

    assert 1 == len(calls)
    assert "content" not in plain


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"logprobs": True}, 400, "property 'logprobs' is unsupported"),
        ({"top_logprobs": 2}, 400, "property 'top_logprobs' is unsupported"),
        ({"logit_bias": {}}, 400, "property 'logit_bias' is unsupported"),
        ({"thinking": {"type": "disabled"}}, 400, "property 'thinking' is unsupported"),
        ({"messages": [{"role": "user", "name": "x", "content": "x"}]}, 400, "property 'name' is unsupported"),
        (
            {"messages": [{"role": "assistant", "content": "x", "reasoning_content": "y"}]},
            400,
            "property 'reasoning_content' is unsupported",
        ),
        ({"messages": [{"role": "critic", "content": "x"}]}, 400, "discriminator property 'role'"),
        ({"n": 2}, 400, "number must be at most 1"),
        ({"reasoning_format": "raw", "include_reasoning": True}, 400, "cannot specify both"),
        ({"reasoning_format": "loud"}, 400, "must be one of"),
        ({"reasoning_effort": "none"}, 400, "must be one of `low`"),
        ({"model": "groq/compound", "reasoning_effort": "low"}, 400, "not supported with this model"),
        ({"tools": [TOOL] * 129}, 400, "maximum number of items is 128"),
        ({"model": "llama-3.1-8b-instant"}, 404, "does not exist or you do not have access"),
    ],
)
async def test_groq_refuses(body: dict[str, Any], status: int, words: str) -> None:
    """Groq refuses what it does not know, by name."""
    async with running() as client:
        response = await client.post("groq", **body)

    assert status == response.status_code
    assert words in response.json()["error"]["message"]


@pytest.mark.parametrize("vendor", ["deepseek", "openai", "groq"])
async def test_json_object(vendor: str) -> None:
    """A JSON object is answered when one is asked for, whole and streamed."""
    messages = [{"role": "user", "content": "as json"}]
    async with running() as client:
        body: dict[str, Any] = {"response_format": {"type": "json_object"}, "messages": messages}
        plain = (await client.post(vendor, **body)).json()["choices"][0]["message"]["content"]
        chunks, _ = await client.stream(vendor, **body)

    assert "as json" == json.loads(plain)["said"]
    assert plain == joined(chunks, "content")


# -- the official client ----------------------------------------------------------------------


class Fruit(BaseModel):
    name: str
    weight: float


class Basket(BaseModel):
    owner: str
    fruits: list[Fruit]
    spare: Fruit | None
    paid: bool


USER: Any = [{"role": "user", "content": "hi"}]


@asynccontextmanager
async def official(vendor: str, key: str = "sandbox-key") -> AsyncIterator[openai.AsyncOpenAI]:
    http = httpx2.AsyncClient(verify=False)
    async with Sandbox(pace=0) as sandbox, http:
        yield openai.AsyncOpenAI(api_key=key, base_url=sandbox.vendors[vendor].url, max_retries=0, http_client=http)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("vendor", VENDORS)
async def test_openai_client(vendor: str, anyio_backend: str) -> None:
    """The official client reads every stand-in, whole and streamed, and lists its models."""
    async with official(vendor) as client:
        whole = await client.chat.completions.create(model=MODELS[vendor], messages=USER)
        stream = await client.chat.completions.create(model=MODELS[vendor], messages=USER, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
        models = [model.id async for model in client.models.list()]

    assert whole.choices[0].message.content == text
    assert MODELS[vendor] in models


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("vendor", ["openai", "groq"])
async def test_openai_client_parses(vendor: str, anyio_backend: str) -> None:
    """The official client's `parse` gets an object of the caller's class."""
    async with official(vendor) as client:
        found = await client.chat.completions.parse(model=MODELS[vendor], messages=USER, response_format=Basket)
    fruit = Fruit(name="example", weight=0.5)

    assert Basket(owner="example", fruits=[fruit], spare=fruit, paid=True) == found.choices[0].message.parsed


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_openai_client_errors(anyio_backend: str) -> None:
    """The official client raises its own errors for a wrong key and an unknown model."""
    async with official("openai", key="wrong") as client:
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()
    async with official("openai") as client:
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.create(model="gpt-9", messages=USER)

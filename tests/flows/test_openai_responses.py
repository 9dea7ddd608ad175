"""OpenAI's own client asks for responses of every vendor, those that have the API and those that are asked in chat."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import httpx2
import pytest
from openai import APIError, AsyncOpenAI, BadRequestError, InternalServerError, OpenAI
from pydantic import BaseModel

from aigateway import Gateway, RequestError, Settings, blocking
from aigateway.asgi import create_app
from aigateway.testing.sandbox import Sandbox

from .test_any_server import Exchange
from .test_client_leaves import PATIENT

Switch = Callable[[str, str], None]
NATIVE = ("openai/gpt-5.4-mini", "groq/openai/gpt-oss-120b", "deepseek/deepseek-flash")
MODELS = (*NATIVE, "minimax/MiniMax-M3")
TITLES = {"deepseek": "DeepSeek", "minimax": "MiniMax", "openai": "OpenAI", "groq": "Groq"}
TOOL: Any = {
    "type": "function",
    "name": "read_ledger",
    "description": "Read the balance of an account.",
    "parameters": {"type": "object", "properties": {"account": {"type": "integer"}}, "required": ["account"]},
}
ENDS = {"response.completed", "response.incomplete", "response.failed", "error"}
RETRIES = {"attempts": 4, "same_target": 0}
each_vendor = pytest.mark.parametrize("model", MODELS)


class Balance(BaseModel):
    account: int
    currency: str


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def url(configure: Callable[..., Settings], serving: Any) -> Iterator[str]:
    routes = {
        "across": {"targets": ["openai/gpt-5.4-mini", "minimax/MiniMax-M3", "groq/openai/gpt-oss-120b"]},
        "back": {"targets": ["minimax/MiniMax-M3", "openai/gpt-5.4-mini"]},
        "searching": {"targets": ["minimax/MiniMax-M3", "openai/gpt-5.4-mini"]},
    }
    with serving(
        Gateway(configure(routes=routes, default_model="across", fallback="across", retries=RETRIES), seed=1)
    ) as root:
        yield f"{root}/v1"


@pytest.fixture
def client(url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=url, api_key="any", max_retries=0, timeout=20) as found:
        yield found


def greeting(model: str) -> str:
    return f"Hello from the {TITLES[model.partition('/')[0]]} stand-in. You said: hi"


def parsed(body: str) -> list[dict[str, Any]]:
    """Read named events strictly: a name, and one line of data whose type is that name; nothing like `[DONE]`."""
    events = []
    for part in body.removesuffix("\n\n").split("\n\n"):
        name, data = part.split("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    return events


@each_vendor
def test_plain(client: OpenAI, model: str) -> None:
    """Each vendor gives a whole response, with the tokens it took, by the model that answered."""
    raw = client.responses.with_raw_response.create(model=model, input="hi", instructions="Be brief.")
    response = raw.parse()

    assert greeting(model) == response.output_text
    assert ("completed", "response") == (response.status, response.object)
    assert model.partition("/")[2] == response.model == raw.headers["x-aigateway-model"]
    assert response.id.startswith("resp_")
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens > 5
    assert "Be brief." == response.instructions
    assert "1" == raw.headers["x-aigateway-attempts"]


@each_vendor
def test_streamed(client: OpenAI, model: str) -> None:
    """The client's own helper, which is strict about the order of events, puts the answer together."""
    with client.responses.stream(model=model, input="hi") as stream:
        events = list(stream)
        final = stream.get_final_response()

    assert greeting(model) == final.output_text
    assert greeting(model) == "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert list(range(len(events))) == [event.sequence_number for event in events]
    assert ["response.completed"] == [event.type for event in events if event.type in ENDS]
    assert final.usage is not None
    assert final.usage.output_tokens > 5


@pytest.mark.anyio
@each_vendor
async def test_async_client(url: str, model: str) -> None:
    """The async client gets the same, plain and streamed."""
    async with AsyncOpenAI(base_url=url, api_key="any", max_retries=0) as client:
        response = await client.responses.create(model=model, input=[{"role": "user", "content": "hi"}])
        async with await client.responses.create(model=model, input="hi", stream=True) as stream:
            text = "".join([e.delta async for e in stream if e.type == "response.output_text.delta"])

    assert greeting(model) == response.output_text == text


@each_vendor
@pytest.mark.parametrize(("streamed", "sealed"), [(False, False), (True, True)], ids=["plain", "streamed-sealed"])
def test_a_tool_in_two_turns(client: OpenAI, model: str, streamed: bool, sealed: bool) -> None:
    """A tool is called; the output is sent back as it came, with the result, and the vendor accepts and answers it.

    Clients that send back no thoughts but sealed ones are served too: vendors refuse a result without the thoughts.
    """
    asked: Any = {"model": model, "tools": [TOOL], "include": ["reasoning.encrypted_content"] if sealed else []}
    history: list[Any] = [{"role": "user", "content": "hi"}]
    if streamed:
        with client.responses.stream(input=history, **asked) as stream:
            first: Any = stream.get_final_response()
    else:
        first = client.responses.create(input=history, **asked)
    call = next(item for item in first.output if item.type == "function_call")
    for item in first.output:
        sent = item.to_dict()
        sent.pop("parsed_arguments", None)
        if sealed and sent["type"] == "reasoning" and sent.get("encrypted_content"):
            del sent["content"]
        history.append(sent)
    history.append({"type": "function_call_output", "call_id": call.call_id, "output": "42 euros"})
    second = client.responses.create(input=history, **asked)

    assert ("read_ledger", {"account": 1}) == (call.name, json.loads(call.arguments))
    assert "The tool said: 42 euros" in second.output_text


@pytest.mark.parametrize("model", NATIVE)
def test_parsed_answers(client: OpenAI, model: str) -> None:
    """`parse` gives an object of the model it was asked for, whole and from a stream."""
    response = client.responses.parse(model=model, input="hi", text_format=Balance)
    with client.responses.stream(model=model, input="hi", text_format=Balance) as stream:
        final = stream.get_final_response()

    assert isinstance(response.output_parsed, Balance)
    assert response.output_parsed == final.output_parsed


@each_vendor
def test_a_cut_answer(client: OpenAI, model: str) -> None:
    """What the limit cut is incomplete, and says so."""
    response = client.responses.create(model=model, input="hi", max_output_tokens=4)
    with client.responses.create(model=model, input="hi", max_output_tokens=4, stream=True) as stream:
        last = list(stream)[-1]

    assert "incomplete" == response.status
    assert response.incomplete_details is not None
    assert "max_output_tokens" == response.incomplete_details.reason
    assert "response.incomplete" == last.type


@each_vendor
def test_a_vendor_that_breaks_off(url: str, client: OpenAI, switch: Switch, standins: Sandbox, model: str) -> None:
    """After content the failure is told: an error the client raises, the failed response, and no end."""
    vendor = model.partition("/")[0]
    switch(vendor, "cut:3")
    seen = []
    with (
        pytest.raises(APIError, match="broke off"),
        client.responses.create(model=model, input="hi", stream=True) as stream,
    ):
        for event in stream:
            seen.append(event.type)
    events = parsed(httpx2.post(f"{url}/responses", json={"model": model, "input": "hi", "stream": True}).text)

    assert "response.created" == seen[0]
    assert not ENDS.intersection(seen)
    assert ["error", "response.failed"] == [event["type"] for event in events[-2:]]
    assert list(range(len(events))) == [event["sequence_number"] for event in events]
    assert "stream_interrupted" == events[-2]["code"]
    assert ("failed", "server_error") == (events[-1]["response"]["status"], events[-1]["response"]["error"]["code"])
    assert events[0]["response"]["id"] == events[-1]["response"]["id"]


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(
    ("route", "broken", "title"),
    [("across", ["openai"], "MiniMax"), ("across", ["openai", "minimax"], "Groq"), ("back", ["minimax"], "OpenAI")],
)
@pytest.mark.parametrize("fault", ["error:200", "cut:0"])
def test_failover_crosses_dialects(
    client: OpenAI, switch: Switch, route: str, broken: list[str], title: str, streamed: bool, fault: str
) -> None:
    """Before content a failure is nobody's business: the next target answers, whatever it speaks."""
    for vendor in broken:
        switch(vendor, fault)
    if streamed:
        with client.responses.stream(model=route, input="hi") as stream:
            text = stream.get_final_response().output_text
    else:
        text = client.responses.create(model=route, input="hi").output_text

    assert f"Hello from the {title} stand-in. You said: hi" == text


def test_what_only_some_know(client: OpenAI, standins: Sandbox) -> None:
    """A hosted tool is asked of the target that has the API itself, not of the one before it."""
    with pytest.raises(BadRequestError) as caught:  # the stand-in has no such tool, and says so
        client.responses.create(model="searching", input="hi", tools=[{"type": "web_search"}])

    assert "only functions with a name are known here" in caught.value.message
    assert 1 == len(standins.vendors["openai"].requests)
    assert not standins.vendors["minimax"].requests


def test_what_nobody_knows(client: OpenAI, standins: Sandbox) -> None:
    """Where no target has the API a hosted tool is a 400 that names who could."""
    with pytest.raises(BadRequestError) as caught:
        client.responses.create(model="minimax/MiniMax-M3", input="hi", tools=[{"type": "web_search"}])

    assert ("needs_native", "tools[0].type") == (caught.value.code, caught.value.param)
    assert "'web_search'" in caught.value.message
    assert "deepseek, groq, openai" in caught.value.message
    assert not standins.vendors["minimax"].requests


def test_nobody_answers(client: OpenAI, switch: Switch) -> None:
    """When all fail before content a stream is a proper status, not a broken stream."""
    for vendor in ("openai", "minimax", "groq"):
        switch(vendor, "error:500")
    with pytest.raises(InternalServerError) as caught:
        client.responses.create(model="across", input="hi", stream=True)

    assert (503, "no_answer") == (caught.value.status_code, caught.value.code)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
    ],
)
def test_nothing_is_kept(client: OpenAI, standins: Sandbox, fields: dict[str, Any], param: str) -> None:
    """What needs something kept is refused before anybody is asked."""
    with pytest.raises(BadRequestError) as caught:
        client.responses.create(**{"model": "openai/gpt-5.4-mini", "input": "hi", **fields})

    assert param == caught.value.param
    assert not standins.vendors["openai"].requests


@pytest.mark.parametrize("store", [{}, {"store": True}, {"store": False}], ids=str)
@each_vendor
def test_nothing_is_stored(client: OpenAI, standins: Sandbox, model: str, store: dict[str, Any]) -> None:
    """Whatever is said of storing, nothing is stored, at the vendor neither, and the answer says so."""
    response = client.responses.create(model=model, input="hi", **store)
    vendor = model.partition("/")[0]

    if vendor != "groq":  # is sent no such field, and its stand-in answers with OpenAI's default
        assert response.to_dict()["store"] is False
    assert standins.vendors[vendor].requests[-1].body.get("store") in (None, False)


@pytest.mark.anyio
@pytest.mark.parametrize("model", ["openai/gpt-5.4-mini", "minimax/MiniMax-M3"], ids=["native", "translated"])
async def test_a_server_that_stops(
    configure: Callable[..., Settings], switch: Switch, standins: Sandbox, model: str
) -> None:
    """A stream that is open when the server stops ends as a broken one does, and says why."""
    vendor = standins.vendors[model.partition("/")[0]]
    switch(vendor.name, "stall:3")
    gateway = Gateway(configure(timeouts=PATIENT))
    app = create_app(gateway)
    running = Exchange({"model": model, "input": "hi", "stream": True})
    running.scope["path"] = "/v1/responses"
    async with gateway, anyio.create_task_group() as tasks:
        tasks.start_soon(app, running.scope, running.receive, running.send)
        with anyio.fail_after(10):
            while b"text.delta" not in running.text:
                await anyio.sleep(0.01)
        await app.drain(0.05)
    events = parsed(running.text.decode())

    assert ["error", "response.failed"] == [event["type"] for event in events[-2:]]
    assert "shutting_down" == events[-2]["code"]
    assert list(range(len(events))) == [event["sequence_number"] for event in events]


@pytest.mark.anyio
@each_vendor
async def test_in_process(configure: Callable[..., Settings], model: str) -> None:
    """In-process the same object comes, with what it cost and why it went where it went."""
    async with Gateway(configure()) as gateway:
        reply = await gateway.respond(model, [{"role": "user", "content": "hi"}], instructions="Be brief.")
        with pytest.raises(TypeError, match="whole answers"):
            await gateway.respond(model, "hi", stream=True)
        with pytest.raises(RequestError, match="Send the whole conversation"):
            await gateway.respond(model, "hi", previous_response_id="resp_1")

    assert greeting(model) == reply.text == reply.body["output"][-1]["content"][0]["text"]
    assert ("response", "completed") == (reply.body["object"], reply.body["status"])
    assert "stop" == reply.finish_reason
    assert reply.usage.total_tokens == reply.body["usage"]["total_tokens"] > 5
    assert reply.decision is not None
    assert reply.cost.amount


def test_in_process_without_a_loop(configure: Callable[..., Settings]) -> None:
    """Programs without an event loop ask the same way."""
    with blocking.Gateway(configure()) as gateway:
        assert greeting("minimax/MiniMax-M3") == gateway.respond("minimax/MiniMax-M3", "hi").text

"""What every provider plug-in must do, as a test class its author subclasses.

    class TestYourVendor(ProviderConformance):
        provider = YourVendor
        fixtures = Path(__file__).parent / "fixtures"

pytest collects the subclass; nothing here needs a network, a key or a clock.
"""

# ruff: noqa: S101  # assertions are what a test class is made of

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import ProviderError
from ..operations import EmbedRequest, ImageRequest
from ..providers import Options, Provider
from ..secrets import Secret
from ..types import ABILITIES, ChatRequest, Event, HTTPRequest, NativeChunk, Target, WireFailure, WireResponse
from ._fixtures import Fixture, load_fixtures, mismatches, play

if TYPE_CHECKING:
    import pytest

__all__ = ["ProviderConformance"]

KEY = "sk-conformance-0123456789abcdef"
# Looks like keys of vendors; a vendor may quote them back at us.
PLANTED = ("sk-planted-4f9d2c7b8a1e", "gsk_planted4f9d2c7b8a1e", "eyJplanted4f9d2c7b8a1e.eyJ4f9d2c7b8a1e")
TOOL = {
    "type": "function",
    "function": {"name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}},
}
HISTORY = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "What is"}, {"type": "text", "text": "there?"}]},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at": "door"}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "a cat"},
    {"role": "user", "content": "Thanks. And now?"},
]
REQUESTS: Mapping[str, Mapping[str, Any]] = {
    "plain": {"messages": [{"role": "user", "content": "Hello"}], "temperature": 0.5, "max_completion_tokens": 64},
    "streamed": {"messages": [{"role": "user", "content": "Hello"}], "stream": True, "max_tokens": 64},
    "tools": {"messages": HISTORY, "tools": [TOOL], "tool_choice": "required", "user": "person-7"},
}
GARBAGE = {
    "empty": b"",
    "blank": b"\n\n \n",
    "html": b"<html><head><title>502 Bad Gateway</title></head></html>",
    "text": b"upstream connect error",
    "array": b'[{"error": {"message": "no"}}]',
    "number": b"42",
    "null": b"null",
    "text in JSON": b'"no"',
    "error is null": b'{"error": null}',
    "error is a number": b'{"error": 7}',
    "error is a list": b'{"error": [1, 2]}',
    "odd fields": b'{"error": {"message": {"a": 1}, "type": [], "code": 1e400, "param": {}}, "choices": 3}',
    "odd codes": b'{"base_resp": {"status_code": "x", "status_msg": 9}, "error": {"code": null, "message": null}}',
    "deep": b'{"error":' * 5000 + b"1" + b"}" * 5000,
    "binary": bytes(range(256)) * 8,
    "not UTF-8": b'{"error": {"message": "\xff\xfe"}}',
    "cut": b'{"error": {"message": "The serv',
    "endless": b'{"error": {"message": "' + b"a" * 60_000 + b'"}}',
}
# Values no field should have, put into every field of an answer.
ODD: tuple[object, ...] = (7, -1.5, True, "x", [], {}, [7], [None], {"a": []}, None)
IN_ANSWER = ("choices", "usage", "error", "base_resp", "object", "id", "model")
IN_CHOICE = ("finish_reason", "index", "message", "delta")
IN_MESSAGE = ("content", "reasoning_content", "reasoning", "reasoning_details", "refusal", "tool_calls", "role", "name")
STATUSES = (
    200,
    204,
    301,
    400,
    401,
    402,
    403,
    404,
    408,
    409,
    413,
    418,
    422,
    429,
    451,
    498,
    499,
    500,
    502,
    503,
    529,
    599,
)


CHAT: Mapping[str, Any] = {"messages": [{"role": "user", "content": "Hello"}]}
# A request for each operation besides chat that a provider may declare.
NATIVE: Mapping[str, Callable[[], ChatRequest]] = {
    "responses": lambda: ChatRequest.translated("responses", {"input": "Hello"}, dict(CHAT)),
    "messages": lambda: ChatRequest.translated("messages", {**CHAT, "max_tokens": 64}, dict(CHAT)),
    "embeddings": lambda: EmbedRequest.parse({"input": ["Hello", "you"]}),
    "images": lambda: ImageRequest.parse({"prompt": "a paper boat"}),
}
MESSAGE = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}
ANSWERS: Mapping[str, Mapping[str, Any]] = {
    "responses": {"id": "1", "status": "completed", "output": [MESSAGE], "usage": {"input_tokens": 1}},
    "messages": {"id": "1", "type": "message", "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn"},
    "embeddings": {"data": [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [2.0]}], "usage": {}},
    "images": {"data": [{"b64_json": "iVBORw0KGgo="}], "created": 1, "usage": {}},
}
STREAMS: Mapping[str, list[dict[str, Any]]] = {
    "responses": [
        {"type": "response.created", "response": {"id": "1"}},
        {"type": "response.output_item.added", "item": {"type": "message"}},
        {"type": "response.output_text.delta", "delta": "Hi"},
        {"type": "response.completed", "response": ANSWERS["responses"]},
    ],
    "messages": [
        {"type": "message_start", "message": {"id": "1", "usage": {"input_tokens": 1}}},
        {"type": "content_block_start", "content_block": {"type": "text"}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ],
}


class ProviderConformance:
    """Subclass with `provider` (a factory taking Options) and, if there are any, `fixtures`."""

    provider: ClassVar[Callable[[Options], Provider]]
    fixtures: ClassVar[Path | None] = None
    settings: ClassVar[Mapping[str, Any]] = {}

    def build(self) -> Provider:
        """Make the provider under test."""
        return type(self).provider(Options("under-test", settings=self.settings))

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run the fixture tests once per fixture, the others once per case."""
        cases = load_fixtures(self.fixtures) if self.fixtures else []
        tables: dict[str, Mapping[str, object]] = {
            "fixture": {case.name: case for case in cases},
            "streamed": {case.name: case for case in cases if case.stream},
            "asked": REQUESTS,
            "garbage": GARBAGE,
            "named": {name: name for name in (*IN_ANSWER, *IN_CHOICE, *IN_MESSAGE)},
        }
        for name, table in tables.items():
            if name in metafunc.fixturenames:
                metafunc.parametrize(name, list(table.values()), ids=list(table))

    # -- answers ----------------------------------------------------------------------------

    def test_fixture_is_understood(self, fixture: Fixture) -> None:
        """A recorded answer gives what its `expect` states, in whatever pieces it arrives."""
        for how, pieces in chunkings(fixture):
            differences = mismatches(play(self.build(), fixture, pieces), fixture)

            assert not differences, f"{fixture.name} ({how}): " + "; ".join(differences)

    def test_chunks_have_openai_shape(self, streamed: Fixture) -> None:
        """Each chunk of a chat has a list of choices with deltas, and no empty role."""
        for chunk in play(self.build(), streamed).chunks:
            if isinstance(chunk, NativeChunk):
                continue
            assert isinstance(chunk.body["choices"], list)
            assert all(isinstance(choice["delta"], dict) for choice in chunk.body["choices"])
            assert not any(choice["delta"].get("role") == "" for choice in chunk.body["choices"])

    def test_kept_bytes_say_the_same(self, streamed: Fixture) -> None:
        """Bytes kept as they came say what the chunk's body says, in every dialect."""
        for chunk in play(self.build(), streamed).chunks:
            assert json.loads(chunk.to_json()) == chunk.body

    # -- requests ---------------------------------------------------------------------------

    def test_encodes_what_was_asked(self, asked: Mapping[str, Any]) -> None:
        """The body is JSON, names the target's model, streams when asked, and keeps the messages."""
        sent = self._encode(ChatRequest.parse(deepcopy(dict(asked))))
        body = json.loads(sent.body)

        assert self._model() == body["model"]
        assert bool(asked.get("stream")) == bool(body.get("stream"))
        assert len(asked.get("tools", ())) == len(body.get("tools", ()))
        assert [m["role"] for m in asked["messages"]] == [m["role"] for m in body["messages"]]
        assert all(isinstance(note, str) for note in sent.notes)

    def test_leaves_the_request_alone(self, asked: Mapping[str, Any]) -> None:
        """Encoding changes nothing the next target would need."""
        request = ChatRequest.parse(deepcopy(dict(asked)))
        before = deepcopy(request.body)
        self._encode(request)

        assert before == request.body

    def test_key_stays_hidden(self, asked: Mapping[str, Any]) -> None:
        """The key is sent as a Secret header and can be seen nowhere else."""
        sent = self._encode(ChatRequest.parse(deepcopy(dict(asked))))
        hidden = [value for value in sent.headers.values() if isinstance(value, Secret)]

        assert any(KEY in value.reveal() for value in hidden)
        assert KEY not in repr(sent)
        assert KEY.encode() not in sent.body

    # -- the catalogue ----------------------------------------------------------------------

    def test_catalogue_is_sound(self) -> None:
        """Ids are unique, successors are not retired themselves, abilities are known words, prices not negative."""
        models = self.build().models()
        ids = [model.id for model in models]
        living = {model.id for model in models if model.successor is None}
        amounts = [
            amount
            for model in models
            for price in model.prices
            for amount in (
                *(price.input, price.output, price.cached, price.cache_write),
                *(price.image_input, price.image_output, price.per_image),
            )
        ]

        assert ids
        assert len(set(ids)) == len(ids)
        assert {model.successor for model in models if model.successor} <= living
        assert all(amount is None or amount >= 0 for amount in amounts)
        assert set[str]().union(*(model.abilities for model in models)) <= ABILITIES

    # -- failures ---------------------------------------------------------------------------

    def test_classifies_garbage(self, garbage: bytes) -> None:
        """Whatever a vendor answers, classifying gives an error with a safe, bounded message."""
        for status in STATUSES:
            error = self.build().classify(WireFailure(status, body=garbage))

            assert isinstance(error, ProviderError)
            assert error.message.isprintable()
            assert len(error.message) <= 512

    def test_refuses_garbage(self, garbage: bytes) -> None:
        """Garbage with status 200 is a failure, whole or as an event, and no other exception."""
        request, refused = ChatRequest.parse({"messages": [{"role": "user", "content": "Hello"}]}), False
        try:
            self.build().decode(request, WireResponse(200, {}, garbage))
        except ProviderError:
            refused = True
        with suppress(ProviderError):
            list(self.build().decoder(request).feed(Event(garbage)))

        assert refused

    def test_survives_odd_answers(self, named: str) -> None:
        """An answer with a senseless field is read or refused; nothing but ProviderError is raised."""
        for value in ODD:
            for part in ("message", "delta"):
                body = json.dumps(odd_answer(part, named, value)).encode()
                request = ChatRequest.parse({"messages": [{"role": "user", "content": "Hello"}]})
                with suppress(ProviderError):
                    self.build().decode(request, WireResponse(200, {}, body))
                decoder = self.build().decoder(request)
                with suppress(ProviderError):
                    for _ in range(2):
                        list(decoder.feed(Event(body)))
                    list(decoder.end())

    # -- operations besides chat ------------------------------------------------------------

    def test_operations_are_encoded(self) -> None:
        """Each declared operation is sent to an address of its own, names the target's model, and hides the key."""
        for operation, request in self._operations():
            sent = self.build().encode(request, Secret(KEY), Target("under-test", "a-model"))
            body = json.loads(sent.body)

            assert body["model"] == "a-model", operation
            assert sent.url.startswith(("https://", "http://"))
            assert any(KEY in value.reveal() for value in sent.headers.values() if isinstance(value, Secret))
            assert KEY not in repr(sent)

    def test_operations_refuse_garbage(self, garbage: bytes) -> None:
        """Garbage with status 200 is a failure in every operation, and as an event raises nothing but ProviderError."""
        for _, request in self._operations():
            refused = False
            try:
                self.build().decode(request, WireResponse(200, {}, garbage))
            except ProviderError:
                refused = True
            assert refused
            with suppress(ProviderError):
                decoder = self.build().decoder(request)
                list(decoder.feed(Event(garbage)))

    def test_operations_survive_odd_answers(self) -> None:
        """An answer with a senseless field is read or refused, in every operation that has a dialect of its own."""
        for operation, request in self._operations():
            for events in odd_events(operation):
                with suppress(ProviderError):
                    decoder = self.build().decoder(request)
                    for event in events:
                        list(decoder.feed(Event(json.dumps(event).encode())))
                    list(decoder.end())
            for body in odd_bodies(operation):
                with suppress(ProviderError):
                    self.build().decode(request, WireResponse(200, {}, json.dumps(body).encode()))

    def _operations(self) -> Iterator[tuple[str, ChatRequest]]:
        for name in sorted(self.build().operations & NATIVE.keys()):
            yield name, NATIVE[name]()

    def test_shows_no_key_a_vendor_quotes(self) -> None:
        """A key-like text in a vendor's body does not come out again."""
        for planted in PLANTED:
            for body in quoting(planted):
                for status in STATUSES:
                    error = self.build().classify(WireFailure(status, body=body))

                    assert planted not in f"{error} {error!r} {error.vendor}"

    # -- inside -----------------------------------------------------------------------------

    def _model(self) -> str:
        return next(model.id for model in self.build().models() if model.successor is None)

    def _encode(self, request: ChatRequest) -> HTTPRequest:
        return self.build().encode(request, Secret(KEY), Target("under-test", self._model()))


def chunkings(fixture: Fixture) -> Iterator[tuple[str, list[bytes]]]:
    """Cut a body: whole, byte by byte, and at random places that are the same in every run."""
    body = fixture.response.body
    yield "whole", [body]
    if fixture.stream:
        yield "byte by byte", [body[at : at + 1] for at in range(len(body))]
        for seed in range(5):
            random = Random(seed)  # noqa: S311  # cuts, not secrets
            cuts = sorted(random.randrange(len(body)) for _ in range(40))
            yield f"random {seed}", [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]


def odd_answer(part: str, name: str, value: object) -> dict[str, Any]:
    """Build an answer, whole or in a stream, in which one field holds one value."""
    said: dict[str, Any] = {"role": "assistant", "content": "Hi"}
    choice: dict[str, Any] = {"index": 0, part: said, "finish_reason": "stop"}
    answer: dict[str, Any] = {"id": "1", "model": "a-model", "choices": [choice]}
    place = answer if name in IN_ANSWER else choice if name in IN_CHOICE else said
    place[name] = value
    return answer


def odd_bodies(operation: str) -> Iterator[dict[str, Any]]:
    """Build answers of an operation in which one field, at any depth, holds a value it should not have."""
    yield from (body for body in oddly(ANSWERS[operation]) if isinstance(body, dict))


def odd_events(operation: str) -> Iterator[list[dict[str, Any]]]:
    """Build streams of a dialect in which one field of one event holds a value it should not have."""
    events = STREAMS.get(operation, [])
    for at, event in enumerate(events):
        for odd in oddly(event):
            yield [*events[:at], odd, *events[at + 1 :]]


def oddly(value: Any) -> Iterator[Any]:
    """Put each odd value in the place of each part of a value."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from ({**value, name: odd} for odd in ODD)
            yield from ({**value, name: odd} for odd in oddly(part))
    elif isinstance(value, list):
        for at, part in enumerate(value):
            yield from ([*value[:at], odd, *value[at + 1 :]] for odd in (*ODD, *oddly(part)))


def quoting(text: str) -> Iterator[bytes]:
    """Build error bodies that quote a text."""
    yield text.encode()
    yield json.dumps({"error": f"bad key {text}"}).encode()
    yield json.dumps({"error": {"message": f"bad key: {text}.", "type": text, "code": text, "param": text}}).encode()
    yield json.dumps({"base_resp": {"status_code": 1004, "status_msg": f"bad key {text}"}, "choices": None}).encode()
    yield json.dumps({"error": {"message": text, "code": text}, "request_id": text}).encode()

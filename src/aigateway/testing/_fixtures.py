"""Recorded answers of vendors: load them, play them through a provider, compare what came out.

A fixture is `NAME.json` (a whole answer), or `NAME.sse` (the raw bytes of a stream) with
`NAME.meta.json` beside it. `expect` states what a caller must see: `kind` is `ok` or the kind of
failure. What an `ok` does not state is not compared; a failure states all of `ACTIONS`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import ProviderError, StreamInterrupted
from ..providers import Provider
from ..transport import SSEDecoder
from ..types import ChatRequest, Chunk, NativeChunk, NativeReply, Usage, WireFailure, WireResponse

__all__ = ["Fixture", "Observed", "load_fixtures", "mismatches", "play"]

# When a fixture's failure is received, unless it names a reset: two hours before that.
AT = 1_795_132_800.0
BEFORE_RESET = 7200.0

# What every fixture states; a failure states what may happen next, too.
STATED = ("request.path", "response.status", "expect.kind")
ACTIONS = ("retry_same_key", "try_other_key", "try_other_provider", "key_state", "retry_after_s")
BODIES = ("body", "body_text", "sse_file")

# The last part of a path, and what is asked there; chat anywhere else.
OPERATIONS = {"responses": "responses", "messages": "messages"}
OTHER_KEY = {"no": "no", "other_account": "other_group", "yes": "any"}


@dataclass(frozen=True, slots=True)
class Fixture:
    """Hold one recorded answer and what must come of it."""

    name: str
    path: str
    stream: bool
    response: WireResponse
    expect: Mapping[str, Any]

    @property
    def at(self) -> float:
        """Say when it was received, in seconds since the epoch."""
        reset = self.expect.get("reset_at")
        return datetime.fromisoformat(reset).timestamp() - BEFORE_RESET if reset else AT

    def request(self, model: str) -> ChatRequest:
        """Give a request it could be the answer to."""
        fields = {"model": model, "messages": [{"role": "user", "content": "Hello"}], "stream": self.stream}
        operation = OPERATIONS.get(self.path.rpartition("/")[2])
        if operation is None:
            return ChatRequest.parse(fields)
        native = {"input": "Hello"} if operation == "responses" else {"messages": fields["messages"], "max_tokens": 64}
        return ChatRequest.translated(operation, native, fields)


@dataclass(slots=True)
class Observed:
    """Collect what a caller would have seen."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    finish_reason: str | None = None
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    usage: Usage | None = None
    models: list[str] = field(default_factory=list)
    done: bool = False
    terminal_event: str = ""
    error: ProviderError | None = None
    chunks: list[Chunk] = field(default_factory=list)

    def add_said(self, said: NativeChunk | NativeReply) -> None:
        """Take what an answer in another dialect says."""
        self.text += said.text
        self.reasoning += said.reasoning
        self.finish_reason = said.finish_reason or self.finish_reason

    def add(self, message: Mapping[str, Any], finish_reason: str | None) -> None:
        """Take a message or a delta."""
        self.text += message.get("content") or ""
        self.reasoning += message.get("reasoning_content") or ""
        self.refusal += message.get("refusal") or ""
        self.finish_reason = finish_reason or self.finish_reason
        for call in message.get("tool_calls") or ():
            self._add_call(call)

    def _add_call(self, piece: Mapping[str, Any]) -> None:
        index = piece.get("index", len(self.tool_calls))
        while len(self.tool_calls) <= index:
            self.tool_calls.append({"id": "", "name": "", "arguments": ""})
        call, function = self.tool_calls[index], piece.get("function") or {}
        call["id"] += piece.get("id") or ""
        call["name"] += function.get("name") or ""
        call["arguments"] += function.get("arguments") or ""


def load_fixtures(folder: Path) -> list[Fixture]:
    """Read every fixture of a folder, in the order of their names. Raises ValueError, naming the file."""
    for stream in sorted(folder.glob("*.sse")):
        if not (meta := stream.with_suffix(".meta.json")).exists():
            raise ValueError(f"{stream}: there is no {meta.name!r} beside it. Write one that states what it gives.")
    return [_load(path) for path in sorted(folder.glob("*.json"))]


def play(provider: Provider, fixture: Fixture, pieces: Iterable[bytes] | None = None) -> Observed:
    """Put a fixture through a provider, as the gateway would; `pieces` is how a stream's bytes come in."""
    seen = Observed()
    try:
        if not 200 <= fixture.response.status < 300:
            response = fixture.response
            raise provider.classify(WireFailure(response.status, response.headers, response.body, at=fixture.at))
        if fixture.stream:
            _play_stream(provider, fixture, seen, (fixture.response.body,) if pieces is None else pieces)
        elif fixture.path.endswith("/models"):
            seen.models = provider.parse_models(fixture.response)  # type: ignore[attr-defined]  # an optional part of Provider
        else:
            _play_whole(provider, fixture, seen)
    except ProviderError as error:
        # A failure after text or a call has reached the caller is an interruption, whatever it was.
        seen.error = StreamInterrupted(error) if seen.text or seen.tool_calls else error
    return seen


def mismatches(seen: Observed, fixture: Fixture) -> list[str]:
    """Compare with what the fixture expects; each line names one difference."""
    expect = fixture.expect
    kind = "ok" if seen.error is None else str(seen.error.kind)
    pairs: list[tuple[str, object, object]] = [("kind", expect["kind"], kind)]
    pairs += [
        (name, expect[name] or "", getattr(seen, name)) for name in ("text", "reasoning", "refusal") if name in expect
    ]
    pairs += [(name, expect[name], getattr(seen, name)) for name in ("finish_reason", "models") if name in expect]
    if "ended_with_done" in expect and "terminal_event" not in expect:  # another dialect's end is its own event
        pairs.append(("ended_with_done", expect["ended_with_done"], seen.done))
    if "terminal_event" in expect:
        pairs.append(("terminal_event", expect["terminal_event"], seen.terminal_event))
    if "tool_calls" in expect:
        pairs.append(("tool_calls", expect["tool_calls"], [_parsed(call) for call in seen.tool_calls]))
    if "usage" in expect:
        pairs += _counts(expect["usage"], seen.usage)
    if seen.error is not None and kind == expect["kind"]:
        pairs += _actions(seen.error, fixture)
    return [f"{name}: expected {wanted!r}, got {got!r}" for name, wanted, got in pairs if wanted != got]


def _counts(stated: Mapping[str, int] | None, usage: Usage | None) -> Iterator[tuple[str, object, object]]:
    """Compare the figures; null states that the vendor reported none."""
    if stated is None:
        yield "usage", "unknown", usage.source if usage else "unknown"
    else:
        for name, count in stated.items():
            yield f"usage.{name}", count, getattr(usage or Usage(), name)


def _actions(error: ProviderError, fixture: Fixture) -> Iterator[tuple[str, object, object]]:
    expect, remedy = fixture.expect, error.remedy
    yield "retry_same_key", expect["retry_same_key"], remedy.again
    yield "try_other_key", OTHER_KEY[expect["try_other_key"]], remedy.other_key
    yield "try_other_provider", expect["try_other_provider"], remedy.other_target
    yield "key_state", expect["key_state"], remedy.rest
    wait = BEFORE_RESET if "reset_at" in expect else expect["retry_after_s"]
    found = error.retry_after
    near = wait is not None and found is not None and abs(found - wait) <= 0.01 + wait / 1000
    yield "retry_after_s", wait, wait if near else found


def _play_whole(provider: Provider, fixture: Fixture, seen: Observed) -> None:
    reply = provider.decode(fixture.request(_model(provider)), fixture.response)
    seen.usage = reply.usage
    if isinstance(reply, NativeReply):
        seen.add_said(reply)
        return
    for choice in reply.body["choices"][:1]:
        seen.add(choice["message"], choice.get("finish_reason"))


def _play_stream(provider: Provider, fixture: Fixture, seen: Observed, pieces: Iterable[bytes]) -> None:
    events, decoder = SSEDecoder(), provider.decoder(fixture.request(_model(provider)))
    try:
        for piece in pieces:
            for event in events.feed(piece):
                if not decoder.done:
                    _take(decoder.feed(event), seen)
        _take(decoder.end(), seen)
    finally:
        seen.usage, seen.done = decoder.usage, decoder.done


def _take(chunks: Iterable[Chunk], seen: Observed) -> None:
    for chunk in chunks:
        seen.chunks.append(chunk)
        if isinstance(chunk, NativeChunk):
            seen.add_said(chunk)
            seen.terminal_event = chunk.name
            continue
        for choice in chunk.body["choices"][:1]:
            seen.add(choice.get("delta") or {}, choice.get("finish_reason"))


def _parsed(call: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {**call, "arguments": json.loads(call["arguments"] or "{}")}
    except ValueError:
        return dict(call)


def _model(provider: Provider) -> str:
    return next((model.id for model in provider.models()), "a-model")


def _load(path: Path) -> Fixture:
    stated = _stated(path)
    answer = stated["response"]
    if "sse_file" in answer:
        body = _stream(path, answer["sse_file"])
    elif "body_text" in answer:
        body = answer["body_text"].encode()
    else:
        body = json.dumps(answer["body"]).encode()
    headers = {name.lower(): value for name, value in answer.get("headers", {}).items()}
    return Fixture(
        name=path.name.removesuffix(".json").removesuffix(".meta"),
        path=stated["request"]["path"],
        stream="sse_file" in answer,
        response=WireResponse(answer["status"], headers, body),
        expect=stated["expect"],
    )


def _stated(path: Path) -> dict[str, Any]:
    """Read a fixture's JSON. Raises ValueError, naming the file and what is missing in it."""
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: this is not JSON: {error}") from error
    missing = list(_missing(stated))
    if missing:
        raise ValueError(f"{path}: a fixture must state {', '.join(missing)}. Add it, or move the file elsewhere.")
    return dict(stated)


def _missing(stated: object) -> Iterator[str]:
    tables = {name: _table(_table(stated).get(name)) for name in ("request", "response", "expect")}
    for name in STATED:
        table, _, entry = name.partition(".")
        if entry not in tables[table]:
            yield f"`{name}`"
    if not any(name in tables["response"] for name in BODIES):
        yield "one of " + ", ".join(f"`response.{name}`" for name in BODIES)
    if tables["expect"].get("kind", "ok") != "ok":
        known = {*tables["expect"], *(("retry_after_s",) if "reset_at" in tables["expect"] else ())}
        yield from (f"`expect.{name}`" for name in ACTIONS if name not in known)


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _stream(path: Path, name: str) -> bytes:
    try:
        return (path.parent / name).read_bytes()
    except FileNotFoundError:
        raise ValueError(f"{path}: it names the stream {name!r}, which is not beside it.") from None

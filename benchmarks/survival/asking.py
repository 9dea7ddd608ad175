"""The ways to ask: through a served gateway, through one in this process, and the vendor itself."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any, Literal, Protocol

import h11

from aigateway import Gateway, GatewayError, StreamInterrupted
from aigateway.types import Decision

from .vendor import NONCE

__all__ = ["Answer", "Http", "InProcess", "Question", "Way", "read_answer", "request_bytes", "wrong_characters"]

PATIENCE = 60.0
NONSENSE = "not an event, or one after the end"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of whom; the nonce goes with it all the way, and comes back in every chunk."""

    model: str
    stream: bool = True
    nonce: str = field(default_factory=lambda: f"N{token_hex(8)}N")

    @property
    def messages(self) -> list[dict[str, str]]:
        """Give the conversation."""
        return [{"role": "user", "content": f"Say what belongs to {self.nonce}."}]

    @property
    def options(self) -> dict[str, Any]:
        """Ask for usage in a stream."""
        return {"stream_options": {"include_usage": True}} if self.stream else {}


@dataclass(slots=True)
class Answer:
    """What a client was given.

    `cut` is an answer that just stops: neither whole, nor with an error that says so; `left` one that nobody
    waited for. `decision` and `outcome` are known to programs only.
    """

    ended: Literal["complete", "error", "cut", "left"] = "cut"
    status: int = 0
    text: str = ""
    error: str = ""
    roles: int = 0
    usages: int = 0
    models: set[str] = field(default_factory=set)
    nonces: set[str] = field(default_factory=set)
    first: float = 0.0
    seconds: float = 0.0
    decision: Decision | None = None
    outcome: str = ""

    @property
    def is_whole(self) -> bool:
        """Tell whether it is a complete answer with one beginning, and its usage once."""
        return self.ended == "complete" and self.status == 200 and self.roles <= 1 and self.usages == 1


class Way(Protocol):
    """One way of asking."""

    name: str

    async def ask(self, question: Question) -> Answer:
        """Ask, and read the answer to its end; what goes wrong is an answer too."""
        ...


def wrong_characters(expected: str, got: str) -> int:
    """Count the characters that are not what and where they should be."""
    same = 0
    for ours, theirs in zip(expected, got, strict=False):
        if ours != theirs:
            break
        same += 1
    return max(len(expected), len(got)) - same


# -- over HTTP --------------------------------------------------------------------------------


def request_bytes(question: Question) -> bytes:
    """Write a request; its id is the nonce, so that log lines can be told apart."""
    fields = {"model": question.model, "messages": question.messages, "stream": question.stream, **question.options}
    body = json.dumps(fields).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"x-request-id: {question.nonce}\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Http:
    """Ask over a connection of its own each time, by a client that forgives nothing."""

    def __init__(self, name: str, port: int, patience: float = PATIENCE) -> None:
        self.name = name
        self.port = port
        self._patience = patience

    async def ask(self, question: Question) -> Answer:
        """Ask, and read the answer to its end."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        reading = Reading()
        try:
            async with asyncio.timeout(self._patience):
                await self._read(question, reading)
        except (OSError, TimeoutError, h11.RemoteProtocolError):
            reading.whole = False
        answer = read_answer(reading.status, reading.kind, bytes(reading.body), whole=reading.whole)
        answer.first, answer.seconds = (reading.first or loop.time()) - start, loop.time() - start
        return answer

    async def _read(self, question: Question, reading: Reading) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request_bytes(question))
            while not reading.feed(await reader.read(65536)):
                pass
        finally:
            writer.close()


class Reading:
    """Read one HTTP answer, as it arrives. Raises h11.RemoteProtocolError for one that breaks off."""

    def __init__(self) -> None:
        self.status = 0
        self.kind = ""
        self.body = bytearray()
        self.whole = False
        self.first = 0.0
        self._h11 = h11.Connection(h11.CLIENT)
        self._h11.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
        self._h11.send(h11.EndOfMessage())

    def feed(self, data: bytes) -> bool:
        """Take the next bytes, b"" at the end; tell whether the answer is at its end."""
        self._h11.receive_data(data)
        while (found := self._h11.next_event()) is not h11.NEED_DATA:
            if isinstance(found, h11.Response):
                self.status = found.status_code
                self.kind = dict(found.headers).get(b"content-type", b"").decode("latin-1")
            elif isinstance(found, h11.Data):
                self.first = self.first or asyncio.get_running_loop().time()
                self.body += found.data
            else:
                self.whole = isinstance(found, h11.EndOfMessage)
                return True
        return not data


def read_answer(status: int, kind: str, body: bytes, *, whole: bool) -> Answer:
    """Say what a client makes of the bytes it was given."""
    answer = Answer(status=status, nonces=set(NONCE.findall(body.decode("utf-8", "replace"))))
    if kind.startswith("text/event-stream"):
        _read_events(answer, body)
    elif whole:
        _read_object(answer, body)
    if not whole:
        answer.ended = "cut"
    return answer


def _read_object(answer: Answer, body: bytes) -> None:
    try:
        fields = json.loads(body)
        if answer.status != 200:
            answer.ended, answer.error = "error", str(fields["error"]["code"])
            return
        answer.text = str(fields["choices"][0]["message"]["content"])
        answer.models.add(str(fields["model"]))
        answer.usages = int("usage" in fields)
        answer.ended = "complete"
    except (ValueError, KeyError, TypeError, IndexError):
        answer.ended = "cut"


def _read_events(answer: Answer, body: bytes) -> None:
    finished = done = False
    for block in body.split(b"\n\n"):
        data = block.removeprefix(b"data: ").strip()
        if not data or block.startswith(b":"):
            continue
        if done:
            answer.error = NONSENSE
        elif data == b"[DONE]":
            done = True
        else:
            try:
                finished = _read_event(answer, json.loads(data)) or finished
            except (ValueError, KeyError, TypeError, AttributeError):
                answer.error = answer.error or NONSENSE
    if answer.error:
        answer.ended = "cut" if done or answer.error == NONSENSE else "error"
    elif finished and done:
        answer.ended = "complete"


def _read_event(answer: Answer, body: dict[str, Any]) -> bool:
    """Take one event; tell whether it has a finish reason."""
    if body.get("error"):
        answer.error = str(body["error"].get("code") or body["error"].get("type"))
        return False
    if "model" in body:
        answer.models.add(str(body["model"]))
    answer.usages += bool(body.get("usage"))
    finished = False
    for choice in body["choices"]:
        delta = choice["delta"]
        answer.roles += "role" in delta
        answer.text += delta.get("content") or ""
        finished = finished or bool(choice["finish_reason"])
    return finished


# -- in this process --------------------------------------------------------------------------


class InProcess:
    """Ask a gateway in this process."""

    def __init__(self, name: str, gateway: Gateway) -> None:
        self.name = name
        self.gateway = gateway

    async def ask(self, question: Question) -> Answer:
        """Ask, and read the answer to its end."""
        loop, answer = asyncio.get_running_loop(), Answer()
        start = loop.time()
        try:
            async with asyncio.timeout(PATIENCE):
                await (self._stream if question.stream else self._whole)(question, answer, start)
            answer.ended, answer.status = "complete", 200
        except StreamInterrupted as error:
            # What the exception carries has to be what had been given.
            answer.ended = "error" if error.text == answer.text else "cut"
            answer.status, answer.error = 200, error.code or ""
        except GatewayError as error:
            answer.ended, answer.status, answer.error = "error", error.status, error.code or ""
            answer.decision, answer.outcome = error.decision or answer.decision, answer.outcome or "failed"
        except TimeoutError:
            answer.ended = "cut"
        answer.seconds = loop.time() - start
        answer.first = answer.first or answer.seconds
        return answer

    async def _whole(self, question: Question, answer: Answer, start: float) -> None:
        reply = await self.gateway.chat(question.model, question.messages)
        answer.text, answer.decision, answer.outcome = reply.text, reply.decision, "complete"
        answer.models.add(reply.model)
        answer.usages = int("usage" in reply.body)
        answer.nonces.update(NONCE.findall(json.dumps(reply.body)))

    async def _stream(self, question: Question, answer: Answer, start: float) -> None:
        chunks = self.gateway.stream(question.model, question.messages, **question.options)
        try:
            async with chunks:
                answer.first = asyncio.get_running_loop().time() - start
                async for chunk in chunks:
                    answer.text += chunk.text
                    answer.roles += any("role" in (choice.get("delta") or {}) for choice in chunk.body["choices"])
                    answer.models.add(str(chunk.body.get("model")))
                    answer.usages += bool(chunk.body.get("usage"))
                    answer.nonces.update(NONCE.findall(chunk.to_json().decode()))
        finally:
            if chunks.outcome is not None:
                answer.decision, answer.outcome = chunks.decision, chunks.outcome.state

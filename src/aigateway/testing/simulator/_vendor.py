"""One simulated vendor: it decides at once what becomes of a call, and when; it never waits itself."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, inf
from random import Random
from typing import NamedTuple

from pydantic_core import to_json

from ...errors import Kind, WireError
from ..sandbox._speech import Chat, text_of
from ..sandbox._vendors import Event, Response, Stream
from ._calls import Question, Upstream
from ._dialects import Dialect, said
from ._tables import Behaviour, Fault

__all__ = ["Piece", "Vendor", "Will"]

MINUTE = 60.0
PAGE = b"<!doctype html><html><head><title>Just a moment</title></head><body>Just a moment</body></html>\n"
BROKEN = {
    "down": (Kind.CONNECT, "could not connect (simulated)"),
    "black_hole": (Kind.CONNECT, "could not connect in time (simulated)"),
    "reset": (Kind.STREAM_INTERRUPTED, "the connection broke (simulated)"),
    "cut": (Kind.STREAM_INTERRUPTED, "the connection broke (simulated)"),
}


class Piece(NamedTuple):
    """Some bytes at a time, or how the connection ends then; `tokens` are in it."""

    at: float
    what: bytes | WireError
    tokens: int = 0


@dataclass(slots=True)
class Will:
    """What will happen to one call: an error or a head at `at`, then pieces, then the end."""

    call: Upstream
    at: float
    error: WireError | None = None
    response: Response | Stream | None = None
    pieces: Sequence[Piece] = ()


class Vendor:
    """Answer calls as a scenario says. Every draw comes from the vendor's own random numbers."""

    def __init__(self, name: str, behaviour: Behaviour, dialect: Dialect, *, pieces: int, seed: int) -> None:
        self.name = name
        self.in_flight = 0
        self._behaviour = behaviour
        self._dialect = dialect
        self._pieces = pieces
        self._random = Random(f"{seed}/{name}")  # noqa: S311  # repeatable, no secret
        self._minute: dict[str, deque[float]] = {}
        self._seen: Counter[int] = Counter()  # fault -> calls it could have hit
        self._hits: Counter[int] = Counter()

    def will(self, call: Upstream, chat: Chat, question: Question, now: float, connect: float) -> Will:
        """Decide what becomes of a call that is made now."""
        slow, fault = self._fault(call.key, now)
        call.prompt = question.prompt
        late = now + self._behaviour.latency * slow
        if fault is not None and fault.kind in {"down", "black_hole"}:
            call.outcome = fault.kind
            at = now + connect if fault.kind == "black_hole" else now
            return Will(call, at, WireError(*BROKEN[fault.kind]))
        limited = self._limited(call, now)
        if limited is not None:
            return self._refuse(call, late, limited, "rate_limit")
        if fault is not None and fault.kind in {"hang", "reset"}:
            call.outcome = fault.kind
            error = WireError(*BROKEN["reset"])
            return Will(call, late if fault.kind == "reset" else inf, error)
        refusal = fault and self._refusal(call, chat, fault)
        if fault and refusal:
            return self._refuse(call, late, refusal, fault.kind)
        return self._answer(call, chat, question, now, slow, fault)

    # -- refusing ---------------------------------------------------------------------------

    def _fault(self, key: int, now: float) -> tuple[float, Fault | None]:
        """Give how much slower it is now, and the fault that hits this call."""
        slow, found = 1.0, None
        for index, fault in enumerate(self._behaviour.faults):
            if fault.active(now) and (found is None or fault.kind == "slow") and self._hit(index, fault, key):
                if fault.kind == "slow":
                    slow *= fault.factor
                else:
                    found = fault
        return slow, found

    def _hit(self, index: int, fault: Fault, key: int) -> bool:
        if (fault.keys and key not in fault.keys) or (fault.calls is not None and self._hits[index] >= fault.calls):
            return False
        turn = self._seen[index]
        self._seen[index] += 1
        if fault.every is not None and turn % fault.every:
            return False
        if fault.share is not None and self._random.random() >= fault.share:
            return False
        self._hits[index] += 1
        return True

    def _limited(self, call: Upstream, now: float) -> Response | None:
        """Refuse what is over the account's limits, and count what is not."""
        limits = self._behaviour
        if limits.concurrency is not None and self.in_flight > limits.concurrency:
            return self._too_many(call, None)
        if limits.requests_per_minute is None:
            return None
        times = self._minute.setdefault(call.account, deque())
        while times and times[0] <= now - MINUTE:
            times.popleft()
        if len(times) >= limits.requests_per_minute:
            return self._too_many(call, times[0] + MINUTE - now)
        times.append(now)
        return None

    def _too_many(self, call: Upstream, wait: float | None, *, named: bool = False) -> Response:
        """Say 429 as the vendor does, unless the scenario says with or without a wait."""
        names = self._behaviour.names_wait
        if names is False and not named:
            body = {"error": {"message": "Too many requests.", "type": "rate_limit_error", "param": None, "code": None}}
            return Response(429, {"content-type": "application/json"}, to_json(body))
        found = self._dialect.rate_limited(wait if wait is not None else 1.0, call.model)
        if (names or named) and "retry-after" not in found.headers:
            seconds = str(max(1, ceil(wait or 1.0)))
            found = Response(found.status, {**found.headers, "retry-after": seconds}, found.body)
        if "retry-after" in found.headers:
            call.wait = wait if wait is not None else 1.0
        return found

    def _refusal(self, call: Upstream, chat: Chat, fault: Fault) -> Response | None:
        """Give the error a fault asks for, in the vendor's words; None where the answer begins."""
        dialect, model = self._dialect, call.model
        match fault.kind:
            case "error" if fault.status == 200:
                return dialect.failing_inside(200, model, stream=chat.stream)
            case "error":
                found = dialect.failing(fault.status, model)
                wait = {} if fault.retry_after is None else {"retry-after": f"{fault.retry_after:g}"}
                return Response(found.status, {**found.headers, **wait}, found.body)
            case "rate_limit":
                return self._too_many(call, fault.retry_after, named=fault.retry_after is not None)
            case "auth":
                return dialect.unauthorized(f"simulated-{self.name}-{call.key}")
            case "no_money":
                return dialect.no_money(model, stream=chat.stream)
            case "context_length":
                return dialect.too_long(model)
            case "html":
                return Response(200, {"content-type": "text/html; charset=utf-8"}, PAGE)
            case "error_event" if not chat.stream:
                return dialect.failing_inside(200, model, stream=False)
            case _:
                return None

    def _refuse(self, call: Upstream, at: float, response: Response, outcome: str) -> Will:
        call.outcome = outcome
        return Will(call, at, response=response, pieces=[Piece(at, response.lead + response.body)])

    # -- answering --------------------------------------------------------------------------

    def _answer(
        self, call: Upstream, chat: Chat, question: Question, now: float, slow: float, fault: Fault | None
    ) -> Will:
        last = chat.messages[-1]
        so_far = text_of(last) if last["role"] == "assistant" else ""
        answer = said(call.model, f"#{question.number}", question.prompt, question.tokens, self._pieces, after=so_far)
        self._dialect.next = answer
        response = self._dialect.chat(chat)
        call.planned = answer.tokens
        first = now + max(self._behaviour.first_content.draw(self._random), self._behaviour.latency) * slow
        whole = first + answer.tokens / self._behaviour.tokens_per_s * slow
        if isinstance(response, Stream):
            head = min(now + self._behaviour.latency * slow, first)
            pieces = list(self._stream(call, response, first, whole, fault))
        else:
            head, pieces = whole, self._whole(call, response, whole, fault)
        down, error = self._next_outage(now), WireError(*BROKEN["reset"])
        if down == inf or pieces[-1].at < down:
            return Will(call, head, response=response, pieces=pieces)
        call.outcome = "down"
        if head >= down:
            return Will(call, down, error)
        kept = [piece for piece in pieces if piece.at < down]
        return Will(call, head, response=response, pieces=[*kept, Piece(down, error)])

    def _next_outage(self, now: float) -> float:
        """Say when the vendor goes down, which breaks what is under way."""
        begins = [fault.at for fault in self._behaviour.faults if fault.kind == "down" and fault.is_outage]
        return min((at for at in begins if at > now), default=inf)

    def _whole(self, call: Upstream, response: Response, at: float, fault: Fault | None) -> list[Piece]:
        body = response.lead + response.body
        kind = fault.kind if fault else ""
        if kind not in {"bad_json", "cut", "stall"}:
            return [Piece(at, body, call.planned)]
        call.outcome = kind
        half = Piece(at, body[: len(body) // 2], call.planned)
        return [half, *self._broken(kind, at)]

    def _stream(
        self, call: Upstream, stream: Stream, first: float, whole: float, fault: Fault | None
    ) -> Iterator[Piece]:
        """Give each content its time: the first one at `first`, the end at `whole`; what is between goes along."""
        events = list(stream.events)
        contents = max(1, sum(event.carries in {"content", "finish"} for event in events))
        step, each = (whole - first) / contents, call.planned / contents
        number, sent, kind = 0, 0, fault.kind if fault else ""
        for event in events:
            at = first + number * step if number else first
            if event.carries in {"content", "finish"}:
                if fault and _breaks(fault, event, number):
                    call.outcome = kind
                    yield from self._ended(call, kind, at)
                    return
                number += 1
            tokens = round(number * each) - sent
            sent += tokens
            if fault and kind == "bad_json" and number == fault.after and event.carries == "content":
                call.outcome, kind = kind, ""
                yield Piece(at, _half(event.data))  # beside the good one: nothing of the answer is missing
            yield Piece(at, event.data, tokens)

    def _ended(self, call: Upstream, kind: str, at: float) -> Iterator[Piece]:
        if kind == "error_event":
            failed = self._dialect.failing_inside(200, call.model, stream=True)
            yield Piece(at, failed.body)
        yield from self._broken(kind, at)

    def _broken(self, kind: str, at: float) -> list[Piece]:
        if kind == "cut":
            return [Piece(at, WireError(*BROKEN["cut"]))]
        return [Piece(inf, b"")] if kind == "stall" else []


def _breaks(fault: Fault, event: Event, number: int) -> bool:
    """Tell whether enough was said; a broken stream never has a finish reason."""
    return fault.kind in {"cut", "stall", "error_event"} and (number >= fault.after or event.carries == "finish")


def _half(data: bytes) -> bytes:
    """Break the JSON of an event, and nothing else."""
    line = data.rstrip(b"\n")
    return line[: len(line) // 2].decode("utf-8", "ignore").encode() + b"\n\n"

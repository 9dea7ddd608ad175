"""The ways an answer breaks: before its first content, and in the middle of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from .vendor import MARK, Asked, End, Plan, Script, Step
from .wire import ROLE, STREAM_HEAD, chunked, content, error_event, event, finish, last, pieces_of, scattered, whole

__all__ = ["BEFORE", "ENDINGS", "SILENCES", "Broken", "break_before", "break_off", "fail"]

HTML = b"<!doctype html><html><body><h1>Bad gateway</h1></body></html>"
FAILED = {"error": {"message": "something went wrong", "type": "server_error", "code": None}}
STATUSES: dict[str, tuple[str, dict[str, Any]]] = {
    "401": ("401 Unauthorized", {"error": {"message": "wrong key", "type": "invalid_request_error"}}),
    "402": ("402 Payment Required", {"error": {"message": "no money left", "type": "billing"}}),
    "403": ("403 Forbidden", {"error": {"message": "not for you", "type": "permission_error"}}),
    "404": ("404 Not Found", {"error": {"message": "no such model", "code": "model_not_found"}}),
    "429": ("429 Too Many Requests", {"error": {"message": "slow down", "type": "rate_limit"}}),
    "500": ("500 Internal Server Error", FAILED),
    "502": ("502 Bad Gateway", FAILED),
    "503": ("503 Service Unavailable", FAILED),
    "504": ("504 Gateway Timeout", FAILED),
    "529": ("529 Overloaded", FAILED),
}
COMMENT = chunked(b": still here\n\n")
CUTS: tuple[End, ...] = ("reset", "fin", "half", "hang")


# -- before the first content -----------------------------------------------------------------


def fail(status: str, *extra: str) -> Script:
    """Refuse with a status."""
    line, body = STATUSES[status]
    return Script(whole(line, body, *extra), breaks=True)


def _torn(asked: Asked, random: Random) -> Script:
    """Cut the answer at any byte before its first content is complete, in one of four ways."""
    first = chunked(content(asked, "never", random))
    sent = STREAM_HEAD + COMMENT + chunked(event(asked, ROLE)) + first
    cut = random.randrange(sent.index(b"never"))
    return Script(scattered(sent[:cut], random, 2) if cut else [], random.choice(CUTS), breaks=True)


def _after_role(*events: bytes) -> Callable[[Asked, Random], Script]:
    """Begin well, say something else instead of content, end the body cleanly."""

    def script(asked: Asked, random: Random) -> Script:
        begun = [chunked(event(asked, ROLE))] if random.random() < 0.7 else []
        return Script([STREAM_HEAD, *begun, *map(chunked, events), last()], breaks=True)

    return script


def _whole(body: bytes, kind: str = "application/json") -> Callable[[Asked, Random], Script]:
    return lambda asked, random: Script(whole("200 OK", body, kind=kind), breaks=True)


def _by_status(asked: Asked, random: Random) -> Script:
    return fail(random.choice(sorted(STATUSES)))


BEFORE: dict[str, Callable[[Asked, Random], Script]] = {
    "torn": _torn,
    "status": _by_status,
    "empty": _after_role(),
    "error event": _after_role(error_event()),
    "overloaded event": _after_role(error_event("overloaded_error")),
    "malformed": _after_role(b'data: {"choices": [{\n\n', b"data: \xff\xfe\n\n"),
    "no content": _after_role(b"data: [DONE]\n\n"),
    "html": _whole(HTML, "text/html"),
    "html as events": _whole(HTML, "text/event-stream"),
    "error as success": _whole(b'{"error": {"message": "no", "type": "server_error"}}'),
    "cut JSON": _whole(b'{"id": "x", "choices": [{"index": 0, "mess'),
    "garbage": lambda asked, random: Script([random.randbytes(200)], "fin", breaks=True),
}


def break_before(kind: str) -> Plan:
    """Make a plan that breaks every answer of one model before its first content."""
    return lambda asked: BEFORE[kind](asked, Random(asked.nonce))


# -- silence ----------------------------------------------------------------------------------


def _for_ever(*begun: bytes, then: bytes = b"") -> Callable[[Asked], Iterable[Step]]:
    def steps(asked: Asked) -> Iterator[Step]:
        yield from begun
        while True:
            yield then
            yield 0.1

    return steps


def _role_for_ever(asked: Asked) -> Iterator[Step]:
    yield STREAM_HEAD
    while True:
        yield chunked(event(asked, ROLE))
        yield 0.1


PLAIN_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
# What a vendor does that says nothing: whether a stream is asked for -> name -> what is sent.
SILENCES: dict[bool, dict[str, Callable[[Asked], Iterable[Step]]]] = {
    True: {
        "no head": _for_ever(),
        "head only": _for_ever(STREAM_HEAD),
        "comments": _for_ever(STREAM_HEAD, then=COMMENT),
        "roles": _role_for_ever,
    },
    False: {
        "no head": _for_ever(),
        "head only": _for_ever(PLAIN_HEAD),
        "blank lines": _for_ever(PLAIN_HEAD, then=chunked(b"\n")),
        "half": _for_ever(PLAIN_HEAD, chunked(b'{"choices": [{"mess')),
    },
}


# -- in the middle ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Broken:
    """A stream that broke off: its script, what had been said, and whether all of that must arrive."""

    script: Script
    said: str
    arrives: bool


def _cut(end: End, *, torn: bool = False) -> Callable[[Asked, str, Random], tuple[list[Step], End]]:
    def steps(asked: Asked, following: str, random: Random) -> tuple[list[Step], End]:
        if not torn:
            return [], end
        data = chunked(content(asked, following or "x", random))
        return [data[: random.randrange(1, len(data) - 12)]], end

    return steps


def _says(*events: bytes) -> Callable[[Asked, str, Random], tuple[list[Step], End]]:
    return lambda asked, following, random: ([*map(chunked, events), last()], "keep")


# What comes after the last character that is whole.
ENDINGS: dict[str, Callable[[Asked, str, Random], tuple[list[Step], End]]] = {
    "reset": _cut("reset"),
    "end": _cut("fin"),
    "half-close": _cut("half"),
    "silence": _cut("hang"),
    "torn, reset": _cut("reset", torn=True),
    "torn, end": _cut("fin", torn=True),
    "torn, silence": _cut("hang", torn=True),
    "clean end": _says(),
    "end marker": _says(b"data: [DONE]\n\n"),
    "error event": _says(error_event()),
    "two malformed": _says(b"data: {\n\n", b"data: }\n\n"),
}


def break_off(asked: Asked, text: str, kind: str, random: Random) -> Broken:
    """Say some of a text, in pieces that are cut anywhere, then break off."""
    pieces = pieces_of(text, random)
    said = pieces[: random.randint(1, len(pieces) - 1)]
    steps: list[Step] = [STREAM_HEAD + chunked(event(asked, ROLE))]
    body = b"".join(chunked(content(asked, piece, random)) for piece in said)
    steps += scattered(body, random, random.randint(0, 12))
    ending, end = ENDINGS[kind](asked, pieces[len(said)], random)
    script = Script([*steps, MARK, *ending], end, breaks=True)
    return Broken(script, "".join(said), arrives="reset" not in kind)


def with_a_flaw(asked: Asked, text: str, random: Random) -> Script:
    """Say all of a text, cut anywhere, with one malformed event among the good ones."""
    pieces = [chunked(content(asked, piece, random)) for piece in pieces_of(text, random)]
    if random.random() < 0.5:
        pieces.insert(random.randint(1, len(pieces)), chunked(b'data: {"choices": [\n\n'))
    body = chunked(event(asked, ROLE)) + b"".join(pieces) + chunked(finish(asked)) + last()
    return Script([STREAM_HEAD, *scattered(body, random, 25)])

"""The bytes of answers: whole, streamed, and in the pieces a network makes of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any

from .vendor import Asked, Script, Step

__all__ = [
    "ROLE", "STREAM_HEAD", "chunked", "content", "error_event", "event", "finish", "head", "last",
    "pieces_of", "scattered", "streamed", "text_of", "whole", "whole_body",
]  # fmt: skip  # a list of names

ALPHABETS = (
    'abcdefghijklmnopqrstuvwxyz ,.\n"\\/',
    "äöüßéèñçøå€£§µ",
    "漢字仮名交じり文章中文한국어",
    "😀🚀👩‍💻🏳️‍🌈🇪🇺👍🏽∑𝔘𐍈",
)
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
DONE = b"data: [DONE]\n\n"
ROLE: dict[str, Any] = {"role": "assistant", "content": ""}
USAGE = {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16}


def text_of(nonce: str, who: str, least: int = 30, most: int = 120) -> str:
    """Make the text that `who` answers to a nonce: every kind of character, the same each time."""
    random = Random(f"{nonce}/{who}")
    length = random.randint(least, most)
    text = ""
    while len(text) < length:
        alphabet = random.choice(ALPHABETS)
        text += "".join(random.choices(alphabet, k=random.randint(1, 9)))
    return text[:length]


def pieces_of(text: str, random: Random, longest: int = 6) -> list[str]:
    """Cut a text into deltas of some characters each."""
    pieces = []
    while text:
        size = random.randint(1, longest)
        pieces.append(text[:size])
        text = text[size:]
    return pieces


# -- server-sent events -----------------------------------------------------------------------


def event(asked: Asked, delta: dict[str, Any], finish: str | None = None, *, escaped: bool = False) -> bytes:
    """Write one chunk of a stream; `escaped` writes what is not ASCII as JSON escapes."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {**_envelope(asked, "chat.completion.chunk"), "choices": [choice]}
    return b"data: " + json.dumps(body, ensure_ascii=escaped).encode() + b"\n\n"


def content(asked: Asked, text: str, random: Random) -> bytes:
    """Write one chunk of text."""
    return event(asked, {"content": text}, escaped=random.random() < 0.3)


def finish(asked: Asked) -> bytes:
    """Write how a complete stream ends: reason, usage, end marker."""
    usage = {**_envelope(asked, "chat.completion.chunk"), "choices": [], "usage": USAGE}
    return event(asked, {}, "stop") + b"data: " + json.dumps(usage).encode() + b"\n\n" + DONE


def error_event(kind: str = "server_error") -> bytes:
    """Write an error inside a stream."""
    return b"data: " + json.dumps({"error": {"message": f"broke ({kind})", "type": kind}}).encode() + b"\n\n"


def chunked(data: bytes) -> bytes:
    """Write one chunk of the transfer coding."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def last() -> bytes:
    """Write the end of the transfer coding."""
    return LAST_CHUNK


def scattered(data: bytes, random: Random, times: int, pause: float = 0.001) -> list[Step]:
    """Cut bytes at random places, in the middle of characters too, into segments that arrive apart."""
    cuts = sorted(random.sample(range(1, len(data)), min(times, len(data) - 1))) if len(data) > 1 else []
    steps: list[Step] = []
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        steps += [data[start:end], pause]
    return steps


# -- whole answers ----------------------------------------------------------------------------


def head(status: str, content_type: str, length: int, *extra: str) -> bytes:
    """Write the head of an answer that has a length."""
    lines = [f"HTTP/1.1 {status}", f"content-type: {content_type}", f"content-length: {length}", *extra]
    return "\r\n".join([*lines, "", ""]).encode()


def whole_body(asked: Asked, text: str) -> bytes:
    """Write the body of a plain answer."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = {**_envelope(asked, "chat.completion"), "choices": [choice], "usage": USAGE}
    return json.dumps(body, ensure_ascii=False).encode()


def whole(status: str, body: bytes | dict[str, Any], *extra: str, kind: str = "application/json") -> Sequence[Step]:
    """Write a whole answer of any status."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return [head(status, kind, len(raw), *extra) + raw]


def streamed(asked: Asked, text: str, random: Random, pause: float = 0.0) -> Script:
    """Answer with all of a text, as it was asked for."""
    if not asked.stream:
        return Script(whole("200 OK", whole_body(asked, text)))
    steps: list[Step] = [STREAM_HEAD + chunked(event(asked, ROLE))]
    for piece in pieces_of(text, random):
        steps.append(chunked(content(asked, piece, random)))
        if pause:
            steps.append(random.uniform(0, pause))
    steps.append(chunked(finish(asked)) + last())
    return Script(steps)


def _envelope(asked: Asked, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{asked.nonce}", "object": kind, "created": 1750000000, "model": asked.model}

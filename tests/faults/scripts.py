"""What vendors do in the rows: each function gives a script for one request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio

from .vendor import HangUp, Script, Turn

__all__ = [
    "answers", "begins", "completion", "cuts", "ends", "fails", "raw", "refuses", "says", "silent",
]  # fmt: skip  # a list of names


def answers(*, late: float = 0.0, pace: float = 0.0, usage: bool = True, done: bool = True) -> Script:
    """Answer well, whole or streamed as asked; `late` is the wait before the first token, after the head."""

    async def play(turn: Turn) -> None:
        if not turn.asked.body.get("stream"):
            await anyio.sleep(late)
            await turn.whole(200, completion(turn, usage=usage))
            return
        await begins(turn)
        await anyio.sleep(late)
        await turn.tokens(pace=pace)
        await ends(turn, usage=usage, done=done)

    return play


def completion(turn: Turn, *, usage: bool = True, **fields: Any) -> dict[str, Any]:
    """Give a whole answer's body."""
    message = {"role": "assistant", "content": turn.vendor.text}
    body = {**turn.named("chat.completion"), "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    return {**body, **({"usage": turn.vendor.usage} if usage else {}), **fields}


async def begins(turn: Turn) -> None:
    """Begin a stream: the head and the role."""
    await turn.open_stream()
    await turn.delta({"role": "assistant", "content": ""})


async def ends(turn: Turn, *, usage: bool = True, done: bool = True) -> None:
    """End a stream well."""
    await turn.delta({}, "stop")
    if usage:
        await turn.usage()
    if done:
        await turn.event(b"[DONE]")
    await turn.end()


def refuses(status: int, *, message: str = "no", code: str | None = None, kind: str = "", **headers: str) -> Script:
    """Answer with an error in OpenAI's envelope."""
    error: Mapping[str, Any] = {"message": message, "type": kind or "some_error", "param": None, "code": code}

    async def play(turn: Turn) -> None:
        await turn.whole(status, {"error": error}, **headers)

    return play


def fails(*, reset: bool = False, after: int | None = None) -> Script:
    """Break the connection: before the headers, or after so many tokens."""

    async def play(turn: Turn) -> None:
        if after is not None:
            await begins(turn)
            await turn.tokens(0, after)
        if reset and after is not None:
            await anyio.sleep(0.05)  # a RST throws away what is still on its way
        raise HangUp(reset=reset)

    return play


def cuts(after: int) -> Script:
    """End the body cleanly after so many tokens, without saying that the answer is over."""

    async def play(turn: Turn) -> None:
        await begins(turn)
        await turn.tokens(0, after)
        await turn.end()

    return play


def silent(after: int | None = None) -> Script:
    """Say nothing (more) and leave the connection open: at once, or after so many tokens."""

    async def play(turn: Turn) -> None:
        if after is not None:
            await begins(turn)
            await turn.tokens(0, after)
        await anyio.sleep_forever()

    return play


def says(*events: Mapping[str, Any] | bytes, tokens: int = 0, finish: bool = False) -> Script:
    """Stream some tokens, then these events, then (with `finish`) the rest of a good answer."""

    async def play(turn: Turn) -> None:
        await begins(turn)
        await turn.tokens(0, tokens)
        for event in events:
            await turn.event(event)
        if finish:
            await turn.tokens(tokens)
            await ends(turn)
        else:
            await turn.end()

    return play


def raw(*pieces: bytes, hang_up: bool = True) -> Script:
    """Send exactly these bytes."""

    async def play(turn: Turn) -> None:
        for piece in pieces:
            await turn.send(piece)
        if hang_up:
            raise HangUp
        await anyio.sleep_forever()

    return play
